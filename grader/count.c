/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * count.c: a QEMU TCG plugin that counts retired instructions from outside the machine.
 *
 *	gcc -O2 -shared -fPIC -o count.so count.c
 *	qemu-system-x86_64 -icount shift=0,sleep=off … \
 *		-plugin ./count.so,out=count.txt,low=0x2000000,high=0x2001000
 *
 *	out=FILE		where to write; nothing that runs in the machine can reach it
 *	low=, high=		the guest's image: addresses low <= a < high
 *	at=, code=FILE		what is to be executed there, from address `at` on, byte for byte; again for
 *				another guest
 *	instructions=N		end the machine when more than N instructions have been executed
 *	entries=N		end the machine at VMRUN number N + 1
 *	blocks=N		end the machine when QEMU has translated more than N blocks of code, or
 *				N * 8 instructions in them: where there is no RAM it translates each
 *				instruction anew, and zeroes are instructions, in blocks of 256 that
 *				write to themselves; both take time
 *
 * It also ends a machine that sleeps and that nothing will wake ("asleep"): with sleep=off the clock
 * jumps to the next timer at once, so a machine that executes nothing for seconds has none.
 *
 * What it writes, one line for each time that a guest ran, then one line at the end:
 *
 *	run GUEST IMAGE HOST	instructions between VMRUN and the exit, those of them in the image, and
 *				those of the host since the exit before
 *	io ADDRESS IMAGE	an IN or OUT of the image, about to be executed, and how many instructions of
 *				the image there were with it
 *	end WHY TOTAL ENTRIES GUEST IMAGE OUTSIDE BLOCKS FOREIGN STRAY
 *				WHY is "exit" (the machine ended by itself) or the limit that ended it,
 *				and OUTSIDE what was executed of the image while no guest ran: all there
 *				is when the guest runs bare, nothing when it runs in a VM; FOREIGN what was
 *				executed in the image's place, and is not in the files of code=; STRAY
 *				how many instructions with a random constant of theirs were translated at
 *				other addresses: somebody runs a copy
 *
 * How it tells guest from host: VMRUN enters a guest, and an exit goes on behind the host's
 * VMRUN. So where the block of code behind a VMRUN is executed a run ends. (A guest may execute
 * VMRUN as well; that is one more instruction of the image, and its business is an exit.) This is
 * looked at when blocks are executed, not when they are translated: code behind a VMRUN may have
 * been translated before we knew of the VMRUN.
 *
 * INS and OUTS in the image are not counted as instructions of the image: QEMU counts every
 * element of a REP that it executes itself, and an intercepted one only once. What is left is
 * exact: an instruction that exits is counted once, like one that does not.
 *
 * Debian packages no qemu-plugin.h for QEMU 7.2, so the few declarations that we need of
 * version 1 of its interface stand here (docs/devel/tcg-plugins.rst in QEMU's source). One
 * thread runs all of the machine's processors because of -icount, so nothing here is locked.
 */
#define _GNU_SOURCE /* memmem */
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- QEMU's plugin interface, version 1 ------------------------------------------------- */

struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef uint64_t qemu_plugin_id_t;

enum { QEMU_PLUGIN_INLINE_ADD_U64 };
enum { QEMU_PLUGIN_CB_NO_REGS };

uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id,
					   void (*fn)(qemu_plugin_id_t, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb, void (*fn)(unsigned, void *),
					  int flags, void *opaque);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn,
					    void (*fn)(unsigned, void *), int flags, void *opaque);
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *insn, int op,
						void *counter, uint64_t addend);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t id, void (*fn)(qemu_plugin_id_t, void *),
				    void *opaque);

#define EXPORT __attribute__((visibility("default")))
EXPORT int qemu_plugin_version = 1;

/* ---- counting ---------------------------------------------------------------------------- */

#define BEHIND_MAX \
	64 /* places behind a VMRUN that we remember; with more it is no honest monitor */
#define CODES_MAX      64
#define ASLEEP_SECONDS 3
#define STATUS_LIMIT   9 /* QEMU's exit status when we end it; the file says why */

/* Incremented by the translated code itself, before each instruction. */
static uint64_t total, image, foreign;
static uint64_t strays;

static uint64_t low, high;
static uint64_t instructions_max = UINT64_MAX, entries_max = UINT64_MAX, blocks_max = UINT64_MAX;
static FILE *out;

/* What is to stand in the image. */
static struct code {
	uint64_t at, size;
	uint8_t *bytes;
} codes[CODES_MAX];
static unsigned code_count;
static uint64_t next_at;

static bool in_guest;
static uint64_t entries, blocks, translated;
static uint64_t total_at_entry, image_at_entry, total_at_exit;
static uint64_t guest_sum, image_sum;
static uint64_t behind[BEHIND_MAX];
static unsigned behind_count;

/* A run of the guest is over; @extra instructions of the host were counted since. */
static void end_run(uint64_t extra)
{
	uint64_t guest = total - extra - total_at_entry, of_image = image - image_at_entry;

	fprintf(out, "run %lu %lu %lu\n", guest, of_image, total_at_entry - total_at_exit);
	guest_sum += guest;
	image_sum += of_image;
	total_at_exit = total - extra;
	in_guest = false;
}

static void write_end(const char *why)
{
	if (in_guest)
		end_run(0);
	fprintf(out, "end %s %lu %lu %lu %lu %lu %lu %lu %lu\n", why, total, entries, guest_sum,
		image_sum, image - image_sum, blocks, foreign, strays);
	fclose(out);
}

static void stop(const char *why)
{
	write_end(why);
	_exit(STATUS_LIMIT);
}

static bool is_behind(uint64_t address)
{
	for (unsigned i = 0; i < behind_count; i++)
		if (behind[i] == address)
			return true;
	return false;
}

static void on_block(unsigned cpu, void *address)
{
	(void)cpu;
	if (total > instructions_max)
		stop("instructions");
	if (in_guest && is_behind((uint64_t)address))
		end_run(0);
}

static void on_vmrun(unsigned cpu, void *opaque)
{
	(void)cpu, (void)opaque;
	if (in_guest)
		end_run(1); /* we missed its end: nothing stood behind the VMRUN */
	if (entries == entries_max)
		stop("entries");
	entries++;
	in_guest = true;
	total_at_entry = total;
	image_at_entry = image;
}

static void on_io(unsigned cpu, void *address)
{
	(void)cpu;
	fprintf(out, "io %lx %lu\n", (uint64_t)address, image);
}

/* QEMU's main loop calls this; no other thread of QEMU's takes SIGALRM. */
static void on_alarm(int signal_number)
{
	static uint64_t before;

	(void)signal_number;
	if (total && total == before)
		stop("asleep");
	before = total;
	alarm(ASLEEP_SECONDS);
}

/* ---- looking at instructions as QEMU translates them -------------------------------------- */

/* The first byte that is no prefix (APM vol. 3 §1.2); REX counts as one, which does no harm here. */
static const uint8_t *skip_prefixes(const uint8_t *p, const uint8_t *end)
{
	static const uint8_t prefixes[] = {0x66, 0x67, 0x26, 0x2e, 0x36, 0x3e,
					   0x64, 0x65, 0xf0, 0xf2, 0xf3};

	while (p < end && (memchr(prefixes, *p, sizeof(prefixes)) || (*p & 0xf0) == 0x40))
		p++;
	return p;
}

static bool is_vmrun(const uint8_t *opcode, const uint8_t *end)
{
	return end - opcode == 3 && opcode[0] == 0x0f && opcode[1] == 0x01 && opcode[2] == 0xd8;
}

static bool is_string_io(const uint8_t *opcode, const uint8_t *end)
{
	return end - opcode == 1 && *opcode >= 0x6c && *opcode <= 0x6f;
}

static bool is_io(const uint8_t *opcode)
{
	return (*opcode & 0xf4) == 0xe4; /* e4 to e7, ec to ef */
}

/*
 * Is it something else than what is to stand there? Where nothing is known to stand, anything may; where
 * several guests do, each at the same addresses of its own, it is what one of them has.
 */
static bool is_foreign(uint64_t address, const uint8_t *start, size_t size)
{
	for (const struct code *c = codes; c < codes + code_count; c++)
		if (address >= c->at && address < c->at + c->size &&
		    size <= c->at + c->size - address &&
		    !memcmp(c->bytes + (address - c->at), start, size))
			return false;
	return code_count;
}

/*
 * Does it end in four bytes that look random, and do all of its bytes stand in the image? That no other
 * code has one of these by chance is not sure; but not a dozen.
 */
static bool is_stray(const uint8_t *start, size_t size)
{
	if (size < 5)
		return false;
	for (size_t i = size - 4; i < size; i++)
		if (start[i] == 0 || start[i] == 0xff)
			return false;
	for (const struct code *c = codes; c < codes + code_count; c++)
		if (memmem(c->bytes, c->size, start, size))
			return true;
	return false;
}

static bool in_image(uint64_t address)
{
	return address >= low && address < high;
}

static void remember_behind(uint64_t address)
{
	if (is_behind(address))
		return;
	if (behind_count == BEHIND_MAX)
		stop("vmruns");
	behind[behind_count++] = address;
}

static void count(struct qemu_plugin_insn *insn, uint64_t *counter)
{
	qemu_plugin_register_vcpu_insn_exec_inline(insn, QEMU_PLUGIN_INLINE_ADD_U64, counter, 1);
}

static void translate_insn(struct qemu_plugin_insn *insn)
{
	const uint8_t *start = qemu_plugin_insn_data(insn);
	const uint8_t *end = start + qemu_plugin_insn_size(insn);
	const uint8_t *opcode = skip_prefixes(start, end);
	uint64_t address = qemu_plugin_insn_vaddr(insn);

	count(insn, &total);
	if (in_image(address)) {
		if (!is_string_io(opcode, end))
			count(insn, &image);
		if (is_foreign(address, start, end - start))
			count(insn, &foreign);
		if (opcode < end && is_io(opcode))
			qemu_plugin_register_vcpu_insn_exec_cb(insn, on_io, QEMU_PLUGIN_CB_NO_REGS,
							       (void *)address);
		return;
	}
	strays += is_stray(start, end - start);
	if (is_vmrun(opcode, end)) {
		remember_behind(address + (end - start));
		qemu_plugin_register_vcpu_insn_exec_cb(insn, on_vmrun, QEMU_PLUGIN_CB_NO_REGS,
						       NULL);
	}
}

static void on_translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	size_t n = qemu_plugin_tb_n_insns(tb);

	(void)id;
	translated += n;
	if (++blocks > blocks_max || translated / 8 > blocks_max)
		stop("blocks");
	qemu_plugin_register_vcpu_tb_exec_cb(tb, on_block, QEMU_PLUGIN_CB_NO_REGS,
					     (void *)qemu_plugin_tb_vaddr(tb));
	for (size_t i = 0; i < n; i++)
		translate_insn(qemu_plugin_tb_get_insn(tb, i));
}

/* ---- the plugin's life --------------------------------------------------------------------- */

static void at_exit(qemu_plugin_id_t id, void *opaque)
{
	(void)id, (void)opaque;
	write_end("exit");
}

/* The value in "name=value", or NULL if @word has another name. */
static const char *value_of(const char *word, const char *name)
{
	size_t n = strlen(name);

	return !strncmp(word, name, n) && word[n] == '=' ? word + n + 1 : NULL;
}

static bool read_code(const char *path)
{
	struct code *c = &codes[code_count];
	FILE *file = code_count < CODES_MAX ? fopen(path, "r") : NULL;

	if (!file || fseek(file, 0, SEEK_END))
		return false;
	*c = (struct code){.at = next_at, .size = ftell(file)};
	c->bytes = malloc(c->size);
	rewind(file);
	if (!c->bytes || fread(c->bytes, 1, c->size, file) != c->size)
		return false;
	fclose(file);
	code_count++;
	return true;
}

static bool read_word(const char *word)
{
	static const struct {
		const char *name;
		uint64_t *number;
	} numbers[] = {{"low", &low},
		       {"high", &high},
		       {"at", &next_at},
		       {"instructions", &instructions_max},
		       {"entries", &entries_max},
		       {"blocks", &blocks_max}};
	const char *value = value_of(word, "out");

	if (value) {
		out = fopen(value, "w");
		return out;
	}
	value = value_of(word, "code");
	if (value)
		return read_code(value);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		value = value_of(word, numbers[i].name);
		if (value) {
			*numbers[i].number = strtoull(value, NULL, 0);
			return true;
		}
	}
	return false;
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv)
{
	(void)info;
	for (int i = 0; i < argc; i++) {
		if (!read_word(argv[i])) {
			fprintf(stderr, "count: cannot use \"%s\"\n", argv[i]);
			return -1;
		}
	}
	if (!out) {
		fprintf(stderr, "count: out=FILE is missing\n");
		return -1;
	}
	signal(SIGALRM, on_alarm);
	alarm(ASLEEP_SECONDS);
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
	qemu_plugin_register_atexit_cb(id, at_exit, NULL);
	return 0;
}

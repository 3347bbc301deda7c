/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_emulate.c: tests of the emulator, most of them against the processor that we run on.
 *
 * An instruction is made up from a template with random prefixes, registers and operands. It is
 * decoded and emulated on a copy of the registers and of some memory, and then it is put into a
 * page of code and really executed. Registers, flags and memory have to be the same afterwards, but
 * for flags that the manual leaves undefined.
 */
#include <cpuid.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "suite.h"
#include "lib/errno.h"
#include "x86/emulate.h"

/* ---- the processor as an oracle -------------------------------------------------------------- */

struct state {
	u64 gpr[GPR_COUNT]; /* RSP is not ours to test with */
	u64 rflags;
};

static struct {
	struct state state;
	u8 *code; /* the instruction and a RET */
} host __asm__("host_oracle") __attribute__((used));
_Static_assert(offsetof(struct state, rflags) == 128, "as the assembler knows it");

/* Load host.state, call host.code, store host.state. */
void host_run(void);
__asm__(".text\n"
	"host_run:\n"
	"	push	%rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
	"	pushq	host_oracle+128(%rip); popfq\n"
	"	mov	host_oracle+0(%rip), %rax; mov host_oracle+8(%rip), %rcx\n"
	"	mov	host_oracle+16(%rip), %rdx; mov host_oracle+24(%rip), %rbx\n"
	"	mov	host_oracle+40(%rip), %rbp; mov host_oracle+48(%rip), %rsi\n"
	"	mov	host_oracle+56(%rip), %rdi; mov host_oracle+64(%rip), %r8\n"
	"	mov	host_oracle+72(%rip), %r9; mov host_oracle+80(%rip), %r10\n"
	"	mov	host_oracle+88(%rip), %r11; mov host_oracle+96(%rip), %r12\n"
	"	mov	host_oracle+104(%rip), %r13; mov host_oracle+112(%rip), %r14\n"
	"	mov	host_oracle+120(%rip), %r15\n"
	"	call	*host_oracle+136(%rip)\n"
	"	mov	%rax, host_oracle+0(%rip); mov %rcx, host_oracle+8(%rip)\n"
	"	mov	%rdx, host_oracle+16(%rip); mov %rbx, host_oracle+24(%rip)\n"
	"	mov	%rbp, host_oracle+40(%rip); mov %rsi, host_oracle+48(%rip)\n"
	"	mov	%rdi, host_oracle+56(%rip); mov %r8, host_oracle+64(%rip)\n"
	"	mov	%r9, host_oracle+72(%rip); mov %r10, host_oracle+80(%rip)\n"
	"	mov	%r11, host_oracle+88(%rip); mov %r12, host_oracle+96(%rip)\n"
	"	mov	%r13, host_oracle+104(%rip); mov %r14, host_oracle+112(%rip)\n"
	"	mov	%r15, host_oracle+120(%rip)\n"
	"	pushfq; popq host_oracle+128(%rip); cld\n"
	"	pop	%r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
	"	ret\n");

/* Memory that both work on, below 4 GiB so that addresses of 32 bits reach it. */
#define ARENA 4096
static u8 *arena, copy[ARENA];

static void set_up(void)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT;

	arena = mmap(NULL, ARENA, PROT_READ | PROT_WRITE, flags, -1, 0);
	host.code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, flags, -1, 0);
	ck_assert(arena != MAP_FAILED && host.code != MAP_FAILED);
}

/* ---- the emulator's memory ------------------------------------------------------------------- */

static int reads, writes, fail_after; /* accesses left until one fails */
static bool announced;		      /* will_write of the last read */
static enum seg last_seg;
static u64 last_offset;

static u8 *reach(enum seg seg, u64 offset, unsigned size)
{
	last_seg = seg;
	last_offset = offset;
	assert_quietly(offset >= (uintptr_t)arena && offset + size <= (uintptr_t)arena + ARENA,
		       "offset %lx size %u", offset, size);
	return copy + (offset - (uintptr_t)arena);
}

static int read_copy(void *opaque, enum seg seg, u64 offset, unsigned size, bool will_write,
		     u64 *value)
{
	assert_quietly(opaque == copy, "opaque");
	reads++;
	announced = will_write;
	if (!fail_after--)
		return -EAGAIN;
	*value = 0xe5e5e5e5e5e5e5e5; /* bits that the emulator has to ignore */
	memcpy(value, reach(seg, offset, size), size);
	return 0;
}

static int write_copy(void *opaque, enum seg seg, u64 offset, unsigned size, u64 value)
{
	assert_quietly(opaque == copy, "opaque");
	writes++;
	assert_quietly(size == 8 || value >> (size * 8) == 0, "more than %u bytes", size);
	if (!fail_after--)
		return -EAGAIN;
	memcpy(reach(seg, offset, size), &value, size);
	return 0;
}

static const struct emulate_memory mem = {read_copy, write_copy, copy};

/* ---- random instructions --------------------------------------------------------------------- */

static u64 random_state;

static u64 rnd(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state >> 11;
}

/* Numbers with an eye to the edges, where the flags are. */
static u64 rnd_value(void)
{
	static const u64 edges[] = {0,
				    1,
				    0x7f,
				    0x80,
				    0xff,
				    0x7fff,
				    0x8000,
				    0xffff,
				    0x7fffffff,
				    0x80000000,
				    0xffffffff,
				    0x7fffffffffffffff,
				    0x8000000000000000,
				    ~0ull};

	return rnd() % 3 ? rnd() * 0x9e3779b97f4a7c15 : edges[rnd() % ARRAY_SIZE(edges)];
}

#define CF	 RFLAGS_CF
#define ALL	 (CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)
#define NO_AF	 (ALL & ~RFLAGS_AF) /* AND, OR, XOR, TEST leave AF undefined */
#define REG	 8		    /* ModRM's reg field is a register, any */
#define LOCKABLE 1
#define BYTES	 2
#define BIT_REG	 4 /* the register is a bit number: keep it in the arena */

/* Instructions with ModRM: opcode, reg field, bytes of immediate (4: or 2 with 66), flags defined.
 */
static const struct template
{
	const char *opcode;
	u8 opcode_n, reg, imm;
	u64 defined;
	u8 kind;
}
templates[] = {
#define ALU(n, defined, lock)                                       \
	{(const char[]){n}, 1, REG, 0, defined, lock | BYTES},      \
		{(const char[]){n + 1}, 1, REG, 0, defined, lock},  \
		{(const char[]){n + 2}, 1, REG, 0, defined, BYTES}, \
		{(const char[]){n + 3}, 1, REG, 0, defined, 0},     \
		{"\x80", 1, n / 8, 1, defined, lock | BYTES},       \
		{"\x81", 1, n / 8, 4, defined, lock},               \
	{                                                           \
		"\x83", 1, n / 8, 1, defined, lock                  \
	}
	ALU(0x00, ALL, LOCKABLE),
	ALU(0x08, NO_AF, LOCKABLE),
	ALU(0x10, ALL, LOCKABLE),
	ALU(0x18, ALL, LOCKABLE),
	ALU(0x20, NO_AF, LOCKABLE),
	ALU(0x28, ALL, LOCKABLE),
	ALU(0x30, NO_AF, LOCKABLE),
	ALU(0x38, ALL, 0),
#undef ALU
	{"\x84", 1, REG, 0, NO_AF, BYTES},
	{"\x85", 1, REG, 0, NO_AF, 0},
	{"\xf6", 1, 0, 1, NO_AF, BYTES},
	{"\xf7", 1, 0, 4, NO_AF, 0},
	{"\x86", 1, REG, 0, ALL, LOCKABLE | BYTES},
	{"\x87", 1, REG, 0, ALL, LOCKABLE},
	{"\x88", 1, REG, 0, ALL, BYTES},
	{"\x89", 1, REG, 0, ALL, 0},
	{"\x8a", 1, REG, 0, ALL, BYTES},
	{"\x8b", 1, REG, 0, ALL, 0},
	{"\xc6", 1, 0, 1, ALL, BYTES},
	{"\xc7", 1, 0, 4, ALL, 0},
	{"\xf6", 1, 2, 0, ALL, LOCKABLE | BYTES},
	{"\xf7", 1, 2, 0, ALL, LOCKABLE},
	{"\xf6", 1, 3, 0, ALL, LOCKABLE | BYTES},
	{"\xf7", 1, 3, 0, ALL, LOCKABLE},
	{"\xfe", 1, 0, 0, ALL, LOCKABLE | BYTES},
	{"\xfe", 1, 1, 0, ALL, LOCKABLE | BYTES},
	{"\xff", 1, 0, 0, ALL, LOCKABLE},
	{"\xff", 1, 1, 0, ALL, LOCKABLE},
	{"\x0f\xa3", 2, REG, 0, CF, BIT_REG},
	{"\x0f\xab", 2, REG, 0, CF, LOCKABLE | BIT_REG},
	{"\x0f\xb3", 2, REG, 0, CF, LOCKABLE | BIT_REG},
	{"\x0f\xbb", 2, REG, 0, CF, LOCKABLE | BIT_REG},
	{"\x0f\xba", 2, 4, 1, CF, 0},
	{"\x0f\xba", 2, 5, 1, CF, LOCKABLE},
	{"\x0f\xba", 2, 6, 1, CF, LOCKABLE},
	{"\x0f\xba", 2, 7, 1, CF, LOCKABLE},
	{"\x0f\xb0", 2, REG, 0, ALL, LOCKABLE | BYTES},
	{"\x0f\xb1", 2, REG, 0, ALL, LOCKABLE},
	{"\x0f\xc0", 2, REG, 0, ALL, LOCKABLE | BYTES},
	{"\x0f\xc1", 2, REG, 0, ALL, LOCKABLE},
	{"\x0f\xb6", 2, REG, 0, ALL, 0},
	{"\x0f\xb7", 2, REG, 0, ALL, 0},
	{"\x0f\xbe", 2, REG, 0, ALL, 0},
	{"\x0f\xbf", 2, REG, 0, ALL, 0},
	{"\x63", 1, REG, 0, ALL, 0},
	{"\x0f\x38\xf0", 3, REG, 0, ALL, 0}, /* MOVBE, the last two */
	{"\x0f\x38\xf1", 3, REG, 0, ALL, 0},
};

static bool host_has_movbe(void)
{
	unsigned a, b, c, d;

	return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_MOVBE);
}

/* Random registers, flags and memory. */
static void make_state(struct state *s)
{
	for (int i = 0; i < GPR_COUNT; i++)
		s->gpr[i] = rnd_value();
	s->rflags = RFLAGS_ONE | RFLAGS_IF | (rnd() & (ALL | RFLAGS_DF));
	for (int i = 0; i < ARENA; i += 8)
		memcpy(copy + i, &(u64){rnd_value()}, 8);
}

static void put(u8 **at, u64 value, unsigned n)
{
	memcpy(*at, &value, n);
	*at += n;
}

/*
 * The instruction into @code, and a pointer into its base register. The middle of the arena, so
 * that bit numbers may go both ways.
 */
static size_t make_instruction(const struct template *t, u8 *code, struct state *s)
{
	u8 *at = code;
	bool word = rnd() % 4 == 0, wide = rnd() % 3 == 0, addr32 = rnd() % 8 == 0;
	u8 rex = wide ? 0x48 : rnd() % 2 ? 0x40 : 0;
	unsigned reg = t->reg, base;

	/* R12 and RSP would need a SIB byte */
	do {
		base = rnd() % (rex ? 16 : 8);
	} while ((base & 7) == 4 || base == reg);
	if (reg == REG) {
		do {
			reg = rnd() % (rex ? 16 : 8);
		} while (reg == base || (reg == GPR_RSP && (rex || !(t->kind & BYTES))) ||
			 (reg + 4 == base && (t->kind & BYTES)));
		rex |= reg >= 8 ? 4 : 0;
	}
	rex |= base >= 8 ? 1 : 0;
	s->gpr[base] = (uintptr_t)arena + ARENA / 2 + rnd() % 8;
	if (t->kind & BIT_REG) {
		/* the high bits are noise unless they belong to the number */
		s64 bit = (s64)(rnd() % (ARENA * 4)) - ARENA * 2;

		s->gpr[reg] = wide   ? (u64)bit
			      : word ? (rnd() << 16) | (u16)bit
				     : (rnd() << 32) | (u32)bit;
	}
	if (rnd() % 4 == 0) /* something for CMPXCHG to find */
		memcpy(copy + (s->gpr[base] - (uintptr_t)arena), &s->gpr[GPR_RAX], 8);

	if (word)
		put(&at, 0x66, 1);
	if (addr32)
		put(&at, 0x67, 1);
	if ((t->kind & LOCKABLE) && rnd() % 4 == 0)
		put(&at, 0xf0, 1);
	if (rex)
		put(&at, rex, 1);
	memcpy(at, t->opcode, t->opcode_n);
	at += t->opcode_n;
	put(&at, 0x40 | (reg & 7) << 3 | (base & 7), 1); /* with 8 bits of displacement */
	put(&at, rnd() % 256, 1);
	put(&at, rnd_value(), t->imm == 4 && word && !wide ? 2 : t->imm);
	return at - code;
}

/* Emulate @code on @s and copy, run it on arena, and compare. */
static void run_both(const u8 *code, size_t n, struct state s, u64 defined)
{
	struct emulate_regs regs = {.gpr = s.gpr, .rflags = s.rflags};
	struct insn insn;
	int again;

	memcpy(arena, copy, ARENA);
	memcpy(host.code, code, n);
	host.code[n] = 0xc3;
	host.state = s;
	assert_quietly(!insn_decode(code, n, CODE_64, &insn) && insn.len == n, "length");
	reads = writes = 0;
	do {
		fail_after = -1;
		again = emulate(&insn, &regs, &mem);
	} while (again == EMULATE_AGAIN);
	assert_quietly(!again, "error %d", again);
	host_run();

	for (int i = 0; i < GPR_COUNT; i++)
		assert_quietly(i == GPR_RSP || s.gpr[i] == host.state.gpr[i],
			       "%02x %02x %02x %02x %02x: register %d is %lx and should be %lx",
			       code[0], code[1], code[2], code[3], code[4], i, s.gpr[i],
			       host.state.gpr[i]);
	assert_quietly(!((regs.rflags ^ host.state.rflags) & (defined | RFLAGS_DF)),
		       "%02x %02x %02x %02x %02x: flags are %lx and should be %lx", code[0],
		       code[1], code[2], code[3], code[4], regs.rflags, host.state.rflags);
	assert_quietly(!((regs.rflags ^ host.state.rflags) & ~(u64)ALL),
		       "other flags have changed");
	assert_quietly(!memcmp(arena, copy, ARENA), "%02x %02x %02x %02x %02x: memory differs",
		       code[0], code[1], code[2], code[3], code[4]);
}

START_TEST(as_the_processor_does_it)
{
	const struct template *t = &templates[_i];
	u8 code[INSN_MAX + 1];
	struct state s;

	if (t->opcode_n == 3 && !host_has_movbe())
		return;
	random_state = 0x1234567 + _i;
	for (int i = 0; i < 2000; i++) {
		make_state(&s);
		run_both(code, make_instruction(t, code, &s), s, t->defined);
		assert_quietly(reads <= 1 && writes <= 1, "%d reads, %d writes", reads, writes);
	}
}
END_TEST

START_TEST(moves_to_and_from_absolute_addresses)
{
	u8 code[INSN_MAX + 1];
	struct state s;

	random_state = 99;
	for (int i = 0; i < 1000; i++) {
		u8 *at = code;
		u64 prefix = rnd() % 3;

		make_state(&s);
		if (prefix)
			put(&at, prefix == 1 ? 0x66 : 0x48, 1);
		put(&at, 0xa0 + rnd() % 4, 1);
		put(&at, (uintptr_t)arena + rnd() % (ARENA - 8), 8);
		run_both(code, at - code, s, ALL);
	}
}
END_TEST

/* ---- strings ----------------------------------------------------------------------------------
 */

static const u8 string_opcodes[] = {0xa4, 0xa5, 0xa6, 0xa7, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf};

START_TEST(strings_as_the_processor_does_them)
{
	static const u8 prefixes[] = {0, 0xf3, 0xf2};
	u8 code[INSN_MAX + 1];
	struct state s;

	random_state = 4711 + _i;
	for (int i = 0; i < 2000; i++) {
		u8 *at = code, prefix = prefixes[rnd() % 3];

		make_state(&s);
		for (int j = 0; j < ARENA; j++) /* so that comparisons go on for a while */
			copy[j] = rnd() % 16 ? 0x33 : 0x44;
		s.gpr[GPR_RAX] = rnd() % 2 ? 0x3333333333333333 : 0x4433333333333333;
		s.gpr[GPR_RSI] = (uintptr_t)arena + ARENA / 2 + rnd() % 32;
		s.gpr[GPR_RDI] = (uintptr_t)arena + ARENA / 2 + rnd() % 32;
		s.gpr[GPR_RCX] = rnd() % 16;
		if (prefix)
			put(&at, prefix, 1);
		if (rnd() % 3 == 0)
			put(&at, 0x66, 1);
		if (rnd() % 3 == 0)
			put(&at, 0x67, 1);
		if (rnd() % 3 == 0)
			put(&at, 0x48, 1);
		put(&at, string_opcodes[_i], 1);
		run_both(code, at - code, s, ALL);
	}
}
END_TEST

static int emulate_hex(const u8 *code, size_t n, enum code_size size, struct emulate_regs *regs)
{
	struct insn insn;

	ck_assert_int_eq(insn_decode(code, n, size, &insn), 0);
	return emulate(&insn, regs, &mem);
}

START_TEST(a_long_rep_comes_back)
{
	struct state s = {.gpr = {[GPR_RAX] = 0x5a, [GPR_RCX] = EMULATE_REP_MAX + 3}};
	struct emulate_regs regs = {.gpr = s.gpr};
	static const u8 rep_stosb[] = {0xf3, 0xaa};

	fail_after = -1;
	s.gpr[GPR_RDI] = (uintptr_t)arena;
	ck_assert_int_eq(emulate_hex(rep_stosb, 2, CODE_64, &regs), EMULATE_AGAIN);
	ck_assert_uint_eq(s.gpr[GPR_RCX], 3);
	ck_assert_int_eq(emulate_hex(rep_stosb, 2, CODE_64, &regs), 0);
	ck_assert_uint_eq(s.gpr[GPR_RCX], 0);
	ck_assert_uint_eq(s.gpr[GPR_RDI], (uintptr_t)arena + EMULATE_REP_MAX + 3);
	/* the last iteration of a turn may be the last of all */
	s.gpr[GPR_RCX] = EMULATE_REP_MAX;
	ck_assert_int_eq(emulate_hex(rep_stosb, 2, CODE_64, &regs), 0);
}
END_TEST

START_TEST(a_rep_that_fails_keeps_what_it_has_done)
{
	struct state s = {.gpr = {[GPR_RCX] = 5}};
	struct emulate_regs regs = {.gpr = s.gpr};
	static const u8 rep_movsb[] = {0xf3, 0xa4};

	s.gpr[GPR_RSI] = s.gpr[GPR_RDI] = (uintptr_t)arena;
	fail_after = 5; /* the third write */
	ck_assert_int_eq(emulate_hex(rep_movsb, 2, CODE_64, &regs), -EAGAIN);
	ck_assert_uint_eq(s.gpr[GPR_RCX], 3);
	ck_assert_uint_eq(s.gpr[GPR_RSI], (uintptr_t)arena + 2);
	ck_assert_uint_eq(s.gpr[GPR_RDI], (uintptr_t)arena + 2);
}
END_TEST

/* 16-bit code cannot be run here; what is different are the registers' widths. */
START_TEST(strings_in_16_bit_code)
{
	struct state s = {.gpr = {[GPR_RCX] = 0xabcd0002}};
	struct emulate_regs regs = {.gpr = s.gpr};
	static const u8 cs_lodsw[] = {0x2e, 0xad}, rep_stosb[] = {0xf3, 0xaa};

	arena = (u8 *)0xf000; /* only reach() knows it */
	fail_after = -1;
	memcpy(copy + 0xffe, "\x34\x12", 2);
	s.gpr[GPR_RSI] = 0x7777fffe;
	ck_assert_int_eq(emulate_hex(cs_lodsw, 2, CODE_16, &regs), 0);
	ck_assert_uint_eq(s.gpr[GPR_RAX], 0x1234);
	ck_assert_uint_eq(s.gpr[GPR_RSI], 0x77770000);
	ck_assert_int_eq(last_seg, SEG_CS);
	s.gpr[GPR_RDI] = 0x7777f000;
	ck_assert_int_eq(emulate_hex(rep_stosb, 2, CODE_16, &regs), 0);
	ck_assert_uint_eq(s.gpr[GPR_RCX], 0xabcd0000);
	ck_assert_uint_eq(s.gpr[GPR_RDI], 0x7777f002);
	ck_assert_int_eq(last_seg, SEG_ES);
}
END_TEST

/* ---- segments and failures ---------------------------------------------------------------------
 */

START_TEST(segments_and_offsets_are_handed_on)
{
	static const struct {
		u8 code[8];
		size_t n;
		enum seg seg;
		u64 offset;
	} cases[] = {
		{{0x8b, 0x06}, 2, SEG_DS, 0x100},	      /* mov eax, [rsi] */
		{{0x8b, 0x45, 0x10}, 3, SEG_SS, 0x210},	      /* mov eax, [rbp + 16] */
		{{0x65, 0x8b, 0x45, 0x10}, 4, SEG_GS, 0x210}, /* mov eax, [gs:rbp + 16] */
		{{0x8b, 0x05, 0, 2, 0, 0}, 6, SEG_DS, 0x606}, /* mov eax, [rip + 512] */
		{{0x64, 0xac}, 2, SEG_FS, 0x100},	      /* fs lodsb */
		{{0x64, 0xaa}, 2, SEG_ES, 0x300},	      /* fs stosb: always ES */
		{{0x67, 0x0f, 0xa3, 0x0e}, 4, SEG_DS, 0x0fc}, /* bt [esi], ecx = -1 */
	};
	struct state s;
	struct emulate_regs regs = {.gpr = s.gpr, .rip = 0x400};

	arena = NULL;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		s = (struct state){.gpr = {[GPR_RSI] = 0x100,
					   [GPR_RBP] = 0x200,
					   [GPR_RDI] = 0x300,
					   [GPR_RCX] = ~0ull}};
		fail_after = -1;
		ck_assert_int_eq(emulate_hex(cases[i].code, cases[i].n, CODE_64, &regs), 0);
		ck_assert_msg(last_seg == cases[i].seg && last_offset == cases[i].offset,
			      "case %zu: %d:%lx", i, last_seg, last_offset);
	}
}
END_TEST

START_TEST(what_fails_has_not_happened)
{
	const struct template *t = &templates[_i];
	u8 code[INSN_MAX + 1], before[ARENA];
	struct state s, old;
	struct insn insn;

	random_state = 31337 + _i;
	for (int i = 0; i < 200; i++) {
		struct emulate_regs regs = {.gpr = s.gpr};

		make_state(&s);
		insn_decode(code, make_instruction(t, code, &s), CODE_64, &insn);
		regs.rflags = s.rflags;
		old = s;
		memcpy(before, copy, ARENA);
		for (int failing = 0; failing < 2; failing++) {
			reads = writes = 0;
			fail_after = failing;
			announced = false;
			if (!emulate(&insn, &regs, &mem))
				break;
			assert_quietly(reads + writes == failing + 1, "went on after an error");
			assert_quietly(!memcmp(s.gpr, old.gpr, sizeof(s.gpr)) &&
					       regs.rflags == old.rflags,
				       "registers have changed");
			assert_quietly(!memcmp(before, copy, ARENA), "memory has changed");
			assert_quietly(!writes || !reads || announced,
				       "a read did not announce its write");
		}
	}
}
END_TEST

START_TEST(what_is_not_ours_is_refused)
{
	static const struct {
		u8 code[8];
		size_t n;
	} cases[] = {
		{{0x01, 0xc8}, 2},	       /* add eax, ecx */
		{{0x04, 0x01}, 2},	       /* add al, 1 */
		{{0xb0, 0x01}, 2},	       /* mov al, 1 */
		{{0x93}, 1},		       /* xchg eax, ebx */
		{{0x0f, 0xa2}, 2},	       /* cpuid */
		{{0x0f, 0x01, 0x38}, 3},       /* invlpg [rax] */
		{{0xf7, 0x20}, 2},	       /* mul [rax] */
		{{0x0f, 0x28, 0x00}, 3},       /* movaps xmm0, [rax] */
		{{0xff, 0x30}, 2},	       /* push [rax] */
		{{0xc5, 0xf8, 0x28, 0x00}, 4}, /* vmovaps xmm0, [rax] */
	};
	struct state s = {0};
	struct emulate_regs regs = {.gpr = s.gpr};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		reads = writes = 0;
		ck_assert_int_eq(emulate_hex(cases[i].code, cases[i].n, CODE_64, &regs), -ENOSYS);
		ck_assert(!reads && !writes);
	}
}
END_TEST

static Suite *emulate_suite(void)
{
	Suite *s = suite_create("emulate");
	TCase *tc = tcase_create("emulate");

	tcase_add_checked_fixture(tc, set_up, NULL);
	tcase_add_loop_test(tc, as_the_processor_does_it, 0, ARRAY_SIZE(templates));
	tcase_add_test(tc, moves_to_and_from_absolute_addresses);
	tcase_add_loop_test(tc, strings_as_the_processor_does_them, 0, ARRAY_SIZE(string_opcodes));
	tcase_add_test(tc, a_long_rep_comes_back);
	tcase_add_test(tc, a_rep_that_fails_keeps_what_it_has_done);
	tcase_add_test(tc, strings_in_16_bit_code);
	tcase_add_test(tc, segments_and_offsets_are_handed_on);
	tcase_add_loop_test(tc, what_fails_has_not_happened, 0, ARRAY_SIZE(templates));
	tcase_add_test(tc, what_is_not_ours_is_refused);
	suite_add_tcase(s, tc);
	return s;
}
SET_ADD(suites, suite_fn, emulate_suite);

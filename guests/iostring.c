/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * iostring: INS and OUTS, alone and with REP (APM vol. 3).
 *
 * They are the one kind of I/O where a VMM must reach into the guest's memory, by the guest's own
 * addresses. What it gets wrong: the direction flag; a count of zero; the registers afterwards
 * (RCX, and RSI or RDI moved by the size of what was transferred); address size 16 and 32, where
 * only CX or ECX counts and only SI or ESI points; segments: OUTS reads by DS unless a prefix says
 * otherwise, INS writes by ES whatever a prefix says; elements and strings that cross a page.
 *
 * What OUTS sent to port 0xe9 is text that one sees. What INS read came from there (it reads as e9)
 * or from a port with nothing behind it (all ones).
 */
#include "lib/probe.h"

CODE(code_outsb, "outsb");
CODE(code_insb, "insb");
CODE(rep_outsb, "rep outsb");
CODE(rep_outsw, "rep outsw");
CODE(rep_outsl, "rep outsl");
CODE(rep_insb, "rep insb");
CODE(rep_insw, "rep insw");
CODE(rep_insl, "rep insl");
CODE(fs_outsb, ".byte 0x64, 0xf3, 0x6e");
CODE(fs_insb, ".byte 0x64, 0xf3, 0x6c"); /* the prefix means nothing: INS writes by ES */
CODE(rep_outsb_prefixes, ".byte 0x66, 0x2e, 0xf3, 0x3e, 0x6e");
CODE(rep_outsb_short, ".byte 0x67, 0xf3, 0x6e"); /* the smaller address size of the mode */
CODE(rep_insb_short, ".byte 0xf3, 0x67, 0x6c");
#ifdef __x86_64__
CODE(rep_outsl_rex_w, ".byte 0xf3, 0x48, 0x6f"); /* still 32 bits an element */
#else
CODE(es_insb, "mov %eax, %es\n rep insb");
#endif

#define PORT_TEXT 0xe9
#define PORT_NONE 0x3a00

/* Two pages and more; the tests work around the boundary between the first two. */
static u8 buffer[3 * PAGE_SIZE] __aligned(4096);
#define MIDDLE (buffer + PAGE_SIZE)

/* Run it; *s has the registers of interest. What must not change is checked here. */
static void run(const char *what, const u8 *code, const u8 *end, struct state *s)
{
	struct state before = *s;

	probe(code, s);
	if (s->vector != VEC_BP || s->rip - 1 != (reg_t)end ||
	    registers_changed(&before, s) & ~(BIT(RCX) | BIT(RSI) | BIT(RDI)) ||
	    (s->flags ^ before.flags) & (FLAGS_STATUS | FLAGS_DF))
		fail(what);
}
#define RUN(what, name, s) run(what, name, name##_end, s)

static struct state io_state(u16 port, const void *at, reg_t count)
{
	struct state s = state_new();

	s.gpr[RDX] = (s.gpr[RDX] & ~(reg_t)0xffff) | port;
	s.gpr[RSI] = s.gpr[RDI] = (reg_t)at;
	s.gpr[RCX] = count;
	return s;
}

/* How far RSI went, and what is left of RCX, as one number; likewise for RDI. */
static u64 moved(reg_t from, reg_t to, reg_t count)
{
	return (u64)(u32)(to - from) << 32 | (u32)count;
}

static void check_outs(const char *what, const u8 *code, const u8 *end, struct state s, reg_t count,
		       int by)
{
	reg_t at = s.gpr[RSI], other = s.gpr[RDI];

	run(what, code, end, &s);
	check_equal(what, moved(at, s.gpr[RSI], s.gpr[RCX]), moved(0, by, count));
	if (s.gpr[RDI] != other)
		fail(what);
}
#define OUTS(what, name, s, count, by) check_outs(what, name, name##_end, s, count, by)

static void check_ins(const char *what, const u8 *code, const u8 *end, struct state s, reg_t count,
		      int by)
{
	reg_t at = s.gpr[RDI], other = s.gpr[RSI];

	memset(buffer, 0x11, sizeof(buffer));
	run(what, code, end, &s);
	check_equal(what, moved(at, s.gpr[RDI], s.gpr[RCX]), moved(0, by, count));
	if (s.gpr[RSI] != other)
		fail(what);
}
#define INS(what, name, s, count, by) check_ins(what, name, name##_end, s, count, by)

/* The buffer holds @value in exactly @n bytes from @at, and nothing else was written. */
static void check_memory(const char *what, const u8 *at, size_t n, u8 value)
{
	size_t inside = 0, outside = 0;

	for (const u8 *p = buffer; p < buffer + sizeof(buffer); p++)
		if (p >= at && p < at + n)
			inside += *p == value;
		else
			outside += *p != 0x11;
	check_equal(what, inside << 16 | outside, n << 16);
}

static void check_text(void)
{
	static const char text[] = "\ndesserts\n";
	const reg_t n = sizeof(text) - 1;
	struct state s;

	memcpy(MIDDLE - 5, text, n); /* across a page boundary */
	OUTS("outs-forward", rep_outsb, io_state(PORT_TEXT, MIDDLE - 5, n), 0, n);

	s = io_state(PORT_TEXT, MIDDLE - 5 + n - 2, n - 1);
	s.flags |= FLAGS_DF;
	OUTS("outs-backward", rep_outsb, s, 0, -(int)(n - 1)); /* "stressed" */

	OUTS("outs-none", rep_outsb, io_state(PORT_TEXT, (void *)8, 0), 0, 0);
	OUTS("outs-one", code_outsb, io_state(PORT_TEXT, MIDDLE - 5, 7), 7, 1);
	OUTS("outs-prefixes", rep_outsb_prefixes, io_state(PORT_TEXT, MIDDLE - 5, n), 0, n);
}

static void check_sizes(void)
{
	struct state s;

	OUTS("outsw", rep_outsw, io_state(PORT_NONE, MIDDLE - 7, 10), 0, 20);
	OUTS("outsl", rep_outsl, io_state(PORT_NONE, MIDDLE - 7, 10), 0, 40);
	OUTS("outs-many", rep_outsb, io_state(PORT_NONE, buffer + 1, 8200), 0, 8200);
#ifdef __x86_64__
	OUTS("outsl-rex", rep_outsl_rex_w, io_state(PORT_NONE, MIDDLE - 7, 10), 0, 40);
#endif
	INS("insb", code_insb, io_state(PORT_TEXT, MIDDLE - 1, 7), 7, 1);
	check_memory("insb-memory", MIDDLE - 1, 1, 0xe9);
	INS("rep-insb", rep_insb, io_state(PORT_TEXT, MIDDLE - 100, 300), 0, 300);
	check_memory("rep-insb-memory", MIDDLE - 100, 300, 0xe9);
	INS("ins-many", rep_insb, io_state(PORT_TEXT, buffer + 3, 8200), 0, 8200);
	check_memory("ins-many-memory", buffer + 3, 8200, 0xe9);
	INS("ins-none", rep_insb, io_state(PORT_TEXT, (void *)8, 0), 0, 0);
	check_memory("ins-none-memory", buffer, 0, 0);

	INS("insw", rep_insw, io_state(PORT_NONE, MIDDLE - 5, 6), 0, 12);
	check_memory("insw-memory", MIDDLE - 5, 12, 0xff);
	INS("insl", rep_insl, io_state(PORT_NONE, MIDDLE - 6, 5), 0, 20);
	check_memory("insl-memory", MIDDLE - 6, 20, 0xff);

	s = io_state(PORT_NONE, MIDDLE + 2, 5); /* backward: the last element is 16 bytes below */
	s.flags |= FLAGS_DF;
	INS("insl-backward", rep_insl, s, 0, -20);
	check_memory("insl-backward-memory", MIDDLE - 14, 20, 0xff);
}

#ifdef __x86_64__

/* 67 makes the addresses 32-bit: ESI, EDI and ECX, and the results are zero-extended. */
static void check_address_size(void)
{
	const reg_t high = 0x7654321000000000;
	struct state s = io_state(PORT_NONE, MIDDLE - 7, high | 20);

	s.gpr[RSI] |= high;
	RUN("outs-32", rep_outsb_short, &s);
	check("outs-32-registers", s.gpr[RSI] == (reg_t)MIDDLE + 13 && s.gpr[RCX] == 0);

	memset(buffer, 0x11, sizeof(buffer));
	s = io_state(PORT_TEXT, MIDDLE - 7, high | 20);
	s.gpr[RDI] |= high;
	RUN("ins-32", rep_insb_short, &s);
	check("ins-32-registers", s.gpr[RDI] == (reg_t)MIDDLE + 13 && s.gpr[RCX] == 0);
	check_memory("ins-32-memory", MIDDLE - 7, 20, 0xe9);
}

static void check_segments(void)
{
	static const char text[] = "by FS\n";
	u64 old = rdmsr(MSR_FS_BASE);
	struct state s;

	/* FS starts 0x1000 below the text, so the offset is that much higher. */
	wrmsr(MSR_FS_BASE, (reg_t)text - 0x123456000);
	OUTS("outs-fs", fs_outsb, io_state(PORT_TEXT, (void *)0x123456000, 6), 0, 6);
	wrmsr(MSR_FS_BASE, 0x5000000000);
	s = io_state(PORT_TEXT, MIDDLE - 3, 6);
	INS("ins-fs", fs_insb, s, 0, 6);
	check_memory("ins-fs-memory", MIDDLE - 3, 6, 0xe9);
	wrmsr(MSR_FS_BASE, old);
}

#else

/* 67 makes the addresses 16-bit: SI, DI and CX, and the upper halves stay. */
static void check_address_size(void)
{
	static u8 *const low = (u8 *)0x7000; /* free on a PC */
	struct state s = io_state(PORT_TEXT, (void *)0xabcd7000, 0x5a5a0007);

	memcpy(low, "by SI\n*", 7);
	s.gpr[RCX] = 0x5a5a0006;
	RUN("outs-16", rep_outsb_short, &s);
	check_equal("outs-16-registers", (u64)s.gpr[RSI] << 32 | s.gpr[RCX], 0xabcd70065a5a0000);

	s = io_state(PORT_TEXT, (void *)0xabcd7000, 0x5a5a0006);
	RUN("ins-16", rep_insb_short, &s);
	check_equal("ins-16-registers", (u64)s.gpr[RDI] << 32 | s.gpr[RCX], 0xabcd70065a5a0000);
	check("ins-16-memory", !memcmp(low, "\xe9\xe9\xe9\xe9\xe9\xe9*", 7));
}

/* A segment that starts 0x1234 before MIDDLE. */
static void check_segments(void)
{
	static const char text[] = "by FS\n";
	struct state s;

	gdt[SEL_FREE / 8] = segment_descriptor((reg_t)text - 0x1234, 0xfffff, 0xf3, 0xc);
	__asm__ volatile("mov %0, %%fs" : : "r"(SEL_FREE | 3));
	OUTS("outs-fs", fs_outsb, io_state(PORT_TEXT, (void *)0x1234, 6), 0, 6);
	s = io_state(PORT_TEXT, MIDDLE - 3, 6);
	INS("ins-fs", fs_insb, s, 0, 6);
	check_memory("ins-fs-memory", MIDDLE - 3, 6, 0xe9);
	__asm__ volatile("mov %0, %%fs" : : "r"(SEL_USER_DATA));

	gdt[SEL_FREE / 8] = segment_descriptor((reg_t)MIDDLE - 0x1234, 0xfffff, 0xf3, 0xc);
	s = io_state(PORT_TEXT, (void *)0x1230, 6);
	s.gpr[RAX] = SEL_FREE | 3;
	INS("ins-es", es_insb, s, 0, 6);
	check_memory("ins-es-memory", MIDDLE - 4, 6, 0xe9);
}

#endif

/* From ring 3, with IOPL 3: the string is read with the guest program's rights. */
static void check_user(void)
{
	struct state s = state_new_user();

	memcpy(MIDDLE - 5, "by ring 3\n", 10);
	s.flags |= 3 * FLAGS_IOPL;
	s.gpr[RDX] = PORT_TEXT;
	s.gpr[RSI] = (reg_t)MIDDLE - 5;
	s.gpr[RCX] = 10;
	OUTS("outs-ring3", rep_outsb, s, 0, 10);
}

void guest(void)
{
	check_text();
	check_sizes();
	check_address_size();
	check_segments();
	check_user();
}

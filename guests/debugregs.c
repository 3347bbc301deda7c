/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * debugregs: DR0 to DR3, DR6 and DR7, and the breakpoints that they make (APM vol. 2 §13.1).
 *
 * What a VMM gets wrong here: VMRUN switches DR6 and DR7 and nothing else, so the guest's DR0 to
 * DR3 are the VMM's to keep; a breakpoint must not stop an exit's worth of instructions late; a bit
 * that always reads as one or zero must do so in the guest too.
 *
 * Not asked, because QEMU's own processor does it differently: DR7.GD, DR6.RTM, and #GP for the
 * upper halves of DR6 and DR7.
 */
#include "lib/probe.h"

static u32 watched[4] __aligned(16);

CODE(hit_execute, "nop\n nop\n nop");
CODE(hit_write, "nop\n movl $5, (%" REG "si)\n nop");
CODE(hit_read, "nop\n mov (%" REG "si), %ecx\n nop");
CODE(across_exits, "cpuid\n out %al, $0xe4\n movb $1, 3(%" REG "si)\n cpuid");
CODE(resumed, "nop\n inc %eax\n ret");
CODE(write_dr4, ".byte 0x0f, 0x23, 0xe0"); /* EAX */
CODE(read_dr5, ".byte 0x0f, 0x21, 0xe8");
#ifdef __x86_64__
CODE(write_dr0_r8, "mov %r8, %dr0");
CODE(read_dr0_r15, "mov %dr0, %r15");
#endif

#define DR6_EVENTS		 0xe00f /* B0-B3, BD, BS, BT */
#define DR7_FIXED		 BIT(10)
#define DR7_L(n)		 BIT(2 * (n)) /* enable breakpoint n */
#define DR7_EXECUTE		 0
#define DR7_WRITE		 1
#define DR7_ACCESS		 3
#define DR7_TYPE(n, type, bytes) ((u64)((type) | ((bytes)-1) << 2) << (16 + 4 * (n)))

static void check_registers(void)
{
	const reg_t a = (reg_t)0x00007fff12345678, b = 0x0badcafe;

	write_dr0(a);
	write_dr1(b);
	write_dr2(~a);
	write_dr3(1);
	for (unsigned i = 0; i < 100; i++)
		cpuid(0, 0);
	check_equal("dr0", read_dr0(), a);
	check_equal("dr1", read_dr1(), b);
	check_equal("dr2", read_dr2(), ~a);
	check_equal("dr3", read_dr3(), 1);

	write_dr6(0);
	check_equal("dr6-cleared", read_dr6() & 0xffff, 0x0ff0);
	write_dr6(0xe00f);
	check_equal("dr6-set", read_dr6() & DR6_EVENTS, DR6_EVENTS);
	write_dr6(0);

	check_equal("dr7-default", read_dr7(), DR7_FIXED);
	write_dr7(0x0f0f0300);
	cpuid(0, 0);
	check_equal("dr7-written", read_dr7(), 0x0f0f0300 | DR7_FIXED);
	write_dr7(0);
	check_equal("dr7-cleared", read_dr7(), DR7_FIXED);
}

/* DR4 and DR5 are other names of DR6 and DR7, until CR4.DE makes them #UD. */
static void check_aliases(void)
{
	struct state s = state_new();

	probe(read_dr5, &s);
	check("dr5-is-dr7", ran_to_end(read_dr5, &s) && s.gpr[RAX] == read_dr7());
	s = state_new();
	s.gpr[RAX] = 0xffff0ff1;
	probe(write_dr4, &s);
	check("dr4-is-dr6", ran_to_end(write_dr4, &s) && (read_dr6() & DR6_EVENTS) == 1);
	write_dr6(0);

	write_cr4(read_cr4() | CR4_DE);
	s = state_new();
	probe(read_dr5, &s);
	check_fault("dr5-undefined", read_dr5, &s, VEC_UD, 0, 0);
	s = state_new();
	probe(write_dr4, &s);
	check_fault("dr4-undefined", write_dr4, &s, VEC_UD, 0, 0);
	write_cr4(read_cr4() & ~CR4_DE);
}

/* Run with breakpoint @n at @address; the #DB: where, and what DR6 says. */
static void hits(const char *what, const u8 *code, unsigned n, reg_t address, unsigned type,
		 unsigned bytes, u16 offset)
{
	struct state s = state_new();
	u64 dr6;

	s.gpr[RSI] = (reg_t)watched;
	s.gpr[RAX] = s.gpr[RCX] = 0;
	write_dr6(0);
	if (n == 0)
		write_dr0(address);
	else
		write_dr3(address);
	write_dr7(DR7_L(n) | DR7_TYPE(n, type, bytes));
	probe(code, &s);
	dr6 = read_dr6() & DR6_EVENTS;
	write_dr7(0);
	check_equal(what, fault_number(s.vector, s.error, s.rip - (reg_t)code) | dr6 << 40,
		    fault_number(VEC_DB, 0, offset) | BIT(n) << 40);
}

static void check_breakpoints(void)
{
	const reg_t at = (reg_t)watched;
	struct state s;

	/* An instruction: before it. Data: after the access. */
	hits("execute", hit_execute, 0, (reg_t)hit_execute + 2, DR7_EXECUTE, 1, 2);
	hits("write", hit_write, 0, at, DR7_WRITE, 4, 7);
	hits("write-byte-of-long", hit_write, 3, at + 3, DR7_WRITE, 1, 7);
	hits("read", hit_read, 0, at, DR7_ACCESS, 4, 3);
	hits("after-exits", across_exits, 3, at, DR7_WRITE, 4, 8);

	/* A read does not hit a write breakpoint, nor does the neighbour. */
	write_dr0(at);
	write_dr3(at + 4);
	write_dr7(DR7_L(0) | DR7_TYPE(0, DR7_WRITE, 4) | DR7_L(3) | DR7_TYPE(3, DR7_ACCESS, 4));
	s = state_new();
	s.gpr[RSI] = at;
	probe(hit_read, &s);
	check("no-hit", ran_to_end(hit_read, &s));
	write_dr7(0);
}

static unsigned stops;

static void resume(struct trap *t)
{
	stops++;
	t->flags |= FLAGS_RF; /* or the same breakpoint would hit again, for ever */
}

static void check_resume(void)
{
	u32 result = 1;

	write_dr0((reg_t)resumed + 1);
	write_dr7(DR7_L(0));
	trap_catch(resume);
	__asm__ volatile("call *%1" : "+a"(result) : "r"(resumed) : "memory");
	trap_catch(NULL);
	write_dr7(0);
	check_equal("resume-stops", stops, 1);
	check_equal("resume-result", result, 2);
}

void guest(void)
{
	check_registers();
	check_aliases();
	check_breakpoints();
	check_resume();
#ifdef __x86_64__
	struct state s = state_new();

	s.gpr[R8] = 0xffff800012345678;
	probe(write_dr0_r8, &s);
	check("write-from-r8", ran_to_end(write_dr0_r8, &s) && read_dr0() == 0xffff800012345678);
	s = state_new();
	probe(read_dr0_r15, &s);
	check("read-into-r15", ran_to_end(read_dr0_r15, &s) && s.gpr[R15] == read_dr0());
#endif
}

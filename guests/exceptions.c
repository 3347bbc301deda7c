/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * exceptions: every exception that a program can raise by itself, with its vector, its error code
 * and the instruction that the saved RIP points to (APM vol. 2 §8.2). Faults point at the
 * instruction, traps behind it. Page faults are in pagefault, #DB in singlestep and debugregs, #DF
 * in doublefault, the floating-point ones in fpu.
 *
 * What a VMM gets wrong here: it intercepts exceptions that are the guest's own and does not hand
 * them on; it injects with an error code where there is none, or the other way round; it confuses
 * INT3 and INT n (traps: RIP behind them) with faults when it injects them; it takes an instruction
 * from ring 3 that the processor ought to refuse.
 *
 * Not asked, because QEMU's own processor does it differently: segment limits and rights at each
 * access (it checks selectors only when they are loaded), #SS for addresses that are not canonical
 * (it raises #GP), the RF bit in saved flags, and the error code of a bad gate in long mode (its
 * processor multiplies the vector by 16).
 */
#include "lib/probe.h"

#define SEL_ABSENT  (SEL_FREE)	  /* a data segment that is not present */
#define SEL_BEYOND  0xff8	  /* behind the GDT's limit */
#define SEL_NO_CODE SEL_USER_DATA /* a data segment where code is wanted */

CODE(div_zero, "xor %ecx, %ecx\n div %ecx");
CODE(div_big, "mov $0x80000000, %eax\n cltd\n mov $-1, %ecx\n idiv %ecx");
CODE(breakpoint, "nop\n int3");
CODE(int_3, ".byte 0xcd, 0x03");
CODE(int_4, "int $4");
CODE(int_80, "int $0x80");
CODE(int_81, "int $0x81");
CODE(int_82, "int $0x82");
CODE(int_ff, ".byte 0x66, 0xcd, 0xff");
CODE(undefined, "nop\n ud2");
CODE(undefined_prefixed, ".byte 0x66, 0x0f, 0x0b");
CODE(fpu_nop, "nop\n fnop");
CODE(load_ds, "mov %eax, %ds");
CODE(load_ss, "mov %eax, %ss");
CODE(load_gs, "nop\n mov %eax, %gs");
CODE(far_jump, "push %" REG "ax\n push $2f\n " LRET "\n 2:");
CODE(return_inward, "push %" REG "ax\n push %" REG "sp\n push $2\n push %" REG "cx\n"
		    "push $2f\n 2: " IRET);
CODE(divide, "div %ecx\n ret");

/* Instructions that ring 3 must not use; each #GP(0). */
CODE(user_hlt, "hlt");
CODE(user_cli, "cli");
CODE(user_sti, "sti");
CODE(user_clts, "clts");
CODE(user_lmsw, "lmsw %ax");
CODE(user_invlpg, "invlpg (%" REG "sp)");
CODE(user_wbinvd, "wbinvd");
CODE(user_lidt, "lidt (%" REG "sp)");
CODE(user_ltr, "ltr %ax");
CODE(user_read_cr0, "mov %cr0, %" REG "ax");
CODE(user_write_cr3, "mov %" REG "ax, %cr3");
CODE(user_read_dr7, "mov %dr7, %" REG "ax");

/* Run it; then the exception, and that it left all registers alone but those of the mask. */
static void fault(const char *what, const u8 *code, struct state s, u8 vector, u16 error,
		  u16 offset, u32 may_change)
{
	struct state before = s;

	probe(code, &s);
	check_equal(what,
		    fault_number(s.vector, s.error, s.rip - (reg_t)code) |
			    (u64)(registers_changed(&before, &s) & ~may_change) << 40,
		    fault_number(vector, error, offset));
}

static struct state with_rax(u32 value)
{
	struct state s = state_new();

	s.gpr[RAX] = value;
	return s;
}

static void check_arithmetic(void)
{
	fault("divide-zero", div_zero, state_new(), VEC_DE, 0, 2, BIT(RCX));
	fault("divide-overflow", div_big, state_new(), VEC_DE, 0, 11,
	      BIT(RAX) | BIT(RDX) | BIT(RCX));
}

/* The error code names the gate: its number times 8, and bit 1 for the IDT. */
static void bad_gate(const char *what, const u8 *code, struct state s, u8 vector, u8 gate)
{
	probe(code, &s);
	check_equal(what, fault_number(s.vector, 0, s.rip - (reg_t)code),
		    fault_number(vector, 0, 0));
	if (sizeof(reg_t) == 4) /* see above */
		check_equal("gate-error-code", s.error, gate * 8 + 2);
}

static void check_software(void)
{
	fault("int3", breakpoint, state_new(), VEC_BP, 0, 2, 0);
	fault("int-3", int_3, state_new(), VEC_BP, 0, 2, 0);
	fault("int-4", int_4, state_new(), VEC_OF, 0, 2, 0);
	fault("int-80", int_80, state_new(), 0x80, 0, 2, 0);
	fault("int-ff-prefixed", int_ff, state_new(), 0xff, 0, 3, 0);
	fault("int-80-ring3", int_80, state_new_user(), 0x80, 0, 2, 0);

	/* A gate for ring 0 only, and one that is not present. */
	gate_set(0x81, (reg_t)trap_stubs + 16 * 0x81, 0);
	fault("int-gate-ring0", int_81, state_new(), 0x81, 0, 2, 0);
	idt[0x82].word[0] &= ~BIT(47);
	bad_gate("int-gate-ring3", int_81, state_new_user(), VEC_GP, 0x81);
	bad_gate("int-gate-absent", int_82, state_new(), VEC_NP, 0x82);
}

static void check_opcodes(void)
{
	fault("ud2", undefined, state_new(), VEC_UD, 0, 1, 0);
	fault("ud2-prefixed", undefined_prefixed, state_new(), VEC_UD, 0, 0, 0);
	fault("ud2-ring3", undefined, state_new_user(), VEC_UD, 0, 1, 0);
	write_cr0(read_cr0() | CR0_TS);
	fault("fpu-task-switched", fpu_nop, state_new(), VEC_NM, 0, 1, 0);
	write_cr0(read_cr0() & ~CR0_TS);
}

static void check_segments(void)
{
	gdt[SEL_ABSENT / 8] = segment_descriptor(0, 0xfffff, 0x13 | 0x60, 0xc);

	fault("ds-beyond", load_ds, with_rax(SEL_BEYOND), VEC_GP, SEL_BEYOND, 0, 0);
	fault("ds-absent", load_ds, with_rax(SEL_ABSENT), VEC_NP, SEL_ABSENT, 0, 0);
	fault("gs-absent", load_gs, with_rax(SEL_ABSENT | 3), VEC_NP, SEL_ABSENT, 1, 0);
	gdt[SEL_ABSENT / 8] = segment_descriptor(0, 0xfffff, 0x13, 0xc);
	fault("ss-absent", load_ss, with_rax(SEL_ABSENT), VEC_SS, SEL_ABSENT, 0, 0);
	fault("ss-wrong-ring", load_ss, with_rax(SEL_USER_DATA), VEC_GP, SEL_USER_DATA & ~3, 0, 0);
	fault("ds-is-tss", load_ds, with_rax(SEL_TSS), VEC_GP, SEL_TSS, 0, 0);
}

/* From outer to inner ring there is no way by RET or IRET. */
static void check_returns(void)
{
	struct state s = state_new_user();

	s.gpr[RAX] = SEL_CODE;
	probe(far_jump, &s);
	check_equal("retf-inward", fault_number(s.vector, s.error, 0),
		    fault_number(VEC_GP, SEL_CODE, 0));
	s = state_new_user();
	s.gpr[RAX] = SEL_USER_DATA;
	probe(far_jump, &s);
	check_equal("retf-to-data", fault_number(s.vector, s.error, 0),
		    fault_number(VEC_GP, SEL_NO_CODE & ~3, 0));
	s = state_new_user();
	s.gpr[RAX] = SEL_DATA;
	s.gpr[RCX] = SEL_CODE;
	probe(return_inward, &s);
	check_equal("iret-inward", fault_number(s.vector, s.error, 0),
		    fault_number(VEC_GP, SEL_CODE, 0));
}

static void check_user(void)
{
	static const struct {
		const char *what;
		const u8 *code;
	} forbidden[] = {
		{"ring3-hlt", user_hlt},
		{"ring3-cli", user_cli},
		{"ring3-sti", user_sti},
		{"ring3-clts", user_clts},
		{"ring3-lmsw", user_lmsw},
		{"ring3-invlpg", user_invlpg},
		{"ring3-wbinvd", user_wbinvd},
		{"ring3-lidt", user_lidt},
		{"ring3-ltr", user_ltr},
		{"ring3-read-cr0", user_read_cr0},
		{"ring3-write-cr3", user_write_cr3},
		{"ring3-read-dr7", user_read_dr7},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(forbidden); i++)
		fault(forbidden[i].what, forbidden[i].code, state_new_user(), VEC_GP, 0, 0, 0);
}

static unsigned repairs;

static void repair(struct trap *t)
{
	repairs += t->vector == VEC_DE && t->rip == (reg_t)divide;
	t->gpr[RCX] = 7;
}

/* A handler that removes the cause and returns: the instruction runs again, and once. */
static void check_restart(void)
{
	u32 quotient = 100, rest = 0, divisor = 0;

	trap_catch(repair);
	__asm__ volatile("call *%3" : "+a"(quotient), "+d"(rest), "+c"(divisor) : "r"(divide));
	trap_catch(NULL);
	check_equal("restart-faults", repairs, 1);
	check_equal("restart-result", quotient << 8 | rest, 14 << 8 | 2);
}

#ifndef __x86_64__
CODE(into, "mov $0x7fffffff, %eax\n inc %eax\n into");
CODE(into_not, "xor %eax, %eax\n into");
CODE(bound, "bound %eax, (%esp)");

/* What long mode does not have. */
static void check_mode(void)
{
	struct state s = with_rax(5);

	fault("into", into, state_new(), VEC_OF, 0, 7, BIT(RAX));
	probe(into_not, &s);
	check("into-no-overflow", ran_to_end(into_not, &s));
	s = with_rax(5);
	((u32 *)s.gpr[RSP])[0] = 6;
	((u32 *)s.gpr[RSP])[1] = 9;
	fault("bound", bound, s, VEC_BR, 0, 0, 0);
	fault("ss-null", load_ss, with_rax(0), VEC_GP, 0, 0, 0);
}
#else
CODE(into, ".byte 0xce");
CODE(daa, "nop\n .byte 0x27");
CODE(far_iret, "pushf\n orl $0x4000, (%rsp)\n popf\n iretq");
CODE(not_canonical, "nop\n movabs $0x8000000000000000, %rax\n mov (%rax), %ecx");

/* What only long mode has. */
static void check_mode(void)
{
	struct state s = state_new_user();

	fault("into", into, state_new(), VEC_UD, 0, 0, 0);
	fault("daa", daa, state_new(), VEC_UD, 0, 1, 0);
	fault("not-canonical", not_canonical, state_new(), VEC_GP, 0, 11, BIT(RAX));
	s.cs = SEL_CODE; /* ring 0, with a stack to use */
	s.ss = SEL_DATA;
	probe(far_iret, &s);
	check_equal("iret-nested-task", fault_number(s.vector, s.error, 0),
		    fault_number(VEC_GP, 0, 0));
}
#endif

void guest(void)
{
	check_arithmetic();
	check_software();
	check_opcodes();
	check_segments();
	check_returns();
	check_user();
	check_restart();
	check_mode();
}

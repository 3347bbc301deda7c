/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * singlestep: RFLAGS.TF, a #DB after every instruction (APM vol. 2 §13.1.4).
 *
 * What a VMM gets wrong here: an instruction that it emulates is an instruction too, and the
 * processor, which never executed it, will not raise the #DB behind it: the VMM must. Forgotten, a
 * debugger in the guest steps over two instructions at once. And of a repeated string instruction,
 * every round is a step.
 *
 * Not asked: MOV SS under TF (QEMU's own processor does not delay the #DB), and how many steps a
 * whole repeated instruction takes (QEMU, with -icount, makes one more of it).
 */
#include "lib/probe.h"

CODE(step_nop, "nop\n nop");
CODE(step_cpuid, "cpuid\n nop");
CODE(step_cpuid_prefixed, ".byte 0x66, 0x66, 0x0f, 0xa2\n nop");
CODE(step_rdmsr, "rdmsr\n nop");
CODE(step_wrmsr, "wrmsr\n nop");
CODE(step_out, "out %al, %dx\n nop");
CODE(step_in, "in $0xe9, %eax\n nop");
CODE(step_outs, "outsb\n nop");
CODE(step_rep, "rep outsb\n nop");
CODE(step_read_cr, "mov %cr0, %" REG "bx\n nop");
CODE(step_write_cr, "mov %" REG "bp, %cr0\n nop");
CODE(step_rdtsc, "rdtsc\n nop");
CODE(step_fault, "nop\n ud2");
CODE(step_int, "int $0x80\n nop");

#define DR6_EVENTS 0xe00f /* B0-B3, BD, BS, BT: what happened */
#define DR6_BS	   BIT(14)
#define PORT_NONE  0x3a00

static struct state ready(void)
{
	struct state s = state_new();

	s.flags |= FLAGS_TF;
	s.gpr[RAX] = 0;
	s.gpr[RCX] = MSR_SYSENTER_ESP;
	s.gpr[RDX] = PORT_NONE;
	s.gpr[RSI] = (reg_t)&gdt;
	s.gpr[RBP] = read_cr0();
	return s;
}

/* One step, which must end behind the instruction, with DR6.BS, and TF in the saved flags. */
static void check_step(const char *what, const u8 *code, u16 length)
{
	struct state s = ready();

	write_dr6(0);
	probe(code, &s);
	check_equal(what,
		    fault_number(s.vector, s.error, s.rip - (reg_t)code) |
			    (u64)(read_dr6() & DR6_EVENTS) << 40 |
			    (u64) !!(s.flags & FLAGS_TF) << 60,
		    fault_number(VEC_DB, 0, length) | DR6_BS << 40 | BIT(60));
}

/* A little program with something to emulate in every other instruction. */
CODE(program, "nop\n"
	      "cpuid\n"			 /* 1: 2 bytes */
	      "mov $0x3a00, %edx\n"	 /* 3: 5 bytes */
	      "out %al, %dx\n"		 /* 8 */
	      "in %dx, %al\n"		 /* 9 */
	      "mov $0x174, %ecx\n"	 /* 10: 5 bytes, SYSENTER_CS */
	      "rdmsr\n"			 /* 15: 2 bytes */
	      "wrmsr\n"			 /* 17: 2 bytes */
	      ".byte 0x66, 0x0f, 0xa2\n" /* 19: 3 bytes, CPUID */
	      "out %eax, $0xe4\n"	 /* 22: 2 bytes */
	      "in $0xe9, %al\n"		 /* 24: 2 bytes */
	      "nop\n"			 /* 26 */
	      "ret");			 /* 27 */

static u64 trail;
static unsigned steps;

static void note(struct trap *t)
{
	reg_t offset = t->rip - (reg_t)program;

	if (t->vector != VEC_DB) {
		fail("trail-exception");
		finish(1);
	}
	if (offset < 64) {
		trail |= BIT(offset);
		steps++;
	} else if (trail) { /* it has returned */
		t->flags &= ~FLAGS_TF;
	}
}

static void check_trail(void)
{
	trap_catch(note);
	__asm__ volatile("pushf\n orl $0x100, (%%" REG "sp)\n popf\n call *%%" REG "di\n nop"
			 :
			 : "D"(program)
			 : "memory", "cc",
#ifdef __x86_64__
			   "r8", "r9", "r10", "r11",
#endif
			   "ax", "bx", "cx", "dx");
	trap_catch(NULL);
	check_equal("trail-steps", steps, 13);
	check_equal("trail", trail,
		    BIT(0) | BIT(1) | BIT(3) | BIT(8) | BIT(9) | BIT(10) | BIT(15) | BIT(17) |
			    BIT(19) | BIT(22) | BIT(24) | BIT(26) | BIT(27));
}

void guest(void)
{
	struct state s = ready();

	check_step("nop", step_nop, 1);
	check_step("cpuid", step_cpuid, 2);
	check_step("cpuid-prefixed", step_cpuid_prefixed, 4);
	check_step("rdmsr", step_rdmsr, 2);
	check_step("wrmsr", step_wrmsr, 2);
	check_step("out", step_out, 1);
	check_step("in", step_in, 2);
	check_step("outs", step_outs, 1);
	check_step("read-cr0", step_read_cr, 3);
	check_step("write-cr0", step_write_cr, 3);
	check_step("rdtsc", step_rdtsc, 2);

	/* The first round of three. */
	s.gpr[RCX] = 3;
	probe(step_rep, &s);
	check_fault("rep-outs", step_rep, &s, VEC_DB, 0, 0);
	check_equal("rep-outs-left", s.gpr[RCX], 2);
	check("rep-outs-moved", s.gpr[RSI] == (reg_t)&gdt + 1);

	/* A fault comes instead of the step, and INT n ends single-stepping at its handler. */
	s = ready();
	probe(step_fault + 1, &s);
	check_fault("ud2", step_fault + 1, &s, VEC_UD, 0, 0);
	check("ud2-saved-tf", s.flags & FLAGS_TF);
	s = ready();
	probe(step_int, &s);
	check_fault("int-80", step_int, &s, 0x80, 0, 2);
	check("int-80-saved-tf", s.flags & FLAGS_TF);

	check_trail();
}

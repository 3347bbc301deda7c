/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * msrfault: the #GP that RDMSR and WRMSR raise for a register that does not exist and for reserved
 * bits (APM vol. 3, RDMSR; vol. 2 §3.1.7 for EFER).
 *
 * What a VMM gets wrong here: it reads unknown registers as zero, or stops the VM; it raises #GP
 * after stepping over the instruction (the saved RIP must point at it: a fault, not a trap); it
 * changes EDX or EAX although the instruction faulted; it lets a guest set EFER bits that its
 * processor does not have, and the next VMRUN is refused.
 *
 * Not bare in QEMU: its own processor reads unknown registers as zero and ignores reserved bits.
 * Under Casita these instructions exit, and it is Casita that answers. Bare in Bochs this needs
 * ignore_bad_msrs=0.
 */
#include "lib/probe.h"

CODE(code_rdmsr, "rdmsr");
CODE(code_wrmsr, "wrmsr");
CODE(rdmsr_prefixed, ".byte 0x66, 0x66, 0x0f, 0x32");
CODE(wrmsr_prefixed, ".byte 0x66, 0x66, 0x0f, 0x30");

#define MSR_NONE      0x00012345 /* neither vendor ever had these */
#define MSR_NONE_HIGH 0xc0001fff
#define MSR_NONE_FAR  0x87654321 /* outside the ranges of the MSR permission map */

/* The fault, and that no register changed. */
static void check_gp(const char *what, const u8 *code, u32 msr, u64 value)
{
	struct state before = state_new(), s;

	before.gpr[RCX] = msr;
	before.gpr[RAX] = (u32)value;
	before.gpr[RDX] = value >> 32;
	s = before;
	probe(code, &s);
	check_equal(what,
		    fault_number(s.vector, s.error, s.rip - (reg_t)code) |
			    (u64)registers_changed(&before, &s) << 40,
		    fault_number(VEC_GP, 0, 0));
}

void guest(void)
{
	u64 efer = rdmsr(MSR_EFER);

	check_gp("rdmsr", code_rdmsr, MSR_NONE, 0);
	check_gp("rdmsr-high", code_rdmsr, MSR_NONE_HIGH, 0);
	check_gp("rdmsr-far", code_rdmsr, MSR_NONE_FAR, 0);
	check_gp("rdmsr-prefixed", rdmsr_prefixed, MSR_NONE, 0);
	check_gp("wrmsr", code_wrmsr, MSR_NONE, 1);
	check_gp("wrmsr-high", code_wrmsr, MSR_NONE_HIGH, 1);
	check_gp("wrmsr-far", code_wrmsr, MSR_NONE_FAR, 1);
	check_gp("wrmsr-prefixed", wrmsr_prefixed, MSR_NONE, 1);

	check_gp("efer-bit-1", code_wrmsr, MSR_EFER, efer | BIT(1));
	check_gp("efer-bit-17", code_wrmsr, MSR_EFER, efer | BIT(17));
	check_gp("efer-bit-63", code_wrmsr, MSR_EFER, efer | BIT(63));
	check_equal("efer-unchanged", rdmsr(MSR_EFER), efer);
#ifdef __x86_64__
	/* Long mode cannot be left while paging is on (APM vol. 2 §14.7). */
	check_gp("efer-lme", code_wrmsr, MSR_EFER, efer & ~EFER_LME);
#endif
	check("goes-on", cpuid(0, 0).eax >= 1);
}

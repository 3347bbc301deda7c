/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * crfault: MOV to a control register that must not be: #GP(0) for reserved bits and for
 * combinations that have no meaning (APM vol. 2 §3.1; vol. 3, MOV CRn). In a VM with trap=cr, where
 * the VMM emulates these instructions.
 *
 * What a VMM gets wrong here: it lets the value through, and the next VMRUN is refused (APM vol. 2
 * §15.5.1 lists what must not be in a VMCB) or the guest's processor is in a state that cannot be.
 *
 * Not bare in QEMU: its own processor does not check. CR8, which is no exit even with trap=cr, is
 * not here for the same reason.
 */
#include "lib/probe.h"

CODE(write_cr0_code, "mov %" REG "ax, %cr0");
CODE(write_cr3_code, "mov %" REG "bx, %cr3");
CODE(write_cr4_code, "mov %" REG "si, %cr4");
#ifdef __x86_64__
CODE(write_cr0_r9, "mov %r9, %cr0");
CODE(write_cr4_r13, "mov %r13, %cr4");
#endif

/* #GP(0) at the instruction, nothing changed, neither general nor control registers. */
static void refused(const char *what, const u8 *code, unsigned reg, reg_t value)
{
	struct state before = state_new(), s;
	reg_t cr0 = read_cr0(), cr3 = read_cr3(), cr4 = read_cr4();

	before.gpr[reg] = value;
	s = before;
	probe(code, &s);
	check_equal(what,
		    fault_number(s.vector, s.error, s.rip - (reg_t)code) |
			    (u64)registers_changed(&before, &s) << 40 |
			    (u64)(read_cr0() != cr0) << 60 | (u64)(read_cr3() != cr3) << 61 |
			    (u64)(read_cr4() != cr4) << 62,
		    fault_number(VEC_GP, 0, 0));
}

void guest(void)
{
	reg_t cr0 = read_cr0() & ~(CR0_CD | CR0_NW), cr3 = read_cr3(), cr4 = read_cr4();

	write_cr0(cr0);
	/* Paging needs protection, "not write-through" needs "cache disable". */
	refused("pg-without-pe", write_cr0_code, RAX, (cr0 | CR0_PG) & ~CR0_PE);
	refused("nw-without-cd", write_cr0_code, RAX, cr0 | CR0_NW);
	refused("cr4-reserved-31", write_cr4_code, RSI, cr4 | BIT(31));
	refused("cr4-reserved-15", write_cr4_code, RSI, cr4 | BIT(15));
#ifdef __x86_64__
	refused("cr0-upper-half", write_cr0_code, RAX, cr0 | BIT(40));
	refused("cr0-upper-half-r9", write_cr0_r9, R9, cr0 | BIT(63));
	refused("cr4-upper-half-r13", write_cr4_r13, R13, cr4 | BIT(32));
	refused("cr4-pae-needed", write_cr4_code, RSI, cr4 & ~CR4_PAE);
	refused("cr3-reserved", write_cr3_code, RBX, cr3 | BIT(60));
#else
	(void)cr3;
	(void)write_cr3_code;
#endif
	check("goes-on", cpuid(0, 0).eax >= 1);
}

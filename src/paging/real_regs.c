/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * real_regs.c: with what registers the processor runs a guest whose page tables it never sees.
 *
 * Tables of ours have 64-bit entries, four levels for a guest in long mode and PAE's three for all
 * others; and there always are some, even if the guest has paging off or is in real mode (APM vol. 2
 * §15.19, paged real mode). So
 *
 *			the guest sees		the processor has
 *	CR0.PG		its own			1
 *	CR0.WP		its own			1: our read-only pages hold for supervisors, too
 *	CR0.CD, NW	its own			0: memory is coherent whatever it thinks
 *	CR4.PAE		its own			1
 *	CR4.SMEP, SMAP	its own			its own, but 0 while it has paging off
 *	EFER.NXE	its own			1
 *	EFER.LME, LMA	its own			both 1 in long mode, otherwise 0: they may be set
 *						while the guest's paging is off
 *	CR3		its own			our root
 *
 * and whatever differs is intercepted. Reads of CR0 and CR4 are, only while they differ.
 */
#include "paging/real_regs.h"

int real_registers_begin(struct vcpu *vcpu)
{
	static const enum intercept needed[] = {
		INTERCEPT_CR0_WRITE,	      INTERCEPT_CR3_WRITE, INTERCEPT_CR3_READ,
		INTERCEPT_CR4_WRITE,	      INTERCEPT_INVLPG,	   INTERCEPT_TASK_SWITCH,
		INTERCEPT_EXCEPTION + VEC_PF,
	};
	struct paging_regs nothing = {.cr0 = CR0_PG | CR0_ET};

	for (unsigned i = 0; i < ARRAY_SIZE(needed); i++)
		cpu->intercept(vcpu, needed[i], true);
	cpu->set_paging(vcpu, &nothing);
	return 0;
}

void real_registers(struct vcpu *vcpu, const struct walk_regs *regs, const u64 *root)
{
	bool trap = vcpu->vm->config->trap_cr;
	struct paging_regs real = {
		.cr0 = (regs->cr0 & ~(CR0_CD | CR0_NW)) | CR0_PG | CR0_WP,
		.cr3 = ptr_hpa(root).a,
		.cr4 = regs->cr4 | CR4_PAE,
		.efer = (regs->efer & ~(EFER_LME | EFER_LMA)) | EFER_NXE,
	};

	if (!(regs->cr0 & CR0_PG))
		real.cr4 &= ~(CR4_SMEP | CR4_SMAP);
	else if (regs->efer & EFER_LMA)
		real.efer |= EFER_LME | EFER_LMA;
	cpu->set_paging(vcpu, &real);
	cpu->intercept(vcpu, INTERCEPT_CR0_READ, trap || regs->cr0 != real.cr0);
	cpu->intercept(vcpu, INTERCEPT_CR4_READ, trap || regs->cr4 != real.cr4);
}

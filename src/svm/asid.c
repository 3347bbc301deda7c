/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * asid.c: address space identifiers, so that a world switch need not flush the TLB.
 *
 * The processor tags each cached translation with the ASID that was in the VMCB (APM vol. 2
 * §15.16). The host is 0. A virtual CPU that never shares its number with another keeps its
 * translations across exits. Numbers are few (QEMU offers 16), so they are dealt in rounds:
 *
 *	the virtual CPU's number is …		what happens at its next VMRUN
 *	-------------------------------------	--------------------------------------------------
 *	of this round				nothing: TLB_CONTROL 0, translations are kept
 *	of an earlier round, or it has none	it is dealt the next number, unused in this round
 *	to be forgotten (svm_asid_renew)	the same: the old number's entries are hit no more
 *	and no number is left			a new round: TLB_CONTROL 1 flushes all, deal from 1
 *
 * So "flush this guest" costs no flush at all, and needs no flush-by-ASID feature.
 */
#include "svm/svm.h"

u64 svm_asid_generation = 1;

static u32 next_asid = 1;

void svm_asid_deal(struct svm_vcpu *s)
{
	if (next_asid == svm_features.asids) {
		svm_asid_generation++;
		next_asid = 1;
		s->vmcb->tlb_control = SVM_TLB_FLUSH_ALL;
	}
	s->vmcb->asid = next_asid++;
	s->asid_generation = svm_asid_generation;
}

void svm_asid_renew(struct svm_vcpu *s)
{
	s->asid_generation = 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* nested.c: telling the processor where the nested page tables are. */
#include "lib/lab.h"
#include "svm/svm.h"

void svm_set_nested_root(struct vcpu *vcpu, hpa_t root)
{
#if SOLVED >= 4
	struct vmcb *vmcb = vmcb_of(vcpu);

	vmcb->ncr3 = root.a;
	vmcb->np_control = root.a ? SVM_NP_ENABLE : 0;
	svm_flush(vcpu);
#else
	/*
	 * Exercise 4.1. Tell the processor where the nested tables' root is (ncr3) and turn nested
	 * paging on (np_control); a root of 0 turns it off. Translations that it has cached were made
	 * without, or with other tables: svm_flush().
	 *
	 * Handout: lab 4, "Two walks". APM vol. 2 §15.25.3.
	 */
	LAB(4, "4.1", "turn nested paging on");
#endif
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* irq.c: external interrupts for the guest: the virtual INTR pin, and the interrupt shadow. */
#include "svm/svm.h"

#define LEAF_FEATURES	1
#define ECX_HYPERVISOR	BIT(31)
#define LEAF_HYPERVISOR 0x40000000
#define HYPERVISOR_TCG	0x54474354 /* "TCGT", the beginning of QEMU's name for it */

/* Does QEMU emulate this processor? It has its own way with interrupts; see svm_offer_irq(). */
static bool under_tcg(void)
{
	static int known = -1;

	if (known < 0)
		known = cpuid(LEAF_FEATURES, 0).ecx & ECX_HYPERVISOR &&
			cpuid(LEAF_HYPERVISOR, 0).ebx == HYPERVISOR_TCG;
	return known;
}

static bool may_take_irq(const struct vmcb *vmcb)
{
	return vmcb->rflags & RFLAGS_IF && !(vmcb->int_state & SVM_INT_SHADOW) &&
	       !(vmcb->event_inj & SVM_EVENT_VALID);
}

/*
 * An external interrupt that the guest may take at once is injected. For one that has to wait there is
 * V_IRQ, a virtual INTR pin (APM vol. 2 §15.21.4): the processor takes the vector when the guest's IF
 * and interrupt shadow allow it and lowers the pin itself, so no exit is needed to wait for that.
 *
 *	QEMU	delivers an injected external interrupt twice under -icount: the pin serves for both
 *	Bochs	does not look at the pin when a guest is entered with IF set, only when IF changes
 */
void svm_offer_irq(struct vcpu *vcpu, int vector)
{
	struct vmcb *vmcb = vmcb_of(vcpu);

	vmcb->vintr = (vmcb->vintr & SVM_V_TPR) | SVM_V_INTR_MASKING;
	if (vector < 0)
		return;
	if (!under_tcg() && may_take_irq(vmcb))
		vmcb->event_inj = SVM_EVENT_VALID | SVM_EVENT_INTR | vector;
	else
		vmcb->vintr |= SVM_V_IRQ | SVM_V_INTR_PRIO | SVM_V_IGN_TPR |
			       (u64)vector << SVM_V_VECTOR_SHIFT;
}

bool svm_irq_taken(struct vcpu *vcpu)
{
	return !(vmcb_of(vcpu)->vintr & SVM_V_IRQ);
}

/*
 * The shadow after STI or MOV SS is saved at an exit, and VMRUN loads it again; but QEMU's does
 * not, and then an exit before the shadowed instruction has run would lose it. RFLAGS.RF tells
 * whether it has: we set it, and the processor clears it when an instruction completes (APM vol. 2
 * §3.1.6). Meanwhile it only keeps a breakpoint off this one instruction, as a shadow does.
 */
bool svm_irq_shadow(struct vcpu *vcpu)
{
	struct svm_vcpu *s = svm_of(vcpu);
	struct vmcb *vmcb = s->vmcb;

	if (!(vmcb->int_state & SVM_INT_SHADOW) &&
	    !(vmcb->rflags & RFLAGS_RF && s->shadow_rip == vmcb->rip)) {
		s->shadow_rip = ~0ull;
		return false;
	}
	s->shadow_rip = vmcb->rip;
	vmcb->int_state |= SVM_INT_SHADOW;
	vmcb->rflags |= RFLAGS_RF;
	return true;
}

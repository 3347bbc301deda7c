/* SPDX-License-Identifier: BSD-3-Clause */
/* inject.c: exceptions for the guest, and stepping over an instruction that we did in its place. */
#include "host/host.h"
#include "lib/errno.h"
#include "lib/lab.h"
#include "svm/svm.h"
#include "vmm/inject.h"

int svm_advance(struct vcpu *vcpu, u64 next_rip)
{
#if SOLVED >= 2
	struct vmcb *vmcb = vmcb_of(vcpu);

	vmcb->rip = next_rip;
	vmcb->int_state = 0;
	vmcb->rflags &= ~RFLAGS_RF;
	return unlikely(vmcb->rflags & RFLAGS_TF) ? vcpu_single_step(vcpu) : 0;
#else
	/*
	 * Exercise 2.3, continued. The guest's instruction has been done: RIP goes behind it; the
	 * interrupt shadow that covered it ends (int_state), RFLAGS.RF too; and if the guest
	 * single-steps (RFLAGS.TF), it is due a #DB: vcpu_single_step(). Return 0.
	 *
	 * APM vol. 2 §13.1.4, §15.21.5.
	 */
	LAB(2, "2.3", "step over an instruction");
#endif
}

/*
 * EVENTINJ (APM vol. 2 §15.20) makes the processor deliver an event as its first act in the guest,
 * with all checks, stack switches and consequences that the event has in life.
 */
int svm_inject(struct vcpu *vcpu, const struct event *event)
{
#if SOLVED >= 2
	struct vmcb *vmcb = vmcb_of(vcpu);
	static const u64 types[] = {
		[EVENT_EXCEPTION] = SVM_EVENT_EXCEPTION,
		[EVENT_NMI] = SVM_EVENT_NMI,
		[EVENT_SOFT_INT] = SVM_EVENT_SOFT_INT,
	};

	if (vmcb->event_inj & SVM_EVENT_VALID)
		return -EBUSY;
	vmcb->event_inj = SVM_EVENT_VALID | types[event->kind] | event->vector;
	if (event->has_error)
		vmcb->event_inj |= SVM_EVENT_ERROR_VALID | (u64)event->error
								   << SVM_EVENT_ERROR_SHIFT;
	if (event->kind == EVENT_EXCEPTION && event->vector == VEC_PF)
		vmcb->cr2 = event->address;
	svm_set_cr2(event->address); /* Bochs's VMRUN does not load it */
	return 0;
#else
	/*
	 * Exercise 2.8. -EBUSY if an event is waiting in event_inj already. Otherwise make one:
	 * valid, its type (the SVM_EVENT_ constants), its vector; if event->has_error, the error
	 * code in the upper half and the bit that says so. A page fault's address goes into CR2 of
	 * the VMCB, and svm_set_cr2() too: Bochs's VMRUN does not load it. Return 0.
	 *
	 * Handout: lab 2, "Exceptions". APM vol. 2 §15.20.
	 */
	LAB(2, "2.8", "inject an exception");
#endif
}

void svm_take_back(struct vcpu *vcpu, struct event *event)
{
	struct vmcb *vmcb = vmcb_of(vcpu);

	svm_decode_event(vmcb->event_inj, event);
	vmcb->event_inj = 0;
}

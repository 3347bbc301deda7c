/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * run.c: the innermost loop: enter the guest, have its exit dealt with, enter it again.
 */
#include "lib/lab.h"
#include "svm/svm.h"
#include "vmm/trace.h"

/*
 * Call the world switch (switch.S): load the guest's registers, VMRUN, save them. A host interrupt
 * that arrives while the guest runs is still pending afterwards.
 */
static inline void world_switch(u64 *gpr, struct vmcb *vmcb, struct vmcb *host)
{
	__asm__ volatile("call svm_switch"
			 : "+D"(gpr), "+S"(vmcb), "+d"(host)
			 :
			 : "rax", "rbx", "rcx", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
			   "r15", "memory", "cc");
}

/*
 * A host interrupt ends the guest's run whatever the guest's IF is, says the manual (§15.21.1); Bochs's
 * does not if the guest was entered with IF clear. So after an exit from there, pending ones are let in.
 */
void svm_run(struct vcpu *vcpu)
{
#if SOLVED >= 1
	struct svm_vcpu *s = svm_of(vcpu);
	struct vmcb *vmcb = s->vmcb;
	struct exit *exit;

	if (unlikely(!s->checked) && !svm_first_check(vcpu))
		return;
	do {
		exit = trace_enter(vcpu->vm);
		svm_asid_prepare(s);
		world_switch(vcpu->gpr, vmcb, svm_host_vmcb);
		svm_decode_exit(vcpu, vmcb, exit);
		if (likely(exit->kind != EXIT_REFUSED))
			vmcb->event_inj = 0; /* delivered, or told of in exit_int_info */
		if (!(vmcb->rflags & RFLAGS_IF))
			vcpu->requests |= REQUEST_HOST; /* see below */
		trace_exit(vcpu->vm, exit);
		exit_dispatch(vcpu, exit);
	} while (likely(!vcpu->requests));
#else
	/*
	 * Exercise 1.6. Before the first entry only: svm_first_check(); if it says false, return.
	 * Then, as long as vcpu->requests is zero after an exit:
	 *
	 *	trace_enter()		gives the struct exit to fill
	 *	svm_asid_prepare()	an ASID that may be used now
	 *	world_switch()		with the guest's registers, its VMCB, svm_host_vmcb
	 *	svm_decode_exit()	what happened
	 *	event_inj = 0		it has been delivered; but not after EXIT_REFUSED, so that
	 *				it can be shown
	 *	REQUEST_HOST		if the guest has IF clear: see above
	 *	trace_exit(), exit_dispatch()
	 *
	 * Handout: lab 1, "The loop". APM vol. 2 §15.5, §15.6.
	 */
	LAB(1, "1.6", "enter the guest, and deal with its exits");
#endif
}

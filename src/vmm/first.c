/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * first.c: the first exits. In lab 1 a guest may write to ports, halt and end; whatever else makes it
 * exit stops its VM, with a report of where it was. Lab 2 has exit.c in the place of this file.
 */
#include "lib/lab.h"
#include "vmm/vcpu.h"

void exit_dispatch(struct vcpu *vcpu, const struct exit *exit)
{
#if SOLVED >= 1
	switch (exit->kind) {
	case EXIT_IO:
		if (exit->io.in || exit->io.string)
			break;
		vm_out(vcpu->vm, exit->io.port, exit->io.size, vcpu->gpr[GPR_RAX]);
		vcpu_set(vcpu, VREG_RIP, exit->next_rip);
		return;
	case EXIT_HLT: /* nothing could wake it */
		vm_stop(vcpu->vm, VM_POWEROFF);
		return;
	case EXIT_SHUTDOWN:
		vm_stop(vcpu->vm, VM_SHUTDOWN);
		return;
	case EXIT_INTERRUPT: /* the machine's business */
		vcpu->requests |= REQUEST_HOST;
		return;
	case EXIT_REFUSED:
		cpu->explain_refusal(vcpu);
		break;
	default:
		break;
	}
	vm_fail(vcpu->vm, -ENOSYS, "an exit of kind %s (code %#llx) at %#llx",
		exit_kind_name(exit->kind), (unsigned long long)exit->code,
		(unsigned long long)exit->rip);
	vm_stop(vcpu->vm, VM_FAILED);
#else
	/*
	 * Exercise 1.7. Deal with the exit, so that the guest can be entered again:
	 *
	 *	EXIT_IO		of OUT (not IN, not OUTS): give port, size and the guest's RAX to
	 *			vm_out(), and go on behind the instruction: the processor has told
	 *			where that is, exit->next_rip
	 *	EXIT_HLT	vm_stop(…, VM_POWEROFF): nothing could wake this guest
	 *	EXIT_SHUTDOWN	a triple fault: vm_stop(…, VM_SHUTDOWN)
	 *	EXIT_INTERRUPT	the machine has an interrupt: REQUEST_HOST has the run loop take it
	 *	EXIT_REFUSED	cpu->explain_refusal(), then as everything else
	 *
	 * Everything else stops the VM: vm_fail() with a sentence that names the exit's kind and
	 * where it was, and vm_stop(…, VM_FAILED).
	 *
	 * Handout: lab 1, "The first exit".
	 */
	LAB(1, "1.7", "deal with the first exits");
#endif
}

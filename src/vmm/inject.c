/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * inject.c: exceptions and interrupts for the guest.
 *
 * Exceptions and NMIs are delivered by the processor at the next entry (cpu->inject), with all the
 * checks it makes for real ones. External interrupts stand on a virtual INTR pin instead, because
 * they may have to wait for the guest's IF:
 *
 *	before an entry	The controller's INTR wire is up: the vector it would give now goes on the pin.
 *	the guest runs	Its processor takes the vector when it may.
 *	after the exit	It was taken: now tell the controller (the INTA cycle). It was not: the wire may
 *			look different at the next entry, so the pin is set anew each time.
 *
 * A vector that the guest has taken can come back: delivering it touched the guest's IDT or stack,
 * that needed us, and the exit cut the delivery short. It has been acknowledged, so the controller
 * will not give it again; vcpu->redeliver keeps it and goes first.
 */
#include "host/host.h"
#include "lib/errno.h"
#include "vmm/cpu_ops.h"
#include "vmm/inject.h"
#include "vmm/timer.h"
#include "vmm/vm.h"

/* APM vol. 2 table 8-2. */
static bool contributory(u8 vector)
{
	return (BIT(VEC_DE) | BIT(VEC_TS) | BIT(VEC_NP) | BIT(VEC_SS) | BIT(VEC_GP)) >> vector & 1;
}

/* Does @second, raised while @first is being delivered, make a double fault? APM vol. 2 §8.2.9. */
static bool makes_double_fault(u8 first, u8 second)
{
	return (first == VEC_PF && second == VEC_PF) ||
	       ((first == VEC_PF || contributory(first)) && contributory(second));
}

static void raise(struct vcpu *vcpu, const struct event *event)
{
	struct event waiting, df = {.kind = EVENT_EXCEPTION, .vector = VEC_DF, .has_error = true};

	vcpu->halted = false;
	if (cpu->inject(vcpu, event) != -EBUSY)
		return;
	cpu->take_back(vcpu, &waiting);
	if (waiting.kind != EVENT_EXCEPTION)
		cpu->inject(vcpu, event);
	else if (waiting.vector == VEC_DF &&
		 (event->vector == VEC_PF || contributory(event->vector)))
		vm_stop(vcpu->vm, VM_SHUTDOWN);
	else if (makes_double_fault(waiting.vector, event->vector))
		cpu->inject(vcpu, &df);
	else
		cpu->inject(vcpu, event); /* the first is a fault, and will happen again */
}

void vcpu_exception(struct vcpu *vcpu, u8 vector, u32 error)
{
	struct event event = {
		.kind = EVENT_EXCEPTION,
		.vector = vector,
		.has_error = VECTORS_WITH_ERROR >> vector & 1,
		.error = error,
		.address = vcpu_get(vcpu, VREG_CR2),
	};

	raise(vcpu, &event);
}

void vcpu_page_fault(struct vcpu *vcpu, gva_t gva, u32 error)
{
	struct event event = {
		.kind = EVENT_EXCEPTION,
		.vector = VEC_PF,
		.has_error = true,
		.error = error,
		.address = gva.a,
	};

	raise(vcpu, &event);
}

#define DR6_BS BIT(14) /* the #DB is a single step's */

int vcpu_single_step(struct vcpu *vcpu)
{
	vcpu_set(vcpu, VREG_DR6, vcpu_get(vcpu, VREG_DR6) | DR6_BS);
	vcpu_exception(vcpu, VEC_DB, 0);
	return 0;
}

/*
 * In the shadow after STI or MOV SS nothing is offered: the guest runs on, and we come back soon. A
 * processor would hold the interrupt by itself, but not every one is told of the shadow when the
 * guest is entered, and an interrupt between STI and HLT makes a guest sleep through its wake-up.
 */
#define SHADOW_RETRY_NS 50000

static void come_back(void *unused)
{
	(void)unused; /* the interrupt itself brought us back */
}

__slow void irq_offer(struct vcpu *vcpu)
{
	static struct timer retry = {.fn = come_back};
	struct vm *vm = vcpu->vm;
	int vector = vcpu->redeliver;

	vcpu->requests &= ~REQUEST_IRQ;
	if (vector < 0 && vm->intr)
		vector = vm->irq.chip.peek(vm->irq.chip.opaque);
	if (vector >= 0)
		vcpu->requests |= REQUEST_IRQ; /* look again after the exit */
	if (vector >= 0 && unlikely(cpu->irq_shadow(vcpu))) {
		vector = -1;
		timer_arm(&retry, host_now() + SHADOW_RETRY_NS);
	}
	if (vector < 0 && vcpu->offered < 0)
		return;
	cpu->offer_irq(vcpu, vector);
	vcpu->offered = vector;
}

/* An event that the processor will raise by itself when the guest runs the instruction again. */
static bool repeats_itself(const struct event *event)
{
	return event->kind == EVENT_SOFT_INT ||
	       (event->kind == EVENT_EXCEPTION &&
		(event->vector == VEC_BP || event->vector == VEC_OF));
}

__slow void irq_account(struct vcpu *vcpu, const struct exit *exit)
{
	struct vm *vm = vcpu->vm;

	if (vcpu->offered >= 0 &&
	    (cpu->irq_taken(vcpu) || (exit->interrupted.valid && exit->interrupted.is_irq))) {
		if (vcpu->redeliver >= 0)
			vcpu->redeliver = -1;
		else
			vm->irq.chip.ack(vm->irq.chip.opaque);
		vcpu->offered = -1;
	}
	if (!exit->interrupted.valid)
		return;
	if (exit->interrupted.is_irq) {
		vcpu->redeliver = exit->interrupted.event.vector;
		vcpu->requests |= REQUEST_IRQ;
	}
	if (!exit->interrupted.is_irq && !repeats_itself(&exit->interrupted.event))
		cpu->inject(vcpu, &exit->interrupted.event);
}

bool vcpu_can_wake(struct vcpu *vcpu)
{
	return (vcpu->vm->intr || vcpu->redeliver >= 0) &&
	       (vcpu_get(vcpu, VREG_RFLAGS) & RFLAGS_IF);
}

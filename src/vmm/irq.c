/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * irq.c: external interrupts: the lines from devices to their controller, and the processor's pin.
 *
 * An interrupt may have to wait for the guest's IF, so it is not injected but stands on a virtual
 * INTR pin:
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
#include "vmm/irq.h"
#include "vmm/timer.h"
#include "vmm/vm.h"

void vm_set_irq_chip(struct vm *vm, const struct irq_chip *chip)
{
	vm->irq.chip = *chip;
	for (unsigned line = 0; line < IRQ_LINES; line++)
		if (vm->irq.lines >> line & 1)
			chip->set_line(chip->opaque, line, true);
}

void vm_irq(struct vm *vm, unsigned line, bool level)
{
	u32 lines = level ? vm->irq.lines | 1u << line : vm->irq.lines & ~(1u << line);

	if (lines == vm->irq.lines)
		return;
	vm->irq.lines = lines;
	if (vm->irq.chip.set_line)
		vm->irq.chip.set_line(vm->irq.chip.opaque, line, level);
}

void vm_set_intr(struct vm *vm, bool level)
{
	vm->intr = level;
	if (vm->vcpu) /* a device may raise a line while it is being made */
		vm->vcpu->requests |= REQUEST_IRQ;
}

/*
 * In the shadow after STI or MOV SS nothing is offered: the guest runs on, and we come back soon. A
 * processor would hold the interrupt by itself, but not every one is told of the shadow when the
 * guest is entered, and an interrupt between STI and HLT makes a guest sleep through its wake-up.
 */
#define SHADOW_RETRY_NS 50000

static void come_back(void *unused)
{
	/* the interrupt itself brought us back */
}

__slow void irq_offer(struct vcpu *vcpu)
{
	static struct timer retry = {.fn = come_back};
	struct vm *vm = vcpu->vm;
	int vector = vcpu->redeliver;

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
	} else if (!repeats_itself(&exit->interrupted.event)) {
		cpu->inject(vcpu, &exit->interrupted.event);
	}
}

bool vcpu_can_wake(struct vcpu *vcpu)
{
	return (vcpu->vm->intr || vcpu->redeliver >= 0) &&
	       (vcpu_get(vcpu, VREG_RFLAGS) & RFLAGS_IF);
}

bool vcpu_may_wake(struct vcpu *vcpu)
{
	return vcpu_get(vcpu, VREG_RFLAGS) & RFLAGS_IF;
}

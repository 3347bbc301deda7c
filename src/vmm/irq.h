/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * irq.h: interrupt lines, the wires between devices and an interrupt controller.
 *
 * A device raises and lowers a line by number and knows no controller. A controller (the 8259s)
 * plugs itself in with vm_set_irq_chip(), hears of every change of a line, and drives the one wire
 * to the processor, INTR, with vm_set_intr(). While INTR is up, the run loop offers the guest the
 * vector that the controller would give now (peek), and acknowledges it (ack) only when the guest's
 * processor has really taken it, so that a controller reprogrammed in between is never wrong.
 */
#ifndef VMM_IRQ_H
#define VMM_IRQ_H

#include "lib/types.h"

struct vm;
struct vcpu;
struct exit;

#define IRQ_LINES 16

struct irq_chip {
	void (*set_line)(void *opaque, unsigned line, bool level);
	/* The vector that an acknowledge would return now; -1 if none. Changes nothing. */
	int (*peek)(void *opaque);
	/* The interrupt acknowledge cycle: the processor takes that vector. */
	void (*ack)(void *opaque);
	void *opaque;
};

/** vm_set_irq_chip() - plug a controller in; lines that are up already are told to it. */
void vm_set_irq_chip(struct vm *vm, const struct irq_chip *chip);
/** vm_irq() - set the level of line 0-15. Setting the level it has is fine and does nothing. */
void vm_irq(struct vm *vm, unsigned line, bool level);
/** vm_set_intr() - the controller's output to the processor. */
void vm_set_intr(struct vm *vm, bool level);

/* In struct vm. */
struct irq_state {
	struct irq_chip chip; /* all zero: none yet */
	u32 lines;	      /* bit n: line n is up */
};

#ifdef CONFIG_IRQ
/**
 * irq_offer() - put on the INTR pin what the interrupt controller has to say: before an entry, when
 * REQUEST_IRQ was set. It is set again as long as something is on the pin.
 */
void irq_offer(struct vcpu *vcpu);

/** irq_account() - after an exit: acknowledge what the guest took, keep what the exit cut short. */
void irq_account(struct vcpu *vcpu, const struct exit *exit);
/** vcpu_can_wake() - is there an interrupt that would end HLT? */
bool vcpu_can_wake(struct vcpu *vcpu);
/** vcpu_may_wake() - can there ever be one? */
bool vcpu_may_wake(struct vcpu *vcpu);
#else /* no interrupts: HLT is for ever */
static inline void irq_offer(struct vcpu *vcpu) {}
static inline void irq_account(struct vcpu *vcpu, const struct exit *exit) {}
static inline bool vcpu_can_wake(struct vcpu *vcpu)
{
	return false;
}
static inline bool vcpu_may_wake(struct vcpu *vcpu)
{
	return false;
}
#endif

#endif

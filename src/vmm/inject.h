/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * inject.h: making exceptions and interrupts happen to a guest.
 */
#ifndef VMM_INJECT_H
#define VMM_INJECT_H

#include "lib/types.h"
#include "vmm/exit.h"
#include "vmm/vm.h"

/**
 * vcpu_exception() - raise an exception at the guest's present instruction.
 * @vector: VEC_*
 * @error: its error code; ignored for vectors that have none
 *
 * If another exception is waiting to be delivered, the two become a double fault, or a shutdown, as
 * APM vol. 2 §8.2.9 says.
 */
void vcpu_exception(struct vcpu *vcpu, u8 vector, u32 error);

/** vcpu_page_fault() - #PF with its error code and the faulting address for CR2. */
void vcpu_page_fault(struct vcpu *vcpu, gva_t gva, u32 error);

/**
 * vcpu_single_step() - the #DB that a guest with RFLAGS.TF is due after an instruction that we did
 * in its place. Called by cpu->advance. Return: 0.
 */
int vcpu_single_step(struct vcpu *vcpu);

/**
 * irq_offer() - put on the INTR pin what the interrupt controller has to say: before an entry, when
 * REQUEST_IRQ is set. It stays set as long as something is on the pin.
 */
void irq_offer(struct vcpu *vcpu);

/**
 * irq_account() - after an exit with requests: acknowledge what the guest took; keep what the exit
 * cut short.
 */
void irq_account(struct vcpu *vcpu, const struct exit *exit);

/** vcpu_can_wake() - is there an interrupt that would end HLT? */
bool vcpu_can_wake(struct vcpu *vcpu);

#endif

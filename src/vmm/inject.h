/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * inject.h: making exceptions and interrupts happen to a guest.
 */
#ifndef VMM_INJECT_H
#define VMM_INJECT_H

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

#endif

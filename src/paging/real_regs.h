/* SPDX-License-Identifier: BSD-3-Clause */
/* real_regs.h: with what registers the processor runs a guest whose page tables it never sees. */
#ifndef PAGING_REAL_REGS_H
#define PAGING_REAL_REGS_H

#include "vmm/vcpu.h"

/**
 * real_registers_begin() - set the intercepts that a new virtual CPU needs for this. The registers
 * are set when the guest's first state is known. Return: 0.
 */
int real_registers_begin(struct vcpu *vcpu);

/**
 * real_registers() - after the guest's CR0, CR3, CR4 or EFER were written.
 * @regs: the guest's own
 * @root: our tables: level 4 if the guest is in long mode, else four directory pointers below 4 GiB
 */
void real_registers(struct vcpu *vcpu, const struct walk_regs *regs, const u64 *root);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* registers.h: the register part of AMD's struct cpu_ops; see vmm/cpu_ops.h for the contracts. */
#ifndef SVM_REGISTERS_H
#define SVM_REGISTERS_H

#include "svm/svm.h"

/** svm_registers_init() - a new virtual CPU's registers are all in its VMCB. */
void svm_registers_init(struct svm_vcpu *s);
u64 svm_get(struct vcpu *vcpu, enum vreg reg);
void svm_set(struct vcpu *vcpu, enum vreg reg, u64 value);
void svm_get_seg(struct vcpu *vcpu, enum seg seg, struct segment *out);
void svm_set_seg(struct vcpu *vcpu, enum seg seg, const struct segment *in);
void svm_get_table(struct vcpu *vcpu, bool idt, struct table_reg *out);
void svm_set_table(struct vcpu *vcpu, bool idt, const struct table_reg *in);
u8 svm_get_cpl(struct vcpu *vcpu);
void svm_get_walk(struct vcpu *vcpu, struct walk_regs *regs);
void svm_set_paging(struct vcpu *vcpu, const struct paging_regs *real);
void svm_intercept(struct vcpu *vcpu, enum intercept what, bool on);

#endif

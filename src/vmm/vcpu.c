/* SPDX-License-Identifier: BSD-3-Clause */
/* vcpu.c: making and taking apart a virtual CPU. */
#include "vmm/vcpu.h"

int vcpu_create(struct vm *vm)
{
	struct vcpu *vcpu = kalloc(sizeof(*vcpu));
	int err;

	if (!vcpu)
		return -ENOMEM;
	vm->vcpu = vcpu;
	vcpu->vm = vm;
	vcpu->offered = vcpu->redeliver = -1;
	vcpu->requests = REQUEST_IRQ; /* a line may be up already */
	err = cpu->vcpu_create(vcpu);
	if (err)
		return err;
	/* CR4 decides which features are on, and must not show bits that CPUID hides. */
	cpu->intercept(vcpu, INTERCEPT_CR4_WRITE, true);
	/* a test may ask us to emulate the others as well, though the processor could do it */
	for (enum intercept i = 0; vm->config->trap_cr && i <= INTERCEPT_CR4_READ; i++)
		cpu->intercept(vcpu, i, true);
	cpuid_refresh(vcpu);
	err = resident_create(vcpu);
	return err || !vm->paging->vcpu_create ? err : vm->paging->vcpu_create(vcpu);
}

void vcpu_destroy(struct vm *vm)
{
	struct vcpu *vcpu = vm->vcpu;

	resident_destroy(vcpu);
	cpu->vcpu_destroy(vcpu);
	kfree(vcpu, sizeof(*vcpu));
	vm->vcpu = NULL;
}

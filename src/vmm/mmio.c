/* SPDX-License-Identifier: BSD-3-Clause */
/* mmio.c: */
#include "lib/errno.h"
#include "vmm/vcpu.h"

int vcpu_mmio_exit(struct vcpu *vcpu, const struct exit *exit)
{
	return vm_fail(vcpu->vm, -ENOSYS,
		       "it touched physical address %#llx, where there is no RAM",
		       (unsigned long long)exit->memory.gpa.a);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * none.c: no memory virtualization at all: a guest's physical address is the machine's.
 *
 * That is what there is before the labs on memory. A guest without paging of its own runs well so, as
 * long as it is put where it expects to be and keeps to its memory. Nothing makes it do that: it can
 * read and write Casita, and every other VM. Good for seeing why labs 3 and 4 are needed.
 */
#include "lib/errno.h"
#include "vmm/exit.h"
#include "vmm/paging_ops.h"
#include "vmm/vm.h"

static bool none_present(const char **why)
{
	(void)why;
	return true;
}

static int none_vm_create(struct vm *vm)
{
	(void)vm;
	return 0;
}

static void none_vm_destroy(struct vm *vm)
{
	(void)vm;
}

static int none_vcpu_create(struct vcpu *vcpu)
{
	(void)vcpu;
	return 0;
}

static int none_remap(struct vm *vm, gpa_t start, u64 size)
{
	(void)vm, (void)start, (void)size;
	return 0;
}

/* There are no tables that could lack something. */
static int none_fault(struct vcpu *vcpu, const struct exit *exit)
{
	return vm_fail(vcpu->vm, -EIO, "a memory fault at %#llx without tables",
		       (unsigned long long)exit->memory.gpa.a);
}

static const struct paging_ops none_ops = {
	.name = "none",
	.rank = 0,
	.identity = true,
	.present = none_present,
	.vm_create = none_vm_create,
	.vm_destroy = none_vm_destroy,
	.vcpu_create = none_vcpu_create,
	.remap = none_remap,
	.fault = none_fault,
};
PAGING_MODE(none_ops);

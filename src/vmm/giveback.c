/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * giveback.c: a guest gives a page of its RAM back, and has none there from then on.
 *
 * It is what a balloon driver asks for, page by page. The memory map changes while the VM runs, as it
 * does when a device's registers are moved over RAM, and the paging mode has to follow.
 */
#include "vmm/hypercall.h"
#include "vmm/vm.h"

static s64 call_give_back(struct vcpu *vcpu, const u64 args[4], void *opaque)
{
	static const struct mem_hook nothing; /* reads give ones, writes are lost */

	return vm_hook_mem(vcpu->vm, GPA(args[0]), PAGE_SIZE, &nothing);
}

static const struct hypercall_hook give_back = {.number = 6, .fn = call_give_back};
HYPERCALL(give_back);

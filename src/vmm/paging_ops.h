/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * paging_ops.h: how a VM's memory is virtualized, one table for each way.
 * Modes announce themselves in the set `paging_modes` and are chosen for each VM by name.
 */
#ifndef VMM_PAGING_OPS_H
#define VMM_PAGING_OPS_H

#include "lib/set.h"
#include "lib/types.h"

struct vm;
struct vcpu;
struct exit;
struct mem_region;

struct paging_ops {
	const char *name;
	int rank;      /* where none is asked for, the highest that works is taken */
	bool identity; /* guest physical addresses are the machine's: RAM must be in its place */
	/* Can this machine do it? If not, @why says what is missing. */
	bool (*present)(const char **why);
	/* Build what the VM's memory map asks for; vm->memory is final but for later map calls. */
	int (*vm_create)(struct vm *vm);
	void (*vm_destroy)(struct vm *vm);
	/* Point a new virtual CPU at it, and set the intercepts that this mode needs. */
	int (*vcpu_create)(struct vcpu *vcpu);
	/* The memory map changed between @start and @start + @size. */
	int (*remap)(struct vm *vm, gpa_t start, u64 size);
	/*
	 * The guest touched something without a translation. Return: 0, mapped now, try again;
	 * -ENOENT, there is no RAM at that address (MMIO or a hole); another errno stops the VM.
	 */
	int (*fault)(struct vcpu *vcpu, const struct exit *exit);
};

SET_DECLARE(paging_modes, const struct paging_ops);
#define PAGING_MODE(object) SET_ADD(paging_modes, const struct paging_ops, object)

#endif

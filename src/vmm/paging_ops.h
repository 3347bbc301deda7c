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
	/* Can this machine do it? If not, @why says what is missing. NULL: every machine can. */
	bool (*present)(const char **why);
	/* Build what the VM's memory map asks for; vm->memory is final but for later map calls.
	 * NULL, and the three behind it: there is nothing to build, and vm->paging_state stays NULL. */
	int (*vm_create)(struct vm *vm);
	void (*vm_destroy)(struct vm *vm);
	/* Point a new virtual CPU at it, and set the intercepts that this mode needs. */
	int (*vcpu_create)(struct vcpu *vcpu);
	/* The memory map changed between @start and @start + @size. */
	int (*remap)(struct vm *vm, gpa_t start, u64 size);
	/*
	 * The guest touched something without a translation. Return: 0, mapped now, try again;
	 * -ENOENT, there is no RAM at that address (MMIO or a hole); another errno stops the VM.
	 * NULL: without nested paging there are no such faults.
	 */
	int (*fault)(struct vcpu *vcpu, const struct exit *exit);
	/*
	 * Make RAM in a range read-only for the guest, or writable again; a write is to be told to
	 * vm_dirty_note(), and allowed. NULL: this mode cannot. Return: 0 or -ENOMEM.
	 */
	int (*protect)(struct vm *vm, gpa_t start, u64 size, bool read_only);

	/*
	 * The rest is for a mode that keeps translations in software; NULL where the processor sees
	 * to it all. Such a mode has no PCIDs to offer, nor the instruction that names one, so the
	 * guest's CPUID shows neither if there is a page_fault().
	 */

	/* The guest, or whoever starts it, has written CR0, CR3, CR4 or EFER: forget what the
	 * manual says that this makes the processor forget. */
	void (*registers_written)(struct vcpu *vcpu);
	/* INVLPG. */
	void (*invlpg)(struct vcpu *vcpu, gva_t gva);
	/* We ourselves wrote guest RAM in the guest's place, where page tables may be. */
	void (*ram_written)(struct vm *vm, gpa_t gpa);
	/*
	 * #PF, seen before the guest sees it. Return: 0, it has been dealt with or given to the
	 * guest; -ENOENT, the access is right and at @gpa, where there is no RAM; another errno
	 * stops the VM.
	 */
	int (*page_fault)(struct vcpu *vcpu, const struct exit *exit, gpa_t *gpa);
};

/** paging_registers_written() - after a write that changes what addresses mean, if @translation. */
void paging_registers_written(struct vcpu *vcpu, bool translation);

SET_DECLARE(paging_modes, const struct paging_ops);
#define PAGING_MODE(object) SET_ADD(paging_modes, const struct paging_ops, object)

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dirty.c: which pages of its RAM has a guest written?
 *
 * Whoever copies a running VM elsewhere, or draws its screen, wants to know what has changed since he
 * looked last. The paging mode makes RAM read-only for the guest; a write is then a fault, after which
 * the page is noted here and may be written. Taking the notes makes it read-only again.
 *
 * What Casita itself writes in the guest's place is noted as well: vcpu_ram_written().
 *
 * A guest can watch itself, for tests: see hypercall.h.
 */
#include "vmm/hypercall.h"
#include "vmm/vm.h"

#define BITS 64

static u64 pages_in(const struct vm *vm)
{
	const struct mem_region *last = &vm->memory.regions[vm->memory.count - 1];

	return (last->start.a + last->size) >> PAGE_SHIFT;
}

static u64 bitmap_bytes(const struct vm *vm)
{
	return align_up(pages_in(vm), BITS) / 8;
}

void vm_dirty_end(struct vm *vm)
{
	if (!vm->memory.dirty)
		return;
	pages_free(ptr_hpa(vm->memory.dirty), bitmap_bytes(vm), false);
	vm->memory.dirty = NULL;
	vm->paging->protect(vm, GPA(0), pages_in(vm) << PAGE_SHIFT, false);
}

/* Return: 0, -EBUSY if it goes on already, -ENOSYS if the paging mode cannot, -ENOMEM. */
static int vm_dirty_begin(struct vm *vm)
{
	if (!vm->paging->protect)
		return -ENOSYS;
	if (vm->memory.dirty)
		return -EBUSY;
	vm->memory.dirty = pages_alloc_zero(bitmap_bytes(vm), PAGE_SIZE);
	if (!vm->memory.dirty)
		return -ENOMEM;
	return vm->paging->protect(vm, GPA(0), pages_in(vm) << PAGE_SHIFT, true);
}

void vm_dirty_note(struct vm *vm, gpa_t gpa)
{
	u64 page = gpa.a >> PAGE_SHIFT;

	if (vm->memory.dirty && page < pages_in(vm))
		vm->memory.dirty[page / BITS] |= BIT(page % BITS);
}

/* Has that page been written since it was asked about last? */
static bool vm_dirty_take(struct vm *vm, gpa_t gpa)
{
	u64 page = gpa.a >> PAGE_SHIFT;
	u64 bit = BIT(page % BITS);

	if (!vm->memory.dirty || page >= pages_in(vm) || !(vm->memory.dirty[page / BITS] & bit))
		return false;
	vm->memory.dirty[page / BITS] &= ~bit;
	vm->paging->protect(vm, GPA(page << PAGE_SHIFT), PAGE_SIZE, true);
	return true;
}

/* ---- for a guest that watches itself ---------------------------------------------------------- */

#define DIRTY_PAGES 32 /* as many as a 32-bit guest's EAX has bits */

static s64 call_log(struct vcpu *vcpu, const u64 args[4], void *opaque)
{
	if (args[0])
		return vm_dirty_begin(vcpu->vm);
	vm_dirty_end(vcpu->vm);
	return 0;
}

static s64 call_take(struct vcpu *vcpu, const u64 args[4], void *opaque)
{
	u64 written = 0;

	for (u64 i = 0; i < DIRTY_PAGES; i++)
		written |= (u64)vm_dirty_take(vcpu->vm, GPA(args[0] + i * PAGE_SIZE)) << i;
	return written;
}

static const struct hypercall_hook dirty_log = {.number = 4, .fn = call_log};
static const struct hypercall_hook dirty_take = {.number = 5, .fn = call_take};
HYPERCALL(dirty_log);
HYPERCALL(dirty_take);

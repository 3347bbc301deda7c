/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * memory.c: the VM's memory map, the only place where a gpa_t becomes an hpa_t.
 *
 * The map is a sorted array; a VM has a handful of regions, and the first, low RAM, is where nearly
 * every look-up ends, so a linear search from the start beats anything cleverer.
 *
 * Hooking a device over RAM splits the RAM region around it. The host memory under the hole is kept
 * (vm->memory.blocks has the host memory as it was allocated) and freed with the rest.
 */
#include "vmm/memory.h"
#include "vmm/vm.h"

static bool overlaps(const struct mem_region *r, gpa_t start, u64 size)
{
	return start.a < r->start.a + r->size && r->start.a < start.a + size;
}

/* Insert at its place in the order; the caller has checked that nothing overlaps. */
static int insert(struct memory *m, const struct mem_region *region)
{
	unsigned i;

	if (m->count == MEM_REGIONS)
		return -ENOSPC;
	for (i = m->count; i > 0 && m->regions[i - 1].start.a > region->start.a; i--)
		m->regions[i] = m->regions[i - 1];
	m->regions[i] = *region;
	m->count++;
	return 0;
}

static bool bad_range(gpa_t start, u64 size)
{
	return !size || !is_aligned(start.a, PAGE_SIZE) || !is_aligned(size, PAGE_SIZE) ||
	       start.a + size < start.a;
}

int vm_add_ram(struct vm *vm, gpa_t start, u64 size, hpa_t host)
{
	struct memory *m = &vm->memory;
	struct mem_region region = {.start = start, .size = size, .kind = MEM_RAM, .host = host};
	int err;

	if (bad_range(start, size) || !is_aligned(host.a, PAGE_SIZE))
		return -EINVAL;
	for (unsigned i = 0; i < m->count; i++)
		if (overlaps(&m->regions[i], start, size))
			return -EEXIST;
	err = insert(m, &region);
	if (!err)
		m->ram_size += size;
	return err;
}

/*
 * Cut [start, start + size) out of the RAM regions it lies in: nothing, a head, a tail or both are
 * left of each. Room for the one region more that a split makes has been checked.
 */
static void punch_hole(struct memory *m, gpa_t start, u64 size)
{
	u64 end = start.a + size;

	for (unsigned i = m->count; i-- > 0;) {
		struct mem_region *r = &m->regions[i], tail = *r;
		u64 r_end = r->start.a + r->size;

		if (r->kind != MEM_RAM || !overlaps(r, start, size))
			continue;
		m->ram_size -= min(end, r_end) - max(start.a, r->start.a);
		if (start.a > r->start.a)
			r->size = start.a - r->start.a;
		else
			memmove(r, r + 1, (--m->count - i) * sizeof(*r));
		if (r_end > end) {
			tail.host = hpa_add(tail.host, end - tail.start.a);
			tail.start = GPA(end);
			tail.size = r_end - end;
			insert(m, &tail);
		}
	}
}

int vm_hook_mem(struct vm *vm, gpa_t start, u64 size, const struct mem_hook *hook)
{
	struct memory *m = &vm->memory;
	struct mem_region region = {.start = start, .size = size, .kind = MEM_MMIO, .hook = *hook};
	int err;

	if (bad_range(start, size))
		return -EINVAL;
	for (unsigned i = 0; i < m->count; i++)
		if (m->regions[i].kind == MEM_MMIO && overlaps(&m->regions[i], start, size))
			return -EEXIST;
	if (m->count + 2 > MEM_REGIONS)
		return -ENOSPC;
	punch_hole(m, start, size);
	err = insert(m, &region);
	if (!err && vm->paging && vm->paging_state)
		err = vm->paging->remap(vm, start, size);
	return err;
}

const struct mem_region *vm_region(const struct vm *vm, gpa_t gpa)
{
	const struct mem_region *r = vm->memory.regions;

	for (unsigned i = 0; i < vm->memory.count; i++, r++)
		if (gpa.a - r->start.a < r->size)
			return r;
	return NULL;
}

void *vm_ptr_anywhere(const struct vm *vm, gpa_t gpa, u64 size)
{
	const struct mem_region *r = vm_region(vm, gpa);
	u64 offset;

	if (unlikely(!r || r->kind != MEM_RAM))
		return NULL;
	offset = gpa.a - r->start.a;
	if (unlikely(size > r->size - offset))
		return NULL;
	return hpa_ptr(hpa_add(r->host, offset));
}

/* Below 3 GiB a PC's memory is in one piece; the rest above 4 GiB: devices live between. */
#define LOW_MAX	   (3 * GIB)
#define HIGH_START (4 * GIB)

/* It is the VM's from now on, even if it has no place in the map. */
static int add_block(struct vm *vm, gpa_t start, u64 size, hpa_t host)
{
	vm->memory.blocks[vm->memory.block_count++] = (struct mem_block){host, size};
	return vm_add_ram(vm, start, size, host);
}

static int alloc_block(struct vm *vm, gpa_t start, u64 size)
{
	hpa_t host = pages_alloc(size, LARGE_SIZE);
	u64 largest, available = pages_available(&largest);

	if (!host.a)
		return vm_fail(vm, -ENOMEM,
			       "%llu MiB of memory are wanted in one piece; the "
			       "machine has %llu MiB left, the largest piece %llu MiB",
			       size / MIB, available / MIB, largest / MIB);
	return add_block(vm, start, size, host);
}

/*
 * Without translation the guest's RAM is the machine's at the same address. Guests for that are linked
 * at 32 MiB, where Casita and what the boot loader put behind it have long ended; at= moves it.
 */
#define IDENTITY_START (32 * MIB)

static int add_identity(struct vm *vm, u64 size)
{
	u64 at = vm->config->at;
	u64 start = at == UINT64_MAX ? IDENTITY_START : align_down(at, LARGE_SIZE);

	if (!pages_take(HPA(start), size))
		return vm_fail(
			vm, -ENOMEM,
			"without paging its RAM is the machine's own, and %llu MiB from address "
			"%#lx on are not free: give the machine more, or move it with at=",
			size / MIB, start);
	return add_block(vm, GPA(start), size, HPA(start));
}

int memory_create(struct vm *vm, u64 size)
{
	int err;

	if (vm->paging && vm->paging->identity)
		return add_identity(vm, size);
	err = alloc_block(vm, GPA(0), min(size, LOW_MAX));
	return err || size <= LOW_MAX ? err : alloc_block(vm, GPA(HIGH_START), size - LOW_MAX);
}

void memory_destroy(struct vm *vm)
{
	struct memory *m = &vm->memory;

	for (unsigned i = 0; i < m->block_count; i++)
		pages_free(m->blocks[i].host, m->blocks[i].size, true);
	*m = (struct memory){0};
}

void paging_registers_written(struct vcpu *vcpu, bool translation)
{
	const struct paging_ops *paging = vcpu->vm->paging;

	if (paging && paging->registers_written)
		paging->registers_written(vcpu);
	else if (translation)
		cpu->flush(vcpu);
}

void vcpu_ram_written(struct vm *vm, gpa_t gpa)
{
	vm_dirty_note(vm, gpa);
	if (vm->paging && vm->paging->ram_written)
		vm->paging->ram_written(vm, gpa);
}

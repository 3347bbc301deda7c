/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * nested.c: nested paging, where the processor translates the guest's physical addresses with a
 * second set of page tables. APM vol. 2 §15.25.
 *
 * The tables are built once, from the VM's memory map, with 2 MiB pages wherever guest and host
 * addresses allow it, so that RAM never costs an exit again. What the map does not have stays
 * absent: touching it is a nested page fault, and so becomes an access to a device or to nothing.
 *
 * The format is that of long-mode page tables. Every entry carries U/S: a nested access is a user
 * access (§15.25.5), whatever the guest itself is doing.
 *
 *	guest physical address
 *	 47      39 38      30 29      21 20                    0
 *	| level 4  | level 3  | level 2  |     in a 2 MiB page    |
 */
#include "host/host.h"
#include "lib/errno.h"
#include "lib/lab.h"
#include "vmm/paging_ops.h"
#include "vmm/exit.h"
#include "vmm/vm.h"
#include "x86/paging.h"

#define ROOT_LEVEL  4
#define LARGE_LEVEL 2
#define LINK	    (PTE_P | PTE_W | PTE_U)
#define LEAF	    (PTE_P | PTE_W | PTE_U | PTE_A | PTE_D)

static u64 *new_table(void)
{
	return pages_alloc_zero(PAGE_SIZE, PAGE_SIZE);
}

static u64 *table_of(u64 entry)
{
	return hpa_ptr(HPA(entry & PTE_ADDR));
}

/* Replace a 2 MiB page by a table of 512 small ones that say the same. */
static int splinter(u64 *entry)
{
#if SOLVED >= 4
	u64 *table = new_table();
	u64 page = *entry & (PTE_ADDR | LEAF);

	if (!table)
		return -ENOMEM;
	for (unsigned i = 0; i < PT_ENTRIES; i++)
		table[i] = page + i * PAGE_SIZE;
	*entry = ptr_hpa(table).a | LINK;
	return 0;
#else
	/*
	 * Exercise 4.2. A new table whose 512 entries map the same memory with the same rights as the
	 * large page did; then, and only then, the entry links to it. -ENOMEM if there is no page for
	 * a table: nothing has changed then.
	 *
	 * Hint: in a small page's entry, bit 7 (PTE_PS) means something else.
	 */
	LAB(4, "4.2", "replace a large page by small ones");
#endif
}

/*
 * The entry for @gpa at @level, with the tables above it made as needed; NULL if there is no memory
 * for one.
 */
static u64 *entry_at(u64 *root, gpa_t gpa, int level)
{
#if SOLVED >= 4
	u64 *table = root;

	for (int l = ROOT_LEVEL; l > level; l--) {
		u64 *entry = &table[pt_index(gpa.a, l)];

		if (!(*entry & PTE_P)) {
			u64 *next = new_table();

			if (!next)
				return NULL;
			*entry = ptr_hpa(next).a | LINK;
		} else if (*entry & PTE_PS) {
			if (splinter(entry))
				return NULL;
		}
		table = table_of(*entry);
	}
	return &table[pt_index(gpa.a, level)];
#else
	/*
	 * Exercise 4.2, continued. From the root down to @level: an entry that is not present gets a
	 * new table, a large page on the way is splintered. Return a pointer to the entry, so that
	 * the caller can write it.
	 *
	 * Handout: lab 4, "The tables". APM vol. 2 §15.25.5, §5.3.
	 */
	LAB(4, "4.2", "find a nested entry, making tables on the way");
#endif
}

/* The entry that maps @gpa, or would; how much it maps in *@step. NULL: tables end above it. */
static u64 *find_leaf(u64 *root, gpa_t gpa, u64 *step)
{
	u64 *table = root;

	for (int l = ROOT_LEVEL;; l--) {
		u64 *entry = &table[pt_index(gpa.a, l)];

		*step = PAGE_SIZE << 9 * (l - 1);
		if (l == 1 || (*entry & PTE_PS))
			return entry;
		if (!(*entry & PTE_P))
			return NULL;
		table = table_of(*entry);
	}
}

static int map_ram(u64 *root, gpa_t gpa, hpa_t hpa, u64 size)
{
#if SOLVED >= 4
	while (size) {
		bool large = is_aligned(gpa.a | hpa.a, LARGE_SIZE) && size >= LARGE_SIZE;
		u64 step = large ? LARGE_SIZE : PAGE_SIZE;
		u64 *entry = entry_at(root, gpa, large ? LARGE_LEVEL : 1);

		if (!entry)
			return -ENOMEM;
		*entry = hpa.a | LEAF | (large ? PTE_PS : 0);
		gpa = gpa_add(gpa, step);
		hpa = hpa_add(hpa, step);
		size -= step;
	}
	return 0;
#else
	/*
	 * Exercise 4.2, continued. Map @size bytes from @gpa on to @hpa: a 2 MiB page wherever both
	 * addresses are aligned for it and as much is left, 4 KiB pages elsewhere. -ENOMEM.
	 *
	 * Hint: LEAF has U/S set, because to the nested walk every access is a user's.
	 */
	LAB(4, "4.2", "map RAM in the nested tables");
#endif
}

static int nested_vm_create(struct vm *vm)
{
	u64 *root = new_table();

	if (!root)
		return -ENOMEM;
	vm->paging_state = root;
	for (unsigned i = 0; i < vm->memory.count; i++) {
		const struct mem_region *r = &vm->memory.regions[i];
		int err = r->kind == MEM_RAM ? map_ram(root, r->start, r->host, r->size) : 0;

		if (err)
			return err;
	}
	return 0;
}

static void free_tables(u64 *table, int level)
{
	for (unsigned i = 0; level > 1 && i < PT_ENTRIES; i++) {
		if ((table[i] & PTE_P) && !(table[i] & PTE_PS))
			free_tables(table_of(table[i]), level - 1);
	}
	pages_free(ptr_hpa(table), PAGE_SIZE, false);
}

static void nested_vm_destroy(struct vm *vm)
{
	free_tables(vm->paging_state, ROOT_LEVEL);
	vm->paging_state = NULL;
}

static int nested_vcpu_create(struct vcpu *vcpu)
{
	cpu->set_nested_root(vcpu, ptr_hpa(vcpu->vm->paging_state));
	return 0;
}

/* Make the tables agree with the memory map in a range, page by page: it is short and rare. */
static int nested_remap(struct vm *vm, gpa_t start, u64 size)
{
#if SOLVED >= 4
	for (u64 offset = 0; offset < size; offset += PAGE_SIZE) {
		gpa_t gpa = gpa_add(start, offset);
		const void *ram = vm_ptr(vm, gpa, PAGE_SIZE);
		u64 *entry = entry_at(vm->paging_state, gpa, 1);

		if (!entry)
			return -ENOMEM;
		*entry = ram ? ptr_hpa(ram).a | LEAF : 0;
	}
	if (vm->vcpu)
		cpu->flush(vm->vcpu);
	return 0;
#else
	/*
	 * Exercise 4.3. The memory map has changed from @start on: for each page, the nested entry is
	 * what vm_ptr() says now, RAM or nothing. Then forget what the processor has cached
	 * (cpu->flush), if there is a virtual CPU yet.
	 */
	LAB(4, "4.3", "follow the memory map");
#endif
}

/*
 * Make all that is mapped in a range read-only, or writable. Large pages stay large: the first write to
 * one splinters it.
 */
static int nested_protect(struct vm *vm, gpa_t start, u64 size, bool read_only)
{
#if SOLVED >= 4
	gpa_t gpa = start, end = gpa_add(start, size);
	u64 step;

	for (; gpa.a < end.a; gpa = GPA(align_down(gpa.a, step) + step)) {
		u64 *entry = find_leaf(vm->paging_state, gpa, &step);

		bool part = !is_aligned(gpa.a, step) || end.a - gpa.a < step;

		if (entry && part) { /* of a large page, for ranges are whole pages */
			entry = entry_at(vm->paging_state, gpa, 1);
			step = PAGE_SIZE;
			if (!entry)
				return -ENOMEM;
		}
		if (entry && (*entry & PTE_P))
			*entry = read_only ? *entry & ~PTE_W : *entry | PTE_W;
	}
	if (vm->vcpu)
		cpu->flush(vm->vcpu);
	return 0;
#else
	/*
	 * Exercise 4.4. Go through what is mapped in the range (find_leaf), and take the right to
	 * write away, or give it. A large page that lies in the range only in part is splintered. The
	 * processor may have the old rights cached.
	 *
	 * Handout: lab 4, "Who wrote?".
	 */
	LAB(4, "4.4", "make memory read-only");
#endif
}

/*
 * RAM is mapped from the start, so a fault on it is a write to a page that is being watched; any other
 * is about something else. (Whether the tables had it is not to be learned from the exit: QEMU's
 * "present" bit is not right. The tables are walked.)
 */
static int nested_fault(struct vcpu *vcpu, const struct exit *exit)
{
#if SOLVED >= 4
	struct vm *vm = vcpu->vm;
	gpa_t gpa = exit->memory.gpa;

	if (!vm_ptr(vm, gpa, 1))
		return -ENOENT;
	if (vm->memory.dirty && exit->memory.error & PF_WRITE) {
		u64 *entry = entry_at(vm->paging_state, gpa, 1);

		if (!entry)
			return -ENOMEM;
		*entry |= PTE_W; /* more rights need no flush (APM vol. 2 §5.5.2) */
		vm_dirty_note(vm, gpa);
		return 0;
	}
	return vm_fail(vcpu->vm, -EIO, "a nested page fault (error %#x) on RAM at %#llx",
		       exit->memory.error, (unsigned long long)exit->memory.gpa.a);
#else
	/*
	 * Exercise 4.4, continued. Whose fault is it? No RAM at the address: -ENOENT, a device's. A
	 * write to RAM while writes are being noted (vm->memory.dirty): note it, let it through from
	 * now on, 0. Anything else on RAM is a mistake of ours: vm_fail() with -EIO.
	 *
	 * Hint: do not trust the error code's "present" bit; look at what you know.
	 */
	LAB(4, "4.4", "sort a nested page fault");
#endif
}

static bool nested_present(const char **why)
{
	if (cpu->has_nested_paging())
		return true;
	*why = "the processor has no nested paging";
	return false;
}

static const struct paging_ops nested_ops = {
	.name = "nested",
	.rank = 3,
	.present = nested_present,
	.vm_create = nested_vm_create,
	.vm_destroy = nested_vm_destroy,
	.vcpu_create = nested_vcpu_create,
	.remap = nested_remap,
	.fault = nested_fault,
	.protect = nested_protect,
};
PAGING_MODE(nested_ops);

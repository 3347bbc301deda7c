/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * boot_info.c: what the Multiboot loader left for us (command line, modules, memory map), and
 * taking possession of the memory. Multiboot Specification 0.6.96 §3.3.
 *
 * Nothing is copied: used[] names every byte that somebody needs, the page allocator keeps away
 * from them, and so the strings stay good for ever. The allocator gets the rest, except the first
 * MiB, which belongs to the firmware and, one day, to the start of further processors. Not a byte
 * is touched but the allocator's bitmap: zeroing memory that nobody may ever want is work.
 *
 * A loader promises that its modules lie in memory; QEMU's does not check. When the machine has too
 * little, the end of the last module is simply missing, and everything later would go wrong in
 * interesting ways. So the modules are compared with the memory map first.
 *
 * All memory is mapped at its own address. boot.S did so for the first 4 GiB; the rest follows in
 * 1 GiB pages. (Device registers between memory need no care: firmware marks them as uncached in
 * the MTRRs, which win over the page tables' write back, APM vol. 2 §7.8.4.)
 */
#include "host/host.h"
#include "host/cpu.h"
#include "host/internal.h"
#include "host/multiboot.h"
#include "lib/print.h"
#include "lib/string.h"
#include "x86/paging.h"

#define MOST_MODULES	 64
#define CPUID_1GIB_PAGES BIT(26) /* leaf 0x80000001, EDX */

extern u64 boot_pdpt[PT_ENTRIES], boot_pt[PT_ENTRIES];

static const struct multiboot_info *info;
static const char *cmdline = "";
static struct boot_module modules[MOST_MODULES];
static unsigned module_count;

/* ---- the memory map, and what is in use ------------------------------------------------------ */

/* Casita, the loader's four tables and strings, each module and its string, the bitmap. */
static struct range {
	u64 start, end; /* from start up to, not including, end */
} used[6 + 2 * MOST_MODULES];
static unsigned used_count;

static void *at(u64 address)
{
	return hpa_ptr(HPA(address));
}

static void *use(u64 address, u64 bytes)
{
	used[used_count++] = (struct range){address, address + bytes};
	return at(address);
}

static const char *use_string(u64 address)
{
	return address ? use(address, strlen(at(address)) + 1) : "";
}

/* Walks the memory map: the first entry after NULL, NULL after the last. */
static const struct multiboot_memory *next_memory(const struct multiboot_memory *m)
{
	u64 next = m ? ptr_hpa(m).a + sizeof(m->size) + m->size : info->mmap_addr;

	return next < info->mmap_addr + info->mmap_length ? at(next) : NULL;
}

static const struct multiboot_memory *next_ram(const struct multiboot_memory *m)
{
	while ((m = next_memory(m)) && m->type != MULTIBOOT_MEMORY_RAM)
		;
	return m;
}

static u64 end_of(const struct multiboot_memory *m)
{
	return m->base + m->length;
}

/* The end of the piece of memory that @address lies in; 0 if it lies in none. */
static u64 memory_end_at(u64 address)
{
	const struct multiboot_memory *m = NULL;

	while ((m = next_ram(m)))
		if (m->base <= address && address < end_of(m))
			return end_of(m);
	return 0;
}

/* ---- command line and modules ---------------------------------------------------------------- */

static void read_module(const struct multiboot_module *m)
{
	u64 memory_end = memory_end_at(m->start), bytes = m->end - m->start;
	const char *string = use_string(m->string);

	if (bytes && m->end > memory_end)
		host_refuse(
			"the module '%s' does not fit into memory: it would take 0x%x to 0x%x, "
			"but the memory there ends at 0x%lx: give the machine more than %llu MiB",
			string, m->start, m->end, memory_end, align_up(m->end, MIB) / MIB);
	modules[module_count++] = (struct boot_module){use(m->start, bytes), bytes, string};
}

static void read_modules(void)
{
	const struct multiboot_module *list = at(info->mods_addr);

	if (info->mods_count > MOST_MODULES)
		host_refuse("%u modules, more than %u", info->mods_count, MOST_MODULES);
	use(info->mods_addr, info->mods_count * sizeof(*list));
	for (unsigned i = 0; i < info->mods_count; i++)
		read_module(&list[i]);
}

const char *boot_cmdline(void)
{
	return cmdline;
}

const struct boot_module *boot_modules(unsigned *count)
{
	*count = module_count;
	return modules;
}

/* ---- the page allocator's share -------------------------------------------------------------- */

/* Where @bytes from @start on overlap something that is in use, its end; else 0. */
static u64 end_of_used_in(u64 start, u64 bytes)
{
	for (const struct range *r = used; r < used + used_count; r++)
		if (r->start < start + bytes && start < r->end)
			return r->end;
	return 0;
}

/* The lowest @bytes of memory above the first MiB that nobody uses. */
static void *find_unused(u64 bytes)
{
	const struct multiboot_memory *m = NULL;
	u64 start, used_end;

	while ((m = next_ram(m))) {
		start = align_up(max(m->base, MIB), PAGE_SIZE);
		while ((used_end = end_of_used_in(start, bytes)))
			start = align_up(used_end, PAGE_SIZE);
		if (start + bytes <= min(end_of(m), 4 * GIB))
			return use(start, bytes);
	}
	host_refuse("no room for %llu KiB to keep account of the memory", bytes / KIB);
}

/* The end of all memory, as far as it can be mapped: with one page directory pointer table. */
static u64 end_of_memory(void)
{
	bool large = cpuid(0x80000001, 0).edx & CPUID_1GIB_PAGES;
	u64 top = 0, limit = large ? PT_ENTRIES * GIB : 4 * GIB;
	const struct multiboot_memory *m = NULL;

	while ((m = next_ram(m)))
		top = max(top, end_of(m));
	if (top > limit)
		print("casita: using memory up to %llu GiB, of %llu\n", limit / GIB, top / GIB);
	return min(top, limit);
}

static void fill_allocator(u64 top)
{
	const struct multiboot_memory *m = NULL;

	pages_init(find_unused(pages_bitmap_bytes(top)), top);
	while ((m = next_ram(m)))
		pages_add(m->base, end_of(m));
	/* afterwards, because the entries of a memory map may overlap */
	while ((m = next_memory(m)))
		if (m->type != MULTIBOOT_MEMORY_RAM)
			pages_reserve(m->base, end_of(m));
	for (unsigned i = 0; i < used_count; i++)
		pages_reserve(used[i].start, used[i].end);
	pages_reserve(0, MIB);
}

/* ---- page tables ----------------------------------------------------------------------------- */

static void map_memory(u64 top)
{
	/* code and constants are not to be written, and below the stack there is nothing */
	for (u64 p = (uintptr_t)image_start; p < (uintptr_t)data_start; p += PAGE_SIZE)
		boot_pt[pt_index(p, 1)] &= ~PTE_W;
	boot_pt[pt_index((uintptr_t)boot_stack_guard, 1)] = 0;
	write_cr3(read_cr3()); /* forget the translations of before */

	for (u64 start = 4 * GIB; start < top; start += GIB)
		boot_pdpt[pt_index(start, 3)] = start | PTE_P | PTE_W | PTE_PS;
}

void boot_info_init(u32 magic, u64 address)
{
	u64 top;

	if (magic != MULTIBOOT_LOADED)
		host_refuse("not started by a Multiboot 1 loader (EAX is 0x%x, not 0x%x)", magic,
			    MULTIBOOT_LOADED);
	info = use(address, sizeof(*info));
	if (!(info->flags & MULTIBOOT_INFO_MMAP))
		host_refuse("the loader gave no memory map (flags 0x%x)", info->flags);
	use((uintptr_t)image_start, image_end - image_start);
	use(info->mmap_addr, info->mmap_length);
	if (info->flags & MULTIBOOT_INFO_CMDLINE) {
		/* begins with the program's own name, as every program's arguments do */
		cmdline = strchr(use_string(info->cmdline), ' ');
		cmdline = cmdline ? cmdline + 1 : "";
	}
	if (info->flags & MULTIBOOT_INFO_MODULES)
		read_modules();

	top = end_of_memory();
	fill_allocator(top);
	map_memory(top);
}

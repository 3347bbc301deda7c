/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * memory.c: taking possession of the machine's memory.
 *
 * The loader's memory map says what there is, boot_used() what lies in it already. The page
 * allocator gets the rest, except the first MiB, which belongs to the firmware and, one day, to the
 * start of further processors. Not a byte of it is touched here but the allocator's bitmap: zeroing
 * memory that nobody may ever want is work.
 *
 * All of it is mapped at its own address. boot.S did so for the first 4 GiB; the rest follows in
 * 1 GiB pages, or, where the processor has none, in 2 MiB pages. (Device registers between memory
 * need no care: firmware marks them as uncached in the MTRRs, which win over the page tables' write
 * back, APM vol. 2 §7.8.4.)
 *
 *	1. the map of the first 2 MiB: traps for common mistakes
 *	2. the map above 4 GiB
 *	3. a place for the bitmap
 *	4. filling it in
 */
#include "host/host.h"
#include "host/boot_info.h"
#include "host/cpu.h"
#include "host/exit.h"
#include "host/memory.h"
#include "host/pages.h"
#include "lib/print.h"
#include "x86/paging.h"

#define MAP_LIMIT	 (512 * GIB) /* what one page directory pointer table maps */
#define CPUID_1GIB_PAGES BIT(26)     /* leaf 0x80000001, EDX */

extern u64 boot_pdpt[PT_ENTRIES], boot_pt[PT_ENTRIES];
extern const u8 image_start[], data_start[], boot_stack_guard[];

/* ---- 1. the first 2 MiB ------------------------------------------------------------------ */

/* Code and constants are not to be written, and below the stack there is nothing. */
static void protect_image(void)
{
	for (u64 p = (uintptr_t)image_start; p < (uintptr_t)data_start; p += PAGE_SIZE)
		boot_pt[pt_index(p, 1)] &= ~PTE_W;
	boot_pt[pt_index((uintptr_t)boot_stack_guard, 1)] = 0;
	write_cr3(read_cr3()); /* forget the translations of before */
}

/* ---- 2. above 4 GiB ----------------------------------------------------------------------- */

static void map_gib_in_parts(u64 start)
{
	u64 *pd = pages_alloc_zero(PAGE_SIZE, PAGE_SIZE);

	if (!pd)
		panic("no memory for the page tables of memory");
	for (u64 i = 0; i < PT_ENTRIES; i++)
		pd[i] = (start + i * LARGE_SIZE) | PTE_P | PTE_W | PTE_PS;
	boot_pdpt[pt_index(start, 3)] = ptr_hpa(pd).a | PTE_P | PTE_W;
}

static void map_high(u64 top)
{
	bool whole = cpuid(0x80000001, 0).edx & CPUID_1GIB_PAGES;

	for (u64 start = 4 * GIB; start < top; start += GIB) {
		if (whole)
			boot_pdpt[pt_index(start, 3)] = start | PTE_P | PTE_W | PTE_PS;
		else
			map_gib_in_parts(start);
	}
}

/* ---- 3. a place for the bitmap ------------------------------------------------------------ */

/* Where @r overlaps something that is in use, its end; else 0. */
static u64 end_of_used_in(struct range r)
{
	struct range used;

	for (unsigned i = 0; boot_used(i, &used); i++)
		if (used.start < r.end && r.start < used.end)
			return used.end;
	return 0;
}

/* The lowest @bytes of memory above the first MiB that nobody uses. */
static u64 find_unused(u64 bytes)
{
	struct range r;
	bool is_ram;

	for (unsigned i = 0; boot_memory(i, &r, &is_ram); i++) {
		u64 start = align_up(max(r.start, MIB), PAGE_SIZE), used;

		if (!is_ram)
			continue;
		while ((used = end_of_used_in((struct range){start, start + bytes})))
			start = align_up(used, PAGE_SIZE);
		if (start + bytes <= min(r.end, 4 * GIB))
			return start;
	}
	print("casita: no room for %llu KiB to keep account of the memory\n", bytes / KIB);
	host_exit(HOST_EXIT_REFUSED);
}

/* ---- 4. filling it in --------------------------------------------------------------------- */

static u64 end_of_memory(void)
{
	u64 top = 0;
	struct range r;
	bool is_ram;

	for (unsigned i = 0; boot_memory(i, &r, &is_ram); i++)
		if (is_ram)
			top = max(top, r.end);
	if (top > MAP_LIMIT) {
		print("casita: using %llu GiB of %llu GiB of memory\n", MAP_LIMIT / GIB, top / GIB);
		top = MAP_LIMIT;
	}
	return top;
}

void memory_init(void)
{
	u64 top = end_of_memory(), bytes = pages_bitmap_bytes(top), bitmap = find_unused(bytes);
	struct range r;
	bool is_ram;

	pages_init(hpa_ptr(HPA(bitmap)), top);
	for (unsigned i = 0; boot_memory(i, &r, &is_ram); i++)
		if (is_ram)
			pages_add(r.start, r.end);
	/* afterwards, because the entries of a memory map may overlap */
	for (unsigned i = 0; boot_memory(i, &r, &is_ram); i++)
		if (!is_ram)
			pages_reserve(r.start, r.end);
	for (unsigned i = 0; boot_used(i, &r); i++)
		pages_reserve(r.start, r.end);
	pages_reserve(bitmap, bitmap + bytes);
	pages_reserve(0, MIB);

	protect_image();
	map_high(top);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * paging.c: see paging.h. Entries have 32 bits in 32-bit paging and 64 otherwise; everything else
 * is alike, so one table type serves all.
 */
#include "lib/paging.h"

union table {
	u32 narrow[1024];
	u64 wide[512];
};

static union table small_pages __aligned(4096); /* the window's page table */
static union table directory __aligned(4096);	/* the page directory in which the window is */
static enum paging_mode mode;

static void set(union table *t, unsigned i, u64 value)
{
	if (mode == PAGING_32)
		t->narrow[i] = value;
	else
		t->wide[i] = value;
}

static u64 get(const union table *t, unsigned i)
{
	return mode == PAGING_32 ? t->narrow[i] : t->wide[i];
}

/* 32-bit paging has one directory for 4 GiB; in the other modes the one of the second GiB. */
static unsigned directory_index(void)
{
	return mode == PAGING_32 ? WINDOW >> 22 : 0;
}

#ifdef __x86_64__

extern u64 boot_pdpt[];

void paging_start(enum paging_mode new_mode)
{
	mode = new_mode;
	set(&directory, directory_index(), (reg_t)&small_pages | PTE_ALL);
	boot_pdpt[1] = (reg_t)&directory | PTE_ALL;
	write_cr3(read_cr3());
}

#else

static union table identity __aligned(4096); /* PAE: the first GiB */
static u64 pointers[4] __aligned(32);	     /* PAE: page directory pointers */

static void make_32(void)
{
	for (unsigned i = 0; i < 256; i++)
		directory.narrow[i] = i << 22 | PTE_ALL | PTE_LARGE;
}

static void make_pae(void)
{
	for (unsigned i = 0; i < 512; i++)
		identity.wide[i] = (u64)i << 21 | PTE_ALL | PTE_LARGE;
	pointers[0] = (reg_t)&identity | PTE_PRESENT; /* no other flags here in PAE */
	pointers[1] = (reg_t)&directory | PTE_PRESENT;
}

void paging_start(enum paging_mode new_mode)
{
	reg_t cr4 = read_cr4() & ~(CR4_PAE | CR4_PSE);

	write_cr0(read_cr0() & ~CR0_PG);
	mode = new_mode;
	if (mode == PAGING_OFF)
		return;
	memset(&directory, 0, sizeof(directory));
	memset(&small_pages, 0, sizeof(small_pages));
	if (mode == PAGING_32)
		make_32();
	else
		make_pae();
	set(&directory, directory_index(), (reg_t)&small_pages | PTE_ALL);
	write_cr4(cr4 | (mode == PAGING_32 ? CR4_PSE : CR4_PAE));
	write_cr3(mode == PAGING_32 ? (reg_t)&directory : (reg_t)pointers);
	write_cr0(read_cr0() | CR0_PG);
}

#endif

void window_map(unsigned n, const void *frame, u64 flags)
{
	set(&small_pages, n, flags ? (reg_t)frame | flags : 0);
	invlpg(window(n));
}

u64 window_entry(unsigned n)
{
	return get(&small_pages, n);
}

u8 *large_page(void)
{
	return (u8 *)(WINDOW + (mode == PAGING_32 ? 4u << 20 : 2u << 20));
}

void large_map(reg_t at, u64 flags)
{
	set(&directory, directory_index() + 1, flags ? at | flags | PTE_LARGE : 0);
	invlpg(large_page());
}

u64 large_entry(void)
{
	return get(&directory, directory_index() + 1);
}

u64 window_directory_entry(void)
{
	return get(&directory, directory_index());
}

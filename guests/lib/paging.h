/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * paging.h: page tables for the tests: 32-bit, PAE and long mode (APM vol. 2 chapter 5).
 *
 * All of them map the first GiB one to one, with large pages, for ring 3 too. Above, at WINDOW, lie
 * 512 small pages, not present, for the guest to play with, and behind these one large page.
 */
#ifndef GUEST_PAGING_H
#define GUEST_PAGING_H

#include "lib/cpu.h"

enum paging_mode { PAGING_OFF, PAGING_32, PAGING_PAE, PAGING_LONG };

#define WINDOW	     0x40000000ul
#define WINDOW_PAGES 512

#define PTE_PRESENT  BIT(0)
#define PTE_WRITE    BIT(1)
#define PTE_USER     BIT(2)
#define PTE_ACCESSED BIT(5)
#define PTE_DIRTY    BIT(6)
#define PTE_LARGE    BIT(7) /* in a page directory entry */
#define PTE_GLOBAL   BIT(8)
#define PTE_NX	     BIT(63)
#define PTE_ALL	     (PTE_PRESENT | PTE_WRITE | PTE_USER)

#define PF_PRESENT   BIT(0)
#define PF_WRITE     BIT(1)
#define PF_USER	     BIT(2)
#define PF_RESERVED  BIT(3)
#define PF_FETCH     BIT(4)

/**
 * paging_start() - make the tables and turn paging on, or off. A 64-bit guest has paging on from
 * the start; there, PAGING_LONG only adds the window.
 */
void paging_start(enum paging_mode mode);

/** window() - the virtual address of small page @n of the window, 0 to 511. */
static inline u8 *window(unsigned n)
{
	return (u8 *)(WINDOW + n * PAGE_SIZE);
}

/** window_map() - let small page @n show @frame, with @flags PTE_*; flags 0: not present. */
void window_map(unsigned n, const void *frame, u64 flags);
/** window_entry() - the page table entry of small page @n. */
u64 window_entry(unsigned n);

/** large_page() - where the large page is. */
u8 *large_page(void);
/** large_map() - let it show what is at @at, aligned to its size. */
void large_map(reg_t at, u64 flags);
/** large_entry() - its page directory entry; window_directory_entry(): the one of the window. */
u64 large_entry(void);
u64 window_directory_entry(void);

#endif

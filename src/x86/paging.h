/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * paging.h: page-table entries. APM vol. 2 §5.2-5.4.
 *
 * The same 64-bit format serves PAE tables, long-mode tables and AMD's nested tables:
 *
 *	 63  62      52 51                       12 11  9  8  7   6  5   4   3   2   1  0
 *	| NX | ignored |  address of page or table | AVL | G |PS | D | A |PCD|PWT|U/S|R/W|P|
 */
#ifndef X86_PAGING_H
#define X86_PAGING_H

#include "lib/types.h"

#define PTE_P	   BIT(0)
#define PTE_W	   BIT(1)
#define PTE_U	   BIT(2)
#define PTE_A	   BIT(5)
#define PTE_D	   BIT(6)
#define PTE_PS	   BIT(7) /* in a directory entry: maps a large page */
#define PTE_PAT	   BIT(7) /* in a 4 KiB entry */
#define PTE_G	   BIT(8)
#define PTE_NX	   BIT(63)
#define PTE_ADDR   0x000ffffffffff000ull

/* 512 entries of 8 bytes a table; level 1 maps 4 KiB pages, 2: 2 MiB, 3: 1 GiB, 4: the root. */
#define PT_ENTRIES 512
static inline unsigned pt_shift(int level)
{
	return PAGE_SHIFT + 9 * (level - 1);
}

static inline unsigned pt_index(u64 addr, int level)
{
	return (addr >> pt_shift(level)) & (PT_ENTRIES - 1);
}

#endif

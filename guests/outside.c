/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * outside: page tables where there is no RAM. What a processor would do with what it reads from an empty
 * bus is nobody's business; in a VM, those addresses may be the VMM's own, and a walk of them would set
 * accessed bits there. So a VM ends that does this, with a sentence that says why.
 *
 *	table	the entry of a directory says that its table lies beyond the end of RAM
 *	cr3	CR3 says so
 */
#include "lib/paging.h"

#define OUTSIDE 0x7000000ul /* we have 64 MiB */

static void let_directory(void)
{
#ifdef __x86_64__
	extern u64 boot_pdpt[];
	u64 *entry = (u64 *)(reg_t)(boot_pdpt[1] & ~0xfffull);
#else
	u32 *entry = (u32 *)read_cr3() + (WINDOW >> 22);
#endif

	*entry = OUTSIDE | PTE_ALL | PTE_ACCESSED;
	write_cr3(read_cr3());
}

void guest(void)
{
	paging_start(sizeof(reg_t) == 8 ? PAGING_LONG : PAGING_32);
	say("and now outside\n");
	if (boot_word("cr3"))
		write_cr3(OUTSIDE);
	else
		let_directory();
	answer("seen", *(volatile u32 *)window(1));
	fail("survived");
}

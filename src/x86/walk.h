/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * walk.h: the guest's page tables, walked as the processor would.
 *
 * One walker, used wherever somebody asks what a guest virtual address means: to fetch an
 * intercepted instruction, for string I/O and for the debugger's commands.
 * It reads the guest's memory through a function that it is handed, so it runs anywhere.
 */
#ifndef X86_WALK_H
#define X86_WALK_H

#include "lib/types.h"

/* What a walk depends on: the guest's control registers and privilege at that moment. */
struct walk_regs {
	u64 cr0, cr3, cr4, efer;
	u64 rflags; /* AC, for SMAP */
	u8 cpl;
	u8 phys_bits; /* the guest's physical address width, from CPUID: more is reserved */
};

struct walk_mem {
	/*
	 * Host pointer to the 8 (or, in 32-bit tables, 4) bytes of a table entry at @gpa, which
	 * never crosses a page; NULL where the guest has no memory there.
	 */
	void *(*entry)(void *opaque, gpa_t gpa);
	void *opaque;
};

#define WALK_WRITE	  BIT(0)
#define WALK_FETCH	  BIT(1)
#define WALK_SYSTEM	  BIT(2) /* an implicit supervisor access, such as to a descriptor table */
#define WALK_PEEK	  BIT(3) /* do not set accessed and dirty bits */

/*
 * In walk.error, alone: the address is not canonical. The processor raises #GP(0) for that, or
 * #SS(0) if the access was through SS, and not #PF (APM vol. 2 §5.3.1).
 */
#define WALK_NONCANONICAL BIT(31)

struct walk {
	gpa_t gpa;				/* where the byte is */
	u64 page_size;				/* of the page it is in, in bytes */
	bool writable, user, nx, global, dirty; /* what the tables say of it, all levels combined */
	u32 error; /* after -EFAULT: the error code for #PF, or WALK_NONCANONICAL */
};

/**
 * walk_guest() - translate a guest virtual (linear) address.
 * @regs: the guest's registers
 * @mem: how to reach its memory
 * @gva: the address
 * @access: WALK_* bits
 * @out: the translation, or the #PF error code
 *
 * Long mode is what EFER.LMA says. Outside of it the address is cut to 32 bits, and with CR0.PG
 * clear it is the guest physical address. CR4.PCIDE does not matter; 5-level paging and protection
 * keys are not supported, and a guest must not be told that there are any.
 *
 * Accessed and dirty bits are set atomically, as APM vol. 2 §5.4.2 and SDM vol. 3A §4.8 say,
 * unless WALK_PEEK. Each entry on the way is asked for once, in order, unless another CPU changes
 * it meanwhile: then the walk starts again.
 *
 * Return: 0; -EFAULT for a page fault, with out->error; -ENODEV if a table lies outside the
 * guest's memory (the manuals have no word for that).
 */
int walk_guest(const struct walk_regs *regs, const struct walk_mem *mem, gva_t gva, u32 access,
	       struct walk *out);

#endif

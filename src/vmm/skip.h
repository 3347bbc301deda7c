/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * skip.h: lengths of instructions that exited before.
 *
 * A processor with the next-RIP feature says where the next instruction is. Elsewhere the
 *instruction has to be read and decoded, at some 500 instructions of ours, at nearly every exit.
 *Programs exit at the same few places again and again, so the lengths are remembered; but a guest
 *may change its page tables or its code at any time without telling anybody. Therefore nothing
 *remembered is trusted:
 *
 *	An entry holds, for one RIP and CR3, pointers to the page-table entries that translated RIP
 *and to the code itself, and the values they had. If each still has its value, then the same walk
 *would end in the same bytes, and the length is what it was.
 *
 * That is four comparisons for the tables and one for the code. Only 64-bit code is remembered
 *(there, CR3 and RIP are all that a translation starts from), and only instructions without ModRM.
 *A back end asks skip_lookup() and puts the answer where its processor would have put the next RIP.
 */
#ifndef VMM_SKIP_H
#define VMM_SKIP_H

#include "lib/types.h"
#include "x86/decode.h"

struct vcpu;

#define SKIP_LEVELS  4
#define SKIP_ENTRIES 64 /* a power of two */

struct skip_entry {
	u64 rip, cr3;
	const u64 *pte[SKIP_LEVELS]; /* levels that a large page left out point to a constant */
	u64 pte_value[SKIP_LEVELS];
	const u64 *code; /* the eight bytes from RIP on */
	u64 code_value, code_mask;
	u64 next_rip; /* 0: this entry is free */
} __aligned(128);

struct skip {
	struct skip_entry entries[SKIP_ENTRIES];
};

/** skip_create(), skip_destroy() - a virtual CPU's memory. Return: 0 or -ENOMEM. */
int skip_create(struct vcpu *vcpu);
void skip_destroy(struct vcpu *vcpu);

static inline struct skip_entry *skip_slot(struct skip *skip, u64 rip)
{
	return &skip->entries[(rip ^ rip >> 6) % SKIP_ENTRIES];
}

/** skip_lookup() - Return: what RIP is behind the instruction at @rip, or 0: not known. */
static inline u64 skip_lookup(struct skip *skip, u64 rip, u64 cr3)
{
	const struct skip_entry *e = skip_slot(skip, rip);

	if (e->rip == rip && e->cr3 == cr3 && e->next_rip && *e->pte[0] == e->pte_value[0] &&
	    *e->pte[1] == e->pte_value[1] && *e->pte[2] == e->pte_value[2] &&
	    *e->pte[3] == e->pte_value[3] && ((*e->code ^ e->code_value) & e->code_mask) == 0)
		return e->next_rip;
	return 0;
}

#endif

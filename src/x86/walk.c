/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * walk.c: the guest's page tables, walked as the processor would.
 *
 * A walk goes down a tree, one table a level, picking an entry in each by some bits of the address:
 *
 *	4-level (long mode)	9 + 9 + 9 + 9 + 12 bits, 8-byte entries
 *	PAE			2 + 9 + 9 + 12 bits, 8-byte entries
 *	32-bit			10 + 10 + 12 bits, 4-byte entries
 *
 * and an entry above the lowest level with PS set ends it early, with a large page. What the
 * address may be used for is then a matter of all entries together: it is writable if every one says
 * so, and not executable if any says so. Therefore their AND and their OR are all that need be kept.
 *
 *	1. may the access be made? If not: the error code
 *	2. accessed and dirty bits
 *	3. one step down, with entries of 8 bytes, and the end of a walk
 *	4. the three kinds of walk
 *	5. walk_guest()
 *
 * This runs at most exits, to fetch the instruction, and so it is built to be quick when all goes
 * well; what happens rarely is out of line.
 *
 * Two things are the manuals' "may". We read the four directory pointers of PAE from memory in each
 * walk, as AMD does under nested paging (APM vol. 2 §15.25.10), not at MOV CR3. And we set the
 * accessed bit of an entry once we have its table, even if the walk then fails further down.
 * APM vol. 2 §5.1-5.6; SDM vol. 3A chapter 4.
 */
#include "x86/walk.h"
#include "lib/errno.h"
#include "lib/lab.h"
#include "x86/paging.h"
#include "x86/regs.h"

/* What a step or a walk returns besides 0 and errors. */
#define FOUND	 1 /* this entry maps the page */
#define RETRY	 2 /* an entry changed under our hands: walk again */

#define __rarely __attribute__((noinline, cold))
#define __fast	 inline __attribute__((always_inline)) /* keeps a struct path in registers */

/* How far a walk has come. */
struct path {
	void *entry;  /* the last one read, */
	u64 pte;      /* and what it held; before the first step CR3, cut to the address */
	u64 and, or ; /* all of them */
};

/* ---- 1. may the access be made? ------------------------------------------------------------- */

static inline bool by_user(const struct walk_regs *regs, u32 access)
{
	return regs->cpl == 3 && !(access & WALK_SYSTEM);
}

/*
 * A supervisor's access to a user's page: SMEP forbids fetches, SMAP all else, but lets it through
 * while RFLAGS.AC is set, if it is the program's own. SDM vol. 3A §4.6.1; APM vol. 2 §5.6.5-5.6.6.
 */
static bool supervisor_may(const struct walk_regs *regs, u32 access)
{
	if (access & WALK_FETCH)
		return !(regs->cr4 & CR4_SMEP);
	if (!(access & WALK_SYSTEM) && (regs->rflags & RFLAGS_AC))
		return true;
	return !(regs->cr4 & CR4_SMAP);
}

/* Do the entries allow it? APM vol. 2 §5.6. */
static __fast bool allowed(const struct walk_regs *regs, u32 access, const struct path *path)
{
#if SOLVED >= 3
	bool user = by_user(regs, access);

	if (user && !(path->and &PTE_U))
		return false;
	if ((access & WALK_WRITE) && !(path->and &PTE_W) && (user || (regs->cr0 & CR0_WP)))
		return false;
	if ((access & WALK_FETCH) && (path->or &PTE_NX))
		return false;
	return user || !(path->and &PTE_U) || supervisor_may(regs, access);
#else
	/*
	 * Exercise 3.1. May this access be made? path->and and path->or are all entries of the way
	 * together. A user needs U/S in all of them. A write needs R/W in all, but a supervisor only if
	 * CR0.WP is set. A fetch needs NX in none. And what is the user's, a supervisor may touch only
	 * if supervisor_may().
	 *
	 * Handout: lab 3, "Walking". APM vol. 2 §5.6.
	 */
	LAB(3, "3.1", "say whether an access may be made");
#endif
}

/* @why is 0, PF_PRESENT or PF_PRESENT | PF_RSVD. APM vol. 2 §8.4.2. */
static __rarely int fault(const struct walk_regs *regs, u32 access, struct walk *out, u32 why)
{
#if SOLVED >= 3
	bool nx = (regs->efer & EFER_NXE) && (regs->cr4 & CR4_PAE);

	out->error = why;
	if (access & WALK_WRITE)
		out->error |= PF_WRITE;
	if (by_user(regs, access))
		out->error |= PF_USER;
	if ((access & WALK_FETCH) && (nx || (regs->cr4 & CR4_SMEP)))
		out->error |= PF_FETCH;
	return -EFAULT;
#else
	/*
	 * Exercise 3.1, continued. The #PF's error code into out->error: @why, and the PF_ bits for a
	 * write, a user's access, a fetch. Return -EFAULT.
	 *
	 * Hint: the processor reports a fetch only if it could forbid one: with NX on (EFER.NXE and
	 * CR4.PAE) or with CR4.SMEP.
	 */
	LAB(3, "3.1", "make a page fault's error code");
#endif
}

/* An entry is not fit to be used: it is not present, or has a reserved bit set. */
static __rarely int bad_entry(const struct walk_regs *regs, u32 access, struct walk *out, u64 pte)
{
	return fault(regs, access, out, pte & PTE_P ? PF_PRESENT | PF_RSVD : 0);
}

/* ---- 2. accessed and dirty bits ------------------------------------------------------------- */

/*
 * Set @bits in the path's last entry. The guest's other CPUs may be at the same entry: it is ours
 * to change only if it still is what we have decided upon. Return: 0, or RETRY.
 */
static __rarely int mark(void *entry, u64 old, u64 bits, unsigned size, u32 access)
{
	u32 old32 = old;
	bool done;

	if (access & WALK_PEEK)
		return 0;
	if (size == 4)
		done = __atomic_compare_exchange_n((u32 *)entry, &old32, old32 | bits, false,
						   __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
	else
		done = __atomic_compare_exchange_n((u64 *)entry, &old, old | bits, false,
						   __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
	return done ? 0 : RETRY;
}

/* ---- 3. one step down, and the end ----------------------------------------------------------- */

/* Is this the end of the way: an entry that maps a page? */
static __fast bool is_leaf(u64 pte, int level)
{
	return level == 1 || (level < 4 && (pte & PTE_PS));
}

/* An entry is not just present and accessed. A page's bits are for finish() to set. */
static __rarely int odd_entry(const struct walk_regs *regs, u32 access, struct walk *out,
			      const struct path path, int level, u64 rsvd)
{
	if (!(path.pte & PTE_P) || (path.pte & rsvd))
		return bad_entry(regs, access, out, path.pte);
	return is_leaf(path.pte, level) ? 0 : mark(path.entry, path.pte, PTE_A, 8, access);
}

/*
 * One level down with 8-byte entries; @rsvd are the bits that must be zero.
 * Return: 0 if a table follows, FOUND, RETRY or an error.
 */
static __fast int step(const struct walk_regs *regs, const struct walk_mem *mem, u32 access,
		       struct walk *out, struct path *path, u64 gva, int level, u64 rsvd)
{
#if SOLVED >= 3
	u64 table = path->pte & PTE_ADDR;
	int err;

	path->entry = mem->entry(mem->opaque, GPA(table | pt_index(gva, level) * 8));
	if (unlikely(!path->entry))
		return -ENODEV;
	path->pte = __atomic_load_n((u64 *)path->entry, __ATOMIC_RELAXED);
	if (unlikely((path->pte ^ (PTE_P | PTE_A)) & (PTE_P | PTE_A | rsvd))) {
		err = odd_entry(regs, access, out, *path, level, rsvd);
		if (err)
			return err;
	}
	path->and &= path->pte;
	path->or |= path->pte;
	return is_leaf(path->pte, level) ? FOUND : 0;
#else
	/*
	 * Exercise 3.1, continued. The table is where path->pte points; its entry for @gva at @level is
	 * mem->entry()'s to find (-ENODEV if there is no RAM). Read it into path->pte, once; judge it
	 * (odd_entry() says what to do unless it is present and accessed, with none of @rsvd set); add it
	 * to path->and and path->or. FOUND if it maps the page (is_leaf), else 0.
	 *
	 * Hint: another CPU may change the entry at any moment. Read it one time only.
	 */
	LAB(3, "3.1", "go one step down");
#endif
}

/* The last entry maps the page, of @size bytes at @frame. */
static __fast int finish(const struct walk_regs *regs, u32 access, struct walk *out,
			 const struct path *path, u64 gva, u64 frame, u64 size, unsigned entry_size)
{
	u64 wanted = access & WALK_WRITE ? PTE_A | PTE_D : PTE_A;
	int err;

	if (unlikely(!allowed(regs, access, path)))
		return fault(regs, access, out, PF_PRESENT);
	out->dirty = path->pte & PTE_D;
	if (unlikely(wanted & ~path->pte)) {
		err = mark(path->entry, path->pte, wanted, entry_size, access);
		if (err)
			return err;
		out->dirty |= (access & WALK_WRITE) && !(access & WALK_PEEK);
	}
	out->gpa = GPA(frame | (gva & (size - 1)));
	out->page_size = size;
	out->writable = path->and &PTE_W;
	out->user = path->and &PTE_U;
	out->nx = path->or >> 63;
	out->global = path->pte & PTE_G;
	return 0;
}

/* ---- 4. the walks ---------------------------------------------------------------------------- */

/* Address bits beyond what the guest's processor has. */
static inline u64 rsvd_address(const struct walk_regs *regs)
{
	return PTE_ADDR & ~0ull << regs->phys_bits;
}

/* The end of a walk with 8-byte entries, at @level. A large page's number leaves bits over. */
static __fast int finish64(const struct walk_regs *regs, u32 access, struct walk *out,
			   const struct path *path, u64 gva, int level)
{
	u64 size = 1ull << pt_shift(level);

	/* between the attributes, of which PAT at bit 12 is the highest, and the page's address */
	if (level > 1 && unlikely(path->pte & (size - 1) & ~0x1fffull))
		return bad_entry(regs, access, out, path->pte);
	return finish(regs, access, out, path, gva, path->pte & PTE_ADDR & ~(size - 1), size, 8);
}

static int walk_long(const struct walk_regs *regs, const struct walk_mem *mem, u64 gva, u32 access,
		     struct walk *out)
{
#if SOLVED >= 3
	struct path path = {.pte = regs->cr3, .and = ~0ull};
	u64 rsvd = rsvd_address(regs) | (regs->efer & EFER_NXE ? 0 : PTE_NX);
	int found, level = 4;

	if (unlikely((u64)((s64)(gva << 16) >> 16) != gva)) {
		out->error = WALK_NONCANONICAL;
		return -EFAULT;
	}
	found = step(regs, mem, access, out, &path, gva, 4, rsvd | PTE_PS); /* no pages here */
	if (!found)
		found = step(regs, mem, access, out, &path, gva, level = 3, rsvd);
	if (!found)
		found = step(regs, mem, access, out, &path, gva, level = 2, rsvd);
	if (!found)
		found = step(regs, mem, access, out, &path, gva, level = 1, rsvd);
	return found == FOUND ? finish64(regs, access, out, &path, gva, level) : found;
#else
	/*
	 * Exercise 3.1, continued. Four levels, from CR3 down; see walk_pae() for how a walk is made of
	 * steps. Reserved: address bits that this processor has not got, NX where EFER.NXE is clear, and
	 * PS at level 4. An address that is not canonical (bits 63:47 not all equal) is -EFAULT with
	 * WALK_NONCANONICAL.
	 *
	 * APM vol. 2 §5.3.
	 */
	LAB(3, "3.1", "walk four levels");
#endif
}

/*
 * What must be zero in a directory pointer, which has neither permissions nor accessed bit. MOV CR3
 * has checked that; the accessed bit is let pass, because QEMU's nested paging sets it afterwards.
 */
#define PDPTE_RSVD (PTE_W | PTE_U | PTE_D | PTE_PS | PTE_G | 0xfffull << 52)

static int walk_pae(const struct walk_regs *regs, const struct walk_mem *mem, u64 gva, u32 access,
		    struct walk *out)
{
	struct path path = {.and = ~0ull};
	/* no bits are left to software above the address as there are in long mode */
	u64 rsvd = rsvd_address(regs) | 0x7ffull << 52 | (regs->efer & EFER_NXE ? 0 : PTE_NX);
	u64 *pointer = mem->entry(mem->opaque, GPA((regs->cr3 & 0xffffffe0) | (gva >> 30) * 8));
	int found, level = 2;

	if (!pointer)
		return -ENODEV;
	path.pte = *pointer;
	if ((path.pte ^ PTE_P) & (PTE_P | PDPTE_RSVD | rsvd_address(regs)))
		return bad_entry(regs, access, out, path.pte);
	found = step(regs, mem, access, out, &path, gva, 2, rsvd);
	if (!found)
		found = step(regs, mem, access, out, &path, gva, level = 1, rsvd);
	return found == FOUND ? finish64(regs, access, out, &path, gva, level) : found;
}

/*
 * A 4 MiB page's address: bits 31-22 where they always are, and with PSE-36 bits 39-32 in the
 * entry's bits 20-13. APM vol. 2 figure 5-9.
 */
static u64 pse36_frame(u32 pde)
{
	return (pde & 0xffc00000) | (u64)(pde >> 13 & 0xff) << 32;
}

static int walk_32(const struct walk_regs *regs, const struct walk_mem *mem, u64 gva, u32 access,
		   struct walk *out)
{
#if SOLVED >= 3
	struct path path;
	u32 *entry = mem->entry(mem->opaque, GPA((regs->cr3 & 0xfffff000) | gva >> 22 << 2));
	int err;

	if (!entry)
		return -ENODEV;
	path.entry = entry;
	path.pte = path.and = __atomic_load_n(entry, __ATOMIC_RELAXED);
	path.or = 0; /* there is no NX */
	if (!(path.pte & PTE_P))
		return bad_entry(regs, access, out, path.pte);
	if ((path.pte & PTE_PS) && (regs->cr4 & CR4_PSE)) {
		if ((path.pte & BIT(21)) || (pse36_frame(path.pte) & rsvd_address(regs)))
			return bad_entry(regs, access, out, path.pte);
		return finish(regs, access, out, &path, gva, pse36_frame(path.pte), 4 * MIB, 4);
	}
	if (!(path.pte & PTE_A)) {
		err = mark(path.entry, path.pte, PTE_A, 4, access);
		if (err)
			return err;
	}
	entry = mem->entry(mem->opaque, GPA((path.pte & 0xfffff000) | (gva >> 12 & 1023) << 2));
	if (!entry)
		return -ENODEV;
	path.entry = entry;
	path.pte = __atomic_load_n(entry, __ATOMIC_RELAXED);
	path.and &= path.pte;
	if (!(path.pte & PTE_P))
		return bad_entry(regs, access, out, path.pte);
	return finish(regs, access, out, &path, gva, path.pte & 0xfffff000, PAGE_SIZE, 4);
#else
	/*
	 * Exercise 3.1, continued. Two levels of 1024 entries of four bytes, so step() is of no use. An
	 * entry of the first level with PS is a page of 4 MiB if CR4.PSE is set (pse36_frame(); bit 21 is
	 * reserved); else mark() it accessed and go on to the second. There is no NX.
	 *
	 * APM vol. 2 §5.2.1.
	 */
	LAB(3, "3.1", "walk two levels of 32-bit entries");
#endif
}

/* ---- 5. walk_guest() ------------------------------------------------------------------------- */

static int walk_nothing(u64 gva, struct walk *out)
{
	*out = (struct walk){
		.gpa = GPA(gva),
		.page_size = PAGE_SIZE,
		.writable = true,
		.user = true,
		.dirty = true, /* no bit is left to be set by a first write */
	};
	return 0;
}

/* Everything but long mode. Linear addresses have 32 bits there. */
static __attribute__((noinline)) int walk_legacy(const struct walk_regs *regs,
						 const struct walk_mem *mem, u64 gva, u32 access,
						 struct walk *out)
{
	gva = (u32)gva;
	if (!(regs->cr0 & CR0_PG))
		return walk_nothing(gva, out);
	if (regs->cr4 & CR4_PAE)
		return walk_pae(regs, mem, gva, access, out);
	return walk_32(regs, mem, gva, access, out);
}

int walk_guest(const struct walk_regs *regs, const struct walk_mem *mem, gva_t gva, u32 access,
	       struct walk *out)
{
	int err;

	do {
		if (likely(regs->efer & EFER_LMA))
			err = walk_long(regs, mem, gva.a, access, out);
		else
			err = walk_legacy(regs, mem, gva.a, access, out);
	} while (unlikely(err == RETRY));
	return err;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_walk.c: tests of the guest page walk.
 *
 * A guest's memory is 64 KiB here, in which each test builds one path of tables:
 *
 *	0x1000 root	0x2000, 0x3000, 0x4000 the tables below it, as many as there are
 *
 * The tests of permissions go through every combination of entry bits, registers and accesses, and
 * ask a second opinion, may(), that is written down from the manuals' tables without regard to
 * speed.
 */
#define _GNU_SOURCE /* memfd_create */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "suite.h"
#include "lib/errno.h"
#include "x86/paging.h"
#include "x86/regs.h"
#include "x86/walk.h"

#define MEMORY 0x10000

static u8 memory[MEMORY] __attribute__((aligned(4096)));
static unsigned calls;

static void *entry(void *opaque, gpa_t gpa)
{
	assert_quietly(opaque == memory, "opaque");
	calls++;
	return gpa.a < MEMORY ? memory + gpa.a : NULL;
}

static const struct walk_mem mem = {.entry = entry, .opaque = memory};

/* ---- a path of tables ----------------------------------------------------------------------- */

enum mode { MODE_32, MODE_PAE, MODE_64, MODE_COUNT };

/* One path: entry[1] is the lowest level's, whatever that maps; unused ones are NULL. */
struct tables {
	enum mode mode;
	struct walk_regs regs;
	int top, leaf;
	u64 gva, frame, size;
	void *entry[5];
};

static u64 get(const struct tables *t, int level)
{
	return t->mode == MODE_32 ? *(u32 *)t->entry[level] : *(u64 *)t->entry[level];
}

static void set(const struct tables *t, int level, u64 value)
{
	if (t->mode == MODE_32)
		*(u32 *)t->entry[level] = value;
	else
		*(u64 *)t->entry[level] = value;
}

static void change(const struct tables *t, int level, u64 clear_bits, u64 set_bits)
{
	set(t, level, (get(t, level) & ~clear_bits) | set_bits);
}

/* Do entries of this level have permissions and an accessed bit? PAE's pointers have not. */
static bool has_bits(const struct tables *t, int level)
{
	return t->mode != MODE_PAE || level < 3;
}

/* Tables of @mode that map @gva to @frame with a page at level @leaf; everything is allowed. */
static struct tables build(enum mode mode, int leaf, u64 gva, u64 frame)
{
	struct tables t = {.mode = mode, .leaf = leaf, .gva = gva, .frame = frame};
	unsigned bits = mode == MODE_32 ? 10 : 9, entry_size = mode == MODE_32 ? 4 : 8;
	u64 table = 0x1000;

	t.top = mode == MODE_32 ? 2 : mode == MODE_PAE ? 3 : 4;
	t.size = 1ull << (12 + bits * (leaf - 1));
	t.regs = (struct walk_regs){
		.cr0 = CR0_PE | CR0_PG,
		.cr3 = table,
		.cr4 = mode == MODE_32 ? CR4_PSE : CR4_PAE,
		.efer = mode == MODE_64 ? EFER_LME | EFER_LMA | EFER_NXE : EFER_NXE,
		.phys_bits = 40,
	};
	memset(memory, 0, MEMORY);
	for (int level = t.top; level >= leaf; level--, table += 0x1000) {
		u64 index = gva >> (12 + bits * (level - 1)) & ((1 << bits) - 1);
		u64 value = PTE_P | PTE_W | PTE_U | (level == leaf ? frame : table + 0x1000);

		if (mode == MODE_PAE && level == 3) {
			index &= 3;
			value &= ~(PTE_W | PTE_U);
		}
		if (level == leaf && level > 1)
			value |= PTE_PS;
		t.entry[level] = memory + table + index * entry_size;
		set(&t, level, value);
	}
	return t;
}

static int walk(const struct tables *t, u32 access, struct walk *out)
{
	memset(out, 0xee, sizeof(*out));
	return walk_guest(&t->regs, &mem, GVA(t->gva), access, out);
}

static const struct page {
	enum mode mode;
	int leaf;
	u64 gva, frame;
} pages[] = {
	{MODE_32, 1, 0xc0123456, 0xfedcb000},
	{MODE_32, 2, 0xc0123456, 0x80400000},
	{MODE_PAE, 1, 0xc0123456, 0xab87654000},
	{MODE_PAE, 2, 0x40123456, 0xab87600000},
	{MODE_64, 1, 0xffff812345678abc, 0xab87654000},
	{MODE_64, 2, 0x00007fffffffffff, 0xab87600000},
	{MODE_64, 3, 0xffffc90012345678, 0xab80000000},
};

/* ---- where the byte is ---------------------------------------------------------------------- */

START_TEST(pages_of_all_sizes_are_found)
{
	const struct page *p = &pages[_i];
	struct tables t = build(p->mode, p->leaf, p->gva, p->frame);
	struct walk w;

	calls = 0;
	ck_assert_int_eq(walk(&t, 0, &w), 0);
	ck_assert_uint_eq(calls, t.top - t.leaf + 1);
	ck_assert_uint_eq(w.page_size, t.size);
	ck_assert_uint_eq(w.gpa.a, p->frame + (p->gva & (t.size - 1)));
	ck_assert(w.writable && w.user && !w.nx && !w.global && !w.dirty);
	change(&t, t.leaf, 0, PTE_G | PTE_D);
	ck_assert_int_eq(walk(&t, 0, &w), 0);
	ck_assert(w.global && w.dirty);
}
END_TEST

START_TEST(pat_bits_are_no_address_bits)
{
	const struct page *p = &pages[_i];
	struct tables t = build(p->mode, p->leaf, p->gva, p->frame);
	struct walk w;

	change(&t, t.leaf, 0, p->leaf > 1 ? BIT(12) : PTE_PAT);
	ck_assert_int_eq(walk(&t, 0, &w), 0);
	ck_assert_uint_eq(w.gpa.a, p->frame + (p->gva & (t.size - 1)));
}
END_TEST

START_TEST(pse36_has_forty_bits)
{
	struct tables t = build(MODE_32, 2, 0x00c12345, 0x00800000);
	struct walk w;

	change(&t, 2, 0, 0xa5 << 13);
	ck_assert_int_eq(walk(&t, 0, &w), 0);
	ck_assert_uint_eq(w.gpa.a, 0xa500812345);
}
END_TEST

START_TEST(ps_needs_pse_in_32_bit_tables)
{
	struct tables t = build(MODE_32, 2, 0x00c12345, 0x3000);
	struct walk w;

	t.regs.cr4 = 0;
	((u32 *)(memory + 0x3000))[0x12345 >> 12] = 0x7000 | PTE_P;
	ck_assert_int_eq(walk(&t, 0, &w), 0);
	ck_assert_uint_eq(w.gpa.a, 0x7345);
}
END_TEST

START_TEST(without_paging_addresses_stay)
{
	struct walk_regs regs = {.cr0 = CR0_PE | CR0_WP, .cr3 = 0x1000, .cpl = 3, .phys_bits = 36};
	struct walk w;

	ck_assert_int_eq(walk_guest(&regs, &mem, GVA(0x12345678), WALK_WRITE, &w), 0);
	ck_assert_uint_eq(w.gpa.a, 0x12345678);
	ck_assert(w.writable && w.user && !w.nx);
	ck_assert_uint_eq(w.page_size, PAGE_SIZE);
}
END_TEST

START_TEST(legacy_addresses_have_32_bits)
{
	struct tables t = build(MODE_PAE, 1, 0x1c0123456, 0x5000);
	struct walk w;

	ck_assert_int_eq(walk(&t, 0, &w), 0);
	ck_assert_uint_eq(w.gpa.a, 0x5456);
	t.regs.cr0 = CR0_PE;
	ck_assert_int_eq(walk(&t, 0, &w), 0);
	ck_assert_uint_eq(w.gpa.a, 0xc0123456);
}
END_TEST

START_TEST(cr3_has_other_bits_too)
{
	struct tables t = build(MODE_64, 1, 0x1234000, 0x5000);
	struct walk w;

	t.regs.cr3 |= 0xfff; /* a PCID */
	ck_assert_int_eq(walk(&t, 0, &w), 0);
	t = build(MODE_32, 1, 0x1234000, 0x5000);
	t.regs.cr3 |= 0x18; /* PWT, PCD */
	ck_assert_int_eq(walk(&t, 0, &w), 0);
	/* PAE's four pointers may begin at any 32 bytes */
	t = build(MODE_PAE, 1, 0xc1234000, 0x5000);
	memcpy(memory + 0x1fe0, memory + 0x1000, 32);
	memset(memory + 0x1000, 0, 32);
	t.regs.cr3 = 0x1fe0 | 0x18;
	ck_assert_int_eq(walk(&t, 0, &w), 0);
	ck_assert_uint_eq(w.gpa.a, 0x5000);
}
END_TEST

START_TEST(not_canonical_is_not_a_page_fault)
{
	static const u64 bad[] = {0x0000800000000000, 0xffff7fffffffffff, 0x8000000000000000,
				  0xfffe800000000000};
	struct tables t = build(MODE_64, 1, 0, 0x5000);
	struct walk w;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		t.gva = bad[i];
		ck_assert_int_eq(walk(&t, WALK_WRITE, &w), -EFAULT);
		ck_assert_uint_eq(w.error, WALK_NONCANONICAL);
	}
}
END_TEST

START_TEST(tables_outside_of_memory)
{
	const struct page *p = &pages[_i];
	struct tables t = build(p->mode, p->leaf, p->gva, p->frame);
	struct walk w;

	for (int level = t.top; level > t.leaf; level--) {
		u64 old = get(&t, level);

		change(&t, level, 0, 0x80000);
		ck_assert_int_eq(walk(&t, 0, &w), -ENODEV);
		set(&t, level, old);
	}
	t.regs.cr3 = 0x80000;
	ck_assert_int_eq(walk(&t, 0, &w), -ENODEV);
}
END_TEST

/* ---- permissions ---------------------------------------------------------------------------- */

/*
 * May the access be made, by the book? @user and @writable are of all levels together. Table 5-1
 * and §5.6 of APM vol. 2, "Access rights" in SDM vol. 3A §4.6.1.
 */
static bool may(const struct walk_regs *r, u32 access, bool user, bool writable, bool nx)
{
	bool supervisor_access = r->cpl < 3 || (access & WALK_SYSTEM);
	bool smap_off =
		!(r->cr4 & CR4_SMAP) || (!(access & WALK_SYSTEM) && (r->rflags & RFLAGS_AC));

	if (supervisor_access && !user) {
		if (access & WALK_FETCH)
			return !nx;
		return !(access & WALK_WRITE) || writable || !(r->cr0 & CR0_WP);
	}
	if (supervisor_access) {
		if (access & WALK_FETCH)
			return !nx && !(r->cr4 & CR4_SMEP);
		if (access & WALK_WRITE)
			return smap_off && (writable || !(r->cr0 & CR0_WP));
		return smap_off;
	}
	if (!user)
		return false;
	if (access & WALK_FETCH)
		return !nx;
	return !(access & WALK_WRITE) || writable;
}

/* Each way of taking U/S, R/W or execution away: nowhere, or at one of the levels, or at all. */
static unsigned next_levels(const struct tables *t, unsigned levels)
{
	unsigned all = (2u << t->top) - 2;

	if (levels == all)
		return all + 1; /* the end */
	if (!levels)
		return 2;
	return levels << 1 & all ? levels << 1 : all;
}

static bool take_away(const struct tables *t, unsigned levels, u64 clear_bits, u64 set_bits)
{
	bool taken = false;

	for (int level = t->leaf; level <= t->top; level++) {
		if ((levels >> level & 1) && has_bits(t, level)) {
			change(t, level, clear_bits, set_bits);
			taken = true;
		}
	}
	return taken;
}

/* All accesses under all registers, with what the entries grant. */
static void try_registers(struct tables *t, bool user, bool writable, bool nx)
{
	static const u32 accesses[] = {0, WALK_WRITE, WALK_FETCH, WALK_SYSTEM,
				       WALK_SYSTEM | WALK_WRITE};
	u64 cr4 = t->regs.cr4;
	struct walk w;

	for (unsigned i = 0; i < 32 * ARRAY_SIZE(accesses); i++) {
		u32 access = accesses[i / 32] | WALK_PEEK;
		u32 error = PF_PRESENT;
		bool allowed;

		t->regs.cpl = i & 1 ? 3 : 0;
		t->regs.cr0 = CR0_PE | CR0_PG | (i & 2 ? CR0_WP : 0);
		t->regs.cr4 = cr4 | (i & 4 ? CR4_SMEP : 0) | (i & 8 ? CR4_SMAP : 0);
		t->regs.rflags = i & 16 ? RFLAGS_AC : 0;
		allowed = may(&t->regs, access, user, writable, nx);
		if (access & WALK_WRITE)
			error |= PF_WRITE;
		if ((i & 1) && !(access & WALK_SYSTEM))
			error |= PF_USER;
		if ((access & WALK_FETCH) &&
		    ((i & 4) || ((t->regs.efer & EFER_NXE) && t->mode != MODE_32)))
			error |= PF_FETCH;
		ck_assert_msg(
			walk(t, access, &w) == (allowed ? 0 : -EFAULT) &&
				(allowed || w.error == error),
			"mode %d leaf %d: user %d writable %d nx %d, access %x, cpl %d cr0 %lx cr4 "
			"%lx ac %d: error %x",
			t->mode, t->leaf, user, writable, nx, access, t->regs.cpl, t->regs.cr0,
			t->regs.cr4, i >> 4 & 1, w.error);
		assert_quietly(!allowed || (w.user == user && w.writable == writable && w.nx == nx),
			       "user %d writable %d nx %d", w.user, w.writable, w.nx);
	}
	t->regs.cr4 = cr4;
}

START_TEST(permissions_of_all_levels_count)
{
	const struct page *p = &pages[_i];
	struct tables plain = build(p->mode, p->leaf, p->gva, p->frame);
	unsigned end = (2u << plain.top) - 1;
	unsigned u, w, x;

	for (u = 0; u < end; u = next_levels(&plain, u)) {
		for (w = 0; w < end; w = next_levels(&plain, w)) {
			for (x = 0; x < end; x = next_levels(&plain, x)) {
				struct tables t = build(p->mode, p->leaf, p->gva, p->frame);
				bool user = !take_away(&t, u, PTE_U, 0);
				bool writable = !take_away(&t, w, PTE_W, 0);
				bool nx = t.mode != MODE_32 && take_away(&t, x, 0, PTE_NX);

				try_registers(&t, user, writable, nx);
			}
		}
	}
}
END_TEST

/* The same for some cases that everybody knows, so that no error is in both opinions. */
START_TEST(well_known_faults)
{
	static const struct {
		u64 take, efer, cr0, cr4;
		u8 cpl;
		u32 access, error; /* error 0: none */
	} cases[] = {
		{PTE_U, 0, 0, 0, 3, 0, 0x5},
		{PTE_U, 0, 0, 0, 3, WALK_WRITE, 0x7},
		{PTE_W, 0, 0, 0, 3, WALK_WRITE, 0x7},
		{PTE_W, 0, 0, 0, 3, 0, 0},
		{PTE_W, 0, 0, 0, 0, WALK_WRITE, 0},
		{PTE_W, 0, CR0_WP, 0, 0, WALK_WRITE, 0x3},
		{PTE_P, 0, 0, 0, 0, 0, 0x0},
		{PTE_P, 0, 0, 0, 3, WALK_WRITE, 0x6},
		{PTE_P, 0, 0, 0, 3, WALK_FETCH, 0x4},
		{PTE_P, EFER_NXE, 0, 0, 3, WALK_FETCH, 0x14},
		{0, 0, 0, CR4_SMEP, 0, WALK_FETCH, 0x11},
		{0, 0, 0, CR4_SMAP, 0, WALK_WRITE, 0x3},
		{0, 0, 0, CR4_SMAP, 3, WALK_WRITE, 0},
		{0, 0, 0, CR4_SMAP, 3, WALK_SYSTEM, 0x1},
		{PTE_U, 0, 0, CR4_SMAP | CR4_SMEP, 0, WALK_FETCH, 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct tables t = build(MODE_64, 1, 0x1234567, 0x5000);
		struct walk w;
		int expect = cases[i].error || (cases[i].take & PTE_P) ? -EFAULT : 0;

		change(&t, 2, cases[i].take, 0);
		t.regs.efer = EFER_LMA | cases[i].efer;
		t.regs.cr0 |= cases[i].cr0;
		t.regs.cr4 |= cases[i].cr4;
		t.regs.cpl = cases[i].cpl;
		ck_assert_msg(walk(&t, cases[i].access, &w) == expect, "case %zu", i);
		ck_assert_msg(!expect || w.error == cases[i].error, "case %zu: %x", i, w.error);
	}
}
END_TEST

/* ---- entries that are not present, or not valid ---------------------------------------------- */

START_TEST(not_present_at_any_level)
{
	const struct page *p = &pages[_i];
	struct tables t = build(p->mode, p->leaf, p->gva, p->frame);
	struct walk w;

	for (int level = t.leaf; level <= t.top; level++) {
		u64 old = get(&t, level);

		/* reserved bits do not matter then */
		set(&t, level, ~1ull);
		ck_assert_int_eq(walk(&t, WALK_WRITE, &w), -EFAULT);
		ck_assert_uint_eq(w.error, PF_WRITE);
		set(&t, level, old);
		ck_assert_int_eq(walk(&t, WALK_WRITE, &w), 0);
	}
}
END_TEST

/* Bits that must be zero, by mode and level, for 40-bit addresses, with and without NXE. */
static u64 reserved(const struct tables *t, int level)
{
	u64 address = 0x000fff0000000000, nx = t->regs.efer & EFER_NXE ? 0 : PTE_NX;

	switch (t->mode) {
	case MODE_32:
		return t->leaf == 2 ? BIT(21) : 0;
	case MODE_PAE:
		if (level == 3) /* without A, as QEMU has it */
			return 0xffffff00000001c6;
		return address | nx | 0x7ff0000000000000 |
		       (level == 2 && t->leaf == 2 ? 0x1fe000 : 0);
	default:
		if (level == 4)
			return address | nx | PTE_PS;
		if (level == t->leaf && level == 3)
			return address | nx | 0x3fffe000;
		if (level == t->leaf && level == 2)
			return address | nx | 0x1fe000;
		return address | nx;
	}
}

START_TEST(reserved_bits_fault)
{
	const struct page *p = &pages[_i / 2];
	struct tables t = build(p->mode, p->leaf, p->gva, p->frame);
	struct walk w;

	if (_i & 1)
		t.regs.efer &= ~EFER_NXE;
	for (int level = t.leaf; level <= t.top; level++) {
		u64 old = get(&t, level);

		for (int bit = 1; bit < (t.mode == MODE_32 ? 32 : 64); bit++) {
			int err;

			/* PS makes another entry of it, and address bits lead elsewhere */
			if ((BIT(bit) == PTE_PS && !(reserved(&t, level) & PTE_PS)) ||
			    (old & BIT(bit)) || (level > t.leaf && bit >= 12 && bit < 40))
				continue;
			set(&t, level, old | BIT(bit));
			err = walk(&t, WALK_PEEK, &w);
			if (reserved(&t, level) & BIT(bit))
				ck_assert_msg(err == -EFAULT && w.error == (PF_PRESENT | PF_RSVD),
					      "level %d bit %d: %d %x", level, bit, err, w.error);
			else
				ck_assert_msg(!err, "level %d bit %d: %d %x", level, bit, err,
					      w.error);
		}
		set(&t, level, old);
	}
}
END_TEST

START_TEST(pse36_reserves_what_the_processor_has_not)
{
	struct tables t = build(MODE_32, 2, 0x00c12345, 0x00800000);
	struct walk w;

	t.regs.phys_bits = 36;
	change(&t, 2, 0, BIT(16)); /* address bit 35 */
	ck_assert_int_eq(walk(&t, 0, &w), 0);
	change(&t, 2, 0, BIT(17));
	ck_assert_int_eq(walk(&t, 0, &w), -EFAULT);
	ck_assert_uint_eq(w.error, PF_PRESENT | PF_RSVD);
}
END_TEST

/* ---- accessed and dirty --------------------------------------------------------------------- */

START_TEST(accessed_and_dirty_are_set)
{
	const struct page *p = &pages[_i];
	struct tables t = build(p->mode, p->leaf, p->gva, p->frame);
	struct walk w;
	u8 before[MEMORY];

	memcpy(before, memory, MEMORY);
	ck_assert_int_eq(walk(&t, WALK_PEEK | WALK_WRITE, &w), 0);
	ck_assert(!w.dirty);
	ck_assert_msg(!memcmp(before, memory, MEMORY), "peeking left traces");

	ck_assert_int_eq(walk(&t, 0, &w), 0);
	ck_assert(!w.dirty);
	for (int level = t.leaf; level <= t.top; level++)
		ck_assert_uint_eq(get(&t, level) & (PTE_A | PTE_D),
				  has_bits(&t, level) ? PTE_A : 0);

	ck_assert_int_eq(walk(&t, WALK_WRITE, &w), 0);
	ck_assert(w.dirty);
	for (int level = t.leaf; level <= t.top; level++) {
		u64 bits = level == t.leaf ? PTE_A | PTE_D : has_bits(&t, level) ? PTE_A : 0;

		ck_assert_uint_eq(get(&t, level) & (PTE_A | PTE_D), bits);
		change(&t, level, bits, 0);
	}
	ck_assert_msg(!memcmp(before, memory, MEMORY), "other bits have changed");
}
END_TEST

START_TEST(a_fault_leaves_the_page_alone)
{
	const struct page *p = &pages[_i];
	struct tables t = build(p->mode, p->leaf, p->gva, p->frame);
	struct walk w;

	change(&t, t.leaf, PTE_W, 0);
	t.regs.cpl = 3;
	ck_assert_int_eq(walk(&t, WALK_WRITE, &w), -EFAULT);
	ck_assert_uint_eq(get(&t, t.leaf) & (PTE_A | PTE_D), 0);
}
END_TEST

/*
 * Another CPU of the guest clears an entry just when the walk sets a bit in it. The tables are
 * mapped a second time, and in the place where the walk sees them they are read-only, so that its
 * write faults: the handler clears the entry and lets the write go on.
 */
static void *cleared; /* the entry, in the second mapping */
static unsigned write_faults;

static void clear_entry(int sig)
{
	(void)sig;
	write_faults++;
	memset(cleared, 0, 4);
	mprotect(memory, MEMORY, PROT_READ | PROT_WRITE);
}

START_TEST(bits_are_set_only_in_what_was_read)
{
	const struct page *p = &pages[_i];
	int fd = memfd_create("tables", 0);
	u8 *again;

	ck_assert_int_eq(ftruncate(fd, MEMORY), 0);
	ck_assert_ptr_eq(mmap(memory, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
			      0),
			 memory);
	again = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(again, MAP_FAILED);
	signal(SIGSEGV, clear_entry);

	for (int missing = p->leaf; missing <= 4; missing++) {
		struct tables t = build(p->mode, p->leaf, p->gva, p->frame);
		struct walk w;

		if (missing > t.top || !has_bits(&t, missing))
			break;
		for (int level = t.leaf; level <= t.top; level++)
			if (level != missing && has_bits(&t, level))
				change(&t, level, 0, level == t.leaf ? PTE_A | PTE_D : PTE_A);
		cleared = again + ((u8 *)t.entry[missing] - memory);
		write_faults = 0;
		mprotect(memory, MEMORY, PROT_READ);
		ck_assert_int_eq(walk(&t, WALK_WRITE, &w), -EFAULT);
		ck_assert_uint_eq(w.error, PF_WRITE);
		ck_assert_uint_eq(write_faults, 1);
		ck_assert_uint_eq(*(u32 *)cleared, 0);
	}
}
END_TEST

static Suite *walk_suite(void)
{
	Suite *s = suite_create("walk");
	TCase *tc = tcase_create("walk");

	tcase_add_loop_test(tc, pages_of_all_sizes_are_found, 0, ARRAY_SIZE(pages));
	tcase_add_loop_test(tc, pat_bits_are_no_address_bits, 0, ARRAY_SIZE(pages));
	tcase_add_test(tc, pse36_has_forty_bits);
	tcase_add_test(tc, ps_needs_pse_in_32_bit_tables);
	tcase_add_test(tc, without_paging_addresses_stay);
	tcase_add_test(tc, legacy_addresses_have_32_bits);
	tcase_add_test(tc, cr3_has_other_bits_too);
	tcase_add_test(tc, not_canonical_is_not_a_page_fault);
	tcase_add_loop_test(tc, tables_outside_of_memory, 0, ARRAY_SIZE(pages));
	tcase_add_loop_test(tc, permissions_of_all_levels_count, 0, ARRAY_SIZE(pages));
	tcase_add_test(tc, well_known_faults);
	tcase_add_loop_test(tc, not_present_at_any_level, 0, ARRAY_SIZE(pages));
	tcase_add_loop_test(tc, reserved_bits_fault, 0, 2 * ARRAY_SIZE(pages));
	tcase_add_test(tc, pse36_reserves_what_the_processor_has_not);
	tcase_add_loop_test(tc, accessed_and_dirty_are_set, 0, ARRAY_SIZE(pages));
	tcase_add_loop_test(tc, a_fault_leaves_the_page_alone, 0, ARRAY_SIZE(pages));
	tcase_add_loop_test(tc, bits_are_set_only_in_what_was_read, 0, ARRAY_SIZE(pages));
	suite_add_tcase(s, tc);
	return s;
}
SET_ADD(suites, suite_fn, walk_suite);

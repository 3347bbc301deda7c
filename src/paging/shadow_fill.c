/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shadow_fill.c: from an entry of the guest's to one of ours.
 *
 * For each entry of ours there is something that it ought to be: nothing, a leaf, or a link
 * (struct want). That follows from the guest's entry and from what we know of the memory behind it:
 *
 *	the guest's entry		ours
 *	------------------------------	----------------------------------------------------------
 *	absent, or not accessed yet	nothing: the #PF will tell us when to set its accessed bit
 *	a table				a link to the shadow of that table
 *	a 4 KiB page of RAM		a leaf; writable only if it is dirty already, so that a #PF
 *					tells us when to set that, and only if no page table is in it
 *	a larger page			a large leaf, where host memory is in one piece and there is no
 *					page table in it; else a link to a "direct" page of small ones
 *	memory that is no RAM		nothing: the #PF is an access to a device
 *
 * Links allow everything. What the entries above a table forbid is in that table's role, and at last
 * in its leaves: a leaf says all about a page. That costs a second shadow where a table is used with
 * different rights, and makes CR0.WP possible: our WP is always set, for we need our own read-only
 * pages to hold, and where the guest's is clear its supervisor may write what no entry allows. That
 * page is then made writable, and the supervisor's alone, until the user comes back (shadow_fill()).
 *
 *	1. what an entry ought to be
 *	2. making it so
 *	3. many at a time
 *	4. one, for a #PF
 *	5. MOV CR3 and INVLPG
 */
#include "paging/shadow.h"

/* ---- 1. what an entry ought to be -------------------------------------------------------------- */

#define LINK (PTE_P | PTE_W | PTE_U | PTE_A)

struct want {
	enum { WANT_NOTHING, WANT_LEAF, WANT_LINK } kind;
	u64 value;     /* leaf */
	u64 frame;     /* the page it maps; link: of the shadow page */
	unsigned role; /* link */
};

static u64 page_bytes(int level)
{
	return 1ull << pt_shift(level);
}

static inline u64 leaf_value(hpa_t page, unsigned rights)
{
	u64 value = page.a | PTE_P | PTE_A;

	if (rights & RIGHT_W)
		value |= PTE_D | ENTRY_MAY_WRITE | PTE_W;
	if (rights & RIGHT_U)
		value |= PTE_U;
	if (!(rights & RIGHT_X))
		value |= PTE_NX;
	return value;
}

/* A leaf for 4 KiB of RAM, or 0. Its own dirty bit is for shadow_written(). */
static inline u64 small_leaf(const struct shadow *s, u64 gpa, unsigned rights)
{
	const void *ram = vm_ptr(s->vm, GPA(align_down(gpa, PAGE_SIZE)), PAGE_SIZE);
	const struct frame *frame = &s->frames[gpa >> PAGE_SHIFT];
	u64 value;

	if (unlikely(!ram))
		return 0;
	value = leaf_value(ptr_hpa(ram), rights);
	if (unlikely(frame->tables))
		value &= frame->open ? ~PTE_D : ~PTE_W;
	return value;
}

static struct want want_small(const struct shadow *s, u64 gpa, unsigned rights)
{
	u64 value = small_leaf(s, gpa, rights);

	return (struct want){.kind = value ? WANT_LEAF : WANT_NOTHING,
			     .value = value,
			     .frame = gpa >> PAGE_SHIFT};
}

static struct want want_direct(u64 gpa, int level, unsigned rights)
{
	return (struct want){.kind = WANT_LINK,
			     .frame = align_down(gpa, page_bytes(level + 1)) >> PAGE_SHIFT,
			     .role = role_make(level, 0, rights) | ROLE_DIRECT};
}

/* An entry at @level for memory around @gpa, all of it with the same rights. */
static struct want want_memory(const struct shadow *s, int level, u64 gpa, unsigned rights)
{
	u64 start = align_down(gpa, LARGE_SIZE);
	const void *ram;

	if (level == 1)
		return want_small(s, gpa, rights);
	if (level > 2)
		return want_direct(gpa, level - 1, rights);
	ram = vm_ptr(s->vm, GPA(start), LARGE_SIZE);
	if (!ram || !is_aligned(ptr_hpa(ram).a, LARGE_SIZE) ||
	    (rights & RIGHT_W && s->areas[start >> 21].tables))
		return want_direct(gpa, 1, rights);
	return (struct want){.kind = WANT_LEAF,
			     .value = leaf_value(ptr_hpa(ram), rights) | PTE_PS,
			     .frame = start >> PAGE_SHIFT};
}

static struct want want_table(u64 table, int level, unsigned quadrant, unsigned rights)
{
	return (struct want){.kind = WANT_LINK,
			     .frame = table >> PAGE_SHIFT,
			     .role = role_make(level, quadrant, rights)};
}

static unsigned rights_of(u64 entry)
{
	return (entry & PTE_W ? RIGHT_W : 0) | (entry & PTE_U ? RIGHT_U : 0) |
	       (entry & PTE_NX ? 0 : RIGHT_X);
}

/* Are the guest's entries of four bytes? */
static bool narrow(const struct shadow *s)
{
	return s->mode.tables == MODE_32;
}

static u64 table_of(const struct shadow *s, u64 entry)
{
	return entry & (narrow(s) ? 0xfffff000 : PTE_ADDR);
}

/* The bits between a large page's address and its attributes, or PSE-36's high address bits. */
#define LARGE_ODD_32 0x003fe000ull
#define LARGE_ODD    0x001fe000ull

static bool believable(const struct shadow *s, u64 entry)
{
	return (entry & (PTE_P | PTE_A)) == (PTE_P | PTE_A) && !(entry & s->odd);
}

/*
 * Above level 1: the same from the guest's entry alone, without a walk that has looked at it and
 * marked it. What is odd is left to a #PF and its walk: nothing is never wrong.
 */
static struct want want_believed(const struct shadow *s, const struct shadow_page *p, unsigned slot,
				 u64 entry)
{
	struct want nothing = {.kind = WANT_NOTHING};
	int level = p->role & ROLE_LEVEL;
	unsigned rights = p->role >> ROLE_RIGHTS_SHIFT & rights_of(entry);
	bool is_narrow = narrow(s);
	u64 gpa = table_of(s, entry);

	if (!believable(s, entry))
		return nothing;
	if (!(entry & PTE_PS) || (is_narrow && !s->mode.pse)) {
		if (!vm_ptr(s->vm, GPA(gpa), PAGE_SIZE))
			return nothing;
		return want_table(gpa, level - 1, is_narrow ? slot & 1 : 0, rights);
	}
	if (!(entry & PTE_D))
		rights &= ~RIGHT_W;
	if (level > 2 || entry & (is_narrow ? LARGE_ODD_32 : LARGE_ODD))
		return nothing;
	gpa &= is_narrow ? ~0x3fffffull : ~0x1fffffull;
	if (is_narrow && slot & 1)
		gpa += LARGE_SIZE;
	return gpa >> PAGE_SHIFT < s->frame_count ? want_memory(s, 2, gpa, rights) : nothing;
}

/* ---- 2. making it so --------------------------------------------------------------------------- */

/* Is this the link that is wanted? */
static bool links_to(const struct shadow *s, u64 entry, int level, const struct want *want)
{
	const struct shadow_page *p;

	if (!entry || entry_is_leaf(entry, level))
		return false;
	p = &s->pages[shadow_linked(s, entry)];
	return p->frame == want->frame && p->role == want->role;
}

static void link_page(struct shadow *s, entry_no e, page_no page)
{
	bool pointer =
		e / PT_ENTRIES == ROOT_PAE; /* those have no rights, and other bits reserved */

	shadow_use(s, page);
	shadow_set(s, e, ptr_hpa(s->pages[page].table).a | (pointer ? PTE_P : LINK),
		   chain_of_page(s, page));
}

/*
 * See that an entry is what it ought to be. @create: make shadow pages that there are not yet.
 * Return: something had to be done.
 */
static bool make(struct shadow *s, page_no page, unsigned slot, const struct want *want,
		 bool create)
{
	int level = s->pages[page].role & ROLE_LEVEL;
	entry_no e = entry_number(page, slot);
	u64 entry = *entry_of(s, e);
	page_no child;

	if (want->kind == WANT_LEAF ? !((entry ^ want->value) & ~PTE_D)
				    : want->kind == WANT_LINK && links_to(s, entry, level, want))
		return false;
	shadow_clear(s, e);
	if (want->kind == WANT_LEAF) {
		shadow_set(s, e, want->value,
			   level == 1 ? chain_of_frame(want->frame)
				      : chain_of_area(s, want->frame));
	} else if (want->kind == WANT_LINK) {
		child = create ? shadow_get(s, want->frame, want->role)
			       : shadow_find(s, want->frame, want->role);
		if (child)
			link_page(s, e, child);
	}
	return true;
}

/* ---- 3. many at a time ------------------------------------------------------------------------- */

/* Level 1, where nearly all entries are: as want_believed() and make(), in short. */
static void refresh_small(struct shadow *s, page_no page, unsigned slot, u64 entry)
{
	const struct shadow_page *p = &s->pages[page];
	unsigned rights = p->role >> ROLE_RIGHTS_SHIFT & rights_of(entry);
	u64 gpa = table_of(s, entry), value = 0;
	entry_no e = entry_number(page, slot);

	if (!(entry & PTE_D))
		rights &= ~RIGHT_W;
	if (believable(s, entry))
		value = small_leaf(s, gpa, rights);
	if (!((value ^ p->table[slot]) & ~PTE_D))
		return;
	shadow_clear(s, e);
	if (value)
		shadow_set(s, e, value, chain_of_frame(gpa >> PAGE_SHIFT));
}

static void refresh_one(struct shadow *s, page_no page, unsigned slot, u64 entry)
{
	struct want want;

	s->seen[entry_number(page, slot)] = entry;
	if ((s->pages[page].role & ROLE_LEVEL) == 1) {
		refresh_small(s, page, slot, entry);
		return;
	}
	want = want_believed(s, &s->pages[page], slot, entry);
	make(s, page, slot, &want, false);
}

/* A 32-bit guest's table has twice as many entries, of half the size. */
static u64 guest_entry(bool is_narrow, const struct shadow_page *p, const u64 *table, unsigned slot)
{
	unsigned quadrant = p->role >> ROLE_QUADRANT_SHIFT & 3;

	if (!is_narrow)
		return table[slot];
	if ((p->role & ROLE_LEVEL) == 1)
		return ((const u32 *)table)[quadrant * PT_ENTRIES + slot];
	return ((const u32 *)table)[quadrant * PT_ENTRIES / 2 + slot / 2];
}

static const u64 *guest_table(const struct shadow *s, const struct shadow_page *p)
{
	return vm_ptr(s->vm, GPA(p->frame << PAGE_SHIFT), PAGE_SIZE);
}

/* The first slot from this one on, before @end, at which two tables differ. */
static unsigned differ(const struct shadow *s, const u64 *a, const u64 *b, unsigned slot,
		       unsigned end)
{
	return narrow(s) ? slot : slot + words_equal(a + slot, b + slot, end - slot);
}

/* New entries in a table of small pages are left to a #PF: most of them will never be needed. */
void shadow_refresh(struct shadow *s, page_no page, unsigned first, unsigned end)
{
	const struct shadow_page *p = &s->pages[page];
	u64 *seen = &s->seen[entry_number(page, 0)];
	const u64 *table = guest_table(s, p);
	bool is_narrow = narrow(s);

	for (unsigned slot = first; (slot = differ(s, table, seen, slot, end)) < end; slot++) {
		u64 entry = guest_entry(is_narrow, p, table, slot);

		if (entry == seen[slot])
			continue;
		if (!(entry & PTE_P))
			shadow_clear(s, entry_number(page, slot));
		else if (p->table[slot] || (p->role & ROLE_LEVEL) > 1)
			refresh_one(s, page, slot, entry);
		seen[slot] = entry;
	}
}

/* What was not there before, too: of what is in use now, more will be wanted. */
static void prefetch(struct shadow *s, page_no page, unsigned first, unsigned count)
{
	const struct shadow_page *p = &s->pages[page];
	const u64 *seen = &s->seen[entry_number(page, 0)], *table = guest_table(s, p);
	bool is_narrow = narrow(s);

	for (unsigned slot = first; slot < first + count; slot++) {
		u64 entry = guest_entry(is_narrow, p, table, slot);

		if (p->table[slot] ? entry != seen[slot] : entry & PTE_P)
			refresh_one(s, page, slot, entry);
	}
}

void shadow_begin(struct shadow *s, page_no page)
{
	const struct shadow_page *p = &s->pages[page];
	const u64 *table = guest_table(s, p);
	unsigned end = (p->role & ROLE_LEVEL) > 1 ? PT_ENTRIES : 0;
	bool is_narrow = narrow(s);

	for (unsigned slot = 0; (slot = differ(s, table, s->nothing, slot, end)) < end; slot++) {
		u64 entry = guest_entry(is_narrow, p, table, slot);

		if (entry & PTE_P)
			refresh_one(s, page, slot, entry);
	}
}

void shadow_fill_direct(struct shadow *s, page_no page)
{
	const struct shadow_page *p = &s->pages[page];

	if ((p->role & ROLE_LEVEL) > 1)
		return; /* a GiB or more: piece by piece, as it is used */
	for (unsigned slot = 0; slot < PT_ENTRIES; slot++) {
		struct want want = want_small(s, (p->frame + slot) << PAGE_SHIFT,
					      p->role >> ROLE_RIGHTS_SHIFT);

		make(s, page, slot, &want, false);
	}
}

/* ---- 4. one, for a #PF ------------------------------------------------------------------------- */

/*
 * What the access that faulted, and others after it, may do with the page. Where a supervisor writes
 * to a read-only page because CR0.WP is clear, the page becomes the supervisor's for now, so that a
 * user's access comes here, too; and if the supervisor may not execute what is the user's (SMEP), it
 * still may not.
 */
static unsigned final_rights(const struct shadow *s, const struct walk *walk, bool write, bool user)
{
	unsigned rights = (walk->writable && walk->dirty ? RIGHT_W : 0) |
			  (walk->user ? RIGHT_U : 0) | (walk->nx ? 0 : RIGHT_X);

	if (s->mode.tables == MODE_NONE)
		return RIGHTS_ALL;
	if (!write || user || walk->writable)
		return rights;
	if (rights & RIGHT_U && s->mode.smep)
		rights &= ~RIGHT_X;
	return (rights | RIGHT_W) & ~RIGHT_U;
}

/* The guest's entry of a level on the way, wide or narrow. */
static u64 way_entry(const struct shadow *s, const struct way *way, unsigned i)
{
	return narrow(s) ? *(const u32 *)way->entry[i] : *(const u64 *)way->entry[i];
}

#define GROUP 8 /* entries that are looked at when one of them was missing */

/*
 * Down our tables, a level at a time, from the root. Three kinds of levels come one after the other,
 * and each may be missing:
 *
 *	above the guest's own	a 32-bit guest's directory is our level 2, below four pointers
 *	the guest's tables	a link for each, to the shadow of the table that the guest's links to
 *	below the guest's	the guest has a larger page than we can have here, or no paging at
 *				all: direct pages, and the leaf
 */
bool shadow_fill(struct shadow *s, gva_t gva, const struct walk *walk, const struct way *way,
		 bool write, bool user)
{
	static const int first_level[] = {[MODE_32] = 2, [MODE_PAE] = 3, [MODE_LONG] = 4};
	int first = first_level[s->mode.tables];
	int last = way->n ? first - (int)way->n + 1 : 4;
	unsigned rights = RIGHTS_ALL, final = final_rights(s, walk, write, user);
	bool changed = false;
	page_no page = s->root;

	for (int level = page == ROOT_PAE ? 3 : 4; page; level--) {
		unsigned slot = pt_index(gva.a, level) & (page == ROOT_PAE ? 3 : PT_ENTRIES - 1);
		struct want want;

		if (level <= last) {
			want = want_memory(s, level, walk->gpa.a, final);
		} else if (level > first) {
			want = want_table(s->root_frame << PAGE_SHIFT, first, slot, rights);
		} else {
			u64 entry = way_entry(s, way, first - level);

			if (page != ROOT_PAE)
				rights &= rights_of(entry);
			want = want_table(table_of(s, entry), level - 1,
					  narrow(s) ? gva.a >> 21 & 1 : 0, rights);
		}
		if (level <= first && level >= last)
			s->seen[entry_number(page, slot)] = way_entry(s, way, first - level);
		shadow_touch(s, page);
		changed |= make(s, page, slot, &want, true);
		if (level == 1 && s->mode.wp && !(s->pages[page].role & ROLE_DIRECT))
			prefetch(s, page, slot & ~(GROUP - 1), GROUP);
		if (want.kind != WANT_LINK)
			break;
		page = shadow_linked(s, s->pages[page].table[slot]);
	}
	return changed;
}

/* ---- 5. MOV CR3 and INVLPG ------------------------------------------------------------------- */

/* What must be zero in a directory pointer of PAE (APM vol. 2 §5.2.3), beside what is odd anyway. */
#define POINTER_ODD (PTE_W | PTE_U | PTE_D | PTE_PS | PTE_G | PTE_NX)

/*
 * Four directory pointers for a guest without long mode. What has no shadow yet, or is odd, is left to
 * a #PF and its walk; and all of it while there is no paging, for then CR3 means nothing.
 */
void shadow_link_root(struct shadow *s, const struct walk_regs *regs)
{
	u64 table = (u32)regs->cr3 & (narrow(s) ? 0xfffff000 : 0xffffffe0);
	const u64 *pointers = vm_ptr(s->vm, GPA(table), 32);

	if (s->root == ROOT_PAE && s->mode.tables == MODE_NONE)
		return;
	s->root = ROOT_PAE;
	s->root_frame = s->mode.tables == MODE_NONE ? 0 : table >> PAGE_SHIFT;
	for (unsigned i = 0; i < 4; i++) {
		struct want want = {.kind = WANT_NOTHING};

		if (narrow(s))
			want = want_table(table, 2, i, RIGHTS_ALL);
		else if (s->mode.tables == MODE_PAE && pointers &&
			 (pointers[i] & (PTE_P | POINTER_ODD | s->odd)) == PTE_P)
			want = want_table(table_of(s, pointers[i]), 2, 0, RIGHTS_ALL);
		if (want.frame >= s->frame_count)
			want.kind = WANT_NOTHING;
		make(s, ROOT_PAE, i, &want, false);
	}
	shadow_sync(s, ROOT_PAE, 1);
}

/*
 * It forgets the page, and whatever the processor remembers of the levels above, whichever page that
 * was for (APM vol. 2 §5.5.2).
 */
void shadow_invalidate(struct shadow *s, gva_t gva)
{
	page_no page = s->root;

	if (!page)
		return;
	shadow_sync(s, page, 2);
	for (int level = page == ROOT_PAE ? 3 : 4; level > 1; level--) {
		unsigned slot = pt_index(gva.a, level) & (page == ROOT_PAE ? 3 : PT_ENTRIES - 1);
		u64 entry = s->pages[page].table[slot];

		if (!entry || entry_is_leaf(entry, level))
			return;
		page = shadow_linked(s, entry);
	}
	if (!(s->pages[page].role & ROLE_DIRECT) && s->frames[s->pages[page].frame].open)
		shadow_refresh(s, page, pt_index(gva.a, 1), pt_index(gva.a, 1) + 1);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shadow.h: what the files of shadow paging share. The story begins in shadow.c.
 *
 * Everything that grows with what the guest does comes from one pool that is made with the VM and
 * never grows: so many shadow pages, and for each of their entries a link in a chain.
 */
#ifndef PAGING_SHADOW_H
#define PAGING_SHADOW_H

#include "vmm/vcpu.h"
#include "x86/paging.h"

/*
 * What a shadow page stands for, beside a guest frame. Two of the same frame with different roles
 * are two shadow pages.
 *
 *	level		1 to 4, of its own entries: 1 maps 4 KiB pages
 *	quadrant	a 32-bit guest's table has 1024 entries and ours 512, so one of the guest's
 *			takes two of ours (level 1) or four (level 2); this says which
 *	direct		there is no guest table: all of it maps memory from the frame on, one to one
 *	rights		what the entries above allow; leaves carry the rights of the whole way
 */
#define ROLE_LEVEL	    7u
#define ROLE_QUADRANT_SHIFT 3
#define ROLE_DIRECT	    (1u << 5)
#define ROLE_RIGHTS_SHIFT   6

enum { RIGHT_W = 1, RIGHT_U = 2, RIGHT_X = 4, RIGHTS_ALL = RIGHT_W | RIGHT_U | RIGHT_X };

static inline unsigned role_make(int level, unsigned quadrant, unsigned rights)
{
	return level | quadrant << ROLE_QUADRANT_SHIFT | rights << ROLE_RIGHTS_SHIFT;
}

/* A shadow page by its number in the pool; an entry by its page's number and its own. 0: none. */
typedef u16 page_no;
typedef u32 entry_no;

struct shadow_page {
	u64 *table;	      /* what the processor reads */
	u64 frame;	      /* guest physical address >> 12 */
	u16 role;	      /* ROLE_* */
	bool late;	      /* the guest's table has been written since we looked */
	u16 first, end;	      /* of its entries only these, without the last, may be filled */
	page_no next;	      /* of the same frame */
	page_no older, newer; /* all in use, by when they were needed last */
};

#define NO_PAGE	  0 /* and the two ends of the list by age */
#define ROOT_PAE  1 /* the four directory pointers, below 4 GiB; never freed */
#define POOL_BASE 2

/* What is known of each 4 KiB of guest memory … */
struct frame {
	page_no tables; /* the shadow pages of this frame, if there is a page table in it */
	bool open;	/* and the guest may write it nevertheless: they may be out of sync */
	bool written;	/* and we have, in its place */
	bool late;	/* some of its shadow pages may be so */
};

/* … and of each 2 MiB. */
struct area {
	page_no direct; /* shadow pages that map it (or the GiB from here on) one to one */
	u16 tables;	/* frames in it that have page tables */
};

/* In a leaf, a bit that is ours: it may be written as far as the guest is concerned. */
#define ENTRY_MAY_WRITE (1ull << 9)

struct chain_link {
	u32 next, prev;
};

#define OPEN_MAX 16 /* frames that may be out of sync at a time */

/* What the meaning of the guest's tables hangs on. If it changes, nothing that we have is right. */
struct mode {
	enum { MODE_NONE, MODE_32, MODE_PAE, MODE_LONG } tables;
	bool pse, nx, wp, smep, smap;
};

struct shadow {
	struct vm *vm;
	struct mode mode;
	page_no root;	/* level 4 in long mode, ROOT_PAE otherwise */
	u64 root_frame; /* of the guest */
	u64 *roots;	/* two pages below 4 GiB: ROOT_PAE's, and */
	u64 *nothing;	/* an empty root, for one that lies where there is no RAM */
	u64 odd;	/* bits that an entry must not have to be believed without a walk */
	bool stale;	/* the processor may still know what is no longer so */

	void *memory; /* for all that follows, */
	u64 bytes;    /* so much */
	unsigned pool_size;
	page_no free;
	struct shadow_page *pages;
	u64 *tables; /* of page POOL_BASE on, in a row */
	u64 *seen;   /* by entry_no: the guest's entry that ours, if filled, was made from */
	u64 frame_count;
	struct frame *frames;
	struct area *areas;
	/* Chains: of the leaves of each frame, of the large leaves of each area, and of the links to
	 * each shadow page. */
	u32 *heads;
	struct chain_link *links; /* by entry_no */
	u64 open[OPEN_MAX];	  /* frames, the one that was opened longest ago first */
	unsigned open_count;
};

/* ---- shadow_chains.c -------------------------------------------------------------------------- */

static inline u32 chain_of_frame(u64 frame)
{
	return frame;
}

static inline u32 chain_of_area(const struct shadow *s, u64 frame)
{
	return s->frame_count + (frame >> 9);
}

static inline u32 chain_of_page(const struct shadow *s, page_no page)
{
	return s->frame_count + (s->frame_count >> 9) + page;
}

static inline entry_no entry_number(page_no page, unsigned slot)
{
	return (u32)page * PT_ENTRIES + slot;
}

static inline u64 *entry_of(const struct shadow *s, entry_no e)
{
	return &s->pages[e / PT_ENTRIES].table[e % PT_ENTRIES];
}

/* The entries of a chain; the one at hand may be removed. */
#define for_chain(s, head, e, n) \
	for (e = (s)->heads[head]; e && (n = (s)->links[e].next, true); e = n)

/** shadow_set() - fill an entry and put it into the chain of what it points to. */
void shadow_set(struct shadow *s, entry_no e, u64 value, u32 chain);
/** shadow_clear() - empty an entry, if it is not. */
void shadow_clear(struct shadow *s, entry_no e);
/** shadow_watch() - a frame will have page tables: no large leaf may make it writable. */
void shadow_watch(struct shadow *s, u64 frame);
/** shadow_close(), shadow_open() - forbid, or allow again, writes to a frame wherever it is mapped. */
void shadow_close(struct shadow *s, u64 frame);
void shadow_open(struct shadow *s, u64 frame);
/**
 * shadow_written() - has an open frame been written since it was opened, or since that was forgotten?
 * The processor itself tells, by the dirty bits of the leaves that map it.
 */
bool shadow_written(const struct shadow *s, u64 frame);
void shadow_forget_written(struct shadow *s, u64 frame);

static inline bool entry_is_leaf(u64 entry, int level)
{
	return level == 1 || entry & PTE_PS;
}

/** shadow_linked() - the shadow page that a link points to. */
static inline page_no shadow_linked(const struct shadow *s, u64 entry)
{
	return POOL_BASE + ((u64 *)hpa_ptr(HPA(entry & PTE_ADDR)) - s->tables) / PT_ENTRIES;
}

/* ---- shadow_pages.c --------------------------------------------------------------------------- */

int shadow_pages_create(struct shadow *s);
void shadow_pages_destroy(struct shadow *s);
/**
 * shadow_get() - the shadow page of a frame in a role: the one there is, or a new one, filled with
 * what may be known beforehand. It is now the newest; the oldest may have been taken for it.
 */
page_no shadow_get(struct shadow *s, u64 frame, unsigned role);
/** shadow_touch() - make a shadow page the newest. */
void shadow_touch(struct shadow *s, page_no page);
/** shadow_find() - the one there is, or NO_PAGE. */
page_no shadow_find(const struct shadow *s, u64 frame, unsigned role);
/** shadow_drop() - forget a shadow page; never ROOT_PAE. */
void shadow_drop(struct shadow *s, page_no page);
/** shadow_drop_all() - forget everything. */
void shadow_drop_all(struct shadow *s);
/**
 * shadow_write() - the guest is about to write to a frame: if there are page tables in it, let it,
 * and remember that our shadows of them may be wrong from now on. Return: it could not before.
 */
bool shadow_write(struct shadow *s, u64 frame);
/**
 * shadow_sync() - put right what is out of sync
 * @top: at or below this shadow page,
 * @lowest: and from this level up
 */
void shadow_sync(struct shadow *s, page_no top, unsigned lowest);
/** shadow_drop_dead() - forget tables that the guest has written, and that nothing leads to. */
void shadow_drop_dead(struct shadow *s);
/** shadow_use() - one that was not in use may be out of sync; it is about to be linked. */
void shadow_use(struct shadow *s, page_no page);

/* ---- shadow_fill.c ---------------------------------------------------------------------------- */

/** shadow_refresh() - make entries of a shadow page, up to @end, agree with the guest's table. */
void shadow_refresh(struct shadow *s, page_no page, unsigned first, unsigned end);
/** shadow_begin() - look at a table above level 1 for the first time, and link what there is. */
void shadow_begin(struct shadow *s, page_no page);
/** shadow_fill_direct() - fill a new page that maps memory one to one. */
void shadow_fill_direct(struct shadow *s, page_no page);

/* The entries that a walk of the guest's tables went through, from the top. */
struct way {
	struct vm *vm;
	unsigned n;
	u64 gpa[4];
	const void *entry[4];
};

/**
 * shadow_fill() - put a translation that a walk has found into the shadow tables.
 * @write, @user: the access for which it is wanted
 *
 * Return: false if it was there already.
 */
bool shadow_fill(struct shadow *s, gva_t gva, const struct walk *walk, const struct way *way,
		 bool write, bool user);
/** shadow_link_root() - ROOT_PAE's pointers, after MOV CR3; @regs: the guest's. */
void shadow_link_root(struct shadow *s, const struct walk_regs *regs);
/** shadow_invalidate() - INVLPG. */
void shadow_invalidate(struct shadow *s, gva_t gva);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shadow_chains.c: who points to what.
 *
 * A shadow entry is either a leaf, which maps guest memory, or a link to another shadow page. For
 * each frame of guest memory we must be able to find all leaves that map it, because it may become
 * a page table at any time, and then none of them may be writable; and for each shadow page all
 * links to it, because it may have to go. So all entries that point to the same thing are in one
 * chain, doubly linked, through an array beside the tables that has one link an entry: nothing is
 * allocated, an entry costs eight bytes, and joining or leaving a chain a handful of instructions.
 *
 *	heads[]			links[]
 *	frame 0 ------------->  entry 1234 <---> entry 88 <---> entry 4711
 *	frame 1
 *	…
 *	area 0  ------------->  entry 600		(large leaves)
 *	…
 *	shadow page 2 ------->  entry 1024		(links to it)
 *
 * The first entry's "prev" is the number of its chain, marked as such.
 */
#include "paging/shadow.h"

#define HEAD BIT(31)

static void chain_add(struct shadow *s, u32 head, entry_no e)
{
	entry_no first = s->heads[head];

	s->links[e] = (struct chain_link){.next = first, .prev = head | HEAD};
	if (first)
		s->links[first].prev = e;
	s->heads[head] = e;
}

static void chain_del(struct shadow *s, entry_no e)
{
	struct chain_link link = s->links[e];

	if (link.prev & HEAD)
		s->heads[link.prev & ~HEAD] = link.next;
	else
		s->links[link.prev].next = link.next;
	if (link.next)
		s->links[link.next].prev = link.prev;
}

void shadow_set(struct shadow *s, entry_no e, u64 value, u32 chain)
{
	struct shadow_page *p = &s->pages[e / PT_ENTRIES];
	u16 slot = e % PT_ENTRIES;

	p->table[slot] = value;
	p->first = min(p->first, slot);
	p->end = max(p->end, (u16)(slot + 1));
	chain_add(s, chain, e);
}

void shadow_clear(struct shadow *s, entry_no e)
{
	u64 *entry = entry_of(s, e);

	if (!*entry)
		return;
	*entry = 0;
	chain_del(s, e);
	s->stale = true;
}

void shadow_watch(struct shadow *s, u64 frame)
{
	entry_no e, next;

	if (s->areas[frame >> 9].tables++)
		return;
	for_chain(s, chain_of_area(s, frame), e, next)
	{
		if (*entry_of(s, e) & PTE_W)
			shadow_clear(s, e); /* when it is needed again, it will be small pages */
	}
}

void shadow_close(struct shadow *s, u64 frame)
{
	entry_no e, next;

	for_chain(s, chain_of_frame(frame), e, next)
	{
		u64 *entry = entry_of(s, e);

		s->stale |= !!(*entry & PTE_W);
		*entry &= ~PTE_W;
	}
}

/* More rights need no flush: before a #PF the processor looks at the tables again (§5.5.2). */
void shadow_open(struct shadow *s, u64 frame)
{
	entry_no e, next;

	for_chain(s, chain_of_frame(frame), e, next)
	{
		u64 *entry = entry_of(s, e);

		if (*entry & ENTRY_MAY_WRITE)
			*entry = (*entry | PTE_W) & ~PTE_D;
	}
}

bool shadow_written(const struct shadow *s, u64 frame)
{
	entry_no e, next;

	for_chain(s, chain_of_frame(frame), e, next)
	{
		if ((*entry_of(s, e) & (PTE_W | PTE_D)) == (PTE_W | PTE_D))
			return true;
	}
	return s->frames[frame].written;
}

void shadow_forget_written(struct shadow *s, u64 frame)
{
	entry_no e, next;

	for_chain(s, chain_of_frame(frame), e, next) * entry_of(s, e) &= ~PTE_D;
	s->frames[frame].written = false;
	s->stale = true;
}

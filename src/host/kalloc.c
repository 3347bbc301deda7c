/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * kalloc.c: memory for structures, smaller than a page.
 *
 * Sizes are rounded up to a power of two, from 32 bytes to 2 KiB. Each of these classes has a list
 * of free pieces; when it is empty, a page is cut into pieces of that size. A free piece holds the
 * list's link in its first word, and in its second a mark made of its own address, by which giving
 * it back a second time is noticed. Anything larger gets pages of its own.
 *
 * The caller of kfree() says how large the piece was, so that no header in front of it need
 * remember that.
 */
#include "host/host.h"
#include "lib/string.h"

#define SMALLEST_SHIFT 5
#define CLASSES	       7 /* 32, 64 ... 2048 */
#define LARGEST	       (1ull << (SMALLEST_SHIFT + CLASSES - 1))

#define FREE_MARK      0x9d5c0ffee1e55f3eull

struct piece {
	struct piece *next;
	u64 mark;
};

static struct piece *free_pieces[CLASSES];

static unsigned class_of(size_t bytes)
{
	unsigned kind = 0;

	while ((1ull << (SMALLEST_SHIFT + kind)) < bytes)
		kind++;
	return kind;
}

static void put(unsigned kind, struct piece *piece)
{
	piece->next = free_pieces[kind];
	piece->mark = FREE_MARK ^ (uintptr_t)piece;
	free_pieces[kind] = piece;
}

static bool cut_page(unsigned kind)
{
	u64 page = pages_alloc(PAGE_SIZE, PAGE_SIZE).a;

	if (!page)
		return false;
	/* from the end, so that the list begins with the lowest address */
	for (u64 at = PAGE_SIZE; at > 0;) {
		at -= 1ull << (SMALLEST_SHIFT + kind);
		put(kind, hpa_ptr(HPA(page + at)));
	}
	return true;
}

void *kalloc(size_t bytes)
{
	unsigned kind = class_of(min(bytes, LARGEST));
	struct piece *piece;

	if (bytes > LARGEST)
		return pages_alloc_zero(bytes, PAGE_SIZE);
	if (!free_pieces[kind] && !cut_page(kind))
		return NULL;
	piece = free_pieces[kind];
	if (piece->mark != (FREE_MARK ^ (uintptr_t)piece))
		panic("kalloc: the free piece %p was written to after kfree()", (void *)piece);
	free_pieces[kind] = piece->next;
	return memset(piece, 0, 1ull << (SMALLEST_SHIFT + kind));
}

void kfree(void *p, size_t bytes)
{
	struct piece *piece = p;

	if (!p)
		return;
	if (bytes > LARGEST) {
		pages_free(ptr_hpa(p), bytes, false);
		return;
	}
	if (piece->mark == (FREE_MARK ^ (uintptr_t)p))
		panic("kfree: %p is free already", p);
	put(class_of(bytes), piece);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* fake_pages.c: the machine's memory for tests that want to know where it went; see fake_pages.h.
 */
#define _GNU_SOURCE /* MAP_32BIT */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "fake_pages.h"

#define RUBBISH 0xdd /* what fresh memory holds */

struct piece {
	void *p;
	u64 bytes;
	bool kalloc, low;
	struct piece *next;
};

static struct piece *pieces;
static unsigned live;
static int left = -1;
static bool low;
static u64 scrubbed, freed;
static u64 next_huge = 0x200000000000;

static void *take(u64 bytes, u64 align, bool kalloc)
{
	struct piece *piece;
	void *p = NULL;

	ck_assert_uint_gt(bytes, 0);
	ck_assert_msg(align && is_aligned(align, align), "no alignment: %#lx", align);
	if (!left)
		return NULL;
	left -= left > 0;
	if (bytes >= FAKE_PAGES_HUGE) {
		p = hpa_ptr(HPA(align_up(next_huge, align)));
		next_huge = (uintptr_t)p + align_up(bytes, PAGE_SIZE);
	} else if (low) {
		p = mmap(NULL, align_up(bytes, PAGE_SIZE), PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
		ck_assert_ptr_ne(p, MAP_FAILED);
		memset(p, RUBBISH, bytes);
	} else {
		ck_assert_int_eq(posix_memalign(&p, align, bytes), 0);
		memset(p, RUBBISH, bytes);
	}
	piece = malloc(sizeof(*piece));
	*piece = (struct piece){
		.p = p, .bytes = bytes, .kalloc = kalloc, .low = low, .next = pieces};
	pieces = piece;
	live++;
	return p;
}

static void give(void *p, u64 bytes, bool kalloc)
{
	struct piece **link = &pieces, *piece;

	while (*link && (*link)->p != p)
		link = &(*link)->next;
	piece = *link;
	ck_assert_msg(piece, "freed, and was not allocated: %p", p);
	ck_assert_uint_eq(piece->bytes, bytes);
	ck_assert_int_eq(piece->kalloc, kalloc);
	*link = piece->next;
	if (piece->low)
		munmap(p, align_up(bytes, PAGE_SIZE));
	else if (bytes < FAKE_PAGES_HUGE)
		free(p);
	free(piece);
	live--;
}

hpa_t pages_alloc(u64 bytes, u64 align)
{
	return ptr_hpa(take(bytes, align, false));
}

/* What lies at a certain address here belongs to the test program. */
bool pages_take(hpa_t p, u64 bytes)
{
	(void)p, (void)bytes;
	return false;
}

void *pages_alloc_zero(u64 bytes, u64 align)
{
	void *p = take(bytes, align, false);

	return p ? memset(p, 0, bytes) : NULL;
}

void pages_free(hpa_t p, u64 bytes, bool scrub)
{
	freed += bytes;
	scrubbed += scrub ? bytes : 0;
	give(hpa_ptr(p), bytes, false);
}

u64 pages_available(u64 *largest)
{
	if (largest)
		*largest = GIB;
	return GIB;
}

void *kalloc(size_t bytes)
{
	void *p = take(bytes, 128, true); /* what the real one promises is less */

	return p ? memset(p, 0, bytes) : NULL;
}

void kfree(void *p, size_t bytes)
{
	if (p)
		give(p, bytes, true);
}

unsigned fake_pages_live(void)
{
	return live;
}

void fake_pages_fail_after(int n)
{
	left = n;
}

void fake_pages_low(bool on)
{
	low = on;
}

u64 fake_pages_scrubbed(void)
{
	return scrubbed;
}

u64 fake_pages_freed(void)
{
	return freed;
}

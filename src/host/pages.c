/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pages.c: the allocator of physical pages.
 *
 * One bit a page, set if the page is taken, over all memory from 0 up: 16 KiB for 512 MiB, 2 MiB
 * for 64 GiB. What makes it quick is reading 64 pages at once, and remembering how far from either
 * end everything is known to be taken.
 *
 * What makes it last is that small and large pieces come from opposite ends:
 *
 *	0 |Casita, modules|small small small ->  ...  <- large     large     | top
 *
 * so that a page table here and a page table there never split the memory in which the next VM
 * wants its 256 MiB. Each takes the first piece from its end that fits (first fit). Small pieces
 * at the low end also means that they lie below 4 GiB while there is room, where the page tables
 * of a 32-bit guest must be.
 *
 * The functions at the bottom are the interface, all others speak of page numbers. There is no
 * assembly here: tests/unit/test_pages.c runs this file on the host as it is.
 */
#include "host/host.h"
#include "host/internal.h"
#include "lib/string.h"

static u64 *bitmap;
static u64 page_count;

/* Every page below low_free is taken, and every page from high_free on. */
static u64 low_free, high_free;

/* ---- the bitmap: find and change bits, a word at a time -------------------------------------- */

#define WORD	  64 /* bits */

/* What to look for: a word is inverted if need be, and then 1 is what we look for. */
#define TAKEN	  0ull
#define FREE	  (~0ull)

#define NOT_FOUND UINT64_MAX

/* The first page of [from, to) that is @what; @to if there is none. */
static u64 first_page(u64 what, u64 from, u64 to)
{
	while (from < to) {
		u64 word = (bitmap[from / WORD] ^ what) & (~0ull << from % WORD);

		if (word)
			return min(to, align_down(from, WORD) + (unsigned)__builtin_ctzll(word));
		from = align_down(from, WORD) + WORD;
	}
	return to;
}

/* One more than the last page of [from, to) that is @what; @from if there is none. */
static u64 last_page_end(u64 what, u64 from, u64 to)
{
	while (from < to) {
		u64 last = to - 1;
		u64 word = (bitmap[last / WORD] ^ what) & (~0ull >> (WORD - 1 - last % WORD));

		if (word)
			return max(from,
				   align_down(last, WORD) + WORD - (unsigned)__builtin_clzll(word));
		to = align_down(last, WORD);
	}
	return from;
}

static void mark(u64 what, u64 from, u64 to)
{
	while (from < to) {
		u64 end = min(to, align_down(from, WORD) + WORD);
		u64 mask = (~0ull << from % WORD) & (~0ull >> (WORD - 1 - (end - 1) % WORD));

		if (what == TAKEN)
			bitmap[from / WORD] |= mask;
		else
			bitmap[from / WORD] &= ~mask;
		from = end;
	}
}

/* ---- finding a piece, from either end -------------------------------------------------------- */

static u64 find_from_below(u64 n, u64 align)
{
	u64 page, taken;

	low_free = first_page(FREE, low_free, high_free);
	for (page = align_up(low_free, align); page + n <= high_free;) {
		taken = last_page_end(TAKEN, page, page + n);
		if (taken == page)
			return page;
		page = align_up(first_page(FREE, taken, high_free), align);
	}
	return NOT_FOUND;
}

static u64 find_from_above(u64 n, u64 align)
{
	u64 page, taken, end;

	high_free = last_page_end(FREE, low_free, high_free);
	for (end = high_free; end >= low_free + n; end = last_page_end(FREE, low_free, taken)) {
		page = align_down(end - n, align);
		if (page < low_free)
			break;
		taken = first_page(TAKEN, page, page + n);
		if (taken == page + n)
			return page;
	}
	return NOT_FOUND;
}

/* ---- setting up ------------------------------------------------------------------------------ */

u64 pages_bitmap_bytes(u64 top)
{
	return align_up(top >> PAGE_SHIFT, WORD) / 8;
}

void pages_init(void *memory, u64 top)
{
	bitmap = memory;
	page_count = top >> PAGE_SHIFT;
	memset(bitmap, 0xff, pages_bitmap_bytes(top));
	low_free = 0;
	high_free = page_count;
}

void pages_add(u64 start, u64 end)
{
	mark(FREE, align_up(start, PAGE_SIZE) >> PAGE_SHIFT, min(end >> PAGE_SHIFT, page_count));
}

void pages_reserve(u64 start, u64 end)
{
	mark(TAKEN, start >> PAGE_SHIFT, min(align_up(end, PAGE_SIZE) >> PAGE_SHIFT, page_count));
}

/* ---- the interface --------------------------------------------------------------------------- */

static u64 pages_of(u64 bytes)
{
	return align_up(bytes, PAGE_SIZE) >> PAGE_SHIFT;
}

hpa_t pages_alloc(u64 bytes, u64 align)
{
	u64 n = pages_of(bytes), page;

	if (!is_aligned(align, PAGE_SIZE) || align & (align - 1) || !align)
		panic("pages_alloc: an alignment of 0x%lx", align);
	if (!n || n > page_count)
		return HPA(0);

	align >>= PAGE_SHIFT;
	if (bytes >= LARGE_SIZE || align >= LARGE_SIZE >> PAGE_SHIFT)
		page = find_from_above(n, align);
	else
		page = find_from_below(n, align);
	if (page == NOT_FOUND)
		return HPA(0);

	mark(TAKEN, page, page + n);
	return HPA(page << PAGE_SHIFT);
}

void *pages_alloc_zero(u64 bytes, u64 align)
{
	hpa_t p = pages_alloc(bytes, align);

	return p.a ? memset(hpa_ptr(p), 0, pages_of(bytes) << PAGE_SHIFT) : NULL;
}

bool pages_take(hpa_t p, u64 bytes)
{
	u64 page = p.a >> PAGE_SHIFT, end = page + pages_of(bytes);

	if (!is_aligned(p.a, PAGE_SIZE) || end > page_count || end <= page ||
	    first_page(TAKEN, page, end) != end)
		return false;
	mark(TAKEN, page, end);
	return true;
}

void pages_free(hpa_t p, u64 bytes, bool scrub)
{
	u64 page = p.a >> PAGE_SHIFT, end = page + pages_of(bytes);

	if (!is_aligned(p.a, PAGE_SIZE) || end > page_count || end < page)
		panic("pages_free: 0x%lx, 0x%lx bytes: that is not memory", p.a, bytes);
	if (first_page(FREE, page, end) != end)
		panic("pages_free: 0x%lx, 0x%lx bytes: partly free already", p.a, bytes);

	if (scrub)
		memset(hpa_ptr(p), 0, (end - page) << PAGE_SHIFT);
	mark(FREE, page, end);
	low_free = min(low_free, page);
	high_free = max(high_free, end);
}

void *kalloc(size_t bytes)
{
	return pages_alloc_zero(bytes, PAGE_SIZE);
}

void kfree(void *p, size_t bytes)
{
	if (p)
		pages_free(ptr_hpa(p), bytes, true);
}

u64 pages_available(u64 *largest)
{
	u64 sum = 0, most = 0, page = 0, start;

	while ((start = first_page(FREE, page, page_count)) < page_count) {
		page = first_page(TAKEN, start, page_count);
		sum += page - start;
		most = max(most, page - start);
	}
	if (largest)
		*largest = most << PAGE_SHIFT;
	return sum << PAGE_SHIFT;
}

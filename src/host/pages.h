/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pages.h: setting up the page allocator; what it then offers is in host.h.
 */
#ifndef HOST_PAGES_H
#define HOST_PAGES_H

#include "lib/types.h"

/** pages_bitmap_bytes() - how large the bitmap is for memory that ends at @top. */
u64 pages_bitmap_bytes(u64 top);

/**
 * pages_init() - begin: everything below @top is taken.
 * @bitmap: pages_bitmap_bytes(top) bytes, word-aligned
 * @top: the end of memory
 */
void pages_init(void *bitmap, u64 top);

/** pages_add() - the whole pages from @start to @end are memory, and free. */
void pages_add(u64 start, u64 end);

/** pages_reserve() - all pages that @start to @end touches are taken, for good. */
void pages_reserve(u64 start, u64 end);

#endif

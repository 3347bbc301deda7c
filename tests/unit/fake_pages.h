/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fake_pages.h: the machine's memory for tests that want to know where it went.
 *
 * It is the C library's, so that AddressSanitizer watches it, and every piece is remembered until
 * it is freed; freeing what was not allocated, or with another size, fails the test. A piece of 1
 * GiB or more is an address only, with no memory behind it: good for what is only mapped.
 */
#ifndef TESTS_UNIT_FAKE_PAGES_H
#define TESTS_UNIT_FAKE_PAGES_H

#include "host/host.h"

#define FAKE_PAGES_HUGE GIB

/** fake_pages_live() - pieces that are allocated now, kalloc()'s included. */
unsigned fake_pages_live(void);
/** fake_pages_fail_after() - let @n more allocations succeed, and then none; -1: let all. */
void fake_pages_fail_after(int n);
/** fake_pages_low() - give memory below 4 GiB from now on (out of AddressSanitizer's sight), or not. */
void fake_pages_low(bool on);
/** fake_pages_scrubbed(), fake_pages_freed() - bytes that pages_free() was given so far. */
u64 fake_pages_scrubbed(void);
u64 fake_pages_freed(void);

#endif

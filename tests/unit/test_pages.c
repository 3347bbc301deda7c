/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_pages.c: tests of the page allocator (src/host/pages.c), and of kalloc() on top of it.
 *
 * The file is built into this one, under other names: other tests bring functions of these names
 * along, to have memory without a machine, and panic() must come back to us here. What is tested is
 * real memory, at an address where an ordinary program has none.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include "suite.h"

#define panic		   tested_panic
#define pages_bitmap_bytes tested_pages_bitmap_bytes
#define pages_init	   tested_pages_init
#define pages_add	   tested_pages_add
#define pages_reserve	   tested_pages_reserve
#define pages_alloc	   tested_pages_alloc
#define pages_alloc_zero   tested_pages_alloc_zero
#define pages_take	   tested_pages_take
#define pages_free	   tested_pages_free
#define pages_available	   tested_pages_available
#define kalloc		   tested_kalloc
#define kfree		   tested_kfree
#include "host/pages.c"

/* ---- a machine of 64 MiB ------------------------------------------------------------------ */

#define BASE  (256 * MIB)
#define SIZE  (64 * MIB)
#define TOP   (BASE + SIZE)
#define PAGES (SIZE / PAGE_SIZE)

static u64 test_bitmap[TOP / PAGE_SIZE / 64];
static jmp_buf panicked;
static char panic_text[128];

void tested_panic(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(panic_text, sizeof(panic_text), fmt, ap);
	va_end(ap);
	longjmp(panicked, 1);
}

#define assert_panics(statement, words)                                             \
	do {                                                                        \
		if (!setjmp(panicked)) {                                            \
			statement;                                                  \
			ck_abort_msg("did not panic");                              \
		}                                                                   \
		ck_assert_msg(strstr(panic_text, words), "panics: %s", panic_text); \
	} while (0)

static void setup(void)
{
	void *memory = mmap((void *)(uintptr_t)BASE, SIZE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	ck_assert_ptr_eq(memory, (void *)(uintptr_t)BASE);
	memset(memory, 0xaa, SIZE);
	ck_assert_uint_eq(pages_bitmap_bytes(TOP), sizeof(test_bitmap));
	pages_init(test_bitmap, TOP);
	pages_add(BASE, TOP);
}

static void teardown(void)
{
	munmap((void *)(uintptr_t)BASE, SIZE);
}

static bool all_bytes_are(const void *p, u8 byte, u64 n)
{
	const u8 *b = p;

	for (u64 i = 0; i < n; i++)
		if (b[i] != byte)
			return false;
	return true;
}

/* ---- pages -------------------------------------------------------------------------------- */

START_TEST(bitmap_has_a_bit_a_page_in_whole_words)
{
	ck_assert_uint_eq(pages_bitmap_bytes(512 * MIB), 16 * KIB);
	ck_assert_uint_eq(pages_bitmap_bytes(64 * PAGE_SIZE), 8);
	ck_assert_uint_eq(pages_bitmap_bytes(65 * PAGE_SIZE), 16);
}
END_TEST

START_TEST(only_whole_pages_of_memory_are_free)
{
	u64 largest;

	pages_init(test_bitmap, TOP);
	ck_assert_uint_eq(pages_available(&largest), 0);
	ck_assert_uint_eq(largest, 0);
	ck_assert_uint_eq(pages_alloc(1, PAGE_SIZE).a, 0);

	pages_add(BASE + 1, BASE + 3 * PAGE_SIZE + 1);
	ck_assert_uint_eq(pages_available(&largest), 2 * PAGE_SIZE);
	pages_add(BASE + 8 * PAGE_SIZE, TOP + GIB);
	ck_assert_uint_eq(pages_available(&largest), SIZE - 6 * PAGE_SIZE);
	ck_assert_uint_eq(largest, SIZE - 8 * PAGE_SIZE);
}
END_TEST

START_TEST(reserving_takes_every_page_that_is_touched)
{
	pages_reserve(BASE + PAGE_SIZE - 1, BASE + PAGE_SIZE + 1);
	pages_reserve(TOP - 1, TOP + GIB);
	pages_reserve(TOP + GIB, TOP + 2 * GIB);
	pages_reserve(BASE + 5 * PAGE_SIZE, BASE + 5 * PAGE_SIZE); /* nothing */
	ck_assert_uint_eq(pages_available(NULL), SIZE - 3 * PAGE_SIZE);
	ck_assert_uint_eq(pages_alloc(1, PAGE_SIZE).a, BASE + 2 * PAGE_SIZE);
}
END_TEST

START_TEST(small_pieces_come_from_below_large_from_above)
{
	ck_assert_uint_eq(pages_alloc(1, PAGE_SIZE).a, BASE);
	ck_assert_uint_eq(pages_alloc(PAGE_SIZE + 1, PAGE_SIZE).a, BASE + PAGE_SIZE);
	ck_assert_uint_eq(pages_alloc(2 * PAGE_SIZE, 2 * PAGE_SIZE).a, BASE + 4 * PAGE_SIZE);
	ck_assert_uint_eq(pages_alloc(16 * KIB, 16 * KIB).a, BASE + 8 * PAGE_SIZE);
	ck_assert_uint_eq(pages_alloc(PAGE_SIZE, PAGE_SIZE).a, BASE + 3 * PAGE_SIZE);
	ck_assert_uint_eq(pages_alloc(4 * MIB, PAGE_SIZE).a, TOP - 4 * MIB);
	ck_assert_uint_eq(pages_alloc(PAGE_SIZE, LARGE_SIZE).a, TOP - 6 * MIB);
	ck_assert_uint_eq(pages_alloc(3 * MIB, LARGE_SIZE).a, TOP - 10 * MIB);
}
END_TEST

START_TEST(small_pieces_leave_room_for_a_large_one)
{
	for (unsigned i = 0; i < 1000; i++) {
		hpa_t a = pages_alloc(PAGE_SIZE, PAGE_SIZE);

		ck_assert(pages_alloc(PAGE_SIZE, PAGE_SIZE).a != 0);
		if (i % 2)
			pages_free(a, PAGE_SIZE, false);
	}
	ck_assert(pages_alloc(56 * MIB, LARGE_SIZE).a != 0);
}
END_TEST

START_TEST(everything_can_be_taken_and_given_back)
{
	u64 largest;

	for (u64 i = 0; i < PAGES; i++)
		ck_assert_uint_eq(pages_alloc(PAGE_SIZE, PAGE_SIZE).a, BASE + i * PAGE_SIZE);
	ck_assert_uint_eq(pages_alloc(PAGE_SIZE, PAGE_SIZE).a, 0);
	ck_assert_uint_eq(pages_alloc(LARGE_SIZE, LARGE_SIZE).a, 0);
	ck_assert_uint_eq(pages_available(&largest), 0);
	for (u64 i = 0; i < PAGES; i++)
		pages_free(HPA(BASE + (i * 7 % PAGES) * PAGE_SIZE), PAGE_SIZE, false);
	ck_assert_uint_eq(pages_available(&largest), SIZE);
	ck_assert_uint_eq(largest, SIZE);
	ck_assert_uint_eq(pages_alloc(SIZE, LARGE_SIZE).a, BASE);
}
END_TEST

START_TEST(impossible_sizes_are_refused)
{
	ck_assert_uint_eq(pages_alloc(0, PAGE_SIZE).a, 0);
	ck_assert_uint_eq(pages_alloc(SIZE + 1, PAGE_SIZE).a, 0);
	ck_assert_uint_eq(pages_alloc(TOP, PAGE_SIZE).a, 0);
	ck_assert_uint_eq(pages_alloc(UINT64_MAX, PAGE_SIZE).a, 0);
	ck_assert_uint_eq(pages_alloc(UINT64_MAX - 2 * PAGE_SIZE, PAGE_SIZE).a, 0);
	ck_assert_uint_eq(pages_alloc(PAGE_SIZE, GIB).a, 0);
	ck_assert_ptr_null(pages_alloc_zero(SIZE + 1, PAGE_SIZE));
	assert_panics(pages_alloc(PAGE_SIZE, 0), "alignment");
	assert_panics(pages_alloc(PAGE_SIZE, 2048), "alignment");
	assert_panics(pages_alloc(PAGE_SIZE, 3 * PAGE_SIZE), "alignment");
}
END_TEST

START_TEST(a_certain_address_can_be_taken_once)
{
	hpa_t there = HPA(BASE + 32 * MIB);

	ck_assert(pages_take(there, MIB));
	ck_assert(!pages_take(there, PAGE_SIZE));
	ck_assert(!pages_take(HPA(there.a - PAGE_SIZE), 2 * PAGE_SIZE));
	ck_assert(!pages_take(HPA(there.a + MIB - 1), 1));
	ck_assert(!pages_take(HPA(TOP), PAGE_SIZE));
	ck_assert(!pages_take(HPA(BASE), SIZE + 1));
	ck_assert(!pages_take(HPA(BASE), 0));
	ck_assert(pages_take(HPA(there.a + MIB), 1));
	pages_free(there, MIB, false);
	ck_assert(pages_take(there, MIB));
}
END_TEST

START_TEST(scrubbing_and_zeroing_write_whole_pages_and_no_more)
{
	hpa_t a = pages_alloc(3 * PAGE_SIZE, PAGE_SIZE);
	u8 *zeroes;

	ck_assert_msg(all_bytes_are(hpa_ptr(a), 0xaa, 3 * PAGE_SIZE), "pages_alloc wrote");
	pages_free(hpa_add(a, PAGE_SIZE), 1, true);
	ck_assert(all_bytes_are(hpa_ptr(a), 0xaa, PAGE_SIZE));
	ck_assert(all_bytes_are(hpa_ptr(hpa_add(a, PAGE_SIZE)), 0, PAGE_SIZE));
	ck_assert(all_bytes_are(hpa_ptr(hpa_add(a, 2 * PAGE_SIZE)), 0xaa, PAGE_SIZE));
	pages_free(a, PAGE_SIZE, false);
	ck_assert_msg(all_bytes_are(hpa_ptr(a), 0xaa, PAGE_SIZE), "pages_free wrote");

	zeroes = pages_alloc_zero(PAGE_SIZE + 1, PAGE_SIZE);
	ck_assert(all_bytes_are(zeroes, 0, 2 * PAGE_SIZE));
}
END_TEST

START_TEST(freeing_what_is_free_panics)
{
	hpa_t a = pages_alloc(4 * PAGE_SIZE, PAGE_SIZE);

	assert_panics(pages_free(HPA(TOP), PAGE_SIZE, false), "not memory");
	assert_panics(pages_free(HPA(a.a + 8), PAGE_SIZE, false), "not memory");
	assert_panics(pages_free(a, 5 * PAGE_SIZE, false), "free already");
	pages_free(hpa_add(a, PAGE_SIZE), PAGE_SIZE, false);
	assert_panics(pages_free(a, 4 * PAGE_SIZE, false), "free already");
	pages_free(a, PAGE_SIZE, false);
	assert_panics(pages_free(a, PAGE_SIZE, true), "free already");
	ck_assert_msg(all_bytes_are(hpa_ptr(a), 0xaa, PAGE_SIZE), "scrubbed before checking");
}
END_TEST

/* The same by brute force: one byte a page, tried one after the other. */
static u8 taken_by_model[PAGES];

static bool model_is_free(u64 page, u64 n)
{
	for (u64 i = page; i < page + n; i++)
		if (taken_by_model[i])
			return false;
	return true;
}

static u64 model_find(u64 n, u64 align, bool from_above)
{
	u64 candidates = n > PAGES ? 0 : (PAGES - n) / align + 1;

	for (u64 i = 0; i < candidates; i++) {
		u64 page = (from_above ? candidates - 1 - i : i) * align;

		if (model_is_free(page, n))
			return BASE + page * PAGE_SIZE;
	}
	return 0;
}

START_TEST(random_requests_get_the_first_piece_that_fits)
{
	struct {
		u64 page, n;
	} pieces[256];
	unsigned count = 0;

	memset(taken_by_model, 0, sizeof(taken_by_model));
	srand(_i + 1);
	for (unsigned step = 0; step < 2000; step++) {
		if (count == ARRAY_SIZE(pieces) || (count && rand() % 5 < 2)) {
			unsigned victim = rand() % count;

			pages_free(HPA(BASE + pieces[victim].page * PAGE_SIZE),
				   pieces[victim].n * PAGE_SIZE, false);
			memset(taken_by_model + pieces[victim].page, 0, pieces[victim].n);
			pieces[victim] = pieces[--count];
		} else {
			u64 n = 1 + rand() % (1u << rand() % 12);
			u64 align = 1u << rand() % 11;
			u64 wanted = model_find(n, align, n >= 512 || align >= 512);
			hpa_t got = pages_alloc(n * PAGE_SIZE, align * PAGE_SIZE);

			ck_assert_uint_eq(got.a, wanted);
			if (!got.a)
				continue;
			pieces[count].page = (got.a - BASE) / PAGE_SIZE;
			pieces[count].n = n;
			memset(taken_by_model + pieces[count].page, 1, n);
			count++;
		}
	}
}
END_TEST

/* ---- kalloc ------------------------------------------------------------------------------- */

START_TEST(kalloc_gives_zeroed_memory_of_its_own)
{
	static const size_t sizes[] = {1, 31, 32, 33, 100, 500, 1000, 2048, 2049, 5000};
	u8 *p[ARRAY_SIZE(sizes)];

	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
			p[i] = kalloc(sizes[i]);
			ck_assert_ptr_nonnull(p[i]);
			ck_assert(all_bytes_are(p[i], 0, sizes[i]));
			memset(p[i], i + 1, sizes[i]);
		}
		for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
			ck_assert(all_bytes_are(p[i], i + 1, sizes[i]));
			kfree(p[i], sizes[i]);
		}
	}
	kfree(NULL, 100);
}
END_TEST

START_TEST(kfree_leaves_nothing_to_read)
{
	u8 *p = kalloc(100);

	memset(p, 0x55, 100);
	kfree(p, 100);
	ck_assert(all_bytes_are(p, 0, PAGE_SIZE));
}
END_TEST

START_TEST(kalloc_says_when_there_is_no_more)
{
	while (pages_alloc(PAGE_SIZE, PAGE_SIZE).a)
		;
	ck_assert_ptr_null(kalloc(2048));
	ck_assert_ptr_null(kalloc(4096));
}
END_TEST

START_TEST(kfree_notices_what_is_free_already)
{
	u64 *p = kalloc(64), *large = kalloc(3 * PAGE_SIZE);

	kfree(p, 64);
	assert_panics(kfree(p, 64), "free already");
	kfree(large, 3 * PAGE_SIZE);
	assert_panics(kfree(large, 3 * PAGE_SIZE), "free already");
}
END_TEST

static Suite *pages_suite(void)
{
	Suite *suite = suite_create("pages");
	TCase *pages = tcase_create("pages"), *small = tcase_create("kalloc");

	tcase_add_checked_fixture(pages, setup, teardown);
	tcase_add_test(pages, bitmap_has_a_bit_a_page_in_whole_words);
	tcase_add_test(pages, only_whole_pages_of_memory_are_free);
	tcase_add_test(pages, reserving_takes_every_page_that_is_touched);
	tcase_add_test(pages, small_pieces_come_from_below_large_from_above);
	tcase_add_test(pages, small_pieces_leave_room_for_a_large_one);
	tcase_add_test(pages, everything_can_be_taken_and_given_back);
	tcase_add_test(pages, impossible_sizes_are_refused);
	tcase_add_test(pages, a_certain_address_can_be_taken_once);
	tcase_add_test(pages, scrubbing_and_zeroing_write_whole_pages_and_no_more);
	tcase_add_test(pages, freeing_what_is_free_panics);
	tcase_add_loop_test(pages, random_requests_get_the_first_piece_that_fits, 0, 20);
	suite_add_tcase(suite, pages);

	tcase_add_checked_fixture(small, setup, teardown);
	tcase_add_test(small, kalloc_gives_zeroed_memory_of_its_own);
	tcase_add_test(small, kfree_leaves_nothing_to_read);
	tcase_add_test(small, kalloc_says_when_there_is_no_more);
	tcase_add_test(small, kfree_notices_what_is_free_already);
	suite_add_tcase(suite, small);
	return suite;
}
SET_ADD(suites, suite_fn, pages_suite);

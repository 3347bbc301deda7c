/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_lib.c: tests of src/lib.
 *
 * The memory functions are the bare-metal ones, which the Makefile builds once more under the names
 * bare_*; the C library's own say what is right. The formatter is compared with snprintf.
 */
#include <stdio.h>
#include <stdlib.h>
#include "suite.h"
#include "lib/errno.h"
#include "lib/print.h"
#include "lib/string.h"

void *bare_memcpy(void *to, const void *from, size_t n);
void *bare_memmove(void *to, const void *from, size_t n);
void *bare_memset(void *to, int byte, size_t n);
int bare_memcmp(const void *a, const void *b, size_t n);
size_t bare_strlen(const char *s);
int bare_strcmp(const char *a, const char *b);
char *bare_strchr(const char *s, int c);

/* ---- memory ---------------------------------------------------------------------------- */

#define AREA 512

static void fill(u8 *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = i * 37 + (i >> 8) + 11;
}

/* Sizes that cover each path of the copying functions: small, words, whole blocks and their ends.
 */
static size_t next_size(size_t n)
{
	return n < 140 ? n + 1 : n + 61;
}

START_TEST(memcpy_copies_just_n_bytes)
{
	u8 from[AREA], ours[AREA], theirs[AREA];

	fill(from, AREA);
	for (size_t n = 0; n < AREA - 32; n = next_size(n)) {
		for (unsigned shift = 0; shift < 9; shift++) {
			memset(ours, 0xee, AREA);
			memset(theirs, 0xee, AREA);
			ck_assert_ptr_eq(bare_memcpy(ours + shift, from + 8 - shift, n),
					 ours + shift);
			memcpy(theirs + shift, from + 8 - shift, n);
			ck_assert_msg(!memcmp(ours, theirs, AREA), "n %zu shift %u", n, shift);
		}
	}
}
END_TEST

START_TEST(memmove_copies_overlapping_areas)
{
	static const int distances[] = {-200, -65, -64, -33, -9, -8, -7, -1, 0,
					1,    3,   7,	8,   15, 31, 64, 65, 130};
	u8 ours[AREA * 2], theirs[AREA * 2];

	for (size_t n = 0; n < AREA; n = next_size(n)) {
		for (size_t i = 0; i < ARRAY_SIZE(distances); i++) {
			fill(ours, AREA * 2);
			fill(theirs, AREA * 2);
			bare_memmove(ours + 256 + distances[i], ours + 256, n);
			memmove(theirs + 256 + distances[i], theirs + 256, n);
			ck_assert_msg(!memcmp(ours, theirs, AREA * 2), "n %zu by %d", n,
				      distances[i]);
		}
	}
}
END_TEST

START_TEST(memset_fills_just_n_bytes)
{
	u8 ours[AREA], theirs[AREA];

	for (size_t n = 0; n < AREA - 16; n = next_size(n)) {
		fill(ours, AREA);
		fill(theirs, AREA);
		ck_assert_ptr_eq(bare_memset(ours + n % 9, 0x1a5, n), ours + n % 9);
		memset(theirs + n % 9, 0xa5, n);
		ck_assert_msg(!memcmp(ours, theirs, AREA), "n %zu", n);
	}
}
END_TEST

static int sign(int v)
{
	return (v > 0) - (v < 0);
}

START_TEST(memcmp_orders_by_the_first_difference)
{
	u8 a[64], b[64];

	for (size_t n = 0; n < 40; n++) {
		fill(a, 64);
		fill(b, 64);
		ck_assert_int_eq(bare_memcmp(a, b, n), 0);
		for (size_t at = 0; at < 40; at++) {
			b[at] ^= 0x80;
			b[at + 1] ^= 0xff; /* a later difference says nothing */
			ck_assert_int_eq(sign(bare_memcmp(a, b, n)), sign(memcmp(a, b, n)));
			b[at] ^= 0x80;
			b[at + 1] ^= 0xff;
		}
	}
}
END_TEST

/* Blocks of exactly the right size, where AddressSanitizer catches one byte too many. */
START_TEST(memory_functions_stay_inside)
{
	for (size_t n = 1; n < 300; n++) {
		u8 *a = malloc(n), *b = malloc(n);

		bare_memset(a, 0x5a, n);
		bare_memcpy(b, a, n);
		ck_assert_int_eq(bare_memcmp(a, b, n), 0);
		bare_memmove(b, a, n);
		free(a);
		free(b);
	}
}
END_TEST

/* ---- strings --------------------------------------------------------------------------- */

START_TEST(strings_compare_as_the_c_library_does)
{
	static const char *const s[] = {"", "a", "b", "ab", "abc", "abd", "\xff", "a\xff"};

	for (size_t i = 0; i < ARRAY_SIZE(s); i++) {
		ck_assert_uint_eq(bare_strlen(s[i]), strlen(s[i]));
		for (size_t j = 0; j < ARRAY_SIZE(s); j++) {
			ck_assert_int_eq(sign(bare_strcmp(s[i], s[j])), sign(strcmp(s[i], s[j])));
		}
		for (int c = 0; c < 256; c++)
			ck_assert_ptr_eq(bare_strchr(s[i], c), strchr(s[i], c));
	}
}
END_TEST

START_TEST(str_to_u64_reads_numbers)
{
	static const struct {
		const char *text;
		int error;
		u64 value;
	} cases[] = {
		{"0", 0, 0},
		{"42", 0, 42},
		{"007", 0, 7},
		{"0x1f", 0, 0x1f},
		{"0XaBcDeF", 0, 0xabcdef},
		{"4K", 0, 4096},
		{"256M", 0, 256 * MIB},
		{"0x10G", 0, 16 * GIB},
		{"18446744073709551615", 0, UINT64_MAX},
		{"0xffffffffffffffff", 0, UINT64_MAX},
		{"18446744073709551616", -ERANGE, 0},
		{"0x10000000000000000", -ERANGE, 0},
		{"17179869183G", 0, 17179869183ull << 30},
		{"17179869184G", -ERANGE, 0},
		{"99999999999999999999z", -EINVAL, 0},
		{"", -EINVAL, 0},
		{"M", -EINVAL, 0},
		{"0x", -EINVAL, 0},
		{"0xM", -EINVAL, 0},
		{"-1", -EINVAL, 0},
		{" 1", -EINVAL, 0},
		{"1 ", -EINVAL, 0},
		{"12f", -EINVAL, 0},
		{"1MM", -EINVAL, 0},
		{"1T", -EINVAL, 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		size_t n = strlen(cases[i].text);
		char *exact = malloc(n ? n : 1); /* no terminator to lean on */
		u64 v = 0;

		memcpy(exact, cases[i].text, n);
		ck_assert_msg(str_to_u64(exact, n, &v) == cases[i].error, "%s", cases[i].text);
		ck_assert_msg(v == cases[i].value, "%s", cases[i].text);
		free(exact);
	}
}
END_TEST

/* ---- printing -------------------------------------------------------------------------- */

/* The same format and arguments through ours and through the C library's formatter. */
#define SAME(...)                                                                   \
	do {                                                                        \
		char ours[200], theirs[200];                                        \
		int n = str_format(ours, sizeof(ours), __VA_ARGS__);                \
                                                                                    \
		ck_assert_int_eq(n, snprintf(theirs, sizeof(theirs), __VA_ARGS__)); \
		ck_assert_str_eq(ours, theirs);                                     \
	} while (0)

START_TEST(formats_agree_with_printf)
{
	int local;

	SAME("plain 100%%");
	SAME("%d %u %x %#x", -5, 4000000000u, 0xbeef, 0xbeef);
	SAME("%d %d %ld", INT32_MIN, INT32_MAX, (long)INT64_MIN);
	SAME("%ld %lu %lx %lld %llu %llx", -1l, -1ul, -1ul, -1ll, -1ull, -1ull);
	SAME("%zu %zx %zd", (size_t)-1, (size_t)77, (size_t)12);
	SAME("%hd %hu %hhd %hhu %hhx", (short)-2, (unsigned short)65535, (signed char)-3,
	     (unsigned char)200, (unsigned char)0xab);
	SAME("[%5d] [%-5d] [%05d] [%05d] [%2d]", 42, 42, 42, -42, 12345);
	SAME("[%016llx] [%8x] [%-8x] [%08x]", 0xffff800000000000ull, 0xcafe, 0xcafe, 0xcafe);
	SAME("[%*d] [%-*d] [%*d]", 6, 1, 6, 2, -6, 3);
	SAME("[%s] [%8s] [%-8s] [%.2s] [%.*s] [%8.3s] [%.0s]", "abc", "abc", "abc", "abc", 1, "abc",
	     "abcdef", "abc");
	SAME("[%c] [%3c] [%-3c]", 'a', 'b', 'c');
	SAME("%p", (void *)&local);
}
END_TEST

START_TEST(a_precision_bounds_what_is_read_of_a_string)
{
	char *exact = malloc(3);
	char buf[8];

	memcpy(exact, "abc", 3);
	ck_assert_int_eq(str_format(buf, sizeof(buf), "%.3s", exact), 3);
	ck_assert_str_eq(buf, "abc");
	free(exact);
}
END_TEST

START_TEST(long_text_is_cut_and_its_length_told)
{
	char buf[6] = "zzzzz";

	ck_assert_int_eq(str_format(buf, sizeof(buf), "%s", "hello, world"), 12);
	ck_assert_str_eq(buf, "hello");
	ck_assert_int_eq(str_format(buf, 1, "x"), 1);
	ck_assert_str_eq(buf, "");
	ck_assert_int_eq(str_format(NULL, 0, "four"), 4);
}
END_TEST

START_TEST(nonsense_is_shown_as_it_stands)
{
	/* through pointers, so that the compiler does not see the nonsense */
	const char *unknown = "a %5k b", *unfinished = "a %-3l";
	char buf[32];

	str_format(buf, sizeof(buf), unknown, 1);
	ck_assert_str_eq(buf, "a %5k b");
	str_format(buf, sizeof(buf), unfinished, 1);
	ck_assert_str_eq(buf, "a %-3l");
	str_format(buf, sizeof(buf), "%s", (char *)NULL + (buf[0] == 0));
	ck_assert_str_eq(buf, "(null)");
}
END_TEST

static char sunk[1000];
static size_t sunk_n;

static void sink(const char *text, size_t n)
{
	memcpy(sunk + sunk_n, text, n);
	sunk_n += n;
}

START_TEST(print_hands_all_of_a_long_line_to_the_sink)
{
	char expect[700];

	print("to nobody: %d\n", 1);
	print_sink = sink;
	print("%0300d|%-300s|\n", 7, "x");
	snprintf(expect, sizeof(expect), "%0300d|%-300s|\n", 7, "x");
	ck_assert_uint_eq(sunk_n, strlen(expect));
	ck_assert_str_eq(sunk, expect);
	print_sink = NULL;
}
END_TEST

static Suite *lib_suite(void)
{
	Suite *s = suite_create("lib");
	TCase *memory = tcase_create("memory"), *strings = tcase_create("strings");
	TCase *printing = tcase_create("print");

	tcase_add_test(memory, memcpy_copies_just_n_bytes);
	tcase_add_test(memory, memmove_copies_overlapping_areas);
	tcase_add_test(memory, memset_fills_just_n_bytes);
	tcase_add_test(memory, memcmp_orders_by_the_first_difference);
	tcase_add_test(memory, memory_functions_stay_inside);
	tcase_add_test(strings, strings_compare_as_the_c_library_does);
	tcase_add_test(strings, str_to_u64_reads_numbers);
	tcase_add_test(printing, formats_agree_with_printf);
	tcase_add_test(printing, a_precision_bounds_what_is_read_of_a_string);
	tcase_add_test(printing, long_text_is_cut_and_its_length_told);
	tcase_add_test(printing, nonsense_is_shown_as_it_stands);
	tcase_add_test(printing, print_hands_all_of_a_long_line_to_the_sink);
	suite_add_tcase(s, memory);
	suite_add_tcase(s, strings);
	suite_add_tcase(s, printing);
	return s;
}
SET_ADD(suites, suite_fn, lib_suite);

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * string.c: memory and string functions, and numbers out of text.
 *
 * On bare metal there is no C library, yet the compiler itself calls memcpy, memmove, memset and
 * memcmp, so they must exist. Casita's currency is the instruction count (a second of emulated
 * time says nothing, an instruction does), and so the four work in words of eight bytes, eight
 * words a turn. x86 reads and writes words at any address, which gives the classic trick for the
 * odd bytes: 8 to 16 bytes are two words that overlap, whatever the number.
 *
 *	1. words at any address
 *	2. memcpy and memmove, memset, memcmp
 *	3. strings: strlen, strcmp, strncmp, strchr
 *	4. ours: str_copy, str_to_u64 (the only part that unit tests use: hosted code has a C
 *library)
 */
#include "lib/string.h"
#include "lib/errno.h"

#if !__STDC_HOSTED__

/* gcc would recognise the loops below as memcpy and memset, and call them from within themselves */
#ifndef __clang__
#pragma GCC optimize("no-tree-loop-distribute-patterns")
#endif

/* ---- 1. words at any address ----------------------------------------------------------- */

#define ANY __attribute__((may_alias, aligned(1)))
typedef u64 ANY any64;
typedef u32 ANY any32;
typedef u16 ANY any16;

#define BLOCK 64 /* bytes a turn of the main loops */

/*
 * At most 32 bytes. All loads come before the first store, so the two areas may overlap.
 */
static inline void copy_small(u8 *to, const u8 *from, size_t n)
{
	if (n >= 16) {
		u64 a = *(any64 *)from, b = *(any64 *)(from + 8);
		u64 y = *(any64 *)(from + n - 16), z = *(any64 *)(from + n - 8);

		*(any64 *)to = a;
		*(any64 *)(to + 8) = b;
		*(any64 *)(to + n - 16) = y;
		*(any64 *)(to + n - 8) = z;
	} else if (n >= 8) {
		u64 a = *(any64 *)from, z = *(any64 *)(from + n - 8);

		*(any64 *)to = a;
		*(any64 *)(to + n - 8) = z;
	} else if (n >= 4) {
		u32 a = *(any32 *)from, z = *(any32 *)(from + n - 4);

		*(any32 *)to = a;
		*(any32 *)(to + n - 4) = z;
	} else if (n >= 2) {
		u16 a = *(any16 *)from, z = *(any16 *)(from + n - 2);

		*(any16 *)to = a;
		*(any16 *)(to + n - 2) = z;
	} else if (n) {
		*to = *from;
	}
}

/* ---- 2. memory ------------------------------------------------------------------------- */

static inline void copy_block(u8 *to, const u8 *from)
{
	const any64 *f = (const any64 *)from;
	any64 *t = (any64 *)to;
	u64 a = f[0], b = f[1], c = f[2], d = f[3];

	t[0] = a;
	t[1] = b;
	t[2] = c;
	t[3] = d;
	a = f[4], b = f[5], c = f[6], d = f[7];
	t[4] = a;
	t[5] = b;
	t[6] = c;
	t[7] = d;
}

/* Upwards: right also where @to lies below @from and the two overlap. */
static void copy_up(u8 *to, const u8 *from, size_t n)
{
	for (; n >= BLOCK; n -= BLOCK, to += BLOCK, from += BLOCK)
		copy_block(to, from);
	for (; n > 32; n -= 8, to += 8, from += 8)
		*(any64 *)to = *(const any64 *)from;
	copy_small(to, from, n);
}

static void copy_down(u8 *to, const u8 *from, size_t n)
{
	for (; n > 32; n -= 8)
		*(any64 *)(to + n - 8) = *(const any64 *)(from + n - 8);
	copy_small(to, from, n);
}

void *memcpy(void *to, const void *from, size_t n)
{
	if (n <= 32)
		copy_small(to, from, n);
	else
		copy_up(to, from, n);
	return to;
}

void *memmove(void *to, const void *from, size_t n)
{
	/* words run into each other only if the areas are less than n apart: a copy upwards is
	 * harmless unless @to is inside the source */
	if ((uintptr_t)to - (uintptr_t)from >= n)
		copy_up(to, from, n);
	else
		copy_down(to, from, n);
	return to;
}

void *memset(void *to, int byte, size_t n)
{
	u64 word = (u8)byte * 0x0101010101010101ull;
	u8 *p = to;

	for (; n >= BLOCK; n -= BLOCK, p += BLOCK) {
		any64 *t = (any64 *)p;

		t[0] = word;
		t[1] = word;
		t[2] = word;
		t[3] = word;
		t[4] = word;
		t[5] = word;
		t[6] = word;
		t[7] = word;
	}
	for (; n >= 8; n -= 8, p += 8)
		*(any64 *)p = word;
	for (; n; n--)
		*p++ = word;
	return to;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const u8 *p = a, *q = b;

	for (; n >= 8 && *(const any64 *)p == *(const any64 *)q; n -= 8, p += 8, q += 8)
		;
	for (; n; n--, p++, q++)
		if (*p != *q)
			return *p - *q;
	return 0;
}

/* ---- 3. strings ------------------------------------------------------------------------ */

size_t strlen(const char *s)
{
	const char *end = s;

	while (*end)
		end++;
	return end - s;
}

int strncmp(const char *a, const char *b, size_t n)
{
	for (; n; n--, a++, b++)
		if (*a != *b || !*a)
			return (u8)*a - (u8)*b;
	return 0;
}

int strcmp(const char *a, const char *b)
{
	return strncmp(a, b, SIZE_MAX);
}

char *strchr(const char *s, int c)
{
	for (; *s != (char)c; s++)
		if (!*s)
			return NULL;
	return (char *)s;
}

#endif /* !__STDC_HOSTED__ */

/* ---- 4. ours --------------------------------------------------------------------------- */

bool str_copy(char *to, size_t size, const char *from)
{
	size_t n = strlen(from);
	size_t fits = n < size ? n : size - 1;

	memcpy(to, from, fits);
	to[fits] = 0;
	return fits == n;
}

/* The value of a digit in base 16, or 16 if @c is none. */
static unsigned digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20; /* to lower case */
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 16;
}

/* What the suffix multiplies by, as a shift; -1 if @c is not a suffix. */
static int suffix_shift(char c)
{
	switch (c) {
	case 'K':
		return 10;
	case 'M':
		return 20;
	case 'G':
		return 30;
	}
	return -1;
}

int str_to_u64(const char *s, size_t n, u64 *out)
{
	const char *end = s + n;
	unsigned base = 10;
	bool fits = true;
	int shift = 0;
	u64 value = 0;

	if (n > 2 && s[0] == '0' && (s[1] | 0x20) == 'x') {
		base = 16;
		s += 2;
	}
	if (end - s > 1 && suffix_shift(end[-1]) > 0)
		shift = suffix_shift(*--end);
	if (s == end)
		return -EINVAL;
	/* to the end even when it is too large already: nonsense is -EINVAL at any length */
	for (; s < end; s++) {
		unsigned digit = digit_value(*s);

		if (digit >= base)
			return -EINVAL;
		fits &= !__builtin_mul_overflow(value, (u64)base, &value);
		fits &= !__builtin_add_overflow(value, (u64)digit, &value);
	}
	if (!fits || value << shift >> shift != value)
		return -ERANGE;
	*out = value << shift;
	return 0;
}

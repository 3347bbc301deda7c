/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * string.c: memory and string functions, and numbers out of text.
 *
 * On bare metal there is no C library, yet the compiler itself calls memcpy, memmove, memset and
 * memcmp, so they must exist. Casita's currency is the instruction count (a second of emulated
 * time says nothing, an instruction does), and so the four work in words of eight bytes, eight
 * words a turn. x86 reads and writes words at any address, which gives the classic trick for the
 * odd bytes: 8 to 16 bytes are two words that overlap, whatever the number.
 */
#include "lib/string.h"

#if !__STDC_HOSTED__

/* gcc would recognise the loops below as memcpy and memset, and call them from within themselves */
#ifndef __clang__
#pragma GCC optimize("no-tree-loop-distribute-patterns")
#endif

/* ---- words at any address -------------------------------------------------------------------- */

#define ANY __attribute__((may_alias, aligned(1)))
typedef unsigned __int128 ANY any128;
typedef u64 ANY any64;
typedef u32 ANY any32;
typedef u16 ANY any16;

#define BLOCK 64 /* bytes a turn of the main loops */

/* Two words, the first and the last of @n bytes. Loaded before either is stored, so that the two
 * areas may overlap. */
#define COPY_ENDS(word)                                                                \
	do {                                                                           \
		word first = *(word *)from, last = *(word *)(from + n - sizeof(word)); \
                                                                                       \
		*(word *)to = first;                                                   \
		*(word *)(to + n - sizeof(word)) = last;                               \
	} while (0)

/* At most 32 bytes. */
static inline void copy_small(u8 *to, const u8 *from, size_t n)
{
	if (n >= 16)
		COPY_ENDS(any128);
	else if (n >= 8)
		COPY_ENDS(any64);
	else if (n >= 4)
		COPY_ENDS(any32);
	else if (n >= 2)
		COPY_ENDS(any16);
	else if (n)
		*to = *from;
}

/* ---- memcpy and memmove, memset, memcmp ------------------------------------------------------ */

/* Upwards: right also where @to lies below @from and the two overlap. */
static void copy_up(u8 *to, const u8 *from, size_t n)
{
	for (; n >= BLOCK; n -= BLOCK, to += BLOCK, from += BLOCK) {
#pragma GCC unroll 8
		for (unsigned i = 0; i < BLOCK; i += 8)
			*(any64 *)(to + i) = *(const any64 *)(from + i);
	}
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
#pragma GCC unroll 8
		for (unsigned i = 0; i < BLOCK; i += 8)
			*(any64 *)(p + i) = word;
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

/* ---- strings: strlen, strcmp, strchr ------------------------------------------------ */

size_t strlen(const char *s)
{
	const char *end = s;

	while (*end)
		end++;
	return end - s;
}

int strcmp(const char *a, const char *b)
{
	for (; *a == *b && *a; a++, b++)
		;
	return (u8)*a - (u8)*b;
}

char *strchr(const char *s, int c)
{
	for (; *s != (char)c; s++)
		if (!*s)
			return NULL;
	return (char *)s;
}

#endif /* !__STDC_HOSTED__ */

/* ---- ours: str_to_u64 (hosted code, which has a C library, uses only this part) -------------- */

/* The value of a digit in base 16, or 16 if @c is none. */
static unsigned digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20; /* to lower case */
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 16;
}

int str_to_u64(const char *s, size_t n, u64 *out)
{
	static const char suffixes[] = "KMG";
	const char *end = s + n, *suffix;
	unsigned base = 10, shift = 0;
	bool fits = true;
	u64 value = 0;

	if (n > 2 && s[0] == '0' && (s[1] | 0x20) == 'x') {
		base = 16;
		s += 2;
	}
	suffix = end - s > 1 && end[-1] ? strchr(suffixes, end[-1]) : NULL;
	if (suffix) {
		shift = 10 * (suffix - suffixes + 1);
		end--;
	}
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

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * string.c: the functions that a C compiler expects to find, the plain way.
 */
#include "lib/guest.h"

void *memcpy(void *to, const void *from, size_t n)
{
	u8 *t = to;
	const u8 *f = from;

	while (n--)
		*t++ = *f++;
	return to;
}

void *memset(void *to, int c, size_t n)
{
	u8 *t = to;

	while (n--)
		*t++ = c;
	return to;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const u8 *x = a, *y = b;

	for (; n--; x++, y++)
		if (*x != *y)
			return *x - *y;
	return 0;
}

size_t strlen(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return n;
}

const char *boot_word(const char *word)
{
	const u32 *info = (const u32 *)(reg_t)boot_info;
	const char *at = info[0] & BIT(2) ? (const char *)(reg_t)info[4] : "";

	while (*at && memcmp(at, word, strlen(word)))
		at++;
	return *at ? at + strlen(word) : NULL;
}

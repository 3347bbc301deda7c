/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * string.h: memory and string functions, and numbers out of text.
 *
 * On bare metal lib/string.c provides the C library's few that we (and the compiler) need; in unit
 * tests, where there is a C library, its own are used and only the str_* functions are ours.
 */
#ifndef LIB_STRING_H
#define LIB_STRING_H

#include "lib/types.h"

#if __STDC_HOSTED__
#include <string.h>
#else
void *memcpy(void *to, const void *from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int byte, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
int strcmp(const char *a, const char *b);
char *strchr(const char *s, int c);
#endif

/**
 * str_to_u64() - read a number from the @n characters at @s: decimal, or hexadecimal after 0x, with
 * an optional K, M or G.
 * Return: 0, -EINVAL if it is not wholly a number, -ERANGE if it does not fit in 64 bits.
 */
int str_to_u64(const char *s, size_t n, u64 *out);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * print.h: formatted output.
 *
 * The formats are printf's: %d %u %x %p %s %c with h, l, ll, z, width, 0, - and # flags, and a
 * precision for strings. Where the text goes, whoever owns a console decides once: print_sink.
 */
#ifndef LIB_PRINT_H
#define LIB_PRINT_H

#include <stdarg.h>
#include "lib/types.h"

/* Takes @n characters of finished text; NULL throws them away. Set by host/console.c. */
extern void (*print_sink)(const char *text, size_t n);

/** print() - write a formatted line to the console. */
void print(const char *fmt, ...) __printf(1, 2);
void print_v(const char *fmt, va_list ap);

/**
 * str_format() - print into a buffer of @size bytes; always terminated if that is not 0.
 * Return: the length of the whole text; it was cut if that is @size or more.
 */
int str_format(char *buf, size_t size, const char *fmt, ...) __printf(3, 4);
int str_format_v(char *buf, size_t size, const char *fmt, va_list ap);

#endif

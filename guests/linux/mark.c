/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mark.c: says what the time stamp counter shows. In QEMU with -icount shift=0 that is how many
 * instructions the machine has executed, whoever did.
 *
 *	mark NAME	prints "MARK NAME tsc=N"
 *
 * It is as small as a program can be, for each mark is a fork and an exec of what is measured.
 */
#include "syscall.h"

enum { NAME_MAX = 40 };

static char *put(char *at, const char *text, unsigned most)
{
	for (unsigned i = 0; text[i] && i < most; i++)
		*at++ = text[i];
	return at;
}

static char *put_number(char *at, unsigned long value)
{
	char digits[20];
	int n = 0;

	do
		digits[n++] = '0' + value % 10;
	while (value /= 10);
	while (n)
		*at++ = digits[--n];
	return at;
}

static void start(long *stack)
{
	unsigned low, high;
	char line[80], *at = line;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	at = put(at, "MARK ", 5);
	at = put(at, stack[0] > 1 ? (const char *)stack[2] : "-", NAME_MAX);
	at = put(at, " tsc=", 5);
	at = put_number(at, (unsigned long)high << 32 | low);
	*at++ = '\n';
	syscall(SYS_write, 1, (long)line, at - line);
	for (;;)
		syscall(SYS_exit, 0, 0, 0);
}

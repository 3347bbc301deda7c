/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * answer.c: how a guest is heard. See guest.h.
 */
#include <stdarg.h>
#include "lib/cpu.h"

#define PORT_TEXT     0xe9   /* Bochs's and QEMU's debug console; Casita has it too */
#define PORT_NIBBLE   0xca00 /* + the nibble */
#define PORT_EXIT     0xf4
#define PORT_SHUTDOWN 0x8900 /* Bochs: the word "Shutdown" ends it */

/* Read by boot32.S and boot64.S: the status to finish with when guest() returns. */
bool guest_failed;

static void put_char(char c)
{
	outb(PORT_TEXT, c);
}

static void put_text(const char *s)
{
	while (*s)
		put_char(*s++);
}

static void put_number(u64 value, unsigned base)
{
	char digits[20];
	unsigned n = 0;

	/* Only small numbers are printed in decimal: 64-bit division needs a library in 32 bits. */
	do {
		if (base == 16) {
			digits[n++] = "0123456789abcdef"[value & 15];
			value >>= 4;
		} else {
			digits[n++] = '0' + (u32)value % 10;
			value = (u32)value / 10;
		}
	} while (value);
	while (n)
		put_char(digits[--n]);
}

void say(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	for (; *fmt; fmt++) {
		if (*fmt != '%') {
			put_char(*fmt);
			continue;
		}
		fmt++;
		if (*fmt == 's')
			put_text(va_arg(args, const char *));
		else if (*fmt == 'c')
			put_char(va_arg(args, int));
		else if (*fmt == 'u')
			put_number(va_arg(args, unsigned), 10);
		else if (*fmt == 'x')
			put_number(va_arg(args, unsigned), 16);
		else if (fmt[0] == 'l' && fmt[1] == 'l' && fmt[2] == 'x') {
			put_number(va_arg(args, unsigned long long), 16);
			fmt += 2;
		} else
			put_char(*fmt);
	}
	va_end(args);
}

/*
 * With a seed, what leaves as nibbles is mixed with a stream that only this seed has: so answers
 * that were once seen say nothing about the next seed's. (The generator is that of Numerical
 * Recipes.)
 */
static unsigned mixed(unsigned nibble)
{
	static u32 stream = GUEST_SEED;

	if (!GUEST_SEED)
		return nibble;
	stream = stream * 1664525 + 1013904223;
	return nibble ^ stream >> 28;
}

void answer(const char *what, u64 value)
{
	put_text(what);
	put_char('=');
	put_number(value, 16);
	put_char('\n');
	for (int shift = 60; shift >= 0; shift -= 4)
		outb(PORT_NIBBLE + mixed(value >> shift & 15), 0);
}

void check_equal(const char *what, u64 got, u64 want)
{
	answer(what, got);
	if (got == want)
		return;
	say("FAIL %s: %llx, expected %llx\n", what, got, want);
	guest_failed = true;
}

void check(const char *what, bool ok)
{
	check_equal(what, ok, true);
}

void fail(const char *what)
{
	check(what, false);
}

void finish(u8 status)
{
	cli();
	outb(PORT_EXIT, status);
	for (const char *s = "Shutdown"; *s; s++)
		outb(PORT_SHUTDOWN, *s);
	for (;;)
		__asm__ volatile("hlt");
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * print.c: formatted output, to a buffer or to the console.
 *
 * One formatter serves both. It puts characters into an `out`, a window of memory that either
 * drops what does not fit (str_format) or is handed to print_sink and used again each time that it
 * is full (print), so a line of any length needs 128 bytes of stack and no lock on a static buffer.
 */
#include "lib/print.h"
#include "lib/string.h"

void (*print_sink)(const char *text, size_t n);

/* ---- the window ------------------------------------------------------------------------------ */

struct out {
	char *start, *at, *end;
	int total;	 /* characters so far, those that did not fit included */
	bool to_console; /* empty the window into print_sink when it is full */
};

static void flush(struct out *o)
{
	if (print_sink && o->at > o->start)
		print_sink(o->start, o->at - o->start);
	o->at = o->start;
}

static void put(struct out *o, char c)
{
	o->total++;
	if (o->at == o->end) {
		if (!o->to_console)
			return;
		flush(o);
	}
	*o->at++ = c;
}

/* ---- fields: padding and numbers ------------------------------------------------------------- */

/* What stands between the % and the conversion. */
struct spec {
	bool left, zero, hash; /* hash: 0x before hexadecimal */
	int width, precision;  /* precision -1: not given */
	int size;	       /* of the integer argument, in bytes */
};

static void pad(struct out *o, char c, int n)
{
	while (n-- > 0)
		put(o, c);
}

/* @n characters of @text, blanks around; @prefix (a sign, 0x) goes before padding zeroes. */
static void put_field(struct out *o, const struct spec *spec, const char *prefix, const char *text,
		      int n)
{
	int space = spec->width - (int)strlen(prefix) - n;

	if (!spec->left && !spec->zero)
		pad(o, ' ', space);
	while (*prefix)
		put(o, *prefix++);
	if (!spec->left && spec->zero)
		pad(o, '0', space);
	for (int i = 0; i < n; i++)
		put(o, text[i]);
	if (spec->left)
		pad(o, ' ', space);
}

static void put_number(struct out *o, const struct spec *spec, u64 value, unsigned base,
		       const char *prefix)
{
	char text[20]; /* 2^64 has 20 decimal digits */
	char *p = text + sizeof(text);

	do {
		*--p = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	put_field(o, spec, prefix, p, text + sizeof(text) - p);
}

/* ---- the format's grammar: %[-0#][width|*][.precision|.*][hh|h|l|ll|z]conversion ------------- */

/* A number in the format, or the next argument for a star. */
static int parse_count(const char **fmt, va_list *args)
{
	int n = 0;

	if (**fmt == '*') {
		(*fmt)++;
		return va_arg(*args, int);
	}
	while (**fmt >= '0' && **fmt <= '9')
		n = n * 10 + *(*fmt)++ - '0';
	return n;
}

static struct spec parse_spec(const char **fmt, va_list *args)
{
	struct spec spec = {.precision = -1, .size = sizeof(int)};

	for (; **fmt == '-' || **fmt == '0' || **fmt == '#'; (*fmt)++) {
		spec.left |= **fmt == '-';
		spec.zero |= **fmt == '0';
		spec.hash |= **fmt == '#';
	}
	spec.width = parse_count(fmt, args);
	if (spec.width < 0) { /* a star's argument: as if a - stood there */
		spec.left = true;
		spec.width = -spec.width;
	}
	if (**fmt == '.') {
		(*fmt)++;
		spec.precision = parse_count(fmt, args);
	}
	for (; **fmt == 'l' || **fmt == 'z' || **fmt == 'h'; (*fmt)++)
		spec.size = **fmt == 'h' ? spec.size / 2 : (int)sizeof(long);
	return spec;
}

/* The next argument, its sign or zeroes spread over the bits above its size. */
static u64 next_integer(va_list *args, const struct spec *spec, bool is_signed)
{
	u64 v = spec->size == 8 ? va_arg(*args, u64) : va_arg(*args, unsigned);
	unsigned unused = 64 - 8 * spec->size;

	v <<= unused;
	return is_signed ? (u64)((s64)v >> unused) : v >> unused;
}

/* One conversion; false if there is no such. */
static bool put_conversion(struct out *o, struct spec *spec, char conversion, va_list *args)
{
	bool negative;
	const char *s;
	int n = 0;
	u64 v;
	char c;

	switch (conversion) {
	case 'd':
		v = next_integer(args, spec, true);
		negative = (s64)v < 0;
		put_number(o, spec, negative ? -v : v, 10, negative ? "-" : "");
		return true;
	case 'u':
		put_number(o, spec, next_integer(args, spec, false), 10, "");
		return true;
	case 'x':
		put_number(o, spec, next_integer(args, spec, false), 16, spec->hash ? "0x" : "");
		return true;
	case 'p':
		put_number(o, spec, (uintptr_t)va_arg(*args, void *), 16, "0x");
		return true;
	case 's':
		s = va_arg(*args, const char *);
		s = s ? s : "(null)";
		while (n != spec->precision && s[n])
			n++;
		spec->zero = false;
		put_field(o, spec, "", s, n);
		return true;
	case 'c':
		c = va_arg(*args, int);
		spec->zero = false;
		put_field(o, spec, "", &c, 1);
		return true;
	case '%':
		put(o, '%');
		return true;
	}
	return false;
}

static void format(struct out *o, const char *fmt, va_list ap)
{
	va_list args; /* a copy: nobody can take the address of a parameter of this type */

	va_copy(args, ap);
	while (*fmt) {
		const char *start = fmt;
		struct spec spec;

		if (*fmt != '%') {
			put(o, *fmt++);
			continue;
		}
		fmt++;
		spec = parse_spec(&fmt, &args);
		if (put_conversion(o, &spec, *fmt, &args)) {
			fmt++;
			continue;
		}
		/* unknown: show the format itself, for somebody to wonder at */
		while (start < fmt)
			put(o, *start++);
	}
	va_end(args);
}

/* ---- the public functions -------------------------------------------------------------------- */

void print_v(const char *fmt, va_list ap)
{
	char window[128];
	struct out o = {window, window, window + sizeof(window), 0, true};

	format(&o, fmt, ap);
	flush(&o);
}

void print(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	print_v(fmt, ap);
	va_end(ap);
}

int str_format_v(char *buf, size_t size, const char *fmt, va_list ap)
{
	struct out o = {buf, buf, size ? buf + size - 1 : buf, 0, false};

	format(&o, fmt, ap);
	if (size)
		*o.at = 0;
	return o.total;
}

int str_format(char *buf, size_t size, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = str_format_v(buf, size, fmt, ap);
	va_end(ap);
	return n;
}

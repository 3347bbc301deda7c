/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * churn.c: memory that comes and goes: mmap, munmap, mremap, mprotect and fork in a random order, each
 * page with words of its own that are looked at again and again.
 *
 *	churn STEPS	prints "churn: STEPS steps, N pages, N children, sum N"
 *
 * The same STEPS give the same line on every machine; a page that is not what was written into it gives
 * "churn: wrong at step N" and status 1. Addresses are Linux's choice, and are in no sum.
 */
#include "syscall.h"

enum {
	AREAS = 24,
	PAGES = 48, /* the most in an area */
	PAGE = 4096,
	PROT_READ = 1,
	PROT_WRITE = 2,
	PRIVATE_ANONYMOUS = 0x22,
	MREMAP_MAYMOVE = 1,
	SIGSEGV = 11,
};

static struct area {
	char *at; /* NULL: none */
	unsigned pages, seed;
	int fresh; /* from this page on nothing has been written: zeroes */
} areas[AREAS];

static unsigned long random_state = 88172645463325252ul;
static unsigned long sum, page_count, child_count;

static unsigned long random_word(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static void say(const char *text, unsigned long value)
{
	char line[60], digits[20], *at = line;
	int n = 0;

	while (*text)
		*at++ = *text++;
	do
		digits[n++] = '0' + value % 10;
	while (value /= 10);
	while (n)
		*at++ = digits[--n];
	syscall(SYS_write, 1, (long)line, at - line);
}

__attribute__((noreturn)) static void leave(int status)
{
	for (;;)
		syscall(SYS_exit, status, 0, 0);
}

/* Two words of a page, far apart; which ones hangs on the page. */
static volatile unsigned long *word(const struct area *a, unsigned page, unsigned which)
{
	return (volatile unsigned long *)(a->at + (unsigned long)page * PAGE) +
	       (page * 37 + which * 256) % 512;
}

static unsigned long expected(const struct area *a, unsigned page)
{
	return page < (unsigned)a->fresh ? (a->seed * 2654435761ul) ^ page * 40503ul : 0;
}

static void fill(struct area *a, unsigned seed)
{
	a->seed = seed;
	a->fresh = a->pages;
	for (unsigned i = 0; i < a->pages; i++)
		*word(a, i, 0) = *word(a, i, 1) = expected(a, i);
	page_count += a->pages;
}

static int is_good(const struct area *a)
{
	for (unsigned i = 0; i < a->pages; i++) {
		if (*word(a, i, 0) != expected(a, i) || *word(a, i, 1) != expected(a, i))
			return 0;
		sum = sum * 31 + expected(a, i);
	}
	return 1;
}

static void map(struct area *a)
{
	a->pages = 1 + random_word() % PAGES;
	a->at = (char *)syscall6(SYS_mmap, 0, (long)a->pages * PAGE, PROT_READ | PROT_WRITE,
				 PRIVATE_ANONYMOUS, -1, 0);
	a->fresh = 0;
}

static void unmap(struct area *a)
{
	syscall(SYS_munmap, (long)a->at, (long)a->pages * PAGE, 0);
	a->at = 0;
}

static void resize(struct area *a)
{
	unsigned pages = 1 + random_word() % PAGES;

	a->at = (char *)syscall4(SYS_mremap, (long)a->at, (long)a->pages * PAGE, (long)pages * PAGE,
				 MREMAP_MAYMOVE);
	a->pages = pages;
	if ((unsigned)a->fresh > pages)
		a->fresh = pages;
}

static void protect(const struct area *a, int rights)
{
	syscall(SYS_mprotect, (long)a->at, (long)a->pages * PAGE, rights);
}

/* A child changes what is its copy; or writes to a page that it may not write, and dies of it. */
static int in_child(struct area *a, int forbidden)
{
	int status = 0;
	long child;

	if (forbidden)
		protect(a, PROT_READ);
	child = syscall(SYS_fork, 0, 0, 0);
	if (!child) {
		fill(a, a->seed + 1);
		leave(is_good(a) ? 7 : 1);
	}
	child_count++;
	syscall4(SYS_wait4, child, (long)&status, 0, 0);
	if (forbidden)
		protect(a, PROT_READ | PROT_WRITE);
	return status == (forbidden ? SIGSEGV : 7 << 8);
}

static int step(unsigned n)
{
	struct area *a = &areas[random_word() % AREAS];
	unsigned long what = random_word() % 16;

	if (!a->at)
		map(a);
	else if (!is_good(a))
		return 0;
	else if (what < 4)
		unmap(a);
	else if (what < 7)
		resize(a);
	else if (what == 7)
		return in_child(a, n & 1);
	else
		fill(a, n);
	return 1;
}

static void start(long *stack)
{
	const char *text = stack[0] > 1 ? (const char *)stack[2] : "0";
	unsigned steps = 0;

	while (*text)
		steps = steps * 10 + (unsigned)(*text++ - '0');
	for (unsigned n = 0; n < steps; n++) {
		if (!step(n)) {
			say("churn: wrong at step ", n);
			syscall(SYS_write, 1, (long)"\n", 1);
			leave(1);
		}
	}
	say("churn: ", steps);
	say(" steps, ", page_count);
	say(" pages, ", child_count);
	say(" children, sum ", sum);
	syscall(SYS_write, 1, (long)"\n", 1);
	leave(0);
}

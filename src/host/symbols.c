/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * symbols.c: names for code addresses, and the way back up the stack.
 *
 * Casita carries the names of its functions in itself, so that a report needs no debugger.
 * It is linked twice (symbols.mk): symbols.awk turns the first link's symbols into the table, the
 * second link adds it. In the first, the table is a weak symbol that nobody defines, and so NULL.
 *
 * The compiler keeps frame pointers (-fno-omit-frame-pointer), which makes the stack a linked list:
 *
 *	RBP ->	the caller's RBP ->	its caller's RBP -> ... -> 0 (boot.S)
 *		return address		return address
 */
#include "host/symbols.h"
#include "host/host.h"
#include "host/traps.h"
#include "lib/print.h"

#define MOST_FRAMES 24

extern const struct symbol symbol_table[] __attribute__((weak));
extern const u64 symbol_count[1] __attribute__((weak));
extern const u8 image_start[], data_start[];

/* The last symbol at or below @address, by bisection; NULL outside of Casita's code. */
static const struct symbol *find(u64 address)
{
	u64 low = 0, high;

	if (!symbol_count || address < (uintptr_t)image_start || address >= (uintptr_t)data_start)
		return NULL;
	high = symbol_count[0];
	while (low < high) {
		u64 middle = (low + high) / 2;

		if (symbol_table[middle].address <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low ? &symbol_table[low - 1] : NULL;
}

static void print_as(const char *prefix, u64 address, const struct symbol *symbol)
{
	if (symbol)
		print("%s%08lx %s+0x%lx\n", prefix, address, symbol->name,
		      address - symbol->address);
	else
		print("%s%08lx\n", prefix, address);
}

void print_symbol(const char *prefix, u64 address)
{
	print_as(prefix, address, find(address));
}

/*
 * The stack may be what is broken: believe a frame pointer only if it is a multiple of 8, in mapped
 * memory, and not far above the frame before.
 */
static bool is_frame(u64 frame, u64 below)
{
	return is_aligned(frame, 8) && frame >= max(below, (uintptr_t)data_start) &&
	       frame - below < HOST_STACK_SIZE && frame < 4 * GIB;
}

void backtrace(u64 frame, u64 stack)
{
	unsigned n = 0;

	for (u64 below = stack; is_frame(frame, below); n++) {
		const u64 *words = hpa_ptr(HPA(frame));

		if (n == MOST_FRAMES) {
			print("  ...\n");
			break;
		}
		/* -1: a call of a _Noreturn function may be the last instruction of its caller */
		print_as("  by ", words[1], find(words[1] - 1));
		below = frame + 16;
		frame = words[0];
	}
	if (!n)
		print("  (no callers: the frame pointer 0x%lx is not in the stack)\n", frame);
}

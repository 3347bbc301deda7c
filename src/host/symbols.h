/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * symbols.h: names for code addresses, and the way back up the stack.
 */
#ifndef HOST_SYMBOLS_H
#define HOST_SYMBOLS_H

#include "lib/types.h"

/* symbols.awk writes the table, in order of addresses. */
struct symbol {
	u64 address;
	const char *name;
};

/** print_symbol() - print a line: @prefix, the address, and function+offset if one is known. */
void print_symbol(const char *prefix, u64 address);

/**
 * backtrace() - print the callers of a function.
 * @frame: its frame pointer (RBP)
 * @stack: its stack pointer; frames are only believed if they lie above it, each above the last
 */
void backtrace(u64 frame, u64 stack);

#endif

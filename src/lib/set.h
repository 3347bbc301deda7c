/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * set.h: linker sets, how modules announce themselves.
 *
 * SET_ADD(devices, uart_class) puts a pointer to uart_class into a section of its own; the linker
 * gathers the pointers of all object files into one array and marks its ends, so that composing a
 * VMM is linking it: what is not linked is not in the array, and no list of modules exists that
 * somebody would have to edit. The order within a set is the linker's and means nothing.
 *
 * A set holds pointers: between structures the linker may pad, and AddressSanitizer does.
 *
 * A set may be empty. Then nobody defines its ends, and the linker takes 0 for these weak symbols:
 * a walk from 0 to 0 is right. But a compiler that takes them for addresses in the program computes
 * with them, and 0 - 8, say, does not fit into a relocation of 32 bits. So the ends are kept in two
 * volatile words, where it cannot see what they are.
 */
#ifndef LIB_SET_H
#define LIB_SET_H

/* Declare a set at file scope where it is walked. */
#define SET_DECLARE(set, type)                                        \
	extern type *const __start_set_##set[] __attribute__((weak)); \
	extern type *const __stop_set_##set[] __attribute__((weak));  \
	static type *const *const volatile set_ends_##set[]           \
		__attribute__((unused)) = {__start_set_##set, __stop_set_##set}

/* clang's AddressSanitizer pads variables in named sections; gcc's does not, nor knows the word */
#ifdef __clang__
#define SET_PLAIN __attribute__((no_sanitize("address")))
#else
#define SET_PLAIN
#endif

#define SET_ADD(set, type, object)                        \
	static type *const SET_PLAIN set_##set##_##object \
		__attribute__((used, section("set_" #set))) = &(object)

#define set_for_each(set, it) for (it = set_ends_##set[0]; it != set_ends_##set[1]; it++)

#endif

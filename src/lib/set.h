/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * set.h: linker sets, how modules announce themselves.
 *
 * SET_ADD(devices, uart_class) puts a pointer to uart_class into a section of its own; the linker
 * gathers the pointers of all object files into one array and marks its ends, so that composing a
 * VMM is linking it: what is not linked is not in the array, and no list of modules exists that
 * somebody would have to edit. The order within a set is the linker's and means nothing.
 *
 * A set holds pointers, not structures: the linker may pad between structures, and AddressSanitizer
 * does.
 */
#ifndef LIB_SET_H
#define LIB_SET_H

/* Declare a set at file scope where it is walked; weak, because a set may be empty. */
#define SET_DECLARE(set, type)                                        \
	extern type *const __start_set_##set[] __attribute__((weak)); \
	extern type *const __stop_set_##set[] __attribute__((weak))

/* clang's AddressSanitizer pads variables in named sections too; gcc's knows not to, and not the word */
#ifdef __clang__
#define SET_PLAIN __attribute__((no_sanitize("address")))
#else
#define SET_PLAIN
#endif

#define SET_ADD(set, type, object)                        \
	static type *const SET_PLAIN set_##set##_##object \
		__attribute__((used, section("set_" #set))) = &(object)

#define set_for_each(set, it) for (it = __start_set_##set; it != __stop_set_##set; it++)

#endif

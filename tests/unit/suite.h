/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * suite.h: how a file of unit tests joins the test program.
 *
 * A test_NAME.c defines one function that builds its Check suite and puts it into the linker set:
 *
 *	static Suite *pic_suite(void) { … }
 *	SET_ADD(suites, suite_fn, pic_suite);
 *
 * and the Makefile learns in one line which sources of src/ it tests.
 */
#ifndef TESTS_UNIT_SUITE_H
#define TESTS_UNIT_SUITE_H

#include <check.h>
#include "lib/set.h"

typedef Suite *suite_fn(void);

/*
 * Check notes the place of each assertion that holds, to say after a crash how far a test came. In
 * loops of millions those notes are what takes the time, and sanitizers say where a crash was.
 */
#define _mark_point(file, line) ((void)0)

/*
 * ck_assert_msg() for inner loops: Check's own writes to a pipe each time that all is well.
 */
#define assert_quietly(condition, ...)             \
	do {                                       \
		if (!(condition))                  \
			ck_abort_msg(__VA_ARGS__); \
	} while (0)

#endif

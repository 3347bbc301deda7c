/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * main.c: runs every suite of unit tests that was linked in; its exit status is zero if all passed.
 *
 * The suites come out of a linker set, so their order is the linker's and no list needs care. Check
 * runs each test in a child process (CK_FORK=no: in this one, for a debugger; CK_RUN_SUITE=name:
 * only that suite). A test that never ends is killed after two minutes: far more than any needs on a
 * machine that does other things as well (CK_DEFAULT_TIMEOUT=seconds changes that).
 */
#include <stdlib.h>
#include "suite.h"

SET_DECLARE(suites, suite_fn);

int main(void)
{
	SRunner *runner = srunner_create(NULL);
	suite_fn *const *suite;
	int failed;

	/* Check reads it whenever a test case is made. */
	setenv("CK_DEFAULT_TIMEOUT", "120", 0);
	set_for_each (suites, suite)
		srunner_add_suite(runner, (*suite)());
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner) || !srunner_ntests_run(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

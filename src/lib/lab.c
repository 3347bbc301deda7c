/* SPDX-License-Identifier: BSD-3-Clause */
/* lab.c: what happens at an exercise that has not been done; see lab.h. */
#include "lib/lab.h"
#include "lib/print.h"

bool lab_stopped;

void lab_missing(int lab, const char *exercise, const char *what, const char *file, int line)
{
	print("casita: lab %d, exercise %s is to be done: %s (src/%s:%d)\n", lab, exercise, what,
	      file, line);
	lab_stopped = true;
	__builtin_trap();
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * session.c: starts what a person works with.
 *
 *	session PATH ARG…	run the program in a session of its own, with every signal heeded
 *
 * The first process starts the shell in the background, to be free to hear of `poweroff`, and a
 * shell lets what it starts there ignore Ctrl-C. Ignored signals stay ignored in all that follows,
 * so they must be set right before.
 */
#include "syscall.h"

enum { SIGINT = 2, SIGQUIT = 3, SIGNAL_SET_BYTES = 8 };

/* The kernel's struct sigaction; all zero: the default. */
struct action {
	long handler, flags, restorer, mask;
};

static void start(long *stack)
{
	static const struct action by_default;
	static const char complaint[] = "session: no such program\n";
	long argc = stack[0];

	syscall4(SYS_rt_sigaction, SIGINT, (long)&by_default, 0, SIGNAL_SET_BYTES);
	syscall4(SYS_rt_sigaction, SIGQUIT, (long)&by_default, 0, SIGNAL_SET_BYTES);
	syscall(SYS_setsid, 0, 0, 0);
	if (argc > 1)
		syscall(SYS_execve, stack[2], (long)&stack[2], (long)&stack[argc + 2]);
	syscall(SYS_write, 2, (long)complaint, sizeof(complaint) - 1);
	for (;;)
		syscall(SYS_exit, 127, 0, 0);
}

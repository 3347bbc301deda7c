/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * leave.c: ends the VM from inside Linux.
 *
 *	leave [STATUS]	stop the VM; `make run` reports STATUS (0 to 255, default 0)
 *	poweroff, halt	switch it off
 *	reboot		reset it, which ends a VM as well
 *
 * Without ACPI Linux knows no switch to turn a PC off, and Debian's kernel has no /dev/port through
 * which a script could reach one. So this is a program. It first waits until the serial line has
 * sent everything. Where a port does nothing, the next way is tried; the last is Linux's own
 * restart.
 */
#include "syscall.h"

#define EXIT_PORT  0xf4	  /* Casita's, and QEMU's isa-debug-exit by custom: the status */
#define POWER_PORT 0x604  /* ACPI's PM1 control register in QEMU's PC and in Casita's VMs */
#define POWER_OFF  0x2000 /* sleep enable, type 0: off */

enum {
	O_WRONLY_NOCTTY = 01 | 0400,
	TCSBRK = 0x5409, /* with argument 1: tcdrain() */
	REBOOT_MAGIC1 = 0xfee1dead,
	REBOOT_MAGIC2 = 672274793,
	REBOOT_RESTART = 0x01234567,
};

static unsigned number(const char *s)
{
	unsigned n = 0;

	while (*s >= '0' && *s <= '9')
		n = n * 10 + (unsigned)(*s++ - '0');
	return n;
}

/* The first letter of the name that the program was started by: l, p, h or r. */
static char called_as(const char *path)
{
	const char *name = path;

	for (; *path; path++) {
		if (*path == '/')
			name = path + 1;
	}
	return *name;
}

static void start(long *stack)
{
	char name = called_as((const char *)stack[1]);
	unsigned status = name == 'l' && stack[0] > 1 ? number((const char *)stack[2]) : 0;
	long console = syscall(SYS_open, (long)"/dev/console", O_WRONLY_NOCTTY, 0);

	syscall(SYS_sync, 0, 0, 0);
	if (console >= 0)
		syscall(SYS_ioctl, console, TCSBRK, 1);
	if (name != 'r' && !syscall(SYS_iopl, 3, 0, 0)) {
		if (name != 'l')
			__asm__ volatile("outw %w0, %w1" : : "a"(POWER_OFF), "d"(POWER_PORT));
		__asm__ volatile("outb %b0, %w1" : : "a"(status), "d"(EXIT_PORT));
	}
	syscall(SYS_reboot, (long)REBOOT_MAGIC1, REBOOT_MAGIC2, REBOOT_RESTART);
	for (;;)
		syscall(SYS_exit, 1, 0, 0);
}

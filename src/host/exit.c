/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * exit.c: how a program without an operating system ends.
 *
 * Every emulator has a door of its own. They are tried in turn; where a door is missing, the port
 * is not connected, and writing to it does nothing.
 */
#include "host/host.h"
#include "host/console.h"
#include "host/cpu.h"
#include "host/exit.h"

#define BOCHS_SHUTDOWN 0x8900 /* expects a word, letter by letter */
#define QEMU_PM1A_CNT  0x604  /* ACPI's power management register of QEMU's PCs */
#define PM1A_SOFT_OFF  0x2000 /* SLP_EN, sleep type 0 = S5 there */

void host_exit(u8 status)
{
	cli();
	console_flush();
	outb(QEMU_DEBUG_EXIT, status);
	for (const char *c = "Shutdown"; *c; c++)
		outb(BOCHS_SHUTDOWN, (u8)*c);
	outw(QEMU_PM1A_CNT, PM1A_SOFT_OFF);
	for (;;)
		__asm__ volatile("cli; hlt");
}

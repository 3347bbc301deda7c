/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shutdown: a triple fault. With an empty interrupt table, an exception cannot be delivered, nor
 * can the #DF that follows, and the processor gives up: shutdown (APM vol. 2 §8.2.9). It is the
 * oldest way to reset a PC, and Linux uses it as reboot=t.
 *
 * What a VMM gets wrong here: the whole machine goes down with the guest, or the VM hangs. It must
 * end this VM, say that it was a triple fault, and go on.
 *
 * This guest never finishes by itself: bare, QEMU resets (-no-reboot makes that an end) and Bochs
 * stops (reset_on_triple_fault=0). If it finishes with a status, something is wrong.
 */
#include "lib/trap.h"

void guest(void)
{
	static const struct {
		u16 limit;
		reg_t base;
	} __packed nothing = {0, 0};

	answer("before", 1);
	__asm__ volatile("lidt %0\n ud2" : : "m"(nothing));
	fail("survived");
	finish(1);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * deadhalt: HLT with interrupts off. Nothing can wake this processor up again but an NMI, INIT or
 * reset (APM vol. 3, HLT), and in a VM nobody sends these.
 *
 * What a VMM gets wrong here: it waits for ever. It should see that nothing can come, and report
 * the VM as stopped. Only for VMs: a bare machine really does sleep for ever.
 */
#include "lib/cpu.h"

void guest(void)
{
	answer("before", 1);
	for (unsigned i = 0; i < 10; i++)
		__asm__ volatile("cli\n hlt");
	fail("woke-up");
}

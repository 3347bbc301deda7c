/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hello: the smallest guest. It says hello, says how it was started, and ends.
 *
 * What a VMM gets wrong here: port output at all; EAX and EBX at the entry of a Multiboot kernel;
 * the memory behind the file's contents, which must read as zero (the guest's bss).
 */
#include "lib/cpu.h"

static u8 zeroes[5000];

void guest(void)
{
	unsigned sum = 0;

	say("Hello from a guest.\n");
	check_equal("multiboot-magic", boot_magic, 0x2badb002);
	for (unsigned i = 0; i < sizeof(zeroes); i++)
		sum += zeroes[i];
	check_equal("bss-sum", sum, 0);
	answer("hello", 0xca51a);
}

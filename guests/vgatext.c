/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vgatext: the text screen at 0xb8000: 80 columns, 25 lines, a character and an attribute each.
 *
 * What a VMM gets wrong here: there is nothing at that address, and the guest's first message is a
 * fault; or what is there does not keep what is written, and scrolling, which reads it, goes wrong.
 */
#include "lib/cpu.h"

#define COLUMNS 80
#define LINES	25

static volatile u16 *const screen = (volatile u16 *)0xb8000;

static void put(unsigned line, unsigned column, const char *text)
{
	for (; *text; text++)
		screen[line * COLUMNS + column++] = 0x0700 | *text;
}

void guest(void)
{
	unsigned same = 0;

	for (unsigned i = 0; i < COLUMNS * LINES; i++)
		screen[i] = 0x0720;
	put(0, 0, "VGA");
	put(LINES - 1, COLUMNS - 4, "last");
	check_equal("first", screen[0], 0x0756);
	check_equal("third", screen[2], 0x0741);
	check_equal("last", screen[LINES * COLUMNS - 1], 0x0774);
	check_equal("bytes", ((volatile u8 *)screen)[2] << 8 | ((volatile u8 *)screen)[3], 0x4707);

	/* Scroll by one line, as a console does. */
	for (unsigned i = 0; i < COLUMNS * (LINES - 1); i++)
		screen[i] = screen[i + COLUMNS];
	check_equal("scrolled", screen[(LINES - 1) * COLUMNS - 1], 0x0774);
	check_equal("scrolled-away", screen[0], 0x0720);

	for (unsigned i = 0; i < COLUMNS * LINES; i++)
		screen[i] = i * 7;
	for (unsigned i = 0; i < COLUMNS * LINES; i++)
		same += screen[i] == (u16)(i * 7);
	check_equal("kept", same, COLUMNS * LINES);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pit.c: counter 0 of the 8254 interval timer, in mode 0 "interrupt on terminal count", which
 * is a one-shot. Intel 8254 data sheet: control word format, mode 0, counter latch command.
 */
#include "host/pit.h"
#include "host/cpu.h"

#define PIT_COUNTER_0 0x40
#define PIT_CONTROL   0x43

#define LATCH_0	      0x00
#define ONE_SHOT_0    0x30 /* counter 0, low byte then high byte, mode 0, binary */

void pit_start(u16 ticks)
{
	outb(PIT_CONTROL, ONE_SHOT_0);
	outb(PIT_COUNTER_0, (u8)ticks);
	outb(PIT_COUNTER_0, (u8)(ticks >> 8));
}

/* The control word takes the output down and stops the count until a new one is written. */
void pit_stop(void)
{
	outb(PIT_CONTROL, ONE_SHOT_0);
}

void pit_latch(void)
{
	outb(PIT_CONTROL, LATCH_0);
}

u16 pit_read(void)
{
	u8 low = inb(PIT_COUNTER_0);

	return (u16)(inb(PIT_COUNTER_0) << 8 | low);
}

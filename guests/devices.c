/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * devices: registers that are on every PC and read as they were written: the masks of the 8259s
 * (0x21, 0xa1), CMOS RAM behind 0x70 and 0x71, the speaker's bits in port 0x61, the status of an
 * 8254 channel. (Intel's data sheets; MC146818 data sheet.) Interrupts are in timer.
 *
 * What a VMM gets wrong here: a device model that acts on a write and does not remember it; two
 * ports that share one register; an index register that is lost between two accesses.
 */
#include "lib/cpu.h"

#define PIC1_MASK    0x21
#define PIC2_MASK    0xa1
#define CMOS_INDEX   0x70
#define CMOS_DATA    0x71
#define SYSTEM_PORT  0x61
#define PIT_CHANNEL2 0x42
#define PIT_CONTROL  0x43

static u8 cmos_read(u8 index)
{
	outb(CMOS_INDEX, index);
	return inb(CMOS_DATA);
}

static void cmos_write(u8 index, u8 value)
{
	outb(CMOS_INDEX, index);
	outb(CMOS_DATA, value);
}

static void check_masks(void)
{
	unsigned same = 0;

	outb(PIC2_MASK, 0x3c);
	outb(PIC1_MASK, 0xc3);
	check_equal("mask-a1", inb(PIC2_MASK), 0x3c);
	check_equal("mask-21", inb(PIC1_MASK), 0xc3);
	for (unsigned v = 0; v < 256; v++) {
		outb(PIC1_MASK, v);
		same += inb(PIC1_MASK) == v;
	}
	check_equal("mask-values", same, 256);
	outb(PIC1_MASK, 0xff);
	outb(PIC2_MASK, 0xff);
}

static void check_cmos(void)
{
	u8 old60 = cmos_read(0x60), old7e = cmos_read(0x7e);

	cmos_write(0x60, 0xa5);
	cmos_write(0x7e, 0x69);
	check_equal("cmos-60", cmos_read(0x60), 0xa5);
	check_equal("cmos-7e", cmos_read(0x7e), 0x69);
	/* The index stays for several accesses. */
	outb(CMOS_INDEX, 0x60);
	outb(CMOS_DATA, 0x12);
	check_equal("cmos-60-again", inb(CMOS_DATA), 0x12);
	check_equal("cmos-60-twice", inb(CMOS_DATA), 0x12);
	cmos_write(0x60, old60);
	cmos_write(0x7e, old7e);
}

static void check_timer(void)
{
	u8 speaker = inb(SYSTEM_PORT) & ~3;

	/* Two bits keep what was written; the others are wires. */
	outb(SYSTEM_PORT, speaker | 1);
	check_equal("port61-gate", inb(SYSTEM_PORT) & 3, 1);
	outb(SYSTEM_PORT, speaker);
	check_equal("port61-off", inb(SYSTEM_PORT) & 3, 0);

	/* Read-back command, status of channel 2: mode 3 and both bytes were asked for. */
	outb(PIT_CONTROL, 0xb6);
	outb(PIT_CHANNEL2, 0x34);
	outb(PIT_CHANNEL2, 0x12);
	outb(PIT_CONTROL, 0xe8);
	check_equal("pit-status", inb(PIT_CHANNEL2) & 0x3f, 0x36);
}

void guest(void)
{
	check_masks();
	check_cmos();
	check_timer();
}

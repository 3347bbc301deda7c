/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * irq.c: the PC's interrupt controllers and interval timer, as far as the tests need them.
 * Intel 8259A data sheet (ICW1-4, OCW1-3); Intel 8254 data sheet (control word, modes 0 and 2).
 *
 * No test waits for "some time" and hopes. irq_pend() makes an interrupt and then asks the 8259
 * until it shows the request: from there on everything is one instruction after the other.
 */
#include "lib/cpu.h"

#define PIC1	      0x20
#define PIC2	      0xa0
#define PIC_ICW1      0x11 /* edge triggered, cascaded, ICW4 follows */
#define PIC_ICW4      0x01 /* 8086 mode, normal end of interrupt */
#define PIC_EOI	      0x20
#define PIC_READ_IRR  0x0a
#define PIC_READ_ISR  0x0b

#define PIT_CHANNEL0  0x40
#define PIT_CONTROL   0x43
#define PIT_MODE_ONCE 0x30 /* channel 0, low byte then high byte, mode 0 */
#define PIT_MODE_RATE 0x34 /* the same, mode 2 */

#define ONCE_TICKS    400   /* a third of a millisecond */
#define PATIENCE      50000 /* turns of relax(): far more than enough; then it is a failure */

static void pic_init(u16 port, u8 vector, u8 cascade)
{
	outb(port, PIC_ICW1);
	outb(port + 1, vector);
	outb(port + 1, cascade);
	outb(port + 1, PIC_ICW4);
	outb(port + 1, 0xff);
}

static void pics_init(void)
{
	pic_init(PIC1, IRQ_BASE, BIT(2)); /* the second is on line 2 */
	pic_init(PIC2, IRQ_BASE + 8, 2);
}

void irq_mask(u16 mask)
{
	outb(PIC1 + 1, mask);
	outb(PIC2 + 1, mask >> 8);
}

u8 irq_requested(void)
{
	outb(PIC1, PIC_READ_IRR);
	return inb(PIC1);
}

u8 irq_in_service(void)
{
	outb(PIC1, PIC_READ_ISR);
	return inb(PIC1);
}

void irq_eoi(void)
{
	outb(PIC1, PIC_EOI);
}

void pit_once(u16 ticks)
{
	outb(PIT_CONTROL, PIT_MODE_ONCE);
	outb(PIT_CHANNEL0, ticks);
	outb(PIT_CHANNEL0, ticks >> 8);
}

void pit_periodic(u16 ticks)
{
	outb(PIT_CONTROL, PIT_MODE_RATE);
	outb(PIT_CHANNEL0, ticks);
	outb(PIT_CHANNEL0, ticks >> 8);
}

void relax(unsigned turn)
{
	for (unsigned i = 0; i < (turn < 100 ? 200 : 20000); i++)
		__asm__ volatile("nop");
}

static bool wait_for_request(unsigned patience)
{
	for (unsigned i = 0; i < patience; i++) {
		if (irq_requested() & BIT(0))
			return true;
		relax(i);
	}
	return false;
}

void irq_pend(void)
{
	pit_once(ONCE_TICKS);
	if (!wait_for_request(PATIENCE)) {
		fail("timer-never-requests");
		finish(1);
	}
}

/*
 * A BIOS, or the guest itself, may have left the timer running. By the data sheet, a control word
 * alone stops it; QEMU's 8254 goes on until it is given a count. So it gets one, and when that is
 * over, its output stays up and makes no further edge. What it requested before must not be taken
 * for the end of that count, so the 8259s are made to forget it (ICW1 does); should the machine be
 * so slow that they forgot the end as well, once more.
 */
void irq_init(void)
{
	pics_init();
	for (unsigned tries = 0; tries < 10; tries++) {
		pit_once(ONCE_TICKS);
		pics_init();
		if (wait_for_request(PATIENCE / 10)) {
			pics_init();
			return;
		}
	}
	fail("timer-never-requests");
	finish(1);
}

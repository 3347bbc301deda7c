/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pic.c: the machine's two 8259A interrupt controllers (Intel 8259A data sheet).
 *
 * Firmware leaves IRQ 0-7 at the vectors 8-15, where the processor's own exceptions are, so the
 * first thing is to move them. The second chip's output is the first one's input 2, the cascade.
 * Casita itself uses IRQ 4 (console) and, for measuring and where there is no local APIC, IRQ 0.
 *
 * A request that goes away before the processor asks for its number is reported as the chip's
 * lowest-priority one, 7 or 15: a spurious interrupt, which the in-service register gives away.
 */
#include "host/pic.h"
#include "host/cpu.h"
#include "host/traps.h"

#define PIC1_COMMAND   0x20
#define PIC1_DATA      0x21
#define PIC2_COMMAND   0xa0
#define PIC2_DATA      0xa1

#define ICW1_INIT      0x11 /* edge triggered, cascaded, ICW4 follows */
#define ICW4_8086      0x01
#define OCW2_EOI       0x60 /* specific: with the number of the input */
#define OCW3_READ_ISR  0x0b
#define CASCADE	       2
#define SPURIOUS(chip) ((chip)*8 + 7)

static u16 mask = 0xffff & ~(1 << CASCADE);

static void write_mask(void)
{
	outb(PIC1_DATA, (u8)mask);
	outb(PIC2_DATA, (u8)(mask >> 8));
}

static bool in_service(u16 command_port, unsigned input)
{
	outb(command_port, OCW3_READ_ISR);
	return inb(command_port) & 1 << input;
}

/* A real IRQ 7 or 15 comes from a device that nobody unmasked: answered, and forgotten. */
static void spurious_first(void)
{
	if (in_service(PIC1_COMMAND, 7))
		pic_eoi(SPURIOUS(0));
}

static void spurious_second(void)
{
	if (in_service(PIC2_COMMAND, 7))
		pic_eoi(SPURIOUS(1));
	else
		outb(PIC1_COMMAND, OCW2_EOI | CASCADE); /* the first chip did see a request */
}

void pic_init(void)
{
	outb(PIC1_COMMAND, ICW1_INIT);
	outb(PIC2_COMMAND, ICW1_INIT);
	outb(PIC1_DATA, VEC_PIC); /* ICW2: the first vector */
	outb(PIC2_DATA, VEC_PIC + 8);
	outb(PIC1_DATA, 1 << CASCADE); /* ICW3: who is connected where */
	outb(PIC2_DATA, CASCADE);
	outb(PIC1_DATA, ICW4_8086);
	outb(PIC2_DATA, ICW4_8086);
	write_mask();
	trap_handle_irq(VEC_PIC + SPURIOUS(0), spurious_first);
	trap_handle_irq(VEC_PIC + SPURIOUS(1), spurious_second);
}

void pic_unmask(unsigned irq)
{
	mask &= (u16) ~(1 << irq);
	write_mask();
}

void pic_mask(unsigned irq)
{
	mask |= (u16)(1 << irq);
	write_mask();
}

void pic_eoi(unsigned irq)
{
	if (irq >= 8) {
		outb(PIC2_COMMAND, (u8)(OCW2_EOI | (irq - 8)));
		irq = CASCADE;
	}
	outb(PIC1_COMMAND, (u8)(OCW2_EOI | irq));
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * timer: the 8254's interrupts through the 8259 (Intel's data sheets of both; Multiboot kernels and
 * every PC operating system until the APIC start with these two).
 *
 * What a VMM gets wrong here: an interrupt delivered although its line is masked, or one is in
 * service and its end was not told; a request that the 8259 should remember and forgets; the vector
 * taken from a 8259 that has been programmed anew since; a one-shot timer that fires twice; a
 * periodic one that stops when interrupts are off for a while, or catches up with a flood.
 *
 * Whether an interrupt is pending is asked from the 8259, not guessed from time (lib/irq.c), so all
 * answers but those on the periodic timer are certain; those are loose on purpose.
 *
 * Not asked: a request withdrawn before its acknowledge (a real 8259 then gives a spurious IRQ 7,
 * Bochs forgets the request, QEMU delivers it).
 */
#include "lib/probe.h"

#define PIC1	    0x20
#define PIC1_MASK   0x21
#define ONLY_LINE_0 0xfffe
#define NO_LINE	    0xffff
#define EOI_LINE_0  0x60  /* specific end of interrupt */
#define PATIENCE    50000 /* turns of relax() */

static volatile unsigned count;
static bool end_it = true;
static u8 service_seen, request_seen;
static reg_t flags_seen;

static void tick(struct trap *t)
{
	count++;
	service_seen = irq_in_service();
	request_seen = irq_requested();
	__asm__ volatile("pushf\n pop %0" : "=r"(flags_seen));
	if (end_it)
		irq_eoi();
	if (!(t->flags & FLAGS_IF))
		fail("interrupted-with-if-clear");
}

/* Let interrupts in for a moment: everything that is pending is delivered. */
static unsigned let_in(void)
{
	count = 0;
	__asm__ volatile("sti\n nop\n nop\n cli" ::: "memory");
	return count;
}

static void check_masks(void)
{
	check_equal("mask-after-init", inb(PIC1_MASK), 0xff);
	irq_mask(ONLY_LINE_0);
	check_equal("mask-line-0-open", inb(PIC1_MASK), 0xfe);
	check_equal("request-none", irq_requested() & 1, 0);
	irq_pend();
	check_equal("request", irq_requested() & 1, 1);
	check_equal("in-service-none", irq_in_service(), 0);

	irq_mask(NO_LINE);
	check_equal("masked-delivered", let_in(), 0);
	check_equal("masked-remembered", irq_requested() & 1, 1);
	irq_mask(ONLY_LINE_0);
	check_equal("unmasked-delivered", let_in(), 1);
	check_equal("unmasked-in-service", service_seen, 1);
	check_equal("unmasked-request-taken", request_seen & 1, 0);
	check_equal("handler-if", flags_seen & FLAGS_IF, 0);
	check_equal("ended", irq_in_service(), 0);
	check_equal("once-delivered", let_in(), 0);
}

/* With IF clear, nothing; the request waits. */
static void check_cli(void)
{
	irq_pend();
	count = 0;
	for (unsigned i = 0; i < 100; i++)
		cpuid(0, 0);
	check_equal("cli-delivered", count, 0);
	check_equal("sti-delivered", let_in(), 1);
	check_equal("sti-delivered-again", let_in(), 0);
}

/* Until the end of an interrupt is told, no other of its line comes. */
static void check_eoi(void)
{
	end_it = false;
	irq_pend();
	check_equal("no-eoi-first", let_in(), 1);
	check_equal("no-eoi-in-service", irq_in_service(), 1);
	irq_pend();
	check_equal("no-eoi-second", let_in(), 0);
	check_equal("no-eoi-request", irq_requested() & 1, 1);
	outb(PIC1, EOI_LINE_0);
	check_equal("eoi-in-service", irq_in_service(), 0);
	end_it = true;
	check_equal("eoi-second", let_in(), 1);
	irq_eoi(); /* one too many is nothing */
	check_equal("eoi-superfluous", irq_in_service(), 0);
}

CODE(window_code, "sti\n nop\n nop");

/* The vector is the 8259's at the moment of delivery. */
static void check_vector(void)
{
	struct state s = state_new();

	irq_pend();
	outb(PIC1, 0x11);
	outb(PIC1_MASK, 0x50); /* vectors from 0x50 on */
	outb(PIC1_MASK, BIT(2));
	outb(PIC1_MASK, 0x01);
	outb(PIC1_MASK, 0xfe);
	check_equal("reinit-forgets", irq_requested() & 1, 0);
	irq_pend();
	probe(window_code, &s);
	check_equal("vector", s.vector, 0x50);
	check_equal("vector-in-service", irq_in_service(), 1);
	irq_eoi();
	irq_init();
	irq_mask(ONLY_LINE_0);
}

static void wait_for(unsigned ticks)
{
	sti();
	for (unsigned i = 0; i < PATIENCE && count < ticks; i++)
		relax(i);
	cli();
}

static void check_periodic(void)
{
	unsigned during, speaker = inb(0x61) & ~3;

	count = 0;
	pit_periodic(PIT_HZ / 500);
	wait_for(20);
	check("periodic", count >= 20);

	/* Not served for a while: one request waits, not a hundred. */
	irq_mask(ONLY_LINE_0);
	cli();
	for (unsigned i = 0; i < PATIENCE && !(irq_requested() & 1); i++)
		relax(i);
	check("periodic-waits", let_in() <= 2);

	/* Channel 2 counts 50 ms; in that time 25 of our ticks fit, and certainly not 50. */
	outb(0x61, speaker | 1);
	outb(0x43, 0xb0); /* channel 2, both bytes, mode 0 */
	outb(0x42, (PIT_HZ / 20) & 0xff);
	outb(0x42, (PIT_HZ / 20) >> 8);
	count = 0;
	sti();
	for (unsigned i = 0; i < PATIENCE && !(inb(0x61) & 0x20); i++)
		relax(i);
	cli();
	during = count;
	check("channel-2-ends", inb(0x61) & 0x20);
	check("periodic-not-slow", during >= 2);
	check("periodic-not-fast", during <= 35);
	outb(0x61, speaker);

	irq_init();
	irq_mask(ONLY_LINE_0);
	check_equal("stopped", let_in(), 0);
}

/* Channel 0 counts down from what it was given, and a latched count stands still. */
static void check_count(void)
{
	u16 low, high, again;

	pit_periodic(0xff00);
	outb(0x43, 0x00); /* latch channel 0 */
	low = inb(0x40);
	high = inb(0x40);
	check("count-in-range", (high << 8 | low) <= 0xff00);
	outb(0x43, 0xc2); /* read back: latch count and status of channel 0 */
	check_equal("count-status", inb(0x40) & 0x3f, 0x34);
	low = inb(0x40);
	high = inb(0x40);
	outb(0x43, 0x00);
	cpuid(0, 0);
	again = inb(0x40);
	again |= inb(0x40) << 8;
	check("count-falls", (u16)((high << 8 | low) - again) < 0x8000);
	irq_init();
}

void guest(void)
{
	irq_init();
	irq_handle(0, tick);
	check_masks();
	check_cli();
	check_eoi();
	check_vector();
	check_periodic();
	check_count();
}

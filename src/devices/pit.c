/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pit.c: the 8254 interval timer of a PC, and port 61 that goes with it.
 *
 * What it is for. Three counters, each with a clock input of 1.193182 MHz, a gate that lets it
 * count, and an output:
 *
 *	counter 0 (port 40)  output is IRQ0, the system's tick; its gate is always open
 *	counter 1 (port 41)  once refreshed the memory; its gate is always open
 *	counter 2 (port 42)  the loudspeaker; its gate and output are bits of port 61
 *
 * How the chip works. Port 43 takes a control word, which tells a counter how to count, and the
 * counter's own port then takes the count, from which it counts down; pit_counter.c has the modes.
 *
 *	SSAA MMMB  program counter S (see pit_counter.c)
 *	SS00 xxxx  counter latch: the next read of S gives the count of now
 *	11CS 210x  read-back: latch count (C clear), status (S clear) of the counters 2, 1, 0
 *
 * How we emulate it. Nothing counts. Time is the number of clocks since Casita started, computed
 * from host_now() at once, so that no rounding can add up, and a counter is a function of it. The
 * next rising edge of counter 0 is a struct timer. When the guest or its host is late and edges
 * have passed meanwhile, one interrupt is all there is (the 8259A would hold no more), and the next
 * one comes when it would have come anyway: the phase is kept. IRQ0 rises when it should; it falls
 * just before it rises again instead of in between, because each fall would cost an exit.
 *
 * Intel 8254 data sheet (231164-005); Intel 82371SB (PIIX3) data sheet, NMISC for port 61.
 */
#include "devices/pit_counter.h"
#include "host/host.h"
#include "lib/errno.h"
#include "vmm/device.h"
#include "vmm/timer.h"
#include "vmm/vm.h"

#define PIT_HZ		  1193182
#define NS_PER_SECOND	  1000000000

#define PIT_PORT	  0x40 /* and 41, 42: the counters */
#define CONTROL_PORT	  0x43
#define SPEAKER_PORT	  0x61
#define COUNTERS	  3
#define SPEAKER_COUNTER	  2
#define PIT_IRQ		  0

#define CONTROL_SELECT(v) ((v) >> 6)
#define SELECT_READ_BACK  3
#define CONTROL_ACCESS	  0x30	 /* 0: counter latch */
#define READ_BACK_STATUS  BIT(4) /* clear: latch it */
#define READ_BACK_COUNT	  BIT(5) /* clear: latch it */
#define READ_BACK_FIRST	  1	 /* bit of counter 0 */

#define SPEAKER_GATE	  BIT(0) /* of counter 2 */
#define SPEAKER_WRITABLE  0x0f	 /* gate, loudspeaker, two NMI enables */
#define SPEAKER_REFRESH	  BIT(4) /* toggles each time memory is refreshed */
#define SPEAKER_OUT	  BIT(5) /* of counter 2 */
#define REFRESH_CLOCKS	  18	 /* 15.085 us */

/*
 * A guest that asks for interrupts more often than this gets them only every few periods: a host
 * timer that is due again already would leave it no time to run.
 */
#define SHORTEST_PERIOD	  60 /* clocks: 50 us */

struct pit {
	struct vm *vm;
	struct counter counters[COUNTERS];
	u8 speaker;	    /* port 61, the bits that can be written */
	struct timer timer; /* the next rising edge of counter 0 */
};

/* ---- time ------------------------------------------------------------------------------------ */

static s64 clocks_now(void)
{
	u64 now = host_now();

	return now / NS_PER_SECOND * PIT_HZ + now % NS_PER_SECOND * PIT_HZ / NS_PER_SECOND;
}

/* The first nanosecond of a clock: rounded up, so that clocks_now() gives @clocks then. */
static u64 clocks_to_ns(u64 clocks)
{
	return clocks / PIT_HZ * NS_PER_SECOND +
	       (clocks % PIT_HZ * NS_PER_SECOND + PIT_HZ - 1) / PIT_HZ;
}

/* Each entry begins here: what clock is it, and which counts have been loaded by now? */
static s64 pit_sync(struct pit *pit)
{
	s64 now = clocks_now();

	for (unsigned i = 0; i < COUNTERS; i++)
		counter_sync(&pit->counters[i], now);
	return now;
}

/* ---- counter 0 and IRQ0 ---------------------------------------------------------------------- */

static void pit_arm(struct pit *pit, s64 now)
{
	s64 edge = counter_next_edge(&pit->counters[0], now, SHORTEST_PERIOD);

	if (edge == COUNTER_NEVER)
		timer_cancel(&pit->timer);
	else
		timer_arm(&pit->timer, clocks_to_ns(edge));
}

static void pit_edge(void *opaque)
{
	struct pit *pit = opaque;
	s64 now = pit_sync(pit);

	vm_irq(pit->vm, PIT_IRQ, false);
	vm_irq(pit->vm, PIT_IRQ, true);
	pit_arm(pit, now);
}

/* Counter 0 was written to. Only mode 0 ever holds the line low for longer than a clock. */
static void pit_update(struct pit *pit, s64 now)
{
	const struct counter *c = &pit->counters[0];

	vm_irq(pit->vm, PIT_IRQ, c->mode != 0 || counter_out(c, now));
	pit_arm(pit, now);
}

/* ---- ports 40-43 ----------------------------------------------------------------------------- */

static void pit_read_back(struct pit *pit, u8 value, s64 now)
{
	for (unsigned i = 0; i < COUNTERS; i++) {
		if (!(value >> (READ_BACK_FIRST + i) & 1))
			continue;
		if (!(value & READ_BACK_COUNT))
			counter_latch(&pit->counters[i], now);
		if (!(value & READ_BACK_STATUS))
			counter_latch_status(&pit->counters[i], now);
	}
}

static void pit_control(struct pit *pit, u8 value, s64 now)
{
	unsigned i = CONTROL_SELECT(value);

	if (i == SELECT_READ_BACK) {
		pit_read_back(pit, value, now);
	} else if (!(value & CONTROL_ACCESS)) {
		counter_latch(&pit->counters[i], now);
	} else {
		counter_control(&pit->counters[i], value);
		if (i == 0)
			pit_update(pit, now);
	}
}

static void pit_out(void *opaque, u16 port, int size, u32 value)
{
	struct pit *pit = opaque;
	s64 now = pit_sync(pit);

	(void)size;
	if (port == CONTROL_PORT) {
		pit_control(pit, value, now);
		return;
	}
	counter_write(&pit->counters[port - PIT_PORT], value, now);
	if (port == PIT_PORT)
		pit_update(pit, now);
}

static u32 pit_in(void *opaque, u16 port, int size)
{
	struct pit *pit = opaque;

	(void)size;
	if (port == CONTROL_PORT) /* cannot be read: it floats */
		return 0xff;
	return counter_read(&pit->counters[port - PIT_PORT], pit_sync(pit));
}

/* ---- port 61 --------------------------------------------------------------------------------- */

static u32 speaker_in(void *opaque, u16 port, int size)
{
	struct pit *pit = opaque;
	s64 now = pit_sync(pit);
	u32 value = pit->speaker;

	(void)port, (void)size;
	if (now / REFRESH_CLOCKS % 2)
		value |= SPEAKER_REFRESH;
	if (counter_out(&pit->counters[SPEAKER_COUNTER], now))
		value |= SPEAKER_OUT;
	return value;
}

static void speaker_out(void *opaque, u16 port, int size, u32 value)
{
	struct pit *pit = opaque;

	(void)port, (void)size;
	pit->speaker = value & SPEAKER_WRITABLE;
	counter_gate(&pit->counters[SPEAKER_COUNTER], value & SPEAKER_GATE, pit_sync(pit));
}

/* ---- life ------------------------------------------------------------------------------------ */

static int pit_create(struct vm *vm)
{
	struct pit *pit = device_alloc(vm, sizeof(*pit));
	struct io_hook counters = {PIT_PORT, CONTROL_PORT, 1, pit_in, pit_out, pit};
	struct io_hook speaker = {SPEAKER_PORT, SPEAKER_PORT, 1, speaker_in, speaker_out, pit};
	int error;

	if (!pit)
		return -ENOMEM;
	pit->vm = vm;
	timer_init(&pit->timer, pit_edge, pit);
	for (unsigned i = 0; i < COUNTERS; i++) { /* mode 0, with no count to begin with */
		pit->counters[i].gate = i != SPEAKER_COUNTER;
		counter_control(&pit->counters[i], CONTROL_ACCESS);
	}
	error = vm_hook_io(vm, &counters);
	return error ? error : vm_hook_io(vm, &speaker);
}

static void pit_destroy(struct vm *vm)
{
	for (unsigned i = 0; i < vm->hooks.io_count; i++) {
		if (vm->hooks.io[i].in == pit_in) {
			struct pit *pit = vm->hooks.io[i].opaque;

			timer_cancel(&pit->timer);
		}
	}
}

static const struct device_class pit_class = {"pit", pit_create, pit_destroy};
DEVICE(pit_class);

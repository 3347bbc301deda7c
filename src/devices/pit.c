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
 * counter's own port then takes the count N, low byte first:
 *
 *	SSAA MMMB  program counter S. A: 1 low byte only, 2 high byte only, 3 low then high;
 *	           M: mode; B: decimal (BCD)
 *	SS00 xxxx  counter latch: the next read of S gives the count of now
 *	11CS 210x  read-back: latch count (C clear), status (S clear) of the counters 2, 1, 0.
 *	           Status: 7 output; 6 null count, one was written that is not loaded yet; AAMMMB
 *
 * A counter is loaded with N one clock after N was written (or after its gate opened, where that is
 * the trigger) and counts down. What its output does is the mode:
 *
 *	0  low, and high for good after N clocks: interrupt once
 *	1  low for N clocks after each trigger: one-shot
 *	2  low for the last of each N clocks: rate generator
 *	3  high for the first half of each N clocks, low for the second: square wave
 *	4  low for one clock after N clocks: strobe
 *	5  the same after each trigger
 *
 * A new N starts modes 0 and 4 over, waits for the next trigger in modes 1 and 5, and for the end
 * of the period (mode 3: half period) in modes 2 and 3. A closed gate stops all but 1 and 5; an
 * opening one is the trigger of 1 and 5 and starts 2 and 3 over.
 *
 * How we emulate it. Nothing counts. Time is the number of clocks since Casita started, computed
 * from host_now() at once, so that no rounding can add up; a counter keeps the clock at which it
 * was loaded, and what it shows is computed from the clocks since. The next rising edge of counter
 * 0 is a struct timer. When the guest or its host is late and edges have passed meanwhile, one
 * interrupt is all there is (the 8259A would hold no more), and the next one comes when it would
 * have come anyway: the phase is kept. IRQ0 rises when it should; it falls just before it rises
 * again instead of in between, because each fall would cost an exit.
 *
 * Intel 8254 data sheet (231164-005); Intel 82371SB (PIIX3) data sheet, NMISC for port 61.
 */
#include "vmm/device.h"
#include "vmm/timer.h"
#include "vmm/vm.h"

#define PIT_HZ	      1193182
#define NS_PER_SECOND 1000000000
#define NEVER	      INT64_MAX

enum { PIT_PORT = 0x40 /* and 41, 42: the counters */, CONTROL_PORT = 0x43, SPEAKER_PORT = 0x61 };
enum { COUNTERS = 3, SPEAKER_COUNTER = 2, PIT_IRQ = 0 };

/* A control word. */
#define CONTROL_BCD	  BIT(0)
#define CONTROL_MODE(v)	  ((v) >> 1 & 7)
#define CONTROL_ACCESS	  0x30 /* 0: counter latch */
#define CONTROL_BITS	  0x3f /* all that concerns the counter */
#define CONTROL_SELECT(v) ((v) >> 6 & 3)
enum { ACCESS_LOW = 0x10, ACCESS_HIGH = 0x20, ACCESS_BOTH = 0x30 };

#define SELECT_READ_BACK     3 /* instead of a counter */
#define READ_BACK_COUNTER(i) BIT((i) + 1)
#define READ_BACK_STATUS     BIT(4) /* clear: latch it */
#define READ_BACK_COUNT	     BIT(5) /* clear: latch it */
#define STATUS_NULL	     BIT(6)
#define STATUS_OUT	     BIT(7)

#define SPEAKER_GATE	     BIT(0) /* of counter 2 */
#define SPEAKER_WRITABLE     0x0f   /* gate, loudspeaker, two NMI enables */
#define SPEAKER_REFRESH	     BIT(4) /* toggles each time memory is refreshed */
#define SPEAKER_OUT	     BIT(5) /* of counter 2 */
#define REFRESH_CLOCKS	     18	    /* 15.085 us */

/*
 * A guest that asks for interrupts more often than this gets them only every few periods: a host
 * timer that is due again already would leave it no time to run.
 */
#define SHORTEST_PERIOD	     60 /* clocks: 50 us */

struct counter {
	u8 control; /* access, mode and BCD bits, as they were written */
	u8 mode;    /* 0-5 */
	bool gate;
	bool null;   /* a count was written and is not loaded yet */
	u32 written; /* that count; 0: none since the control word */

	/* What is loaded. While it does not count, @stopped_at is how far it had got. */
	bool counting;
	u32 n;
	s64 start, stopped_at;
	/* Modes 2 and 3, @null: loaded at @reload, as if its period began at @restart. */
	s64 reload, restart;

	/* The bytes on their way in and out. */
	bool high_byte_in, high_byte_out; /* the next byte written, read is the high one */
	u8 low_byte;			  /* written */
	bool latched, status_latched;
	u16 latch;
	u8 status;
};

struct pit {
	struct vm *vm;
	struct counter counters[COUNTERS];
	u8 speaker;	    /* port 61, the bits that can be written */
	struct timer timer; /* the next rising edge of counter 0 */
};

/* ---- what a counter shows -------------------------------------------------------------------- */

static u32 modulus(const struct counter *c)
{
	return c->control & CONTROL_BCD ? 10000 : 65536;
}

static bool is_periodic(const struct counter *c)
{
	return c->mode == 2 || c->mode == 3;
}

/* Is its opening gate what starts it, and its closing one nothing to it? */
static bool is_triggered(const struct counter *c)
{
	return c->mode == 1 || c->mode == 5;
}

static u32 high_half(u32 n)
{
	return (n + 1) / 2;
}

/* Clocks since the count was loaded. */
static s64 elapsed(const struct counter *c, s64 now)
{
	return c->counting ? max(now - c->start, 0) : c->stopped_at;
}

static bool counter_out(const struct counter *c, s64 now)
{
	s64 e = elapsed(c, now);

	switch (c->mode) {
	case 0:
		return e >= c->n;
	case 1:
		return !c->counting || e >= c->n;
	case 2:
		return !c->counting || e % c->n != c->n - 1;
	case 3:
		return !c->counting || e % c->n < high_half(c->n);
	default:
		return e != c->n;
	}
}

static s64 clocks_left(const struct counter *c, s64 now)
{
	s64 e = elapsed(c, now);

	switch (c->mode) {
	case 2:
		return c->n - e % c->n;
	case 3: /* by two, from an even number, twice in a period */
		e %= c->n;
		return (c->n & ~1u) - 2 * (e < high_half(c->n) ? e : e - high_half(c->n));
	default:
		return c->n - e; /* it goes on below 0 */
	}
}

/* The count in the form that software reads. */
static u16 count(const struct counter *c, s64 now)
{
	s64 m = modulus(c), v = (clocks_left(c, now) % m + m) % m;

	if (!(c->control & CONTROL_BCD))
		return v;
	return v / 1000 << 12 | v / 100 % 10 << 8 | v / 10 % 10 << 4 | v % 10;
}

/* The first clock after @now at which the output rises, or NEVER. */
static s64 counter_next_edge(const struct counter *c, s64 now)
{
	s64 edge = NEVER, period = c->n;

	if (!c->counting)
		return NEVER;
	if (c->mode == 0) {
		edge = c->start + c->n;
	} else if (c->mode == 4) {
		edge = c->start + c->n + 1;
	} else if (is_periodic(c)) {
		if (period < SHORTEST_PERIOD)
			period *= (SHORTEST_PERIOD + period - 1) / period;
		if (c->n > 1) /* else the output never moves */
			edge = c->start + (elapsed(c, now) / period + 1) * period;
		if (c->null && c->reload < edge)
			edge = c->restart + c->written;
	}
	return edge > now ? edge : NEVER;
}

/* ---- what happens to a counter --------------------------------------------------------------- */

static void load(struct counter *c, s64 start)
{
	c->n = c->written;
	c->start = start;
	c->counting = true;
	c->null = false;
}

static void stop(struct counter *c, s64 now)
{
	c->stopped_at = elapsed(c, now);
	c->counting = false;
}

static void counter_control(struct counter *c, u8 value)
{
	u8 mode = CONTROL_MODE(value);

	*c = (struct counter){
		.control = value & CONTROL_BITS,
		.mode = mode > 5 ? mode - 4 : mode, /* 6 and 7 are 2 and 3 */
		.gate = c->gate,
		.null = true,
	};
	c->n = modulus(c);
}

/* Modes 2 and 3 finish the period or half period that they are at before they take a new count. */
static void plan_reload(struct counter *c, s64 now)
{
	s64 begin = c->start + elapsed(c, now) / c->n * c->n;

	if (c->mode == 3 && now < begin + high_half(c->n)) {
		c->reload = begin + high_half(c->n);
		c->restart = c->reload - high_half(c->written);
	} else {
		c->reload = begin + c->n;
		c->restart = c->reload;
	}
}

static void new_count(struct counter *c, u16 value, s64 now)
{
	u32 n = value;

	if (c->control & CONTROL_BCD)
		n = (value >> 12) * 1000 + (value >> 8 & 15) * 100 + (value >> 4 & 15) * 10 +
		    (value & 15);
	c->written = n ? n : modulus(c);
	c->null = true;
	if (is_triggered(c))
		return;
	if (is_periodic(c) && c->counting) {
		plan_reload(c, now);
		return;
	}
	load(c, now + 1);
	if (!c->gate)
		stop(c, now);
}

static void counter_write(struct counter *c, u8 value, s64 now)
{
	if ((c->control & CONTROL_ACCESS) == ACCESS_LOW) {
		new_count(c, value, now);
	} else if ((c->control & CONTROL_ACCESS) == ACCESS_HIGH) {
		new_count(c, value << 8, now);
	} else if (c->high_byte_in) {
		c->high_byte_in = false;
		new_count(c, value << 8 | c->low_byte, now);
	} else {
		c->high_byte_in = true;
		c->low_byte = value;
		if (c->mode == 0) { /* half a count stops it, with the output low */
			c->counting = false;
			c->stopped_at = 0;
		}
	}
}

static u8 counter_read(struct counter *c, s64 now)
{
	u16 value = c->latched ? c->latch : count(c, now);
	bool high = (c->control & CONTROL_ACCESS) == ACCESS_HIGH || c->high_byte_out;

	if (c->status_latched) {
		c->status_latched = false;
		return c->status;
	}
	c->high_byte_out = (c->control & CONTROL_ACCESS) == ACCESS_BOTH && !high;
	if (!c->high_byte_out)
		c->latched = false;
	return high ? value >> 8 : value;
}

static void counter_latch(struct counter *c, s64 now)
{
	if (!c->latched)
		c->latch = count(c, now);
	c->latched = true;
}

static void counter_latch_status(struct counter *c, s64 now)
{
	bool null = c->null || (c->counting && now < c->start);

	if (!c->status_latched)
		c->status = c->control | (null ? STATUS_NULL : 0) |
			    (counter_out(c, now) ? STATUS_OUT : 0);
	c->status_latched = true;
}

static void counter_gate(struct counter *c, bool gate, s64 now)
{
	if (gate == c->gate)
		return;
	c->gate = gate;
	if (!c->written)
		return; /* nothing to count yet */
	if (gate && (is_triggered(c) || is_periodic(c))) {
		load(c, now + 1);
	} else if (gate) { /* it goes on where it stopped */
		c->start = now + 1 - c->stopped_at;
		c->counting = true;
	} else if (!is_triggered(c)) {
		stop(c, now);
	}
}

/* ---- time, counter 0 and IRQ0 ---------------------------------------------------------------- */

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

/* Each entry begins here: what clock is it, and which counts that waited are loaded by now? */
static s64 pit_sync(struct pit *pit)
{
	s64 now = clocks_now();

	for (unsigned i = 0; i < COUNTERS; i++) {
		struct counter *c = &pit->counters[i];

		if (c->null && c->counting && is_periodic(c) && now >= c->reload)
			load(c, c->restart);
	}
	return now;
}

static void pit_arm(struct pit *pit, s64 now)
{
	s64 edge = counter_next_edge(&pit->counters[0], now);

	if (edge == NEVER)
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

/* ---- ports ----------------------------------------------------------------------------------- */

static void pit_read_back(struct pit *pit, u8 value, s64 now)
{
	for (unsigned i = 0; i < COUNTERS; i++) {
		bool wanted = value & READ_BACK_COUNTER(i);

		if (wanted && !(value & READ_BACK_COUNT))
			counter_latch(&pit->counters[i], now);
		if (wanted && !(value & READ_BACK_STATUS))
			counter_latch_status(&pit->counters[i], now);
	}
}

static void pit_out(void *opaque, u16 port, int size, u32 value)
{
	struct pit *pit = opaque;
	s64 now = pit_sync(pit);
	u32 i = port == CONTROL_PORT ? CONTROL_SELECT(value) : (u32)port - PIT_PORT;

	if (port == SPEAKER_PORT) {
		pit->speaker = value & SPEAKER_WRITABLE;
		counter_gate(&pit->counters[SPEAKER_COUNTER], value & SPEAKER_GATE, now);
		return;
	}
	if (i == SELECT_READ_BACK)
		pit_read_back(pit, value, now);
	else if (port != CONTROL_PORT)
		counter_write(&pit->counters[i], value, now);
	else if (value & CONTROL_ACCESS)
		counter_control(&pit->counters[i], value);
	else
		counter_latch(&pit->counters[i], now);
	if (i == 0 && (port != CONTROL_PORT || value & CONTROL_ACCESS))
		pit_update(pit, now);
}

static u32 read_speaker(const struct pit *pit, s64 now)
{
	bool out = counter_out(&pit->counters[SPEAKER_COUNTER], now);

	return pit->speaker | (now / REFRESH_CLOCKS % 2 ? SPEAKER_REFRESH : 0) |
	       (out ? SPEAKER_OUT : 0);
}

static u32 pit_in(void *opaque, u16 port, int size)
{
	struct pit *pit = opaque;
	s64 now = pit_sync(pit);

	if (port == SPEAKER_PORT)
		return read_speaker(pit, now);
	if (port == CONTROL_PORT) /* cannot be read: it floats */
		return 0xff;
	return counter_read(&pit->counters[port - PIT_PORT], now);
}

static int pit_create(struct vm *vm)
{
	struct pit *pit = device_alloc(vm, sizeof(*pit));
	struct io_hook counters = {PIT_PORT, CONTROL_PORT, 1, pit_in, pit_out, pit};
	struct io_hook speaker = {SPEAKER_PORT, SPEAKER_PORT, 1, pit_in, pit_out, pit};

	if (!pit)
		return -ENOMEM;
	pit->vm = vm;
	pit->timer = (struct timer){.fn = pit_edge, .opaque = pit};
	for (unsigned i = 0; i < COUNTERS; i++) { /* mode 0, with no count to begin with */
		pit->counters[i].gate = i != SPEAKER_COUNTER;
		counter_control(&pit->counters[i], CONTROL_ACCESS);
	}
	return vm_hook_io(vm, &counters) ?: vm_hook_io(vm, &speaker);
}

static void pit_destroy(struct vm *vm)
{
	for (unsigned i = 0; i < vm->hooks.io_count; i++)
		if (vm->hooks.io[i].in == pit_in)
			timer_cancel(&((struct pit *)vm->hooks.io[i].opaque)->timer);
}

static const struct device_class pit_class = {"pit", pit_create, pit_destroy};
DEVICE(pit_class);

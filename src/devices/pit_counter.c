/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pit_counter.c: what a counter of an 8254 shows at a time; see pit.c for the whole chip.
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
 * Control word, less the bits that select a counter:  AA MMM B
 *	A: 1 low byte only, 2 high byte only, 3 low then high;  M: mode;  B: decimal (BCD)
 * Status byte:  O N AA MMM B
 *	O: output;  N: null count, a count was written that is not loaded yet
 *
 * Intel 8254 data sheet (231164-005), "Mode Definitions", "Read-Back Command".
 */
#include "devices/pit_counter.h"

#define CONTROL_BCD	BIT(0)
#define CONTROL_MODE(v) ((v) >> 1 & 7)
#define CONTROL_ACCESS	0x30
#define ACCESS_LOW	0x10
#define ACCESS_HIGH	0x20
#define ACCESS_BOTH	0x30
#define CONTROL_BITS	0x3f
#define STATUS_NULL	BIT(6)
#define STATUS_OUT	BIT(7)

static u32 modulus(const struct counter *c)
{
	return c->control & CONTROL_BCD ? 10000 : 65536;
}

static u8 access(const struct counter *c)
{
	return c->control & CONTROL_ACCESS;
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

/* ---- what it shows --------------------------------------------------------------------------- */

/* Clocks since the count was loaded. */
static s64 elapsed(const struct counter *c, s64 now)
{
	if (!c->counting)
		return c->stopped_at;
	return max(now - c->start, 0);
}

bool counter_out(const struct counter *c, s64 now)
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

s64 counter_next_edge(const struct counter *c, s64 now, s64 shortest)
{
	s64 edge = COUNTER_NEVER, period = c->n;

	if (!c->counting)
		return COUNTER_NEVER;
	if (c->mode == 0) {
		edge = c->start + c->n;
	} else if (c->mode == 4) {
		edge = c->start + c->n + 1;
	} else if (is_periodic(c)) {
		if (period < shortest)
			period *= (shortest + period - 1) / period;
		if (c->n > 1) /* else the output never moves */
			edge = c->start + (elapsed(c, now) / period + 1) * period;
		if (c->null && c->reload < edge)
			edge = c->restart + c->written;
	}
	return edge > now ? edge : COUNTER_NEVER;
}

/* ---- what happens to it ---------------------------------------------------------------------- */

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

void counter_sync(struct counter *c, s64 now)
{
	if (c->null && c->counting && is_periodic(c) && now >= c->reload)
		load(c, c->restart);
}

void counter_control(struct counter *c, u8 value)
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

void counter_write(struct counter *c, u8 value, s64 now)
{
	if (access(c) == ACCESS_LOW) {
		new_count(c, value, now);
	} else if (access(c) == ACCESS_HIGH) {
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

u8 counter_read(struct counter *c, s64 now)
{
	u16 value = c->latched ? c->latch : count(c, now);
	bool high = access(c) == ACCESS_HIGH || c->high_byte_out;

	if (c->status_latched) {
		c->status_latched = false;
		return c->status;
	}
	c->high_byte_out = access(c) == ACCESS_BOTH && !high;
	if (!c->high_byte_out)
		c->latched = false;
	return high ? value >> 8 : value;
}

void counter_latch(struct counter *c, s64 now)
{
	if (!c->latched)
		c->latch = count(c, now);
	c->latched = true;
}

void counter_latch_status(struct counter *c, s64 now)
{
	bool null = c->null || (c->counting && now < c->start);

	if (!c->status_latched)
		c->status = c->control | (null ? STATUS_NULL : 0) |
			    (counter_out(c, now) ? STATUS_OUT : 0);
	c->status_latched = true;
}

void counter_gate(struct counter *c, bool gate, s64 now)
{
	if (gate == c->gate)
		return;
	c->gate = gate;
	if (!c->written)
		return; /* nothing to count yet */
	if (is_triggered(c) || is_periodic(c)) {
		if (gate)
			load(c, now + 1);
		else if (is_periodic(c))
			stop(c, now);
	} else if (gate) {
		c->start = now + 1 - c->stopped_at;
		c->counting = true;
	} else {
		stop(c, now);
	}
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pit_counter.h: one counter of an 8254 as a function of time. Nothing in here counts: a counter
 * keeps the clock at which it was loaded, and what it shows is computed from the clocks since.
 * Clocks are numbered from any beginning; they never go backwards.
 */
#ifndef DEVICES_PIT_COUNTER_H
#define DEVICES_PIT_COUNTER_H

#include "lib/types.h"

#define COUNTER_NEVER INT64_MAX

struct counter {
	u8 control; /* access, mode and BCD bits, as they were written */
	u8 mode;    /* 0-5 */
	bool gate;
	bool null;   /* a count was written and is not loaded yet */
	u32 written; /* that count; 0: none since the control word */

	/* What is loaded. While it does not count, @stopped_at is how far it had got. */
	bool counting;
	u32 n;
	s64 start;
	s64 stopped_at;
	/* Modes 2 and 3, @null: @written is loaded at @reload, as if its period began at @restart.
	 */
	s64 reload;
	s64 restart;

	/* The bytes on their way in and out. */
	bool high_byte_in;  /* the next byte written is the high one */
	bool high_byte_out; /* the next byte read is */
	u8 low_byte;	    /* written */
	bool latched;
	u16 latch;
	bool status_latched;
	u8 status;
};

/** counter_control() - program it: access, mode and BCD bits of the control word. */
void counter_control(struct counter *c, u8 value);
/** counter_write() - a byte to its port at clock @now. */
void counter_write(struct counter *c, u8 value, s64 now);
/** counter_read() - a byte from its port: latched status, latched count, or the count. */
u8 counter_read(struct counter *c, s64 now);
/** counter_latch(), counter_latch_status() - hold what it shows now, unless something is held. */
void counter_latch(struct counter *c, s64 now);
void counter_latch_status(struct counter *c, s64 now);
/** counter_gate() - open or close its gate. */
void counter_gate(struct counter *c, bool gate, s64 now);
/** counter_out() - the level of its output. */
bool counter_out(const struct counter *c, s64 now);
/**
 * counter_sync() - load the count that has been waiting for a period's end, if that has passed.
 * Call it before any of the others.
 */
void counter_sync(struct counter *c, s64 now);
/**
 * counter_next_edge() - when its output rises next.
 * @now: it must be after this clock
 * @shortest: of edges nearer to each other than that many clocks, skip some
 *
 * Return: the clock, or COUNTER_NEVER.
 */
s64 counter_next_edge(const struct counter *c, s64 now, s64 shortest);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * timer.h: things that must happen at a time. Tickless: the machine's timer is armed for the
 * earliest deadline only, and nothing happens in between. Times are host_now()'s nanoseconds.
 */
#ifndef VMM_TIMER_H
#define VMM_TIMER_H

#include "lib/types.h"

struct timer {
	u64 when;
	void (*fn)(void *opaque); /* called when it expires; a new timer has this and @opaque */
	void *opaque;
	struct timer *next;
	bool armed;
};

#ifdef CONFIG_TIMER
/** timer_arm() - let it expire at @when (host_now() time); moves it if it is armed. */
void timer_arm(struct timer *t, u64 when);
/** timer_cancel() - disarm it; fine if it is not armed. */
void timer_cancel(struct timer *t);

/** timers_next() - the earliest deadline, or UINT64_MAX. */
u64 timers_next(void);
/** timers_run() - call what has expired by @now. Functions may arm timers again. */
void timers_run(u64 now);
#else /* nothing here happens at a time: a VM's turn ends when it halts or stops */
static inline void timer_arm(struct timer *t, u64 when) {}
static inline void timer_cancel(struct timer *t) {}
static inline void timers_run(u64 now) {}
#endif

#endif

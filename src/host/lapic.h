/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lapic.h: this processor's local APIC: interrupts from the 8259 let through, and a timer.
 */
#ifndef HOST_LAPIC_H
#define HOST_LAPIC_H

#include "lib/types.h"

/**
 * lapic_init() - switch the local APIC on, with the 8259's interrupts passing through it.
 *
 * Return: false if the processor has none, or firmware put it into x2APIC mode.
 */
bool lapic_init(void);

/** lapic_eoi() - end of interrupt, for interrupts of the local APIC's own. */
void lapic_eoi(void);

/** lapic_timer_init() - let the timer interrupt at VEC_LAPIC_TIMER; @deadline: on a TSC value. */
void lapic_timer_init(bool deadline);
/** lapic_timer_start() - count down from @ticks and interrupt at 0; 0 stops it. */
void lapic_timer_start(u32 ticks);
/** lapic_timer_left() - what is left to count. */
u32 lapic_timer_left(void);
/** lapic_has_deadline() - can the timer wait for a value of the TSC? */
bool lapic_has_deadline(void);
/** lapic_deadline() - interrupt when the TSC reaches @tsc; 0 stops it. */
void lapic_deadline(u64 tsc);

#endif

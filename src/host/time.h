/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * time.h: setting up the clocks; what they then offer is in host.h.
 */
#ifndef HOST_TIME_H
#define HOST_TIME_H

/** time_init() - measure the clocks, choose the timer; after pic_init(). Sleeps some 40 ms. */
void time_init(void);
/** rtc_init() - read the calendar clock; after time_init(). */
void rtc_init(void);

#endif

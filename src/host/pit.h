/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pit.h: counter 0 of the 8254 interval timer: the one clock of a PC whose rate is known.
 */
#ifndef HOST_PIT_H
#define HOST_PIT_H

#include "lib/types.h"

#define PIT_HZ	1193182
#define PIT_IRQ 0

/** pit_start() - count down from @ticks, 0 meaning 65536; IRQ 0 at the end, once. */
void pit_start(u16 ticks);
/** pit_stop() - no interrupt after all. */
void pit_stop(void);
/** pit_latch() - note the count; read it with pit_read(). */
void pit_latch(void);
/** pit_read() - the noted count. After the end it goes on from 65535. */
u16 pit_read(void);

#endif

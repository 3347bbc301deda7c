/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * console.h: the serial line, for the rest of host/.
 */
#ifndef HOST_CONSOLE_H
#define HOST_CONSOLE_H

/** console_init() - set up COM1 for output, and print() to use it. */
void console_init(void);
/** console_init_input() - let what is typed come in by interrupt; after pic_init(). */
void console_init_input(void);
/** console_flush() - wait until the last byte is out on the line. */
void console_flush(void);

#endif

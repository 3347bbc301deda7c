/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * exit.h: how Casita ends the machine on its own account.
 */
#ifndef HOST_EXIT_H
#define HOST_EXIT_H

#define HOST_EXIT_REFUSED 1    /* the machine or its configuration will not do: it was said why */
#define HOST_EXIT_BROKEN  0x7f /* a panic or an unexpected exception; QEMU's status is then 255 */

#define QEMU_DEBUG_EXIT	  0xf4 /* -device isa-debug-exit,iobase=0xf4 */

#endif

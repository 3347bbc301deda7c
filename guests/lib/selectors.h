/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * selectors.h: the segments of the test guests, for C and assembly. The order from SEL_CODE64 on is
 * what SYSCALL wants, that from SEL_USER_CODE32 on what SYSRET wants (APM vol. 2 §6.1.1).
 */
#ifndef GUEST_SELECTORS_H
#define GUEST_SELECTORS_H

#define SEL_CODE64	0x08
#define SEL_DATA	0x10
#define SEL_CODE32	0x18
#define SEL_USER_CODE32 0x23
#define SEL_USER_DATA	0x2b
#define SEL_USER_CODE64 0x33
#define SEL_CODE16	0x38
#define SEL_DATA16	0x40
#define SEL_TSS		0x48 /* two places in long mode */
#define SEL_TSS_DOUBLE	0x58 /* the double fault's task, in 32-bit guests */
#define SEL_FREE	0x60 /* for the guest to fill, as are those behind it */
#define GDT_COUNT	20

#ifdef __x86_64__
#define SEL_CODE      SEL_CODE64
#define SEL_USER_CODE SEL_USER_CODE64
#else
#define SEL_CODE      SEL_CODE32
#define SEL_USER_CODE SEL_USER_CODE32
#endif

#endif

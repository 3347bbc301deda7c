/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * errno.h: why a function of ours refused. Functions return these negated: -ENOMEM.
 * The numbers are Linux's, because guests see some of them as results of hypercalls, and so that
 * this file and the C library's may both be included by a unit test.
 */
#ifndef LIB_ERRNO_H
#define LIB_ERRNO_H

#define EPERM	1  /* the guest may not do that: usually becomes #GP */
#define ENOENT	2  /* no such thing */
#define EIO	5  /* the device failed */
#define E2BIG	7  /* longer than there is room for */
#define ENOEXEC 8  /* not a kernel image that we know */
#define EAGAIN	11 /* not now; try again after the next exit */
#define ENOMEM	12 /* no memory left */
#define EFAULT	14 /* that address maps to nothing */
#define EBUSY	16 /* taken by somebody else */
#define EEXIST	17 /* there already */
#define ENODEV	19 /* this machine has no such device or feature */
#define EINVAL	22 /* the words make no sense */
#define ENOSPC	28 /* the table is full */
#define ERANGE	34 /* a number out of range */
#define ENOSYS	38 /* built without, or not implemented */
#define ENODATA 61 /* ran out of input */

#endif

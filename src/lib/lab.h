/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lab.h: a hole that a lab of the course leaves for its student.
 *
 *	#if SOLVED >= N
 *		the solution
 *	#else
 *		the contract, in a comment, and
 *		LAB(N, "N.M", "what is to be done");
 *	#endif
 *
 * SOLVED is the last lab whose solution is compiled in; a finished Casita has them all.
 */
#ifndef LIB_LAB_H
#define LIB_LAB_H

#ifdef __ASSEMBLY__
/* clang-format off */
#define LAB(lab, exercise, what)           \
	.pushsection .rodata;              \
	9001: .asciz exercise;             \
	9002: .asciz what;                 \
	9003: .asciz __FILE__;             \
	.popsection;                       \
	mov $lab, %edi;                    \
	mov $9001b, %esi;                  \
	mov $9002b, %edx;                  \
	mov $9003b, %ecx;                  \
	mov $__LINE__, %r8d;               \
	call lab_missing
/* clang-format on */
#else
#include "lib/types.h"

/** LAB() - stop here, and say which exercise comes next and where its hole is. */
#define LAB(lab, exercise, what) lab_missing(lab, exercise, what, __FILE__, __LINE__)

_Noreturn void lab_missing(int lab, const char *exercise, const char *what, const char *file,
			   int line);

/* Whether lab_missing() has spoken: its trap needs no further report. */
extern bool lab_stopped;
#endif

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * traps_entry.S: where exceptions and interrupts come in.
 *
 * The processor looks the vector up in the IDT, pushes SS, RSP, RFLAGS, CS and RIP, for some
 * exceptions an error code, and jumps; it does not say which vector it was. So every vector gets
 * a few instructions of its own, which push the missing error code and the vector's number and
 * join the others. All general registers are saved, because a trap may come between any two
 * instructions. APM vol. 2 §8.9.
 */
#include "host/internal.h"

	.text

/* ---- the 256 entries, 16 bytes apart --------------------------------------------------- */

	.align	16
	.globl	trap_entries
trap_entries:
	.set	vector, 0
	.set	with_error, TRAPS_WITH_ERROR
	.rept	256
	.align	16
	.if	!(with_error & 1)
	push	$0
	.endif
	push	$vector
	jmp	trap_common
	.set	vector, vector + 1
	.set	with_error, with_error >> 1
	.endr

/* ---- the common part: saves a struct trap_frame, calls, restores ----------------------- */

	.align	16
trap_common:
	.irp	reg, rax, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15
	push	%\reg
	.endr
	cld
	mov	%rsp, %rdi		/* 22 words below a 16-byte boundary: aligned as C wants it */
	call	trap_dispatch
	.irp	reg, r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax
	pop	%\reg
	.endr
	add	$16, %rsp		/* vector and error code */
	iretq

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * traps_entry.S: where exceptions and interrupts come in.
 *
 * The processor looks the vector up in the IDT, pushes SS, RSP, RFLAGS, CS and RIP, for some
 * exceptions an error code, and jumps; it does not say which vector it was. So every vector gets
 * a few instructions of its own, which push the missing error code and the vector's number and
 * join the others. All general registers are saved, because a trap may come between any two
 * instructions. APM vol. 2 §8.9.
 *
 *	1. the 256 entries, 16 bytes apart
 *	2. saving, calling trap_dispatch(frame), restoring
 *	3. rdmsr_safe, wrmsr_safe: instructions that are allowed to fault
 */
#include "host/traps.h"

	.text

/* ---- 1. the entries --------------------------------------------------------------------- */

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

/* ---- 2. the common part: builds a struct trap_frame --------------------------------------- */

	.align	16
trap_common:
	push	%rax
	push	%rbx
	push	%rcx
	push	%rdx
	push	%rsi
	push	%rdi
	push	%rbp
	push	%r8
	push	%r9
	push	%r10
	push	%r11
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	cld
	mov	%rsp, %rdi		/* 22 words below a 16-byte boundary: aligned as C wants it */
	call	trap_dispatch
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%r11
	pop	%r10
	pop	%r9
	pop	%r8
	pop	%rbp
	pop	%rdi
	pop	%rsi
	pop	%rdx
	pop	%rcx
	pop	%rbx
	pop	%rax
	add	$16, %rsp		/* vector and error code */
	iretq

/* ---- 3. instructions that are allowed to fault ------------------------------------------ */

	.macro	fixup rip, go_on
	.pushsection fixups, "a"
	.balign	8
	.quad	\rip, \go_on
	.popsection
	.endm

/* bool rdmsr_safe(u32 msr, u64 *value) */
	.globl	rdmsr_safe
rdmsr_safe:
	mov	%edi, %ecx
.Lread:	rdmsr
	shl	$32, %rdx
	or	%rdx, %rax
	mov	%rax, (%rsi)
	mov	$1, %eax
	ret

/* bool wrmsr_safe(u32 msr, u64 value) */
	.globl	wrmsr_safe
wrmsr_safe:
	mov	%edi, %ecx
	mov	%esi, %eax
	mov	%rsi, %rdx
	shr	$32, %rdx
.Lwrite: wrmsr
	mov	$1, %eax
	ret

.Lfaulted:
	xor	%eax, %eax
	ret
	fixup	.Lread, .Lfaulted
	fixup	.Lwrite, .Lfaulted

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * trap32.S: from an exception or interrupt to trap() in trap.c and back; and into a probe's code
 * and out of it. For 32-bit guests.
 */
#include "lib/selectors.h"

	.section .text
	.globl	trap_stubs
	/* One entry of 16 bytes for each vector, so that all stacks look like struct trap. */
	.balign	16
trap_stubs:
	.set	vector, 0
	.rept	256
	.balign	16
	.if (vector == 8) || ((vector >= 10) && (vector <= 14)) || (vector == 17) || (vector == 21)
	/* the processor has pushed an error code (APM vol. 2 table 8-1) */
	.else
	push	$0
	.endif
	push	$vector
	jmp	trap_common
	.set	vector, vector + 1
	.endr

	.balign	16
trap_common:
	push	%edi
	push	%esi
	push	%ebp
	push	%esp			/* trap() puts the real one here */
	push	%ebx
	push	%edx
	push	%ecx
	push	%eax
	push	%ds
	push	%es
	mov	$SEL_USER_DATA, %eax
	mov	%eax, %ds
	mov	%eax, %es
	cld
	mov	%esp, %eax
	mov	%esp, %ebp
	and	$-16, %esp
	sub	$12, %esp
	push	%eax
	call	trap
	mov	%ebp, %esp
	pop	%es
	pop	%ds
	pop	%eax
	pop	%ecx
	pop	%edx
	pop	%ebx
	pop	%ebp			/* ESP's place */
	pop	%ebp
	pop	%esi
	pop	%edi
	add	$8, %esp		/* vector and error code */
	iret

/* void probe_enter(struct state *s): load everything and go. probe_leave() returns from it. */
	.globl	probe_enter
probe_enter:
	mov	4(%esp), %eax
	push	%ebx
	push	%ebp
	push	%esi
	push	%edi
	mov	%esp, probe_saved_esp
	mov	4(%eax), %ecx
	mov	8(%eax), %edx
	mov	12(%eax), %ebx
	mov	20(%eax), %ebp
	mov	24(%eax), %esi
	mov	28(%eax), %edi
	mov	32(%eax), %esp		/* state.frame: EIP, CS, EFLAGS; for ring 3 ESP, SS */
	mov	(%eax), %eax
	iret

/* void probe_leave(void): forget the trap's stack, return from probe_enter(). */
	.globl	probe_leave
probe_leave:
	mov	probe_saved_esp, %esp
	push	$2			/* EFLAGS: nothing but the bit that is always set */
	popf
	pop	%edi
	pop	%esi
	pop	%ebp
	pop	%ebx
	ret

	.section .bss
	.balign	4
probe_saved_esp:
	.skip	4

	.section .note.GNU-stack, "", @progbits

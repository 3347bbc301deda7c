/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * trap64.S: from an exception or interrupt to trap() in trap.c and back; and into a probe's code
 * and out of it. For 64-bit guests.
 */
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
	push	%r15
	push	%r14
	push	%r13
	push	%r12
	push	%r11
	push	%r10
	push	%r9
	push	%r8
	push	%rdi
	push	%rsi
	push	%rbp
	push	%rsp			/* trap() puts the real one here */
	push	%rbx
	push	%rdx
	push	%rcx
	push	%rax
	cld
	mov	%rsp, %rdi
	mov	%rsp, %rbp
	and	$-16, %rsp
	call	trap
	mov	%rbp, %rsp
	pop	%rax
	pop	%rcx
	pop	%rdx
	pop	%rbx
	pop	%rbp			/* RSP's place: IRETQ loads it */
	pop	%rbp
	pop	%rsi
	pop	%rdi
	pop	%r8
	pop	%r9
	pop	%r10
	pop	%r11
	pop	%r12
	pop	%r13
	pop	%r14
	pop	%r15
	add	$16, %rsp		/* vector and error code */
	iretq

/* void probe_enter(struct state *s): load everything and go. probe_leave() returns from it. */
	.globl	probe_enter
probe_enter:
	push	%rbx
	push	%rbp
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	mov	%rsp, probe_saved_rsp
	mov	%rdi, %rax
	mov	8(%rax), %rcx
	mov	16(%rax), %rdx
	mov	24(%rax), %rbx
	mov	40(%rax), %rbp
	mov	48(%rax), %rsi
	mov	56(%rax), %rdi
	mov	64(%rax), %r8
	mov	72(%rax), %r9
	mov	80(%rax), %r10
	mov	88(%rax), %r11
	mov	96(%rax), %r12
	mov	104(%rax), %r13
	mov	112(%rax), %r14
	mov	120(%rax), %r15
	mov	128(%rax), %rsp		/* state.frame: RIP, CS, RFLAGS, RSP, SS */
	mov	(%rax), %rax
	iretq

/* void probe_leave(void): forget the trap's stack, return from probe_enter(). */
	.globl	probe_leave
probe_leave:
	mov	probe_saved_rsp, %rsp
	push	$2			/* RFLAGS: nothing but the bit that is always set */
	popf
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbp
	pop	%rbx
	ret

	.section .bss
	.balign	8
probe_saved_rsp:
	.skip	8

	.section .note.GNU-stack, "", @progbits

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * longmode_asm.S: what longmode.c cannot say in C: a SYSCALL handler, and a visit to the protected
 * mode that long mode was entered from.
 */
#include "lib/selectors.h"

#define MSR_EFER 0xc0000080

	.section .text
	.code64

/* Where SYSCALL goes: note what it did, and go back, to 32-bit code if that is asked for. */
	.globl	syscall_entry
syscall_entry:
	mov	%rcx, syscall_rcx
	mov	%r11, syscall_r11
	pushf
	pop	syscall_flags
	cmpq	$0, syscall_return32
	jne	1f
	sysretq
1:	mov	syscall_return32, %rcx
	sysretl

/* Six bytes of 32-bit code; in 64-bit code the DEC would be a REX prefix. */
	.code32
	.globl	sysret32_target
sysret32_target:
	mov	$0x12345678, %ebx
	dec	%ebx
	.fill	16, 1, 0xcc
	.code64

/*
 * u32 visit_legacy_mode(void): leave long mode for good, and come back. Returns EFER as it was there
 * (0). The order is that of APM vol. 2 §14.7: to compatibility mode, paging off (which clears
 * EFER.LMA), EFER.LME off; and back as in lib/boot64.S. R8 to R15 are undefined afterwards.
 */
	.globl	visit_legacy_mode
visit_legacy_mode:
	push	%rbx
	push	%rbp
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	mov	%rsp, saved_rsp
	push	$SEL_CODE32
	push	$1f
	lretq
	.code32
1:	mov	%cr0, %eax
	and	$0x7fffffff, %eax	/* PG */
	mov	%eax, %cr0
	mov	$MSR_EFER, %ecx
	rdmsr
	and	$~0x100, %eax		/* LME */
	wrmsr

	/* Protected mode, no paging. Some exits here, too. */
	xor	%eax, %eax
	cpuid
	out	%al, $0xe4
	mov	$MSR_EFER, %ecx
	rdmsr
	mov	%eax, %esi

	or	$0x100, %eax
	wrmsr
	mov	%cr0, %eax
	or	$0x80000000, %eax
	mov	%eax, %cr0
	ljmp	$SEL_CODE64, $2f
	.code64
2:	mov	saved_rsp, %rsp
	mov	%esi, %eax
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbp
	pop	%rbx
	ret

	.section .bss
	.balign	8
	.globl	syscall_rcx, syscall_r11, syscall_flags, syscall_return32
syscall_rcx:
	.skip	8
syscall_r11:
	.skip	8
syscall_flags:
	.skip	8
syscall_return32:
	.skip	8
saved_rsp:
	.skip	8

	.section .note.GNU-stack, "", @progbits

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * real_way.S: from protected mode to real mode and back, in the order of APM vol. 2 §14.5:
 *
 *	1. 32-bit code at 32 MiB: save what C needs, jump to the copy below 1 MiB
 *	2. there, 16-bit protected mode: segments of 64 KiB, so that real mode has them, too
 *	3. CR0.PE off, a far jump: real mode. Load all registers, IRET to the code under test
 *	4. its first interrupt: a stub, save all registers
 *	5. CR0.PE on, a far jump, 32-bit segments, back to C
 */
#include "lib/selectors.h"
#include "lib/real.h"

#define AT(label)	(label - real_start)		/* offset within segment REAL_CODE / 16 */
#define LINEAR(label)	(label - real_start + REAL_CODE)

	.section .text
	.code32
	.globl	real_enter
real_enter:
	push	%ebx
	push	%ebp
	push	%esi
	push	%edi
	mov	%esp, saved_esp
	sidt	saved_idtr
	ljmp	$SEL_CODE16, $LINEAR(protected16)

real_return:
	mov	saved_esp, %esp
	lidt	saved_idtr
	pop	%edi
	pop	%esi
	pop	%ebp
	pop	%ebx
	ret

	.globl	real_start, real_stubs, real_end
	.code16
real_start:
protected16:
	mov	$SEL_DATA16, %ax
	mov	%ax, %ds
	mov	%ax, %es
	mov	%ax, %ss
	lidtl	LINEAR(real_idtr)
	mov	%cr0, %eax
	and	$0xfffffffe, %eax
	mov	%eax, %cr0
	ljmp	$REAL_CODE / 16, $AT(real)

real:
	xor	%ax, %ax
	mov	%ax, %ds
	mov	%ax, %ss
	mov	$REAL_STACK, %esp
	mov	REAL_STATE + STATE_ES, %es
	mov	REAL_STATE + STATE_FS, %fs
	pushw	REAL_STATE + STATE_FLAGS
	pushw	REAL_STATE + STATE_CS
	pushw	REAL_STATE + STATE_IP
	mov	REAL_STATE + 0, %eax
	mov	REAL_STATE + 4, %ecx
	mov	REAL_STATE + 8, %edx
	mov	REAL_STATE + 12, %ebx
	mov	REAL_STATE + 20, %ebp
	mov	REAL_STATE + 24, %esi
	mov	REAL_STATE + 28, %edi
	mov	REAL_STATE + STATE_DS, %ds
	iretw

/* One for each vector, eight bytes long; FLAGS, CS and IP are on the stack, no error code. */
	.balign	16
real_stubs:
	.set	vector, 0
	.rept	256
	.balign	8
	pushw	$vector
	jmp	1f
	.set	vector, vector + 1
	.endr

1:	pushw	%ds
	pushw	$0
	popw	%ds
	mov	%eax, REAL_STATE + 0
	mov	%ecx, REAL_STATE + 4
	mov	%edx, REAL_STATE + 8
	mov	%ebx, REAL_STATE + 12
	mov	%esp, REAL_STATE + 16
	mov	%ebp, REAL_STATE + 20
	mov	%esi, REAL_STATE + 24
	mov	%edi, REAL_STATE + 28
	mov	%es, REAL_STATE + STATE_ES
	mov	%fs, REAL_STATE + STATE_FS
	popw	REAL_STATE + STATE_DS
	popw	REAL_STATE + STATE_VECTOR
	popw	REAL_STATE + STATE_IP
	popw	REAL_STATE + STATE_CS
	popw	REAL_STATE + STATE_FLAGS

	cli
	cld
	mov	%cr0, %eax
	or	$1, %eax
	mov	%eax, %cr0
	ljmpl	$SEL_CODE32, $LINEAR(protected32)
	.code32
protected32:
	mov	$SEL_DATA, %eax
	mov	%eax, %ss
	mov	$SEL_USER_DATA, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %fs
	mov	%eax, %gs
	mov	$real_return, %eax
	jmp	*%eax

	.balign	4
real_idtr:
	.word	256 * 4 - 1
	.long	0
real_end:

	.section .bss
	.balign	4
saved_esp:
	.skip	4
saved_idtr:
	.skip	8

	.section .note.GNU-stack, "", @progbits

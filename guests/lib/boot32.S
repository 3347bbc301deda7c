/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * boot32.S: the first instructions of a 32-bit guest. The Multiboot loader leaves the processor in
 * protected mode with flat segments and paging off (Multiboot 1 §3.2).
 */
#include "lib/multiboot.h"
#include "lib/selectors.h"

	MULTIBOOT_HEADER

	.section .text
	.code32
	.globl	_start
_start:
	cli
	cld
	mov	$stack_top, %esp
	mov	%eax, boot_magic
	mov	%ebx, boot_info

	/* Our own segments: those of the loader may be gone at any time. */
	lgdt	boot_gdtr
	ljmp	$SEL_CODE32, $1f
1:	mov	$SEL_DATA, %eax
	mov	%eax, %ss
	mov	$SEL_USER_DATA, %eax	/* stays loaded in ring 3 */
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %fs
	mov	%eax, %gs

	call	trap_init
	call	guest
	movzbl	guest_failed, %eax
	push	%eax
	call	finish

	.section .data
	.balign	8
boot_gdtr:
	.word	GDT_COUNT * 8 - 1
	.long	gdt

	.section .bss
	.balign	16
	.skip	16384
stack_top:
	.globl	boot_magic, boot_info
boot_magic:
	.skip	4
boot_info:
	.skip	4

	.section .note.GNU-stack, "", @progbits

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * boot64.S: the first instructions of a 64-bit guest: from the Multiboot loader's protected mode to
 * long mode, in the order of APM vol. 2 §14.6: page tables, CR4.PAE, EFER.LME, CR0.PG, and a jump
 * to a segment with the L bit.
 *
 * The page tables map the first GiB one to one with pages of 2 MiB, open to ring 3 as well.
 */
#include "lib/multiboot.h"
#include "lib/selectors.h"

#define ENTRY_PRESENT_WRITE_USER 0x07
#define ENTRY_LARGE		 0x80

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

	movl	$boot_pdpt + ENTRY_PRESENT_WRITE_USER, boot_pml4
	movl	$boot_pd + ENTRY_PRESENT_WRITE_USER, boot_pdpt
	mov	$ENTRY_PRESENT_WRITE_USER + ENTRY_LARGE, %eax
	xor	%ecx, %ecx
1:	mov	%eax, boot_pd(, %ecx, 8)
	add	$0x200000, %eax
	inc	%ecx
	cmp	$512, %ecx
	jb	1b

	mov	%cr4, %eax
	or	$0x20, %eax		/* CR4.PAE */
	mov	%eax, %cr4
	mov	$boot_pml4, %eax
	mov	%eax, %cr3
	mov	$0xc0000080, %ecx	/* EFER */
	rdmsr
	or	$0x100, %eax		/* LME */
	wrmsr
	mov	%cr0, %eax
	or	$0x80000000, %eax	/* PG */
	mov	%eax, %cr0

	lgdt	boot_gdtr
	ljmp	$SEL_CODE64, $start64

	.code64
start64:
	mov	$SEL_DATA, %eax
	mov	%eax, %ss
	mov	$SEL_USER_DATA, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %fs
	mov	%eax, %gs

	call	trap_init
	call	guest
	movzbl	guest_failed, %edi
	call	finish

	.section .data
	.balign	8
boot_gdtr:
	.word	GDT_COUNT * 8 - 1
	.quad	gdt

	.section .bss
	.balign	4096
	.globl	boot_pml4, boot_pdpt, boot_pd
boot_pml4:
	.skip	4096
boot_pdpt:
	.skip	4096
boot_pd:
	.skip	4096
	.skip	16384
stack_top:
	.globl	boot_magic, boot_info
boot_magic:
	.skip	4
boot_info:
	.skip	4

	.section .note.GNU-stack, "", @progbits

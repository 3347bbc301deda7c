/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bare.S: runs a flat guest without Casita: a Multiboot kernel whose one module is the guest.
 *
 * It puts the guest where it was linked to (ADDRESS), and enters it as Casita's loader for flat images
 * does (src/loaders/loaders.h, start.c; VMs without memory of their own at address 0):
 *
 *	behind the guest, from the next page on	(LOW)
 *	LOW + 0x1000	page tables, the first 4 GiB one to one	(LONG only)
 *	LOW + 0x7000	GDT: 0x10 code, 0x18 data
 *	LOW + 0x7c00	the stack's top
 *
 * with all general registers 0 but ESP, the flags clear, and an IDT without a gate.
 *
 *	as --32 --defsym ADDRESS=0x2000000 --defsym LONG=0 bare.S
 */
MULTIBOOT_MAGIC = 0x1badb002
MULTIBOOT_FLAGS = 0x00000001		/* modules on page boundaries */
INFO_MODULES = 24			/* in the Multiboot information: address of the module list */

TABLES = 0x1000
GDT = 0x7000
STACK = 0x7c00
GDT_SIZE = 32

	.section .multiboot, "a"
	.balign	4
	.long	MULTIBOOT_MAGIC, MULTIBOOT_FLAGS, -(MULTIBOOT_MAGIC + MULTIBOOT_FLAGS)

	.text
	.code32
	.globl	_start
_start:
	cli
	cld
	mov	INFO_MODULES(%ebx), %ebx
	mov	0(%ebx), %esi		/* the module's start and end */
	mov	4(%ebx), %ecx
	sub	%esi, %ecx
	mov	$ADDRESS, %edi
	rep movsb
	lea	4095(%edi), %ebp	/* LOW, in EBP from here on */
	and	$-4096, %ebp

	mov	$gdt, %esi
	lea	GDT(%ebp), %edi
	mov	$GDT_SIZE, %ecx
	rep movsb
	lea	GDT(%ebp), %eax
	mov	%eax, gdtr + 2
	lgdt	gdtr
	lidt	idtr
	lea	STACK(%ebp), %esp
	mov	$0x31, %eax		/* NE, ET, PE */
	mov	%eax, %cr0

	.if LONG
	lea	TABLES(%ebp), %edi	/* level 4: one entry */
	lea	TABLES + 0x1003(%ebp), %eax
	mov	%eax, 0(%edi)
	movl	$0, 4(%edi)
	lea	TABLES + 0x1000(%ebp), %edi	/* level 3: four */
	lea	TABLES + 0x2003(%ebp), %eax
	mov	$4, %ecx
1:	mov	%eax, 0(%edi)
	movl	$0, 4(%edi)
	add	$0x1000, %eax
	add	$8, %edi
	dec	%ecx
	jnz	1b
	lea	TABLES + 0x2000(%ebp), %edi	/* level 2: 2048 of 2 MiB */
	mov	$0x83, %eax
	mov	$2048, %ecx
1:	mov	%eax, 0(%edi)
	movl	$0, 4(%edi)
	add	$0x200000, %eax
	add	$8, %edi
	dec	%ecx
	jnz	1b
	lea	TABLES(%ebp), %eax
	mov	%eax, %cr3
	mov	$0x20, %eax		/* PAE */
	mov	%eax, %cr4
	mov	$0xc0000080, %ecx	/* EFER.LME */
	rdmsr
	or	$0x100, %eax
	wrmsr
	mov	$0x80000031, %eax
	mov	%eax, %cr0
	.endif

	mov	$0x18, %eax
	mov	%eax, %ss
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %fs
	mov	%eax, %gs
	ljmp	$0x10, $enter

	.if LONG
	.code64
	.endif
enter:
	xor	%eax, %eax
	xor	%ecx, %ecx
	xor	%edx, %edx
	xor	%ebx, %ebx
	xor	%ebp, %ebp
	xor	%esi, %esi
	xor	%edi, %edi
	.if LONG
	xor	%r8d, %r8d
	xor	%r9d, %r9d
	xor	%r10d, %r10d
	xor	%r11d, %r11d
	xor	%r12d, %r12d
	xor	%r13d, %r13d
	xor	%r14d, %r14d
	xor	%r15d, %r15d
	.endif
	push	$2
	popf
	jmp	guest

	.globl	guest
	.set	guest, ADDRESS

	.data
	.balign	8
gdt:
	.quad	0, 0
	.quad	0x00cf9b000000ffff + LONG * (0x00af9b000000ffff - 0x00cf9b000000ffff)
	.quad	0x00cf93000000ffff
gdtr:
	.word	GDT_SIZE - 1
	.long	0
idtr:
	.word	0
	.long	0

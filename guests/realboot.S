/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * realboot: a boot sector: 512 bytes that are put to 0x7c00 and started in real mode, as a PC's BIOS
 * does it, and as Casita does with a flat image (loader=flat mode=real at=0x7c00). Nothing else is
 * there, no library and no BIOS call. The answers are those of lib/answer.c, sent by hand.
 *
 * What a VMM gets wrong here: the first state of all. The processor must start in real mode, with CS
 * and IP that make 0x7c00, and the table of interrupts at 0 must be the one that counts.
 */
#define PORT_TEXT     0xe9
#define PORT_NIBBLE   0xca00
#define PORT_EXIT     0xf4
#define PORT_SHUTDOWN 0x8900

	.code16
	.globl	start
start:
	cli
	cld
	call	1f			/* which segment and offset make 0x7c00? */
1:	pop	%bx
	mov	%cs, %ax
	shl	$4, %ax
	add	%bx, %ax
	sub	$(1b - start), %ax	/* all that counts from here is their sum */
	ljmp	$0, $normal
normal:
	xor	%bx, %bx
	mov	%bx, %ds
	mov	%bx, %es
	mov	%bx, %ss
	mov	$0x7c00, %sp
	mov	$name_start, %si
	call	answer			/* AX = 0x7c00 */

	mov	%cr0, %eax
	and	$1, %ax
	mov	$name_pe, %si
	call	answer			/* 0: real mode */

	/* CPUID, and that it changes upper halves, too. */
	mov	$0xffffffff, %eax
	mov	%eax, %ebx
	xor	%eax, %eax
	cpuid
	shr	$16, %eax		/* the number of leaves is below 65536 */
	mov	$name_cpuid, %si
	call	answer			/* 0 */

	/* Our own interrupt 0x60, in the table at 0. */
	movw	$handler, 0x60 * 4
	movw	$0, 0x60 * 4 + 2
	mov	$0x1111, %ax
	int	$0x60
	mov	$name_int, %si
	call	answer			/* 0x2222 */

	/* A division by zero: the handler steps over it, two bytes. */
	movw	$divide, 0
	movw	$0, 2
	xor	%cx, %cx
	mov	$0x3333, %ax
	div	%cx
	mov	$name_divide, %si
	call	answer			/* 0x3335 */

	/* The byte behind ffff:000f is the first of the second MiB. */
	mov	$0xffff, %ax
	mov	%ax, %fs
	movw	$0x5aa5, %fs:0x10
	mov	0, %ax			/* the table's first word */
	sub	$divide, %ax
	mov	%fs:0x10, %bx
	add	%bx, %ax
	mov	$name_a20, %si
	call	answer			/* 0x5aa5 */

	/* A string by REP OUTSB, from another segment. */
	mov	$0x07c0, %ax
	mov	%ax, %ds
	mov	$name_text - start, %si
	mov	$(name_end - name_text), %cx
	mov	$PORT_TEXT, %dx
	rep outsb
	xor	%ax, %ax
	mov	%ax, %ds
	mov	%cx, %ax
	mov	$name_outs, %si
	call	answer			/* 0 */

	xor	%al, %al		/* the end, status 0 */
	out	%al, $PORT_EXIT
	mov	$name_shutdown, %si
	mov	$PORT_SHUTDOWN, %dx
	mov	$8, %cx
	rep outsb
1:	hlt
	jmp	1b

handler:
	add	%ax, %ax
	iret

divide:
	push	%bp
	mov	%sp, %bp
	addw	$2, 2(%bp)
	add	$2, %ax
	pop	%bp
	iret

/* Say "name=hex" to port 0xe9, and sixteen nibbles, twelve of them 0, to PORT_NIBBLE. */
answer:
	mov	%ax, %bx
	mov	$PORT_TEXT, %dx
1:	lodsb
	out	%al, %dx
	cmp	$'=', %al
	jne	1b

	/* The text has no leading zeroes, but one digit at least: CH tells that one was printed. */
	mov	$0x0004, %cx
2:	rol	$4, %bx
	mov	%bl, %al
	and	$15, %al
	or	%al, %ch
	jnz	3f
	cmp	$1, %cl
	jne	4f
3:	mov	$1, %ch
	add	$'0', %al
	cmp	$'9', %al
	jbe	5f
	add	$('a' - '0' - 10), %al
5:	out	%al, %dx
4:	dec	%cl
	jnz	2b
	mov	$'\n', %al
	out	%al, %dx

	mov	$12, %cx
	mov	$PORT_NIBBLE, %dx
6:	out	%al, %dx
	loop	6b
	mov	$4, %cx
7:	rol	$4, %bx
	mov	%bx, %dx
	and	$15, %dx
	add	$PORT_NIBBLE, %dx
	out	%al, %dx
	loop	7b
	ret

name_start:
	.ascii	"start="
name_pe:
	.ascii	"pe="
name_cpuid:
	.ascii	"cpuid="
name_int:
	.ascii	"int="
name_divide:
	.ascii	"divide="
name_a20:
	.ascii	"a20="
name_outs:
	.ascii	"outs="
name_text:
	.ascii	"a boot sector\n"
name_end:
name_shutdown:
	.ascii	"Shutdown"

	.org	510
	.word	0xaa55			/* by this, a BIOS knows a boot sector */

	.section .note.GNU-stack, "", @progbits

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * boot.S: from the Multiboot loader's 32-bit world into C in 64-bit mode.
 *
 * A Multiboot loader (QEMU's -kernel, GRUB, bootdisk.S) looks for the header below in the first
 * 8 KiB of the file, puts the image to where its ELF headers say, and jumps to boot_entry in
 * 32-bit protected mode without paging, with interrupts off, EAX = 0x2badb002 and EBX = the
 * address of the information that boot_info.c reads (Multiboot 0.6.96 §3.1-3.2).
 *
 * Long mode cannot be had without paging (APM vol. 2 §14.6.1), so the page tables come first.
 * They lie ready in the image and cost no instruction: the first 4 GiB, one to one, in 2 MiB
 * pages, except that the first 2 MiB, where Casita itself lies, are mapped in 4 KiB pages, for
 * boot_info.c to protect its code and to unmap the guard page under the stack.
 */
#include "host/internal.h"
#include "host/multiboot.h"

#define EFER		0xc0000080
#define EFER_LME	0x100
#define CR0_PG_WP_PE	0x80010001	/* WP: read-only pages hold for ring 0, too */
#define CR4_PAE		0x20
#define CPUID_LM	29		/* leaf 0x80000001, EDX */

#define PTE_P_W		0x003
#define PTE_P_W_PS	0x083

#define COM1		0x3f8

/* ---- the Multiboot header -------------------------------------------------------------- */

	.section .boot, "ax"
	.align	4
	.long	MULTIBOOT_HEADER_MAGIC
	.long	MULTIBOOT_HEADER_FLAGS
	.long	-(MULTIBOOT_HEADER_MAGIC + MULTIBOOT_HEADER_FLAGS)

/* ---- 32-bit entry: is there a long mode? Tables, PAE, EFER.LME, paging; jump to 64-bit code -- */

	.code32
	.globl	boot_entry
boot_entry:
	cld
	mov	%eax, %edi		/* CPUID will want EAX and EBX; C wants EDI and ESI */
	mov	%ebx, %esi

	mov	$0x80000001, %eax
	cpuid
	bt	$CPUID_LM, %edx
	jnc	no_long_mode

	mov	%cr4, %eax
	or	$CR4_PAE, %eax
	mov	%eax, %cr4
	mov	$boot_pml4, %eax
	mov	%eax, %cr3
	mov	$EFER, %ecx
	rdmsr
	or	$EFER_LME, %eax
	wrmsr
	mov	$CR0_PG_WP_PE, %eax	/* leaves CD, NW, EM and TS clear */
	mov	%eax, %cr0
	lgdt	gdt_pointer32
	ljmp	$HOST_CS, $boot_entry64

/* ---- 64-bit entry: stack, segments, host_main(magic, info) ----------------------------- */

	.code64
boot_entry64:
	mov	$HOST_DS, %eax
	.irp	segment, ds, es, fs, gs, ss
	mov	%eax, %\segment
	.endr
	mov	$boot_stack_top, %esp
	mov	%edi, %edi		/* a 32-bit move clears the upper half */
	mov	%esi, %esi
	xor	%ebp, %ebp		/* the backtrace ends here */
	call	host_main		/* does not return */
	ud2

/* ---- what to do without a long mode ---------------------------------------------------- */

	.code32
no_long_mode:				/* only an emulator: its serial line needs no waiting */
	mov	$no_long_mode_text, %esi
	mov	$(no_long_mode_end - no_long_mode_text), %ecx
	mov	$COM1, %edx
	rep outsb
	mov	$HOST_EXIT_REFUSED, %al
	out	%al, $QEMU_DEBUG_EXIT
1:	cli
	hlt
	jmp	1b

	.section .rodata
no_long_mode_text:
	.ascii	"casita: this processor has no 64-bit mode, and Casita needs it\r\n"
no_long_mode_end:

	.align	8
gdt_pointer32:
	.word	HOST_GDT_SIZE - 1
	.long	host_gdt

/* ---- page tables and stack ------------------------------------------------------------- */

	.data
	.align	4096
	.globl	boot_pml4, boot_pdpt, boot_pt
boot_pml4:
	.quad	boot_pdpt + PTE_P_W
	.fill	511, 8, 0
boot_pdpt:				/* an entry is 1 GiB; boot_info.c adds what lies above 4 GiB */
	.quad	boot_pd + PTE_P_W
	.quad	boot_pd + 0x1000 + PTE_P_W
	.quad	boot_pd + 0x2000 + PTE_P_W
	.quad	boot_pd + 0x3000 + PTE_P_W
	.fill	508, 8, 0
boot_pd:				/* four tables in a row; an entry is 2 MiB */
	.quad	boot_pt + PTE_P_W
	.set	page, 0x200000
	.rept	2047
	.quad	page + PTE_P_W_PS
	.set	page, page + 0x200000
	.endr
boot_pt:				/* page 0 stays unmapped: it catches null pointers */
	.quad	0
	.set	page, 0x1000
	.rept	511
	.quad	page + PTE_P_W
	.set	page, page + 0x1000
	.endr

	.section .bss.stack, "aw", @nobits
	.align	4096
	.globl	boot_stack_guard, boot_stack, boot_stack_top
boot_stack_guard:			/* unmapped by boot_info.c: an overflow faults at once */
	.skip	4096
boot_stack:
	.skip	HOST_STACK_SIZE
boot_stack_top:

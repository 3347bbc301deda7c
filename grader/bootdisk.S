/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bootdisk.S: a Multiboot loader for disk images that bootdisk.py made.
 *
 * Bochs has no -kernel option, and GRUB takes a second of its time. Everything that needs thought
 * was therefore done when the image was made: bootdisk.py laid the kernel, the modules and the
 * Multiboot tables out in memory, and wrote a plan of what to copy where. This program carries the
 * plan out, fills in what only the machine knows, the memory map, and jumps to the kernel as the
 * Multiboot Specification 0.6.96 §3.2 wants it.
 *
 *	sector 0	this program's first part; the BIOS puts it to 0x7c00 and jumps to it
 *	sectors 1-3	its second part
 *	sectors 4-63	the plan: a header (PLAN_*) and chunks (CHUNK_*)
 *	from 64 on	the data
 *
 * BIOS calls need real mode, the kernel lies above 1 MiB, where real mode does not reach. The way
 * out is "unreal mode": a segment register keeps the limit that it was loaded with in protected
 * mode, so after a short visit there, ES and FS reach 4 GiB from real mode.
 *
 *	1. sector 0: read the rest of ourselves and the plan
 *	2. carry out the plan, chunk by chunk
 *	3. the memory map
 *	4. into protected mode, to the kernel
 *	5. subroutines and tables
 *
 * Assembled as one section and not linked: AT(label) is the address where the label will be.
 */
#define AT(label)	(label - start + 0x7c00)

#define SECOND		0x7e00		/* the second part is read to here, the plan behind it */
#define SECOND_SECTORS	63
#define PLAN		0x8400
#define PLAN_MAGIC	PLAN + 0
#define PLAN_ENTRY	PLAN + 4	/* the kernel's first instruction */
#define PLAN_INFO	PLAN + 8	/* address of the Multiboot information */
#define PLAN_CHUNKS	PLAN + 12	/* how many follow */
#define PLAN_FIRST	PLAN + 16
#define CHUNK_TO	0		/* address */
#define CHUNK_FROM	4		/* sector; 0: fill with zeroes */
#define CHUNK_SECTORS	8
#define CHUNK_SIZE	12
#define MAGIC		0x74736143	/* "Cast" */

#define MEMORY_MAP	0x1000		/* up to 128 entries */
#define MEMORY_MAP_END	0x1c00
#define BUFFER		0x10000
#define BUFFER_SECTORS	64

#define INFO_FLAGS	0		/* struct multiboot_info in src/host/multiboot.h */
#define INFO_MEM_LOWER	4
#define INFO_MEM_UPPER	8
#define INFO_MMAP	44		/* length, address */
#define INFO_FLAGS_HERE	0x41		/* memory sizes and memory map */
#define LOADED		0x2badb002

#define COM1		0x3f8
#define COM1_LCR	(COM1 + 3)
#define LCR_8N1		0x03
#define COM1_LSR	(COM1 + 5)
#define LSR_THRE	0x20

#define FLAT_CODE	0x08
#define FLAT_DATA	0x10

	.text
	.code16
start:
/* ---- 1. sector 0 ------------------------------------------------------------------------- */

	cli
	xor	%ax, %ax
	mov	%ax, %ds
	mov	%ax, %es
	mov	%ax, %ss
	mov	$0x7c00, %sp
	sti
	cld
	mov	%dl, AT(drive)		/* the BIOS says which disk it started from */
	mov	$AT(packet), %si
	call	read_disk
	jmp	second

/* Read what the packet at SI says, by the BIOS's extended read. */
read_disk:
	mov	AT(drive), %dl
	mov	$0x42, %ah
	int	$0x13
	jc	1f
	ret
1:	mov	$AT(disk_error), %si

/* Say what is wrong on the first serial line, where a headless machine is heard; stop. */
fail:
	mov	$COM1_LCR, %dx
	mov	$LCR_8N1, %al
	out	%al, %dx
1:	mov	$COM1_LSR, %dx
2:	in	%dx, %al
	test	$LSR_THRE, %al
	jz	2b
	lodsb
	test	%al, %al
	jz	3f
	mov	$COM1, %dx
	out	%al, %dx
	jmp	1b
3:	cli
	hlt
	jmp	3b

disk_error:
	.asciz	"bootdisk: cannot read the disk\r\n"
plan_error:
	.asciz	"bootdisk: no plan on the disk\r\n"
memory_error:
	.asciz	"bootdisk: the BIOS has no memory map\r\n"

drive:	.byte	0
	.align	4
packet:	.byte	16, 0			/* its size */
	.word	SECOND_SECTORS		/* how many */
	.word	SECOND & 15, SECOND >> 4 /* to offset, segment */
	.long	1, 0			/* from sector (64 bits) */

	.org	446, 0			/* a partition table, empty */
	.org	510, 0
	.word	0xaa55

/* ---- 2. the plan ------------------------------------------------------------------------- */

second:
	mov	$AT(plan_error), %si
	cmpl	$MAGIC, PLAN_MAGIC
	jne	fail
	mov	$0x2401, %ax		/* address line A20 on, by the BIOS and by the chip set */
	int	$0x15
	in	$0x92, %al
	or	$2, %al
	and	$0xfe, %al
	out	%al, $0x92

	movw	$0, AT(packet) + 4	/* from now on, read to the buffer */
	movw	$BUFFER >> 4, AT(packet) + 6
	mov	$PLAN_FIRST, %bp
next_chunk:
	decl	PLAN_CHUNKS
	js	memory_map
	mov	CHUNK_TO(%bp), %edi
	mov	CHUNK_FROM(%bp), %eax
	mov	CHUNK_SECTORS(%bp), %ecx
	add	$CHUNK_SIZE, %bp
	test	%eax, %eax
	jnz	copy_chunk

	shl	$7, %ecx		/* 128 words of 4 bytes a sector */
	call	unreal
	xor	%eax, %eax
	rep stosl %eax, %es:(%edi)
	jmp	next_chunk

copy_chunk:				/* EAX: from sector, ECX: sectors, EDI: to */
	mov	%eax, AT(packet) + 8
1:	mov	$BUFFER_SECTORS, %ebx	/* EBX: how many this time */
	cmp	%ebx, %ecx
	jae	2f
	mov	%ecx, %ebx
2:	mov	%bx, AT(packet) + 2
	pushal
	mov	$AT(packet), %si
	call	read_disk
	popal
	push	%ecx
	call	unreal
	mov	$BUFFER, %esi
	mov	%ebx, %ecx
	shl	$7, %ecx
	rep movsl %fs:(%esi), %es:(%edi)
	pop	%ecx
	add	%ebx, AT(packet) + 8
	sub	%ebx, %ecx
	jnz	1b
	jmp	next_chunk

/* ---- 3. the memory map: INT 15h, EAX = 0xe820 --------------------------------------------- */

memory_map:
	xor	%ebx, %ebx		/* the BIOS's bookmark, 0 at the start and after the last */
	mov	$MEMORY_MAP, %di
1:	movl	$20, (%di)		/* the entry's size, as Multiboot has it, without this word */
	add	$4, %di
	mov	$0xe820, %eax
	mov	$0x534d4150, %edx	/* "SMAP" */
	mov	$20, %ecx
	int	$0x15
	mov	$AT(memory_error), %si
	jc	2f
	add	$20, %di
	cmp	$MEMORY_MAP_END, %di
	jae	fail
	test	%ebx, %ebx
	jnz	1b
	jmp	3f
2:	sub	$4, %di			/* an error after the first entry also means the end */
	cmp	$MEMORY_MAP, %di
	je	fail

3:	call	unreal
	mov	PLAN_INFO, %ebx
	movzwl	%di, %eax
	sub	$MEMORY_MAP, %eax
	mov	%eax, %fs:INFO_MMAP(%ebx)
	movl	$MEMORY_MAP, %fs:INFO_MMAP + 4(%ebx)
	orl	$INFO_FLAGS_HERE, %fs:INFO_FLAGS(%ebx)

	/* the older way to say it: KiB from 0 on, and from 1 MiB on */
	int	$0x12
	movzwl	%ax, %eax
	mov	%eax, %fs:INFO_MEM_LOWER(%ebx)
	mov	$MEMORY_MAP, %si
4:	cmpl	$0x100000, 4(%si)	/* the entry that begins at 1 MiB */
	je	5f
	add	$24, %si
	cmp	%di, %si
	jb	4b
	jmp	to_kernel
5:	mov	12(%si), %eax
	shr	$10, %eax
	mov	%eax, %fs:INFO_MEM_UPPER(%ebx)

/* ---- 4. to the kernel --------------------------------------------------------------------- */

to_kernel:
	cli
	lgdtl	AT(gdt_pointer)
	mov	%cr0, %eax
	or	$1, %al
	mov	%eax, %cr0
	ljmpl	$FLAT_CODE, $AT(protected)

	.code32
protected:
	mov	$FLAT_DATA, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %fs
	mov	%eax, %gs
	mov	%eax, %ss
	mov	PLAN_INFO, %ebx
	mov	$LOADED, %eax
	jmp	*PLAN_ENTRY

/* ---- 5. subroutines and tables ------------------------------------------------------------ */

	.code16
/* Give ES and FS base 0 and limit 4 GiB. The BIOS may undo it. All registers stay but EAX. */
unreal:
	cli
	lgdtl	AT(gdt_pointer)
	mov	%cr0, %eax
	or	$1, %al
	mov	%eax, %cr0
	mov	$FLAT_DATA, %ax
	mov	%ax, %es
	mov	%ax, %fs
	mov	%cr0, %eax
	and	$0xfe, %al
	mov	%eax, %cr0
	xor	%ax, %ax
	mov	%ax, %es
	mov	%ax, %fs
	sti
	ret

	.align	8
gdt:	.quad	0
	.quad	0x00cf9b000000ffff	/* FLAT_CODE: 32-bit, 4 GiB */
	.quad	0x00cf93000000ffff	/* FLAT_DATA */
gdt_pointer:
	.word	. - gdt - 1
	.long	AT(gdt)

	.org	PLAN - 0x7c00, 0

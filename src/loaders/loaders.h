/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * loaders.h: what the loaders share: writing into guest RAM, the map of it that a kernel is told,
 * and the states in which a guest can start.
 *
 * A guest that starts in protected or long mode needs a GDT, and in long mode page tables, in its
 * own memory. They lie where a PC has free conventional memory, below the place of a boot sector:
 *
 *	0x00500-0x00fff	flat images: the command line
 *	0x01000-0x06fff	page tables: one of level 4, one of level 3, four of level 2
 *	0x07000-0x0701f	GDT
 *	       -0x07bff	stack, growing down from 0x7c00
 *	0x08000-0x08fff	Linux: boot_params, the "zero page"
 *	0x09000-0x0ffff	Linux: the command line
 *
 * (A Multiboot kernel may be linked to any of these addresses: its GDT comes behind its end. A flat
 * image in a VM without RAM at 0 has all of this behind its end instead.)
 */
#ifndef LOADERS_LOADERS_H
#define LOADERS_LOADERS_H

#include "vmm/memory.h"

struct vcpu;
struct vm;
struct vm_file;

#define LOW_CMDLINE	  0x500ull
#define LOW_CMDLINE_END	  0x1000ull
#define LOW_TABLES	  0x1000ull
#define LOW_TABLES_SIZE	  (6 * PAGE_SIZE)
#define LOW_GDT		  0x7000ull
#define LOW_STACK	  0x7c00ull /* its top */
#define LOW_LINUX_PARAMS  0x8000ull
#define LOW_LINUX_CMDLINE 0x9000ull
#define LOW_LINUX_END	  0x10000ull

/* What every loader hands to its kernel are 32-bit addresses. */
#define LOADER_LIMIT	  (4 * GIB)

/* ---- files and guest memory (ram.c) -------------------------------------------------- */
/** bad_kernel() - vm_fail() with a sentence about the kernel's file, behind its name; -ENOEXEC. */
int bad_kernel(struct vm *vm, const char *fmt, ...) __printf(2, 3);

/**
 * loader_ram() - the guest RAM that something is to be written to: @size bytes at @at.
 * @who: the file that asks for it; @what: what for: "the kernel", "segment 2"
 *
 * Return: a host pointer, good for @size bytes; or NULL, with a sentence in vm_fail(), if they are
 * not all RAM below 4 GiB. The caller returns -ENOMEM then.
 */
void *loader_ram(struct vm *vm, const struct vm_file *who, const char *what, u64 at, u64 size);

/**
 * loader_put() - copy a part of a file into guest RAM, and clear what is behind it.
 * @what: what the part is, for the error message
 * @offset, @size: which bytes of the file; the caller has checked that they are inside
 * @at, @room: the guest physical address, and how many bytes in all, with those to clear
 *
 * Return: 0, or -ENOMEM as above.
 */
int loader_put(struct vm *vm, const struct vm_file *file, const char *what, u64 offset, u64 size,
	       u64 at, u64 room);

enum ram_type { RAM_USABLE = 1, RAM_RESERVED = 2 };

/* A range of physical addresses, as E820, Multiboot and Linux's boot_params have it. */
struct ram_range {
	u64 start, size; /* bytes */
	u32 type;	 /* enum ram_type */
} __packed;
_Static_assert(sizeof(struct ram_range) == 20, "ACPI, int 15h E820");

#define RAM_RANGES_MAX (MEM_REGIONS + 2)

/**
 * ram_map() - the memory map as a PC's firmware would tell it (BIOS function E820), in
 * RAM_RANGES_MAX places.
 *
 * All RAM of the VM in order of address, neighbours joined; what it has from 0x9fc00 to 1 MiB is
 * reserved, because the extended BIOS data, the display and ROMs are there in a PC.
 * Return: the number of ranges.
 */
unsigned ram_map(const struct vm *vm, struct ram_range *ranges);

/* ---- ELF files (elf.c) --------------------------------------------------------------- */
/* A kernel in guest RAM: where it starts, and where it ends, bss included. */
struct image {
	u64 entry, end;
};

/** elf_probe() - does the file begin like an ELF file? */
bool elf_probe(const struct vm_file *file);

/**
 * elf_load() - copy the kernel's segments to their physical addresses, and clear their bss. It is
 * an ELF32 file for the i386, or an ELF64 file for the x86-64 that lies below 4 GiB.
 * ELF specification (TIS 1.2), book I part 1 and 2.
 *
 * Return: 0, and where it is in *@out; -ENOEXEC for a file that breaks the rules or is cut short,
 * -ENOMEM if the VM has no RAM where a segment wants to be; both with a sentence in vm_fail().
 */
int elf_load(struct vm *vm, struct image *out);

/* ---- how a guest starts (start.c) ---------------------------------------------------- */
/* Selectors of the GDT that we leave to the guest: those of GRUB, and Linux's __BOOT_CS, _DS. */
#define START_CS	  0x10
#define START_DS	  0x18
#define START_GDT_ENTRIES 4

/**
 * start_real() - start in real mode, as a BIOS starts a boot sector.
 * @at: the first instruction, below 1 MiB. Below 64 KiB CS is 0 and IP is @at; otherwise CS is
 *	@at / 16. DS, ES, FS and GS are CS; SS:SP is 0000:7c00; DL is 0x80, the first hard disk.
 */
void start_real(struct vcpu *vcpu, u64 at);

/**
 * start_protected() - start in 32-bit protected mode: flat segments, no paging, no IDT, all general
 * registers zero.
 * @entry, @stack: EIP and ESP; @gdt: guest RAM for START_GDT_ENTRIES descriptors
 * Return: 0, or -ENOMEM with a sentence.
 */
int start_protected(struct vcpu *vcpu, u64 entry, u64 stack, gpa_t gdt);

/**
 * start_long() - start in 64-bit mode: flat segments, no IDT, the first 4 GiB mapped one to one
 * with pages of 2 MiB. Tables, GDT and stack are at @low + LOW_TABLES, LOW_GDT and LOW_STACK.
 * @entry: RIP
 * All general registers are zero. Return: 0, or -ENOMEM with a sentence.
 */
int start_long(struct vcpu *vcpu, u64 entry, u64 low);

#endif

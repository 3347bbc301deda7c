/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * elf.h: puts the program in an ELF file into guest RAM.
 */
#ifndef LOADERS_ELF_H
#define LOADERS_ELF_H

#include "lib/types.h"

struct vm;
struct vm_file;

/* A kernel that has been put into guest RAM; guest physical addresses. */
struct image {
	u64 entry;
	u64 end; /* of its highest byte, bss included */
};

/** elf_probe() - does the file begin like an ELF file? */
bool elf_probe(const struct vm_file *file);

/**
 * elf_load() - copy an executable's segments to their physical addresses, and clear their bss.
 * @file: an ELF32 file for the i386, or an ELF64 file for the x86-64 that lies below 4 GiB
 * @out: where it is
 *
 * ELF specification (TIS 1.2), book I part 1 and 2.
 *
 * Return: 0; -ENOEXEC for a file that breaks the rules or is cut short, -ENOMEM if the VM has no
 * RAM where a segment wants to be; both with a sentence in vm_fail().
 */
int elf_load(struct vm *vm, const struct vm_file *file, struct image *out);

#endif

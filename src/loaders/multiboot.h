/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * multiboot.h: between the two files of the Multiboot loader.
 */
#ifndef LOADERS_MULTIBOOT_H
#define LOADERS_MULTIBOOT_H

#include "lib/types.h"

struct vm;

struct multiboot_place {
	u64 info;  /* the information structure, for EBX */
	u64 gdt;   /* room for START_GDT_ENTRIES descriptors */
	u64 stack; /* the end of the RAM that they are in */
};

/**
 * multiboot_inform() - put what a kernel is told, and its modules, into guest RAM.
 * @end: where the kernel ends; all goes behind that
 * @out: where it went
 *
 * Multiboot Specification 0.6.96, §3.3.
 *
 * Return: 0, or -ENOMEM with a sentence in vm_fail() if the VM's RAM does not hold it.
 */
int multiboot_inform(struct vm *vm, u64 end, struct multiboot_place *out);

#endif

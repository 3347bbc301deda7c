/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * multiboot.h: the Multiboot 1 agreement between a loader and a kernel.
 * Multiboot Specification 0.6.96, §3.1 (header) and §3.3 (boot information).
 */
#ifndef HOST_MULTIBOOT_H
#define HOST_MULTIBOOT_H

#define MULTIBOOT_HEADER_MAGIC 0x1badb002
#define MULTIBOOT_HEADER_FLAGS 0x3	  /* modules on page boundaries; tell me the memory */
#define MULTIBOOT_LOADED       0x2badb002 /* in EAX at the kernel's entry */

#define MULTIBOOT_MEMORY_RAM   1 /* struct multiboot_memory's type; anything else is not RAM */

#ifndef __ASSEMBLY__
#include "lib/types.h"

/* Which parts of the information are there. */
enum { MULTIBOOT_INFO_MEMORY = BIT(0), MULTIBOOT_INFO_CMDLINE = BIT(2) };
enum { MULTIBOOT_INFO_MODULES = BIT(3), MULTIBOOT_INFO_MMAP = BIT(6) };
enum { MULTIBOOT_INFO_LOADER_NAME = BIT(9) };

struct multiboot_info {
	u32 flags;
	u32 mem_lower, mem_upper; /* KiB from 0 and from 1 MiB */
	u32 boot_device;
	u32 cmdline;		    /* address of a string */
	u32 mods_count, mods_addr;  /* struct multiboot_module[] */
	u32 syms[4];		    /* symbol table of the kernel: not used */
	u32 mmap_length, mmap_addr; /* struct multiboot_memory[]; length in bytes */
	u32 drives_length, drives_addr;
	u32 config_table;
	u32 boot_loader_name; /* address of a string */
};
_Static_assert(offsetof(struct multiboot_info, mmap_length) == 44, "Multiboot §3.3");
_Static_assert(offsetof(struct multiboot_info, boot_loader_name) == 64, "Multiboot §3.3");

struct multiboot_module {
	u32 start, end; /* end is the address of the first byte after it */
	u32 string;
	u32 reserved;
};
_Static_assert(sizeof(struct multiboot_module) == 16, "Multiboot §3.3");

struct multiboot_memory {
	u32 size; /* of what follows this word, at least 20 */
	u64 base, length;
	u32 type;
} __packed;
_Static_assert(sizeof(struct multiboot_memory) == 24, "Multiboot §3.3");

#endif /* __ASSEMBLY__ */
#endif

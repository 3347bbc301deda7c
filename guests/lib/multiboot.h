/* SPDX-License-Identifier: BSD-3-Clause */
/* multiboot.h: the twelve bytes that make a file a Multiboot 1 kernel (Multiboot 1 §3.1). */
#define MULTIBOOT_MAGIC 0x1badb002
#define MULTIBOOT_FLAGS 0x00000003 /* modules on page boundaries; tell how much memory there is */

/* clang-format off */
#define MULTIBOOT_HEADER                             \
	.section .multiboot, "a";                    \
	.balign 4;                                   \
	.long MULTIBOOT_MAGIC, MULTIBOOT_FLAGS;      \
	.long -(MULTIBOOT_MAGIC + MULTIBOOT_FLAGS)
/* clang-format on */

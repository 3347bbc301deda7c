/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * images.h: small kernel files, built by hand, for the tests and the fuzzer of the loaders.
 *
 * Every byte that is not a header is IMAGE_BYTE(its offset in the file), so a test can tell where a
 * byte of guest memory came from. A file is an allocation of just its size: AddressSanitizer sees a
 * loader read beyond it.
 */
#ifndef TESTS_UNIT_IMAGES_H
#define TESTS_UNIT_IMAGES_H

#include "lib/types.h"
#include "vmm/config.h"

#define IMAGE_BYTE(offset) ((u8)((offset)*7 + 3))

struct image_file {
	u8 *data;
	u64 size;
};

/** image_poke() - store a little-endian number of @width bytes at @offset. */
void image_poke(struct image_file *f, u64 offset, unsigned width, u64 value);
/** image_cut() - make the file shorter. */
void image_cut(struct image_file *f, u64 size);
void image_free(struct image_file *f);

/*
 * ELF32 with a Multiboot header at ELF_MB and two segments of interest:
 *
 *	text	0x100 bytes at offset 0x100, for 0x200000
 *	data	0x30 bytes at offset 0x200, for 0x201000, and 0x1050 bytes of bss
 */
#define ELF_ENTRY     0x200010u
#define ELF_TEXT_AT   0x100
#define ELF_TEXT      0x200000u
#define ELF_TEXT_SIZE 0x100
#define ELF_DATA_AT   0x200
#define ELF_DATA      0x201000u
#define ELF_DATA_SIZE 0x30
#define ELF_BSS_SIZE  0x1050
#define ELF_END	      (ELF_DATA + ELF_DATA_SIZE + ELF_BSS_SIZE)
#define ELF32_MB      0x100
#define ELF64_MB      0x100
#define ELF_SIZE      0x230
#define ELF32_PH(i)   (52 + 32 * (i)) /* 0 is a note, 1 is text, 2 is data */
#define ELF64_PH(i)   (64 + 56 * (i))
struct image_file image_elf32(void);
struct image_file image_elf64(void);

/* A raw file with a Multiboot header with addresses: 0x400 bytes, the header at 0x40. */
#define RAW_MB	 0x40
#define RAW_SIZE 0x400
#define RAW_LOAD 0x300000u
struct image_file image_raw(void);

/* A bzImage of protocol 2.15, 64-bit: one setup sector and 0x1000 bytes of code. */
#define BZ_SETUP     1024
#define BZ_CODE	     0x1000
#define BZ_PREF	     0x400000u
#define BZ_INIT_SIZE 0x180000u
#define BZ_CMDLINE   100
#define BZ_VERSION   "6.1.0-test"
struct image_file image_bzimage(void);

/* A file of @size bytes without a header. */
struct image_file image_flat(u64 size);

/** image_vm_file() - how a VM's configuration names it. */
struct vm_file image_vm_file(const struct image_file *f, const char *name, const char *cmdline);

#endif

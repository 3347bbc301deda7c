/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * images.c: small kernel files, built by hand, for the tests and the fuzzer of the loaders.
 */
#include <stdlib.h>
#include <string.h>
#include "images.h"

#define MULTIBOOT_MAGIC 0x1badb002u

struct image_file image_flat(u64 size)
{
	struct image_file f = {.data = malloc(size), .size = size};

	for (u64 i = 0; i < size; i++)
		f.data[i] = IMAGE_BYTE(i);
	return f;
}

void image_poke(struct image_file *f, u64 offset, unsigned width, u64 value)
{
	for (unsigned i = 0; i < width; i++)
		f->data[offset + i] = value >> 8 * i;
}

void image_cut(struct image_file *f, u64 size)
{
	u8 *shorter = malloc(size ? size : 1);

	memcpy(shorter, f->data, size);
	free(f->data);
	f->data = shorter;
	f->size = size;
}

void image_free(struct image_file *f)
{
	free(f->data);
	f->data = NULL;
}

/* Words of one width, one after another. */
static void poke_list(struct image_file *f, u64 offset, unsigned width, const u64 *values,
		      unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		image_poke(f, offset + i * width, width, values[i]);
}

#define POKE_LIST(f, offset, width, ...)                        \
	poke_list(f, offset, width, (const u64[]){__VA_ARGS__}, \
		  sizeof((const u64[]){__VA_ARGS__}) / sizeof(u64))

static void put_multiboot(struct image_file *f, u64 offset, u32 flags)
{
	POKE_LIST(f, offset, 4, MULTIBOOT_MAGIC, flags, -(MULTIBOOT_MAGIC + flags));
}

struct image_file image_elf32(void)
{
	struct image_file f = image_flat(ELF_SIZE);

	memset(f.data, 0, ELF32_PH(3));
	memcpy(f.data,
	       "\x7f"
	       "ELF\1\1\1",
	       7);
	POKE_LIST(&f, 16, 2, 2, 3);			 /* ET_EXEC, EM_386 */
	POKE_LIST(&f, 20, 4, 1, ELF_ENTRY, ELF32_PH(0)); /* version, entry, phoff */
	POKE_LIST(&f, 40, 2, 52, 32, 3);		 /* ehsize, phentsize, phnum */
	POKE_LIST(&f, ELF32_PH(0), 4, 4, 0xfffffff0u, 0, 0, 0x1000, 0x10); /* a note, elsewhere */
	POKE_LIST(&f, ELF32_PH(1), 4, 1, ELF_TEXT_AT, ELF_TEXT, ELF_TEXT, ELF_TEXT_SIZE,
		  ELF_TEXT_SIZE);
	POKE_LIST(&f, ELF32_PH(2), 4, 1, ELF_DATA_AT, ELF_DATA, ELF_DATA, ELF_DATA_SIZE,
		  ELF_DATA_SIZE + ELF_BSS_SIZE);
	put_multiboot(&f, ELF32_MB, 3);
	return f;
}

struct image_file image_elf64(void)
{
	struct image_file f = image_flat(ELF_SIZE);

	memset(f.data, 0, ELF64_PH(3));
	memcpy(f.data,
	       "\x7f"
	       "ELF\2\1\1",
	       7);
	POKE_LIST(&f, 16, 2, 2, 62);
	POKE_LIST(&f, 20, 4, 1);
	POKE_LIST(&f, 24, 8, ELF_ENTRY, ELF64_PH(0));
	POKE_LIST(&f, 52, 2, 64, 56, 3);
	POKE_LIST(&f, ELF64_PH(0), 8, 4, 1ull << 60, 0, 0, 0x1000, 0x10);
	POKE_LIST(&f, ELF64_PH(1), 8, 1, ELF_TEXT_AT, ELF_TEXT, ELF_TEXT, ELF_TEXT_SIZE,
		  ELF_TEXT_SIZE);
	POKE_LIST(&f, ELF64_PH(2), 8, 1, ELF_DATA_AT, ELF_DATA, ELF_DATA, ELF_DATA_SIZE,
		  ELF_DATA_SIZE + ELF_BSS_SIZE);
	put_multiboot(&f, ELF64_MB, 3);
	return f;
}

struct image_file image_raw(void)
{
	struct image_file f = image_flat(RAW_SIZE);

	put_multiboot(&f, RAW_MB, 1u << 16);
	/* header_addr, load_addr, load_end_addr, bss_end_addr, entry_addr */
	POKE_LIST(&f, RAW_MB + 12, 4, RAW_LOAD + RAW_MB, RAW_LOAD, 0, 0, RAW_LOAD + 0x80);
	return f;
}

struct image_file image_bzimage(void)
{
	struct image_file f = image_flat(BZ_SETUP + BZ_CODE);

	memset(f.data + 0x1f1, 0, 0x26c - 0x1f1);
	image_poke(&f, 0x1f1, 1, 1);		/* setup_sects */
	image_poke(&f, 0x1f4, 4, BZ_CODE / 16); /* syssize */
	image_poke(&f, 0x1fe, 2, 0xaa55);
	image_poke(&f, 0x200, 2, 0x6aeb); /* jump over the header, to 0x26c */
	memcpy(f.data + 0x202, "HdrS", 4);
	image_poke(&f, 0x206, 2, 0x20f);
	image_poke(&f, 0x20e, 2, 0x300 - 0x200); /* kernel_version */
	strcpy((char *)f.data + 0x300, BZ_VERSION " (somebody) #1");
	image_poke(&f, 0x211, 1, 1); /* LOADED_HIGH */
	image_poke(&f, 0x214, 4, 0x100000);
	image_poke(&f, 0x22c, 4, 0x7fffffff);
	image_poke(&f, 0x230, 4, 0x200000);
	image_poke(&f, 0x234, 1, 1); /* relocatable_kernel */
	image_poke(&f, 0x236, 2, 1); /* XLF_KERNEL_64 */
	image_poke(&f, 0x238, 4, BZ_CMDLINE);
	image_poke(&f, 0x258, 8, BZ_PREF);
	image_poke(&f, 0x260, 4, BZ_INIT_SIZE);
	return f;
}

struct vm_file image_vm_file(const struct image_file *f, const char *name, const char *cmdline)
{
	return (struct vm_file){
		.name = name,
		.data = f->data,
		.size = f->size,
		.cmdline = cmdline,
	};
}

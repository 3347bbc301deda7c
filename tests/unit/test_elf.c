/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_elf.c: tests of what the ELF part of the Multiboot loader refuses; test_multiboot.c has what
 * it loads.
 */
#include <string.h>
#include "lib/errno.h"
#include "loading.h"
#include "suite.h"

#define RAM (4 * MIB)

static const struct flaw elf32_flaws[] = {
	{0, 1, 0, -ENOEXEC, "not ELF"},
	{4, 1, 3, -ENOEXEC, "ELF class 3"},
	{5, 1, 2, -ENOEXEC, "ELF data encoding 2"},
	{16, 2, 3, -ENOEXEC, "ELF type 3"},
	{18, 2, 40, -ENOEXEC, "ELF machine 40, x86 in this class is 3"},
	{24, 4, ELF_TEXT - 1, -ENOEXEC, "entry point 0x1fffff is in none of the 2 segments"},
	{24, 4, ELF_TEXT + ELF_TEXT_SIZE, -ENOEXEC, "entry point 0x200100"},
	{28, 4, ELF_SIZE - 95, -ENOEXEC, "3 program headers at offset 465"},
	{28, 4, 0xffffffff, -ENOEXEC, "3 program headers at offset 4294967295"},
	{42, 2, 33, -ENOEXEC, "program headers of 33 bytes, should be 32"},
	{44, 2, 0, -ENOEXEC, "none of the 0 segments"},
	{44, 2, 0xffff, -ENOEXEC, "65535 program headers"},
	{ELF32_PH(1) + 16, 4, ELF_TEXT_SIZE + 1, -ENOEXEC, "0x101 bytes in the file, 0x100 in"},
	{ELF32_PH(2) + 4, 4, ELF_DATA_AT + 1, -ENOEXEC, "segment 2 is 0x30 bytes at offset 0x201"},
	{ELF32_PH(2) + 4, 4, 0xfffffff0, -ENOEXEC, "at offset 0xfffffff0"},
	{ELF32_PH(2) + 12, 4, 0xfffff000, -ENOEXEC, "segment 2, 0x1080 bytes at 0xfffff000, is"},
	{ELF32_PH(2) + 12, 4, RAM - 0x107f, -ENOMEM, "no RAM for a segment at 0x3fef81"},
	{ELF32_PH(2) + 12, 4, ELF_TEXT + ELF_TEXT_SIZE - 1, -ENOEXEC, "overlaps the segment"},
	{ELF32_PH(2) + 12, 4, ELF_TEXT - ELF_BSS_SIZE, -ENOEXEC, "overlaps the segment"},
	{ELF32_PH(2) + 12, 4, RAM - 0x1080, -ENOMEM, "no RAM for Multiboot information"},
	{ELF_SIZE - 1, 0, 0, -ENOEXEC, "cut short: 559 bytes, segment 2"},
};

START_TEST(elf32_flaws_are_refused)
{
	assert_flaw_refused(image_elf32(), RAM, "multiboot", &elf32_flaws[_i]);
}
END_TEST

static const struct flaw elf64_flaws[] = {
	{18, 2, 3, -ENOEXEC, "ELF machine 3, x86 in this class is 62"},
	{32, 8, UINT64_MAX - 8, -ENOEXEC, "3 program headers at offset 18446744073709551607"},
	{54, 2, 32, -ENOEXEC, "program headers of 32 bytes, should be 56"},
	{ELF64_PH(2) + 8, 8, UINT64_MAX, -ENOEXEC, "at offset 0xffffffffffffffff"},
	{ELF64_PH(2) + 24, 8, UINT64_MAX, -ENOEXEC, "at 0xffffffffffffffff, is above 4 GiB"},
	{ELF64_PH(2) + 32, 8, UINT64_MAX, -ENOEXEC, "0xffffffffffffffff bytes in the file"},
	{ELF64_PH(2) + 40, 8, UINT64_MAX, -ENOEXEC, "0xffffffffffffffff bytes at 0x201000"},
};

START_TEST(elf64_flaws_are_refused)
{
	assert_flaw_refused(image_elf64(), RAM, "multiboot", &elf64_flaws[_i]);
}
END_TEST

/* A class byte that makes the ELF header longer than the file. */
START_TEST(elf64_header_is_cut_short)
{
	struct image_file file = image_flat(60);
	struct flaw flaw = {4, 1, 2, -ENOEXEC, "60 bytes, the ELF header alone has 64"};

	memcpy(file.data,
	       "\x7f"
	       "ELF\2\1",
	       6);
	image_poke(&file, 20, 4, 0x1badb002);
	image_poke(&file, 24, 8, 0xe4524ffe00000000);
	assert_flaw_refused(file, RAM, "multiboot", &flaw);
}
END_TEST

/* Seventeen segments of one byte each. */
START_TEST(elf_segments_have_a_limit)
{
	struct image_file file = image_flat(0x1000);
	struct image_file model = image_elf32();
	struct flaw flaw = {44, 2, 17, -ENOEXEC, "more than 16 segments"};

	memcpy(file.data, model.data, ELF_SIZE);
	image_poke(&file, 28, 4, 0x800);
	for (unsigned i = 0; i < 17; i++) {
		memset(file.data + 0x800 + i * 32, 0, 32);
		image_poke(&file, 0x800 + i * 32, 4, 1);
		image_poke(&file, 0x800 + i * 32 + 12, 4, ELF_TEXT + i);
		image_poke(&file, 0x800 + i * 32 + 20, 4, 1);
	}
	image_free(&model);
	assert_flaw_refused(file, RAM, "multiboot", &flaw);
}
END_TEST

static Suite *elf_suite(void)
{
	Suite *suite = suite_create("elf");
	TCase *elf = tcase_create("refusals");

	tcase_add_loop_test(elf, elf32_flaws_are_refused, 0, ARRAY_SIZE(elf32_flaws));
	tcase_add_loop_test(elf, elf64_flaws_are_refused, 0, ARRAY_SIZE(elf64_flaws));
	tcase_add_test(elf, elf64_header_is_cut_short);
	tcase_add_test(elf, elf_segments_have_a_limit);
	suite_add_tcase(suite, elf);
	return suite;
}
SET_ADD(suites, suite_fn, elf_suite);

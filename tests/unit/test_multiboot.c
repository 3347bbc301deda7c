/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_multiboot.c: tests of the Multiboot loader, with ELF files and raw ones.
 */
#include <string.h>
#include "host/multiboot.h"
#include "lib/errno.h"
#include "loading.h"
#include "suite.h"

#define RAM	      (4 * MIB)
#define ATTRIB_CODE32 0xc9b

static struct multiboot_info *info_of(struct loading *l)
{
	return (struct multiboot_info *)fake_ram(&l->m, vcpu_gpr(&l->m.vcpu, GPR_RBX));
}

static const char *string_at(struct loading *l, u32 gpa)
{
	return (const char *)fake_ram(&l->m, gpa);
}

/* §3.2, and that nothing of what we put behind the kernel is before @end. */
static void assert_started(struct loading *l, u64 entry, u64 end)
{
	u64 info = vcpu_gpr(&l->m.vcpu, GPR_RBX), gdt = l->m.cpu.gdt.base;

	assert_registers(l, (const u64[GPR_COUNT]){
				    [GPR_RAX] = 0x2badb002, [GPR_RBX] = info, [GPR_RSP] = RAM});
	assert_flat_segments(l, ATTRIB_CODE32, gdt);
	ck_assert_uint_eq(l->m.cpu.regs[VREG_RIP], entry);
	ck_assert_uint_eq(l->m.cpu.regs[VREG_CR0], 0x31);
	ck_assert_uint_ge(info, end);
	ck_assert_uint_ge(gdt, end);
	ck_assert_uint_eq(info % 8, 0);
	ck_assert_uint_eq(gdt % 8, 0);
}

static void assert_elf_loaded(struct loading *l)
{
	assert_bytes(l, ELF_TEXT, ELF_TEXT_AT, ELF_TEXT_SIZE);
	assert_bytes(l, ELF_DATA, ELF_DATA_AT, ELF_DATA_SIZE);
	assert_zero(l, ELF_DATA + ELF_DATA_SIZE, ELF_END);
	ck_assert(fake_ram_untouched(&l->m, 0, ELF_TEXT));
	ck_assert(fake_ram_untouched(&l->m, ELF_TEXT + ELF_TEXT_SIZE, ELF_DATA));
	ck_assert(fake_ram_untouched(&l->m, ELF_END, vcpu_gpr(&l->m.vcpu, GPR_RBX)));
	ck_assert(fake_ram_untouched(&l->m, ELF_END + PAGE_SIZE, RAM));
}

/* ---- kernels ------------------------------------------------------------------------------- */

START_TEST(elf32_is_loaded)
{
	struct loading l;

	loading_begin(&l, image_elf32(), RAM);
	ck_assert(probe(&l, "multiboot"));
	ck_assert(!probe(&l, "linux"));
	ck_assert_int_eq(load(&l, "multiboot"), 0);
	assert_elf_loaded(&l);
	assert_started(&l, ELF_ENTRY, ELF_END);
	loading_end(&l);
}
END_TEST

START_TEST(elf64_is_loaded)
{
	struct loading l;

	loading_begin(&l, image_elf64(), RAM);
	ck_assert_int_eq(load(&l, "multiboot"), 0);
	assert_elf_loaded(&l);
	assert_started(&l, ELF_ENTRY, ELF_END);
	loading_end(&l);
}
END_TEST

/* Linked to run at 0xffffffff80200000, loaded at 2 MiB. */
START_TEST(elf64_entry_is_translated)
{
	struct loading l;
	struct image_file file = image_elf64();

	image_poke(&file, 24, 8, 0xffffffff80200020);
	image_poke(&file, ELF64_PH(1) + 16, 8, 0xffffffff80200000);
	image_poke(&file, ELF64_PH(2) + 16, 8, 0xffffffff80201000);
	loading_begin(&l, file, RAM);
	ck_assert_int_eq(load(&l, "multiboot"), 0);
	assert_elf_loaded(&l);
	assert_started(&l, ELF_TEXT + 0x20, ELF_END);
	loading_end(&l);
}
END_TEST

START_TEST(raw_file_is_loaded_whole)
{
	struct loading l;

	loading_begin(&l, image_raw(), RAM);
	ck_assert(probe(&l, "multiboot"));
	ck_assert_int_eq(load(&l, "multiboot"), 0);
	assert_bytes(&l, RAW_LOAD, 0, RAW_SIZE);
	ck_assert(fake_ram_untouched(&l.m, 0, RAW_LOAD));
	assert_started(&l, RAW_LOAD + 0x80, RAW_LOAD + RAW_SIZE);
	loading_end(&l);
}
END_TEST

/* Loading begins behind the file's first 0x10 bytes, ends before its last ones, and has a bss. */
START_TEST(raw_file_is_loaded_in_part)
{
	struct loading l;
	struct image_file file = image_raw();

	image_poke(&file, RAW_MB + 12, 4, RAW_LOAD + RAW_MB - 0x10);
	image_poke(&file, RAW_MB + 20, 4, RAW_LOAD + 0x300);
	image_poke(&file, RAW_MB + 24, 4, RAW_LOAD + 0x2345);
	loading_begin(&l, file, RAM);
	ck_assert_int_eq(load(&l, "multiboot"), 0);
	assert_bytes(&l, RAW_LOAD, 0x10, 0x300);
	assert_zero(&l, RAW_LOAD + 0x300, RAW_LOAD + 0x2345);
	ck_assert(fake_ram_untouched(&l.m, RAW_LOAD + 0x2345, vcpu_gpr(&l.m.vcpu, GPR_RBX)));
	assert_started(&l, RAW_LOAD + 0x80, RAW_LOAD + 0x2345);
	loading_end(&l);
}
END_TEST

START_TEST(header_may_end_at_8192)
{
	struct loading l;
	struct image_file file = image_raw(), big = image_flat(0x3000);

	memcpy(big.data + 8192 - 32, file.data + RAW_MB, 32);
	image_poke(&big, 8192 - 32 + 12, 4, RAW_LOAD + 8192 - 32);
	image_free(&file);
	loading_begin(&l, big, RAM);
	ck_assert(probe(&l, "multiboot"));
	ck_assert_int_eq(load(&l, "multiboot"), 0);
	assert_bytes(&l, RAW_LOAD, 0, 0x3000);
	memmove(big.data + 8192 - 28, big.data + 8192 - 32, 32);
	assert_refused(&l, "multiboot", -ENOEXEC, KERNEL_NAME, "cut short");
	memmove(big.data + 8192 - 8, big.data + 8192 - 28, 32);
	memset(big.data + 8192 - 32, 0, 24);
	ck_assert(!probe(&l, "multiboot"));
	loading_end(&l);
}
END_TEST

/* A magic number that is part of the code must not hide the header behind it. */
START_TEST(false_magic_is_passed_over)
{
	struct loading l;
	struct image_file file = image_raw();

	image_poke(&file, 0x20, 4, 0x1badb002);
	loading_begin(&l, file, RAM);
	ck_assert_int_eq(load(&l, "multiboot"), 0);
	assert_started(&l, RAW_LOAD + 0x80, RAW_LOAD + RAW_SIZE);
	image_poke(&file, RAW_MB + 8, 4, 0);
	assert_refused(&l, "multiboot", -ENOEXEC, KERNEL_NAME, "header at 0x20: magic");
	loading_end(&l);
}
END_TEST

/* A header at the very beginning, and one more: the first is meant. */
START_TEST(first_header_is_taken)
{
	struct loading l;
	struct image_file file = image_raw();

	memcpy(file.data, file.data + RAW_MB, 32);
	image_poke(&file, 12, 4, RAW_LOAD);
	image_poke(&file, 28, 4, RAW_LOAD + 0x90);
	loading_begin(&l, file, RAM);
	ck_assert(probe(&l, "multiboot"));
	ck_assert_int_eq(load(&l, "multiboot"), 0);
	assert_started(&l, RAW_LOAD + 0x90, RAW_LOAD + RAW_SIZE);
	loading_end(&l);
}
END_TEST

/* Stages 1 and 2: a VM has no memory but the machine's own, from 32 MiB. */
START_TEST(memory_may_start_high)
{
	struct loading l = {.file = image_raw()};

	for (unsigned i = 12; i <= 28; i += 4) {
		if (get32(l.file.data + RAW_MB + i))
			image_poke(&l.file, RAW_MB + i, 4,
				   get32(l.file.data + RAW_MB + i) - RAW_LOAD + 32 * MIB);
	}
	fake_machine_init(&l.m);
	fake_add_ram(&l.m, 32 * MIB, RAM);
	l.m.config.kernel = image_vm_file(&l.file, KERNEL_NAME, "");
	ck_assert_int_eq(load(&l, "multiboot"), 0);
	assert_bytes(&l, 32 * MIB, 0, RAW_SIZE);
	ck_assert_uint_eq(vcpu_gpr(&l.m.vcpu, GPR_RSP), 32 * MIB + RAM);
	ck_assert_uint_eq(info_of(&l)->mem_lower, 0);
	ck_assert_uint_eq(info_of(&l)->mem_upper, 0);
	ck_assert_uint_eq(info_of(&l)->mmap_length, 24);
	loading_end(&l);
}
END_TEST

/* ---- what the kernel is told --------------------------------------------------------------- */

START_TEST(information_is_complete)
{
	struct loading l;
	const struct multiboot_info *info;
	const struct multiboot_memory *map;

	loading_begin(&l, image_elf32(), RAM);
	fake_add_ram(&l.m, 4 * GIB, MIB);
	l.m.config.kernel.cmdline = "quiet seed=1";
	ck_assert_int_eq(load(&l, "multiboot"), 0);
	info = info_of(&l);
	ck_assert_uint_eq(info->flags, 0x24d); /* memory, command line, modules, map, name */
	ck_assert_uint_eq(info->mem_lower, 639);
	ck_assert_uint_eq(info->mem_upper, (RAM - MIB) / 1024);
	ck_assert_str_eq(string_at(&l, info->cmdline), KERNEL_NAME " quiet seed=1");
	ck_assert_str_eq(string_at(&l, info->boot_loader_name), "Casita");
	ck_assert_uint_eq(info->mods_count, 0);
	ck_assert_uint_eq(info->mmap_length, 4 * 24);
	map = (const void *)fake_ram(&l.m, info->mmap_addr);
	for (unsigned i = 0; i < 4; i++)
		ck_assert_uint_eq(map[i].size, 20);
	ck_assert(map[0].base == 0 && map[0].length == 0x9fc00 && map[0].type == 1);
	ck_assert(map[1].base == 0x9fc00 && map[1].length == 0x60400 && map[1].type == 2);
	ck_assert(map[2].base == MIB && map[2].length == RAM - MIB && map[2].type == 1);
	ck_assert(map[3].base == 4 * GIB && map[3].length == MIB && map[3].type == 1);
	loading_end(&l);
}
END_TEST

/*
 * An initrd and two modules: in that order, on pages of their own, none on another nor on the
 * information, which a long command line makes longer than a page.
 */
START_TEST(modules_follow_the_kernel)
{
	static const u64 sizes[] = {PAGE_SIZE + 1, 0, 17};
	static const char *const strings[] = {"first.img", "empty a b", "last x=1"};
	char cmdline[PAGE_SIZE] = {};
	struct image_file files[3];
	const struct multiboot_module *mods;
	struct loading l;
	u64 end;

	loading_begin(&l, image_elf32(), RAM);
	for (unsigned i = 0; i < 3; i++)
		files[i] = image_flat(sizes[i]);
	memset(cmdline, 'x', sizeof(cmdline) - 1);
	l.m.config.kernel.cmdline = cmdline;
	l.m.config.initrd = image_vm_file(&files[0], "first.img", "");
	l.m.config.modules[0] = image_vm_file(&files[1], "empty", "a b");
	l.m.config.modules[1] = image_vm_file(&files[2], "last", "x=1");
	l.m.config.module_count = 2;
	ck_assert_int_eq(load(&l, "multiboot"), 0);
	assert_bytes(&l, ELF_TEXT, ELF_TEXT_AT, ELF_TEXT_SIZE);
	ck_assert_uint_eq(info_of(&l)->mods_count, 3);
	mods = (const void *)fake_ram(&l.m, info_of(&l)->mods_addr);
	end = info_of(&l)->boot_loader_name + sizeof("Casita");
	for (unsigned i = 0; i < 3; i++) {
		ck_assert_uint_eq(mods[i].start % PAGE_SIZE, 0);
		ck_assert_uint_ge(mods[i].start, end);
		ck_assert_uint_eq(mods[i].end - mods[i].start, sizes[i]);
		ck_assert(!memcmp(fake_ram(&l.m, mods[i].start), files[i].data, sizes[i]));
		ck_assert_str_eq(string_at(&l, mods[i].string), strings[i]);
		end = mods[i].end;
		image_free(&files[i]);
	}
	ck_assert(fake_ram_untouched(&l.m, end, RAM));
	loading_end(&l);
}
END_TEST

/* Below 1 MiB a PC has holes: a kernel may be there, what we add may not. */
START_TEST(information_is_above_1_mib)
{
	struct loading l;
	struct image_file file = image_elf32();

	image_poke(&file, ELF32_PH(1) + 12, 4, 0x10000);
	image_poke(&file, ELF32_PH(2) + 12, 4, 0x9e000);
	loading_begin(&l, file, RAM);
	ck_assert_int_eq(load(&l, "multiboot"), 0);
	assert_started(&l, 0x10010, MIB);
	ck_assert(fake_ram_untouched(&l.m, 0x9e000 + ELF_END - ELF_DATA, MIB));
	loading_end(&l);
}
END_TEST

/* ---- refusals ------------------------------------------------------------------------------ */

static const struct flaw raw_flaws[] = {
	{0, 0, 0, -ENOEXEC, "no Multiboot header in the first 0 bytes"},
	{RAW_MB + 11, 0, 0, -ENOEXEC, "no Multiboot header in the first 75 bytes"},
	{RAW_MB, 4, 0x1badb003, -ENOEXEC, "no Multiboot header in the first 1024 bytes"},
	{RAW_MB + 31, 0, 0, -ENOEXEC, "at 0x40 has addresses (flag 16), but is cut short"},
	{RAW_MB + 8, 4, 0, -ENOEXEC, "at 0x40: magic, flags and checksum add up to 0x1baeb002"},
	{RAW_MB + 4, 8, 0xe4524ff600000008, -ENOEXEC, "asks for flag 3"},
	{RAW_MB + 4, 8, 0xe451cffe00008000, -ENOEXEC, "asks for flag 15"},
	{RAW_MB + 4, 8, 0xe4524ffe00000000, -ENOEXEC, "gives no addresses (flag 16)"},
	{RAW_MB + 12, 4, RAW_LOAD - 1, -ENOEXEC, "header_addr 0x2fffff and load_addr 0x300000"},
	{RAW_MB + 12, 4, RAW_LOAD + RAW_MB + 1, -ENOEXEC, "do not fit a header at 0x40"},
	{RAW_MB + 20, 4, RAW_LOAD - 1, -ENOEXEC, "load_end_addr 0x2fffff"},
	{RAW_MB + 20, 4, RAW_LOAD + RAW_SIZE + 1, -ENOEXEC, "but the file has 0x400 bytes"},
	{RAW_MB + 24, 4, RAW_LOAD + RAW_SIZE - 1, -ENOEXEC, "bss_end_addr 0x3003ff is before"},
	{RAW_MB + 24, 4, RAM + 1, -ENOMEM, "no RAM for the kernel at 0x300000, 0x100001 bytes"},
	{RAW_MB + 28, 4, RAW_LOAD - 1, -ENOEXEC, "entry_addr 0x2fffff is not in 0x300000-0x300400"},
	{RAW_MB + 28, 4, RAW_LOAD + RAW_SIZE, -ENOEXEC, "entry_addr 0x300400"},
};

START_TEST(raw_flaws_are_refused)
{
	assert_flaw_refused(image_raw(), RAM, "multiboot", &raw_flaws[_i]);
}
END_TEST

START_TEST(module_without_room_is_refused)
{
	struct image_file module = image_flat(2 * MIB);
	struct loading l;

	loading_begin(&l, image_elf32(), RAM);
	l.m.config.modules[0] = image_vm_file(&module, "big.img", "");
	l.m.config.module_count = 1;
	assert_refused(&l, "multiboot", -ENOMEM, "big.img", "no RAM for the module");
	loading_end(&l);
	image_free(&module);
}
END_TEST

static Suite *multiboot_suite(void)
{
	Suite *suite = suite_create("multiboot");
	TCase *good = tcase_create("kernels"), *info = tcase_create("information");
	TCase *bad = tcase_create("refusals");

	tcase_add_test(good, elf32_is_loaded);
	tcase_add_test(good, elf64_is_loaded);
	tcase_add_test(good, elf64_entry_is_translated);
	tcase_add_test(good, raw_file_is_loaded_whole);
	tcase_add_test(good, raw_file_is_loaded_in_part);
	tcase_add_test(good, header_may_end_at_8192);
	tcase_add_test(good, false_magic_is_passed_over);
	tcase_add_test(good, first_header_is_taken);
	tcase_add_test(good, memory_may_start_high);
	suite_add_tcase(suite, good);
	tcase_add_test(info, information_is_complete);
	tcase_add_test(info, modules_follow_the_kernel);
	tcase_add_test(info, information_is_above_1_mib);
	suite_add_tcase(suite, info);
	tcase_add_loop_test(bad, raw_flaws_are_refused, 0, ARRAY_SIZE(raw_flaws));
	tcase_add_test(bad, module_without_room_is_refused);
	suite_add_tcase(suite, bad);
	return suite;
}
SET_ADD(suites, suite_fn, multiboot_suite);

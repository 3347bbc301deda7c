/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_linux.c: tests of the Linux loader. Numbers like 0x228 are the offsets of boot.rst, in the
 * file and in the zero page alike.
 */
#include <string.h>
#include "lib/errno.h"
#include "lib/print.h"
#include "loading.h"
#include "suite.h"

#define RAM	      (8 * MIB)
#define PARAMS	      0x8000
#define CMDLINE	      0x9000
#define ATTRIB_CODE32 0xc9b
#define ATTRIB_CODE64 0xa9b

static char printed[200];

static void keep_print(const char *text, size_t n)
{
	strncat(printed, text, n);
}

static void begin(struct loading *l, struct image_file file)
{
	loading_begin(l, file, RAM);
	printed[0] = 0;
	print_sink = keep_print;
}

static u32 param32(struct loading *l, u64 offset)
{
	return get32(fake_ram(&l->m, PARAMS + offset));
}

static void assert_started(struct loading *l, u64 entry, u16 code_attrib, u64 cr0)
{
	assert_registers(l, (const u64[GPR_COUNT]){[GPR_RSI] = PARAMS, [GPR_RSP] = 0x7c00});
	assert_flat_segments(l, code_attrib, 0x7000);
	ck_assert_uint_eq(l->m.cpu.regs[VREG_RIP], entry);
	ck_assert_uint_eq(l->m.cpu.regs[VREG_CR0], cr0);
}

/* ---- good kernels -------------------------------------------------------------------------- */

START_TEST(kernel_starts_in_long_mode)
{
	struct loading l;

	begin(&l, image_bzimage());
	ck_assert(probe(&l, "linux"));
	ck_assert(!probe(&l, "multiboot"));
	ck_assert_int_eq(load(&l, "linux"), 0);
	assert_started(&l, BZ_PREF + 0x200, ATTRIB_CODE64, 0x80000031);
	ck_assert_uint_eq(l.m.cpu.regs[VREG_CR3], 0x1000);
	ck_assert_uint_eq(l.m.cpu.regs[VREG_CR4], 0x20);
	ck_assert_uint_eq(l.m.cpu.regs[VREG_EFER], 0x500);
	assert_bytes(&l, BZ_PREF, BZ_SETUP, BZ_CODE);
	ck_assert(fake_ram_untouched(&l.m, 0, 0x1000));
	ck_assert(fake_ram_untouched(&l.m, 0x7020, PARAMS));
	ck_assert(fake_ram_untouched(&l.m, CMDLINE + 1, BZ_PREF));
	ck_assert(fake_ram_untouched(&l.m, BZ_PREF + BZ_CODE, RAM));
	ck_assert_str_eq(printed, "testvm: Linux " BZ_VERSION "\n");
	loading_end(&l);
}
END_TEST

/* All of the zero page: the header as in the file but for what loaders write; the map; zeroes. */
START_TEST(zero_page_is_as_the_protocol_wants_it)
{
	u8 expected[4096] = {};
	struct image_file params = {expected, sizeof(expected)};
	struct loading l;

	begin(&l, image_bzimage());
	l.m.config.kernel.cmdline = "console=ttyS0 quiet";
	ck_assert_int_eq(load(&l, "linux"), 0);
	memcpy(expected + 0x1f1, l.file.data + 0x1f1, 0x26c - 0x1f1);
	image_poke(&params, 0x210, 1, 0xff);
	image_poke(&params, 0x214, 4, BZ_PREF);
	image_poke(&params, 0x228, 4, CMDLINE);
	image_poke(&params, 0x1e8, 1, 3);
	image_poke(&params, 0x2d0, 8, 0);
	image_poke(&params, 0x2d8, 8, 0x9fc00);
	image_poke(&params, 0x2e0, 4, 1);
	image_poke(&params, 0x2e4, 8, 0x9fc00);
	image_poke(&params, 0x2ec, 8, 0x60400);
	image_poke(&params, 0x2f4, 4, 2);
	image_poke(&params, 0x2f8, 8, MIB);
	image_poke(&params, 0x300, 8, RAM - MIB);
	image_poke(&params, 0x308, 4, 1);
	for (unsigned i = 0; i < sizeof(expected); i++)
		ck_assert_msg(*fake_ram(&l.m, PARAMS + i) == expected[i],
			      "boot_params 0x%x is 0x%x, not 0x%x", i, *fake_ram(&l.m, PARAMS + i),
			      expected[i]);
	ck_assert_str_eq((char *)fake_ram(&l.m, CMDLINE), "console=ttyS0 quiet");
	loading_end(&l);
}
END_TEST

/* Without XLF_KERNEL_64; and in 2.11, which has no xloadflags, whatever stands at their place. */
START_TEST(kernel32_starts_in_protected_mode)
{
	static const struct {
		u64 offset, value;
	} cases[] = {{0x236, 0xfffe}, {0x206, 0x20b}};
	struct loading l;
	struct image_file file = image_bzimage();

	image_poke(&file, cases[_i].offset, 2, cases[_i].value);
	begin(&l, file);
	ck_assert_int_eq(load(&l, "linux"), 0);
	assert_started(&l, BZ_PREF, ATTRIB_CODE32, 0x31);
	assert_bytes(&l, BZ_PREF, BZ_SETUP, BZ_CODE);
	loading_end(&l);
}
END_TEST

/* 2.06: no pref_address, no init_size; what is at their places is not theirs. */
START_TEST(old_kernel_is_loaded_at_1_mib)
{
	struct loading l;
	struct image_file file = image_bzimage();

	image_poke(&file, 0x206, 2, 0x206);
	image_poke(&file, 0x234, 1, 0);
	image_poke(&file, 0x201, 1, 0x23c - 0x202);
	image_poke(&file, 0x258, 8, UINT64_MAX);
	begin(&l, file);
	ck_assert_int_eq(load(&l, "linux"), 0);
	assert_started(&l, MIB, ATTRIB_CODE32, 0x31);
	assert_bytes(&l, MIB, BZ_SETUP, BZ_CODE);
	assert_zero(&l, PARAMS + 0x23c, PARAMS + 0x2d0);
	loading_end(&l);
}
END_TEST

START_TEST(load_address_is_aligned_up)
{
	struct loading l;
	struct image_file file = image_bzimage();

	image_poke(&file, 0x258, 8, BZ_PREF + 1);
	begin(&l, file);
	ck_assert_int_eq(load(&l, "linux"), 0);
	assert_started(&l, BZ_PREF + 0x200000 + 0x200, ATTRIB_CODE64, 0x80000031);
	ck_assert_uint_eq(param32(&l, 0x214), BZ_PREF + 0x200000);
	loading_end(&l);
}
END_TEST

/* It goes to code32_start and moves itself to pref_address; the initrd keeps off both. */
START_TEST(kernel_that_is_not_relocatable)
{
	struct loading l;
	struct image_file file = image_bzimage(), initrd = image_flat(100);

	image_poke(&file, 0x234, 1, 0);
	image_poke(&file, 0x260, 4, RAM - BZ_PREF - PAGE_SIZE);
	begin(&l, file);
	l.m.config.initrd = image_vm_file(&initrd, "initrd.img", "");
	ck_assert_int_eq(load(&l, "linux"), 0);
	assert_started(&l, MIB + 0x200, ATTRIB_CODE64, 0x80000031);
	ck_assert_uint_eq(param32(&l, 0x218), RAM - PAGE_SIZE);
	l.m.config.initrd.size = PAGE_SIZE + 1;
	assert_refused(&l, "linux", -ENOMEM, "initrd.img", "do not fit between 0x7ff000");
	loading_end(&l);
	image_free(&initrd);
}
END_TEST

START_TEST(setup_sects_0_means_4)
{
	struct loading l;
	struct image_file model = image_bzimage(), file = image_flat(5 * 512 + BZ_CODE);

	memcpy(file.data, model.data, 0x400);
	image_free(&model);
	image_poke(&file, 0x1f1, 1, 0);
	begin(&l, file);
	ck_assert_int_eq(load(&l, "linux"), 0);
	assert_bytes(&l, BZ_PREF, 5 * 512, BZ_CODE);
	image_poke(&file, 0x1f4, 4, BZ_CODE / 16 + 1);
	assert_refused(&l, "linux", -ENOEXEC, KERNEL_NAME, "setup_sects 4 and syssize 0x101");
	loading_end(&l);
}
END_TEST

/* A version string that does not end before the setup part does, or is too long, or not there. */
START_TEST(version_is_only_text_of_the_setup_part)
{
	static const struct {
		u16 at;
		const char *printed;
	} cases[] = {
		{BZ_SETUP - 3, "testvm: Linux vvv\n"},
		{BZ_SETUP, "testvm: Linux \n"},
		{0xffff, "testvm: Linux \n"},
		{0x200, ""},
	};
	struct loading l;

	begin(&l, image_bzimage());
	memset(l.file.data + 0x300, 'v', l.file.size - 0x300);
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		printed[0] = 0;
		image_poke(&l.file, 0x20e, 2, cases[i].at - 0x200);
		ck_assert_int_eq(load(&l, "linux"), 0);
		ck_assert_str_eq(printed, cases[i].printed);
	}
	image_poke(&l.file, 0x20e, 2, 0x100);
	ck_assert_int_eq(load(&l, "linux"), 0);
	ck_assert_uint_eq(strlen(printed), strlen("testvm: Linux \n") + 64);
	loading_end(&l);
}
END_TEST

/* ---- the initrd ---------------------------------------------------------------------------- */

static const struct {
	u64 size;
	u32 addr_max;
	u64 start; /* 0: refused */
} initrds[] = {
	{1, 0x7fffffff, RAM - PAGE_SIZE},
	{PAGE_SIZE, 0x7fffffff, RAM - PAGE_SIZE},
	{PAGE_SIZE + 1, 0x7fffffff, RAM - 2 * PAGE_SIZE},
	{100, 0xffffffff, RAM - PAGE_SIZE},
	{PAGE_SIZE, 0x6fffff, 0x6ff000},
	{PAGE_SIZE, 0x6ffffe, 0x6fe000},
	{RAM - BZ_PREF - BZ_INIT_SIZE, 0x7fffffff, BZ_PREF + BZ_INIT_SIZE},
	{RAM - BZ_PREF - BZ_INIT_SIZE + 1, 0x7fffffff, 0},
	{RAM + 1, 0x7fffffff, 0},
	{PAGE_SIZE, 0x57ffff, 0},
	{1, 0, 0},
};

START_TEST(initrd_is_as_high_as_it_may)
{
	struct loading l;
	struct image_file file = image_bzimage(), initrd = image_flat(initrds[_i].size);
	u64 start = initrds[_i].start;

	image_poke(&file, 0x22c, 4, initrds[_i].addr_max);
	begin(&l, file);
	l.m.config.initrd = image_vm_file(&initrd, "initrd.img", "");
	if (start) {
		ck_assert_int_eq(load(&l, "linux"), 0);
		ck_assert_uint_eq(param32(&l, 0x218), start);
		ck_assert_uint_eq(param32(&l, 0x21c), initrd.size);
		ck_assert(!memcmp(fake_ram(&l.m, start), initrd.data, initrd.size));
		ck_assert(fake_ram_untouched(&l.m, BZ_PREF + BZ_CODE, start));
	} else {
		assert_refused(&l, "linux", -ENOMEM, "initrd.img", "do not fit between 0x580000");
	}
	loading_end(&l);
	image_free(&initrd);
}
END_TEST

START_TEST(other_files_are_refused)
{
	struct loading l;

	begin(&l, image_bzimage());
	l.m.config.initrd = image_vm_file(&l.file, "initrd.img", "");
	l.m.config.initrd.size = 0;
	assert_refused(&l, "linux", -ENOEXEC, "initrd.img", "empty");
	l.m.config.modules[0] = image_vm_file(&l.file, "extra.bin", "");
	l.m.config.module_count = 1;
	assert_refused(&l, "linux", -EINVAL, "extra.bin", "as=initrd");
	loading_end(&l);
}
END_TEST

/* ---- refusals ------------------------------------------------------------------------------ */

START_TEST(command_line_has_a_limit)
{
	char text[BZ_CMDLINE + 2];
	struct loading l;

	memset(text, 'x', sizeof(text));
	text[BZ_CMDLINE + 1] = 0;
	begin(&l, image_bzimage());
	l.m.config.kernel.cmdline = text;
	assert_refused(&l, "linux", -E2BIG, KERNEL_NAME, "101 characters, this kernel takes 100");
	text[BZ_CMDLINE] = 0;
	ck_assert_int_eq(load(&l, "linux"), 0);
	ck_assert_str_eq((char *)fake_ram(&l.m, CMDLINE), text);
	loading_end(&l);
}
END_TEST

/* A kernel that takes any length: the room that we have is the limit. */
START_TEST(command_line_room_has_a_limit)
{
	static char text[0x7001];
	struct loading l;

	memset(text, 'x', sizeof(text) - 1);
	begin(&l, image_bzimage());
	image_poke(&l.file, 0x238, 4, 0xffffffff);
	l.m.config.kernel.cmdline = text;
	assert_refused(&l, "linux", -E2BIG, KERNEL_NAME,
		       "28672 characters, this kernel takes 28671");
	loading_end(&l);
}
END_TEST

static const struct flaw flaws[] = {
	{1023, 0, 0, -ENOEXEC, "no Linux kernel"},
	{0x1fe, 2, 0xaa54, -ENOEXEC, "no Linux kernel"},
	{0x202, 4, 0x53726449, -ENOEXEC, "no Linux kernel"},
	{0x206, 2, 0x205, -ENOEXEC, "protocol 2.05 is older than 2.06"},
	{0x211, 1, 0, -ENOEXEC, "a zImage (loadflags 0x0)"},
	{0x201, 1, 0x61, -ENOEXEC, "header ends at 0x263, protocol 2.15 has 0x264-0x290"},
	{0x201, 1, 0x8f, -ENOEXEC, "header ends at 0x291"},
	{BZ_SETUP + BZ_CODE - 1, 0, 0, -ENOEXEC,
	 "5119 bytes, setup_sects 1 and syssize 0x100 make"},
	{0x1f4, 4, 0xffffffff, -ENOEXEC, "syssize 0xffffffff make 68719477744"},
	{0x1f1, 1, 0xff, -ENOEXEC, "setup_sects 255"},
	{0x1f4, 4, 0, -ENOEXEC, "syssize 0x0 leaves no room"},
	{0x1f4, 4, 0x20, -ENOEXEC, "syssize 0x20 leaves no room"},
	{0x230, 4, 0, -ENOEXEC, "kernel_alignment 0x0"},
	{0x230, 4, 0x300000, -ENOEXEC, "kernel_alignment 0x300000"},
	{0x230, 4, 0x80000000, -ENOMEM, "no RAM for the kernel to run at 0x80000000"},
	{0x258, 8, MIB - 1, -ENOEXEC, "pref_address 0xfffff: not from 1 MiB"},
	{0x258, 8, 4 * GIB, -ENOEXEC, "pref_address 0x100000000"},
	{0x258, 8, UINT64_MAX, -ENOEXEC, "pref_address 0xffffffffffffffff"},
	{0x258, 8, 4 * GIB - 1, -ENOMEM, "no RAM for the kernel to run at 0x100000000"},
	{0x260, 4, 0xffffffff, -ENOMEM, "at 0x400000, 0xffffffff bytes: VM has 8 MiB"},
	{0x260, 4, RAM - BZ_PREF + 1, -ENOMEM, "at 0x400000, 0x400001 bytes: VM has 8 MiB"},
};

START_TEST(flaws_are_refused)
{
	assert_flaw_refused(image_bzimage(), RAM, "linux", &flaws[_i]);
}
END_TEST

/* Where a kernel that is not relocatable is loaded. */
static const struct flaw code32_flaws[] = {
	{0x214, 4, MIB - 1, -ENOEXEC, "code32_start 0xfffff"},
	{0x214, 4, RAM - BZ_CODE + 1, -ENOMEM, "the kernel at 0x7ff001"},
	{0x214, 4, 2 * RAM, -ENOMEM, "the kernel at 0x1000000"},
};

START_TEST(code32_start_is_checked)
{
	struct image_file file = image_bzimage();

	image_poke(&file, 0x234, 1, 0);
	assert_flaw_refused(file, RAM, "linux", &code32_flaws[_i]);
}
END_TEST

/* RAM only at 32 MiB: the kernel would fit, what the loader needs below 1 MiB does not. */
START_TEST(low_memory_is_needed)
{
	struct loading l = {.file = image_bzimage()};

	image_poke(&l.file, 0x258, 8, 32 * MIB);
	fake_machine_init(&l.m);
	fake_add_ram(&l.m, 32 * MIB, RAM);
	l.m.config.kernel = image_vm_file(&l.file, KERNEL_NAME, "");
	assert_refused(&l, "linux", -ENOMEM, KERNEL_NAME, "boot_params");
	loading_end(&l);
}
END_TEST

static Suite *linux_suite(void)
{
	Suite *suite = suite_create("linux");
	TCase *good = tcase_create("kernels"), *initrd = tcase_create("initrd");
	TCase *bad = tcase_create("refusals");

	tcase_add_test(good, kernel_starts_in_long_mode);
	tcase_add_test(good, zero_page_is_as_the_protocol_wants_it);
	tcase_add_loop_test(good, kernel32_starts_in_protected_mode, 0, 2);
	tcase_add_test(good, old_kernel_is_loaded_at_1_mib);
	tcase_add_test(good, load_address_is_aligned_up);
	tcase_add_test(good, kernel_that_is_not_relocatable);
	tcase_add_test(good, setup_sects_0_means_4);
	tcase_add_test(good, version_is_only_text_of_the_setup_part);
	suite_add_tcase(suite, good);
	tcase_add_loop_test(initrd, initrd_is_as_high_as_it_may, 0, ARRAY_SIZE(initrds));
	tcase_add_test(initrd, other_files_are_refused);
	suite_add_tcase(suite, initrd);
	tcase_add_test(bad, command_line_has_a_limit);
	tcase_add_test(bad, command_line_room_has_a_limit);
	tcase_add_loop_test(bad, flaws_are_refused, 0, ARRAY_SIZE(flaws));
	tcase_add_loop_test(bad, code32_start_is_checked, 0, ARRAY_SIZE(code32_flaws));
	tcase_add_test(bad, low_memory_is_needed);
	suite_add_tcase(suite, bad);
	return suite;
}
SET_ADD(suites, suite_fn, linux_suite);

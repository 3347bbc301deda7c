/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_loaders.c: tests of what the loaders share, and of the flat one.
 */
#include <string.h>
#include "lib/errno.h"
#include "loaders/loaders.h"
#include "loading.h"
#include "suite.h"

#define RAM	      (4 * MIB)
#define ATTRIB_CODE32 0xc9b
#define ATTRIB_CODE64 0xa9b
#define CR0_PROTECTED 0x31	 /* PE, ET, NE */
#define CR0_LONG      0x80000031 /* and PG */

static void flat_begin(struct loading *l, enum start_mode mode, u64 at, u64 size)
{
	loading_begin(l, image_flat(size), RAM);
	l->m.config.mode = mode;
	l->m.config.at = at;
}

/* ---- the memory map ------------------------------------------------------------------------ */

static void assert_range(const struct ram_range *r, u64 start, u64 end, enum ram_type type)
{
	ck_assert_uint_eq(r->start, start);
	ck_assert_uint_eq(r->start + r->size, end);
	ck_assert_uint_eq(r->type, type);
}

START_TEST(map_has_the_holes_of_a_pc)
{
	struct ram_range r[RAM_RANGES_MAX];
	struct loading l;

	loading_begin(&l, image_flat(16), RAM);
	ck_assert_uint_eq(ram_map(&l.m.vm, r), 3);
	assert_range(&r[0], 0, 0x9fc00, RAM_USABLE);
	assert_range(&r[1], 0x9fc00, 0x100000, RAM_RESERVED);
	assert_range(&r[2], 0x100000, RAM, RAM_USABLE);
	loading_end(&l);
}
END_TEST

START_TEST(map_joins_neighbours_and_knows_high_memory)
{
	struct ram_range r[RAM_RANGES_MAX];
	struct loading l;

	loading_begin(&l, image_flat(16), RAM);
	fake_add_ram(&l.m, RAM, MIB);
	fake_add_ram(&l.m, 4 * GIB, 2 * MIB);
	ck_assert_uint_eq(ram_map(&l.m.vm, r), 4);
	assert_range(&r[2], 0x100000, RAM + MIB, RAM_USABLE);
	assert_range(&r[3], 4 * GIB, 4 * GIB + 2 * MIB, RAM_USABLE);
	loading_end(&l);
}
END_TEST

START_TEST(map_leaves_devices_out)
{
	struct mem_hook nothing = {};
	struct ram_range r[RAM_RANGES_MAX];
	struct loading l;

	loading_begin(&l, image_flat(16), RAM);
	ck_assert_int_eq(vm_hook_mem(&l.m.vm, GPA(0xa0000), 0x20000, &nothing), 0);
	ck_assert_uint_eq(ram_map(&l.m.vm, r), 4);
	assert_range(&r[0], 0, 0x9fc00, RAM_USABLE);
	assert_range(&r[1], 0x9fc00, 0xa0000, RAM_RESERVED);
	assert_range(&r[2], 0xc0000, 0x100000, RAM_RESERVED);
	assert_range(&r[3], 0x100000, RAM, RAM_USABLE);
	loading_end(&l);
}
END_TEST

START_TEST(map_of_memory_that_starts_high)
{
	struct ram_range r[RAM_RANGES_MAX];
	struct fake_machine m;

	fake_machine_init(&m);
	fake_add_ram(&m, 32 * MIB, RAM);
	ck_assert_uint_eq(ram_map(&m.vm, r), 1);
	assert_range(&r[0], 32 * MIB, 32 * MIB + RAM, RAM_USABLE);
	fake_machine_free(&m);
}
END_TEST

/* ---- flat: the three modes ---------------------------------------------------------------------
 */

static void assert_real_segment(struct loading *l, enum seg seg, u16 selector)
{
	const struct segment *s = &l->m.cpu.segs[seg];

	ck_assert_uint_eq(s->selector, selector);
	ck_assert_uint_eq(s->base, selector * 16);
	ck_assert_uint_eq(s->limit, 0xffff);
	ck_assert_uint_eq(s->attrib, seg == SEG_CS ? 0x9b : 0x93);
}

static void assert_real(struct loading *l, u16 cs, u64 ip)
{
	assert_registers(l, (const u64[GPR_COUNT]){[GPR_RSP] = 0x7c00, [GPR_RDX] = 0x80});
	ck_assert_uint_eq(l->m.cpu.regs[VREG_RIP], ip);
	ck_assert_uint_eq(l->m.cpu.regs[VREG_CR0], 0x10);
	ck_assert_uint_eq(l->m.cpu.idt.base, 0);
	ck_assert_uint_eq(l->m.cpu.idt.limit, 0x3ff);
	for (enum seg seg = SEG_ES; seg <= SEG_GS; seg++)
		assert_real_segment(l, seg, seg == SEG_SS ? 0 : cs);
}

START_TEST(real_mode_starts_as_a_boot_sector)
{
	struct loading l;

	flat_begin(&l, START_REAL, UINT64_MAX, 512);
	ck_assert_int_eq(load(&l, "flat"), 0);
	assert_real(&l, 0, 0x7c00);
	assert_bytes(&l, 0x7c00, 0, 512);
	ck_assert(fake_ram_untouched(&l.m, 0, 0x7c00));
	ck_assert(fake_ram_untouched(&l.m, 0x7c00 + 512, RAM));
	loading_end(&l);
}
END_TEST

START_TEST(real_mode_above_64k_has_a_segment)
{
	struct loading l;

	flat_begin(&l, START_REAL, 0x23458, 100);
	ck_assert_int_eq(load(&l, "flat"), 0);
	assert_real(&l, 0x2345, 8);
	assert_bytes(&l, 0x23458, 0, 100);
	loading_end(&l);
}
END_TEST

START_TEST(real_mode_has_low_memory_to_itself)
{
	struct loading l;

	flat_begin(&l, START_REAL, 0, 0x10000);
	ck_assert_int_eq(load(&l, "flat"), 0);
	assert_real(&l, 0, 0);
	assert_bytes(&l, 0, 0, 0x10000);
	loading_end(&l);
}
END_TEST

START_TEST(protected_mode_is_flat_and_unpaged)
{
	struct loading l;

	flat_begin(&l, START_PROTECTED, UINT64_MAX, 100);
	ck_assert_int_eq(load(&l, "flat"), 0);
	assert_registers(&l, (const u64[GPR_COUNT]){[GPR_RSP] = 0x7c00});
	assert_flat_segments(&l, ATTRIB_CODE32, 0x7000);
	ck_assert_uint_eq(l.m.cpu.regs[VREG_RIP], MIB);
	ck_assert_uint_eq(l.m.cpu.regs[VREG_CR0], CR0_PROTECTED);
	assert_bytes(&l, MIB, 0, 100);
	ck_assert(fake_ram_untouched(&l.m, 0, 0x7000));
	ck_assert(fake_ram_untouched(&l.m, 0x7020, MIB));
	ck_assert(fake_ram_untouched(&l.m, MIB + 100, RAM));
	loading_end(&l);
}
END_TEST

/* Follow the tables as the processor does: level 4, 3, and a large page at level 2. */
static u64 translate(struct loading *l, u64 address)
{
	u64 cr3 = l->m.cpu.regs[VREG_CR3];
	u64 e4 = get64(fake_ram(&l->m, cr3 + (address >> 39 & 511) * 8));
	u64 e3, e2;

	ck_assert_uint_eq(e4 & 0xfff, 3); /* present, writable */
	e3 = get64(fake_ram(&l->m, (e4 & ~0xfffull) + (address >> 30 & 511) * 8));
	ck_assert_uint_eq(e3 & 0xfff, 3);
	e2 = get64(fake_ram(&l->m, (e3 & ~0xfffull) + (address >> 21 & 511) * 8));
	ck_assert_uint_eq(e2 & 0xfff, 0x83); /* and large */
	return (e2 & ~0xfffull) + (address & 0x1fffff);
}

START_TEST(long_mode_maps_4_gib_one_to_one)
{
	struct loading l;

	flat_begin(&l, START_LONG, 0x123000, 100);
	ck_assert_int_eq(load(&l, "flat"), 0);
	assert_registers(&l, (const u64[GPR_COUNT]){[GPR_RSP] = 0x7c00});
	assert_flat_segments(&l, ATTRIB_CODE64, 0x7000);
	ck_assert_uint_eq(l.m.cpu.regs[VREG_RIP], 0x123000);
	ck_assert_uint_eq(l.m.cpu.regs[VREG_CR0], CR0_LONG);
	ck_assert_uint_eq(l.m.cpu.regs[VREG_CR3], 0x1000);
	ck_assert_uint_eq(l.m.cpu.regs[VREG_CR4], 0x20);
	ck_assert_uint_eq(l.m.cpu.regs[VREG_EFER], 0x500);
	for (u64 a = 0x234; a < 4 * GIB; a += 2 * MIB)
		ck_assert_uint_eq(translate(&l, a), a);
	assert_zero(&l, 0x1008, 0x2000);
	assert_zero(&l, 0x2020, 0x3000);
	ck_assert(fake_ram_untouched(&l.m, 0, 0x1000));
	ck_assert(fake_ram_untouched(&l.m, 0x7020, 0x123000));
	loading_end(&l);
}
END_TEST

START_TEST(command_line_is_at_rsi)
{
	struct loading l;

	flat_begin(&l, _i, UINT64_MAX, 100);
	l.m.config.kernel.cmdline = "one two";
	ck_assert_int_eq(load(&l, "flat"), 0);
	ck_assert_uint_eq(vcpu_gpr(&l.m.vcpu, GPR_RSI), 0x500);
	ck_assert_str_eq((char *)fake_ram(&l.m, 0x500), "one two");
	ck_assert(fake_ram_untouched(&l.m, 0x508, 0x1000));
	loading_end(&l);
}
END_TEST

/* ---- flat: refusals ----------------------------------------------------------------------------
 */

START_TEST(flat_is_never_guessed)
{
	struct loading l;

	flat_begin(&l, START_REAL, UINT64_MAX, 512);
	ck_assert(!probe(&l, "flat"));
	ck_assert(!probe(&l, "multiboot"));
	ck_assert(!probe(&l, "linux"));
	loading_end(&l);
}
END_TEST

START_TEST(flat_refuses_other_files)
{
	struct loading l;

	flat_begin(&l, START_REAL, UINT64_MAX, 512);
	l.m.config.modules[0] = image_vm_file(&l.file, "extra.bin", "");
	l.m.config.module_count = 1;
	assert_refused(&l, "flat", -EINVAL, KERNEL_NAME, "extra.bin");
	l.m.config.initrd = image_vm_file(&l.file, "initrd.img", "");
	assert_refused(&l, "flat", -EINVAL, KERNEL_NAME, "initrd.img");
	loading_end(&l);
}
END_TEST

static const struct {
	enum start_mode mode;
	u64 at, size;
	int error;
	const char *words;
} bad_places[] = {
	{START_REAL, 0x7c00, 0, -ENOEXEC, "empty"},
	{START_REAL, MIB, 16, -ERANGE, "at=0x100000 is out of real mode's reach"},
	{START_REAL, 0xff000, RAM, -ENOMEM, "VM has 5 MiB"},
	{START_PROTECTED, RAM - 15, 16, -ENOMEM, "0x3ffff1, 0x10 bytes"},
	{START_PROTECTED, 0x7bff, 16, -EBUSY, "0x10 bytes at=0x7bff would cover 0x1000-0x7bff"},
	{START_PROTECTED, 0xff8, 9, -EBUSY, "0x1000-0x7bff"},
	{START_LONG, 0, 0x8000, -EBUSY, "0x1000-0x7bff"},
	{START_LONG, 4 * GIB, 16, -ENOMEM, "0x100000000"},
	{START_LONG, UINT64_MAX - 1, 16, -ENOMEM, "0xfffffffffffffffe"},
};

START_TEST(flat_refuses_bad_places)
{
	struct loading l;

	flat_begin(&l, bad_places[_i].mode, bad_places[_i].at, bad_places[_i].size);
	fake_add_ram(&l.m, 4 * GIB, MIB); /* there, but not for loaders */
	assert_refused(&l, "flat", bad_places[_i].error, KERNEL_NAME, bad_places[_i].words);
	loading_end(&l);
}
END_TEST

START_TEST(flat_may_end_where_tables_begin)
{
	struct loading l;

	flat_begin(&l, START_PROTECTED, 0xff8, 8);
	ck_assert_int_eq(load(&l, "flat"), 0);
	assert_bytes(&l, 0xff8, 0, 8);
	loading_end(&l);
	flat_begin(&l, START_PROTECTED, 0x7c00, RAM - 0x7c00);
	ck_assert_int_eq(load(&l, "flat"), 0);
	assert_bytes(&l, 0x7c00, 0, RAM - 0x7c00);
	loading_end(&l);
}
END_TEST

START_TEST(flat_keeps_off_the_command_line)
{
	struct loading l;

	flat_begin(&l, START_REAL, 0xfff, 16);
	l.m.config.kernel.cmdline = "x";
	assert_refused(&l, "flat", -EBUSY, KERNEL_NAME, "0x500-0xfff");
	loading_end(&l);
}
END_TEST

START_TEST(flat_command_line_has_a_limit)
{
	char text[0x1000 - 0x500 + 1];
	struct loading l;

	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = 0;
	flat_begin(&l, START_PROTECTED, UINT64_MAX, 512);
	l.m.config.kernel.cmdline = text;
	assert_refused(&l, "flat", -E2BIG, KERNEL_NAME, "2816 characters, a flat image gets 2815");
	text[sizeof(text) - 2] = 0;
	ck_assert_int_eq(load(&l, "flat"), 0);
	ck_assert_str_eq((char *)fake_ram(&l.m, 0x500), text);
	loading_end(&l);
}
END_TEST

/* RAM that begins at 32 MiB has no place for the tables. */
/* A VM without memory at 0 has its tables behind the image: start_long's "low" is there. */
START_TEST(flat_without_low_memory)
{
	struct loading l = {.file = image_flat(16)};
	struct table_reg gdt;

	fake_machine_init(&l.m);
	fake_add_ram(&l.m, 32 * MIB, RAM);
	l.m.config.kernel = image_vm_file(&l.file, KERNEL_NAME, "");
	l.m.config.mode = _i;
	l.m.config.at = 32 * MIB;
	ck_assert_int_eq(load(&l, "flat"), 0);
	cpu->get_table(l.m.vm.vcpu, false, &gdt);
	ck_assert_uint_eq(gdt.base, 32 * MIB + PAGE_SIZE + LOW_GDT);
	ck_assert_uint_eq(vcpu_get(l.m.vm.vcpu, VREG_RSP), 32 * MIB + PAGE_SIZE + LOW_STACK);
	if (_i == START_LONG)
		ck_assert_uint_eq(vcpu_get(l.m.vm.vcpu, VREG_CR3),
				  32 * MIB + PAGE_SIZE + LOW_TABLES);
	loading_end(&l);
}
END_TEST

static Suite *loaders_suite(void)
{
	Suite *suite = suite_create("loaders");
	TCase *map = tcase_create("memory map"), *flat = tcase_create("flat");

	tcase_add_test(map, map_has_the_holes_of_a_pc);
	tcase_add_test(map, map_joins_neighbours_and_knows_high_memory);
	tcase_add_test(map, map_leaves_devices_out);
	tcase_add_test(map, map_of_memory_that_starts_high);
	suite_add_tcase(suite, map);
	tcase_add_test(flat, real_mode_starts_as_a_boot_sector);
	tcase_add_test(flat, real_mode_above_64k_has_a_segment);
	tcase_add_test(flat, real_mode_has_low_memory_to_itself);
	tcase_add_test(flat, protected_mode_is_flat_and_unpaged);
	tcase_add_test(flat, long_mode_maps_4_gib_one_to_one);
	tcase_add_loop_test(flat, command_line_is_at_rsi, START_REAL, START_LONG + 1);
	tcase_add_test(flat, flat_is_never_guessed);
	tcase_add_test(flat, flat_refuses_other_files);
	tcase_add_loop_test(flat, flat_refuses_bad_places, 0, ARRAY_SIZE(bad_places));
	tcase_add_test(flat, flat_may_end_where_tables_begin);
	tcase_add_test(flat, flat_keeps_off_the_command_line);
	tcase_add_test(flat, flat_command_line_has_a_limit);
	tcase_add_loop_test(flat, flat_without_low_memory, START_PROTECTED, START_LONG + 1);
	suite_add_tcase(suite, flat);
	return suite;
}
SET_ADD(suites, suite_fn, loaders_suite);

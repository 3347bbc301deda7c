/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_memory.c: tests of the memory map (src/vmm/memory.c): adding RAM, hooking devices over it,
 * looking addresses up, and a new VM's memory.
 */
#include <stdio.h>
#include <string.h>
#include "fake_guest.h"
#include "fake_pages.h"
#include "lib/errno.h"
#include "suite.h"
#include "vmm/paging_ops.h"

static struct fake_machine m;
static struct vm *vm;
static const struct mem_hook no_hook;

static void setup(void)
{
	fake_machine_init(&m);
	vm = &m.vm;
}

/* Fictional host memory: only the addresses are looked at. */
#define HOST 0x100000000000ull

static int add(u64 start, u64 size)
{
	return vm_add_ram(vm, GPA(start), size, HPA(HOST + start));
}

static int hook(u64 start, u64 size)
{
	return vm_hook_mem(vm, GPA(start), size, &no_hook);
}

/* The map, as a string: R for RAM, M for a device, start and end in pages. */
static const char *map(void)
{
	static char text[256];
	size_t n = 0;

	text[0] = 0;
	for (unsigned i = 0; i < vm->memory.count; i++) {
		const struct mem_region *r = &vm->memory.regions[i];

		if (r->kind == MEM_RAM)
			ck_assert_uint_eq(r->host.a, HOST + r->start.a);
		n += snprintf(text + n, sizeof(text) - n, "%s%c%lx-%lx", n ? " " : "",
			      r->kind == MEM_RAM ? 'R' : 'M', r->start.a >> PAGE_SHIFT,
			      (r->start.a + r->size) >> PAGE_SHIFT);
	}
	return text;
}

START_TEST(regions_are_sorted)
{
	ck_assert_int_eq(add(0x5000, 0x2000), 0);
	ck_assert_int_eq(add(0x1000, 0x1000), 0);
	ck_assert_int_eq(hook(0x3000, 0x1000), 0);
	ck_assert_int_eq(add(0x2000, 0x1000), 0); /* touches both neighbours */
	ck_assert_str_eq(map(), "R1-2 R2-3 M3-4 R5-7");
	ck_assert_uint_eq(vm->memory.ram_size, 0x4000);
}
END_TEST

START_TEST(bad_ranges_are_refused)
{
	static const struct {
		u64 start, size;
	} bad[] = {
		{0x1000, 0},	     {0x1001, 0x1000},
		{0x1000, 0x1001},    {0x800, 0x1000},
		{~0xfffull, 0x2000}, {0x1000, ~0xfffull},
		{0x1000, 0x800},     {0x8000000000000000, 1ull << 63},
		{~0xfffull, 0x1000},
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		ck_assert_int_eq(add(bad[i].start, bad[i].size), -EINVAL);
		ck_assert_int_eq(hook(bad[i].start, bad[i].size), -EINVAL);
	}
	ck_assert_int_eq(vm_add_ram(vm, GPA(0x1000), 0x1000, HPA(HOST + 1)), -EINVAL);
	ck_assert_uint_eq(vm->memory.count, 0);
	ck_assert_uint_eq(vm->memory.ram_size, 0);
}
END_TEST

START_TEST(overlaps_are_refused)
{
	ck_assert_int_eq(add(0x10000, 0x4000), 0);
	ck_assert_int_eq(hook(0x20000, 0x4000), 0);
	for (u64 base = 0x10000; base <= 0x20000; base += 0x10000) {
		ck_assert_int_eq(add(base, 0x4000), -EEXIST);
		ck_assert_int_eq(add(base - 0x1000, 0x2000), -EEXIST);
		ck_assert_int_eq(add(base + 0x3000, 0x2000), -EEXIST);
		ck_assert_int_eq(add(base + 0x1000, 0x1000), -EEXIST);
		ck_assert_int_eq(add(base - 0x1000, 0x6000), -EEXIST);
	}
	ck_assert_int_eq(hook(0x1f000, 0x2000), -EEXIST);
	ck_assert_int_eq(hook(0x23000, 0x1000), -EEXIST);
	ck_assert_int_eq(hook(0x13000, 0xe000),
			 -EEXIST); /* RAM at its head, a device at its tail */
	ck_assert_str_eq(map(), "R10-14 M20-24");
	ck_assert_uint_eq(vm->memory.ram_size, 0x4000);
}
END_TEST

static const struct {
	u64 start, size;
	const char *map;
	u64 left;
} cuts[] = {
	{0x10000, 0x1000, "M10-11 R11-18 R20-28", 15},	      /* head */
	{0x17000, 0x1000, "R10-17 M17-18 R20-28", 15},	      /* tail */
	{0x13000, 0x2000, "R10-13 M13-15 R15-18 R20-28", 14}, /* the middle */
	{0x10000, 0x8000, "M10-18 R20-28", 8},		      /* all of one */
	{0x0f000, 0xa000, "Mf-19 R20-28", 8},		      /* and more */
	{0x17000, 0xa000, "R10-17 M17-21 R21-28", 14},	      /* a tail and a head */
	{0x00000, 0x30000, "M0-30", 0},			      /* everything */
	{0x20000, 0x8000, "R10-18 M20-28", 8},
	{0x18000, 0x8000, "R10-18 M18-20 R20-28", 16}, /* just the hole */
	{0x28000, 0x1000, "R10-18 R20-28 M28-29", 16},
};

START_TEST(a_device_cuts_ram)
{
	ck_assert_int_eq(add(0x10000, 0x8000), 0);
	ck_assert_int_eq(add(0x20000, 0x8000), 0);
	ck_assert_int_eq(hook(cuts[_i].start, cuts[_i].size), 0);
	ck_assert_str_eq(map(), cuts[_i].map);
	ck_assert_uint_eq(vm->memory.ram_size, cuts[_i].left * PAGE_SIZE);
}
END_TEST

START_TEST(a_full_map_refuses_and_stays_as_it_is)
{
	char before[256];

	for (u64 i = 0; i < MEM_REGIONS - 1; i++)
		ck_assert_int_eq(add(i * 0x10000, 0x8000), 0);
	strcpy(before, map());
	ck_assert_int_eq(hook(0x1000, 0x1000), -ENOSPC); /* would need two places */
	ck_assert_str_eq(map(), before);
	ck_assert_int_eq(add(0x800000, 0x1000), 0);
	ck_assert_int_eq(add(0x900000, 0x1000), -ENOSPC);
	ck_assert_int_eq(hook(0x900000, 0x1000), -ENOSPC);
	ck_assert_uint_eq(vm->memory.ram_size, (MEM_REGIONS - 1) * 0x8000 + 0x1000);
}
END_TEST

START_TEST(regions_are_found)
{
	struct mem_hook named = {.opaque = &m};

	add(0x1000, 0x2000);
	ck_assert_int_eq(vm_hook_mem(vm, GPA(0xfee00000), 0x1000, &named), 0);
	ck_assert_ptr_null(vm_region(vm, GPA(0xfff)));
	ck_assert_uint_eq(vm_region(vm, GPA(0x1000))->start.a, 0x1000);
	ck_assert_uint_eq(vm_region(vm, GPA(0x2fff))->start.a, 0x1000);
	ck_assert_ptr_null(vm_region(vm, GPA(0x3000)));
	ck_assert_ptr_eq(vm_region(vm, GPA(0xfee00fff))->hook.opaque, &m);
	ck_assert_ptr_null(vm_region(vm, GPA(0xfee01000)));
	ck_assert_ptr_null(vm_region(vm, GPA(~0ull)));
}
END_TEST

START_TEST(pointers_end_where_ram_does)
{
	add(0x1000, 0x2000);
	add(0x3000, 0x1000); /* next to it, but another region */
	hook(0x5000, 0x1000);
	ck_assert_ptr_eq(vm_ptr(vm, GPA(0x1000), 0x2000), hpa_ptr(HPA(HOST + 0x1000)));
	ck_assert_ptr_eq(vm_ptr(vm, GPA(0x2ffc), 4), hpa_ptr(HPA(HOST + 0x2ffc)));
	ck_assert_ptr_null(vm_ptr(vm, GPA(0x2ffd), 4));
	ck_assert_ptr_null(vm_ptr(vm, GPA(0x1000), 0x2001));
	ck_assert_ptr_null(vm_ptr(vm, GPA(0xfff), 1));
	ck_assert_ptr_null(vm_ptr(vm, GPA(0x4000), 1));
	ck_assert_ptr_null(vm_ptr(vm, GPA(0x5000), 1)); /* a device */
	/* sizes with which an end would wrap around */
	ck_assert_ptr_null(vm_ptr(vm, GPA(0x1800), ~0ull));
	ck_assert_ptr_null(vm_ptr(vm, GPA(0x1800), ~0ull - 0x17ff));
	ck_assert_ptr_null(vm_ptr(vm, GPA(0x1800), ~0ull - 0x7ff));
	ck_assert_ptr_null(vm_ptr(vm, GPA(~0ull), 2));
}
END_TEST

/* ---- paging is told -------------------------------------------------------------------------- */

static struct {
	u64 start, size;
	int calls, error;
} told;

static int remap(struct vm *v, gpa_t start, u64 size)
{
	told.start = start.a;
	told.size = size;
	told.calls++;
	ck_assert_int_eq(vm_region(v, start)->kind, MEM_MMIO); /* it may look at the new map */
	return told.error;
}

START_TEST(paging_hears_of_a_device)
{
	static const struct paging_ops ops = {.remap = remap};

	add(0, 0x10000);
	vm->paging = &ops;
	hook(0x1000, 0x1000);
	ck_assert_int_eq(told.calls, 0); /* no tables yet: vm_create() will see it */
	vm->paging_state = &m;
	ck_assert_int_eq(hook(0x3000, 0x2000), 0);
	ck_assert_int_eq(told.calls, 1);
	ck_assert_uint_eq(told.start, 0x3000);
	ck_assert_uint_eq(told.size, 0x2000);
	ck_assert_int_eq(hook(0x3000, 0x2000), -EEXIST);
	ck_assert_int_eq(told.calls, 1);
	told.error = -ENOMEM;
	ck_assert_int_eq(hook(0x8000, 0x1000), -ENOMEM);
}
END_TEST

/* ---- a VM's memory --------------------------------------------------------------------------- */

START_TEST(a_small_vm_is_one_block)
{
	ck_assert_int_eq(memory_create(vm, 2 * LARGE_SIZE), 0);
	ck_assert_uint_eq(vm->memory.count, 1);
	ck_assert_uint_eq(vm->memory.ram_size, 2 * LARGE_SIZE);
	ck_assert(is_aligned(vm->memory.regions[0].host.a, LARGE_SIZE));
	memset(vm_ptr(vm, GPA(0), 2 * LARGE_SIZE), 1, 2 * LARGE_SIZE); /* ASan knows its end */
	hook(0x100000, 0x1000); /* the memory under a hole goes back too */
	memory_destroy(vm);
	ck_assert_uint_eq(fake_pages_live(), 0);
	ck_assert_uint_eq(fake_pages_scrubbed(), 2 * LARGE_SIZE);
	ck_assert_uint_eq(vm->memory.count, 0);
	ck_assert_ptr_null(vm_ptr(vm, GPA(0), 1)); /* what was there is gone */
	memory_destroy(vm);			   /* twice is fine */
}
END_TEST

static const struct {
	u64 size, low, high;
} splits[] = {
	{3 * GIB, 3 * GIB, 0},
	{3 * GIB + LARGE_SIZE, 3 * GIB, LARGE_SIZE},
	{7 * GIB, 3 * GIB, 4 * GIB},
};

START_TEST(a_large_vm_leaves_a_gap_below_4_gib)
{
	const struct mem_region *r;

	ck_assert_int_eq(memory_create(vm, splits[_i].size), 0);
	ck_assert_uint_eq(vm->memory.count, splits[_i].high ? 2 : 1);
	ck_assert_uint_eq(vm_region(vm, GPA(0))->size, splits[_i].low);
	ck_assert_ptr_null(vm_region(vm, GPA(3 * GIB)));
	ck_assert_ptr_null(vm_region(vm, GPA(4 * GIB - 1)));
	r = vm_region(vm, GPA(4 * GIB));
	ck_assert_uint_eq(r ? r->size : 0, splits[_i].high);
	ck_assert_uint_eq(vm->memory.ram_size, splits[_i].size);
	memory_destroy(vm);
	ck_assert_uint_eq(fake_pages_live(), 0);
	ck_assert_uint_eq(fake_pages_scrubbed(), splits[_i].size);
}
END_TEST

START_TEST(too_little_memory_is_said_in_numbers)
{
	fake_pages_fail_after(1);
	ck_assert_int_eq(memory_create(vm, 5 * GIB), -ENOMEM);
	ck_assert_msg(strstr(vm->reason, "2048 MiB of memory") && strstr(vm->reason, "1024 MiB"),
		      "%s", vm->reason);
	memory_destroy(vm); /* the half that there was */
	ck_assert_uint_eq(fake_pages_live(), 0);
}
END_TEST

static Suite *memory_suite(void)
{
	Suite *s = suite_create("memory");
	TCase *t = tcase_create("map");
	TCase *v = tcase_create("vm");

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, regions_are_sorted);
	tcase_add_test(t, bad_ranges_are_refused);
	tcase_add_test(t, overlaps_are_refused);
	tcase_add_loop_test(t, a_device_cuts_ram, 0, ARRAY_SIZE(cuts));
	tcase_add_test(t, a_full_map_refuses_and_stays_as_it_is);
	tcase_add_test(t, regions_are_found);
	tcase_add_test(t, pointers_end_where_ram_does);
	tcase_add_test(t, paging_hears_of_a_device);
	suite_add_tcase(s, t);
	tcase_add_checked_fixture(v, setup, NULL);
	tcase_add_test(v, a_small_vm_is_one_block);
	tcase_add_loop_test(v, a_large_vm_leaves_a_gap_below_4_gib, 0, ARRAY_SIZE(splits));
	tcase_add_test(v, too_little_memory_is_said_in_numbers);
	suite_add_tcase(s, v);
	return s;
}
SET_ADD(suites, suite_fn, memory_suite);

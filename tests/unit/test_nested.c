/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_nested.c: tests of nested paging (src/paging/nested.c): a walker of its own, written from
 * APM vol. 2 §5.3 and §15.25, must find in the tables just what the memory map says, in 2 MiB pages
 * where that is possible, also after a device was hooked; and nothing of them may be left in the
 * end.
 */
#include <string.h>
#include "fake_guest.h"
#include "fake_pages.h"
#include "lib/errno.h"
#include "suite.h"
#include "vmm/exit.h"
#include "vmm/paging_ops.h"

static struct fake_machine m;
static struct vm *vm;
static const struct mem_hook no_hook;

static const struct paging_ops *nested(void)
{
	const struct paging_ops *const *it;

	set_for_each (paging_modes, it) {
		if (!strcmp((*it)->name, "nested"))
			return *it;
	}
	ck_abort_msg("there is no paging mode named nested");
	return NULL;
}

static void setup(void)
{
	fake_machine_init(&m);
	vm = &m.vm;
	vm->paging = nested();
}

/* ---- the walker ------------------------------------------------------------------------------ */

struct found {
	u64 hpa;
	u64 page; /* bytes; 0: not present */
};

/* Every entry on the way: present, writable, user, and nothing in it that is reserved or NX. */
static u64 read_entry(u64 table, u64 index, bool leaf)
{
	u64 entry = ((u64 *)(uintptr_t)table)[index];

	if (!(entry & 1)) {
		ck_assert_uint_eq(entry, 0);
		return 0;
	}
	ck_assert_uint_eq(entry & 7, 7);
	ck_assert_uint_eq(entry >> 52, 0);
	if (leaf)
		ck_assert_uint_eq(entry & 0xf00, 0);
	return entry;
}

static struct found look_up(u64 gpa)
{
	struct found none = {0};
	u64 table = ptr_hpa(vm->paging_state).a;
	const u64 address = 0x000ffffffffff000;

	ck_assert_uint_eq(gpa >> 48, 0);
	for (int shift = 39; shift > 12; shift -= 9) {
		u64 entry = read_entry(table, gpa >> shift & 511, false);

		if (!entry)
			return none;
		if (entry & 0x80) {
			ck_assert_int_eq(shift, 21); /* 2 MiB pages only */
			ck_assert_uint_eq(entry & address & 0x1fffff, 0);
			return (struct found){(entry & address) + (gpa & 0x1fffff), 2 * MIB};
		}
		table = entry & address;
	}
	table = read_entry(table, gpa >> 12 & 511, true);
	return table ? (struct found){(table & address) + (gpa & 0xfff), PAGE_SIZE} : none;
}

/* A 2 MiB page around @gpa is possible if both addresses fit and all of it is in one region. */
static bool could_be_large(const struct mem_region *r, u64 gpa)
{
	u64 start = gpa & ~0x1fffffull;

	return start >= r->start.a && start + 2 * MIB <= r->start.a + r->size &&
	       !((r->host.a - r->start.a) & 0x1fffff);
}

static void check_address(u64 gpa, bool always_large)
{
	const struct mem_region *r = vm_region(vm, GPA(gpa));
	struct found f = look_up(gpa);

	if (!r || r->kind != MEM_RAM) {
		ck_assert_msg(!f.page, "%#lx is mapped to %#lx", gpa, f.hpa);
		return;
	}
	ck_assert_msg(f.page, "%#lx is not mapped", gpa);
	ck_assert_uint_eq(f.hpa, r->host.a + (gpa - r->start.a));
	if (!could_be_large(r, gpa))
		ck_assert_uint_eq(f.page, PAGE_SIZE);
	else if (always_large)
		ck_assert_uint_eq(f.page, 2 * MIB);
}

/* Each page up to @end, and both sides of each border. */
static void check_tables(u64 end, bool always_large)
{
	for (u64 gpa = 0; gpa < end; gpa += PAGE_SIZE)
		check_address(gpa + (gpa >> 12 & 0xfff), always_large);
	for (unsigned i = 0; i < vm->memory.count; i++) {
		const struct mem_region *r = &vm->memory.regions[i];

		check_address(r->start.a, always_large);
		check_address(r->start.a + r->size - 1, always_large);
		check_address(r->start.a + r->size, always_large);
		if (r->start.a)
			check_address(r->start.a - 1, always_large);
	}
}

static void create(void)
{
	ck_assert_int_eq(vm->paging->vm_create(vm), 0);
}

static void destroy(void)
{
	vm->paging->vm_destroy(vm);
	ck_assert_ptr_null(vm->paging_state);
	ck_assert_uint_eq(fake_pages_live(), 0);
}

#define HOST 0x40000000000ull

static void add(u64 start, u64 size, u64 host)
{
	ck_assert_int_eq(vm_add_ram(vm, GPA(start), size, HPA(host)), 0);
}

/* ---- tests ----------------------------------------------------------------------------------- */

START_TEST(aligned_ram_is_in_large_pages)
{
	add(0, 64 * MIB, HOST);
	create();
	check_tables(66 * MIB, true);
	ck_assert_uint_eq(look_up(0).page, 2 * MIB);
	ck_assert_uint_eq(fake_pages_live(), 3); /* levels 4, 3 and 2 */
	destroy();
}
END_TEST

START_TEST(odd_ends_are_in_small_pages)
{
	add(0x5000, 5 * MIB, HOST + 0x5000);
	create();
	check_tables(8 * MIB, true);
	ck_assert_uint_eq(look_up(0x5000).page, PAGE_SIZE);
	ck_assert_uint_eq(look_up(2 * MIB).page, 2 * MIB);
	ck_assert_uint_eq(look_up(5 * MIB).page, PAGE_SIZE);
	destroy();
}
END_TEST

START_TEST(crooked_host_memory_is_in_small_pages)
{
	add(0, 4 * MIB, HOST + PAGE_SIZE);
	create();
	check_tables(6 * MIB, true);
	destroy();
}
END_TEST

START_TEST(memory_above_4_gib)
{
	add(0, 4 * MIB, HOST);
	add(4 * GIB, 4 * MIB, HOST + GIB);
	add(512 * GIB + 6 * MIB, 2 * MIB, HOST + 2 * GIB); /* the root's second entry */
	create();
	check_tables(6 * MIB, true);
	ck_assert_uint_eq(look_up(512 * GIB + 7 * MIB).hpa, HOST + 2 * GIB + MIB);
	destroy();
}
END_TEST

START_TEST(a_device_that_was_hooked_before_is_absent)
{
	add(0, 4 * MIB, HOST);
	ck_assert_int_eq(vm_hook_mem(vm, GPA(0xa0000), 0x20000, &no_hook), 0);
	create();
	check_tables(6 * MIB, true);
	ck_assert_uint_eq(look_up(2 * MIB).page, 2 * MIB);
	destroy();
}
END_TEST

START_TEST(hooking_later_splinters)
{
	add(0, 8 * MIB, HOST);
	create();
	ck_assert_int_eq(vm_hook_mem(vm, GPA(3 * MIB), 0x2000, &no_hook), 0);
	ck_assert_uint_eq(look_up(3 * MIB).page, 0);
	ck_assert_uint_eq(look_up(3 * MIB + 0x2000).page, PAGE_SIZE);
	ck_assert_uint_eq(look_up(4 * MIB).page, 2 * MIB); /* its neighbours are whole */
	check_tables(10 * MIB, true);
	ck_assert_uint_eq(fake_pages_live(), 4);
	ck_assert_uint_eq(m.cpu.flushes, 1); /* the old translations are cached */
	ck_assert_int_eq(vm_hook_mem(vm, GPA(16 * MIB), 0x1000, &no_hook),
			 0); /* where nothing was */
	check_tables(18 * MIB, true);
	destroy();
}
END_TEST

START_TEST(hooking_more_than_a_large_page)
{
	add(0, 8 * MIB, HOST);
	create();
	ck_assert_int_eq(vm_hook_mem(vm, GPA(MIB), 5 * MIB, &no_hook), 0);
	check_tables(10 * MIB, true);
	destroy();
}
END_TEST

/* What the leaf for @gpa says, on whatever level: its page's size, and whether that may be written. */
static struct leaf {
	u64 page;
	bool writable;
} leaf_of(u64 gpa)
{
	u64 table = ptr_hpa(vm->paging_state).a;

	for (int shift = 39;; shift -= 9) {
		u64 entry = ((u64 *)(uintptr_t)table)[gpa >> shift & 511];

		ck_assert_uint_eq(entry & 5, 5);
		if (shift == 12 || entry & 0x80)
			return (struct leaf){1ull << shift, entry & 2};
		table = entry & 0x000ffffffffff000;
	}
}

static const struct range {
	u64 start, size;
} ranges[] = {
	{2 * MIB + 0x5000, PAGE_SIZE}, /* within one large page */
	{2 * MIB, MIB},
	{3 * MIB, MIB},
	{2 * MIB, 4 * MIB}, /* large pages only: they stay */
	{3 * MIB, 3 * MIB}, /* begins within one, and is no smaller than it */
	{3 * MIB, 2 * MIB},
	{4 * MIB - PAGE_SIZE, 2 * MIB + 2 * PAGE_SIZE},
	{2 * MIB, 3 * MIB}, /* ends within one */
};

/* A range is made read-only, and no page beside it; then writable again. */
START_TEST(protecting_a_range_and_no_more)
{
	u64 start = ranges[_i].start, end = start + ranges[_i].size;

	add(0, 8 * MIB, HOST);
	create();
	ck_assert_int_eq(vm->paging->protect(vm, GPA(start), end - start, true), 0);
	for (u64 gpa = 0; gpa < 8 * MIB; gpa += PAGE_SIZE) {
		u64 large = gpa & ~(2 * MIB - 1);
		bool inside = gpa >= start && gpa < end;
		bool cut = large < end && large + 2 * MIB > start &&
			   (large < start || large + 2 * MIB > end);
		struct leaf leaf = leaf_of(gpa);

		ck_assert_msg(leaf.writable == !inside, "%#lx is %swritable", gpa,
			      inside ? "" : "not ");
		ck_assert_uint_eq(leaf.page, cut ? PAGE_SIZE : 2 * MIB);
	}
	ck_assert_uint_eq(m.cpu.flushes, 1);
	ck_assert_int_eq(vm->paging->protect(vm, GPA(start), end - start, false), 0);
	check_tables(10 * MIB, false);
	destroy();
}
END_TEST

START_TEST(the_root_is_given_to_the_processor)
{
	add(0, 2 * MIB, HOST);
	create();
	ck_assert_int_eq(vm->paging->vcpu_create(&m.vcpu), 0);
	ck_assert_uint_eq(m.cpu.nested_root.a, ptr_hpa(vm->paging_state).a);
	ck_assert(is_aligned(m.cpu.nested_root.a, PAGE_SIZE));
	destroy();
}
END_TEST

START_TEST(faults_are_told_apart)
{
	struct exit exit = {.kind = EXIT_MEMORY};

	add(0, 2 * MIB, HOST);
	vm_hook_mem(vm, GPA(0xfee00000), 0x1000, &no_hook);
	create();
	exit.memory.gpa = GPA(0xfee00010);
	ck_assert_int_eq(vm->paging->fault(&m.vcpu, &exit), -ENOENT);
	exit.memory.gpa = GPA(2 * MIB);
	ck_assert_int_eq(vm->paging->fault(&m.vcpu, &exit), -ENOENT);
	exit.memory.gpa = GPA(2 * MIB - 1); /* RAM never faults, so this is somebody's mistake */
	exit.memory.error = 0x5;
	ck_assert_int_eq(vm->paging->fault(&m.vcpu, &exit), -EIO);
	ck_assert_msg(strstr(vm->reason, "0x5") && strstr(vm->reason, "0x1fffff"), "%s",
		      vm->reason);
	destroy();
}
END_TEST

/* Whatever allocation fails, what there is can be taken apart, and there is no crash. */
START_TEST(running_out_of_memory)
{
	add(0x1000, 4 * MIB, HOST);
	fake_pages_fail_after(_i);
	ck_assert_int_eq(vm->paging->vm_create(vm), -ENOMEM);
	fake_pages_fail_after(-1);
	if (vm->paging_state)
		destroy();
	ck_assert_uint_eq(fake_pages_live(), 0);
}
END_TEST

START_TEST(running_out_of_memory_while_splintering)
{
	add(0, 4 * MIB, HOST);
	create();
	fake_pages_fail_after(0);
	ck_assert_int_eq(vm_hook_mem(vm, GPA(MIB), 0x1000, &no_hook), -ENOMEM);
	fake_pages_fail_after(-1);
	destroy();
}
END_TEST

/* Eight pieces of RAM with gaps, most of them large enough for large pages, and a few devices. */
static void random_map(u64 *random, u64 *end)
{
	u64 gpa = 0;

	for (unsigned i = 0; i < 8; i++) {
		bool straight = random_below(random, 3);
		u64 size = (1 + random_below(random, 1500)) * PAGE_SIZE;
		u64 host = HOST + i * GIB +
			   (straight ? gpa & 0x1fffff : random_below(random, 512) << 12);

		add(gpa, size, host);
		gpa += size + random_below(random, 2) * random_below(random, 700) * PAGE_SIZE;
	}
	*end = gpa;
}

static void random_hooks(u64 *random, unsigned n, u64 end)
{
	for (unsigned i = 0; i < n; i++) {
		u64 start = random_below(random, end >> 12) << 12;
		u64 pages = 1 + random_below(random, random_below(random, 4) ? 4 : 900);
		int err = vm_hook_mem(vm, GPA(start), pages << 12, &no_hook);

		ck_assert_msg(err == 0 || err == -EEXIST, "error %d", err);
	}
}

START_TEST(random_maps)
{
	u64 random = 99 + _i, end;

	random_map(&random, &end);
	random_hooks(&random, 4, end);
	create();
	check_tables(end + 4 * MIB, true);
	random_hooks(&random, 5, end + 4 * MIB);
	/* a region that a device cut may still be in a large page's reach, splintered before */
	check_tables(end + 12 * MIB, false);
	destroy();
}
END_TEST

static Suite *nested_suite(void)
{
	Suite *s = suite_create("nested");
	TCase *t = tcase_create("nested");

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, aligned_ram_is_in_large_pages);
	tcase_add_test(t, odd_ends_are_in_small_pages);
	tcase_add_test(t, crooked_host_memory_is_in_small_pages);
	tcase_add_test(t, memory_above_4_gib);
	tcase_add_test(t, a_device_that_was_hooked_before_is_absent);
	tcase_add_test(t, hooking_later_splinters);
	tcase_add_test(t, hooking_more_than_a_large_page);
	tcase_add_loop_test(t, protecting_a_range_and_no_more, 0, sizeof(ranges) / sizeof(*ranges));
	tcase_add_test(t, the_root_is_given_to_the_processor);
	tcase_add_test(t, faults_are_told_apart);
	tcase_add_loop_test(t, running_out_of_memory, 0, 5);
	tcase_add_test(t, running_out_of_memory_while_splintering);
	tcase_add_loop_test(t, random_maps, 0, 12);
	suite_add_tcase(s, t);
	return s;
}
SET_ADD(suites, suite_fn, nested_suite);

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_memory_model.c: the memory map (src/vmm/memory.c) after long random sequences of RAM and
 * devices, against a model that knows of each page what it is.
 */
#include <string.h>
#include "fake_guest.h"
#include "lib/errno.h"
#include "suite.h"

static struct fake_machine m;
static struct vm *vm;
static const struct mem_hook no_hook;

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

#define MODEL_PAGES 128
#define ROUNDS	    200

/* What each page is: '.', 'R' or 'M'; where RAM came from; and with which call, since a pointer may
 * not run over from one piece into the next. */
static char model[MODEL_PAGES];
static unsigned piece[MODEL_PAGES];

static bool model_free_of(u64 first, u64 n, char kind)
{
	return !memchr(model + first, kind, n);
}

static void model_add(u64 first, u64 n, unsigned round)
{
	bool free = model_free_of(first, n, 'R') && model_free_of(first, n, 'M');
	bool full = vm->memory.count == MEM_REGIONS;
	int err = add(first * PAGE_SIZE, n * PAGE_SIZE);

	ck_assert_int_eq(err, !free ? -EEXIST : full ? -ENOSPC : 0);
	for (u64 i = first; !err && i < first + n; i++) {
		model[i] = 'R';
		piece[i] = round;
	}
}

static void model_hook(u64 first, u64 n, unsigned round)
{
	bool free = model_free_of(first, n, 'M');
	bool full = vm->memory.count > MEM_REGIONS - 2;
	int err = hook(first * PAGE_SIZE, n * PAGE_SIZE);

	ck_assert_int_eq(err, !free ? -EEXIST : full ? -ENOSPC : 0);
	for (u64 i = first; !err && i < first + n; i++) {
		model[i] = 'M';
		piece[i] = round;
	}
}

/* How far RAM goes on from a page in one piece. A cut makes two pieces, and 'M' is between. */
static u64 model_run(u64 page)
{
	u64 n = 0;

	while (page + n < MODEL_PAGES && model[page + n] == 'R' && piece[page + n] == piece[page])
		n++;
	return n;
}

static void compare_maps(void)
{
	u64 ram = 0, end = 0;

	for (u64 i = 0; i < MODEL_PAGES; i++) {
		u64 gpa = i * PAGE_SIZE + (i * 37) % PAGE_SIZE;
		const struct mem_region *r = vm_region(vm, GPA(gpa));
		u64 left = model_run(i) * PAGE_SIZE - gpa % PAGE_SIZE;
		void *p = hpa_ptr(HPA(HOST + gpa));

		ck_assert_int_eq(!r ? '.' : r->kind == MEM_RAM ? 'R' : 'M', model[i]);
		ck_assert_ptr_eq(vm_ptr(vm, GPA(gpa), 1), model[i] == 'R' ? p : NULL);
		if (model[i] != 'R')
			continue;
		ck_assert_ptr_eq(vm_ptr(vm, GPA(gpa), left), p);
		ck_assert_ptr_null(vm_ptr(vm, GPA(gpa), left + 1));
		ram += PAGE_SIZE;
	}
	ck_assert_uint_eq(vm->memory.ram_size, ram);
	for (unsigned i = 0; i < vm->memory.count; i++) {
		ck_assert_uint_ge(vm->memory.regions[i].start.a, end);
		end = vm->memory.regions[i].start.a + vm->memory.regions[i].size;
	}
}

START_TEST(random_maps_are_what_the_model_says)
{
	u64 random = 0x1234567 + _i;

	for (unsigned round = 0; round < ROUNDS; round++) {
		u64 first = random_below(&random, MODEL_PAGES);
		u64 n = 1 + random_below(&random, min(MODEL_PAGES - first, 1 + round % 40));

		if (random_below(&random, 60) == 0) {
			memset(&vm->memory, 0, sizeof(vm->memory));
			memset(model, '.', sizeof(model));
		} else if (random_below(&random, 3)) {
			model_add(first, n, round);
		} else {
			model_hook(first, n, round);
		}
		compare_maps();
	}
}
END_TEST

static void setup(void)
{
	fake_machine_init(&m);
	vm = &m.vm;
	memset(model, '.', sizeof(model));
}

static Suite *memory_model_suite(void)
{
	Suite *s = suite_create("memory_model");
	TCase *t = tcase_create("memory_model");

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_loop_test(t, random_maps_are_what_the_model_says, 0, 4);
	suite_add_tcase(s, t);
	return s;
}
SET_ADD(suites, suite_fn, memory_model_suite);

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_permission.c: tests of AMD's permission maps (src/svm/permission.c): every port exits, and
 * of the MSRs all but those that move at a world switch; and each MSR's two bits are where APM vol.
 * 2 §15.11 puts them.
 */
#include <string.h>
#include "fake_guest.h"
#include "fake_pages.h"
#include "lib/errno.h"
#include "suite.h"
#include "svm/svm.h"

#define MAP_BYTES 8192

static struct fake_machine m;
static struct svm_vm *s;

static void setup(void)
{
	fake_machine_init(&m);
	ck_assert_int_eq(svm_vm_create(&m.vm), 0);
	s = m.vm.cpu_state;
}

static void teardown(void)
{
	svm_vm_destroy(&m.vm);
	ck_assert_uint_eq(fake_pages_live(), 0);
}

/* Bit numbers, from the manual's table: ranges of 8192 MSRs, 2 KiB each. */
static const struct {
	u32 msr;
	unsigned bit; /* of the read intercept; the write's is the next */
} places[] = {
	{0x0, 0},
	{0x1b, 0x1b * 2},
	{0x1fff, 0x1fff * 2},
	{0xc0000000, 0x800 * 8},
	{0xc0000080, 0x800 * 8 + 0x80 * 2},
	{0xc0001fff, 0x800 * 8 + 0x1fff * 2},
	{0xc0010000, 0x1000 * 8},
	{0xc0010015, 0x1000 * 8 + 0x15 * 2},
	{0xc0011fff, 0x1000 * 8 + 0x1fff * 2},
};

static bool bit(unsigned n)
{
	return s->msrpm[n / 8] >> n % 8 & 1;
}

START_TEST(each_msr_has_its_bits)
{
	u8 before[MAP_BYTES];
	unsigned n = places[_i].bit;

	for (unsigned what = 0; what < 4; what++) {
		svm_pass_msr(&m.vm, places[_i].msr, false, false);
		memcpy(before, s->msrpm, MAP_BYTES);
		svm_pass_msr(&m.vm, places[_i].msr, what & 1, what & 2);
		ck_assert_int_eq(bit(n), !(what & 1));
		ck_assert_int_eq(bit(n + 1), !(what & 2));
		s->msrpm[n / 8] |= 3 << n % 8;
		ck_assert_mem_eq(s->msrpm, before, MAP_BYTES); /* and no other bit has changed */
	}
}
END_TEST

static const u32 outside[] = {0x2000,	  0x4b564d00, 0xbfffffff, 0xc0002000, 0xc000ffff,
			      0xc0012000, 0xc0020000, 0xffffffff, 0xffff};

START_TEST(other_msrs_always_exit)
{
	u8 before[MAP_BYTES];

	memcpy(before, s->msrpm, MAP_BYTES);
	svm_pass_msr(&m.vm, outside[_i], true, true);
	ck_assert_mem_eq(s->msrpm, before, MAP_BYTES);
}
END_TEST

/* FS, GS and kernel GS base, STAR, LSTAR, CSTAR, SFMASK; SYSENTER's three. APM vol. 2 §15.5.2. */
START_TEST(what_moves_with_the_guest_passes)
{
	static const u32 pass[] = {0x174,      0x175,	   0x176,      0xc0000081, 0xc0000082,
				   0xc0000083, 0xc0000084, 0xc0000100, 0xc0000101, 0xc0000102};
	unsigned clear = 0;

	for (size_t i = 0; i < ARRAY_SIZE(pass); i++) {
		unsigned n =
			pass[i] < 0x2000 ? pass[i] * 2 : 0x800 * 8 + (pass[i] - 0xc0000000) * 2;

		ck_assert(!bit(n) && !bit(n + 1));
	}
	for (unsigned n = 0; n < MAP_BYTES * 8; n++)
		clear += !bit(n);
	ck_assert_uint_eq(clear, 2 * ARRAY_SIZE(pass));
}
END_TEST

START_TEST(every_port_exits)
{
	for (unsigned i = 0; i < 3 * PAGE_SIZE; i++)
		ck_assert_msg(s->iopm[i] == 0xff, "port %#x", i * 8);
	ck_assert(is_aligned((uintptr_t)s->iopm, PAGE_SIZE));
	ck_assert(is_aligned((uintptr_t)s->msrpm, PAGE_SIZE));
}
END_TEST

START_TEST(running_out_of_memory)
{
	struct vm other = {0};

	fake_pages_fail_after(0);
	ck_assert_int_eq(svm_vm_create(&other), -ENOMEM);
	fake_pages_fail_after(-1);
	svm_vm_destroy(&other);
}
END_TEST

static Suite *permission_suite(void)
{
	Suite *suite = suite_create("permission");
	TCase *t = tcase_create("permission");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, each_msr_has_its_bits, 0, ARRAY_SIZE(places));
	tcase_add_loop_test(t, other_msrs_always_exit, 0, ARRAY_SIZE(outside));
	tcase_add_test(t, what_moves_with_the_guest_passes);
	tcase_add_test(t, every_port_exits);
	tcase_add_test(t, running_out_of_memory);
	suite_add_tcase(suite, t);
	return suite;
}
SET_ADD(suites, suite_fn, permission_suite);

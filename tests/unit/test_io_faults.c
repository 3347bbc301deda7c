/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_io_faults.c: tests of INS and OUTS (src/vmm/io.c) on memory that is not there or not to be
 * used so: page faults, addresses that are not canonical, and segments with their limits and wraps.
 */
#include <string.h>
#include "lib/errno.h"
#include "port_device.h"
#include "suite.h"

/* ---- faults on the way ----------------------------------------------------------------------- */

START_TEST(a_page_fault_in_the_middle_of_ins)
{
	fake_code(&port_m, "\xf3\x6c");
	*fake_pte(&port_m, GUEST_DATA + PAGE_SIZE) = 0;
	port_set(5, 0, GUEST_DATA + PAGE_SIZE - 2);
	port_string(1, IN_ | REP_);
	assert_skipped(&port_m, 0);
	assert_page_fault(&port_m, GUEST_DATA + PAGE_SIZE, PF_WRITE);
	assert_port_regs(3, 0, GUEST_DATA + PAGE_SIZE);
	ck_assert_uint_eq(port_dev.count, 2); /* the third is the device's still */
	*fake_pte(&port_m, GUEST_DATA + PAGE_SIZE) = (GUEST_DATA + PAGE_SIZE) | 7;
	port_string(1, IN_ | REP_); /* the guest mends it and goes on */
	assert_skipped(&port_m, 2);
	assert_port_ram(GUEST_DATA + PAGE_SIZE - 2, "\x81\x82\x83\x84\x85", 5);
}
END_TEST

START_TEST(an_element_across_a_border)
{
	u64 at = GUEST_DATA + PAGE_SIZE - 1;

	fake_code(&port_m, "\x6d");
	*fake_pte(&port_m, at + 1) &= ~2ull; /* read only */
	port_m.cpu.regs[VREG_CR0] |= CR0_WP;
	port_set(0, 0, at);
	port_string(4, IN_);
	assert_page_fault(&port_m, at + 1, PF_WRITE | PF_PRESENT);
	ck_assert(fake_ram_untouched(&port_m, at - 3, at + 4)); /* neither part */
	ck_assert_uint_eq(port_dev.count, 0);
	*fake_pte(&port_m, at + 1) |= 2;
	port_string(4, IN_);
	assert_port_ram(at, "\x81\x82\x83\x84", 4);
	assert_skipped(&port_m, 1);
}
END_TEST

START_TEST(a_page_fault_of_outs)
{
	fake_code(&port_m, "\xf3\x6e");
	*fake_pte(&port_m, GUEST_DATA) &= ~4ull; /* the kernel's */
	port_m.cpu.cpl = 3;
	port_set(2, GUEST_DATA - 1, 0);
	port_string(1, REP_);
	assert_page_fault(&port_m, GUEST_DATA, PF_USER | PF_PRESENT);
	assert_port_regs(1, GUEST_DATA, 0);
	ck_assert_uint_eq(port_dev.count, 1);
}
END_TEST

/* APM vol. 2 §5.3.1: #GP(0), and not #PF. */
START_TEST(an_address_that_is_not_canonical)
{
	fake_code(&port_m, "\x6e");
	port_set(0, 0x0000800000000000, 0);
	port_string(1, 0);
	assert_exception(&port_m, VEC_GP, 0);
	assert_skipped(&port_m, 0);
	fake_code(&port_m, "\x6c");
	port_set(0, 0, 0xffff7fffffffffff);
	port_string(1, IN_);
	assert_exception(&port_m, VEC_GP, 0);
	ck_assert_uint_eq(port_dev.count, 0);
	ck_assert_uint_eq(port_m.cpu.regs[VREG_CR2], 0xc2);
}
END_TEST

START_TEST(no_ram_stops_the_vm)
{
	fake_code(&port_m, "\x6c");
	port_set(0, 0, GUEST_RAM);
	ck_assert_int_eq(port_io(1, IN_ | STR_), -EFAULT);
	ck_assert_msg(strstr(port_m.vm.reason, "0x1f0"), "%s", port_m.vm.reason);
	ck_assert_uint_eq(port_dev.count, 0);
}
END_TEST

/* ---- segments -------------------------------------------------------------------------------- */

#define DATA_RW	  (SEG_P | SEG_S | 0x3)
#define DATA_RO	  (SEG_P | SEG_S | 0x1)
#define DATA_DOWN (SEG_P | SEG_S | 0x7)
#define CODE_XO	  (SEG_P | SEG_S | 0x9)
#define CODE_RX	  (SEG_P | SEG_S | 0xb)

static const struct limit {
	u16 attrib;
	u32 limit;
	u64 offset;
	int size;
	bool in, good;
} limits[] = {
	{DATA_RW, 0x1fff, 0x1fff, 1, true, true},
	{DATA_RW, 0x1fff, 0x2000, 1, true, false},
	{DATA_RW, 0x1fff, 0x1ffc, 4, true, true},
	{DATA_RW, 0x1fff, 0x1ffd, 4, true, false},
	{DATA_RW, 0x1fff, 0x1ffd, 4, false, false},
	{DATA_RW, 0xffffffff, 0xfffffffe, 4, false, false}, /* wraps around */
	{DATA_RO, 0x1fff, 0, 1, false, true},
	{DATA_RO, 0x1fff, 0, 1, true, false},
	{CODE_RX, 0x1fff, 0, 1, false, true},
	{CODE_RX, 0x1fff, 0, 1, true, false},
	{CODE_XO, 0x1fff, 0, 1, false, false},
	{DATA_RW & ~SEG_P, 0x1fff, 0, 1, false, false},
	{0, 0, 0, 1, true, false}, /* the null selector */
	{DATA_DOWN, 0x1fff, 0x1fff, 1, true, false},
	{DATA_DOWN, 0x1fff, 0x2000, 1, true, true},
	{DATA_DOWN, 0x1fff, 0xffff, 1, true, true},
	{DATA_DOWN, 0x1fff, 0xffff, 2, true, false},
	{DATA_DOWN | SEG_DB, 0x1fff, 0xffff, 2, true, true},
	{DATA_DOWN | SEG_DB, 0x1fff, 0xffffffff, 2, true, false},
};

/* Every case three times: INS to ES, OUTS from DS or from SS. APM vol. 2 §4.8, §4.12. */
START_TEST(segments_have_limits)
{
	const struct limit *l = &limits[_i];
	enum seg seg = l->in ? SEG_ES : SEG_DS;

	port_m.cpu.segs[seg].attrib = l->attrib;
	port_m.cpu.segs[seg].limit = l->limit;
	port_m.cpu.segs[seg].base = GUEST_DATA;
	port_set(0, l->offset, l->offset);
	fake_code_n(&port_m, l->in ? "\x6d" : "\x6f", 1);
	port_string(l->size, l->in ? IN_ : 0);
	if (l->good) {
		assert_no_event(&port_m);
		ck_assert_uint_eq(port_dev.count, 1);
		assert_skipped(&port_m, 1);
		return;
	}
	assert_exception(&port_m, VEC_GP, 0);
	ck_assert_uint_eq(port_dev.count, 0);
	assert_skipped(&port_m, 0);
	if (l->in)
		return;
	port_m.cpu.segs[SEG_SS] = port_m.cpu.segs[SEG_DS];
	fake_code_n(&port_m, "\x36\x6f", 2);
	port_string(l->size, 0);
	assert_exception(&port_m, VEC_SS, 0);
}
END_TEST

START_TEST(a_base_counts_in_32_bit_code)
{
	fake_code(&port_m, "\xf3\x6c");
	port_m.cpu.segs[SEG_ES].base = 0xffff0000;
	port_set(2, 0, GUEST_DATA + 0x10000); /* the sum wraps at 4 GiB */
	port_string(1, IN_ | REP_);
	assert_port_ram(GUEST_DATA, "\x81\x82", 2);
	assert_skipped(&port_m, 2);
}
END_TEST

START_TEST(sixteen_bit_registers_wrap)
{
	fake_code(&port_m, "\xf3\x6c");
	port_m.cpu.segs[SEG_ES].base = GUEST_DATA;
	port_set(0x10003, 0, 0x1234ffff); /* the upper halves are left alone */
	port_string(1, IN_ | REP_);
	assert_port_regs(0x10000, 0, 0x12340002);
	ck_assert_uint_eq(*fake_ram(&port_m, GUEST_DATA + 0xffff), 0x81);
	ck_assert_mem_eq(fake_ram(&port_m, GUEST_DATA), "\x82\x83\xa5", 3);
	assert_skipped(&port_m, 2);
}
END_TEST

START_TEST(a_word_at_the_end_of_64_kib)
{
	fake_code(&port_m, "\x6d");
	port_m.cpu.segs[SEG_ES].base = GUEST_DATA;
	port_set(0, 0, 0xffff);
	port_string(2, IN_);
	assert_exception(&port_m, VEC_GP, 0);
	ck_assert_uint_eq(port_dev.count, 0);
}
END_TEST

START_TEST(a_prefix_widens_the_address)
{
	fake_code(&port_m, "\xf3\x67\x6c");
	port_m.cpu.segs[SEG_ES].limit = 0xffffffff;
	port_set(1, 0, GUEST_DATA + 0x10000);
	port_string(1, IN_ | REP_);
	assert_port_ram(GUEST_DATA + 0x10000, "\x81", 1);
	assert_port_regs(0, 0, GUEST_DATA + 0x10001);
	assert_skipped(&port_m, 3);
}
END_TEST

static Suite *io_faults_suite(void)
{
	Suite *s = suite_create("io_faults");
	TCase *t = tcase_create("64-bit");
	TCase *p = tcase_create("32-bit");
	TCase *r = tcase_create("16-bit");

	tcase_add_checked_fixture(t, port_setup_64, port_teardown);
	tcase_add_test(t, a_page_fault_in_the_middle_of_ins);
	tcase_add_test(t, an_element_across_a_border);
	tcase_add_test(t, a_page_fault_of_outs);
	tcase_add_test(t, an_address_that_is_not_canonical);
	tcase_add_test(t, no_ram_stops_the_vm);
	suite_add_tcase(s, t);
	tcase_add_checked_fixture(p, port_setup_32, port_teardown);
	tcase_add_loop_test(p, segments_have_limits, 0, ARRAY_SIZE(limits));
	tcase_add_test(p, a_base_counts_in_32_bit_code);
	suite_add_tcase(s, p);
	tcase_add_checked_fixture(r, port_setup_16, port_teardown);
	tcase_add_test(r, sixteen_bit_registers_wrap);
	tcase_add_test(r, a_word_at_the_end_of_64_kib);
	tcase_add_test(r, a_prefix_widens_the_address);
	suite_add_tcase(s, r);
	return s;
}
SET_ADD(suites, suite_fn, io_faults_suite);

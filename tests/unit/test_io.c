/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_io.c: tests of IN, OUT, INS and OUTS (src/vmm/io.c): what of the accumulator changes, which
 * way and how far strings go, and single steps. APM vol. 3.
 */
#include <string.h>
#include "port_device.h"
#include "suite.h"

/* ---- IN and OUT ------------------------------------------------------------------------------ */

START_TEST(in_changes_as_much_as_it_reads)
{
	static const u64 expected[] = {0x1122334455667781, 0x1122334455668382, 0x87868584};
	static const char *const code[] = {"\xec", "\x66\xed", "\xed"};

	for (int i = 0; i < 3; i++) {
		port_m.cpu.regs[VREG_RIP] = GUEST_CODE;
		memcpy(fake_ram(&port_m, GUEST_CODE), code[i], strlen(code[i]));
		port_vcpu->gpr[GPR_RAX] = 0x1122334455667788;
		ck_assert_int_eq(port_io(1 << i, IN_), 0);
		ck_assert_uint_eq(port_vcpu->gpr[GPR_RAX], expected[i]);
		assert_skipped(&port_m, strlen(code[i]));
	}
}
END_TEST

START_TEST(out_changes_nothing)
{
	fake_code(&port_m, "\xe6\xf0");
	port_vcpu->gpr[GPR_RAX] = 0x1122334455667788;
	ck_assert_int_eq(port_io(1, 0), 0);
	assert_skipped(&port_m, 2);
	ck_assert_uint_eq(port_dev.bytes, 1);
	ck_assert_uint_eq(port_dev.written[0], 0x88);
	ck_assert_int_eq(port_io(4, 0), 0);
	ck_assert_mem_eq(port_dev.written + 1, "\x88\x77\x66\x55", 4);
	ck_assert_uint_eq(port_vcpu->gpr[GPR_RAX], 0x1122334455667788);
}
END_TEST

START_TEST(the_processor_may_know_what_is_behind)
{
	struct exit exit = fake_exit(&port_m, EXIT_IO);

	exit.next_rip = GUEST_CODE + 5;
	exit.io.port = PORT;
	exit.io.size = 1;
	ck_assert_int_eq(vcpu_io_exit(port_vcpu, &exit), 0);
	assert_skipped(&port_m, 5);
}
END_TEST

/* ---- strings --------------------------------------------------------------------------------- */

START_TEST(ins_goes_up)
{
	fake_code(&port_m, "\x6c");
	port_set(7, 8, GUEST_DATA);
	port_string(1, IN_);
	assert_skipped(&port_m, 1);
	assert_port_regs(7, 8, GUEST_DATA + 1); /* no REP, so no RCX */
	assert_port_ram(GUEST_DATA, "\x81", 1);
}
END_TEST

START_TEST(rep_insd_goes_down)
{
	fake_code(&port_m, "\xf3\x6d");
	port_m.cpu.regs[VREG_RFLAGS] |= RFLAGS_DF;
	port_set(2, 8, GUEST_DATA + 4);
	port_string(4, IN_ | REP_);
	assert_skipped(&port_m, 2);
	assert_port_regs(0, 8, GUEST_DATA - 4);
	assert_port_ram(GUEST_DATA, "\x85\x86\x87\x88\x81\x82\x83\x84", 8);
}
END_TEST

START_TEST(rep_outsw)
{
	fake_code(&port_m, "\x66\xf3\x6f");
	memcpy(fake_ram(&port_m, GUEST_DATA), "abcdef", 6);
	port_set(3, GUEST_DATA, 5);
	port_string(2, REP_);
	assert_skipped(&port_m, 3);
	assert_port_regs(0, GUEST_DATA + 6, 5);
	ck_assert_uint_eq(port_dev.count, 3);
	ck_assert_mem_eq(port_dev.written, "abcdef", 6);
}
END_TEST

START_TEST(rep_of_nothing)
{
	fake_code(&port_m, "\xf3\x6c");
	port_set(0, 1, 0xdeadbeef00000000); /* no address at all: it is not looked at */
	port_string(1, IN_ | REP_);
	assert_skipped(&port_m, 2);
	assert_port_regs(0, 1, 0xdeadbeef00000000);
	ck_assert_uint_eq(port_dev.count, 0);
}
END_TEST

START_TEST(address_size_32_in_64_bit_code)
{
	fake_code(&port_m, "\xf3\x67\x6c");
	port_set(0xffffffff00000002, 3, 0xffffffff00000000 | GUEST_DATA);
	port_string(1, IN_ | REP_);
	assert_skipped(&port_m, 3);
	assert_port_regs(0, 3, GUEST_DATA + 2); /* upper halves are cleared */
	assert_port_ram(GUEST_DATA, "\x81\x82", 2);
}
END_TEST

START_TEST(fs_has_a_base_in_64_bit_code)
{
	fake_code(&port_m, "\x64\x6e"); /* outsb from fs:[rsi] */
	port_m.cpu.segs[SEG_FS].base = GUEST_DATA;
	port_m.cpu.segs[SEG_DS].base = 0x1000;
	*fake_ram(&port_m, GUEST_DATA + 2) = 'f';
	port_set(0, 2, 0);
	port_string(1, 0);
	ck_assert_uint_eq(port_dev.written[0], 'f');
	port_m.cpu.regs[VREG_RIP] = GUEST_CODE;
	fake_code(&port_m, "\x6e\x90"); /* and DS has none */
	*fake_ram(&port_m, 0x40000) = 'd';
	port_set(0, 0x40000, 0);
	port_string(1, 0);
	ck_assert_uint_eq(port_dev.written[1], 'd');
}
END_TEST

START_TEST(a_long_one_is_done_in_pieces)
{
	u64 total = 10000;
	unsigned exits = 0;

	fake_code(&port_m, "\xf3\x6c");
	port_set(total, 0, GUEST_DATA);
	for (; port_m.cpu.regs[VREG_RIP] == GUEST_CODE; exits++) {
		u64 before = port_vcpu->gpr[GPR_RCX];

		port_string(1, IN_ | REP_);
		ck_assert_uint_lt(port_vcpu->gpr[GPR_RCX], before);
		ck_assert_uint_eq(port_vcpu->gpr[GPR_RDI],
				  GUEST_DATA + total - port_vcpu->gpr[GPR_RCX]);
		ck_assert_uint_eq(port_dev.count, total - port_vcpu->gpr[GPR_RCX]);
	}
	ck_assert_uint_gt(exits, 1); /* interrupts get their turn */
	assert_port_regs(0, 0, GUEST_DATA + total);
	assert_no_event(&port_m);
}
END_TEST

START_TEST(a_stopped_vm_reads_no_more)
{
	fake_code(&port_m, "\xf3\x6c");
	port_dev.stop_at = 3;
	port_set(10, 0, GUEST_DATA);
	port_string(1, IN_ | REP_);
	ck_assert_uint_eq(port_dev.count, 3);
	assert_port_regs(7, 0, GUEST_DATA + 3);
}
END_TEST

/* ---- single steps ---------------------------------------------------------------------------- */

START_TEST(each_element_is_a_step)
{
	fake_code(&port_m, "\xf3\x6c");
	port_m.cpu.regs[VREG_RFLAGS] |= RFLAGS_TF;
	port_set(3, 0, GUEST_DATA);
	for (unsigned i = 1; i <= 3; i++) {
		port_string(1, IN_ | REP_);
		assert_exception(&port_m, VEC_DB, 0);
		ck_assert_uint_ne(port_m.cpu.regs[VREG_DR6] & BIT(14), 0);
		assert_port_regs(3 - i, 0, GUEST_DATA + i);
		assert_skipped(&port_m, i == 3 ? 2 : 0);
	}
}
END_TEST

START_TEST(a_step_of_rep_of_nothing)
{
	fake_code(&port_m, "\xf3\x6c");
	port_m.cpu.regs[VREG_RFLAGS] |= RFLAGS_TF;
	port_string(1, IN_ | REP_);
	assert_exception(&port_m, VEC_DB, 0);
	assert_skipped(&port_m, 2);
}
END_TEST

static Suite *io_suite(void)
{
	Suite *s = suite_create("io");
	TCase *t = tcase_create("64-bit");

	tcase_add_checked_fixture(t, port_setup_64, port_teardown);
	tcase_add_test(t, in_changes_as_much_as_it_reads);
	tcase_add_test(t, out_changes_nothing);
	tcase_add_test(t, the_processor_may_know_what_is_behind);
	tcase_add_test(t, ins_goes_up);
	tcase_add_test(t, rep_insd_goes_down);
	tcase_add_test(t, rep_outsw);
	tcase_add_test(t, rep_of_nothing);
	tcase_add_test(t, address_size_32_in_64_bit_code);
	tcase_add_test(t, fs_has_a_base_in_64_bit_code);
	tcase_add_test(t, a_long_one_is_done_in_pieces);
	tcase_add_test(t, a_stopped_vm_reads_no_more);
	tcase_add_test(t, each_element_is_a_step);
	tcase_add_test(t, a_step_of_rep_of_nothing);
	suite_add_tcase(s, t);
	return s;
}
SET_ADD(suites, suite_fn, io_suite);

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_ports.c: the devices of a port or two: debug console, exit port, reset and power.
 */
#include "fake_vm.h"
#include "suite.h"

static struct fake_vm f;

static void setup(void)
{
	fake_vm_create(&f, "debugcon exitport reset");
}

static void teardown(void)
{
	fake_vm_destroy(&f);
}

START_TEST(debugcon_writes_and_tells_that_it_is_there)
{
	fake_out(&f, 0xe9, 'o');
	fake_out(&f, 0xe9, 'k');
	ck_assert_str_eq(fake_output(), "ok");
	ck_assert_uint_eq(fake_in(&f, 0xe9), 0xe9);
	ck_assert_uint_eq(vm_in(&f.vm, 0xe9, 2), 0xffe9);
	vm_out(&f.vm, 0xe9, 4, 0x33323130); /* one port, so one byte */
	ck_assert_str_eq(fake_output(), "0");
}
END_TEST

START_TEST(exit_port_stops_with_a_status)
{
	ck_assert_uint_eq(fake_in(&f, 0xf4), 0xff);
	ck_assert_int_eq(f.vm.state, VM_RUNNING);
	vm_out(&f.vm, 0xf4, 4, 0x102a); /* as for QEMU's, which is four ports wide */
	ck_assert_int_eq(f.vm.state, VM_EXITED);
	ck_assert_uint_eq(f.vm.status, 0x2a);
}
END_TEST

START_TEST(the_keyboard_controller_only_resets)
{
	ck_assert_uint_eq(fake_in(&f, 0x64), 0xff);
	ck_assert_uint_eq(fake_in(&f, 0x60), 0xff);
	fake_out(&f, 0x60, 0xfe);
	for (unsigned command = 0; command < 0xfe; command++)
		fake_out(&f, 0x64, command);
	fake_out(&f, 0x64, 0xff);
	ck_assert_int_eq(f.vm.state, VM_RUNNING);
	vm_out(&f.vm, 0x64, 2, 0x12fe); /* one port, so one byte */
	ck_assert_int_eq(f.vm.state, VM_RESET);
}
END_TEST

START_TEST(port_92_has_a20_and_reset)
{
	ck_assert_uint_eq(fake_in(&f, 0x92), 0x02);
	fake_out(&f, 0x92, 0x00);
	ck_assert_uint_eq(fake_in(&f, 0x92), 0x00);
	fake_out(&f, 0x92, 0xfe);
	ck_assert_uint_eq(vm_in(&f.vm, 0x92, 2), 0xff02);
	ck_assert_int_eq(f.vm.state, VM_RUNNING);
	fake_out(&f, 0x92, 0x03);
	ck_assert_int_eq(f.vm.state, VM_RESET);
}
END_TEST

START_TEST(port_cf9_resets)
{
	vm_out(&f.vm, 0xcf8, 4, 0x80000600); /* PCI's, though it covers cf9 */
	ck_assert_uint_eq(vm_in(&f.vm, 0xcf8, 4), 0xffffffff);
	ck_assert_uint_eq(fake_in(&f, 0xcf9), 0x00);
	fake_out(&f, 0xcf9, 0x03); /* bit 0 is reserved */
	ck_assert_uint_eq(vm_in(&f.vm, 0xcf9, 2), 0xff02);
	fake_out(&f, 0xcf9, 0x02); /* Linux: hard reset, then the reset bit */
	ck_assert_int_eq(f.vm.state, VM_RUNNING);
	fake_out(&f, 0xcf9, 0x06);
	ck_assert_int_eq(f.vm.state, VM_RESET);
}
END_TEST

START_TEST(port_604_switches_off)
{
	ck_assert_uint_eq(vm_in(&f.vm, 0x604, 2), 0xffff);
	vm_out(&f.vm, 0x604, 2, 0x0001); /* SCI enable */
	vm_out(&f.vm, 0x604, 2, 0x2400); /* some other sleep */
	vm_out(&f.vm, 0x604, 1, 0x00);
	vm_out(&f.vm, 0x605, 1, 0x20);
	ck_assert_int_eq(f.vm.state, VM_RUNNING);
	vm_out(&f.vm, 0x604, 2, 0x2001);
	ck_assert_int_eq(f.vm.state, VM_POWEROFF);
}
END_TEST

static Suite *ports_suite(void)
{
	Suite *s = suite_create("ports");
	TCase *t = tcase_create("ports");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, debugcon_writes_and_tells_that_it_is_there);
	tcase_add_test(t, exit_port_stops_with_a_status);
	tcase_add_test(t, the_keyboard_controller_only_resets);
	tcase_add_test(t, port_92_has_a20_and_reset);
	tcase_add_test(t, port_cf9_resets);
	tcase_add_test(t, port_604_switches_off);
	suite_add_tcase(s, t);
	return s;
}
SET_ADD(suites, suite_fn, ports_suite);

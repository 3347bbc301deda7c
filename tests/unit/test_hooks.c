/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_hooks.c: tests of hooks for ports and exits (src/vmm/hooks.c, exit.c): how wide accesses are
 * split, what floats, what the core still does, and how many hooks there are.
 */
#include <stdio.h>
#include <string.h>
#include "fake_guest.h"
#include "fake_pages.h"
#include "lib/errno.h"
#include "suite.h"

static struct fake_machine m;
static struct vm *vm;
static struct vcpu *vcpu;

static void setup(void)
{
	fake_guest_create(&m, CODE_64);
	vm = &m.vm;
	vcpu = &m.vcpu;
}

static void teardown(void)
{
	fake_guest_destroy(&m);
	ck_assert_uint_eq(fake_pages_live(), 0);
}

/* ---- ports ----------------------------------------------------------------------------------- */

/* What a device heard, as text: port, size and value of each access. */
static char heard[256];

static void hear(const char *fmt, u16 port, int size, u32 value)
{
	size_t n = strlen(heard);

	snprintf(heard + n, sizeof(heard) - n, fmt, port, size, value);
}

static u32 port_in(void *opaque, u16 port, int size)
{
	ck_assert_ptr_eq(opaque, &m);
	hear("r%x.%d ", port, size, 0);
	return 0xa1b2c300 | (port & 0xff); /* more than was asked for */
}

static void port_out(void *opaque, u16 port, int size, u32 value)
{
	ck_assert_ptr_eq(opaque, &m);
	hear("w%x.%d=%x ", port, size, value);
}

static int hook_ports(u16 first, u16 last, u8 width)
{
	struct io_hook hook = {first, last, width, port_in, port_out, &m};

	return vm_hook_io(vm, &hook);
}

static const char *after_in(u16 port, int size, u32 expected)
{
	heard[0] = 0;
	ck_assert_uint_eq(vm_in(vm, port, size), expected);
	return heard;
}

static const char *after_out(u16 port, int size, u32 value)
{
	heard[0] = 0;
	vm_out(vm, port, size, value);
	return heard;
}

START_TEST(ports_float)
{
	ck_assert_str_eq(after_in(0, 1, 0xff), "");
	ck_assert_str_eq(after_in(0x1234, 2, 0xffff), "");
	ck_assert_str_eq(after_in(0xffff, 4, 0xffffffff), "");
	ck_assert_str_eq(after_out(0xffff, 4, 1), "");
}
END_TEST

START_TEST(wide_accesses_are_split)
{
	ck_assert_int_eq(hook_ports(0x70, 0x73, 1), 0);
	ck_assert_str_eq(after_in(0x70, 1, 0x70), "r70.1 ");
	ck_assert_str_eq(after_in(0x70, 2, 0x7170), "r70.1 r71.1 ");
	ck_assert_str_eq(after_in(0x70, 4, 0x73727170), "r70.1 r71.1 r72.1 r73.1 ");
	ck_assert_str_eq(after_in(0x73, 4, 0xffffff73), "r73.1 "); /* beyond the device it floats */
	ck_assert_str_eq(after_out(0x70, 4, 0x44332211), "w70.1=11 w71.1=22 w72.1=33 w73.1=44 ");
	ck_assert_str_eq(after_out(0x72, 2, 0xff998877), "w72.1=77 w73.1=88 ");
}
END_TEST

START_TEST(a_width_is_a_limit_only)
{
	ck_assert_int_eq(hook_ports(0x100, 0x107, 2), 0);
	ck_assert_int_eq(hook_ports(0x200, 0x207, 4), 0);
	ck_assert_str_eq(after_in(0x104, 1, 0x04), "r104.1 ");
	ck_assert_str_eq(after_in(0x104, 2, 0xc304), "r104.2 ");
	ck_assert_str_eq(after_in(0x104, 4, 0xc306c304), "r104.2 r106.2 ");
	ck_assert_str_eq(after_out(0x104, 4, 0x11112222), "w104.2=2222 w106.2=1111 ");
	ck_assert_str_eq(after_in(0x200, 4, 0xa1b2c300), "r200.4 ");
	ck_assert_str_eq(after_out(0x200, 1, 0x1122), "w200.1=22 "); /* no more than there is */
	ck_assert_str_eq(after_out(0x200, 2, 0x112233), "w200.2=2233 ");
}
END_TEST

START_TEST(a_split_access_reaches_the_next_device)
{
	ck_assert_int_eq(hook_ports(0x60, 0x60, 1), 0);
	ck_assert_int_eq(hook_ports(0x61, 0x62, 2), 0);
	ck_assert_str_eq(after_in(0x60, 4, 0xff626160), "r60.1 r61.1 r62.1 ");
}
END_TEST

START_TEST(missing_callbacks_float)
{
	struct io_hook hook = {.first = 0x80, .last = 0x83, .width = 1};

	ck_assert_int_eq(vm_hook_io(vm, &hook), 0);
	ck_assert_str_eq(after_in(0x80, 1, 0xff), "");
	ck_assert_str_eq(after_in(0x80, 4, 0xffffffff), "");
	ck_assert_str_eq(after_out(0x80, 4, 0), "");
}
END_TEST

START_TEST(the_last_port)
{
	ck_assert_int_eq(hook_ports(0xfff0, 0xffff, 1), 0);
	ck_assert_str_eq(after_in(0xffff, 1, 0xff), "rffff.1 ");
	ck_assert_str_eq(after_out(0xffff, 1, 0x12), "wffff.1=12 ");
	ck_assert_str_eq(after_in(0xffff, 4, 0xffffffff), "rffff.1 ");
	ck_assert_str_eq(after_in(0xffef, 1, 0xff), "");
}
END_TEST

START_TEST(all_ports)
{
	ck_assert_int_eq(hook_ports(0, 0xffff, 4), 0);
	ck_assert_str_eq(after_in(0, 4, 0xa1b2c300), "r0.4 ");
	ck_assert_str_eq(after_in(0xffff, 1, 0xff), "rffff.1 ");
	ck_assert_int_eq(hook_ports(0x80, 0x80, 1), -EEXIST);
}
END_TEST

START_TEST(wrong_port_hooks_are_refused)
{
	ck_assert_int_eq(hook_ports(0x11, 0x10, 1), -EINVAL);
	for (unsigned width = 0; width < 10; width++)
		ck_assert_int_eq(hook_ports(0x400 + 16 * width, 0x400 + 16 * width, width),
				 width == 1 || width == 2 || width == 4 ? 0 : -EINVAL);
	ck_assert_int_eq(hook_ports(0x20, 0x2f, 1), 0);
	ck_assert_int_eq(hook_ports(0x1f, 0x20, 1), -EEXIST);
	ck_assert_int_eq(hook_ports(0x2f, 0x30, 1), -EEXIST);
	ck_assert_int_eq(hook_ports(0x22, 0x22, 1), -EEXIST);
	ck_assert_int_eq(hook_ports(0x10, 0x40, 1), -EEXIST);
	ck_assert_str_eq(after_in(0x1f, 1, 0xff), ""); /* nothing of them is left */
	ck_assert_str_eq(after_in(0x30, 1, 0xff), "");
	ck_assert_int_eq(hook_ports(0x1f, 0x1f, 1), 0);
	ck_assert_int_eq(hook_ports(0x30, 0x30, 1), 0);
}
END_TEST

START_TEST(port_hooks_run_out)
{
	for (unsigned i = 0; i < IO_HOOKS; i++)
		ck_assert_int_eq(hook_ports(i, i, 1), 0);
	ck_assert_int_eq(hook_ports(0x1000, 0x1000, 1), -ENOSPC);
	ck_assert_str_eq(after_in(IO_HOOKS - 1, 1, IO_HOOKS - 1), "r1f.1 ");
	ck_assert_str_eq(after_in(0x1000, 1, 0xff), "");
}
END_TEST

/* ---- exits ----------------------------------------------------------------------------------- */

static int exit_result;
static unsigned exits_seen;

static int exit_fn(struct vcpu *v, const struct exit *exit, void *opaque)
{
	ck_assert_ptr_eq(v, vcpu);
	ck_assert_ptr_eq(opaque, &m);
	ck_assert_uint_eq(exit->rip, GUEST_CODE);
	exits_seen++;
	return exit_result;
}

static void rdmsr_exit(void)
{
	struct exit exit;

	m.cpu.regs[VREG_RIP] = GUEST_CODE;
	exit = fake_exit(&m, EXIT_RDMSR);
	exit.next_rip = GUEST_CODE + 2;
	vcpu->gpr[GPR_RCX] = MSR_EFER;
	exit_dispatch(vcpu, &exit);
}

START_TEST(exit_hooks_go_first)
{
	struct exit_hook hook = {EXIT_RDMSR, exit_fn, &m};

	ck_assert_int_eq(vm_hook_exit(vm, &hook), 0);
	ck_assert_int_eq(vm_hook_exit(vm, &hook), -EEXIST);
	rdmsr_exit();
	ck_assert_uint_eq(exits_seen, 1);
	assert_skipped(&m, 2); /* and then the monitor */
	exit_result = 1;
	rdmsr_exit();
	ck_assert_uint_eq(exits_seen, 2);
	assert_skipped(&m, 0); /* the hook did it all */
	ck_assert_int_eq(vm->state, VM_RUNNING);
	vcpu->requests = 0;
	exit_dispatch(vcpu, &(struct exit){.kind = EXIT_INTERRUPT}); /* another kind */
	ck_assert_uint_eq(exits_seen, 2);
	exit_result = -EIO;
	rdmsr_exit();
	ck_assert_int_eq(vm->state, VM_FAILED);
	ck_assert_msg(strstr(vm->reason, "rdmsr"), "%s", vm->reason);
}
END_TEST

START_TEST(every_kind_of_exit_can_be_hooked)
{
	struct exit exit = {.rip = GUEST_CODE};

	exit_result = 1;
	for (unsigned kind = 0; kind < EXIT_KIND_COUNT; kind++) {
		struct exit_hook hook = {kind, exit_fn, &m};

		ck_assert_int_eq(vm_hook_exit(vm, &hook), 0);
		exit.kind = kind;
		exit_dispatch(vcpu, &exit);
		ck_assert_uint_eq(exits_seen, kind + 1);
	}
	ck_assert_int_eq(vm->state, VM_RUNNING);
}
END_TEST

static Suite *hooks_suite(void)
{
	Suite *s = suite_create("hooks");
	TCase *t = tcase_create("hooks");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, ports_float);
	tcase_add_test(t, wide_accesses_are_split);
	tcase_add_test(t, a_width_is_a_limit_only);
	tcase_add_test(t, a_split_access_reaches_the_next_device);
	tcase_add_test(t, missing_callbacks_float);
	tcase_add_test(t, the_last_port);
	tcase_add_test(t, all_ports);
	tcase_add_test(t, wrong_port_hooks_are_refused);
	tcase_add_test(t, port_hooks_run_out);
	tcase_add_test(t, exit_hooks_go_first);
	tcase_add_test(t, every_kind_of_exit_can_be_hooked);
	suite_add_tcase(s, t);
	return s;
}
SET_ADD(suites, suite_fn, hooks_suite);

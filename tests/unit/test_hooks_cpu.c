/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_hooks_cpu.c: tests of hooks for what a processor offers: MSRs, CPUID, hypercalls
 * (src/vmm/hooks.c, and their callers in msr.c, cpuid.c, hypercall.c).
 */
#include "fake_cpuid.h"
#include "fake_guest.h"
#include "fake_pages.h"
#include "fake_vm.h"
#include "lib/errno.h"
#include "suite.h"
#include "vmm/hypercall.h"

static struct fake_machine m;
static struct vm *vm;
static struct vcpu *vcpu;

static void setup(void)
{
	fake_guest_create(&m, CODE_64);
	fake_clock_reset();
	vm = &m.vm;
	vcpu = &m.vcpu;
}

static void teardown(void)
{
	fake_guest_destroy(&m);
	ck_assert_uint_eq(fake_pages_live(), 0);
}

/* ---- MSRs ------------------------------------------------------------------------------------ */

static u64 msr_value;
static int msr_error;

static int msr_read(struct vcpu *v, u32 msr, u64 *value, void *opaque)
{
	ck_assert_ptr_eq(v, vcpu);
	ck_assert_ptr_eq(opaque, &m);
	*value = msr_value + msr;
	return msr_error;
}

static int msr_write(struct vcpu *v, u32 msr, u64 value, void *opaque)
{
	ck_assert_ptr_eq(v, vcpu);
	ck_assert_ptr_eq(opaque, &m);
	msr_value = value - msr;
	return msr_error;
}

static int hook_msrs(u32 first, u32 last)
{
	struct msr_hook hook = {first, last, msr_read, msr_write, &m};

	return vm_hook_msr(vm, &hook);
}

static void msr_exit(bool write, u32 msr, u64 value)
{
	struct exit exit;

	m.cpu.regs[VREG_RIP] = GUEST_CODE;
	exit = fake_exit(&m, write ? EXIT_WRMSR : EXIT_RDMSR);
	exit.next_rip = GUEST_CODE + 2;
	vcpu->gpr[GPR_RCX] = 0xbad0000000000000 | msr;
	vcpu->gpr[GPR_RAX] = 0xbad0000000000000 | (u32)value;
	vcpu->gpr[GPR_RDX] = 0xbad0000000000000 | value >> 32;
	exit_dispatch(vcpu, &exit);
}

START_TEST(msr_hooks_read_and_write)
{
	ck_assert_int_eq(hook_msrs(0x4b564d00, 0x4b564d01), 0);
	msr_exit(true, 0x4b564d01, 0x123456789abcdef0);
	assert_skipped(&m, 2);
	ck_assert_uint_eq(msr_value, 0x123456789abcdef0 - 0x4b564d01);
	msr_exit(false, 0x4b564d01, 0);
	assert_skipped(&m, 2);
	ck_assert_uint_eq(vcpu->gpr[GPR_RAX], 0x9abcdef0);
	ck_assert_uint_eq(vcpu->gpr[GPR_RDX], 0x12345678);
	msr_exit(false, 0x4b564d02, 0); /* behind it */
	assert_exception(&m, VEC_GP, 0);
	msr_exit(false, 0x4b564cff, 0);
	assert_exception(&m, VEC_GP, 0);
}
END_TEST

START_TEST(msr_hooks_come_before_the_core)
{
	ck_assert_int_eq(hook_msrs(MSR_PAT, MSR_PAT), 0);
	msr_value = 5;
	msr_exit(false, MSR_PAT, 0);
	ck_assert_uint_eq(vcpu->gpr[GPR_RAX], 5 + MSR_PAT);
	ck_assert_int_eq(hook_msrs(0, 0), 0); /* the ends of the numbers */
	ck_assert_int_eq(hook_msrs(~0u, ~0u), 0);
	msr_exit(false, ~0u, 0);
	assert_no_event(&m);
	msr_exit(false, 1, 0);
	assert_exception(&m, VEC_GP, 0);
}
END_TEST

START_TEST(msr_hooks_refuse)
{
	ck_assert_int_eq(hook_msrs(0x100, 0x10f), 0);
	msr_error = -EPERM;
	msr_exit(false, 0x100, 7);
	assert_exception(&m, VEC_GP, 0);
	assert_skipped(&m, 0);
	ck_assert_uint_eq(vcpu->gpr[GPR_RAX], 0xbad0000000000007); /* as it was */
	msr_exit(true, 0x100, 7);
	assert_exception(&m, VEC_GP, 0);
	assert_skipped(&m, 0);
	ck_assert_int_eq(vm->state, VM_RUNNING);
	msr_error = -EIO; /* anything else stops the VM */
	msr_exit(true, 0x100, 7);
	ck_assert_int_eq(vm->state, VM_FAILED);
	assert_no_event(&m);
	assert_skipped(&m, 0);
}
END_TEST

START_TEST(missing_msr_callbacks_refuse)
{
	struct msr_hook hook = {.first = 0x10, .last = 0x10}; /* the TSC, which the core knows */

	ck_assert_int_eq(vm_hook_msr(vm, &hook), 0);
	msr_exit(false, 0x10, 0);
	assert_exception(&m, VEC_GP, 0);
	msr_exit(true, 0x10, 0);
	assert_exception(&m, VEC_GP, 0);
}
END_TEST

START_TEST(wrong_msr_hooks_are_refused)
{
	ck_assert_int_eq(hook_msrs(2, 1), -EINVAL);
	ck_assert_int_eq(hook_msrs(0x20, 0x2f), 0);
	ck_assert_int_eq(hook_msrs(0x10, 0x20), -EEXIST);
	ck_assert_int_eq(hook_msrs(0x2f, 0x30), -EEXIST);
	ck_assert_int_eq(hook_msrs(0, ~0u), -EEXIST);
	for (unsigned i = 1; i < MSR_HOOKS; i++)
		ck_assert_int_eq(hook_msrs(0x100 + i, 0x100 + i), 0);
	ck_assert_int_eq(hook_msrs(0x1000, 0x1000), -ENOSPC);
}
END_TEST

/* ---- CPUID ----------------------------------------------------------------------------------- */

static void cpuid_fn(struct vcpu *v, u32 leaf, u32 subleaf, struct cpuid_regs *r, void *opaque)
{
	ck_assert_ptr_eq(v, vcpu);
	r->eax = leaf;
	r->ebx = subleaf;
	r->edx = r->edx * 2 + *(int *)opaque; /* what the one before made of it */
}

static int hook_cpuid(u32 first, u32 last, int *number)
{
	struct cpuid_hook hook = {first, last, cpuid_fn, number};

	return vm_hook_cpuid(vm, &hook);
}

START_TEST(cpuid_hooks_change_the_answer)
{
	int one = 1, two = 2;
	struct cpuid_regs r;

	fake_cpuid = fake_cpuid_none;
	ck_assert_int_eq(hook_cpuid(0x40000100, 0x40000101, &one), 0);
	ck_assert_int_eq(hook_cpuid(0x40000101, 0x40000102, &two), 0); /* two at one leaf */
	r = vcpu_cpuid(vcpu, 0x40000101, 9);
	ck_assert_uint_eq(r.eax, 0x40000101);
	ck_assert_uint_eq(r.ebx, 9);
	ck_assert_uint_eq(r.edx, 4);
	ck_assert_uint_eq(vcpu_cpuid(vcpu, 0x40000100, 0).edx, 1);
	ck_assert_uint_eq(vcpu_cpuid(vcpu, 0x40000102, 0).edx, 2);
	ck_assert_uint_eq(vcpu_cpuid(vcpu, 0x400000ff, 0).edx, 0);
	ck_assert_uint_eq(vcpu_cpuid(vcpu, 0x40000103, 0).edx, 0);
}
END_TEST

START_TEST(wrong_cpuid_hooks_are_refused)
{
	struct cpuid_hook none = {.first = 1, .last = 1};
	int number = 0;

	ck_assert_int_eq(vm_hook_cpuid(vm, &none), -EINVAL);
	ck_assert_int_eq(hook_cpuid(2, 1, &number), -EINVAL);
	for (unsigned i = 0; i < CPUID_HOOKS; i++)
		ck_assert_int_eq(hook_cpuid(1, 1, &number), 0);
	ck_assert_int_eq(hook_cpuid(1, 1, &number), -ENOSPC);
}
END_TEST

/* ---- hypercalls ------------------------------------------------------------------------------ */

static s64 call_fn(struct vcpu *v, const u64 args[4], void *opaque)
{
	ck_assert_ptr_eq(v, vcpu);
	ck_assert_ptr_eq(opaque, &m);
	return args[0] * 1000 + args[1] * 100 + args[2] * 10 + args[3];
}

static u64 call(u64 number, u64 rbx)
{
	struct exit exit;

	m.cpu.regs[VREG_RIP] = GUEST_CODE;
	exit = fake_exit(&m, EXIT_HYPERCALL);
	fake_code(&m, "\x0f\x01\xd9");
	vcpu->gpr[GPR_RAX] = number;
	vcpu->gpr[GPR_RBX] = rbx;
	vcpu->gpr[GPR_RCX] = 2;
	vcpu->gpr[GPR_RDX] = 3;
	vcpu->gpr[GPR_RSI] = 4;
	exit_dispatch(vcpu, &exit);
	return vcpu->gpr[GPR_RAX];
}

START_TEST(the_hypercalls_of_every_vm)
{
	ck_assert_uint_eq(call(0, 0), 1);
	assert_skipped(&m, 3);
	ck_assert_uint_eq(call(1, 'x'), 0);
	ck_assert_uint_eq(call(1, '\n'), 0);
	ck_assert_str_eq(fake_output(), "x\n");
	ck_assert_int_eq(vm->state, VM_RUNNING);
	m.cpu.advances = 0;
	ck_assert_uint_eq(call(99, 0), (u64)-ENOSYS);
	assert_skipped(&m, 3);
	call(2, 0x142);
	ck_assert_int_eq(vm->state, VM_EXITED);
	ck_assert_uint_eq(vm->status, 0x42);
}
END_TEST

START_TEST(hypercall_hooks)
{
	struct hypercall_hook hook = {0x100000001, call_fn, &m};

	ck_assert_int_eq(vm_hook_hypercall(vm, &hook), 0);
	ck_assert_int_eq(vm_hook_hypercall(vm, &hook), -EEXIST);
	ck_assert_uint_eq(call(0x100000001, 1), 1234); /* all 64 bits of the number count */
	ck_assert_uint_eq(vcpu->gpr[GPR_RCX], 2);
	ck_assert_uint_eq(vcpu->gpr[GPR_RBX], 1);
	ck_assert_uint_eq(call(0x200000001, 1), (u64)-ENOSYS);
	for (u64 i = 1; i < HYPERCALL_HOOKS; i++) {
		hook.number = 100 + i;
		ck_assert_int_eq(vm_hook_hypercall(vm, &hook), 0);
	}
	hook.number = 1000;
	ck_assert_int_eq(vm_hook_hypercall(vm, &hook), -ENOSPC);
}
END_TEST

START_TEST(hypercalls_are_for_the_kernel)
{
	m.cpu.cpl = 3;
	ck_assert_uint_eq(call(2, 1), 2);
	assert_exception(&m, VEC_UD, 0);
	assert_skipped(&m, 0);
	ck_assert_int_eq(vm->state, VM_RUNNING);
	m.cpu.cpl = 1;
	call(2, 1);
	assert_exception(&m, VEC_UD, 0);
}
END_TEST

static Suite *hooks_cpu_suite(void)
{
	Suite *s = suite_create("hooks_cpu");
	TCase *t = tcase_create("hooks_cpu");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, msr_hooks_read_and_write);
	tcase_add_test(t, msr_hooks_come_before_the_core);
	tcase_add_test(t, msr_hooks_refuse);
	tcase_add_test(t, missing_msr_callbacks_refuse);
	tcase_add_test(t, wrong_msr_hooks_are_refused);
	tcase_add_test(t, cpuid_hooks_change_the_answer);
	tcase_add_test(t, wrong_cpuid_hooks_are_refused);
	tcase_add_test(t, the_hypercalls_of_every_vm);
	tcase_add_test(t, hypercall_hooks);
	tcase_add_test(t, hypercalls_are_for_the_kernel);
	suite_add_tcase(s, t);
	return s;
}
SET_ADD(suites, suite_fn, hooks_cpu_suite);

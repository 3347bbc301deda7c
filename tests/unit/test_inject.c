/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_inject.c: tests of exceptions for the guest (src/vmm/inject.c): what is injected, what two
 * exceptions in a row become (APM vol. 2 §8.2.9), events that an exit cut short, and single steps.
 */
#include "fake_guest.h"
#include "suite.h"

static struct fake_machine m;
static struct vcpu *vcpu;

static void setup(void)
{
	fake_guest_create(&m, CODE_64);
	vcpu = &m.vcpu;
}

static void teardown(void)
{
	fake_guest_destroy(&m);
}

START_TEST(exceptions_have_an_error_code_if_they_should)
{
	static const u8 with_error[] = {8, 10, 11, 12, 13, 14, 17, 21}; /* APM vol. 2 table 8-1 */
	bool expected = false;

	for (size_t i = 0; i < sizeof(with_error); i++)
		expected |= with_error[i] == _i;
	vcpu_exception(vcpu, _i, 0x1234);
	ck_assert_int_eq(m.cpu.event.has_error, expected);
	assert_exception(&m, _i, 0x1234);
	ck_assert_uint_eq(m.cpu.regs[VREG_CR2], 0xc2); /* as it was */
}
END_TEST

START_TEST(page_faults_set_cr2)
{
	vcpu_page_fault(vcpu, GVA(0xffff800000001234), PF_WRITE | PF_USER);
	assert_page_fault(&m, 0xffff800000001234, PF_WRITE | PF_USER);
}
END_TEST

/* ---- two in a row ---------------------------------------------------------------------------- */

/* APM vol. 2 §8.2.9: the exceptions that make a double fault, written out by hand. */
static bool is_contributory(int vector)
{
	return vector == 0 || (vector >= 10 && vector <= 13);
}

static bool double_fault(int first, int second)
{
	if (is_contributory(first))
		return is_contributory(second);
	return first == 14 && (second == 14 || is_contributory(second));
}

/* One test for each first vector; all seconds. */
START_TEST(two_exceptions)
{
	if (_i == VEC_NMI || _i == VEC_DF)
		return;
	for (int second = 0; second < 22; second++) {
		if (second == VEC_NMI || second == VEC_DF)
			continue;
		vcpu_exception(vcpu, _i, 0x10);
		vcpu_exception(vcpu, second, 0x20);
		if (double_fault(_i, second))
			assert_exception(&m, VEC_DF, 0);
		else
			assert_exception(&m, second, 0x20);
		ck_assert_int_eq(m.vm.state, VM_RUNNING);
	}
}
END_TEST

START_TEST(the_second_page_fault_counts_too)
{
	vcpu_page_fault(vcpu, GVA(0x1000), 0);
	vcpu_page_fault(vcpu, GVA(0x2000), 0);
	assert_exception(&m, VEC_DF, 0);
	ck_assert_uint_eq(m.cpu.event.error, 0);
	vcpu_exception(vcpu, VEC_GP, 8);
	vcpu_page_fault(vcpu, GVA(0x3000), PF_USER); /* after a contributory one: by itself */
	assert_page_fault(&m, 0x3000, PF_USER);
}
END_TEST

START_TEST(a_third_is_a_shutdown)
{
	vcpu_exception(vcpu, VEC_GP, 0);
	vcpu_exception(vcpu, VEC_NP, 0);
	ck_assert_int_eq(m.vm.state, VM_RUNNING);
	vcpu_exception(vcpu, _i ? VEC_PF : VEC_GP, 0);
	ck_assert_int_eq(m.vm.state, VM_SHUTDOWN);
}
END_TEST

START_TEST(a_benign_one_goes_before_a_double_fault)
{
	vcpu_exception(vcpu, VEC_GP, 0);
	vcpu_exception(vcpu, VEC_NP, 0);
	vcpu_exception(vcpu, VEC_DB, 0);
	ck_assert_int_eq(m.vm.state, VM_RUNNING);
	assert_exception(&m, VEC_DB, 0);
}
END_TEST

/* ---- what an exit cut short ------------------------------------------------------------------ */

static struct exit interrupted(struct event event)
{
	struct exit exit = fake_exit(&m, EXIT_INTERRUPT);

	exit.interrupted.valid = true;
	exit.interrupted.event = event;
	return exit;
}

START_TEST(an_exception_that_was_cut_short_comes_again)
{
	struct exit exit = interrupted((struct event){.kind = EVENT_EXCEPTION,
						      .vector = VEC_PF,
						      .has_error = true,
						      .error = PF_FETCH,
						      .address = 0x5000});

	irq_account(vcpu, &exit);
	assert_page_fault(&m, 0x5000, PF_FETCH);
	ck_assert_int_eq(vcpu->redeliver, -1);
}
END_TEST

START_TEST(an_nmi_that_was_cut_short_comes_again)
{
	struct exit exit = interrupted((struct event){.kind = EVENT_NMI, .vector = VEC_NMI});

	irq_account(vcpu, &exit);
	ck_assert(m.cpu.waiting);
	ck_assert_int_eq(m.cpu.event.kind, EVENT_NMI);
}
END_TEST

static const struct event repeated[] = {
	{.kind = EVENT_SOFT_INT, .vector = 0x80},
	{.kind = EVENT_SOFT_INT, .vector = 13},
	{.kind = EVENT_EXCEPTION, .vector = VEC_BP},
	{.kind = EVENT_EXCEPTION, .vector = VEC_OF},
};

/* RIP is at the instruction still, which will raise it by itself. */
START_TEST(an_instruction_that_was_cut_short_runs_again)
{
	struct exit exit = interrupted(repeated[_i]);

	irq_account(vcpu, &exit);
	assert_no_event(&m);
	ck_assert_int_eq(vcpu->redeliver, -1);
}
END_TEST

START_TEST(a_fault_while_another_is_delivered)
{
	struct exit exit = interrupted(
		(struct event){.kind = EVENT_EXCEPTION, .vector = VEC_NP, .has_error = true});

	exit.kind = EXIT_EXCEPTION;
	exit.exception.vector = VEC_GP;
	vcpu->requests = REQUEST_IRQ; /* as a back end does for such an exit */
	exit_dispatch(vcpu, &exit);
	assert_exception(&m, VEC_DF, 0);
}
END_TEST

/* ---- single steps ---------------------------------------------------------------------------- */

START_TEST(a_single_step_says_so_in_dr6)
{
	ck_assert_int_eq(vcpu_single_step(vcpu), 0);
	assert_exception(&m, VEC_DB, 0);
	ck_assert_uint_eq(m.cpu.regs[VREG_DR6], DR6_RESET | BIT(14));
}
END_TEST

START_TEST(an_emulated_instruction_is_a_step)
{
	struct exit exit = fake_exit(&m, EXIT_CPUID);

	fake_code(&m, "\x0f\xa2");
	exit_dispatch(vcpu, &exit);
	assert_skipped(&m, 2);
	assert_no_event(&m);
	m.cpu.regs[VREG_RIP] = GUEST_CODE;
	m.cpu.regs[VREG_RFLAGS] |= RFLAGS_TF;
	exit_dispatch(vcpu, &exit);
	assert_skipped(&m, 2);
	assert_exception(&m, VEC_DB, 0);
}
END_TEST

START_TEST(a_fault_is_no_step)
{
	struct exit exit = fake_exit(&m, EXIT_RDMSR);

	fake_code(&m, "\x0f\x32");
	vcpu->gpr[GPR_RCX] = 0x12345678;
	m.cpu.regs[VREG_RFLAGS] |= RFLAGS_TF;
	exit_dispatch(vcpu, &exit);
	assert_skipped(&m, 0);
	assert_exception(&m, VEC_GP, 0);
	ck_assert_uint_eq(m.cpu.regs[VREG_DR6], DR6_RESET);
}
END_TEST

START_TEST(hlt_sleeps)
{
	struct exit exit = fake_exit(&m, EXIT_HLT);

	fake_code(&m, "\xf4");
	exit_dispatch(vcpu, &exit);
	assert_skipped(&m, 1);
	ck_assert(vcpu->halted);
	ck_assert_uint_eq(vcpu->requests, REQUEST_LEAVE);
}
END_TEST

/* The #DB of a single step ends a HLT at once: APM vol. 3 HLT, SDM vol. 2A HLT. */
START_TEST(hlt_does_not_outlast_its_step)
{
	struct exit exit = fake_exit(&m, EXIT_HLT);

	fake_code(&m, "\xf4");
	m.cpu.regs[VREG_RFLAGS] |= RFLAGS_TF;
	exit_dispatch(vcpu, &exit);
	assert_skipped(&m, 1);
	assert_exception(&m, VEC_DB, 0);
	ck_assert(!vcpu->halted);
}
END_TEST

static Suite *inject_suite(void)
{
	Suite *s = suite_create("inject");
	TCase *t = tcase_create("inject");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, exceptions_have_an_error_code_if_they_should, 0, 32);
	tcase_add_test(t, page_faults_set_cr2);
	tcase_add_loop_test(t, two_exceptions, 0, 22);
	tcase_add_test(t, the_second_page_fault_counts_too);
	tcase_add_loop_test(t, a_third_is_a_shutdown, 0, 2);
	tcase_add_test(t, a_benign_one_goes_before_a_double_fault);
	tcase_add_test(t, an_exception_that_was_cut_short_comes_again);
	tcase_add_test(t, an_nmi_that_was_cut_short_comes_again);
	tcase_add_loop_test(t, an_instruction_that_was_cut_short_runs_again, 0,
			    ARRAY_SIZE(repeated));
	tcase_add_test(t, a_fault_while_another_is_delivered);
	tcase_add_test(t, a_single_step_says_so_in_dr6);
	tcase_add_test(t, an_emulated_instruction_is_a_step);
	tcase_add_test(t, a_fault_is_no_step);
	tcase_add_test(t, hlt_sleeps);
	tcase_add_test(t, hlt_does_not_outlast_its_step);
	suite_add_tcase(s, t);
	return s;
}
SET_ADD(suites, suite_fn, inject_suite);

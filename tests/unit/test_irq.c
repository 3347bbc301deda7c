/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_irq.c: tests of interrupt lines (src/vmm/irq.c) and of how an interrupt gets from the
 * controller to the guest (src/vmm/inject.c): offered on the pin, acknowledged when it was taken
 * and not before, kept out of shadows, and given again when an exit cut its delivery short.
 */
#include "fake_guest.h"
#include "host/host.h"
#include "suite.h"
#include "vmm/timer.h"

static struct fake_machine m;
static struct vcpu *vcpu;

/* A controller with one vector. */
static struct {
	int vector;
	unsigned peeks, acks;
	u32 told_up, told_down; /* lines */
} chip;

static void set_line(void *opaque, unsigned line, bool level)
{
	ck_assert_ptr_eq(opaque, &chip);
	*(level ? &chip.told_up : &chip.told_down) |= 1u << line;
}

static int peek(void *opaque)
{
	ck_assert_ptr_eq(opaque, &chip);
	chip.peeks++;
	return chip.vector;
}

static void ack(void *opaque)
{
	ck_assert_ptr_eq(opaque, &chip);
	chip.acks++;
	chip.vector = -1;
	vm_set_intr(&m.vm, false);
}

static const struct irq_chip the_chip = {set_line, peek, ack, &chip};

static void setup(void)
{
	fake_guest_create(&m, CODE_64);
	vcpu = &m.vcpu;
	chip.vector = -1;
	vm_set_irq_chip(&m.vm, &the_chip);
}

static void teardown(void)
{
	fake_guest_destroy(&m);
}

static void raise(int vector)
{
	chip.vector = vector;
	vm_set_intr(&m.vm, true);
}

/* As the run loop: before an entry. */
static void enter(void)
{
	if (!(vcpu->requests & REQUEST_IRQ))
		return;
	vcpu->requests &= ~REQUEST_IRQ;
	irq_offer(vcpu);
}

/* After an exit, in which the guest took what is on its pin or did not. */
static void leave(bool taken)
{
	struct exit exit = fake_exit(&m, EXIT_INTERRUPT);

	m.cpu.irq_taken = taken;
	if (taken)
		m.cpu.irq = -1;
	if (vcpu->requests)
		irq_account(vcpu, &exit);
}

/* The guest took @vector, and its delivery was cut short. */
static void leave_in_delivery(int vector)
{
	struct exit exit = fake_exit(&m, EXIT_MEMORY);

	m.cpu.irq_taken = true;
	m.cpu.irq = -1;
	exit.interrupted.valid = exit.interrupted.is_irq = true;
	exit.interrupted.event.vector = vector;
	vcpu->requests |= REQUEST_IRQ; /* as a back end does for such an exit */
	irq_account(vcpu, &exit);
}

/* ---- lines ----------------------------------------------------------------------------------- */

START_TEST(a_line_tells_its_changes_only)
{
	vm_irq(&m.vm, 3, false);
	ck_assert_uint_eq(chip.told_down, 0);
	vm_irq(&m.vm, 3, true);
	ck_assert_uint_eq(chip.told_up, 1 << 3);
	chip.told_up = 0;
	vm_irq(&m.vm, 3, true);
	ck_assert_uint_eq(chip.told_up, 0);
	vm_irq(&m.vm, 15, true);
	vm_irq(&m.vm, 3, false);
	ck_assert_uint_eq(chip.told_up, 1 << 15);
	ck_assert_uint_eq(chip.told_down, 1 << 3);
	ck_assert_uint_eq(m.vm.irq.lines, 1 << 15);
}
END_TEST

START_TEST(a_new_controller_hears_of_lines_that_are_up)
{
	m.vm.irq = (struct irq_state){0};
	vm_irq(&m.vm, 0, true); /* nobody there: kept */
	vm_irq(&m.vm, 15, true);
	vm_irq(&m.vm, 7, true);
	vm_irq(&m.vm, 7, false);
	ck_assert_uint_eq(chip.told_up | chip.told_down, 0);
	vm_set_irq_chip(&m.vm, &the_chip);
	ck_assert_uint_eq(chip.told_up, 1 | 1 << 15);
	ck_assert_uint_eq(chip.told_down, 0);
}
END_TEST

/* ---- offer and acknowledge ------------------------------------------------------------------- */

START_TEST(nothing_to_offer)
{
	enter();
	leave(false);
	ck_assert_uint_eq(m.cpu.offers + chip.peeks + chip.acks, 0);
	vm_set_intr(&m.vm, true); /* a wire, and the controller has thought better of it */
	enter();
	leave(true); /* of nothing offered */
	ck_assert_uint_eq(m.cpu.offers, 0);
	ck_assert_uint_eq(chip.acks, 0);
	ck_assert_uint_eq(vcpu->requests, 0);
}
END_TEST

START_TEST(it_is_acknowledged_when_it_is_taken)
{
	raise(0x20);
	enter();
	ck_assert_int_eq(m.cpu.irq, 0x20);
	ck_assert_uint_eq(chip.acks, 0);
	leave(false); /* the guest's IF is clear, say */
	enter();
	leave(false);
	enter();
	ck_assert_int_eq(m.cpu.irq, 0x20);
	ck_assert_uint_eq(chip.acks, 0);
	ck_assert_uint_eq(m.cpu.offers,
			  3); /* each time anew: what may be done with it has changed */
	leave(true);
	ck_assert_uint_eq(chip.acks, 1);
	enter();
	leave(false);
	ck_assert_int_eq(m.cpu.irq, -1);
	ck_assert_uint_eq(chip.acks, 1);
	enter();
	ck_assert_uint_eq(vcpu->requests, 0);
}
END_TEST

START_TEST(another_vector_takes_its_place)
{
	raise(0x27);
	enter();
	leave(false);
	raise(0x20);
	enter();
	ck_assert_int_eq(m.cpu.irq, 0x20);
	leave(false);
	chip.vector = -1;
	vm_set_intr(&m.vm, false); /* masked now */
	enter();
	ck_assert_int_eq(m.cpu.irq, -1);
	leave(false);
	ck_assert_uint_eq(chip.acks, 0);
	raise(0x20);
	enter();
	ck_assert_int_eq(m.cpu.irq, 0x20);
	leave(true);
	ck_assert_uint_eq(chip.acks, 1);
}
END_TEST

START_TEST(the_same_vector_twice)
{
	for (unsigned i = 1; i <= 3; i++) {
		raise(0x30);
		enter();
		ck_assert_int_eq(m.cpu.irq, 0x30);
		leave(true);
		ck_assert_uint_eq(chip.acks, i);
		ck_assert_uint_eq(m.cpu.offers, i);
	}
}
END_TEST

START_TEST(vector_0_is_one)
{
	raise(0);
	enter();
	ck_assert_int_eq(m.cpu.irq, 0);
	leave_in_delivery(0);
	ck_assert_uint_eq(chip.acks, 1);
	enter();
	ck_assert_int_eq(m.cpu.irq, 0);
	leave(true);
	ck_assert_uint_eq(chip.acks, 1);
}
END_TEST

/* ---- cut short ------------------------------------------------------------------------------- */

START_TEST(it_is_given_again_without_the_controller)
{
	raise(0x21);
	enter();
	leave_in_delivery(0x21);
	ck_assert_uint_eq(chip.acks, 1);
	raise(0x20); /* another, meanwhile: later */
	enter();
	ck_assert_int_eq(m.cpu.irq, 0x21);
	leave_in_delivery(0x21); /* and once more */
	ck_assert_uint_eq(chip.acks, 1);
	enter();
	ck_assert_int_eq(m.cpu.irq, 0x21);
	leave(true);
	ck_assert_uint_eq(chip.acks, 1);
	enter();
	ck_assert_int_eq(m.cpu.irq, 0x20);
	leave(true);
	ck_assert_uint_eq(chip.acks, 2);
	ck_assert_int_eq(vcpu->redeliver, -1);
	assert_no_event(&m); /* never as an exception */
}
END_TEST

/* ---- shadows --------------------------------------------------------------------------------- */

START_TEST(nothing_is_offered_in_a_shadow)
{
	u64 back;

	raise(0x20);
	m.cpu.shadow = true;
	enter();
	ck_assert_int_eq(m.cpu.irq, -1);
	ck_assert(vcpu->requests & REQUEST_IRQ); /* look again */
	back = timers_next();
	ck_assert_uint_gt(back, host_now());
	ck_assert_uint_le(back, host_now() + 1000000);
	leave(false);
	ck_assert_uint_eq(chip.acks, 0);
	m.cpu.shadow = false;
	enter();
	ck_assert_int_eq(m.cpu.irq, 0x20);
	leave(true);
	ck_assert_uint_eq(chip.acks, 1);
}
END_TEST

START_TEST(a_shadow_takes_it_off_the_pin)
{
	raise(0x20);
	enter();
	leave(false);
	m.cpu.shadow = true;
	enter();
	ck_assert_int_eq(m.cpu.irq, -1);
	leave(false);
	m.cpu.shadow = false;
	enter();
	ck_assert_int_eq(m.cpu.irq, 0x20);
}
END_TEST

/* ---- waking ---------------------------------------------------------------------------------- */

START_TEST(what_ends_hlt)
{
	ck_assert(!vcpu_can_wake(vcpu));
	m.cpu.regs[VREG_RFLAGS] |= RFLAGS_IF;
	ck_assert(!vcpu_can_wake(vcpu));
	raise(0x20);
	ck_assert(vcpu_can_wake(vcpu));
	m.cpu.regs[VREG_RFLAGS] &= ~RFLAGS_IF;
	ck_assert(!vcpu_can_wake(vcpu));
	vm_set_intr(&m.vm, false);
	m.cpu.regs[VREG_RFLAGS] |= RFLAGS_IF;
	vcpu->redeliver = 0;
	ck_assert(vcpu_can_wake(vcpu));
}
END_TEST

static Suite *irq_suite(void)
{
	Suite *s = suite_create("irq");
	TCase *t = tcase_create("irq");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_line_tells_its_changes_only);
	tcase_add_test(t, a_new_controller_hears_of_lines_that_are_up);
	tcase_add_test(t, nothing_to_offer);
	tcase_add_test(t, it_is_acknowledged_when_it_is_taken);
	tcase_add_test(t, another_vector_takes_its_place);
	tcase_add_test(t, the_same_vector_twice);
	tcase_add_test(t, vector_0_is_one);
	tcase_add_test(t, it_is_given_again_without_the_controller);
	tcase_add_test(t, nothing_is_offered_in_a_shadow);
	tcase_add_test(t, a_shadow_takes_it_off_the_pin);
	tcase_add_test(t, what_ends_hlt);
	suite_add_tcase(s, t);
	return s;
}
SET_ADD(suites, suite_fn, irq_suite);

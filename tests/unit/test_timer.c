/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_timer.c: tests of deadlines (src/vmm/timer.c): their order, moving and cancelling them,
 * arming from within one, and that the machine's timer is armed for the earliest of them only.
 *
 * timer.c is built into this one, under other names: other tests have the real one, and a machine
 * whose timer nobody asks.
 */
#include <string.h>
#include "suite.h"

#define timer_arm      tested_timer_arm
#define timer_cancel   tested_timer_cancel
#define timers_next    tested_timers_next
#define timers_run     tested_timers_run
#define host_timer_set tested_host_timer_set
#include "vmm/timer.c"

#define TIMERS 8

static u64 machine; /* what the machine's timer is armed for */
static struct timer t[TIMERS];
static char order[64]; /* the numbers of those that expired */

void host_timer_set(u64 when)
{
	machine = when;
}

static void expire(void *opaque)
{
	struct timer *timer = opaque;
	size_t n = strlen(order);

	ck_assert(!timer->armed);
	ck_assert_uint_lt(n + 1, sizeof(order));
	order[n] = '0' + (timer - t);
	order[n + 1] = 0;
}

static void setup(void)
{
	machine = HOST_TIMER_NEVER;
	for (unsigned i = 0; i < TIMERS; i++)
		t[i] = (struct timer){.fn = expire, .opaque = &t[i]};
}

static const char *run(u64 now)
{
	order[0] = 0;
	timers_run(now);
	return order;
}

START_TEST(nothing_is_armed_at_first)
{
	ck_assert_uint_eq(timers_next(), HOST_TIMER_NEVER);
	ck_assert_str_eq(run(~0ull - 1), "");
	ck_assert_uint_eq(machine, HOST_TIMER_NEVER);
	timer_cancel(&t[0]);
	ck_assert_uint_eq(machine, HOST_TIMER_NEVER);
}
END_TEST

START_TEST(they_expire_in_order)
{
	timer_arm(&t[0], 300);
	timer_arm(&t[1], 100);
	timer_arm(&t[2], 200);
	timer_arm(&t[3], 200); /* the same time: first come, first served */
	timer_arm(&t[4], 0);
	ck_assert_str_eq(run(0), "4");
	ck_assert_str_eq(run(99), "");
	ck_assert_str_eq(run(100), "1"); /* at its time, not after */
	ck_assert_str_eq(run(1000), "230");
	ck_assert_str_eq(run(1000), "");
	ck_assert_uint_eq(timers_next(), HOST_TIMER_NEVER);
}
END_TEST

START_TEST(the_machine_waits_for_the_earliest)
{
	timer_arm(&t[0], 300);
	ck_assert_uint_eq(machine, 300);
	timer_arm(&t[1], 500);
	ck_assert_uint_eq(machine, 300);
	timer_arm(&t[2], 200);
	ck_assert_uint_eq(machine, 200);
	timer_arm(&t[2], 400); /* moved: another is first now */
	ck_assert_uint_eq(machine, 300);
	timer_cancel(&t[1]);
	ck_assert_uint_eq(machine, 300);
	timer_cancel(&t[0]);
	ck_assert_uint_eq(machine, 400);
	ck_assert_uint_eq(timers_next(), 400);
	ck_assert_str_eq(run(400), "2");
	ck_assert_uint_eq(machine, HOST_TIMER_NEVER);
	timer_arm(&t[0], 600);
	timer_cancel(&t[0]);
	ck_assert_uint_eq(machine, HOST_TIMER_NEVER);
}
END_TEST

START_TEST(an_early_interrupt_arms_the_machine_again)
{
	timer_arm(&t[0], 300);
	machine = 0; /* the one shot was spent */
	ck_assert_str_eq(run(200), "");
	ck_assert_uint_eq(machine, 300);
}
END_TEST

START_TEST(arming_again_moves)
{
	timer_arm(&t[0], 100);
	timer_arm(&t[1], 200);
	timer_arm(&t[0], 300);
	ck_assert_str_eq(run(250), "1");
	timer_arm(&t[0], 260);
	timer_arm(&t[0], 260);
	ck_assert_str_eq(run(1000), "0"); /* once */
	timer_arm(&t[0], 2000);
	ck_assert_str_eq(run(2000), "0"); /* and it can be used again */
}
END_TEST

START_TEST(cancelled_ones_do_not_expire)
{
	for (unsigned i = 0; i < 5; i++)
		timer_arm(&t[i], 100 + i);
	timer_cancel(&t[0]); /* head, middle, end */
	timer_cancel(&t[2]);
	timer_cancel(&t[4]);
	timer_cancel(&t[2]); /* twice is fine */
	ck_assert(!t[0].armed && t[1].armed);
	ck_assert_str_eq(run(1000), "13");
	timer_cancel(&t[1]); /* it has expired */
	ck_assert_str_eq(run(1000), "");
}
END_TEST

/* ---- from within a callback ------------------------------------------------------------------ */

static u64 again_at;

static void expire_and_arm(void *opaque)
{
	expire(opaque);
	if (again_at)
		timer_arm(opaque, again_at);
	again_at = 0;
}

START_TEST(a_callback_arms_itself)
{
	t[0] = (struct timer){.fn = expire_and_arm, .opaque = &t[0]};
	timer_arm(&t[0], 100);
	again_at = 150;
	timer_arm(&t[1], 120);
	ck_assert_str_eq(run(130), "01"); /* 150 is not yet */
	ck_assert_uint_eq(machine, 150);
	again_at = 170;
	ck_assert_str_eq(run(180), "00"); /* armed for what has passed already: in the same run */
	ck_assert_uint_eq(machine, HOST_TIMER_NEVER);
}
END_TEST

static void expire_and_meddle(void *opaque)
{
	expire(opaque);
	timer_cancel(&t[1]);
	timer_arm(&t[2], 500);
	timer_arm(&t[3], 101);
}

START_TEST(a_callback_meddles_with_others)
{
	t[0] = (struct timer){.fn = expire_and_meddle, .opaque = &t[0]};
	timer_arm(&t[0], 100);
	for (unsigned i = 1; i < 5; i++)
		timer_arm(&t[i], 100 + 10 * i);
	ck_assert_str_eq(run(200), "034");
	ck_assert_uint_eq(machine, 500);
	ck_assert_str_eq(run(500), "2");
}
END_TEST

START_TEST(a_callback_leaves_the_machine_armed_for_the_next)
{
	t[0] = (struct timer){.fn = expire_and_arm, .opaque = &t[0]};
	timer_arm(&t[0], 100);
	timer_arm(&t[1], 300);
	again_at = 200;
	run(100);
	ck_assert_uint_eq(machine, 200);
}
END_TEST

static Suite *timer_suite(void)
{
	Suite *s = suite_create("timer");
	TCase *c = tcase_create("timer");

	tcase_add_checked_fixture(c, setup, NULL);
	tcase_add_test(c, nothing_is_armed_at_first);
	tcase_add_test(c, they_expire_in_order);
	tcase_add_test(c, the_machine_waits_for_the_earliest);
	tcase_add_test(c, an_early_interrupt_arms_the_machine_again);
	tcase_add_test(c, arming_again_moves);
	tcase_add_test(c, cancelled_ones_do_not_expire);
	tcase_add_test(c, a_callback_arms_itself);
	tcase_add_test(c, a_callback_meddles_with_others);
	tcase_add_test(c, a_callback_leaves_the_machine_armed_for_the_next);
	suite_add_tcase(s, c);
	return s;
}
SET_ADD(suites, suite_fn, timer_suite);

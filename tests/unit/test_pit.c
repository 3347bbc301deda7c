/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_pit.c: the 8254 and port 61. Most modes are tested on counter 2, whose gate and output can
 * be reached through port 61; what only counter 0 has is its interrupts.
 */
#include <stdlib.h>
#include "fake_vm.h"
#include "host/host.h"
#include "suite.h"
#include "vmm/timer.h"

#define HZ	1193182ull
#define CONTROL 0x43
#define SPEAKER 0x61
#define OUT2	0x20
#define BOTH	0x30 /* access: low byte, then high */
#define LOW	0x10
#define HIGH	0x20

static struct fake_vm f;

/* The rising edges of IRQ0. */
static u64 edges, last_edge;

static void count_edges(void *opaque, unsigned line, bool level)
{
	(void)opaque;
	ck_assert_uint_eq(line, 0);
	if (level) {
		edges++;
		last_edge = host_now();
	}
}

static int no_vector(void *opaque)
{
	(void)opaque;
	return -1;
}

static void setup(void)
{
	struct irq_chip chip = {.set_line = count_edges, .peek = no_vector};

	fake_vm_create(&f, "pit");
	vm_set_irq_chip(&f.vm, &chip);
	edges = 0;
}

static void teardown(void)
{
	fake_vm_destroy(&f);
}

/* The first nanosecond of a clock of the chip. */
static u64 clock_ns(u64 clock)
{
	return ((unsigned __int128)clock * FAKE_SECOND + HZ - 1) / HZ;
}

static void to_clock(u64 clock)
{
	fake_run_to(clock_ns(clock));
}

static void program(unsigned counter, u8 mode, u16 count)
{
	fake_out(&f, CONTROL, counter << 6 | BOTH | mode << 1);
	fake_out(&f, 0x40 + counter, count);
	fake_out(&f, 0x40 + counter, count >> 8);
}

static void write_count(unsigned counter, u16 count)
{
	fake_out(&f, 0x40 + counter, count);
	fake_out(&f, 0x40 + counter, count >> 8);
}

static u16 read_two(u16 port)
{
	u8 low = fake_in(&f, port);

	return fake_in(&f, port) << 8 | low;
}

static u16 read_count(unsigned counter)
{
	fake_out(&f, CONTROL, counter << 6);
	return read_two(0x40 + counter);
}

static u8 read_status(unsigned counter)
{
	fake_out(&f, CONTROL, 0xe0 | 2 << counter);
	return fake_in(&f, 0x40 + counter);
}

static bool out2(void)
{
	return fake_in(&f, SPEAKER) & OUT2;
}

static void gate2(bool open)
{
	fake_out(&f, SPEAKER, open);
}

/* From clock @from on, the output is as in @levels ('-' high, '_' low), a clock a letter. */
static void assert_levels(u64 from, const char *levels)
{
	for (; *levels; levels++, from++) {
		to_clock(from);
		ck_assert_msg(out2() == (*levels == '-'), "clock %lu: not %c", from, *levels);
	}
}

static void assert_counts(u64 from, const int *counts, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		to_clock(from + i);
		ck_assert_msg(read_count(2) == (u16)counts[i], "clock %lu: %d, not %d", from + i,
			      read_count(2), counts[i]);
	}
}
#define COUNTS(from, ...) \
	assert_counts(from, (const int[]){__VA_ARGS__}, sizeof((int[]){__VA_ARGS__}) / sizeof(int))

/* ---- modes ------------------------------------------------------------------------------ */

START_TEST(a_fresh_one_does_nothing)
{
	for (unsigned i = 0; i < 3; i++)
		ck_assert_uint_eq(read_status(i), 0x40 | BOTH); /* output low, no count */
	ck_assert(!out2());
	ck_assert(!fake_line(&f, 0));
	gate2(true);
	fake_run(FAKE_SECOND);
	ck_assert(!out2());
	ck_assert_uint_eq(edges, 0);
	ck_assert_uint_eq(read_count(2), 0);
}
END_TEST

START_TEST(mode_0_interrupts_once)
{
	gate2(true);
	program(2, 0, 4);
	assert_levels(0, "_____------"); /* loaded at 1 */
	program(2, 0, 4);
	COUNTS(11, 4, 3, 2, 1, 0, 0xffff, 0xfffe); /* 10 is the clock now */
	to_clock(100);
	ck_assert(out2());
	fake_out(&f, 0x42, 9); /* half a count: low at once, and it waits */
	ck_assert(!out2());
	to_clock(1000);
	ck_assert(!out2());
	fake_out(&f, 0x42, 0);
	COUNTS(1001, 9, 8, 7);
	assert_levels(1009, "_-");
	gate2(false); /* half a count is low wherever it was stopped before */
	gate2(true);
	to_clock(1020);
	fake_out(&f, 0x42, 9);
	ck_assert(!out2());
}
END_TEST

START_TEST(mode_0_waits_while_its_gate_is_closed)
{
	program(2, 0, 10);
	to_clock(50);
	ck_assert_uint_eq(read_count(2), 10);
	gate2(true);
	COUNTS(51, 10, 9, 8);
	gate2(false);
	COUNTS(54, 8, 8, 8);
	gate2(true);
	COUNTS(57, 8, 7, 6, 5);
	assert_levels(61, "____-");
}
END_TEST

START_TEST(mode_1_is_started_by_its_gate)
{
	program(2, 1, 3);
	assert_levels(0, "-----");
	ck_assert_uint_eq(read_status(2) & 0x40, 0x40); /* null: not loaded yet */
	to_clock(10);
	gate2(true);
	assert_levels(11, "___---");
	ck_assert_uint_eq(read_status(2) & 0x40, 0);
	to_clock(20);
	gate2(false); /* nothing */
	assert_levels(20, "---");
	gate2(true); /* at 22 */
	assert_levels(23, "__");
	gate2(false);
	gate2(true); /* again, at 24 */
	assert_levels(25, "___--");
	to_clock(40);
	gate2(false);
	gate2(true);
	write_count(2, 6); /* for the next time */
	assert_levels(41, "___-");
	gate2(false);
	gate2(true);
	assert_levels(45, "______-");
}
END_TEST

START_TEST(mode_2_divides)
{
	gate2(true);
	program(2, 2, 4);
	assert_levels(1, "---_---_---_---");
	COUNTS(17, 4, 3, 2, 1, 4, 3, 2, 1);
	to_clock(22);
	gate2(false);
	assert_levels(22, "-------");
	to_clock(29);
	gate2(true);
	COUNTS(30, 4, 3, 2, 1, 4);
	write_count(2, 3); /* at 34: from the end of the period on */
	ck_assert_uint_eq(read_status(2) & 0x40, 0x40);
	COUNTS(35, 3, 2, 1, 3, 2, 1, 3);
	ck_assert_uint_eq(read_status(2) & 0x40, 0);
}
END_TEST

START_TEST(mode_3_is_a_square_wave)
{
	gate2(true);
	program(2, 3, 6);
	assert_levels(1, "---___---___");
	COUNTS(13, 6, 4, 2, 6, 4, 2, 6);
	program(2, 3, 5); /* at 19: an odd count is high for longer */
	assert_levels(20, "---__---__");
	COUNTS(30, 4, 2, 0, 4, 2, 4);
	gate2(false);
	assert_levels(35, "-----");
	gate2(true); /* at 39 */
	assert_levels(40, "---__---");
}
END_TEST

START_TEST(mode_3_takes_a_new_count_after_half_a_period)
{
	gate2(true);
	program(2, 3, 10);
	assert_levels(1, "--");
	write_count(2, 4); /* in the high half, which began at 1 */
	assert_levels(2, "----__--__--__");
	program(2, 3, 10); /* at 15 */
	to_clock(22);	   /* low since 21 */
	write_count(2, 4);
	assert_levels(22, "____--__--");
	program(2, 3, 10); /* at 31 */
	to_clock(37);	   /* the first clock in which it is low */
	write_count(2, 4);
	assert_levels(37, "_____--__--");
}
END_TEST

START_TEST(mode_4_strobes)
{
	gate2(true);
	program(2, 4, 3);
	assert_levels(0, "----_-----");
	COUNTS(10, 0xfffa, 0xfff9);
	to_clock(20);
	write_count(2, 3);
	assert_levels(21, "--");
	write_count(2, 5); /* again before it was over, at 22 */
	assert_levels(22, "------_-");
	to_clock(40);
	gate2(false);
	write_count(2, 2);
	assert_levels(40, "-----");
	gate2(true); /* at 44 */
	assert_levels(45, "--_-");
}
END_TEST

START_TEST(mode_5_strobes_after_its_gate_opens)
{
	program(2, 5, 3);
	assert_levels(0, "------");
	gate2(true); /* at 5 */
	assert_levels(6, "---_---");
	gate2(false);
	assert_levels(13, "---");
	gate2(true); /* at 15 */
	assert_levels(16, "--");
	gate2(false);
	gate2(true); /* at 17 */
	assert_levels(18, "---_-");
}
END_TEST

START_TEST(modes_6_and_7_are_2_and_3)
{
	gate2(true);
	program(2, 6, 3);
	assert_levels(1, "--_--_");
	program(2, 7, 4); /* at 6 */
	assert_levels(7, "--__--__");
	ck_assert_uint_eq(read_status(2) & 0x3f, BOTH | 7 << 1); /* as it was written */
}
END_TEST

START_TEST(zero_is_the_largest_count)
{
	gate2(true);
	program(2, 2, 0);
	to_clock(1);
	ck_assert_uint_eq(read_count(2), 0);
	to_clock(2);
	ck_assert_uint_eq(read_count(2), 0xffff);
	to_clock(65536);
	ck_assert_uint_eq(read_count(2), 1);
	ck_assert(!out2());
	to_clock(65537);
	ck_assert_uint_eq(read_count(2), 0);
}
END_TEST

START_TEST(counts_can_be_decimal)
{
	gate2(true);
	fake_out(&f, CONTROL, 0xb5); /* counter 2, mode 2, BCD */
	write_count(2, 0x1000);
	to_clock(1);
	ck_assert_uint_eq(read_count(2), 0x1000);
	to_clock(2);
	ck_assert_uint_eq(read_count(2), 0x0999);
	to_clock(1001);
	ck_assert_uint_eq(read_count(2), 0x1000);
	fake_out(&f, CONTROL, 0xb1); /* mode 0: goes on below 0, to 9999 */
	write_count(2, 0x0002);
	COUNTS(1002, 0x0002, 0x0001, 0x0000, 0x9999, 0x9998);
	fake_out(&f, CONTROL, 0xb1);
	write_count(2, 0); /* 10000 */
	COUNTS(1007, 0x0000, 0x9999);
	assert_levels(1007 + 9999, "_-");
	fake_out(&f, CONTROL, 0xb5);
	write_count(2, 0x5678);
	to_clock(20000);
	fake_out(&f, CONTROL, 0xb5);
	write_count(2, 0x5678);
	COUNTS(20001, 0x5678, 0x5677);
	to_clock(20001 + 5678);
	ck_assert_uint_eq(read_count(2), 0x5678);
}
END_TEST

/* ---- bytes in and out ------------------------------------------------------------------- */

START_TEST(a_counter_can_be_one_byte_wide)
{
	gate2(true);
	fake_out(&f, CONTROL, 0x80 | LOW | 2 << 1);
	fake_out(&f, 0x42, 200);
	to_clock(11);
	ck_assert_uint_eq(fake_in(&f, 0x42), 190);
	ck_assert_uint_eq(fake_in(&f, 0x42), 190);
	fake_out(&f, CONTROL, 0x80 | HIGH | 2 << 1);
	fake_out(&f, 0x42, 2); /* 512 */
	to_clock(12 + 100);
	ck_assert_uint_eq(fake_in(&f, 0x42), (512 - 100) >> 8);
	to_clock(12 + 300);
	ck_assert_uint_eq(fake_in(&f, 0x42), 0);
}
END_TEST

START_TEST(bytes_come_low_then_high)
{
	gate2(true);
	program(2, 2, 0x1234);
	to_clock(1);
	ck_assert_uint_eq(fake_in(&f, 0x42), 0x34);
	ck_assert_uint_eq(fake_in(&f, 0x42), 0x12);
	ck_assert_uint_eq(fake_in(&f, 0x42), 0x34);
	to_clock(1 + 0x100);
	ck_assert_uint_eq(fake_in(&f, 0x42), 0x11); /* not latched: the high byte of now */
	program(2, 2, 0x1234);			    /* and a control word starts with the low one */
	fake_in(&f, 0x42);
	program(2, 2, 0x5678);
	to_clock(0x102);
	ck_assert_uint_eq(fake_in(&f, 0x42), 0x78);
}
END_TEST

START_TEST(a_latched_count_stays)
{
	gate2(true);
	program(2, 2, 0x1234);
	to_clock(1);
	fake_out(&f, CONTROL, 0x80);
	to_clock(0x101);
	fake_out(&f, CONTROL, 0x8f); /* one is waiting: ignored, like the lower four bits */
	ck_assert_uint_eq(fake_in(&f, 0x42), 0x34);
	to_clock(0x201);
	ck_assert_uint_eq(fake_in(&f, 0x42), 0x12);
	ck_assert_uint_eq(fake_in(&f, 0x42), 0x34);
	ck_assert_uint_eq(fake_in(&f, 0x42), 0x10); /* of now */
	fake_out(&f, CONTROL, 0x80);
	program(2, 2, 0x4000); /* programming drops the latch */
	to_clock(0x202);
	ck_assert_uint_eq(fake_in(&f, 0x42), 0x00);
	ck_assert_uint_eq(fake_in(&f, 0x42), 0x40);
}
END_TEST

START_TEST(read_back_latches_several_counters)
{
	gate2(true);
	program(0, 2, 1000);
	program(1, 2, 2000);
	program(2, 2, 3000);
	to_clock(101);
	fake_out(&f, CONTROL, 0xd0 | 2 << 0 | 2 << 2); /* the counts of 0 and 2 */
	to_clock(201);
	ck_assert_uint_eq(read_two(0x40), 900);
	ck_assert_uint_eq(read_two(0x41), 1800);
	ck_assert_uint_eq(read_two(0x42), 2900);
}
END_TEST

START_TEST(read_back_latches_status_before_count)
{
	gate2(true);
	program(2, 3, 1000);
	to_clock(101);
	fake_out(&f, CONTROL, 0xc0 | 2 << 2);
	to_clock(601); /* the output is low now */
	ck_assert_uint_eq(fake_in(&f, 0x42), 0x80 | BOTH | 3 << 1);
	ck_assert_uint_eq(read_two(0x42), 800);
	ck_assert_uint_eq(read_status(2), BOTH | 3 << 1);
	fake_out(&f, CONTROL, 0xe0 | 2 << 2);
	to_clock(1001);					  /* high again */
	ck_assert_uint_eq(read_status(2), BOTH | 3 << 1); /* the first one is still waiting */
}
END_TEST

START_TEST(null_count_tells_that_a_count_is_not_loaded)
{
	gate2(true);
	fake_out(&f, CONTROL, 0x80 | BOTH | 2 << 1);
	ck_assert_uint_eq(read_status(2), 0xc0 | BOTH | 2 << 1);
	write_count(2, 100);
	ck_assert_uint_eq(read_status(2), 0xc0 | BOTH | 2 << 1);
	to_clock(1);
	ck_assert_uint_eq(read_status(2), 0x80 | BOTH | 2 << 1);
}
END_TEST

START_TEST(port_43_and_wide_accesses)
{
	ck_assert_uint_eq(fake_in(&f, CONTROL), 0xff);
	program(0, 2, 0x2211);
	program(1, 2, 0x4433);
	to_clock(1);
	ck_assert_uint_eq(vm_in(&f.vm, 0x40, 2), 0x3311);
	ck_assert_uint_eq(vm_in(&f.vm, 0x42, 4), 0xffffff00); /* 44 and 45 float */
}
END_TEST

START_TEST(port_61)
{
	u8 refresh = 0;

	ck_assert_uint_eq(fake_in(&f, SPEAKER), refresh);
	ck_assert_uint_eq(vm_in(&f.vm, SPEAKER, 2), 0xff00);
	fake_out(&f, SPEAKER, 0xff);
	ck_assert_uint_eq(fake_in(&f, SPEAKER) & ~0x30, 0x0f);
	fake_out(&f, SPEAKER, 0x02);
	ck_assert_uint_eq(fake_in(&f, SPEAKER) & ~0x30, 0x02);
	for (unsigned i = 1; i < 6; i++) {
		to_clock(18 * i - 1);
		ck_assert_uint_eq(fake_in(&f, SPEAKER) & 0x10, refresh);
		refresh ^= 0x10;
		to_clock(18 * i);
		ck_assert_uint_eq(fake_in(&f, SPEAKER) & 0x10, refresh);
	}
}
END_TEST

/* ---- IRQ0 ------------------------------------------------------------------------------- */

START_TEST(ticks_do_not_drift)
{
	static const u16 counts[] = {11932, 4773, 65535};

	for (unsigned i = 0; i < ARRAY_SIZE(counts); i++) {
		u64 n = counts[i], begin = host_now() * HZ / FAKE_SECOND + 1, end;

		program(0, i % 2 ? 3 : 2, n);
		edges = 0;
		fake_run(120 * FAKE_SECOND);
		end = (unsigned __int128)host_now() * HZ / FAKE_SECOND;
		ck_assert_uint_eq(edges, (end - begin) / n);
		ck_assert_uint_eq(last_edge, clock_ns(begin + edges * n));
	}
}
END_TEST

START_TEST(a_late_host_gets_one_tick_and_the_phase_is_kept)
{
	program(0, 2, 1000);
	to_clock(1001);
	ck_assert_uint_eq(edges, 2); /* the first was the control word's: the output went up */
	fake_skip(clock_ns(7500) - host_now());
	timers_run(host_now());
	ck_assert_uint_eq(edges, 3);
	to_clock(8000);
	ck_assert_uint_eq(edges, 3);
	to_clock(8001);
	ck_assert_uint_eq(edges, 4);
}
END_TEST

START_TEST(irq0_stays_up_until_the_next_tick)
{
	program(0, 2, 1000);
	to_clock(1000); /* the clock in which the output is low */
	ck_assert(fake_line(&f, 0));
	write_count(0, 1000);
	ck_assert(fake_line(&f, 0));
	to_clock(1001);
	ck_assert(fake_line(&f, 0));
	ck_assert_uint_eq(edges, 2);
}
END_TEST

START_TEST(a_control_word_stops_the_ticks)
{
	program(0, 2, 1000);
	to_clock(5000);
	edges = 0;
	fake_out(&f, CONTROL, BOTH); /* mode 0, and no count */
	ck_assert(!fake_line(&f, 0));
	ck_assert_uint_eq(timers_next(), HOST_TIMER_NEVER);
	fake_run(FAKE_SECOND);
	ck_assert_uint_eq(edges, 0);
}
END_TEST

START_TEST(one_shots_fire_once)
{
	program(0, 0, 1000);
	ck_assert(!fake_line(&f, 0));
	fake_run(FAKE_SECOND);
	ck_assert_uint_eq(edges, 1);
	ck_assert_uint_eq(last_edge, clock_ns(1001));
	ck_assert(fake_line(&f, 0));
	ck_assert_uint_eq(timers_next(), HOST_TIMER_NEVER);
	write_count(0, 0x100); /* again: it falls first */
	ck_assert(!fake_line(&f, 0));
	fake_run(FAKE_SECOND);
	ck_assert_uint_eq(edges, 2);
	fake_out(&f, 0x40, 0);
	ck_assert(!fake_line(&f, 0));
}
END_TEST

/* What Linux's clock event device does: shutdown, one-shot, events, periodic. */
START_TEST(linux_uses_mode_4_for_events)
{
	u64 start;

	program(0, 0, 0); /* shutdown */
	fake_out(&f, CONTROL, 0x38);
	edges = 0;
	for (unsigned delta = 200; delta < 20000; delta += 333) {
		start = host_now() * HZ / FAKE_SECOND;
		write_count(0, delta);
		fake_run(FAKE_SECOND);
		ck_assert_uint_eq(last_edge, clock_ns(start + 1 + delta + 1));
		ck_assert_uint_eq(timers_next(), HOST_TIMER_NEVER);
	}
	ck_assert_uint_eq(edges, 60);
	write_count(0, 1000);
	write_count(0, 2000); /* a new event takes the place of one that has not happened */
	fake_run(FAKE_SECOND);
	ck_assert_uint_eq(edges, 61);
	write_count(0, 1000);
	program(0, 0, 0); /* shutdown in between */
	fake_run(FAKE_SECOND / 1000);
	ck_assert_uint_eq(edges, 61);
}
END_TEST

START_TEST(a_new_period_begins_at_the_end_of_the_old_one)
{
	program(0, 2, 1000);
	to_clock(500);
	write_count(0, 300);
	edges = 0;
	to_clock(1000);
	ck_assert_uint_eq(edges, 0);
	to_clock(1001);
	ck_assert_uint_eq(edges, 1);
	to_clock(1001 + 3 * 300);
	ck_assert_uint_eq(edges, 4);

	program(0, 3, 1000); /* mode 3: of the half period, in which the output is high */
	edges = 0;
	to_clock(1901 + 1 + 100);
	write_count(0, 300);
	to_clock(1902 + 500 + 149);
	ck_assert_uint_eq(edges, 0);
	to_clock(1902 + 500 + 150);
	ck_assert_uint_eq(edges, 1);
	to_clock(1902 + 500 + 150 + 300);
	ck_assert_uint_eq(edges, 2);
}
END_TEST

START_TEST(too_many_interrupts_are_thinned_out)
{
	unsigned period;

	for (u16 n = 1; n < 70; n++) {
		fake_run_to((host_now() / FAKE_SECOND + 1) * FAKE_SECOND);
		program(0, 2, n);
		edges = 0;
		fake_run(FAKE_SECOND / 100);
		period = (60 + n - 1) / n * n; /* the shortest multiple that is not too short */
		if (n > 1)
			ck_assert_uint_eq(edges, 11931 / period);
		else
			ck_assert_uint_eq(edges, 0);
		program(0, 3, n);
	}
	program(0, 2, 1);
	write_count(0, 500); /* from that state, too, a new count leads out */
	edges = 0;
	fake_run(FAKE_SECOND / 100);
	ck_assert_uint_eq(edges, 11931 / 500);
}
END_TEST

START_TEST(counters_1_and_2_interrupt_nobody)
{
	gate2(true);
	program(1, 2, 100);
	program(2, 3, 100);
	fake_run(FAKE_SECOND);
	ck_assert_uint_eq(edges, 0);
	program(0, 1, 100); /* and the gate of 0 never opens, because it is never closed */
	program(0, 5, 100);
	edges = 0;
	fake_run(FAKE_SECOND);
	ck_assert_uint_eq(edges, 0);
}
END_TEST

/* Whatever a guest does, the sanitizers see it and the timer comes to rest. */
START_TEST(nothing_that_a_guest_writes_breaks_it)
{
	srand(1);
	for (int i = 0; i < 20000; i++) {
		u16 port = 0x40 + rand() % 4;

		if (rand() % 10 == 0)
			fake_out(&f, SPEAKER, rand());
		else if (rand() % 2)
			fake_out(&f, port, rand() % 4 ? rand() : rand() % 3);
		else
			fake_in(&f, port);
		fake_in(&f, SPEAKER);
		fake_run(rand() % 3 ? rand() % 2000 : rand() % 10000000);
	}
}
END_TEST

static Suite *pit_suite(void)
{
	Suite *s = suite_create("pit");
	TCase *modes = tcase_create("modes"), *bytes = tcase_create("bytes");
	TCase *irq = tcase_create("IRQ0");

	tcase_add_checked_fixture(modes, setup, teardown);
	tcase_add_checked_fixture(bytes, setup, teardown);
	tcase_add_checked_fixture(irq, setup, teardown);
	tcase_add_test(modes, a_fresh_one_does_nothing);
	tcase_add_test(modes, mode_0_interrupts_once);
	tcase_add_test(modes, mode_0_waits_while_its_gate_is_closed);
	tcase_add_test(modes, mode_1_is_started_by_its_gate);
	tcase_add_test(modes, mode_2_divides);
	tcase_add_test(modes, mode_3_is_a_square_wave);
	tcase_add_test(modes, mode_3_takes_a_new_count_after_half_a_period);
	tcase_add_test(modes, mode_4_strobes);
	tcase_add_test(modes, mode_5_strobes_after_its_gate_opens);
	tcase_add_test(modes, modes_6_and_7_are_2_and_3);
	tcase_add_test(modes, zero_is_the_largest_count);
	tcase_add_test(modes, counts_can_be_decimal);
	tcase_add_test(bytes, a_counter_can_be_one_byte_wide);
	tcase_add_test(bytes, bytes_come_low_then_high);
	tcase_add_test(bytes, a_latched_count_stays);
	tcase_add_test(bytes, read_back_latches_several_counters);
	tcase_add_test(bytes, read_back_latches_status_before_count);
	tcase_add_test(bytes, null_count_tells_that_a_count_is_not_loaded);
	tcase_add_test(bytes, port_43_and_wide_accesses);
	tcase_add_test(bytes, port_61);
	tcase_add_test(irq, ticks_do_not_drift);
	tcase_add_test(irq, a_late_host_gets_one_tick_and_the_phase_is_kept);
	tcase_add_test(irq, irq0_stays_up_until_the_next_tick);
	tcase_add_test(irq, a_control_word_stops_the_ticks);
	tcase_add_test(irq, one_shots_fire_once);
	tcase_add_test(irq, linux_uses_mode_4_for_events);
	tcase_add_test(irq, a_new_period_begins_at_the_end_of_the_old_one);
	tcase_add_test(irq, too_many_interrupts_are_thinned_out);
	tcase_add_test(irq, counters_1_and_2_interrupt_nobody);
	tcase_add_test(irq, nothing_that_a_guest_writes_breaks_it);
	suite_add_tcase(s, modes);
	suite_add_tcase(s, bytes);
	suite_add_tcase(s, irq);
	return s;
}
SET_ADD(suites, suite_fn, pit_suite);

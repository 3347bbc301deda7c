/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_cmos.c: the MC146818. The C library's gmtime says what the calendar should show.
 */
#include <stdlib.h>
#include <time.h>
#include "fake_vm.h"
#include "host/host.h"
#include "suite.h"
#include "vmm/timer.h"

enum { SECOND, SECOND_ALARM, MINUTE, MINUTE_ALARM, HOUR, HOUR_ALARM, WEEKDAY, DAY, MONTH, YEAR };
enum { A = 0x0a, B, C, D, CENTURY = 0x32 };

#define IRQ	     8
#define HOURS_24     0x02
#define BINARY	     0x04
#define UPDATE	     0x10 /* of B and C */
#define ALARM	     0x20
#define PERIODIC     0x40
#define SET	     0x80
#define IRQF	     0x80
#define UIP	     0x80
#define DIVIDER_HELD 0x70
#define DIVIDER_ON   0x20
#define MS	     1000000ull

static struct fake_vm f;

static void setup(void)
{
	fake_vm_create(&f, "cmos");
}

static void teardown(void)
{
	fake_vm_destroy(&f);
}

static u8 get(u8 index)
{
	fake_out(&f, 0x70, index);
	return fake_in(&f, 0x71);
}

static void put(u8 index, u8 value)
{
	fake_out(&f, 0x70, index);
	fake_out(&f, 0x71, value);
}

static bool irq(void)
{
	return fake_line(&f, IRQ);
}

static unsigned number(u8 byte)
{
	return get(B) & BINARY ? byte : (byte >> 4) * 10 + (byte & 15);
}

static u8 encode(bool binary, unsigned n)
{
	return binary ? n : n / 10 << 4 | n % 10;
}

static unsigned hour(u8 byte)
{
	if (get(B) & HOURS_24)
		return number(byte);
	return number(byte & 0x7f) % 12 + (byte & 0x80 ? 12 : 0);
}

/* What the chip shows, as seconds since 1970. */
static u64 shown(void)
{
	struct tm tm = {
		.tm_sec = number(get(SECOND)),
		.tm_min = number(get(MINUTE)),
		.tm_hour = hour(get(HOUR)),
		.tm_mday = number(get(DAY)),
		.tm_mon = number(get(MONTH)) - 1,
		.tm_year = number(get(CENTURY)) * 100 + number(get(YEAR)) - 1900,
	};

	return timegm(&tm);
}

/* Write a time of the day, in BCD and 24 hours, as systems do. */
static void set_time(u8 h, u8 m, u8 s)
{
	put(B, HOURS_24 | SET);
	put(HOUR, h);
	put(MINUTE, m);
	put(SECOND, s);
	put(B, HOURS_24);
}

static void set_alarm(u8 h, u8 m, u8 s)
{
	put(HOUR_ALARM, h);
	put(MINUTE_ALARM, m);
	put(SECOND_ALARM, s);
}

/* ---- the calendar ----------------------------------------------------------------------- */

START_TEST(it_shows_the_hosts_time)
{
	ck_assert_uint_eq(get(SECOND), 0x20);
	ck_assert_uint_eq(get(MINUTE), 0x13);
	ck_assert_uint_eq(get(HOUR), 0x22);
	ck_assert_uint_eq(get(WEEKDAY), 3); /* a Tuesday */
	ck_assert_uint_eq(get(DAY), 0x14);
	ck_assert_uint_eq(get(MONTH), 0x11);
	ck_assert_uint_eq(get(YEAR), 0x23);
	ck_assert_uint_eq(get(CENTURY), 0x20);
	fake_run(FAKE_SECOND - 1);
	ck_assert_uint_eq(get(SECOND), 0x20);
	fake_run(1);
	ck_assert_uint_eq(get(SECOND), 0x21);
	fake_run(3600 * FAKE_SECOND * 2);
	ck_assert_uint_eq(get(HOUR), 0x00);
	ck_assert_uint_eq(get(DAY), 0x15);
}
END_TEST

/* Days from 1970 to 2500, hours of all kinds, in all four formats. */
START_TEST(the_calendar_is_the_c_librarys)
{
	static const u8 formats[] = {0, BINARY, HOURS_24, HOURS_24 | BINARY};
	u64 seconds = 0;

	for (unsigned i = 0; i < 6000; i++) {
		time_t t;
		struct tm tm;

		seconds = i < 100 ? i * 1234567
				  : (seconds + 86400 * 131 + 4321) % (530ull * 365 * 86400);
		t = seconds;
		gmtime_r(&t, &tm);
		put(B, formats[i % 4] | SET);
		put(SECOND, encode(i % 2, tm.tm_sec));
		put(MINUTE, encode(i % 2, tm.tm_min));
		if (i % 4 >= 2)
			put(HOUR, encode(i % 2, tm.tm_hour));
		else
			put(HOUR, encode(i % 2, (tm.tm_hour + 11) % 12 + 1) | (tm.tm_hour >= 12)
										      << 7);
		put(DAY, encode(i % 2, tm.tm_mday));
		put(MONTH, encode(i % 2, tm.tm_mon + 1));
		put(YEAR, encode(i % 2, tm.tm_year % 100));
		put(CENTURY, encode(i % 2, tm.tm_year / 100 + 19));
		put(B, formats[i % 4]);
		ck_assert_uint_eq(shown(), seconds);
		ck_assert_uint_eq(get(WEEKDAY), tm.tm_wday + 1);
		put(B, formats[(i + 1 + i / 4) % 4]); /* another format, the same time */
		ck_assert_uint_eq(shown(), seconds);
	}
}
END_TEST

START_TEST(nonsense_becomes_some_date)
{
	for (unsigned i = 0; i < 256; i++) {
		put(B, (i & 6) | SET);
		for (u8 reg = 0; reg < A; reg++)
			put(reg, i);
		put(CENTURY, i);
		ck_assert_uint_eq(get(MONTH), i); /* held: plain memory */
		put(B, i & 6);
		ck_assert_uint_ge(number(get(CENTURY)) * 100 + number(get(YEAR)), 1970);
		ck_assert_uint_le(number(get(CENTURY)) * 100 + number(get(YEAR)), 2500);
		ck_assert_uint_ge(number(get(MONTH)), 1);
		ck_assert_uint_le(number(get(MONTH)), 12);
		ck_assert_uint_ge(number(get(DAY)), 1);
		ck_assert_uint_le(number(get(DAY)), 31);
		ck_assert_uint_lt(number(get(SECOND)), 60);
		ck_assert_uint_lt(number(get(MINUTE)), 60);
		ck_assert_uint_lt(hour(get(HOUR)), 24);
		fake_run(FAKE_SECOND / 3);
	}
}
END_TEST

START_TEST(years_outside_become_the_nearest_inside)
{
	put(CENTURY, 0x19);
	put(YEAR, 0x69);
	ck_assert_uint_eq(get(YEAR), 0x70);
	ck_assert_uint_eq(get(MONTH), 0x11);
	put(B, HOURS_24 | SET);
	put(CENTURY, 0x25);
	put(YEAR, 0x01);
	put(B, HOURS_24);
	ck_assert_uint_eq(get(CENTURY), 0x25);
	ck_assert_uint_eq(get(YEAR), 0x00);
	ck_assert_uint_eq(get(MONTH), 0x11);
	ck_assert_uint_eq(get(DAY), 0x14);
}
END_TEST

START_TEST(set_holds_the_calendar_and_keeps_the_fraction)
{
	fake_run(300 * MS);
	put(B, HOURS_24 | SET);
	fake_run(10 * FAKE_SECOND);
	ck_assert_uint_eq(get(SECOND), 0x20);
	put(SECOND, 0x50);
	ck_assert_uint_eq(get(SECOND), 0x50);
	put(B, HOURS_24); /* .3 into the second, as the divider never stopped */
	fake_run(699 * MS);
	ck_assert_uint_eq(get(SECOND), 0x50);
	fake_run(1 * MS);
	ck_assert_uint_eq(get(SECOND), 0x51);
}
END_TEST

/* What Linux does: SET, hold the divider, write, clear SET, let the divider go. */
START_TEST(a_released_divider_updates_after_half_a_second)
{
	put(B, HOURS_24 | SET);
	put(A, DIVIDER_HELD | 6);
	put(SECOND, 0x30);
	fake_run(12345 * MS);
	put(B, HOURS_24);
	fake_run(12345 * MS);
	ck_assert_uint_eq(get(SECOND), 0x30);
	ck_assert_uint_eq(get(A), DIVIDER_HELD | 6);
	put(A, DIVIDER_ON | 6);
	fake_run(499 * MS);
	ck_assert_uint_eq(get(SECOND), 0x30);
	fake_run(1 * MS);
	ck_assert_uint_eq(get(SECOND), 0x31);
	fake_run(FAKE_SECOND);
	ck_assert_uint_eq(get(SECOND), 0x32);

	put(B, HOURS_24 | SET); /* and in the other order */
	put(A, 0x66);		/* 6 holds it as well as 7 */
	put(SECOND, 0x40);
	fake_run(777 * MS);
	ck_assert_uint_eq(get(A), 0x66);
	put(A, DIVIDER_ON | 6);
	fake_run(100 * MS);
	put(B, HOURS_24);
	fake_run(399 * MS);
	ck_assert_uint_eq(get(SECOND), 0x40);
	fake_run(1 * MS);
	ck_assert_uint_eq(get(SECOND), 0x41);
}
END_TEST

START_TEST(a_running_clock_can_be_set_byte_by_byte)
{
	put(HOUR, 0x05);
	put(DAY, 0x28);
	put(MONTH, 0x02);
	put(YEAR, 0x24);
	ck_assert_uint_eq(get(HOUR), 0x05);
	fake_run(86400 * FAKE_SECOND);
	ck_assert_uint_eq(get(DAY), 0x29);
	ck_assert_uint_eq(get(MONTH), 0x02);
	ck_assert_uint_eq(get(WEEKDAY), 5);
	fake_run(86400 * FAKE_SECOND);
	ck_assert_uint_eq(get(DAY), 0x01);
	ck_assert_uint_eq(get(MONTH), 0x03);
}
END_TEST

START_TEST(uip_warns_of_the_update)
{
	for (unsigned i = 0; i < 3; i++) {
		fake_run_to((i + 1) * FAKE_SECOND - 244001);
		ck_assert_uint_eq(get(A), 0x26);
		fake_run(1);
		ck_assert_uint_eq(get(A), UIP | 0x26);
		fake_run(243999);
		ck_assert_uint_eq(get(A), UIP | 0x26);
		ck_assert_uint_eq(get(SECOND), 0x20 + i);
		fake_run(1);
		ck_assert_uint_eq(get(A), 0x26);
		ck_assert_uint_eq(get(SECOND), 0x21 + i);
	}
	fake_run_to(4 * FAKE_SECOND - 1000);
	put(B, HOURS_24 | SET); /* held: no update to warn of */
	ck_assert_uint_eq(get(A), 0x26);
	put(B, HOURS_24);
	put(A, 0xa6); /* UIP is not for writing */
	ck_assert_uint_eq(get(A), 0xa6);
	fake_run(1000);
	ck_assert_uint_eq(get(A), 0x26);
}
END_TEST

/* ---- registers and memory --------------------------------------------------------------- */

START_TEST(ports_and_index)
{
	ck_assert_uint_eq(fake_in(&f, 0x70), 0xff);
	put(0x40, 0x12);
	put(0xc0, 0x34); /* bit 7 is the NMI's */
	ck_assert_uint_eq(get(0x40), 0x34);
	ck_assert_uint_eq(vm_in(&f.vm, 0x70, 2), 0x34ff);
	vm_out(&f.vm, 0x70, 2, 0x5641);
	ck_assert_uint_eq(get(0x41), 0x56);
	ck_assert_uint_eq(get(D), 0x80);
	put(D, 0);
	ck_assert_uint_eq(get(D), 0x80);
	put(C, 0xff);
	ck_assert_uint_eq(get(C), 0);
	set_alarm(0x12, 0x34, 0x56);
	ck_assert_uint_eq(get(MINUTE_ALARM), 0x34);
}
END_TEST

static unsigned pair(u8 reg)
{
	return get(reg) | get(reg + 1) << 8;
}

START_TEST(it_knows_the_memory)
{
	static const struct {
		u64 ram;
		unsigned above_1m, above_16m;
	} sizes[] = {
		{640 * KIB, 0, 0},
		{MIB, 0, 0},
		{16 * MIB, 15 * 1024, 0},
		{17 * MIB, 16 * 1024, 16},
		{64 * MIB, 63 * 1024, 48 * 16},
		{65 * MIB, 0xffff, 49 * 16},
		{256 * MIB, 0xffff, 240 * 16},
		{8 * GIB, 0xffff, 0xffff},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		f.vm.memory.ram_size = sizes[i].ram;
		ck_assert_uint_eq(pair(0x15), 640);
		ck_assert_uint_eq(pair(0x17), sizes[i].above_1m);
		ck_assert_uint_eq(pair(0x30), sizes[i].above_1m);
		ck_assert_uint_eq(pair(0x34), sizes[i].above_16m);
	}
}
END_TEST

/* ---- interrupts ------------------------------------------------------------------------- */

START_TEST(flags_are_set_without_interrupts)
{
	get(C);
	ck_assert_uint_eq(get(C), 0);
	set_alarm(0x22, 0x13, 0x22);
	fake_run(FAKE_SECOND / 1024);
	ck_assert_uint_eq(get(C), 0); /* a nanosecond early: 976562.5 ns */
	fake_run(1);
	ck_assert_uint_eq(get(C), PERIODIC);
	fake_run(FAKE_SECOND);
	ck_assert_uint_eq(get(C), PERIODIC | UPDATE);
	fake_run(FAKE_SECOND);
	ck_assert_uint_eq(get(C), PERIODIC | UPDATE | ALARM);
	ck_assert_uint_eq(get(C), 0);
	ck_assert(!irq());
	ck_assert_uint_eq(timers_next(), HOST_TIMER_NEVER);
}
END_TEST

START_TEST(update_ended_interrupts)
{
	put(B, HOURS_24 | UPDATE);
	for (unsigned i = 1; i < 5; i++) {
		fake_run_to(i * FAKE_SECOND - 1);
		ck_assert(!irq());
		fake_run(1);
		ck_assert(irq());
		ck_assert_uint_eq(get(SECOND), 0x20 + i);
		fake_run(FAKE_SECOND / 3);
		ck_assert(irq());
		ck_assert_uint_eq(get(C) & ~PERIODIC, IRQF | UPDATE);
		ck_assert(!irq());
	}
	fake_run(10 * FAKE_SECOND);
	put(B, HOURS_24 | UPDATE | SET); /* SET takes the enable away */
	ck_assert_uint_eq(get(B), HOURS_24 | SET);
	ck_assert(!irq());
}
END_TEST

/* A host that is late: the flags are right when they are read, though no timer has run. */
START_TEST(flags_do_not_wait_for_timers)
{
	put(B, HOURS_24 | UPDATE);
	fake_skip(FAKE_SECOND);
	ck_assert(!irq());
	ck_assert_uint_eq(get(C), IRQF | PERIODIC | UPDATE);
	ck_assert(!irq());
	ck_assert_uint_eq(get(C), 0);
}
END_TEST

START_TEST(a_clock_made_later_has_no_old_flags)
{
	fake_run(10 * FAKE_SECOND);
	for (u16 port = 0x70; port < 0x72; port++)
		f.vm.hooks.io_index[port] = 0;
	ck_assert_int_eq(f.devices[0]->create(&f.vm), 0);
	ck_assert_uint_eq(get(C), 0);
}
END_TEST

START_TEST(enabling_what_has_happened_interrupts_at_once)
{
	fake_run(FAKE_SECOND);
	put(B, HOURS_24 | UPDATE);
	ck_assert(irq());
	put(B, HOURS_24);
	ck_assert(!irq());
	put(B, HOURS_24 | UPDATE);
	ck_assert_uint_eq(get(C), IRQF | PERIODIC | UPDATE);
	ck_assert(!irq());
}
END_TEST

static unsigned interrupts_in(u64 ns)
{
	unsigned n = 0;

	for (u64 end = host_now() + ns; timers_next() <= end; n++) {
		fake_run_to(timers_next());
		ck_assert(irq());
		get(C);
	}
	return n;
}

START_TEST(periodic_interrupts_have_fifteen_rates)
{
	static const unsigned hz[16] = {0,   256, 128, 8192, 4096, 2048, 1024, 512,
					256, 128, 64,  32,   16,   8,	 4,    2};

	put(B, HOURS_24 | PERIODIC);
	for (u8 rate = 0; rate < 16; rate++) {
		fake_run_to((host_now() / FAKE_SECOND + 1) * FAKE_SECOND);
		put(A, DIVIDER_ON | rate);
		get(C);
		ck_assert_uint_eq(interrupts_in(2 * FAKE_SECOND), 2 * hz[rate]);
	}
	fake_run(100 * MS);
	put(B, HOURS_24 | PERIODIC | SET); /* without the calendar they go on */
	ck_assert_uint_ge(interrupts_in(FAKE_SECOND), 2);
	put(A, DIVIDER_HELD | 15);
	get(C);
	ck_assert_uint_eq(interrupts_in(FAKE_SECOND), 0);
	put(A, DIVIDER_ON | 15); /* the first one is due half a second from here */
	ck_assert_uint_eq(get(C), 0);
	put(A, DIVIDER_HELD | 6);
	put(B, HOURS_24 | PERIODIC);
	put(A, DIVIDER_ON | 15);
	ck_assert_uint_eq(interrupts_in(FAKE_SECOND), 2);
}
END_TEST

START_TEST(an_unread_interrupt_costs_nothing)
{
	put(B, HOURS_24 | PERIODIC);
	fake_run(10 * FAKE_SECOND);
	ck_assert(irq());
	ck_assert_uint_eq(timers_next(), HOST_TIMER_NEVER);
	get(C);
	ck_assert_uint_ne(timers_next(), HOST_TIMER_NEVER);
}
END_TEST

/* Run until the alarm goes off; the time then, as seconds since 1970. */
static u64 alarm_at(u64 within_ns)
{
	u64 end = host_now() + within_ns;

	get(C);
	if (timers_next() > end)
		return 0;
	fake_run_to(timers_next());
	ck_assert(irq());
	ck_assert_uint_eq(get(C) & ALARM, ALARM);
	return shown();
}

START_TEST(the_alarm_goes_off_at_its_time)
{
	u64 day = 86400, minute = 60, hour = 3600, start = FAKE_RTC - 22 * 3600 - 13 * 60 - 20;

	put(B, HOURS_24 | ALARM);
	set_alarm(0x22, 0x13, 0x25);
	ck_assert_uint_eq(alarm_at(day * FAKE_SECOND), start + 22 * hour + 13 * minute + 25);
	ck_assert_uint_eq(alarm_at(day * FAKE_SECOND), start + day + 22 * hour + 13 * minute + 25);
	set_alarm(0x06, 0x30, 0x00);
	ck_assert_uint_eq(alarm_at(day * FAKE_SECOND), start + 2 * day + 6 * hour + 30 * minute);
	set_alarm(0xff, 0x15, 0x10); /* any hour */
	ck_assert_uint_eq(alarm_at(day * FAKE_SECOND),
			  start + 2 * day + 7 * hour + 15 * minute + 10);
	set_alarm(0xc0, 0xff, 0x10);
	ck_assert_uint_eq(alarm_at(day * FAKE_SECOND),
			  start + 2 * day + 7 * hour + 16 * minute + 10);
	set_alarm(0xff, 0xff, 0xff);
	ck_assert_uint_eq(alarm_at(day * FAKE_SECOND),
			  start + 2 * day + 7 * hour + 16 * minute + 11);
	set_alarm(0xff, 0x16, 0xc0);
	ck_assert_uint_eq(alarm_at(day * FAKE_SECOND),
			  start + 2 * day + 7 * hour + 16 * minute + 12);
	set_alarm(0x05, 0xc0, 0x00); /* tomorrow */
	ck_assert_uint_eq(alarm_at(day * FAKE_SECOND), start + 3 * day + 5 * hour);
	set_alarm(0x24, 0x00, 0x00);
	ck_assert_uint_eq(alarm_at(3 * day * FAKE_SECOND), 0);
	set_alarm(0xff, 0x60, 0x00);
	ck_assert_uint_eq(alarm_at(3 * day * FAKE_SECOND), 0);
	set_alarm(0xff, 0xff, 0x60);
	ck_assert_uint_eq(alarm_at(3 * day * FAKE_SECOND), 0);
}
END_TEST

START_TEST(the_alarm_knows_the_formats)
{
	u64 start = FAKE_RTC - 22 * 3600 - 13 * 60 - 20;

	put(B, ALARM | BINARY);
	set_alarm(0x80 | 11, 13, 25); /* 11 PM */
	ck_assert_uint_eq(alarm_at(86400 * FAKE_SECOND), start + 23 * 3600 + 13 * 60 + 25);
	put(B, ALARM);
	set_alarm(0x12, 0x00, 0x59); /* 12 AM is midnight */
	ck_assert_uint_eq(alarm_at(86400 * FAKE_SECOND), start + 86400 + 59);
}
END_TEST

START_TEST(alarm_follows_a_clock_that_is_set)
{
	put(B, HOURS_24 | ALARM);
	set_alarm(0x12, 0x00, 0x00);
	set_time(0x11, 0x59, 0x59);
	put(B, HOURS_24 | ALARM);
	get(C);
	fake_run(FAKE_SECOND);
	ck_assert(irq());
	get(C);
	set_time(0x11, 0x59, 0x59);
	put(B, HOURS_24 | ALARM | SET); /* not while it is held */
	fake_run(5 * FAKE_SECOND);
	ck_assert(!irq());
}
END_TEST

/* Whatever a guest does, the sanitizers see it and the line agrees with register C. */
START_TEST(nothing_that_a_guest_writes_breaks_it)
{
	srand(1);
	for (int i = 0; i < 5000; i++) {
		u8 reg = rand() % 4 ? rand() % 14 : rand(), c;
		bool was;

		if (rand() % 3)
			put(reg, rand());
		else
			get(reg);
		fake_run(rand() % 4 ? rand() % 200000 : rand() % 1000000000);
		was = irq();
		c = get(C);
		ck_assert_int_eq(was, c >> 7);
		ck_assert(!irq());
	}
}
END_TEST

static Suite *cmos_suite(void)
{
	Suite *s = suite_create("cmos");
	TCase *t = tcase_create("MC146818");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, it_shows_the_hosts_time);
	tcase_add_test(t, the_calendar_is_the_c_librarys);
	tcase_add_test(t, nonsense_becomes_some_date);
	tcase_add_test(t, years_outside_become_the_nearest_inside);
	tcase_add_test(t, set_holds_the_calendar_and_keeps_the_fraction);
	tcase_add_test(t, a_released_divider_updates_after_half_a_second);
	tcase_add_test(t, a_running_clock_can_be_set_byte_by_byte);
	tcase_add_test(t, uip_warns_of_the_update);
	tcase_add_test(t, ports_and_index);
	tcase_add_test(t, it_knows_the_memory);
	tcase_add_test(t, flags_are_set_without_interrupts);
	tcase_add_test(t, update_ended_interrupts);
	tcase_add_test(t, flags_do_not_wait_for_timers);
	tcase_add_test(t, a_clock_made_later_has_no_old_flags);
	tcase_add_test(t, enabling_what_has_happened_interrupts_at_once);
	tcase_add_test(t, periodic_interrupts_have_fifteen_rates);
	tcase_add_test(t, an_unread_interrupt_costs_nothing);
	tcase_add_test(t, the_alarm_goes_off_at_its_time);
	tcase_add_test(t, the_alarm_knows_the_formats);
	tcase_add_test(t, alarm_follows_a_clock_that_is_set);
	tcase_add_test(t, nothing_that_a_guest_writes_breaks_it);
	suite_add_tcase(s, t);
	return s;
}
SET_ADD(suites, suite_fn, cmos_suite);

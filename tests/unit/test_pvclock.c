/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_pvclock.c: the paravirtual clock, read as a Linux guest reads it.
 */
#include <string.h>
#include "fake_vm.h"
#include "host/cpu.h"
#include "lib/errno.h"
#include "suite.h"

#define WALL_CLOCK  0x4b564d00
#define SYSTEM_TIME 0x4b564d01
#define ON	    1
#define AT	    0x1040

/* The guest's view of the structures, by offset. */
struct time_info {
	u32 version;
	u64 tsc_timestamp, system_time;
	u32 mul;
	s8 shift;
	u8 flags;
};

static struct fake_vm f;

static void setup(void)
{
	fake_vm_create(&f, "pvclock");
}

static void teardown(void)
{
	fake_vm_destroy(&f);
}

static const struct msr_hook *hook(u32 msr)
{
	for (unsigned i = 0; i < f.vm.hooks.msr_count; i++) {
		const struct msr_hook *h = &f.vm.hooks.msr[i];

		if (msr >= h->first && msr <= h->last)
			return h;
	}
	return NULL;
}

static int wrmsr_(u32 msr, u64 value)
{
	return hook(msr)->write(&f.vcpu, msr, value, hook(msr)->opaque);
}

static u64 rdmsr_(u32 msr)
{
	u64 value = ~0ull;

	ck_assert_int_eq(hook(msr)->read(&f.vcpu, msr, &value, hook(msr)->opaque), 0);
	return value;
}

static struct cpuid_regs cpuid_(u32 leaf)
{
	struct cpuid_regs r = {0x11111111, 0x22222222, 0x33333333, 0x44444444};

	for (unsigned i = 0; i < f.vm.hooks.cpuid_count; i++) {
		const struct cpuid_hook *h = &f.vm.hooks.cpuid[i];

		if (leaf >= h->first && leaf <= h->last)
			h->fn(&f.vcpu, leaf, 0, &r, h->opaque);
	}
	return r;
}

static struct time_info read_info(u64 at)
{
	const u8 *p = f.ram + at;
	struct time_info t;

	memcpy(&t.version, p, 4);
	memcpy(&t.tsc_timestamp, p + 8, 8);
	memcpy(&t.system_time, p + 16, 8);
	memcpy(&t.mul, p + 24, 4);
	t.shift = p[28];
	t.flags = p[29];
	return t;
}

/* Linux's formula, arch/x86/include/asm/pvclock.h */
static u64 guest_time(const struct time_info *t, u64 guest_tsc)
{
	u64 ticks = guest_tsc - t->tsc_timestamp;

	ticks = t->shift < 0 ? ticks >> -t->shift : ticks << t->shift;
	return t->system_time + (u64)((unsigned __int128)ticks * t->mul >> 32);
}

START_TEST(cpuid_offers_it)
{
	struct cpuid_regs r = cpuid_(0x40000100);

	ck_assert_uint_eq(r.eax, 0x40000101);
	ck_assert(!memcmp(&r.ebx, "KVMK", 4));
	ck_assert(!memcmp(&r.ecx, "VMKV", 4));
	ck_assert(!memcmp(&r.edx, "M\0\0\0", 4));
	r = cpuid_(0x40000101);
	ck_assert_uint_eq(r.eax, 0x0100000a);
	ck_assert_uint_eq(r.ebx | r.ecx | r.edx, 0);
	r = cpuid_(0x40000102);
	ck_assert_uint_eq(r.eax, 0x11111111); /* not ours */
	ck_assert_uint_eq(cpuid_(0x40000000).eax, 0x11111111);
}
END_TEST

START_TEST(the_old_msrs_are_not_offered)
{
	ck_assert_ptr_null(hook(0x11));
	ck_assert_ptr_null(hook(0x12));
	ck_assert_ptr_null(hook(WALL_CLOCK - 1));
	ck_assert_ptr_null(hook(SYSTEM_TIME + 1));
}
END_TEST

START_TEST(switched_on_it_is_stable)
{
	ck_assert_int_eq(wrmsr_(SYSTEM_TIME, AT | ON), 0);
	ck_assert_uint_eq(rdmsr_(SYSTEM_TIME), AT | ON);
	ck_assert_uint_eq(read_info(AT).version, 2);
	ck_assert_uint_eq(read_info(AT).flags, 1);
}
END_TEST

/* A second VM on a machine with another rate. */
static void make_another(void)
{
	f.vm.hooks.msr_count = f.vm.hooks.cpuid_count = 0;
	ck_assert_int_eq(f.devices[0]->create(&f.vm), 0);
}

START_TEST(the_guest_learns_the_tscs_rate)
{
	static const u64 rates[] = {2500000, 999999, 1000000, 1000001, 2000000,
				    2000001, 1,	     33333,   4700123, 64000000};
	struct time_info t;
	u64 khz;

	for (unsigned i = 0; i < ARRAY_SIZE(rates); i++) {
		fake_tsc_khz = rates[i];
		make_another();
		ck_assert_int_eq(wrmsr_(SYSTEM_TIME, AT | ON), 0);
		t = read_info(AT);
		ck_assert_uint_ge(t.mul, 0x80000000);
		khz = (1000000ull << 32) / t.mul; /* Linux's pvclock_tsc_khz() */
		khz = t.shift < 0 ? khz << -t.shift : khz >> t.shift;
		/* what that formula can tell, at this shift */
		ck_assert_uint_le(khz, rates[i] + (t.shift < 0 ? 1u << -t.shift : 1));
		ck_assert_uint_ge(khz + (t.shift < 0 ? 1u << -t.shift : 0), rates[i]);
		/* and a second is a second */
		ck_assert_uint_le(guest_time(&t, t.tsc_timestamp + rates[i] * 1000) - t.system_time,
				  FAKE_SECOND);
		ck_assert_uint_ge(guest_time(&t, t.tsc_timestamp + rates[i] * 1000) - t.system_time,
				  FAKE_SECOND - 10);
	}
}
END_TEST

START_TEST(time_goes_on_with_the_guests_tsc)
{
	u64 before, after;
	struct time_info t;

	fake_run(5 * FAKE_SECOND + 77);
	f.vcpu.tsc_offset = -123456789ull;
	before = rdtsc();
	ck_assert_int_eq(wrmsr_(SYSTEM_TIME, AT | ON), 0);
	after = rdtsc();
	t = read_info(AT);
	ck_assert_uint_eq(t.system_time, 5 * FAKE_SECOND + 77);
	ck_assert_uint_ge(t.tsc_timestamp, before - 123456789);
	ck_assert_uint_le(t.tsc_timestamp, after - 123456789);
	/* a second is khz * 1000 ticks; rounding is below a part in 2^31 */
	for (u64 s = 1; s < 1000000; s *= 7) {
		u64 time = guest_time(&t, t.tsc_timestamp + s * FAKE_TSC_KHZ * 1000);

		ck_assert_uint_le(time, t.system_time + s * FAKE_SECOND);
		ck_assert_uint_ge(time,
				  t.system_time + s * FAKE_SECOND - 1 - s * FAKE_SECOND / BIT(31));
	}
}
END_TEST

/* Registering again, on another CPU or after a kexec, must not make time go back or differ. */
START_TEST(all_get_the_same_pair)
{
	struct time_info a, b;

	fake_run(FAKE_SECOND);
	ck_assert_int_eq(wrmsr_(SYSTEM_TIME, AT | ON), 0);
	fake_run(FAKE_SECOND);
	f.vcpu.tsc_offset = 1000;
	ck_assert_int_eq(wrmsr_(SYSTEM_TIME, (AT + 0x100) | ON), 0);
	a = read_info(AT);
	b = read_info(AT + 0x100);
	ck_assert_uint_eq(a.system_time, b.system_time);
	ck_assert_uint_eq(a.tsc_timestamp + 1000, b.tsc_timestamp);
}
END_TEST

START_TEST(versions_grow_by_two_and_end_even)
{
	u32 version = 7; /* odd: something was left there */

	memcpy(f.ram + AT, &version, 4);
	ck_assert_int_eq(wrmsr_(SYSTEM_TIME, AT | ON), 0);
	ck_assert_uint_eq(read_info(AT).version, 8);
	ck_assert_int_eq(wrmsr_(SYSTEM_TIME, AT | ON), 0);
	ck_assert_uint_eq(read_info(AT).version, 10);
}
END_TEST

START_TEST(switching_off_writes_nothing)
{
	ck_assert_int_eq(wrmsr_(SYSTEM_TIME, AT), 0);
	ck_assert_uint_eq(read_info(AT).version, 0);
	ck_assert_uint_eq(rdmsr_(SYSTEM_TIME), AT);
	ck_assert_int_eq(wrmsr_(SYSTEM_TIME, 0), 0);
	ck_assert_uint_eq(rdmsr_(SYSTEM_TIME), 0);
}
END_TEST

START_TEST(the_wall_clock_is_that_of_the_vms_beginning)
{
	u32 wall[3];

	fake_run(10 * FAKE_SECOND);
	ck_assert_int_eq(wrmsr_(WALL_CLOCK, AT), 0);
	memcpy(wall, f.ram + AT, sizeof(wall));
	ck_assert_uint_eq(wall[0], 2);
	ck_assert_uint_eq(wall[1], FAKE_RTC); /* host_now() was 0 */
	ck_assert_uint_eq(wall[2], 0);
	ck_assert_uint_eq(rdmsr_(WALL_CLOCK), AT);
}
END_TEST

START_TEST(a_vm_made_later_begins_later)
{
	u32 wall[3];

	fake_run(2 * FAKE_SECOND + 500);
	make_another();
	fake_run(FAKE_SECOND);
	ck_assert_int_eq(wrmsr_(WALL_CLOCK, AT), 0);
	memcpy(wall, f.ram + AT, sizeof(wall));
	ck_assert_uint_eq(wall[1], FAKE_RTC + 2);
	ck_assert_uint_eq(wall[2], 500);
	ck_assert_int_eq(wrmsr_(SYSTEM_TIME, AT | ON), 0);
	ck_assert_uint_eq(read_info(AT).system_time, FAKE_SECOND);
}
END_TEST

START_TEST(bad_addresses_are_refused)
{
	static const u64 bad[] = {FAKE_RAM_SIZE, FAKE_RAM_SIZE - 8, AT + 2, BIT(40), -8ull};

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		ck_assert_int_eq(wrmsr_(SYSTEM_TIME, bad[i] | ON), -EPERM);
		ck_assert_int_eq(wrmsr_(WALL_CLOCK, bad[i]), -EPERM);
	}
	ck_assert_int_eq(wrmsr_(WALL_CLOCK, AT + 1), -EPERM);
	ck_assert_uint_eq(rdmsr_(SYSTEM_TIME), 0);
	ck_assert_uint_eq(rdmsr_(WALL_CLOCK), 0);
	ck_assert_int_eq(wrmsr_(SYSTEM_TIME, (FAKE_RAM_SIZE - 32) | ON), 0); /* the last that fit */
	ck_assert_int_eq(wrmsr_(WALL_CLOCK, FAKE_RAM_SIZE - 12), 0);
	ck_assert_int_eq(wrmsr_(SYSTEM_TIME, AT + 4 + ON), 0); /* four bytes are aligned enough */
}
END_TEST

static Suite *pvclock_suite(void)
{
	Suite *s = suite_create("pvclock");
	TCase *t = tcase_create("pvclock");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, cpuid_offers_it);
	tcase_add_test(t, the_old_msrs_are_not_offered);
	tcase_add_test(t, switched_on_it_is_stable);
	tcase_add_test(t, the_guest_learns_the_tscs_rate);
	tcase_add_test(t, time_goes_on_with_the_guests_tsc);
	tcase_add_test(t, all_get_the_same_pair);
	tcase_add_test(t, versions_grow_by_two_and_end_even);
	tcase_add_test(t, switching_off_writes_nothing);
	tcase_add_test(t, the_wall_clock_is_that_of_the_vms_beginning);
	tcase_add_test(t, a_vm_made_later_begins_later);
	tcase_add_test(t, bad_addresses_are_refused);
	suite_add_tcase(s, t);
	return s;
}
SET_ADD(suites, suite_fn, pvclock_suite);

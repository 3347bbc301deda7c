/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rtc.c: the calendar clock in the CMOS (Motorola MC146818A data sheet), read once, at boot.
 *
 * Once a second the chip updates its registers, and while it does they must not be read. It warns
 * 244 microseconds before, time enough to read them all. The numbers are decimal digits or binary,
 * and hours run to 12 or to 24, as firmware chose.
 */
#include "host/host.h"
#include "host/cpu.h"
#include "host/time.h"

#define CMOS_INDEX 0x70
#define CMOS_DATA  0x71

enum {
	RTC_SECONDS = 0x00,
	RTC_MINUTES = 0x02,
	RTC_HOURS = 0x04,
	RTC_DAY = 0x07,
	RTC_MONTH = 0x08,
	RTC_YEAR = 0x09,
	RTC_STATUS_A = 0x0a,
	RTC_STATUS_B = 0x0b,
	RTC_CENTURY = 0x32, /* not the chip's: where PCs keep it */
};

#define A_UPDATING 0x80
#define B_24_HOURS 0x02
#define B_BINARY   0x04
#define HOURS_PM   0x80

static u64 boot_time;

static u8 read_cmos(u8 reg)
{
	outb(CMOS_INDEX, reg);
	return inb(CMOS_DATA);
}

static unsigned number(u8 value, u8 status_b)
{
	return status_b & B_BINARY ? value : (value >> 4) * 10u + (value & 0xf);
}

static unsigned hours(u8 value, u8 status_b)
{
	unsigned hour = number(value & ~HOURS_PM, status_b);

	if (status_b & B_24_HOURS)
		return number(value, status_b);
	return hour % 12 + (value & HOURS_PM ? 12 : 0); /* 12 AM is 0, 12 PM is 12 */
}

/* Days from 1970-01-01. Counting years from March puts the leap day at the year's end. */
static u64 days(unsigned year, unsigned month, unsigned day)
{
	u64 y = month > 2 ? year : year - 1;
	u64 months_since_march = (month + 9) % 12;
	u64 day_of_year = (153 * months_since_march + 2) / 5 + day - 1;

	return y * 365 + y / 4 - y / 100 + y / 400 + day_of_year - 719468;
}

void rtc_init(void)
{
	u8 b = read_cmos(RTC_STATUS_B);
	unsigned century, year, month, day, hour, minute, second;

	while (read_cmos(RTC_STATUS_A) & A_UPDATING) {
		host_timer_set(host_now() + 3000000); /* an update takes 2 ms */
		host_idle();
	}
	second = number(read_cmos(RTC_SECONDS), b);
	minute = number(read_cmos(RTC_MINUTES), b);
	hour = hours(read_cmos(RTC_HOURS), b);
	day = number(read_cmos(RTC_DAY), b);
	month = number(read_cmos(RTC_MONTH), b);
	year = number(read_cmos(RTC_YEAR), b);
	century = number(read_cmos(RTC_CENTURY), b);
	if (century < 19 || century > 21)
		century = 20;
	boot_time =
		days(century * 100 + year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
}

u64 host_rtc(void)
{
	return boot_time;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * calendar.c: dates and times of day as an MC146818 writes them; see calendar.h and cmos.c.
 *
 * Motorola MC146818 data sheet (ADI-856), table 2 for the formats.
 */
#include "devices/calendar.h"

enum {
	REG_SECOND = 0x00,
	REG_MINUTE = 0x02,
	REG_HOUR = 0x04,
	REG_WEEKDAY = 0x06,
	REG_DAY = 0x07,
	REG_MONTH = 0x08,
	REG_YEAR = 0x09,
	REG_CENTURY = 0x32,
};

#define HOUR_PM	      BIT(7)
#define ALARM_ANY     0xc0 /* and above */
#define ANY	      (-1)

#define MINUTE	      60
#define HOUR	      3600
#define DAY	      86400
#define FIRST_YEAR    1970
#define LAST_YEAR     2500
#define FIRST_WEEKDAY 4 /* 1970-01-01 was a Thursday; Sunday is 0 */
#define MONTHS	      12
#define FEBRUARY      2

static u8 encode(unsigned n, u8 format)
{
	return format & CALENDAR_BINARY ? n : n / 10 << 4 | n % 10;
}

static unsigned decode(u8 byte, u8 format)
{
	return format & CALENDAR_BINARY ? byte : (byte >> 4) * 10 + (byte & 15);
}

static u8 encode_hour(unsigned hour, u8 format)
{
	if (format & CALENDAR_24H)
		return encode(hour, format);
	return encode(hour % 12 ? hour % 12 : 12, format) | (hour >= 12 ? HOUR_PM : 0);
}

static unsigned decode_hour(u8 byte, u8 format)
{
	if (format & CALENDAR_24H)
		return decode(byte, format);
	return decode(byte & ~HOUR_PM, format) % 12 + (byte & HOUR_PM ? 12 : 0);
}

/* Leap days before a year, counted from the year 1. */
static unsigned leap_days(unsigned year)
{
	year--;
	return year / 4 - year / 100 + year / 400;
}

/* Days from 1970-01-01 to the first of a year. */
static u64 days_before(unsigned year)
{
	return (year - FIRST_YEAR) * 365 + leap_days(year) - leap_days(FIRST_YEAR);
}

static unsigned days_of_month(unsigned year, unsigned month)
{
	static const u8 days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	unsigned leap_day = leap_days(year + 1) - leap_days(year);

	return days[month - 1] + (month == FEBRUARY ? leap_day : 0);
}

void calendar_from_seconds(u8 *bytes, u64 seconds, u8 format)
{
	u64 days = seconds / DAY;
	unsigned year = min(FIRST_YEAR + days / 366, LAST_YEAR), month = 1; /* or a bit later */

	bytes[REG_SECOND] = encode(seconds % MINUTE, format);
	bytes[REG_MINUTE] = encode(seconds % HOUR / MINUTE, format);
	bytes[REG_HOUR] = encode_hour(seconds % DAY / HOUR, format);
	bytes[REG_WEEKDAY] = (days + FIRST_WEEKDAY) % 7 + 1;

	while (year < LAST_YEAR && days >= days_before(year + 1))
		year++;
	days -= days_before(year);
	for (; month < MONTHS && days >= days_of_month(year, month); month++)
		days -= days_of_month(year, month);
	bytes[REG_DAY] = encode(min(days, 30) + 1, format);
	bytes[REG_MONTH] = encode(month, format);
	bytes[REG_YEAR] = encode(year % 100, format);
	bytes[REG_CENTURY] = encode(year / 100, format);
}

u64 calendar_to_seconds(const u8 *bytes, u8 format)
{
	unsigned year = decode(bytes[REG_CENTURY], format) * 100 + decode(bytes[REG_YEAR], format);
	unsigned month = decode(bytes[REG_MONTH], format);
	u64 days = max(decode(bytes[REG_DAY], format), 1u) - 1;

	year = min(max(year, FIRST_YEAR), LAST_YEAR);
	month = min(max(month, 1), MONTHS);
	days += days_before(year);
	for (unsigned m = 1; m < month; m++)
		days += days_of_month(year, m);
	return days * DAY + decode_hour(bytes[REG_HOUR], format) * HOUR +
	       decode(bytes[REG_MINUTE], format) * MINUTE + decode(bytes[REG_SECOND], format);
}

u64 calendar_next_alarm(u8 hour, u8 minute, u8 second, u64 after, u8 format)
{
	int h = hour >= ALARM_ANY ? ANY : (int)decode_hour(hour, format);
	int m = minute >= ALARM_ANY ? ANY : (int)decode(minute, format);
	int s = second >= ALARM_ANY ? ANY : (int)decode(second, format);
	u64 t = after + 1;

	if (h >= DAY / HOUR || m >= HOUR / MINUTE || s >= MINUTE)
		return CALENDAR_NEVER;
	for (;;) {
		if (h != ANY && (int)(t % DAY / HOUR) != h)
			t = (t / HOUR + 1) * HOUR;
		else if (m != ANY && (int)(t % HOUR / MINUTE) != m)
			t = (t / MINUTE + 1) * MINUTE;
		else if (s != ANY && (int)(t % MINUTE) != s)
			t++;
		else
			return t;
	}
}

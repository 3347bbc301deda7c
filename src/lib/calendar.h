/* SPDX-License-Identifier: BSD-3-Clause */
/* calendar.h: dates of the Gregorian calendar. */
#ifndef LIB_CALENDAR_H
#define LIB_CALENDAR_H

#include "lib/types.h"

/**
 * days_to() - days from 1970-01-01 to that date, not before it; month 1-12.
 *
 * Counting years from March puts the leap day at the year's end. @day may be beyond the month's.
 */
static inline u64 days_to(unsigned year, unsigned month, unsigned day)
{
	u64 y = month > 2 ? year : year - 1;
	u64 months_since_march = (month + 9) % 12;
	u64 day_of_year = (153 * months_since_march + 2) / 5 + day - 1;

	return y * 365 + y / 4 - y / 100 + y / 400 + day_of_year - 719468;
}

#endif

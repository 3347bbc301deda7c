/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * calendar.h: between seconds since 1970-01-01 (UTC) and the calendar bytes of an MC146818.
 *
 * @format is the chip's register B, of which two bits count. Years are 1970 to 2500; a date outside
 * becomes the nearest inside.
 */
#ifndef DEVICES_CALENDAR_H
#define DEVICES_CALENDAR_H

#include "lib/types.h"

#define CALENDAR_24H	BIT(1) /* hours 0-23; else 1-12, and bit 7 is PM */
#define CALENDAR_BINARY BIT(2) /* else BCD */
#define CALENDAR_NEVER	UINT64_MAX

/** calendar_from_seconds() - write a date and time into the calendar bytes of @bytes. */
void calendar_from_seconds(u8 *bytes, u64 seconds, u8 format);
/** calendar_to_seconds() - what they say; the day of the week does not count. */
u64 calendar_to_seconds(const u8 *bytes, u8 format);
/**
 * calendar_next_alarm() - the first second after @after at which an alarm goes off.
 * @hour, @minute, @second: the chip's alarm bytes; c0-ff match any
 *
 * Return: that second, or CALENDAR_NEVER if these are no time of a day.
 */
u64 calendar_next_alarm(u8 hour, u8 minute, u8 second, u64 after, u8 format);

#endif

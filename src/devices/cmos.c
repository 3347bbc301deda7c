/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cmos.c: the MC146818 real time clock of a PC and the battery-backed memory in it.
 *
 * What it is for. A calendar that runs while the machine is off, an alarm, a periodic interrupt
 * (IRQ8), and 114 bytes in which firmware writes down what the machine has.
 *
 * How the chip works. The guest writes an index to port 70 (bit 7 is not the chip's: it masks the
 * NMI) and reads or writes that byte at port 71:
 *
 *	00 02 04 seconds, minutes, hours       01 03 05 the alarm's; c0-ff there means "any"
 *	06 day of the week (Sunday is 1)       07 08 09 day, month, year; 32 the century (a PC's)
 *	0a  A: 7 UIP update in progress;  6-4 divider: 2 runs, 6 and 7 hold;  3-0 periodic rate
 *	0b  B: 7 SET: hold the calendar;  enable interrupts: 6 periodic, 5 alarm, 4 update ended;
 *	       2 binary, else BCD;  1 24 hours, else 12 (bit 7 of the hours: PM)
 *	0c  C: 7 IRQ8 is up;  6, 5, 4 which of the three has happened; a read clears all
 *	0d  D: 7 the battery is good
 *	15 17 30 34  memory: 640 KiB; KiB above 1 MiB, twice; 64 KiB blocks above 16 MiB
 *
 * Once a second the chip advances its bytes, and they must not be read meanwhile; UIP warns 244
 * microseconds before. Here the advance takes no time and UIP is up for just those.
 *
 * How we emulate it. The clock is a number, nanoseconds since 1970 by the host's clock plus what
 * the guest has changed (@offset), and the calendar bytes are computed from it: years 1970 to 2500,
 * a date outside becomes the nearest inside. While the guest holds the calendar they are plain
 * memory; when it lets go they become the new offset. Register C is brought up to date when it is
 * looked at; a timer is armed only for interrupts that are enabled, and not while one is up that
 * nobody has read. Daylight saving (B bit 0) and the square wave (B bit 3) have no effect.
 *
 * Motorola MC146818 data sheet (ADI-856); the PC's bytes: IBM PC AT Technical Reference, 1-56.
 */
#include "lib/calendar.h"
#include "vmm/device.h"
#include "vmm/timer.h"
#include "vmm/vm.h"

enum { INDEX_PORT = 0x70, DATA_PORT, INDEX_MASK = 0x7f, CMOS_BYTES = 128, RTC_IRQ = 8 };

enum { REG_SECOND, REG_SECOND_ALARM, REG_MINUTE, REG_MINUTE_ALARM, REG_HOUR, REG_HOUR_ALARM };
enum { REG_WEEKDAY = 6, REG_DAY, REG_MONTH, REG_YEAR, REG_A, REG_B, REG_C, REG_D };
enum { REG_BASE_MEMORY = 0x15, REG_EXTENDED_MEMORY = 0x17 }; /* two bytes each */
enum { REG_EXTENDED_AGAIN = 0x30, REG_CENTURY = 0x32, REG_HIGH_MEMORY = 0x34 };

#define A_UIP	     BIT(7)
#define A_DIVIDER(v) ((v) >> 4 & 7)
#define DIVIDER_HOLD 6 /* or 7 */
#define A_RATE(v)    ((v)&15)
#define A_RESET	     0x26 /* divider runs, 1024 Hz: what firmware sets */
enum { B_24H = BIT(1), B_BINARY = BIT(2), B_UPDATE = BIT(4), B_SET = BIT(7) };
enum { C_UPDATE = BIT(4), C_ALARM = BIT(5), C_PERIODIC = BIT(6), C_IRQ = BIT(7) };
#define C_ENABLED (C_PERIODIC | C_ALARM | C_UPDATE) /* the same bits of B enable them */
#define D_VALID	  BIT(7)

#define HOUR_PM	  BIT(7)
#define ALARM_ANY 0xc0 /* and above */
#define ANY	  (-1)

enum { MINUTE = 60, HOUR = 3600, DAY = 86400 };
enum { FIRST_YEAR = 1970, LAST_YEAR = 2500, MONTHS = 12 };
#define FIRST_WEEKDAY 4 /* 1970-01-01 was a Thursday; Sunday is 0 */

#define SECOND	      1000000000ull
#define UIP_TIME      244000	   /* ns */
#define AFTER_RELEASE (SECOND / 2) /* from the divider's release to the first update */
#define CRYSTAL_HZ    32768
#define NEVER	      UINT64_MAX

struct cmos {
	struct vm *vm;
	u8 index;
	u8 bytes[CMOS_BYTES];
	u64 now;     /* host_now() when this access began: all of it sees one time */
	u64 offset;  /* ns: the clock's time less the host's */
	u64 checked; /* register C is right for this time of the clock */
	struct timer timer;
};

/* ---- the calendar ---------------------------------------------------------------------------- */

/* Register B says whether a byte is binary or BCD, and how hours are counted. */
static u8 encode(const struct cmos *cmos, unsigned n)
{
	return cmos->bytes[REG_B] & B_BINARY ? n : n / 10 << 4 | n % 10;
}

static unsigned decode(const struct cmos *cmos, u8 byte)
{
	return cmos->bytes[REG_B] & B_BINARY ? byte : (byte >> 4) * 10 + (byte & 15);
}

static u8 encode_hour(const struct cmos *cmos, unsigned hour)
{
	if (cmos->bytes[REG_B] & B_24H)
		return encode(cmos, hour);
	return encode(cmos, hour % 12 ? hour % 12 : 12) | (hour >= 12 ? HOUR_PM : 0);
}

static unsigned decode_hour(const struct cmos *cmos, u8 byte)
{
	if (cmos->bytes[REG_B] & B_24H)
		return decode(cmos, byte);
	return decode(cmos, byte & ~HOUR_PM) % 12 + (byte & HOUR_PM ? 12 : 0);
}

static void write_calendar(struct cmos *cmos, u64 seconds)
{
	u64 days = seconds / DAY;
	unsigned year = min(FIRST_YEAR + days / 366, LAST_YEAR), month = 1; /* or a bit later */
	u8 *bytes = cmos->bytes;

	bytes[REG_SECOND] = encode(cmos, seconds % MINUTE);
	bytes[REG_MINUTE] = encode(cmos, seconds % HOUR / MINUTE);
	bytes[REG_HOUR] = encode_hour(cmos, seconds % DAY / HOUR);
	bytes[REG_WEEKDAY] = (days + FIRST_WEEKDAY) % 7 + 1;

	while (year < LAST_YEAR && days >= days_to(year + 1, 1, 1))
		year++;
	while (month < MONTHS && days >= days_to(year, month + 1, 1))
		month++;
	bytes[REG_DAY] = encode(cmos, min(days - days_to(year, month, 1), 30) + 1);
	bytes[REG_MONTH] = encode(cmos, month);
	bytes[REG_YEAR] = encode(cmos, year % 100);
	bytes[REG_CENTURY] = encode(cmos, year / 100);
}

/* Seconds since 1970; the day of the week does not count. */
static u64 read_calendar(const struct cmos *cmos)
{
	const u8 *bytes = cmos->bytes;
	unsigned year = decode(cmos, bytes[REG_CENTURY]) * 100 + decode(cmos, bytes[REG_YEAR]);
	unsigned month = decode(cmos, bytes[REG_MONTH]);
	u64 days;

	year = min(max(year, FIRST_YEAR), LAST_YEAR);
	month = min(max(month, 1), MONTHS);
	days = days_to(year, month, max(decode(cmos, bytes[REG_DAY]), 1u));
	return days * DAY + decode_hour(cmos, bytes[REG_HOUR]) * HOUR +
	       decode(cmos, bytes[REG_MINUTE]) * MINUTE + decode(cmos, bytes[REG_SECOND]);
}

/* ---- the clock ------------------------------------------------------------------------------- */

/* Host time 0 on this clock, ns since 1970. */
static u64 clock_zero(const struct cmos *cmos)
{
	return host_rtc() * SECOND + cmos->offset;
}

static u64 clock_now(const struct cmos *cmos)
{
	return clock_zero(cmos) + cmos->now;
}

static bool divider_held(const struct cmos *cmos)
{
	return A_DIVIDER(cmos->bytes[REG_A]) >= DIVIDER_HOLD;
}

/* Does the calendar stand still? */
static bool held(const struct cmos *cmos)
{
	return (cmos->bytes[REG_B] & B_SET) || divider_held(cmos);
}

/* Put the calendar of now into its bytes; they stay as they are while it is held. */
static void show_calendar(struct cmos *cmos)
{
	if (!held(cmos))
		write_calendar(cmos, clock_now(cmos) / SECOND);
}

/* Let the clock go on from what the bytes say; it keeps its place in the second. */
static void set_clock(struct cmos *cmos)
{
	cmos->offset += (read_calendar(cmos) - clock_now(cmos) / SECOND) * SECOND;
	cmos->checked = clock_now(cmos);
}

/* ---- what happens when ----------------------------------------------------------------------- */

/* Periodic interrupts: their number in a second, data sheet table 5. 0: none. */
static u64 periodic_hz(const struct cmos *cmos)
{
	unsigned rate = A_RATE(cmos->bytes[REG_A]);

	if (rate == 0 || divider_held(cmos))
		return 0;
	return CRYSTAL_HZ >> (rate < 3 ? rate + 6 : rate - 1);
}

static u64 next_periodic(const struct cmos *cmos, u64 after)
{
	u64 hz = periodic_hz(cmos);
	u64 nth = after % SECOND * hz / SECOND + 1;

	return hz ? after / SECOND * SECOND + (nth * SECOND + hz - 1) / hz : NEVER;
}

/* The first second after that one whose time of day the alarm bytes match. */
static u64 next_alarm(const struct cmos *cmos, u64 after)
{
	u8 hour = cmos->bytes[REG_HOUR_ALARM], minute = cmos->bytes[REG_MINUTE_ALARM];
	u8 second = cmos->bytes[REG_SECOND_ALARM];
	int h = hour >= ALARM_ANY ? ANY : (int)decode_hour(cmos, hour);
	int m = minute >= ALARM_ANY ? ANY : (int)decode(cmos, minute);
	int s = second >= ALARM_ANY ? ANY : (int)decode(cmos, second);
	u64 t = after / SECOND + 1;

	if (h >= DAY / HOUR || m >= HOUR / MINUTE || s >= MINUTE)
		return NEVER;
	for (;;) {
		if (h != ANY && (int)(t % DAY / HOUR) != h)
			t = (t / HOUR + 1) * HOUR;
		else if (m != ANY && (int)(t % HOUR / MINUTE) != m)
			t = (t / MINUTE + 1) * MINUTE;
		else if (s != ANY && (int)(t % MINUTE) != s)
			t++;
		else
			return t * SECOND;
	}
}

/* When, after @after, the event that is bit @flag of register C happens; or NEVER. */
static u64 next_event(const struct cmos *cmos, u8 flag, u64 after)
{
	if (flag == C_PERIODIC)
		return next_periodic(cmos, after);
	if (held(cmos))
		return NEVER;
	return flag == C_ALARM ? next_alarm(cmos, after) : (after / SECOND + 1) * SECOND;
}

/* ---- register C and IRQ8 --------------------------------------------------------------------- */

/* Set the flags of what has happened since we looked last. */
static void check_events(struct cmos *cmos)
{
	u64 now = clock_now(cmos);

	for (u8 flag = C_UPDATE; flag <= C_PERIODIC; flag <<= 1)
		if (next_event(cmos, flag, cmos->checked) <= now)
			cmos->bytes[REG_C] |= flag;
	cmos->checked = now;
}

/* Set IRQ8, and the timer for the next time that it has to be. */
static void update_irq(struct cmos *cmos)
{
	u8 enabled = cmos->bytes[REG_B] & C_ENABLED, *c = &cmos->bytes[REG_C];
	u64 first = NEVER;

	*c &= ~C_IRQ;
	if (*c & enabled)
		*c |= C_IRQ;
	vm_irq(cmos->vm, RTC_IRQ, *c & C_IRQ);
	for (u8 flag = C_UPDATE; flag <= C_PERIODIC && !(*c & C_IRQ); flag <<= 1) {
		u64 next = enabled & flag ? next_event(cmos, flag, cmos->checked) : NEVER;

		first = min(first, next);
	}
	if (first == NEVER)
		timer_cancel(&cmos->timer);
	else
		timer_arm(&cmos->timer, first - clock_zero(cmos));
}

static void cmos_expired(void *opaque)
{
	struct cmos *cmos = opaque;

	cmos->now = host_now();
	check_events(cmos);
	update_irq(cmos);
}

/* ---- bytes ----------------------------------------------------------------------------------- */

static void put_word(struct cmos *cmos, unsigned reg, u64 value)
{
	value = min(value, 0xffffull);
	cmos->bytes[reg] = value;
	cmos->bytes[reg + 1] = value >> 8;
}

/* What firmware would have written about the memory. */
static void show_memory(struct cmos *cmos)
{
	u64 ram = cmos->vm->memory.ram_size, above_1m = max(ram, MIB) - MIB;

	put_word(cmos, REG_BASE_MEMORY, 640);
	put_word(cmos, REG_EXTENDED_MEMORY, above_1m / KIB);
	put_word(cmos, REG_EXTENDED_AGAIN, above_1m / KIB);
	put_word(cmos, REG_HIGH_MEMORY, (max(ram, 16 * MIB) - 16 * MIB) / (64 * KIB));
}

static u8 read_a(const struct cmos *cmos)
{
	bool updating = !held(cmos) && clock_now(cmos) % SECOND >= SECOND - UIP_TIME;

	return cmos->bytes[REG_A] | (updating ? A_UIP : 0);
}

static u8 read_c(struct cmos *cmos)
{
	u8 value;

	check_events(cmos);
	update_irq(cmos);
	value = cmos->bytes[REG_C];
	cmos->bytes[REG_C] = 0;
	update_irq(cmos);
	return value;
}

static u32 cmos_in(void *opaque, u16 port, int size)
{
	struct cmos *cmos = opaque;

	if (port == INDEX_PORT) /* cannot be read: it floats */
		return 0xff;
	cmos->now = host_now();
	switch (cmos->index) {
	case REG_A:
		return read_a(cmos);
	case REG_C:
		return read_c(cmos);
	case REG_D:
		return D_VALID;
	}
	show_memory(cmos);
	show_calendar(cmos);
	return cmos->bytes[cmos->index];
}

static void write_control(struct cmos *cmos, unsigned reg, u8 value)
{
	bool was_held = held(cmos), divider_was_held = divider_held(cmos);

	cmos->bytes[reg] = reg == REG_A ? value & ~A_UIP : value;
	if (reg == REG_B && (value & B_SET))
		cmos->bytes[REG_B] &= ~B_UPDATE;
	if (divider_was_held && !divider_held(cmos)) {
		cmos->offset += AFTER_RELEASE - clock_now(cmos) % SECOND;
		cmos->checked = clock_now(cmos);
	}
	if (was_held && !held(cmos))
		set_clock(cmos);
}

static void cmos_out(void *opaque, u16 port, int size, u32 value)
{
	struct cmos *cmos = opaque;
	unsigned reg = cmos->index;

	if (port == INDEX_PORT) {
		cmos->index = value & INDEX_MASK;
		return;
	}
	cmos->now = host_now();
	check_events(cmos);
	show_calendar(cmos);
	if (reg == REG_A || reg == REG_B) {
		write_control(cmos, reg, value);
	} else if (reg != REG_C && reg != REG_D) {
		cmos->bytes[reg] = value;
		if (!held(cmos)) /* it may have been one of the calendar's */
			set_clock(cmos);
	}
	update_irq(cmos);
}

static int cmos_create(struct vm *vm)
{
	struct cmos *cmos = device_alloc(vm, sizeof(*cmos));
	struct io_hook hook = {INDEX_PORT, DATA_PORT, 1, cmos_in, cmos_out, cmos};

	if (!cmos)
		return -ENOMEM;
	cmos->vm = vm;
	cmos->bytes[REG_A] = A_RESET;
	cmos->bytes[REG_B] = B_24H;
	cmos->now = host_now();
	cmos->checked = clock_now(cmos);
	cmos->timer = (struct timer){.fn = cmos_expired, .opaque = cmos};
	return vm_hook_io(vm, &hook);
}

static void cmos_destroy(struct vm *vm)
{
	for (unsigned i = 0; i < vm->hooks.io_count; i++)
		if (vm->hooks.io[i].in == cmos_in)
			timer_cancel(&((struct cmos *)vm->hooks.io[i].opaque)->timer);
}

static const struct device_class cmos_class = {"cmos", cmos_create, cmos_destroy};
DEVICE(cmos_class);

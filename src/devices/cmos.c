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
 * the guest has changed (@offset), and the calendar bytes are computed from it (calendar.c). While
 * the guest holds the calendar they are plain memory; when it lets go they become the new offset.
 * Register C is brought up to date when it is looked at; a timer is armed only for interrupts that
 * are enabled, and not while one is up that nobody has read. Daylight saving (B bit 0) and the
 * square wave (B bit 3) are bits without effect.
 *
 * Motorola MC146818 data sheet (ADI-856); the PC's bytes: IBM PC AT Technical Reference, 1-56.
 */
#include "devices/calendar.h"
#include "host/host.h"
#include "lib/errno.h"
#include "vmm/device.h"
#include "vmm/timer.h"
#include "vmm/vm.h"

#define INDEX_PORT 0x70
#define DATA_PORT  0x71
#define INDEX_MASK 0x7f
#define CMOS_BYTES 128
#define RTC_IRQ	   8

enum {
	REG_ALARM_SECOND = 0x01,
	REG_ALARM_MINUTE = 0x03,
	REG_ALARM_HOUR = 0x05,
	REG_A = 0x0a,
	REG_B = 0x0b,
	REG_C = 0x0c,
	REG_D = 0x0d,
	REG_BASE_MEMORY = 0x15,	    /* KiB, two bytes each */
	REG_EXTENDED_MEMORY = 0x17, /* KiB above 1 MiB */
	REG_EXTENDED_AGAIN = 0x30,
	REG_HIGH_MEMORY = 0x34, /* 64 KiB above 16 MiB */
};

#define A_UIP	      BIT(7)
#define A_DIVIDER(v)  ((v) >> 4 & 7)
#define DIVIDER_HOLD  6 /* or 7 */
#define A_RATE(v)     ((v)&15)
#define A_RESET	      0x26 /* divider runs, 1024 Hz: what firmware sets */
#define B_SET	      BIT(7)
#define B_UPDATE      BIT(4)
#define C_IRQ	      BIT(7)
#define C_PERIODIC    BIT(6)
#define C_ALARM	      BIT(5)
#define C_UPDATE      BIT(4)
#define C_ENABLED     (C_PERIODIC | C_ALARM | C_UPDATE) /* the same bits of B enable them */
#define D_VALID	      BIT(7)

#define BASE_KIB      640
#define MOST	      0xffffull /* what two bytes hold */

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
		calendar_from_seconds(cmos->bytes, clock_now(cmos) / SECOND, cmos->bytes[REG_B]);
}

/* Let the clock go on from what the bytes say, @fraction ns into that second. */
static void set_clock(struct cmos *cmos, u64 fraction)
{
	u64 seconds = calendar_to_seconds(cmos->bytes, cmos->bytes[REG_B]);

	cmos->offset += seconds * SECOND + fraction - clock_now(cmos);
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

static u64 next_update(const struct cmos *cmos, u64 after)
{
	return held(cmos) ? NEVER : (after / SECOND + 1) * SECOND;
}

static u64 next_alarm(const struct cmos *cmos, u64 after)
{
	u64 seconds;

	if (held(cmos))
		return NEVER;
	seconds = calendar_next_alarm(cmos->bytes[REG_ALARM_HOUR], cmos->bytes[REG_ALARM_MINUTE],
				      cmos->bytes[REG_ALARM_SECOND], after / SECOND,
				      cmos->bytes[REG_B]);
	return seconds == NEVER ? NEVER : seconds * SECOND;
}

/* ---- register C and IRQ8 --------------------------------------------------------------------- */

/* Set the flags of what has happened since we looked last. */
static void check_events(struct cmos *cmos)
{
	u64 now = clock_now(cmos), since = cmos->checked;
	u8 *c = &cmos->bytes[REG_C];

	if (next_periodic(cmos, since) <= now)
		*c |= C_PERIODIC;
	if (next_alarm(cmos, since) <= now)
		*c |= C_ALARM;
	if (next_update(cmos, since) <= now)
		*c |= C_UPDATE;
	cmos->checked = now;
}

/* Set IRQ8, and the timer for the next time that it has to be. */
static void update_irq(struct cmos *cmos)
{
	u8 enabled = cmos->bytes[REG_B] & C_ENABLED, *c = &cmos->bytes[REG_C];
	u64 next = NEVER;

	*c &= ~C_IRQ;
	if (*c & enabled)
		*c |= C_IRQ;
	vm_irq(cmos->vm, RTC_IRQ, *c & C_IRQ);

	if (!(*c & C_IRQ)) {
		if (enabled & C_PERIODIC)
			next = next_periodic(cmos, cmos->checked);
		if (enabled & C_ALARM)
			next = min(next, next_alarm(cmos, cmos->checked));
		if (enabled & C_UPDATE)
			next = min(next, next_update(cmos, cmos->checked));
	}
	if (next == NEVER)
		timer_cancel(&cmos->timer);
	else
		timer_arm(&cmos->timer, next - clock_zero(cmos));
}

static void cmos_expired(void *opaque)
{
	struct cmos *cmos = opaque;

	cmos->now = host_now();
	check_events(cmos);
	update_irq(cmos);
}

/* ---- bytes ----------------------------------------------------------------------------------- */

/* What firmware would have written about the memory; @reg is the low byte's. */
static u16 memory_size(const struct cmos *cmos, unsigned reg)
{
	u64 ram = cmos->vm->memory.ram_size;

	if (reg == REG_BASE_MEMORY)
		return BASE_KIB;
	if (reg == REG_HIGH_MEMORY)
		return ram <= 16 * MIB ? 0 : min((ram - 16 * MIB) / (64 * KIB), MOST);
	return ram <= MIB ? 0 : min((ram - MIB) / KIB, MOST);
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

	(void)size;
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
	case REG_BASE_MEMORY:
	case REG_EXTENDED_MEMORY:
	case REG_EXTENDED_AGAIN:
	case REG_HIGH_MEMORY:
		return memory_size(cmos, cmos->index) & 0xff;
	case REG_BASE_MEMORY + 1:
	case REG_EXTENDED_MEMORY + 1:
	case REG_EXTENDED_AGAIN + 1:
	case REG_HIGH_MEMORY + 1:
		return memory_size(cmos, cmos->index - 1) >> 8;
	}
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
		set_clock(cmos, clock_now(cmos) % SECOND);
}

static void write_byte(struct cmos *cmos, unsigned reg, u8 value)
{
	show_calendar(cmos);
	if (reg == REG_A || reg == REG_B) {
		write_control(cmos, reg, value);
	} else if (reg != REG_C && reg != REG_D) {
		cmos->bytes[reg] = value;
		if (!held(cmos)) /* it may have been one of the calendar's */
			set_clock(cmos, clock_now(cmos) % SECOND);
	}
}

static void cmos_out(void *opaque, u16 port, int size, u32 value)
{
	struct cmos *cmos = opaque;

	(void)size;
	if (port == INDEX_PORT) {
		cmos->index = value & INDEX_MASK;
		return;
	}
	cmos->now = host_now();
	check_events(cmos);
	write_byte(cmos, cmos->index, value);
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
	cmos->bytes[REG_B] = CALENDAR_24H;
	cmos->now = host_now();
	cmos->checked = clock_now(cmos);
	timer_init(&cmos->timer, cmos_expired, cmos);
	return vm_hook_io(vm, &hook);
}

static void cmos_destroy(struct vm *vm)
{
	for (unsigned i = 0; i < vm->hooks.io_count; i++) {
		if (vm->hooks.io[i].in == cmos_in) {
			struct cmos *cmos = vm->hooks.io[i].opaque;

			timer_cancel(&cmos->timer);
		}
	}
}

static const struct device_class cmos_class = {"cmos", cmos_create, cmos_destroy};
DEVICE(cmos_class);

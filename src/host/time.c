/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * time.c: the clock (what time is it?) and the timer (wake me at that time).
 *
 * The clock is the processor's time stamp counter: one instruction to read. The timer is the local
 * APIC's, a counter; there is no periodic tick: if nothing is due, nothing happens. How fast the
 * two count is nowhere written, so it is measured once against the PIT (Intel 8254 data sheet),
 * whose rate every PC knows. The measuring is done asleep, because in Casita instructions are what
 * counts: a loop that polls for 20 ms is millions of them, HLT is one.
 *
 * Afterwards ticks and nanoseconds are converted by a multiplication and a shift by 32 bits:
 *
 *	ns = ticks * ns_per_tick / 2^32		ns_per_tick = 10^9 * 2^32 / rate
 */
#include "host/host.h"
#include "host/cpu.h"
#include "host/internal.h"
#include "lib/calendar.h"
#include "lib/print.h"

/* ---- the PIT's counter 0 --------------------------------------------------------------------- */

#define PIT_HZ 1193182
enum { PIT_IRQ = 0, PIT_COUNTER_0 = 0x40, PIT_CONTROL = 0x43 };

#define LATCH_0	   0x00 /* note the count, to be read */
#define ONE_SHOT_0 0x30 /* mode 0: count down, low byte written first; IRQ 0 at the end, once */

static volatile bool pit_fired;

static void pit_interrupt(void)
{
	pit_fired = true;
}

/* After the end it goes on from 65535. */
static u16 pit_read(void)
{
	u8 low;

	outb(PIT_CONTROL, LATCH_0);
	low = inb(PIT_COUNTER_0);
	return (u16)(inb(PIT_COUNTER_0) << 8 | low);
}

/* ---- measuring ------------------------------------------------------------------------------- */

#define WINDOW	    (PIT_HZ / 50) /* PIT ticks to measure for: 20 ms */
#define MOST_ROUNDS 5
#define TOLERANCE   1000 /* two rounds must differ by less than a part in so many */

/* The counters at one moment (the PIT's and the local APIC's count down), or their rates in Hz. */
struct counters {
	u64 tsc;
	u32 lapic;
	u16 pit;
};

/* A tick of the PIT is long (838 ns): wait for the beginning of one. */
static struct counters read_counters(void)
{
	u16 before = pit_read();
	struct counters c;

	do {
		c.tsc = rdtsc();
		c.lapic = lapic_timer_left();
		c.pit = pit_read();
	} while (c.pit == before);
	return c;
}

static struct counters measure(void)
{
	struct counters a, b;
	u16 ticks;

	lapic_timer_start(UINT32_MAX);
	outb(PIT_CONTROL, ONE_SHOT_0);
	outb(PIT_COUNTER_0, (u8)WINDOW);
	outb(PIT_COUNTER_0, WINDOW >> 8);
	host_take_interrupts(); /* an earlier one that was pending is not the one we wait for */
	pit_fired = false;
	a = read_counters();
	while (!pit_fired)
		host_idle();
	b = read_counters();

	ticks = a.pit - b.pit;
	return (struct counters){(b.tsc - a.tsc) * PIT_HZ / ticks,
				 (u64)(a.lapic - b.lapic) * PIT_HZ / ticks, 0};
}

static bool agree(u64 a, u64 b)
{
	return max(a, b) - min(a, b) <= a / TOLERANCE;
}

/* Something may delay us between the readings (another virtual machine, say): two must agree. */
static struct counters measure_until_sure(void)
{
	struct counters last, now = {0};
	unsigned rounds = 0;

	irq_handle(PIT_IRQ, pit_interrupt);
	do {
		last = now;
		now = measure();
	} while (!(agree(last.tsc, now.tsc) && agree(last.lapic, now.lapic)) &&
		 ++rounds < MOST_ROUNDS);
	irq_mask(PIT_IRQ);
	lapic_timer_start(0);
	if (!agree(last.tsc, now.tsc))
		print("casita: the time stamp counter's rate is not steady: %lu or %lu kHz\n",
		      last.tsc / 1000, now.tsc / 1000);
	return now;
}

/* ---- the clock ------------------------------------------------------------------------------- */

#define NS_PER_SECOND 1000000000ull

static u64 tsc_hz, tsc_start;
static u64 ns_per_tick;	       /* of the TSC, times 2^32 */
static u64 timer_ticks_per_ns; /* of the local APIC's timer, times 2^32 */

/* a / b in units of 2^-32; one of the two must be below 2^32, and the quotient, too. */
static u64 fraction(u64 a, u64 b)
{
	return (a / b << 32) + (a % b << 32) / b;
}

static u64 scale(u64 n, u64 factor)
{
	return (u64)((unsigned __int128)n * factor >> 32);
}

u64 host_now(void)
{
	return scale(rdtsc() - tsc_start, ns_per_tick);
}

u64 host_tsc_khz(void)
{
	return (tsc_hz + 500) / 1000;
}

/* ---- the timer, and waiting ------------------------------------------------------------------ */

static u64 armed_for = HOST_TIMER_NEVER;

/* A one-shot has done its work: whoever wants the same time again must have it armed again. */
static void timer_interrupt(void)
{
	armed_for = HOST_TIMER_NEVER;
}

/* How many ticks until then, at least 1; rounded up, so as to be late rather than early. */
static u32 ticks_until(u64 when)
{
	u64 now = host_now(), ns = when > now ? when - now : 0;

	return min(scale(min(ns, 1000 * NS_PER_SECOND), timer_ticks_per_ns) + 1, UINT32_MAX);
}

void host_timer_set(u64 when)
{
	if (when == armed_for)
		return;
	armed_for = when;
	lapic_timer_start(when == HOST_TIMER_NEVER ? 0 : ticks_until(when));
}

/* STI takes effect one instruction later, so that no interrupt can come before HLT waits for it. */
void host_idle(void)
{
	__asm__ volatile("sti; hlt; cli" ::: "memory");
}

void host_take_interrupts(void)
{
	__asm__ volatile("sti; nop; cli" ::: "memory");
}

/* ---- the calendar ---------------------------------------------------------------------------- */

/*
 * The clock in the CMOS (Motorola MC146818A data sheet), read once, at boot. Once a second the chip
 * updates its registers, and they must not be read meanwhile. It warns 244 microseconds before,
 * enough to read them all. As PCs set it up, hours run to 24 and numbers are two decimal digits.
 */
enum { CMOS_INDEX = 0x70, CMOS_DATA };

/* Registers; the century has none. */
enum { RTC_SECONDS = 0, RTC_MINUTES = 2, RTC_HOURS = 4, RTC_DAY = 7, RTC_MONTH = 8, RTC_YEAR = 9 };
enum { RTC_STATUS_A = 10 };

#define A_UPDATING 0x80

static u64 boot_time;

static u8 read_cmos(u8 reg)
{
	outb(CMOS_INDEX, reg);
	return inb(CMOS_DATA);
}

static unsigned read_number(u8 reg)
{
	u8 digits = read_cmos(reg);

	return (digits >> 4) * 10 + (digits & 0xf);
}

static u64 read_rtc(void)
{
	unsigned year;

	while (read_cmos(RTC_STATUS_A) & A_UPDATING) {
		host_timer_set(host_now() + 3000000); /* an update takes 2 ms */
		host_idle();
	}
	year = read_number(RTC_YEAR);
	year += year < 70 ? 2000 : 1900;
	return days_to(year, read_number(RTC_MONTH), read_number(RTC_DAY)) * 86400 +
	       read_number(RTC_HOURS) * 3600 + read_number(RTC_MINUTES) * 60 +
	       read_number(RTC_SECONDS);
}

u64 host_rtc(void)
{
	return boot_time;
}

void time_init(void)
{
	struct counters rates;

	trap_handle(VEC_LAPIC_TIMER, timer_interrupt);
	tsc_start = rdtsc();
	rates = measure_until_sure();
	tsc_hz = rates.tsc;
	ns_per_tick = fraction(NS_PER_SECOND, tsc_hz);
	timer_ticks_per_ns = fraction(rates.lapic, NS_PER_SECOND);
	boot_time = read_rtc();
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * time.c: the clock (what time is it?) and the timer (wake me at that time).
 *
 * The clock is the processor's time stamp counter: one instruction to read. How fast it counts is
 * nowhere written, so it is measured once against the PIT, whose rate every PC knows. So is the
 * local APIC's timer. The measuring is done asleep, because in Casita instructions are what counts:
 * a loop that polls for 20 ms is millions of them, HLT is one.
 *
 * Afterwards ticks and nanoseconds are converted by a multiplication and a shift by 32 bits:
 *
 *	ns = ticks * ns_per_tick / 2^32		ns_per_tick = 10^9 * 2^32 / rate
 *
 * The timer is one of three, the first that the machine has: the local APIC's with TSC deadline,
 * the local APIC's counter, the PIT. There is no periodic tick: if nothing is due, nothing happens.
 *
 *	1. measuring
 *	2. the clock
 *	3. the timer
 *	4. waiting
 */
#include "host/host.h"
#include "host/cpu.h"
#include "host/lapic.h"
#include "host/pic.h"
#include "host/pit.h"
#include "host/time.h"
#include "host/traps.h"
#include "lib/print.h"

#define NS_PER_SECOND 1000000000ull
#define LONGEST_SLEEP (1000 * NS_PER_SECOND)
#define WINDOW	      (PIT_HZ / 50) /* PIT ticks to measure for: 20 ms */
#define MOST_ROUNDS   5
#define TOLERANCE     1000 /* two rounds must differ by less than a part in so many */

/* ---- 1. measuring ------------------------------------------------------------------------- */

/* The three counters at one moment. */
struct moment {
	u16 pit;   /* counts down */
	u64 tsc;   /* counts up */
	u32 lapic; /* counts down */
};

struct rates {
	u64 tsc, lapic; /* Hz */
};

static bool has_lapic;

/* A tick of the PIT is long (838 ns): wait for the beginning of one. */
static struct moment read_moment(void)
{
	struct moment m;
	u16 before;

	pit_latch();
	before = pit_read();
	do {
		pit_latch();
		m.tsc = rdtsc();
		m.lapic = has_lapic ? lapic_timer_left() : 0;
		m.pit = pit_read();
	} while (m.pit == before);
	return m;
}

static volatile bool pit_fired;

static void pit_interrupt_while_measuring(void)
{
	pit_fired = true;
	pic_eoi(PIT_IRQ);
}

static struct rates measure(void)
{
	struct moment a, b;
	u64 ticks;

	if (has_lapic)
		lapic_timer_start(UINT32_MAX);
	pit_start(WINDOW);
	host_take_interrupts(); /* an earlier one that was pending is not the one we wait for */
	pit_fired = false;
	a = read_moment();
	while (!pit_fired)
		host_idle();
	b = read_moment();

	ticks = max((u16)(a.pit - b.pit), 1);
	return (struct rates){
		.tsc = (b.tsc - a.tsc) * PIT_HZ / ticks,
		.lapic = (u64)(a.lapic - b.lapic) * PIT_HZ / ticks,
	};
}

static bool agree(u64 a, u64 b)
{
	return max(a, b) - min(a, b) <= a / TOLERANCE;
}

/* Something may delay us between the readings (another virtual machine, say): two must agree. */
static struct rates measure_until_sure(void)
{
	struct rates last, now;
	unsigned rounds = 1;

	trap_handle_irq(VEC_PIC + PIT_IRQ, pit_interrupt_while_measuring);
	pic_unmask(PIT_IRQ);
	now = measure();
	do {
		last = now;
		now = measure();
		rounds++;
	} while (!(agree(last.tsc, now.tsc) && agree(last.lapic, now.lapic)) &&
		 rounds < MOST_ROUNDS);
	if (!agree(last.tsc, now.tsc))
		print("casita: the time stamp counter's rate is not steady: %lu or %lu kHz\n",
		      last.tsc / 1000, now.tsc / 1000);
	pic_mask(PIT_IRQ);
	return (struct rates){(last.tsc + now.tsc) / 2, (last.lapic + now.lapic) / 2};
}

/* ---- 2. the clock ------------------------------------------------------------------------- */

/* a / b in units of 2^-32; one of the two must be below 2^32, and the quotient, too. */
static u64 fraction(u64 a, u64 b)
{
	return (a / b << 32) + (a % b << 32) / b;
}

static u64 scale(u64 n, u64 factor)
{
	return (u64)((unsigned __int128)n * factor >> 32);
}

static u64 tsc_hz, tsc_start;
static u64 ns_per_tick, ticks_per_ns; /* of the TSC, times 2^32 */

u64 host_now(void)
{
	return scale(rdtsc() - tsc_start, ns_per_tick);
}

u64 host_tsc_khz(void)
{
	return (tsc_hz + 500) / 1000;
}

u64 host_tsc_to_ns(u64 ticks)
{
	return scale(ticks, ns_per_tick);
}

u64 host_ns_to_tsc(u64 ns)
{
	return scale(ns, ticks_per_ns);
}

/* ---- 3. the timer ------------------------------------------------------------------------- */

static enum { TIMER_DEADLINE, TIMER_LAPIC, TIMER_PIT } timer;
static u64 timer_ticks_per_ns; /* of whichever it is, times 2^32 */
static u64 armed_for = HOST_TIMER_NEVER;

/* A one-shot has done its work: whoever wants the same time again must have it armed again. */
static void lapic_interrupt(void)
{
	armed_for = HOST_TIMER_NEVER;
	lapic_eoi();
}

static void pit_interrupt(void)
{
	armed_for = HOST_TIMER_NEVER;
	pic_eoi(PIT_IRQ);
}

static void choose_timer(u64 lapic_hz)
{
	if (!has_lapic || !lapic_hz) {
		timer = TIMER_PIT;
		timer_ticks_per_ns = fraction(PIT_HZ, NS_PER_SECOND);
		trap_handle_irq(VEC_PIC + PIT_IRQ, pit_interrupt);
		pit_stop();
		pic_unmask(PIT_IRQ);
		return;
	}
	timer = lapic_has_deadline() ? TIMER_DEADLINE : TIMER_LAPIC;
	timer_ticks_per_ns =
		timer == TIMER_LAPIC ? fraction(lapic_hz, NS_PER_SECOND) : ticks_per_ns;
	trap_handle_irq(VEC_LAPIC_TIMER, lapic_interrupt);
	lapic_timer_init(timer == TIMER_DEADLINE);
}

static void stop_timer(void)
{
	switch (timer) {
	case TIMER_DEADLINE:
		lapic_deadline(0);
		break;
	case TIMER_LAPIC:
		lapic_timer_start(0);
		break;
	case TIMER_PIT:
		pit_stop();
		break;
	}
}

/* How many ticks until then, from 1 to @most; rounded up, so as to be late rather than early. */
static u64 ticks_until(u64 when, u64 most)
{
	u64 now = host_now(), ns = when > now ? when - now : 0;

	return min(scale(min(ns, LONGEST_SLEEP), timer_ticks_per_ns) + 1, most);
}

void host_timer_set(u64 when)
{
	if (when == armed_for)
		return;
	armed_for = when;
	if (when == HOST_TIMER_NEVER) {
		stop_timer();
		return;
	}
	switch (timer) {
	case TIMER_DEADLINE:
		lapic_deadline(rdtsc() + ticks_until(when, UINT64_MAX));
		break;
	case TIMER_LAPIC:
		lapic_timer_start((u32)ticks_until(when, UINT32_MAX));
		break;
	case TIMER_PIT:
		pit_start((u16)ticks_until(when, UINT16_MAX));
		break;
	}
}

void time_init(void)
{
	struct rates rates;

	has_lapic = lapic_init();
	tsc_start = rdtsc();
	rates = measure_until_sure();
	tsc_hz = rates.tsc;
	ns_per_tick = fraction(NS_PER_SECOND, tsc_hz);
	ticks_per_ns = fraction(tsc_hz, NS_PER_SECOND);
	choose_timer(rates.lapic);
}

/* ---- 4. waiting --------------------------------------------------------------------------- */

/* STI takes effect one instruction later, so that no interrupt can come before HLT waits for it. */
void host_idle(void)
{
	__asm__ volatile("sti; hlt; cli" ::: "memory");
}

void host_take_interrupts(void)
{
	__asm__ volatile("sti; nop; cli" ::: "memory");
}

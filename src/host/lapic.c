/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lapic.c: this processor's local APIC, in xAPIC mode: registers in memory, 16 bytes apart, at the
 * address that an MSR names. APM vol. 2 chapter 16; SDM vol. 3A chapter 10.
 *
 * Two things are wanted of it. Interrupts of the old 8259 come in at its pin LINT0 and are passed
 * on as they are ("ExtINT"). And it has a timer of its own that is much quicker to set than the
 * PIT: one store. It counts down at a rate that is nowhere written, so time.c measures it; newer
 * processors can also compare with the TSC, of which the rate is known and which counts finer.
 */
#include "host/lapic.h"
#include "host/cpu.h"
#include "host/host.h"
#include "host/traps.h"
#include "x86/regs.h"

#define CPUID_APIC	   BIT(9)  /* leaf 1, EDX */
#define CPUID_TSC_DEADLINE BIT(24) /* leaf 1, ECX */

#define APIC_BASE_X2APIC   BIT(10)
#define APIC_BASE_ENABLE   BIT(11)
#define APIC_BASE_ADDRESS  0x000ffffffffff000ull

/* Registers (APM vol. 2 table 16-2). */
enum {
	LAPIC_TPR = 0x80,
	LAPIC_EOI = 0xb0,
	LAPIC_SPURIOUS = 0xf0,
	LAPIC_LVT_TIMER = 0x320,
	LAPIC_LVT_LINT0 = 0x350,
	LAPIC_TIMER_INITIAL = 0x380,
	LAPIC_TIMER_CURRENT = 0x390,
	LAPIC_TIMER_DIVIDE = 0x3e0,
};

#define SPURIOUS_ENABLE	 BIT(8) /* the APIC's software enable bit */
#define LVT_EXTINT	 (7 << 8)
#define LVT_MASKED	 BIT(16)
#define LVT_TSC_DEADLINE (2 << 17)
#define DIVIDE_BY_1	 0xb

#define MSR_TSC_DEADLINE 0x6e0 /* SDM vol. 4 table 2-2 */

static volatile u32 *lapic;

static u32 get(unsigned reg)
{
	return lapic[reg / 4];
}

static void set(unsigned reg, u32 value)
{
	lapic[reg / 4] = value;
}

/* An interrupt that went away while it was delivered; it wants no EOI (APM vol. 2 §16.4.7). */
static void spurious(void)
{
}

bool lapic_init(void)
{
	u64 base;

	if (!(cpuid(1, 0).edx & CPUID_APIC))
		return false;
	base = rdmsr(MSR_APIC_BASE);
	if (base & APIC_BASE_X2APIC || (base & APIC_BASE_ADDRESS) >= 4 * GIB)
		return false;
	wrmsr(MSR_APIC_BASE, base | APIC_BASE_ENABLE);
	lapic = hpa_ptr(HPA(base & APIC_BASE_ADDRESS));

	trap_handle_irq(VEC_LAPIC_SPURIOUS, spurious);
	set(LAPIC_SPURIOUS, SPURIOUS_ENABLE | VEC_LAPIC_SPURIOUS);
	set(LAPIC_TPR, 0);
	set(LAPIC_LVT_LINT0, LVT_EXTINT);
	set(LAPIC_LVT_TIMER, LVT_MASKED);
	set(LAPIC_TIMER_DIVIDE, DIVIDE_BY_1);
	return true;
}

void lapic_eoi(void)
{
	set(LAPIC_EOI, 0);
}

void lapic_timer_init(bool deadline)
{
	set(LAPIC_TIMER_INITIAL, 0);
	set(LAPIC_LVT_TIMER, VEC_LAPIC_TIMER | (deadline ? LVT_TSC_DEADLINE : 0));
	/* the mode must be there before the first deadline: SDM vol. 3A §10.5.4.1 */
	__asm__ volatile("mfence" ::: "memory");
}

void lapic_timer_start(u32 ticks)
{
	set(LAPIC_TIMER_INITIAL, ticks);
}

u32 lapic_timer_left(void)
{
	return get(LAPIC_TIMER_CURRENT);
}

bool lapic_has_deadline(void)
{
	return cpuid(1, 0).ecx & CPUID_TSC_DEADLINE;
}

void lapic_deadline(u64 tsc)
{
	wrmsr(MSR_TSC_DEADLINE, tsc);
}

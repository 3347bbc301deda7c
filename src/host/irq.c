/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * irq.c: the machine's two 8259A interrupt controllers (Intel 8259A data sheet), and this
 * processor's local APIC (APM vol. 2 chapter 16; SDM vol. 3A chapter 10).
 *
 * Firmware leaves IRQ 0-7 at the vectors 8-15, where the processor's own exceptions are, so the
 * first thing is to move them. The second chip's output is the first one's input 2, the cascade.
 * Casita itself uses IRQ 4 (console) and, for measuring, IRQ 0.
 *
 * Of the local APIC two things are wanted. The 8259s' interrupts come in at its pin LINT0 and are
 * passed on as they are ("ExtINT"). And it has a timer, quicker to set than the PIT: one store.
 * Its registers lie in memory, 16 bytes apart, where an MSR says (xAPIC mode).
 *
 * A request that goes away before the processor asks for its number is reported as a spurious one:
 * by an 8259 as its lowest-priority input, 7 or 15, by the local APIC at a vector of our choice.
 */
#include "host/host.h"
#include "host/cpu.h"
#include "host/internal.h"
#include "x86/regs.h"

enum { PIC1_COMMAND = 0x20, PIC1_DATA, PIC2_COMMAND = 0xa0, PIC2_DATA };
#define ICW1_INIT  0x11 /* edge triggered, cascaded, ICW4 follows */
#define ICW4_8086  0x01
#define OCW2_EOI   0x20
#define CASCADE	   2
#define SPURIOUS_1 (VEC_PIC + 7)
#define SPURIOUS_2 (VEC_PIC + 15)

static u16 mask = 0xffff & ~(1 << CASCADE);

static void write_mask(void)
{
	outb(PIC1_DATA, (u8)mask);
	outb(PIC2_DATA, (u8)(mask >> 8));
}

static void pic_init(void)
{
	outb(PIC1_COMMAND, ICW1_INIT);
	outb(PIC2_COMMAND, ICW1_INIT);
	outb(PIC1_DATA, VEC_PIC); /* ICW2: the first vector */
	outb(PIC2_DATA, VEC_PIC + 8);
	outb(PIC1_DATA, 1 << CASCADE); /* ICW3: who is connected where */
	outb(PIC2_DATA, CASCADE);
	outb(PIC1_DATA, ICW4_8086);
	outb(PIC2_DATA, ICW4_8086);
	write_mask();
}

void irq_handle(unsigned irq, void (*fn)(void))
{
	trap_handle(VEC_PIC + irq, fn);
	mask &= (u16) ~(1 << irq);
	write_mask();
}

void irq_mask(unsigned irq)
{
	mask |= (u16)(1 << irq);
	write_mask();
}

#define CPUID_APIC	  BIT(9) /* leaf 1, EDX */

#define APIC_BASE_X2APIC  BIT(10)
#define APIC_BASE_ENABLE  BIT(11)
#define APIC_BASE_ADDRESS 0x000ffffffffff000ull

/* Registers (APM vol. 2 table 16-2). */
enum { LAPIC_TPR = 0x80, LAPIC_EOI = 0xb0, LAPIC_SPURIOUS = 0xf0 };
enum { LAPIC_LVT_TIMER = 0x320, LAPIC_LVT_LINT0 = 0x350 };
enum { LAPIC_TIMER_INITIAL = 0x380, LAPIC_TIMER_CURRENT = 0x390, LAPIC_TIMER_DIVIDE = 0x3e0 };

#define SPURIOUS_ENABLE BIT(8) /* the APIC's software enable bit */
#define LVT_EXTINT	(7 << 8)
#define DIVIDE_BY_1	0xb

static volatile u32 *lapic;

static void set(unsigned reg, u32 value)
{
	lapic[reg / 4] = value;
}

static void lapic_init(void)
{
	u64 base = rdmsr(MSR_APIC_BASE);

	if (base & APIC_BASE_X2APIC) /* firmware's choice; the only way back is through "off" */
		wrmsr(MSR_APIC_BASE, base & ~(APIC_BASE_X2APIC | APIC_BASE_ENABLE));
	wrmsr(MSR_APIC_BASE, (base & ~APIC_BASE_X2APIC) | APIC_BASE_ENABLE);
	lapic = hpa_ptr(HPA(base & APIC_BASE_ADDRESS));
	set(LAPIC_SPURIOUS, SPURIOUS_ENABLE | VEC_LAPIC_SPURIOUS);
	set(LAPIC_TPR, 0);
	set(LAPIC_LVT_LINT0, LVT_EXTINT);
	set(LAPIC_LVT_TIMER, VEC_LAPIC_TIMER);
	set(LAPIC_TIMER_DIVIDE, DIVIDE_BY_1);
}

void lapic_timer_start(u32 ticks)
{
	set(LAPIC_TIMER_INITIAL, ticks);
}

u32 lapic_timer_left(void)
{
	return lapic[LAPIC_TIMER_CURRENT / 4];
}

static void do_nothing(void) {}

void irq_init(void)
{
	if (!(cpuid(1, 0).edx & CPUID_APIC))
		host_refuse("this processor has no local APIC, or firmware switched it off");
	pic_init();
	lapic_init();
	/* nobody unmasks IRQ 7 and 15, so what comes there is spurious */
	trap_handle(SPURIOUS_1, do_nothing);
	trap_handle(SPURIOUS_2, do_nothing);
	trap_handle(VEC_LAPIC_SPURIOUS, do_nothing);
}

void irq_end(unsigned vector)
{
	if (vector == SPURIOUS_1 || vector == VEC_LAPIC_SPURIOUS)
		return; /* no end for what did not begin (APM vol. 2 §16.4.7) */
	if (vector >= VEC_LAPIC_TIMER) {
		set(LAPIC_EOI, 0);
		return;
	}
	if (vector >= VEC_PIC + 8 && vector != SPURIOUS_2)
		outb(PIC2_COMMAND, OCW2_EOI);
	outb(PIC1_COMMAND, OCW2_EOI); /* the first chip did see a request, at its cascade */
}

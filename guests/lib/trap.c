/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * trap.c: the guest's descriptor tables, and what happens at an exception or interrupt.
 *
 * trap() asks, in this order: is it one of the 8259's interrupts, for which somebody registered?
 * Is a probe running? Then it has ended. Has somebody asked to catch what is left? If not, the
 * guest has found something it did not expect, and that is a failure: of the VMM, usually.
 */
#include "lib/trap.h"
#include "lib/probe.h"

u64 gdt[GDT_COUNT] __aligned(8) = {
	[SEL_CODE64 / 8] = 0x00af9b000000ffff,	    /* L, ring 0 */
	[SEL_DATA / 8] = 0x00cf93000000ffff,	    /* 4 GiB, ring 0 */
	[SEL_CODE32 / 8] = 0x00cf9b000000ffff,	    /* D, ring 0 */
	[SEL_USER_CODE32 / 8] = 0x00cffb000000ffff, /* D, ring 3 */
	[SEL_USER_DATA / 8] = 0x00cff3000000ffff,   /* 4 GiB, ring 3 */
	[SEL_USER_CODE64 / 8] = 0x00affb000000ffff, /* L, ring 3 */
	[SEL_CODE16 / 8] = 0x00009b000000ffff,	    /* 64 KiB at 0, 16-bit */
	[SEL_DATA16 / 8] = 0x000093000000ffff,	    /* 64 KiB at 0 */
};

struct gate idt[256] __aligned(16);
struct tss tss __aligned(16);

static u8 trap_stack[16384] __aligned(16);
static u8 double_stack[4096] __aligned(16);

static void (*irq_handlers[16])(struct trap *t);
static void (*catcher)(struct trap *t);

/* In probe.c. */
bool probe_ended(struct trap *t);
_Noreturn void probe_leave(void);
/* Called from assembly. */
void trap(struct trap *t);

struct table_register {
	u16 limit;
	reg_t base;
} __packed;

u64 segment_descriptor(u32 base, u32 limit, u8 access, u8 flags)
{
	return (limit & 0xffff) | (u64)(base & 0xffffff) << 16 | (u64)access << 40 |
	       (u64)(limit >> 16 & 0xf) << 48 | (u64)(flags & 0xf) << 52 | (u64)(base >> 24) << 56;
}

#ifdef __x86_64__

/* APM vol. 2 §4.8.4, figure 4-24. */
static void gate_write(u8 vector, reg_t handler, unsigned dpl, unsigned ist)
{
	idt[vector].word[0] = (handler & 0xffff) | SEL_CODE << 16 | (u64)ist << 32 |
			      (u64)(0x8e | dpl << 5) << 40 | (handler >> 16 & 0xffff) << 48;
	idt[vector].word[1] = handler >> 32;
}

void gate_set(u8 vector, reg_t handler, unsigned dpl)
{
	gate_write(vector, handler, dpl, vector == VEC_DF ? IST_DOUBLE : IST_TRAP);
}

static void tss_init(void)
{
	tss.rsp[0] = (reg_t)(trap_stack + sizeof(trap_stack));
	tss.ist[IST_TRAP - 1] = tss.rsp[0];
	tss.ist[IST_DOUBLE - 1] = (reg_t)(double_stack + sizeof(double_stack));
	gdt[SEL_TSS / 8 + 1] = (reg_t)&tss >> 32;
}

#else

/* APM vol. 2 §4.7.4, figure 4-21. */
static void gate_write(u8 vector, reg_t handler, unsigned dpl)
{
	idt[vector].word[0] = (handler & 0xffff) | SEL_CODE << 16 | (u64)(0x8e | dpl << 5) << 40 |
			      (u64)(handler >> 16) << 48;
}

void gate_set(u8 vector, reg_t handler, unsigned dpl)
{
	gate_write(vector, handler, dpl);
}

static void tss_init(void)
{
	tss.esp0 = (reg_t)(trap_stack + sizeof(trap_stack));
	tss.ss0 = SEL_DATA;
	(void)double_stack;
}

#endif

void trap_init(void)
{
	struct table_register gdtr = {sizeof(gdt) - 1, (reg_t)gdt};
	struct table_register idtr = {sizeof(idt) - 1, (reg_t)idt};

	for (unsigned v = 0; v < 256; v++)
		gate_set(v, (reg_t)trap_stubs + 16 * v, 3);
	tss.iomap = sizeof(tss); /* beyond the limit: ring 3 may use no ports */
	tss_init();
	gdt[SEL_TSS / 8] = segment_descriptor((reg_t)&tss, sizeof(tss) - 1, 0x89, 0);

	__asm__ volatile("lgdt %0" : : "m"(gdtr));
	__asm__ volatile("lidt %0" : : "m"(idtr));
	__asm__ volatile("ltr %w0" : : "r"(SEL_TSS));
}

void irq_handle(unsigned line, void (*fn)(struct trap *t))
{
	irq_handlers[line] = fn;
}

void trap_catch(void (*fn)(struct trap *t))
{
	catcher = fn;
}

static void unexpected(const struct trap *t)
{
	say("unexpected exception %u, error %x, at %llx, cr2 %llx\n", (unsigned)t->vector,
	    (unsigned)t->error, (u64)t->rip, (u64)read_cr2());
	fail("exception");
	finish(1);
}

void trap(struct trap *t)
{
	unsigned line = t->vector - IRQ_BASE;

#ifndef __x86_64__
	t->cs &= 0xffff;
	if (!(t->cs & 3)) {
		t->gpr[RSP] = (reg_t)&t->rsp; /* nothing more was pushed: here it was */
	} else
#endif
		t->gpr[RSP] = t->rsp;

	if (line < ARRAY_SIZE(irq_handlers) && irq_handlers[line])
		irq_handlers[line](t);
	else if (probe_ended(t))
		probe_leave();
	else if (catcher)
		catcher(t);
	else
		unexpected(t);
}

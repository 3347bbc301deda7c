/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * traps.c: segments and interrupt vectors.
 *
 * Interrupts find their handler in a table of one function a vector. An exception in Casita is a
 * bug, and ends in a report (report.c).
 *
 * Three exceptions get a stack of their own through the task state segment (APM vol. 2 §8.9.4):
 * #DF, because it mostly means that the stack is used up; NMI and #MC, because they come at any
 * time, even where the stack is not ours.
 */
#include "host/host.h"
#include "host/internal.h"
#include "x86/regs.h"

_Static_assert((TRAPS_WITH_ERROR & VECTORS_WITH_ERROR) == VECTORS_WITH_ERROR, "regs.h has more");
_Static_assert(sizeof(struct trap_frame) == 22 * 8, "traps_entry.S pushes 22 words");

/* Flat segments (APM vol. 2 §4.8); boot.S loads this table, traps_init() adds the TSS. */
u64 host_gdt[HOST_GDT_SIZE / 8] = {
	[HOST_CS / 8] = 0x00af9b000000ffff, /* L: 64-bit code, accessed */
	[HOST_DS / 8] = 0x00cf93000000ffff, /* writable data, accessed */
};

/* Task state segment, APM vol. 2 §12.2.5: in long mode it only holds stack pointers. */
static struct tss {
	u32 reserved0;
	u64 rsp[3], reserved1, ist[7], reserved2;
	u16 reserved3, iomap_base;
} __packed tss;
_Static_assert(sizeof(struct tss) == 104, "APM vol. 2 figure 12-8");

/* Interrupt gate, APM vol. 2 §4.8.4. */
static struct gate {
	u16 offset0, selector;
	u8 ist, type;
	u16 offset16;
	u32 offset32, reserved;
} __packed idt[256];
_Static_assert(sizeof(struct gate) == 16, "APM vol. 2 figure 4-24");

#define GATE_INTERRUPT	 0x8e /* present, ring 0, clears IF */
#define TSS_AVAILABLE	 0x89 /* present, ring 0, 64-bit TSS */
#define TRAP_ENTRY_BYTES 16

/* Which stack of its own a trap gets; 0: none. */
static const u8 ist[256] = {[VEC_DF] = 1, [VEC_NMI] = 2, [VEC_MC] = 3};
static u8 ist_stacks[3][8 * KIB] __aligned(16);

extern const u8 trap_entries[];

static void (*handlers[256])(void);

struct table_pointer {
	u16 limit;
	u64 base;
} __packed;

static void set_gate(unsigned vector)
{
	uintptr_t entry = (uintptr_t)trap_entries + vector * TRAP_ENTRY_BYTES;

	idt[vector] = (struct gate){
		(u16)entry,	    HOST_CS, ist[vector], GATE_INTERRUPT, (u16)(entry >> 16),
		(u32)(entry >> 32), 0};
}

static void load_tss(void)
{
	u64 base = (uintptr_t)&tss, limit = sizeof(tss) - 1;

	tss.iomap_base = sizeof(tss); /* none */
	for (unsigned i = 0; i < ARRAY_SIZE(ist_stacks); i++)
		tss.ist[i] = (uintptr_t)ist_stacks[i + 1];

	/* a system descriptor is 16 bytes in long mode: APM vol. 2 §4.8.3 */
	host_gdt[HOST_TSS / 8] = (limit & 0xffff) | (base & 0xffffff) << 16 |
				 (u64)TSS_AVAILABLE << 40 | (base >> 24 & 0xff) << 56;
	host_gdt[HOST_TSS / 8 + 1] = base >> 32;
	__asm__ volatile("ltr %w0" : : "r"(HOST_TSS));
}

void traps_init(void)
{
	struct table_pointer gdtr = {sizeof(host_gdt) - 1, (uintptr_t)host_gdt};
	struct table_pointer idtr = {sizeof(idt) - 1, (uintptr_t)idt};

	__asm__ volatile("lgdt %0" : : "m"(gdtr)); /* the same, by its 64-bit address */
	load_tss();
	for (unsigned vector = 0; vector < ARRAY_SIZE(idt); vector++)
		set_gate(vector);
	__asm__ volatile("lidt %0" : : "m"(idtr));
}

void trap_handle(unsigned vector, void (*fn)(void))
{
	handlers[vector] = fn;
}

/* Called by traps_entry.S, interrupts disabled. */
void trap_dispatch(struct trap_frame *f);
void trap_dispatch(struct trap_frame *f)
{
	/* Casita debugs nothing: this is a guest's single step, which Bochs's #VMEXIT lets through. */
	if (f->vector == VEC_DB)
		return;
	if (!handlers[f->vector])
		report_trap(f);
	handlers[f->vector]();
	irq_end(f->vector);
}

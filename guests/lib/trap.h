/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * trap.h: segments, the interrupt table and exceptions.
 */
#ifndef GUEST_TRAP_H
#define GUEST_TRAP_H

#include "lib/selectors.h"

#ifndef __ASSEMBLY__
#include "lib/cpu.h"

/* What trap32.S and trap64.S leave on the stack. */
struct trap {
#ifndef __x86_64__
	reg_t es, ds;
#endif
	reg_t gpr[GPRS];
	reg_t vector, error; /* error is 0 where the processor pushes none */
	reg_t rip, cs, flags;
	reg_t rsp, ss; /* in 32-bit code: only there if the trap came from ring 3 */
};

struct gate {
	u64 word[sizeof(reg_t) / 4]; /* 8 bytes in protected mode, 16 in long mode */
};

extern u64 gdt[];
extern struct gate idt[256];

/* The task state segment: 26 words of 32 bits in protected mode, other things in long mode. */
#ifdef __x86_64__
struct tss {
	u32 reserved0;
	u64 rsp[3];
	u64 reserved1;
	u64 ist[7]; /* ist[0] is what gates call IST 1 */
	u64 reserved2;
	u16 reserved3, iomap;
} __packed;
#else
struct tss {
	u32 link, esp0, ss0, esp1, ss1, esp2, ss2, cr3, eip, eflags;
	u32 eax, ecx, edx, ebx, esp, ebp, esi, edi, es, cs, ss, ds, fs, gs, ldt;
	u16 trap, iomap;
} __packed;
#endif
extern struct tss tss;

/* In 64-bit guests every vector has the stack IST 1, so that RSP may hold anything at all. */
#define IST_TRAP   1
#define IST_DOUBLE 2

/** trap_init() - load our GDT, IDT and TSS. Done before guest() is called. */
void trap_init(void);

/** gate_set() - let @vector go to @handler; @dpl: the outermost ring whose INT n may use it. */
void gate_set(u8 vector, reg_t handler, unsigned dpl);

/** segment_descriptor() - the eight bytes; @access and @flags as in APM vol. 2 §4.7, 4.8. */
u64 segment_descriptor(u32 base, u32 limit, u8 access, u8 flags);

/** trap_catch() - call @fn at an exception that belongs to no probe; NULL: it is a failure. */
void trap_catch(void (*fn)(struct trap *t));

/* 256 entry points of 16 bytes each, by vector. */
extern const u8 trap_stubs[];

#endif
#endif

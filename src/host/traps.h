/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * traps.h: what interrupts the processor: segments, vectors, handlers, registers at a trap.
 */
#ifndef HOST_TRAPS_H
#define HOST_TRAPS_H

/* Selectors into host_gdt; the task state segment's descriptor takes two entries. */
#define HOST_CS		   0x08
#define HOST_DS		   0x10
#define HOST_TSS	   0x18
#define HOST_GDT_SIZE	   0x28 /* bytes */

#define HOST_STACK_SIZE	   0x8000

/* Vectors: 0-0x1f are the processor's exceptions. */
#define VEC_PIC		   0x20 /* the two 8259s: IRQ 0-15 */
#define VEC_LAPIC_TIMER	   0x30
#define VEC_LAPIC_SPURIOUS 0xff

/* Exceptions that push an error code: those of regs.h, #VC and #SX (APM vol. 2 table 8-1). */
#define TRAPS_WITH_ERROR   0x60227d00

#ifndef __ASSEMBLY__
#include "lib/types.h"

/* The registers at a trap, as traps_entry.S and the processor push them. */
struct trap_frame {
	u64 r15, r14, r13, r12, r11, r10, r9, r8;
	u64 rbp, rdi, rsi, rdx, rcx, rbx, rax;
	u64 vector, error;
	u64 rip, cs, rflags, rsp, ss; /* by the processor */
};

/** traps_init() - load our GDT, TSS and IDT, so that from here on a fault is reported. */
void traps_init(void);

/**
 * trap_handle_irq() - have a function called when an interrupt comes in.
 * @vector: 0x20 to 0xff
 * @fn: runs with interrupts disabled; it acknowledges the interrupt to its controller
 */
void trap_handle_irq(unsigned vector, void (*fn)(void));

/**
 * rdmsr_safe() - read a model-specific register that may not exist.
 * @msr: its number
 * @value: what it holds
 *
 * Return: false if the processor answered with #GP; @value is then untouched.
 */
bool rdmsr_safe(u32 msr, u64 *value);

/** wrmsr_safe() - write one; false if the processor answered with #GP. */
bool wrmsr_safe(u32 msr, u64 value);

/*
 * An instruction that may fault, and where to go on if it does. Any assembly may add one to the
 * section "fixups"; the linker gathers them.
 */
struct fixup {
	u64 rip, go_on;
};

#endif /* __ASSEMBLY__ */
#endif

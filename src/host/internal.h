/* SPDX-License-Identifier: BSD-3-Clause */
/* internal.h: what the files of host/ tell each other; what they offer to others is in host.h. */
#ifndef HOST_INTERNAL_H
#define HOST_INTERNAL_H

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

/* How Casita ends the machine on its own account. */
#define HOST_EXIT_REFUSED  1	/* the machine or its configuration will not do: it was said why */
#define HOST_EXIT_BROKEN   0x7f /* a panic or an unexpected exception; QEMU's status is then 255 */

#define QEMU_DEBUG_EXIT	   0xf4 /* -device isa-debug-exit,iobase=0xf4 */

#ifndef __ASSEMBLY__
#include "lib/types.h"

/* The parts of the image: casita.lds, boot.S. */
extern const u8 image_start[], data_start[], image_end[], boot_stack_guard[];

/** host_refuse() - this machine will not do: print "casita: ", why and a newline; end it. */
_Noreturn void host_refuse(const char *fmt, ...) __printf(1, 2);

/* ---- console.c --------------------------------------------------------------------------- */
/** console_init() - set up COM1 for output, and print() to use it. */
void console_init(void);
/** console_init_input() - let what is typed come in by interrupt; after irq_init(). */
void console_init_input(void);
/** console_flush() - wait until the last byte is out on the line. */
void console_flush(void);

/* ---- traps.c, report.c ------------------------------------------------------------------- */
/* The registers at a trap, as traps_entry.S and the processor push them. */
struct trap_frame {
	u64 r15, r14, r13, r12, r11, r10, r9, r8;
	u64 rbp, rdi, rsi, rdx, rcx, rbx, rax;
	u64 vector, error;
	u64 rip, cs, rflags, rsp, ss; /* by the processor */
};

/** traps_init() - load our GDT, TSS and IDT, so that from here on a fault is reported. */
void traps_init(void);
/** trap_handle() - have @fn called, with interrupts disabled, when one comes in at @vector. */
void trap_handle(unsigned vector, void (*fn)(void));
/** report_trap() - say what happened to Casita, and end the machine. */
_Noreturn void report_trap(const struct trap_frame *f);

/* ---- boot_info.c, pages.c ---------------------------------------------------------------- */
/**
 * boot_info_init() - read what the loader left, map all memory, and give what nobody uses to the
 * page allocator; or refuse. @magic, @info: EAX and EBX at our entry.
 */
void boot_info_init(u32 magic, u64 info);

/** pages_bitmap_bytes() - how large the bitmap is for memory that ends at @top. */
u64 pages_bitmap_bytes(u64 top);
/** pages_init() - begin, in @bitmap (word-aligned): everything below @top is taken. */
void pages_init(void *bitmap, u64 top);
/** pages_add() - the whole pages from @start to @end are memory, and free. */
void pages_add(u64 start, u64 end);
/** pages_reserve() - all pages that @start to @end touches are taken, for good. */
void pages_reserve(u64 start, u64 end);

/* ---- irq.c ------------------------------------------------------------------------------- */
/** irq_init() - set up the interrupt controllers: IRQ 0-15 from VEC_PIC on, all of them masked. */
void irq_init(void);
/** irq_handle() - let IRQ @irq through and have @fn called. */
void irq_handle(unsigned irq, void (*fn)(void));
/** irq_mask() - hold it back. */
void irq_mask(unsigned irq);
/** irq_end() - the interrupt at @vector has been handled, the next may come. */
void irq_end(unsigned vector);
/** lapic_timer_start() - interrupt VEC_LAPIC_TIMER once, after @ticks; 0 stops it. */
void lapic_timer_start(u32 ticks);
/** lapic_timer_left() - what is left to count. */
u32 lapic_timer_left(void);

/* ---- time.c ------------------------------------------------------------------------------ */
/** time_init() - measure the clocks, read the calendar; after irq_init(). Sleeps some 40 ms. */
void time_init(void);

#endif /* __ASSEMBLY__ */
#endif

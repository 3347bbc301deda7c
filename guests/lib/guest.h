/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * guest.h: what every test guest can use.
 *
 * A guest is a tiny kernel that asks its processor questions and answers them aloud. It runs bare
 * in QEMU, bare in Bochs and as a VM under Casita, and its answers must be equal everywhere: that
 * is the test. So a guest never answers what one machine may choose differently (a vendor's name,
 * a time in seconds), only what the manuals promise.
 *
 * The guests share no code with the VMM on purpose: a mistake in one shall not hide in the other.
 */
#ifndef GUEST_H
#define GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef unsigned long long u64; /* in 32 and 64-bit guests alike, so that printf formats agree */
typedef int32_t s32;
typedef long long s64;

/* As wide as a general register: 64 bits in 64-bit guests, 32 in the others. */
typedef unsigned long reg_t;

#define BIT(n)	       (1ull << (n))
#define ARRAY_SIZE(a)  (sizeof(a) / sizeof((a)[0]))
#define __aligned(n)   __attribute__((aligned(n)))
#define __packed       __attribute__((packed))
#define __printf(f, a) __attribute__((format(printf, f, a)))
#define PAGE_SIZE      4096u

/* Memory may have changed behind the compiler's back, through another address for instance. */
#define barrier()      __asm__ volatile("" ::: "memory")

/* ---- the guest itself ------------------------------------------------------------------------ */

/** guest() - what a guest's own file provides. When it returns, the guest finishes. */
void guest(void);

/* What the boot loader left in EAX and EBX (Multiboot 1 §3.2). */
extern u32 boot_magic, boot_info;

/**
 * boot_word() - look for @word on our command line (Multiboot 1 §3.3).
 * Return: what stands behind it, or NULL.
 */
const char *boot_word(const char *word);

/*
 * A grader builds the guests anew for each seed (-DGUEST_SEED=n): then probes start with other
 * values in the registers (probe.c), and answers leave mixed with a stream (answer.c). 0: none of
 * that.
 */
#ifndef GUEST_SEED
#define GUEST_SEED 0
#endif

/* ---- answers (answer.c) ---------------------------------------------------------------------- */

/**
 * answer() - say what was found.
 * @what: its name: a word of letters, digits and dashes
 * @value: the answer
 *
 * As text, "what=hex\n", to port 0xe9: for people. And as sixteen nibbles, the most significant
 * first, each by an OUT to port 0xca00 + nibble: for the grader, who sees the port's number in the
 * emulator's log of exits, where nothing that the VMM prints can forge it. With a GUEST_SEED the
 * nibbles are mixed with its stream.
 */
void answer(const char *what, u64 value);

/** check() - answer 1 if @ok; else answer 0 and let the guest finish with status 1. */
void check(const char *what, bool ok);

/** check_equal() - answer @got; if it is not @want, say so and let the guest finish with status 1.
 */
void check_equal(const char *what, u64 got, u64 want);

/** fail() - a self-check failed for a reason that has no value: say it, remember it. */
void fail(const char *what);

/**
 * finish() - end the machine: the exit port 0xf4 under Casita and QEMU, the shutdown port 0x8900
 * in Bochs, and where there is neither, sleep for ever.
 */
_Noreturn void finish(u8 status);

/** say() - print to port 0xe9. Knows %s, %c, %u (unsigned), %x (unsigned), %llx and %%. */
void say(const char *fmt, ...) __printf(1, 2);

/* ---- interrupts (irq.c) ---------------------------------------------------------------------- */

struct trap;

#define IRQ_BASE 0x20 /* the vector of line 0, and 0x28 of line 8 */

/**
 * irq_init() - stop the timer, set both 8259s up with vectors from IRQ_BASE, mask all lines, forget
 * all requests. May be called again, to have that state again. Interrupts are off.
 */
void irq_init(void);
/** irq_handle() - call @fn, with interrupts off, when @line interrupts. NULL: nobody expects it. */
void irq_handle(unsigned line, void (*fn)(struct trap *t));
/** irq_mask() - write the interrupt mask registers; bit n set: line n is masked. */
void irq_mask(u16 mask);
/** irq_requested(), irq_in_service() - the master's IRR and ISR. */
u8 irq_requested(void);
u8 irq_in_service(void);
/** irq_eoi() - non-specific end of interrupt, to the master. */
void irq_eoi(void);

/* The PIT's clock, 1.193182 MHz, in ticks. */
#define PIT_HZ 1193182

/** pit_once() - let line 0 rise once, @ticks from now (mode 0). */
void pit_once(u16 ticks);
/** pit_periodic() - let line 0 rise every @ticks (mode 2). */
void pit_periodic(u16 ticks);
/**
 * relax() - do nothing, between two looks at a device: some hundred instructions, and from the
 * hundredth @turn on, a hundred times as many. A loop with a limit then waits about as long in a
 * VM, where a look costs thousands of instructions, as on a bare machine; and it leaves QEMU, whose
 * devices and processor take turns, time to let the device do something.
 */
void relax(unsigned turn);
/**
 * irq_pend() - make line 0 request an interrupt, and wait until the 8259 shows the request. Called
 * with interrupts off; afterwards, it is known and not a matter of time that one is pending.
 */
void irq_pend(void);

/* ---- memory ---------------------------------------------------------------------------------- */

void *memcpy(void *to, const void *from, size_t n);
void *memset(void *to, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);

#endif

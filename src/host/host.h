/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * host.h: the machine beneath, as the rest of Casita sees it.
 *
 * host/ is the only room that knows it runs on bare metal: it takes the machine over from the
 * Multiboot loader, keeps the physical pages, the console, the clock and the traps, and offers
 * them through this page. Physical memory is mapped one to one, so a host pointer and a host
 * physical address are the same number; hpa_ptr() and ptr_hpa() say which is meant.
 */
#ifndef HOST_HOST_H
#define HOST_HOST_H

#include <stdarg.h>
#include "lib/types.h"

/* ---- panic (report.c) ------------------------------------------------------------------ */
/** panic() - Casita itself is broken: say why, print a backtrace with symbols, stop the machine. */
_Noreturn void panic(const char *fmt, ...) __printf(1, 2);

/* ---- physical pages (pages.c) ---------------------------------------------------------- */
static inline void *hpa_ptr(hpa_t p)
{
	return (void *)(uintptr_t)p.a;
}

static inline hpa_t ptr_hpa(const void *p)
{
	return HPA((uintptr_t)p);
}

/**
 * pages_alloc() - take contiguous physical memory.
 * @bytes: how much; rounded up to whole pages
 * @align: alignment in bytes, a power of two of at least PAGE_SIZE
 *
 * Whatever was there is there still, but no guest's secrets: a VM's memory is scrubbed when freed.
 * Return: its address, or HPA(0) if there is no such piece.
 */
hpa_t pages_alloc(u64 bytes, u64 align);

/** pages_alloc_zero() - the same, filled with zeroes, as a pointer; NULL if there is none. */
void *pages_alloc_zero(u64 bytes, u64 align);

/**
 * pages_take() - take the memory at @p, a multiple of PAGE_SIZE; @bytes is rounded up to pages.
 * Return: false if some of it is in use, or is not memory. Give it back with pages_free().
 */
bool pages_take(hpa_t p, u64 bytes);

/** pages_free() - give back what pages_alloc() gave; @scrub: overwrite it with zeroes first. */
void pages_free(hpa_t p, u64 bytes, bool scrub);

/** pages_available() - bytes still free, and in @largest (if not NULL) the largest free piece. */
u64 pages_available(u64 *largest);

/** kalloc() - zeroed memory for a structure, in pages of its own; NULL if there is none. */
void *kalloc(size_t bytes);
/** kfree() - scrub and give back what kalloc() gave; NULL is fine. @bytes as asked for. */
void kfree(void *p, size_t bytes);

/* ---- boot information (boot_info.c) ------------------------------------------------------ */
/* A file that the loader put into memory, with the words after it. */
struct boot_module {
	const void *data;
	u64 size;	    /* bytes */
	const char *string; /* "name word word…" */
};

/** boot_cmdline() - Casita's own command line, without the program's name. Never NULL. */
const char *boot_cmdline(void);
/** boot_modules() - the modules; their number in @count. */
const struct boot_module *boot_modules(unsigned *count);

/* ---- time (time.c) --------------------------------------------------------------------- */
/** host_now() - nanoseconds since Casita started, from the time stamp counter. */
u64 host_now(void);
/** host_tsc_khz() - the time stamp counter's rate in kHz, measured against the PIT at boot. */
u64 host_tsc_khz(void);
/** host_rtc() - seconds since 1970-01-01 UTC, read from the machine's CMOS clock at boot. */
u64 host_rtc(void);

/**
 * host_timer_set() - arm this CPU's one-shot timer interrupt (tickless: there is no periodic one).
 * @when: host_now() time; HOST_TIMER_NEVER disarms it. A time that is past interrupts at once; one
 * that is out of the timer's reach interrupts early, and the caller arms it again.
 */
void host_timer_set(u64 when);
#define HOST_TIMER_NEVER UINT64_MAX

/**
 * host_idle() - sleep until an interrupt (timer, console input) has come in and been handled.
 * Called and returns with interrupts disabled; one that was pending already is taken at once.
 */
void host_idle(void);

/** host_take_interrupts() - let pending interrupts in, and disable them again. */
void host_take_interrupts(void);

/* ---- console (console.c) ------------------------------------------------------------------ */
/** console_write() - write bytes to the serial line, as they are. */
void console_write(const char *text, size_t n);
/** console_read() - the next byte that was typed, or -1. Filled by the UART's interrupt. */
int console_read(void);

/* ---- the way up, and the end (main.c) ------------------------------------------------------- */
/**
 * casita_main() - what the machine is for, in src/main.c: the one call from here upwards, made when
 * everything on this page works. Return: the status for host_exit().
 */
int casita_main(void);

/**
 * host_exit() - end the machine: QEMU's debug-exit device with @status (QEMU's own becomes 2 *
 * status + 1), Bochs's shutdown port, ACPI power off under SeaBIOS, or, failing these, halt.
 */
_Noreturn void host_exit(u8 status);

#endif

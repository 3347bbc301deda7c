/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fake_guest.h: a guest at an instruction: 1 MiB of RAM, a mode, and code in it.
 *
 * 16-bit: real mode, all segment bases zero. 32-bit: flat segments, no paging. 64-bit: four-level
 * tables that map the first 2 MiB one to one in small pages, for user and supervisor; the second
 * half of that is no RAM.
 */
#ifndef TESTS_UNIT_FAKE_GUEST_H
#define TESTS_UNIT_FAKE_GUEST_H

#include "fake_cpu.h"
#include "vmm/vcpu.h"

#define GUEST_RAM    MIB
#define GUEST_TABLES 0x1000ull /* levels 4, 3, 2, 1, a page each */
#define GUEST_CODE   0x8000ull
#define GUEST_DATA   0x20000ull
#define GUEST_PHYS   40 /* address bits */

/** fake_guest_create() - RIP is GUEST_CODE, and there is @code of 0x90 (NOP). */
void fake_guest_create(struct fake_machine *m, enum code_size code);
/** fake_guest_destroy() - give back what it has. */
void fake_guest_destroy(struct fake_machine *m);

/** fake_code() - put instruction bytes at RIP: a string literal, so that zeroes are fine. */
#define fake_code(m, bytes) fake_code_n(m, bytes, sizeof(bytes) - 1)
void fake_code_n(struct fake_machine *m, const char *bytes, size_t n);
/** fake_pte() - the level 1 entry of the 64-bit guest for @gva. */
u64 *fake_pte(struct fake_machine *m, u64 gva);

/** fake_exit() - an exit of that kind at RIP; the processor does not say what is behind. */
struct exit fake_exit(struct fake_machine *m, enum exit_kind kind);

/* What is waiting to be delivered to the guest. Each takes it away. */
void assert_exception(struct fake_machine *m, u8 vector, u32 error);
void assert_page_fault(struct fake_machine *m, u64 address, u32 error);
void assert_no_event(struct fake_machine *m);

/** assert_skipped() - RIP is @n bytes behind GUEST_CODE, by one advance since the last question. */
void assert_skipped(struct fake_machine *m, u64 n);

/** random_next() - the same numbers in each run. */
u64 random_next(u64 *state);
u64 random_below(u64 *state, u64 n);

#endif

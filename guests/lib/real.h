/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * real.h: probe.h for real mode: a visit to it from a 32-bit guest, to run a few instructions
 * there.
 *
 *	0x0000	the interrupt table: every vector goes to a stub of ours
 *	0x6000	struct real_state: registers on the way in and on the way out
 *	0x7000	real mode's stack, downwards
 *	0x8000	the code of the way, copied from real_way.S
 *	0x9000	by default, the code to be run: 0900:0010
 *
 * As in a probe, the code ends at its first interrupt or exception, which is at the latest the INT3
 * behind it.
 */
#ifndef GUEST_REAL_H
#define GUEST_REAL_H

#define REAL_STATE   0x6000
#define REAL_STACK   0x7000
#define REAL_CODE    0x8000
#define REAL_CS	     0x0900
#define REAL_IP	     0x0010

/* Offsets in struct real_state. */
#define STATE_IP     32
#define STATE_CS     34
#define STATE_FLAGS  36
#define STATE_DS     38
#define STATE_ES     40
#define STATE_FS     42
#define STATE_VECTOR 44

#ifndef __ASSEMBLY__
#include "lib/probe.h"

/* Code for real mode; like CODE(), but it is copied, so it must not name absolute addresses. */
#define CODE_REAL(name, text) CODE(name, ".code16\n" text "\n .code32")

struct real_state {
	u32 gpr[8]; /* ESP is REAL_STACK on the way in, whatever it says here */
	u16 ip, cs, flags, ds, es, fs;
	u16 vector; /* only out */
	u16 unused;
};

_Static_assert(offsetof(struct real_state, ip) == STATE_IP, "as in real_way.S");
_Static_assert(offsetof(struct real_state, vector) == STATE_VECTOR, "as in real_way.S");

/** real_init() - put our code and the interrupt table into low memory. */
void real_init(void);

/** real_state_new() - distinct values in the general registers; the data segments are 0. */
struct real_state real_state_new(void);

/** real_probe() - copy the code from @code to @end to s->cs:s->ip, and run it from *@s. */
void real_probe(const u8 *code, const u8 *end, struct real_state *s);

/** real_changed() - which general registers differ, bit n for number n; ESP is not looked at. */
u32 real_changed(const struct real_state *a, const struct real_state *b);

#endif
#endif

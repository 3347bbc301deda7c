/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * probe.c: see probe.h.
 */
#include "lib/probe.h"

/* Called from and to assembly: trap32.S, trap64.S. */
void probe_enter(struct state *s);
/* Called by trap(). */
bool probe_ended(struct trap *t);

static struct state *running; /* NULL: no probe is running */
static u8 probe_stack[4096] __aligned(16);

struct iret_frame {
	reg_t rip, cs, flags, rsp, ss;
};

/* What a register starts with: different in each, and with a seed different for each seed. */
static reg_t first_value(unsigned i)
{
	u64 x = (u64)GUEST_SEED << 32 | (i + 1);

	if (!GUEST_SEED)
		return (reg_t)0x1111111111111111 * (i + 1);
	for (unsigned round = 0; round < 3; round++) { /* xorshift64* */
		x ^= x >> 12;
		x ^= x << 25;
		x ^= x >> 27;
		x *= 0x2545f4914f6cdd1dull;
	}
	return (x & ~15ull) | i;
}

struct state state_new(void)
{
	struct state s = {.cs = SEL_CODE, .ss = SEL_DATA, .flags = FLAGS_ONE};

	for (unsigned i = 0; i < GPRS; i++)
		s.gpr[i] = first_value(i);
#ifndef __x86_64__
	s.gpr[RSP] = (reg_t)probe_stack + sizeof(probe_stack) - 256;
#endif
	return s;
}

struct state state_new_user(void)
{
	struct state s = state_new();

	s.cs = SEL_USER_CODE;
	s.ss = SEL_USER_DATA;
	s.gpr[RSP] = (reg_t)probe_stack + sizeof(probe_stack) - 256;
	return s;
}

void probe(const u8 *code, struct state *s)
{
	struct iret_frame frame = {(reg_t)code, s->cs, s->flags, s->gpr[RSP], s->ss};

	s->frame = &frame;
#ifndef __x86_64__
	/* An IRET within ring 0 pops three words only, so they must lie on the new stack. */
	if (!(s->cs & 3)) {
		s->frame = (void *)(s->gpr[RSP] - 3 * sizeof(reg_t));
		memcpy(s->frame, &frame, 3 * sizeof(reg_t));
	}
#endif
	running = s;
	probe_enter(s);
}

bool probe_ended(struct trap *t)
{
	struct state *s = running;

	if (!s)
		return false;
	running = NULL;
	memcpy(s->gpr, t->gpr, sizeof(s->gpr));
	s->rip = t->rip;
	s->cs = t->cs & 0xffff;
	s->flags = t->flags;
	s->vector = t->vector;
	s->error = t->error;
	s->cr2 = read_cr2();
	if (sizeof(reg_t) == 8 || t->cs & 3)
		s->ss = t->ss & 0xffff;
	return true;
}

u32 registers_changed(const struct state *a, const struct state *b)
{
	u32 changed = 0;

	for (unsigned i = 0; i < GPRS; i++)
		if (a->gpr[i] != b->gpr[i])
			changed |= BIT(i);
	return changed;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * real.c: see real.h; the way itself is in real_way.S.
 */
#include "lib/real.h"

/* In real_way.S: to real mode with the registers of REAL_STATE, and back with those of the end. */
void real_enter(void);
extern const u8 real_start[], real_stubs[], real_end[];

#define STUB_SIZE 8

void real_init(void)
{
	volatile u32 *table = NULL;

	__asm__("" : "+r"(table)); /* or the compiler takes writing to address 0 for a mistake */
	memcpy((void *)REAL_CODE, real_start, real_end - real_start);
	for (unsigned v = 0; v < 256; v++)
		table[v] = (REAL_CODE / 16) << 16 | (u16)(real_stubs - real_start + STUB_SIZE * v);
}

struct real_state real_state_new(void)
{
	struct real_state s = {.ip = REAL_IP, .cs = REAL_CS, .flags = FLAGS_ONE};

	for (unsigned i = 0; i < 8; i++)
		s.gpr[i] = 0x11111111 * (i + 1);
	return s;
}

void real_probe(const u8 *code, const u8 *end, struct real_state *s)
{
	u8 *at = (u8 *)(s->cs * 16u + s->ip);

	memset(at, 0xcc, end - code + 16);
	memcpy(at, code, end - code);
	memcpy((void *)REAL_STATE, s, sizeof(*s));
	real_enter();
	memcpy(s, (void *)REAL_STATE, sizeof(*s));
}

u32 real_changed(const struct real_state *a, const struct real_state *b)
{
	u32 mask = 0;

	for (unsigned i = 0; i < 8; i++)
		if (i != RSP && a->gpr[i] != b->gpr[i])
			mask |= BIT(i);
	return mask;
}

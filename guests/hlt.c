/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hlt: sleep until an interrupt (APM vol. 3, HLT).
 *
 * What a VMM gets wrong here: it lets the pending interrupt in between STI and HLT, and then sleeps
 * for ever; it wakes the guest and goes back to HLT instead of behind it; it takes HLT to be always
 * one byte long; it spins instead of sleeping, or sleeps over an interrupt that came before; it
 * wakes the guest without an interrupt.
 */
#include "lib/probe.h"

#define ONLY_LINE_0 0xfffe

CODE(sti_hlt, "sti\n hlt\n cli");
CODE(sti_hlt_prefixed, "sti\n .byte 0x66, 0x2e, 0xf4\n cli");
CODE(user_hlt, "hlt");

static volatile unsigned count;
static reg_t code_start, offset_seen;

static void wake(struct trap *t)
{
	count++;
	offset_seen = t->rip - code_start;
	irq_eoi();
}

/* The saved RIP, and how many interrupts there were. */
static void wakes(const char *what, const u8 *code, const u8 *end, bool pending, reg_t offset)
{
	struct state s = state_new();

	count = 0;
	code_start = (reg_t)code;
	if (pending)
		irq_pend();
	else
		pit_once(2000);
	probe(code, &s);
	check_equal(what,
		    (u64)(s.vector == VEC_BP && s.rip == (reg_t)end + 1) << 16 | count << 8 |
			    offset_seen,
		    1 << 16 | 1 << 8 | offset);
}
#define WAKES(what, name, pending, offset) wakes(what, name, name##_end, pending, offset)

/* Each HLT is ended by an interrupt of its own; a few more may come while awake. */
static void check_sleeps(void)
{
	count = 0;
	pit_periodic(PIT_HZ / 200);
	for (unsigned i = 0; i < 10; i++)
		__asm__ volatile("sti\n hlt\n cli" ::: "memory");
	irq_init();
	check("sleeps-interrupts", count >= 10);
	check("sleeps-not-flooded", count <= 20);
}

/* No register changes while asleep. */
static void check_registers(void)
{
	struct state before = state_new(), s = before;

	pit_once(2000);
	count = 0;
	probe(sti_hlt, &s);
	check_equal("registers-changed", registers_changed(&before, &s), 0);
}

void guest(void)
{
	struct state s = state_new_user();

	irq_init();
	irq_handle(0, wake);
	irq_mask(ONLY_LINE_0);

	WAKES("pending", sti_hlt, true, 2);
	WAKES("later", sti_hlt, false, 2);
	WAKES("prefixed", sti_hlt_prefixed, true, 4);
	WAKES("prefixed-later", sti_hlt_prefixed, false, 4);
	check_registers();
	check_sleeps();

	probe(user_hlt, &s);
	check_fault("ring3", user_hlt, &s, VEC_GP, 0, 0);
}

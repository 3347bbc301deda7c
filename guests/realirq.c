/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * realirq: interrupts in real mode, through the table at address 0 (APM vol. 2 §8.6).
 *
 * What a VMM gets wrong here: it delivers by the protected mode's table, or pushes more than FLAGS,
 * CS and IP; HLT and the shadow of STI are forgotten in 16-bit code.
 */
#include "lib/real.h"

#define ONLY_LINE_0 0xfffe

CODE_REAL(sti_hlt, "sti\n hlt\n nop");
CODE_REAL(sti_cli, "sti\n cli\n nop");
CODE_REAL(sti_cpuid, "sti\n cpuid\n cli");
CODE_REAL(sti_out, "sti\n out %al, $0xe4\n cli");
CODE_REAL(at_popf, "push %bx\n popf\n cli");
CODE_REAL(int_60, "sti\n int $0x60");

/* With an interrupt pending or to come: vector, IP's distance from the start, the stack's depth. */
static void takes(const char *what, const u8 *code, const u8 *end, bool pending, u8 vector,
		  u16 offset)
{
	struct real_state s = real_state_new();

	irq_init();
	irq_mask(ONLY_LINE_0);
	if (pending)
		irq_pend();
	else
		pit_once(2000);
	s.gpr[RBX] = FLAGS_ONE | FLAGS_IF;
	real_probe(code, end, &s);
	/* FLAGS, CS and IP by the processor, two words by our stub. */
	check_equal(what, s.vector << 24 | (s.ip - REAL_IP) << 16 | (u16)(REAL_STACK - s.gpr[RSP]),
		    vector << 24 | offset << 16 | 10);
}
#define TAKES(what, name, pending, vector, offset) \
	takes(what, name, name##_end, pending, vector, offset)

void guest(void)
{
	real_init();
	TAKES("hlt-pending", sti_hlt, true, IRQ_BASE, 2);
	TAKES("hlt-later", sti_hlt, false, IRQ_BASE, 2);
	TAKES("sti-cli", sti_cli, true, VEC_BP, 4);
	TAKES("sti-cpuid", sti_cpuid, true, IRQ_BASE, 3);
	TAKES("sti-out", sti_out, true, IRQ_BASE, 3);
	TAKES("popf", at_popf, true, IRQ_BASE, 2);
	TAKES("int-60", int_60, true, 0x60, 3);
	irq_init();
}

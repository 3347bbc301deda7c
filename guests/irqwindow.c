/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * irqwindow: the exact instruction at which a pending interrupt is taken (APM vol. 2
 * §8.1.3, 15.21).
 *
 * STI and MOV SS hold interrupts back for one more instruction, the "interrupt shadow", so that
 * STI; HLT and MOV SS; MOV RSP cannot be torn apart. Every case here knows which instruction the
 * saved RIP must point to.
 *
 * What a VMM gets wrong here: an instruction that it emulates ends the shadow like any other, and
 * it must say so to the processor (VMCB offset 0x68); an exit within the shadow must not let an
 * interrupt in; an interrupt that becomes possible by the instruction that it emulates (OUT to the
 * 8259, POPF, a write of CR8) must come right behind it; a string instruction may be interrupted in
 * the middle, and its registers must then be those of that moment.
 */
#include "lib/probe.h"

#define ONLY_LINE_0 0xfffe
#define NEVER	    0xff /* an offset that no code here has */
#define LOOPS	    100000

/* One byte: sti, cli, nop, out dx, in dx, popf. Two: cpuid, out imm, mov ss. */
CODE(never, "sti\n cli\n nop");
CODE(after_nop, "sti\n nop\n cli");
CODE(after_cpuid, "sti\n cpuid\n cli");
CODE(after_cpuid_long, "sti\n .byte 0x66, 0x66, 0x66, 0x66, 0x0f, 0xa2\n cli");
CODE(after_out, "sti\n out %al, $0xe4\n cli");
CODE(after_in, "sti\n in $0x21, %al\n cli");
CODE(after_rdmsr, "sti\n rdmsr\n cli");
CODE(after_wrmsr, "sti\n wrmsr\n cli");
CODE(after_cr, "sti\n mov %cr0, %" REG "bx\n cli");
CODE(after_sti_sti, "sti\n sti\n cli"); /* the second STI finds IF set: no new shadow */
CODE(at_popf, "push %" REG "bx\n popf\n cli");
CODE(unmasked, "sti\n nop\n out %al, $0x21\n jmp 1f\n 1: nop\n cli");
CODE(unmasked_shadow, "sti\n nop\n mov %esi, %ss\n out %al, $0x21\n nop\n cli");
CODE(masked_again, "out %al, $0x21\n sti\n nop\n nop\n cli");
CODE(software_first, "sti\n int $0x80");

static volatile unsigned count;
static reg_t code_start, offset_seen;

/* Remembers where it came in, and lets nothing more in until the code's end. */
static void once(struct trap *t)
{
	count++;
	offset_seen = t->rip - code_start;
	t->flags &= ~FLAGS_IF;
	irq_eoi();
}

/* Run code with an interrupt pending: count and offset_seen tell. */
static void run(const char *what, const u8 *code, u8 mask, reg_t rax)
{
	struct state s = state_new();
	reg_t offset;

	irq_mask(0xff00 | mask);
	irq_pend();
	count = 0;
	offset_seen = NEVER;
	code_start = (reg_t)code;
	s.gpr[RAX] = rax;
	s.gpr[RBX] = FLAGS_ONE | FLAGS_IF;
	s.gpr[RCX] = MSR_SYSENTER_CS;
	s.gpr[RDX] = 0;
	s.gpr[RSI] = SEL_DATA;
#ifdef __x86_64__
	static u8 stack[256] __aligned(16);

	s.gpr[RSP] = (reg_t)stack + sizeof(stack);
#endif
	probe(code, &s);
	if (s.vector != VEC_BP && s.vector != 0x80)
		fail(what);
	if (count != (offset_seen != NEVER))
		fail(what);
	/* If it was not taken, take it now, so that the next one starts afresh. */
	irq_mask(ONLY_LINE_0);
	offset = offset_seen;
	__asm__ volatile("sti\n nop\n nop\n cli" ::: "memory");
	offset_seen = offset;
}

/* After how many bytes of the code the interrupt comes. */
static void taken_at(const char *what, const u8 *code, u8 mask, reg_t rax, reg_t offset)
{
	run(what, code, mask, rax);
	check_equal(what, offset_seen, offset);
}

static void check_offsets(void)
{
	const u8 open = 0xfe, shut = 0xff;

	taken_at("sti-cli", never, open, 0, NEVER);
	taken_at("sti-nop", after_nop, open, 0, 2);
	taken_at("sti-cpuid", after_cpuid, open, 0, 3);
	taken_at("sti-cpuid-prefixed", after_cpuid_long, open, 0, 7);
	taken_at("sti-out", after_out, open, 0, 3);
	taken_at("sti-in", after_in, open, 0, 3);
	taken_at("sti-rdmsr", after_rdmsr, open, 0, 3);
	taken_at("sti-wrmsr", after_wrmsr, open, 0, 3);
	taken_at("sti-read-cr0", after_cr, open, 0, 4);
	taken_at("sti-sti", after_sti_sti, open, 0, 2);
	taken_at("popf", at_popf, open, 0, 2);
	/* QEMU's processor looks for interrupts at jumps only, so: between the OUT and the CLI. */
	run("unmask", unmasked, shut, open);
	check("unmask", offset_seen >= 4 && offset_seen <= 7);
	taken_at("unmask-in-ss-shadow", unmasked_shadow, shut, open, 6);
	taken_at("mask", masked_again, open, shut, NEVER);
	taken_at("int-n-in-shadow", software_first, open, 0, NEVER);
}

static reg_t forbidden;
static unsigned torn;

static void watch(struct trap *t)
{
	count++;
	torn += t->rip == forbidden;
	irq_eoi();
}

/* Interrupts all the time, and never one between MOV SS and the next instruction. */
static void check_mov_ss(void)
{
	extern const u8 after_mov_ss[];

	count = torn = 0;
	forbidden = (reg_t)after_mov_ss;
	irq_handle(0, watch);
	pit_periodic(PIT_HZ / 1000);
	sti();
	for (unsigned i = 0; i < LOOPS * 300 && count < 30; i++)
		__asm__ volatile(".rept 8\n mov %0, %%ss\n nop\n .endr\n"
				 "mov %0, %%ss\n after_mov_ss: nop\n"
				 :
				 : "r"(SEL_DATA));
	cli();
	check("mov-ss-interrupts", count >= 30);
	check_equal("mov-ss-torn", torn, 0);
}

/* Interrupts while CPUID exits: no result and no register is ever wrong. */
static void check_cpuid(void)
{
	struct cpuid first = cpuid(0, 0), r;
	unsigned wrong = 0;

	count = 0;
	sti();
	for (unsigned i = 0; i < LOOPS * 10 && count < 20; i++) {
		r = cpuid(0, 0);
		wrong += memcmp(&r, &first, sizeof(r)) != 0;
	}
	cli();
	check("cpuid-interrupts", count >= 20);
	check_equal("cpuid-wrong", wrong, 0);
}

#define STRING_BYTES 3000

static u8 string[STRING_BYTES];
static unsigned in_string, inconsistent;
CODE(rep_outsb, "rep outsb");

/* In the middle of REP OUTSB, RIP is its own, and RSI and RCX say how far it is. */
static void watch_string(struct trap *t)
{
	count++;
	if (t->rip == (reg_t)rep_outsb) {
		in_string++;
		inconsistent += t->gpr[RSI] + t->gpr[RCX] != (reg_t)string + STRING_BYTES;
	}
	irq_eoi();
}

static void check_string(void)
{
	struct state s;
	unsigned wrong = 0;

	count = 0;
	irq_handle(0, watch_string);
	for (unsigned i = 0; i < LOOPS && count < 20; i++) {
		s = state_new();
		s.flags |= FLAGS_IF;
		s.gpr[RDX] = 0x3a00;
		s.gpr[RSI] = (reg_t)string;
		s.gpr[RCX] = STRING_BYTES;
		probe(rep_outsb, &s);
		wrong += !ran_to_end(rep_outsb, &s) || s.gpr[RCX] != 0 ||
			 s.gpr[RSI] != (reg_t)string + STRING_BYTES;
	}
	check("string-interrupts", count >= 20);
	check_equal("string-wrong", wrong, 0);
	check_equal("string-inconsistent", inconsistent, 0);
}

void guest(void)
{
	irq_init();
	irq_handle(0, once);
	check_offsets();
	check_mov_ss();
	check_cpuid();
	check_string();
	irq_init();
}

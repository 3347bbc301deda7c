/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * probe.h: run a few instructions from a register state of our choice, and see everything they did.
 *
 *	CODE(cpuid_66, ".byte 0x66\n cpuid");
 *
 *	struct state s = state_new();
 *	s.gpr[RAX] = 0;
 *	probe(cpuid_66, &s);
 *	check("prefix-66", ran_to_end(cpuid_66, &s));
 *
 * probe() loads all general registers and the flags, jumps to the code by IRET, and comes back at
 * the first exception or INT n, with all registers as they were at that moment. Behind every CODE()
 * lie sixteen INT3 instructions (one byte each), so code without a fault ends by #BP, and the
 * saved RIP tells to the byte where it went on after its last instruction. That is the point: a VMM
 * that emulates an instruction and gets its length wrong, or loses a register, or raises the fault
 * on the wrong side of the instruction, cannot hide it.
 */
#ifndef GUEST_PROBE_H
#define GUEST_PROBE_H

#include "lib/cpu.h"
#include "lib/trap.h"

/*
 * Assemble @text under a name. In the text one can name the code's end NAME_end, and NAME itself.
 * CODE_ACROSS does the same, but lays the code so that its first @n bytes are the last of a page.
 */
#define CODE(name, text)                                                                   \
	extern const u8 name[], name##_end[];                                              \
	__asm__(".pushsection .text.probe, \"ax\"\n" #name ":\n" text "\n" #name "_end:\n" \
		".fill 16, 1, 0xcc\n"                                                      \
		".popsection")

#define CODE_ACROSS(name, n, text)                                                     \
	extern const u8 name[], name##_end[];                                          \
	__asm__(".pushsection .text.probe, \"ax\"\n"                                   \
		".balign 4096, 0xcc\n"                                                 \
		".fill 4096 - " #n ", 1, 0xcc\n" #name ":\n" text "\n" #name "_end:\n" \
		".fill 16, 1, 0xcc\n"                                                  \
		".popsection")

/* Words of the code that differ: CODE(x, "push %" REG "ax\n " IRET). */
#ifdef __x86_64__
#define REG  "r"
#define IRET "iretq"
#define LRET "lretq"
#else
#define REG  "e"
#define IRET "iret"
#define LRET "lret"
#endif

struct state {
	reg_t gpr[GPRS]; /* RSP too; in 32-bit guests it must point to a stack */
	void *frame;	 /* probe()'s own: what IRET pops */
	reg_t flags;
	reg_t cs, ss; /* SEL_USER_CODE and SEL_USER_DATA run the code in ring 3 */

	/* Only out: */
	reg_t rip;
	reg_t vector, error;
	reg_t cr2;
};

/**
 * state_new() - distinct values in all registers, others with each GUEST_SEED; flags clear, ring 0.
 */
struct state state_new(void);

/** state_new_user() - the same, for ring 3. */
struct state state_new_user(void);

/** probe() - run @code from *@s, and put into *@s what there was at the exception that ended it. */
void probe(const u8 *code, struct state *s);

/** registers_changed() - which of them differ: bit n for the one that instructions encode as n. */
u32 registers_changed(const struct state *a, const struct state *b);

/* Did the code run to its end, and not a byte further or less? */
#define ran_to_end(code, s) ((s)->vector == VEC_BP && (s)->rip == (reg_t)code##_end + 1)

/*
 * Did it raise this exception, with this error code, at this instruction? @offset counts bytes
 * from the start of the code. Answered as one number: vector, error code and offset.
 */
#define check_fault(what, code, s, want_vector, want_error, want_offset)                   \
	check_equal(what, fault_number((s)->vector, (s)->error, (s)->rip - (reg_t)(code)), \
		    fault_number(want_vector, want_error, want_offset))

static inline u64 fault_number(reg_t vector, reg_t error, reg_t offset)
{
	return (u64)(u8)vector << 32 | (u64)(u16)error << 16 | (u16)offset;
}

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * io: IN and OUT (APM vol. 3). String I/O is in iostring, a PC's devices are in devices.
 *
 * What a VMM gets wrong here: how much of RAX an IN changes (8 and 16 bits keep the rest of RAX, 32
 * bits zero its upper half); how long the instruction was (IN AL, imm8 has two bytes, IN AL, DX
 * one, and prefixes count); what a port without a device reads as (all ones, as wide as the
 * access); the upper half of DX (ports have 16 bits); ports below 256 by DX; an access by ring 3,
 * which is not the VMM's to allow.
 *
 * Two ports suffice: 0xe9, where one writes text, and reads e9; and one with nothing behind it.
 */
#include "lib/probe.h"

CODE(in_al_imm, "in $0xe9, %al");
CODE(in_al_dx, "in %dx, %al");
CODE(in_ax_dx, "in %dx, %ax");
CODE(in_eax_dx, "in %dx, %eax");
CODE(in_ax_imm, "in $0xe4, %ax");
CODE(in_eax_imm, "in $0xe4, %eax");
CODE(out_al_imm, "out %al, $0xe9");
CODE(out_al_dx, "out %al, %dx");
CODE(out_ax_dx, "out %ax, %dx");
CODE(out_eax_dx, "out %eax, %dx");
CODE(in_al_prefixes, ".byte 0x26, 0x66, 0x67, 0x65, 0xf2, 0x3e, 0xe4, 0xe9");
CODE(in_ax_prefixes, ".byte 0x67, 0x66, 0x66, 0x2e, 0xed");
CODE(in_al_rep, ".byte 0xf3, 0xec"); /* REP means nothing to IN */
CODE(out_al_prefixes, ".byte 0x2e, 0x66, 0x66, 0x64, 0xe6, 0xe9");
CODE(out_al_max, ".fill 13, 1, 0x66\n .byte 0xe6, 0xe9");
CODE_ACROSS(in_page, 1, "in $0xe9, %al");
CODE_ACROSS(out_page_end, 1, "out %al, %dx");
#ifdef __x86_64__
CODE(in_al_rex, ".byte 0x4f, 0xec");
CODE(in_eax_rex_w, ".byte 0x48, 0xed"); /* there are no 64-bit ports: as without it */
CODE(in_ax_66_rex, ".byte 0x66, 0x41, 0xed");
CODE(out_eax_rex_w, ".byte 0x66, 0x48, 0xef");
#endif

#define PORT_TEXT 0xe9
#define PORT_NONE 0x3a00 /* no PC has a device there, nor at 0xe4 */

/* RAX of state_new() and what an IN leaves of it. */
#define RAX_OLD	  ((reg_t)0x1122334455667788)

/* The IN, from a port; its result in RAX, and that nothing else changed and RIP is right. */
static void check_in(const char *what, const u8 *code, const u8 *end, u32 port, u64 want)
{
	struct state before = state_new(), s;

	before.gpr[RAX] = RAX_OLD;
	before.gpr[RDX] = (before.gpr[RDX] & ~(reg_t)0xffff) | port; /* only DX counts */
	before.flags |= FLAGS_STATUS;
	s = before;
	probe(code, &s);
	if (s.vector != VEC_BP || s.rip - 1 != (reg_t)end ||
	    registers_changed(&before, &s) & ~BIT(RAX) || (s.flags & FLAGS_STATUS) != FLAGS_STATUS)
		fail(what);
	else
		check_equal(what, s.gpr[RAX], (reg_t)want);
}

/* What goes to port 0xe9 here, for people to see. */
static bool is_letter(u8 c)
{
	return c >= 'A' && c <= 'Z';
}

static void check_out(const char *what, const u8 *code, const u8 *end, u32 port, u32 value)
{
	struct state before = state_new(), s;

	before.gpr[RAX] = (RAX_OLD & ~(reg_t)0xffffffff) | value;
	before.gpr[RDX] = (before.gpr[RDX] & ~(reg_t)0xffff) | port;
	s = before;
	probe(code, &s);
	if (is_letter(value))
		say("\n");
	check_equal(what,
		    (s.vector == VEC_BP && s.rip - 1 == (reg_t)end) << 1 |
			    !registers_changed(&before, &s),
		    3);
}

#define IN(what, name, port, want)   check_in(what, name, name##_end, port, want)
#define OUT(what, name, port, value) check_out(what, name, name##_end, port, value)

static void check_in_widths(void)
{
	IN("in-al-imm", in_al_imm, PORT_NONE, 0x11223344556677e9);
	IN("in-al-dx", in_al_dx, PORT_TEXT, 0x11223344556677e9);
	IN("in-al-prefixes", in_al_prefixes, PORT_NONE, 0x11223344556677e9);
	IN("in-page", in_page, PORT_NONE, 0x11223344556677e9);
	/* Nothing there: the bus floats, all ones. */
	IN("in-al-dx-none", in_al_dx, PORT_NONE, 0x11223344556677ff);
	IN("in-al-rep", in_al_rep, PORT_NONE, 0x11223344556677ff);
	IN("in-ax-dx", in_ax_dx, PORT_NONE, 0x112233445566ffff);
	IN("in-ax-prefixes", in_ax_prefixes, PORT_NONE, 0x112233445566ffff);
	IN("in-eax-dx", in_eax_dx, PORT_NONE, 0xffffffff);
	IN("in-ax-imm", in_ax_imm, PORT_NONE, 0x112233445566ffff);
	IN("in-eax-imm", in_eax_imm, PORT_NONE, 0xffffffff);
#ifdef __x86_64__
	IN("in-al-rex", in_al_rex, PORT_NONE, 0x11223344556677ff);
	IN("in-eax-rex-w", in_eax_rex_w, PORT_NONE, 0xffffffff);
	IN("in-ax-66-rex", in_ax_66_rex, PORT_NONE, 0x112233445566ffff);
#endif
}

static void check_out_widths(void)
{
	OUT("out-al-dx-none", out_al_dx, PORT_NONE, 0x88776611);
	OUT("out-ax-dx", out_ax_dx, PORT_NONE, 0x88776611);
	OUT("out-eax-dx", out_eax_dx, PORT_NONE, 0x88776611);
	OUT("out-page-end", out_page_end, PORT_NONE, 0x88776611);
#ifdef __x86_64__
	OUT("out-eax-rex-w", out_eax_rex_w, PORT_NONE, 0x88776611);
#endif
	/* These letters one can see. */
	OUT("out-al-imm", out_al_imm, PORT_NONE, 0x88776600 | 'A');
	OUT("out-al-dx", out_al_dx, PORT_TEXT, 0x88776600 | 'B');
	OUT("out-al-prefixes", out_al_prefixes, PORT_NONE, 0x88776600 | 'C');
	OUT("out-al-max", out_al_max, PORT_NONE, 0x88776600 | 'D');
}

/* IOPL is 0 and the TSS allows no ports: #GP(0) in ring 3 (APM vol. 3, IN). With IOPL 3, it works.
 */
static void check_user(void)
{
	struct state s = state_new_user();

	probe(in_al_prefixes, &s);
	check_fault("ring3-in", in_al_prefixes, &s, VEC_GP, 0, 0);
	s = state_new_user();
	probe(out_al_dx, &s);
	check_fault("ring3-out", out_al_dx, &s, VEC_GP, 0, 0);
	s = state_new_user();
	s.flags |= 3 * FLAGS_IOPL;
	probe(in_al_imm, &s);
	check_equal("ring3-iopl3", ran_to_end(in_al_imm, &s) ? s.gpr[RAX] & 0xff : 0, 0xe9);
}

void guest(void)
{
	check_in_widths();
	check_out_widths();
	check_user();
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * io: IN and OUT (APM vol. 3). String I/O is in iostring.
 *
 * What a VMM gets wrong here: how much of RAX an IN changes (8 and 16 bits keep the rest of RAX, 32
 * bits zero its upper half); how long the instruction was (IN AL, imm8 has two bytes, IN AL, DX one,
 * and prefixes count); what a port without a device reads as (all ones, as wide as the access); the
 * upper half of DX (ports have 16 bits); ports below 256 by DX; an access by ring 3, which is not
 * the VMM's to allow.
 *
 * Devices that are there on every PC, and have registers that read as they were written: the mask
 * of the 8259 (0x21, 0xa1), CMOS RAM behind 0x70 and 0x71, bits of port 0x61, the 8254's status.
 */
#include "lib/probe.h"

CODE(in_al_imm, "in $0x21, %al");
CODE(in_al_dx, "in %dx, %al");
CODE(in_ax_dx, "in %dx, %ax");
CODE(in_eax_dx, "in %dx, %eax");
CODE(in_ax_imm, "in $0xe4, %ax");
CODE(in_eax_imm, "in $0xe4, %eax");
CODE(out_al_imm, "out %al, $0x21");
CODE(out_al_dx, "out %al, %dx");
CODE(out_ax_dx, "out %ax, %dx");
CODE(out_eax_dx, "out %eax, %dx");
CODE(in_al_prefixes, ".byte 0x26, 0x66, 0x67, 0x65, 0xf2, 0x3e, 0xe4, 0x21");
CODE(in_ax_prefixes, ".byte 0x67, 0x66, 0x66, 0x2e, 0xed");
CODE(in_al_rep, ".byte 0xf3, 0xec"); /* REP means nothing to IN */
CODE(out_al_prefixes, ".byte 0x2e, 0x66, 0x66, 0x64, 0xe6, 0x21");
CODE(out_al_max, ".fill 13, 1, 0x66\n .byte 0xe6, 0x21");
CODE_ACROSS(in_page, 1, "in $0x21, %al");
CODE_ACROSS(out_page_end, 1, "out %al, %dx");
#ifdef __x86_64__
CODE(in_al_rex, ".byte 0x4f, 0xec");
CODE(in_eax_rex_w, ".byte 0x48, 0xed"); /* there are no 64-bit ports: as without it */
CODE(in_ax_66_rex, ".byte 0x66, 0x41, 0xed");
CODE(out_eax_rex_w, ".byte 0x66, 0x48, 0xef");
#endif

#define PIC_MASK 0x21
#define MASK	 0x5a

/* RAX of state_new() and what an IN leaves of it. */
#define RAX_OLD	 ((reg_t)0x1122334455667788)

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

static void check_out(const char *what, const u8 *code, const u8 *end, u32 port, u32 value)
{
	struct state before = state_new(), s;

	before.gpr[RAX] = (RAX_OLD & ~(reg_t)0xffffffff) | value;
	before.gpr[RDX] = (before.gpr[RDX] & ~(reg_t)0xffff) | port;
	s = before;
	probe(code, &s);
	check_equal(what,
		    (s.vector == VEC_BP && s.rip - 1 == (reg_t)end) << 1 |
			    !registers_changed(&before, &s),
		    3);
}

/* OUT to the 8259's mask by this code; read it back with a plain IN. */
static void check_mask(const char *what, const u8 *code, const u8 *end, u8 value)
{
	outb(PIC_MASK, ~value);
	check_out(what, code, end, PIC_MASK, 0xa1a2a300 | value);
	if (inb(PIC_MASK) != value)
		fail(what);
}

#define IN(what, name, port, want) check_in(what, name, name##_end, port, want)
#define OUT(what, name, port)	   check_out(what, name, name##_end, port, 0x89abcdef)
#define SET_MASK(what, name, v)	   check_mask(what, name, name##_end, v)

static void check_widths(void)
{
	const u32 none = 0x3a00; /* no PC has a device there, nor at 0xe4 */

	outb(PIC_MASK, MASK);
	IN("in-al-imm", in_al_imm, none, 0x112233445566775a);
	IN("in-al-dx", in_al_dx, PIC_MASK, 0x112233445566775a);
	IN("in-al-prefixes", in_al_prefixes, none, 0x112233445566775a);
	IN("in-page", in_page, none, 0x112233445566775a);
	/* Nothing there: the bus floats, all ones. */
	IN("in-al-dx-none", in_al_dx, none, 0x11223344556677ff);
	IN("in-al-rep", in_al_rep, none, 0x11223344556677ff);
	IN("in-ax-dx", in_ax_dx, none, 0x112233445566ffff);
	IN("in-ax-prefixes", in_ax_prefixes, none, 0x112233445566ffff);
	IN("in-eax-dx", in_eax_dx, none, 0xffffffff);
	IN("in-ax-imm", in_ax_imm, none, 0x112233445566ffff);
	IN("in-eax-imm", in_eax_imm, none, 0xffffffff);
#ifdef __x86_64__
	IN("in-al-rex", in_al_rex, none, 0x11223344556677ff);
	IN("in-eax-rex-w", in_eax_rex_w, none, 0xffffffff);
	IN("in-ax-66-rex", in_ax_66_rex, none, 0x112233445566ffff);
	OUT("out-eax-rex-w", out_eax_rex_w, none);
#endif
	OUT("out-al-dx", out_al_dx, none);
	OUT("out-ax-dx", out_ax_dx, none);
	OUT("out-eax-dx", out_eax_dx, none);
	OUT("out-page-end", out_page_end, none);
	SET_MASK("out-al-imm", out_al_imm, 0x81);
	SET_MASK("out-al-dx", out_al_dx, 0x42);
	SET_MASK("out-al-prefixes", out_al_prefixes, 0x24);
	SET_MASK("out-al-max", out_al_max, 0x18);
	outb(PIC_MASK, 0xff);
}

static u8 cmos_read(u8 index)
{
	outb(0x70, index);
	return inb(0x71);
}

static void cmos_write(u8 index, u8 value)
{
	outb(0x70, index);
	outb(0x71, value);
}

static void check_devices(void)
{
	u8 old60 = cmos_read(0x60), old7e = cmos_read(0x7e), speaker = inb(0x61);
	u64 seen = 0;

	/* All values that one mask holds do not leak into the other's. */
	outb(0xa1, 0x3c);
	outb(0x21, 0xc3);
	check_equal("mask-a1", inb(0xa1), 0x3c);
	check_equal("mask-21", inb(0x21), 0xc3);
	for (unsigned v = 0; v < 256; v++) {
		outb(0x21, v);
		seen += inb(0x21) == v;
	}
	check_equal("mask-values", seen, 256);
	outb(0x21, 0xff);
	outb(0xa1, 0xff);

	cmos_write(0x60, 0xa5);
	cmos_write(0x7e, 0x69);
	check_equal("cmos-60", cmos_read(0x60), 0xa5);
	check_equal("cmos-7e", cmos_read(0x7e), 0x69);
	cmos_write(0x60, old60);
	cmos_write(0x7e, old7e);

	/* The speaker's two bits of port 0x61 keep what was written; the others are wires. */
	outb(0x61, (speaker & ~3) | 1);
	check_equal("port61-gate", inb(0x61) & 3, 1);
	outb(0x61, speaker & ~3);
	check_equal("port61-off", inb(0x61) & 3, 0);

	/* 8254 read-back command, status of channel 2: mode 3 and both bytes were asked for. */
	outb(0x43, 0xb6);
	outb(0x42, 0x34);
	outb(0x42, 0x12);
	outb(0x43, 0xe8);
	check_equal("pit-status", inb(0x42) & 0x3f, 0x36);
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
	outb(PIC_MASK, MASK);
	probe(in_al_imm, &s);
	check_equal("ring3-iopl3", ran_to_end(in_al_imm, &s) ? s.gpr[RAX] & 0xff : 0, MASK);
	outb(PIC_MASK, 0xff);
}

void guest(void)
{
	check_widths();
	check_devices();
	check_user();
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * decode_operand.c: what follows an instruction's opcode: ModRM, SIB and displacement, immediates;
 * and the address and segment that come of it.
 * APM vol. 3 §1.4-1.7; SDM vol. 2A §2.1.3-2.1.5, 2.2.1.
 */
#include "lib/lab.h"
#include "x86/decode_table.h"

/* APM vol. 3 table A-33: the eight 16-bit addressing forms. */
static const s8 base16[8] = {GPR_RBX, GPR_RBX, GPR_RBP, GPR_RBP,
			     GPR_RSI, GPR_RDI, GPR_RBP, GPR_RBX};
static const s8 index16[8] = {GPR_RSI, GPR_RDI, GPR_RSI, GPR_RDI, -1, -1, -1, -1};

static void read_displacement(struct reader *r, unsigned bytes)
{
	if (bytes)
		r->insn->disp = sign_extend(take(r, bytes), bytes);
}

/* mod 0, 1, 2: [base + index], with 8 bits, with 16 bits; mod 0 rm 6: [disp16] */
static void read_memory16(struct reader *r, u8 rm)
{
	struct insn *insn = r->insn;

	if (insn->mod == 0 && rm == 6) {
		read_displacement(r, 2);
		return;
	}
	insn->base = base16[rm];
	insn->index = index16[rm];
	read_displacement(r, insn->mod);
}

/*
 * mod 0, 1, 2: [base], with 8 bits, with 32 bits; rm 4: a SIB byte follows with scale, index (4:
 * none) and base; base 5 with mod 0: no base but 32 bits, which without SIB in 64-bit code count
 * from the next instruction. The exceptions look at the three bits before REX extends them, but for
 * the index: R12 can be one. APM vol. 3 §1.4.
 */
static void read_memory(struct reader *r, u8 rm)
{
#if SOLVED >= 2
	struct insn *insn = r->insn;
	u8 base = rm;

	if (rm == 4) {
		u8 sib = take(r, 1);

		insn->has_sib = true;
		insn->scale = sib >> 6;
		insn->index = (sib >> 3 & 7) | rex(r, REX_X);
		if (insn->index == GPR_RSP)
			insn->index = -1;
		base = sib & 7;
	}
	if (base == 5 && insn->mod == 0) {
		insn->rip_relative = r->code == CODE_64 && rm == 5;
		read_displacement(r, 4);
		return;
	}
	insn->base = base | rex(r, REX_B);
	read_displacement(r, insn->mod == 2 ? 4 : insn->mod);
#else
	/*
	 * Exercise 2.2, continued. What follows a ModRM byte whose mod is 0, 1 or 2, as the comment
	 * above says: a SIB byte if rm is 4, then a displacement. Fill insn->base and insn->index
	 * (they stay -1 where there is none), insn->scale, insn->has_sib, insn->rip_relative;
	 * take() and read_displacement() read bytes.
	 *
	 * Hint: rex(r, REX_B) is 8 if REX extends the base, else 0.
	 */
	LAB(2, "2.2", "read a memory operand");
#endif
}

int insn_read_modrm(struct reader *r, unsigned attr)
{
	struct insn *insn = r->insn;
	u8 modrm = take(r, 1);

	insn->has_modrm = true;
	insn->mod = (attr & ATTR_KIND) == KIND_MOV_CR ? 3 : modrm >> 6;
	insn->reg = (modrm >> 3 & 7) | rex(r, REX_R);
	insn->rm = (modrm & 7) | rex(r, REX_B);
	if ((attr & ATTR_RULE) && !(insn_rule(insn->map, insn->opcode, modrm, r->code) & r->with))
		return -EINVAL;
	if (insn->mod != 3 && insn->addrsize == 2)
		read_memory16(r, modrm & 7);
	else if (insn->mod != 3)
		read_memory(r, modrm & 7);
	return 0;
}

static int read_number(struct reader *r, unsigned bytes)
{
	r->insn->imm = take(r, bytes);
	r->insn->immsize = bytes;
	return 0;
}

static int read_signed(struct reader *r, unsigned bytes)
{
	read_number(r, bytes);
	r->insn->imm = sign_extend(r->insn->imm, bytes);
	return 0;
}

/* Two numbers in a row: the first in imm's low half, the second in its high half. */
static int read_two(struct reader *r, unsigned bytes, unsigned bytes2)
{
	read_number(r, bytes);
	r->insn->imm |= take(r, bytes2) << 32;
	r->insn->immsize += bytes2;
	return 0;
}

int insn_read_immediate(struct reader *r, unsigned kind)
{
	struct insn *insn = r->insn;
	unsigned z = r->opsize == 2 ? 2 : 4;

	switch (kind) {
	case KIND_IB:
		return read_signed(r, 1);
	case KIND_UB:
		return read_number(r, 1);
	case KIND_IW:
		return read_number(r, 2);
	case KIND_IZ:
		/* Near branches too: 66 makes their displacement 16 bits on AMD in 64-bit code as
		 * well, where Intel ignores it (APM vol. 3 §1.2.7 and "JMP (Near)") */
		return read_signed(r, z);
	case KIND_ID:
		return read_number(r, 4);
	case KIND_IV:
		return read_signed(r, r->opsize);
	case KIND_ENTER:
		return read_two(r, 2, 1);
	case KIND_FAR:
		return read_two(r, z, 2);
	case KIND_MOFFS:
		insn->disp = take(r, insn->addrsize);
		return 0;
	case KIND_TEST:
		return insn->reg & 6 ? 0 : read_signed(r, insn->opcode == 0xf6 ? 1 : z);
	case KIND_EXTRQ:
		return !insn->vex && r->with & (WITH_66 | WITH_F2) ? read_two(r, 1, 1) : 0;
	case KIND_3DNOW:
		insn->map = MAP_3DNOW;
		insn->opcode = take(r, 1);
		return insn_prefixes(TABLE_3DNOW, insn->opcode) ? 0 : -EINVAL;
	}
	return 0;
}

u64 insn_address(const struct insn *insn, const u64 *gpr, u64 rip)
{
	u64 address = insn->disp;

	if (insn->base >= 0)
		address += gpr[insn->base];
	if (insn->index >= 0)
		address += gpr[insn->index] << insn->scale;
	if (insn->rip_relative)
		address += rip + insn->len;
	return insn->addrsize == 8 ? address : address & (BIT(insn->addrsize * 8) - 1);
}

enum seg insn_segment(const struct insn *insn)
{
	if (insn->seg >= 0)
		return insn->seg;
	return insn->base == GPR_RSP || insn->base == GPR_RBP ? SEG_SS : SEG_DS;
}

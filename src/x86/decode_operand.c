/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * decode_operand.c: what follows an instruction's opcode.
 *
 *	1. ModRM, SIB and displacement
 *	2. immediates
 *	3. the memory operand's address and segment
 *
 * APM vol. 3 §1.4-1.7; SDM vol. 2A §2.1.3-2.1.5, 2.2.1.
 */
#include "lib/errno.h"
#include "x86/decode_table.h"

/* ---- 1. ModRM, SIB and displacement -------------------------------------------------------- */

/* APM vol. 3 table A-33: the eight 16-bit addressing forms. */
static const s8 base16[8] = {GPR_RBX, GPR_RBX, GPR_RBP, GPR_RBP,
			     GPR_RSI, GPR_RDI, GPR_RBP, GPR_RBX};
static const s8 index16[8] = {GPR_RSI, GPR_RDI, GPR_RSI, GPR_RDI, -1, -1, -1, -1};

static int read_displacement(struct reader *r, unsigned bytes)
{
	u64 disp;

	if (!bytes)
		return 0;
	if (!take(r, bytes, &disp))
		return -ENODATA;
	r->insn->disp = sign_extend(disp, bytes);
	return 0;
}

/* mod 0, 1, 2: [base + index], with 8 bits, with 16 bits; mod 0 rm 6: [disp16] */
static int read_memory16(struct reader *r, u8 rm)
{
	struct insn *insn = r->insn;

	if (insn->mod == 0 && rm == 6)
		return read_displacement(r, 2);
	insn->base = base16[rm];
	insn->index = index16[rm];
	return read_displacement(r, insn->mod);
}

/*
 * mod 0, 1, 2: [base], with 8 bits, with 32 bits; rm 4: a SIB byte follows with scale, index (4:
 * none) and base; base 5 with mod 0: no base but 32 bits, which without SIB in 64-bit code count
 * from the next instruction. The exceptions look at the three bits before REX extends them, but for
 * the index: R12 can be one. APM vol. 3 §1.4.
 */
static int read_memory(struct reader *r, u8 rm)
{
	struct insn *insn = r->insn;
	u8 base = rm;
	u64 sib;

	if (rm == 4) {
		if (!take(r, 1, &sib))
			return -ENODATA;
		insn->has_sib = true;
		insn->scale = sib >> 6;
		insn->index = (sib >> 3 & 7) | rex(r, REX_X);
		if (insn->index == GPR_RSP)
			insn->index = -1;
		base = sib & 7;
	}
	if (base == 5 && insn->mod == 0) {
		insn->rip_relative = r->code == CODE_64 && rm == 5;
		return read_displacement(r, 4);
	}
	insn->base = base | rex(r, REX_B);
	return read_displacement(r, insn->mod == 2 ? 4 : insn->mod);
}

/* Does the opcode exist with this ModRM byte? */
static bool rule_allows(const struct reader *r, u8 modrm)
{
	return insn_rule(r->insn->map, r->insn->opcode, modrm, r->code) & r->with;
}

int insn_read_modrm(struct reader *r, unsigned attr)
{
	struct insn *insn = r->insn;
	u64 modrm;

	if (!take(r, 1, &modrm))
		return -ENODATA;
	insn->has_modrm = true;
	insn->mod = (attr & ATTR_KIND) == KIND_MOV_CR ? 3 : modrm >> 6;
	insn->reg = (modrm >> 3 & 7) | rex(r, REX_R);
	insn->rm = (modrm & 7) | rex(r, REX_B);
	if ((attr & ATTR_RULE) && !rule_allows(r, modrm))
		return -EINVAL;
	if (insn->mod == 3)
		return 0;
	return insn->addrsize == 2 ? read_memory16(r, modrm & 7) : read_memory(r, modrm & 7);
}

/* ---- 2. immediates -------------------------------------------------------------------------- */

static int read_number(struct reader *r, unsigned bytes)
{
	if (!take(r, bytes, &r->insn->imm))
		return -ENODATA;
	r->insn->immsize = bytes;
	return 0;
}

static int read_signed(struct reader *r, unsigned bytes)
{
	int error = read_number(r, bytes);

	r->insn->imm = sign_extend(r->insn->imm, bytes);
	return error;
}

/* Two numbers in a row: the first in imm's low half, the second in its high half. */
static int read_two(struct reader *r, unsigned bytes, unsigned bytes2)
{
	u64 second;

	if (read_number(r, bytes) < 0 || !take(r, bytes2, &second))
		return -ENODATA;
	r->insn->imm |= second << 32;
	r->insn->immsize += bytes2;
	return 0;
}

static int read_3dnow(struct reader *r)
{
	u64 opcode;

	if (!take(r, 1, &opcode))
		return -ENODATA;
	r->insn->map = MAP_3DNOW;
	r->insn->opcode = opcode;
	return insn_prefixes(TABLE_3DNOW, opcode) ? 0 : -EINVAL;
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
		return take(r, insn->addrsize, (u64 *)&insn->disp) ? 0 : -ENODATA;
	case KIND_TEST:
		if ((insn->reg & 6) != 0)
			return 0;
		return read_signed(r, insn->opcode == 0xf6 ? 1 : z);
	case KIND_EXTRQ:
		if (insn->vex || !(r->with & (WITH_66 | WITH_F2)))
			return 0;
		return read_two(r, 1, 1);
	case KIND_3DNOW:
		return read_3dnow(r);
	}
	return 0;
}

/* ---- 3. the memory operand ------------------------------------------------------------------- */

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

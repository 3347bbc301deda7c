/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * emulate.c: does what one instruction would have done.
 *
 * Every instruction here is: fetch operands, compute a result and flags, put the result somewhere.
 * What can fail are accesses to memory, so registers and flags are set after the last of them, and
 * an instruction that fails has not happened.
 *
 * APM vol. 3, the pages of the instructions.
 */
#include "x86/emulate.h"

/* Everything that belongs to one instruction. */
struct work {
	const struct insn *insn;
	struct emulate_regs *regs;
	const struct emulate_memory *mem;
	enum seg seg;
	u64 offset; /* of the memory operand */
};

/* ---- registers of all sizes ------------------------------------------------------------------ */

static u64 cut(u64 value, unsigned size)
{
	return size == 8 ? value : value & (BIT(size * 8) - 1);
}

/* Without a REX prefix, byte registers 4 to 7 are AH, CH, DH and BH (APM vol. 3 §1.4.1). */
static bool is_high_byte(const struct work *w, unsigned reg, unsigned size)
{
	return size == 1 && !w->insn->rex && reg >= 4;
}

static u64 get_reg(const struct work *w, unsigned reg, unsigned size)
{
	if (is_high_byte(w, reg, size))
		return cut(w->regs->gpr[reg - 4] >> 8, 1);
	return cut(w->regs->gpr[reg], size);
}

/* Writes of 8 and 16 bits leave the rest of the register, of 32 bits clear it. */
static void set_reg(struct work *w, unsigned reg, unsigned size, u64 value)
{
	u64 *gpr = w->regs->gpr;

	if (is_high_byte(w, reg, size))
		gpr[reg - 4] = (gpr[reg - 4] & ~0xff00ull) | cut(value, 1) << 8;
	else if (size <= 2)
		gpr[reg] = (gpr[reg] & ~cut(~0ull, size)) | cut(value, size);
	else
		gpr[reg] = cut(value, size);
}

/* ---- arithmetic and its flags ---------------------------------------------------------------- */

#define ARITHMETIC_FLAGS (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)

/* The six flags from a result, the carries out of its bits, and the overflow in its highest bit. */
static u64 flags_of(u64 result, u64 carry, u64 overflow, unsigned size)
{
	unsigned high = size * 8 - 1;

	return (carry >> high & 1 ? RFLAGS_CF : 0) |
	       (__builtin_parity((u8)result) ? 0 : RFLAGS_PF) | (carry & 8 ? RFLAGS_AF : 0) |
	       (cut(result, size) ? 0 : RFLAGS_ZF) | (result >> high & 1 ? RFLAGS_SF : 0) |
	       (overflow >> high & 1 ? RFLAGS_OF : 0);
}

/*
 * @a op @b, and what has the same flags: TEST is AND, CMP, CMPXCHG, CMPS, SCAS are SUB, NEG is SUB
 * from 0. The six flags in *@flags are set; ADC and SBB find their carry there. AF, which AND, OR
 * and XOR leave undefined, becomes 0.
 */
static u64 compute(enum insn_op op, u64 a, u64 b, unsigned size, u64 *flags)
{
	u64 carry_in = op == OP_ADC || op == OP_SBB ? *flags & RFLAGS_CF : 0;
	u64 r, carry = 0, overflow = 0, changed = ARITHMETIC_FLAGS;

	if (op == OP_OR) {
		r = a | b;
	} else if (op == OP_AND || op == OP_TEST) {
		r = a & b;
	} else if (op == OP_XOR) {
		r = a ^ b;
	} else if (op == OP_ADD || op == OP_ADC || op == OP_XADD || op == OP_INC) {
		r = a + b + carry_in;
		carry = (a & b) | ((a | b) & ~r); /* what each bit carries into the next */
		overflow = (a ^ r) & (b ^ r);
	} else {
		r = a - b - carry_in;
		carry = (~a & b) | ((~a | b) & r); /* borrows */
		overflow = (a ^ b) & (a ^ r);
	}
	if (op == OP_INC || op == OP_DEC)
		changed &= ~RFLAGS_CF; /* they leave it alone */
	*flags = (*flags & ~changed) | (flags_of(r, carry, overflow, size) & changed);
	return cut(r, size);
}

/* BT and its like: the bit goes to CF, and may be changed. */
static u64 compute_bit(enum insn_op op, u64 a, u64 number, unsigned size, u64 *flags)
{
	u64 bit = BIT(number & (size * 8 - 1));

	*flags &= ~RFLAGS_CF;
	if (a & bit)
		*flags |= RFLAGS_CF;
	if (op == OP_BTS)
		return a | bit;
	return op == OP_BTR ? a & ~bit : a ^ bit;
}

/* ---- the memory operand ---------------------------------------------------------------------- */

static int read(const struct work *w, unsigned size, bool will_write, u64 *value)
{
	int err = w->mem->read(w->mem->opaque, w->seg, w->offset, size, will_write, value);

	*value = cut(*value, size);
	return err;
}

static int write(const struct work *w, unsigned size, u64 value)
{
	return w->mem->write(w->mem->opaque, w->seg, w->offset, size, cut(value, size));
}

/* The operand that is not in memory. */
static u64 other_operand(const struct work *w)
{
	const struct insn *insn = w->insn;

	if (insn->form == FORM_RM_IMM)
		return cut(insn->imm, insn->opsize);
	return get_reg(w, insn->form == FORM_MOFFS_ACC ? GPR_RAX : insn->reg, insn->opsize);
}

/* ---- instructions: moves, and those that read, compute and write ----------------------------- */

/* MOV, MOVZX, MOVSX, MOVBE. */
static int move(struct work *w)
{
	const struct insn *insn = w->insn;
	bool to_reg = insn->form == FORM_REG_RM || insn->form == FORM_ACC_MOFFS;
	u64 value = other_operand(w);
	int err = to_reg ? read(w, insn->srcsize, false, &value) : 0;

	if (err)
		return err;
	if (insn->op == OP_MOVSX)
		value = sign_extend(value, insn->srcsize);
	else if (insn->op == OP_MOVBE)
		value = __builtin_bswap64(value) >> (64 - 8 * insn->srcsize);
	if (!to_reg)
		return write(w, insn->opsize, value);
	set_reg(w, insn->form == FORM_ACC_MOFFS ? GPR_RAX : insn->reg, insn->opsize, value);
	return 0;
}

/*
 * A bit number in a register counts from the operand on in both directions, as far as it goes; one
 * in an immediate is cut to the operand's size (APM vol. 3, BT).
 */
static void find_bit(struct work *w)
{
	const struct insn *insn = w->insn;
	s64 bits = insn->opsize * 8, number = sign_extend(other_operand(w), insn->opsize);

	if (insn->form == FORM_RM_REG)
		w->offset = cut(w->offset + ((number & -bits) >> 3), insn->addrsize);
}

/* What becomes of @memory, the operand there, and @other one. */
static u64 result_of(const struct work *w, u64 memory, u64 other, u64 *flags)
{
	enum insn_op op = w->insn->op;
	unsigned size = w->insn->opsize;

	if (op == OP_XCHG)
		return other;
	if (op == OP_NOT)
		return ~memory;
	if (op == OP_NEG)
		return compute(op, 0, memory, size, flags);
	if (op == OP_INC || op == OP_DEC)
		return compute(op, memory, 1, size, flags);
	if (op >= OP_BT && op <= OP_BTC)
		return compute_bit(op, memory, other, size, flags);
	if (op == OP_CMPXCHG) { /* it writes in any case: what was there, if not the expected */
		compute(op, get_reg(w, GPR_RAX, size), memory, size, flags);
		return *flags & RFLAGS_ZF ? other : memory;
	}
	if (w->insn->form == FORM_REG_RM)
		return compute(op, other, memory, size, flags);
	return compute(op, memory, other, size, flags);
}

/* Read the operand in memory, compute, write it back, and change registers when all went well. */
static int modify(struct work *w)
{
	const struct insn *insn = w->insn;
	enum insn_op op = insn->op;
	unsigned size = insn->opsize;
	bool keeps = op == OP_CMP || op == OP_TEST || op == OP_BT; /* changes flags only */
	bool writes = insn->form != FORM_REG_RM && !keeps;
	u64 flags = w->regs->rflags, memory = 0, result;
	int err = read(w, size, writes, &memory);

	if (err)
		return err;
	result = result_of(w, memory, other_operand(w), &flags);
	if (writes)
		err = write(w, size, result);
	if (err)
		return err;
	if (op == OP_XCHG || op == OP_XADD)
		set_reg(w, insn->reg, size, memory);
	else if (op == OP_CMPXCHG && !(flags & RFLAGS_ZF))
		set_reg(w, GPR_RAX, size, memory);
	else if (!writes && !keeps)
		set_reg(w, insn->reg, size, result);
	w->regs->rflags = flags;
	return 0;
}

/* ---- string instructions and REP ------------------------------------------------------------- */

/* rSI and rDI move on by the operand's size, as far as the address size sees them. */
static void move_on(struct work *w, enum gpr reg)
{
	const struct insn *insn = w->insn;
	u64 step = w->regs->rflags & RFLAGS_DF ? -(u64)insn->opsize : insn->opsize;

	set_reg(w, reg, insn->addrsize, w->regs->gpr[reg] + step);
}

/* The memory operand is [seg:rSI], or [es:rDI], whose segment nothing can change. */
static void point_to(struct work *w, enum gpr reg)
{
	w->seg = reg == GPR_RDI ? SEG_ES : insn_segment(w->insn);
	w->offset = get_reg(w, reg, w->insn->addrsize);
}

static bool compares(const struct insn *insn)
{
	return insn->op == OP_CMPS || insn->op == OP_SCAS;
}

static int string_once(struct work *w)
{
	const struct insn *insn = w->insn;
	bool uses_si = insn->op == OP_MOVS || insn->op == OP_CMPS || insn->op == OP_LODS;
	u64 source = get_reg(w, GPR_RAX, insn->opsize), destination = 0;
	int err = 0;

	if (uses_si) {
		point_to(w, GPR_RSI);
		err = read(w, insn->opsize, false, &source);
	}
	if (!err && insn->op != OP_LODS) {
		point_to(w, GPR_RDI);
		err = compares(insn) ? read(w, insn->opsize, false, &destination)
				     : write(w, insn->opsize, source);
	}
	if (err)
		return err;
	if (insn->op == OP_LODS)
		set_reg(w, GPR_RAX, insn->opsize, source);
	else
		move_on(w, GPR_RDI);
	if (uses_si)
		move_on(w, GPR_RSI);
	if (compares(insn))
		compute(OP_CMP, source, destination, insn->opsize, &w->regs->rflags);
	return 0;
}

static int string(struct work *w)
{
	const struct insn *insn = w->insn;

	if (!insn->rep && !insn->repne)
		return string_once(w);
	for (int n = 0; n < EMULATE_REP_MAX; n++) {
		u64 count = get_reg(w, GPR_RCX, insn->addrsize);
		int err = count ? string_once(w) : 0;

		if (err || !count)
			return err;
		set_reg(w, GPR_RCX, insn->addrsize, count - 1);
		/* REPE and REPNE also end by what a comparison says */
		if (compares(insn) && !!(w->regs->rflags & RFLAGS_ZF) == insn->repne)
			return 0;
	}
	return get_reg(w, GPR_RCX, insn->addrsize) ? EMULATE_AGAIN : 0;
}

/* ---- emulate() ------------------------------------------------------------------------------- */

static bool has_memory_operand(const struct insn *insn)
{
	if (insn->has_modrm)
		return insn->mod != 3;
	return insn->form == FORM_ACC_MOFFS || insn->form == FORM_MOFFS_ACC;
}

int emulate(const struct insn *insn, struct emulate_regs *regs, const struct emulate_memory *mem)
{
	struct work w = {.insn = insn, .regs = regs, .mem = mem};

	if (insn->op >= OP_MOVS && insn->op <= OP_SCAS)
		return string(&w);
	if (!has_memory_operand(insn))
		return -ENOSYS;
	w.seg = insn_segment(insn);
	w.offset = insn_address(insn, regs->gpr, regs->rip);
	switch (insn->op) {
	case OP_MOV ... OP_MOVSX:
	case OP_MOVBE:
		return move(&w);
	case OP_BT ... OP_BTC:
		find_bit(&w);
		return modify(&w);
	case OP_ADD ... OP_NEG:
	case OP_CMPXCHG:
	case OP_XADD:
		return modify(&w);
	}
	return -ENOSYS;
}
_Static_assert(OP_MOVSX == OP_MOV + 2 && OP_SCAS == OP_MOVS + 4 && OP_NEG == OP_ADD + 13 &&
		       OP_BTC == OP_BT + 3,
	       "MOV MOVZX MOVSX; MOVS … SCAS; ADD … CMP TEST XCHG INC DEC NOT NEG; BT BTS BTR BTC");

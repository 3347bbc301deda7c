/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * decode_name.c: which instruction an opcode is, for those that a VMM meets in an exit.
 *
 * decode.c has found the opcode and its operands, and opsize as the prefixes have it. Here the
 * opcode gets its name (enum insn_op) and the form in which it names its operands, and opsize is
 * corrected where an instruction has its own mind about it. What no table names is OP_OTHER.
 *
 * APM vol. 3 appendix A, and the pages of the instructions.
 */
#include "x86/decode_table.h"

/* ---- tables: an opcode's name, or the group in which ModRM's reg field has the last word ----- */

/* Special: a group, where ModRM's reg field decides; or it has its own mind about its operands. */
/* clang-format off */
enum special {
	PLAIN,
	GROUP_1, GROUP_3, GROUP_4, GROUP_5, GROUP_6, GROUP_7, GROUP_8, GROUP_11,
	STACK,	     /* size 4 does not exist in 64-bit code: PUSH, POP */
	PORT,	     /* size 8 does not exist: IN, OUT, INS, OUTS */
	WORD,	     /* always size 2 */
	WORD_STORE,  /* 2 in memory, as the prefixes say in a register */
	TABLE,	     /* GDTR, IDTR: 64-bit base in 64-bit code */
	CONTROL_REG, /* as wide as the mode; not every number exists */
	DEBUG_REG,
	EXTEND_BYTE, EXTEND_WORD, EXTEND_LONG, /* the source has 1, 2, 4 bytes, at most opsize */
	XCHG_ACC,
};

struct name {
	u8 op, form, special;
};

#define NAME(op, form)		   {OP_##op, FORM_##form, PLAIN}
#define SPECIAL(op, form, special) {OP_##op, FORM_##form, special}
#define GROUP(n)		   {OP_OTHER, FORM_NONE, GROUP_##n}

/* The first six of each eight opcodes up to 3F: rm with reg, reg with rm, accumulator with imm. */
#define ALU(n, op)                                                                          \
	[n] = NAME(op, RM_REG), [(n) + 1] = NAME(op, RM_REG), [(n) + 2] = NAME(op, REG_RM), \
	[(n) + 3] = NAME(op, REG_RM), [(n) + 4] = NAME(op, ACC_IMM), [(n) + 5] = NAME(op, ACC_IMM)

static const struct name names_one[256] = {
	ALU(0x00, ADD), ALU(0x08, OR), ALU(0x10, ADC), ALU(0x18, SBB),
	ALU(0x20, AND), ALU(0x28, SUB), ALU(0x30, XOR), ALU(0x38, CMP),
	[0x40 ... 0x47] = NAME(INC, RM), [0x48 ... 0x4f] = NAME(DEC, RM),
	[0x50 ... 0x57] = SPECIAL(PUSH, RM, STACK), [0x58 ... 0x5f] = SPECIAL(POP, RM, STACK),
	[0x63] = SPECIAL(MOVSX, REG_RM, EXTEND_LONG), /* MOVSXD; but ARPL outside 64-bit code */
	[0x68] = SPECIAL(PUSH, IMM, STACK), [0x6a] = SPECIAL(PUSH, IMM, STACK),
	[0x6c ... 0x6d] = SPECIAL(INS, NONE, PORT), [0x6e ... 0x6f] = SPECIAL(OUTS, NONE, PORT),
	[0x80 ... 0x83] = GROUP(1),
	[0x84 ... 0x85] = NAME(TEST, RM_REG), [0x86 ... 0x87] = NAME(XCHG, RM_REG),
	[0x88 ... 0x89] = NAME(MOV, RM_REG), [0x8a ... 0x8b] = NAME(MOV, REG_RM),
	[0x8f] = SPECIAL(POP, RM, STACK), [0x90 ... 0x97] = SPECIAL(XCHG, RM_REG, XCHG_ACC),
	[0x9c] = SPECIAL(PUSHF, NONE, STACK), [0x9d] = SPECIAL(POPF, NONE, STACK),
	[0xa0 ... 0xa1] = NAME(MOV, ACC_MOFFS), [0xa2 ... 0xa3] = NAME(MOV, MOFFS_ACC),
	[0xa4 ... 0xa5] = NAME(MOVS, NONE), [0xa6 ... 0xa7] = NAME(CMPS, NONE),
	[0xa8 ... 0xa9] = NAME(TEST, ACC_IMM), [0xaa ... 0xab] = NAME(STOS, NONE),
	[0xac ... 0xad] = NAME(LODS, NONE), [0xae ... 0xaf] = NAME(SCAS, NONE),
	[0xb0 ... 0xbf] = NAME(MOV, REG_IMM), [0xc6 ... 0xc7] = GROUP(11),
	[0xcc] = NAME(INT3, NONE), NAME(INT, IMM), NAME(INTO, NONE), NAME(IRET, NONE),
	[0xe4 ... 0xe5] = SPECIAL(IN, NONE, PORT), [0xe6 ... 0xe7] = SPECIAL(OUT, NONE, PORT),
	[0xec ... 0xed] = SPECIAL(IN, NONE, PORT), [0xee ... 0xef] = SPECIAL(OUT, NONE, PORT),
	[0xf1] = NAME(INT1, NONE), [0xf4] = NAME(HLT, NONE), [0xf6 ... 0xf7] = GROUP(3),
	[0xfa] = NAME(CLI, NONE), [0xfb] = NAME(STI, NONE), [0xfe] = GROUP(4), [0xff] = GROUP(5),
};

static const struct name names_0f[256] = {
	[0x00] = GROUP(6), [0x01] = GROUP(7), [0x06] = NAME(CLTS, NONE), [0x08] = NAME(INVD, NONE),
	[0x09] = NAME(WBINVD, NONE), /* and WBNOINVD: one intercept is for both */
	[0x20] = SPECIAL(MOV_FROM_CR, NONE, CONTROL_REG), SPECIAL(MOV_FROM_DR, NONE, DEBUG_REG),
	[0x22] = SPECIAL(MOV_TO_CR, NONE, CONTROL_REG), SPECIAL(MOV_TO_DR, NONE, DEBUG_REG),
	[0x30] = NAME(WRMSR, NONE), NAME(RDTSC, NONE), NAME(RDMSR, NONE), NAME(RDPMC, NONE),
	[0xa2] = NAME(CPUID, NONE), [0xb0 ... 0xb1] = NAME(CMPXCHG, RM_REG),
	[0xa3] = NAME(BT, RM_REG), [0xab] = NAME(BTS, RM_REG),
	[0xb3] = NAME(BTR, RM_REG), [0xbb] = NAME(BTC, RM_REG), [0xba] = GROUP(8),
	[0xb6] = SPECIAL(MOVZX, REG_RM, EXTEND_BYTE), SPECIAL(MOVZX, REG_RM, EXTEND_WORD),
	[0xbe] = SPECIAL(MOVSX, REG_RM, EXTEND_BYTE), SPECIAL(MOVSX, REG_RM, EXTEND_WORD),
	[0xc0 ... 0xc1] = NAME(XADD, RM_REG),
};

static const struct name names_movbe[2] = {NAME(MOVBE, REG_RM), NAME(MOVBE, RM_REG)};

static const struct name groups[][8] = {
	[GROUP_1] = {NAME(ADD, RM_IMM), NAME(OR, RM_IMM), NAME(ADC, RM_IMM), NAME(SBB, RM_IMM),
		     NAME(AND, RM_IMM), NAME(SUB, RM_IMM), NAME(XOR, RM_IMM), NAME(CMP, RM_IMM)},
	[GROUP_3] = {NAME(TEST, RM_IMM), NAME(TEST, RM_IMM), NAME(NOT, RM), NAME(NEG, RM)},
	[GROUP_4] = {NAME(INC, RM), NAME(DEC, RM)},
	[GROUP_5] = {NAME(INC, RM), NAME(DEC, RM), [6] = SPECIAL(PUSH, RM, STACK)},
	[GROUP_6] = {SPECIAL(SLDT, RM, WORD_STORE), SPECIAL(STR, RM, WORD_STORE),
		     SPECIAL(LLDT, RM, WORD), SPECIAL(LTR, RM, WORD)},
	[GROUP_7] = {SPECIAL(SGDT, RM, TABLE), SPECIAL(SIDT, RM, TABLE), SPECIAL(LGDT, RM, TABLE),
		     SPECIAL(LIDT, RM, TABLE), SPECIAL(SMSW, RM, WORD_STORE),
		     [6] = SPECIAL(LMSW, RM, WORD), [7] = NAME(INVLPG, RM)},
	[GROUP_8] = {[4] = NAME(BT, RM_IMM), NAME(BTS, RM_IMM), NAME(BTR, RM_IMM), NAME(BTC, RM_IMM)},
	[GROUP_11] = {NAME(MOV, RM_IMM)},
};
/* clang-format on */

/* 0F 01 with a register operand other than SMSW and LMSW: by ModRM's low six bits. */
static const u8 group_7_reg_op[64] = {
	[0x01] = OP_VMCALL, [0x08] = OP_MONITOR, [0x09] = OP_MWAIT,  [0x11] = OP_XSETBV,
	[0x18] = OP_VMRUN,  [0x19] = OP_VMMCALL, [0x1a] = OP_VMLOAD, [0x1b] = OP_VMSAVE,
	[0x1c] = OP_STGI,   [0x1d] = OP_CLGI,	 [0x1e] = OP_SKINIT, [0x1f] = OP_INVLPGA,
	[0x39] = OP_RDTSCP,
};

static const struct name other = NAME(OTHER, NONE);

static const struct name *find_name(const struct insn *insn, unsigned with)
{
	switch (insn->map) {
	case MAP_ONE:
		return &names_one[insn->opcode];
	case MAP_0F:
		return &names_0f[insn->opcode];
	case MAP_0F38:
		if ((insn->opcode & 0xfe) == 0xf0 && with != WITH_F2) /* that is CRC32 */
			return &names_movbe[insn->opcode & 1];
	}
	return &other;
}

/* ---- what is special about some -------------------------------------------------------------- */

/* XCHG rAX, reg; but XCHG rAX, rAX came to mean NOP, and F3 90 PAUSE. */
static void name_xchg(struct insn *insn)
{
	insn->reg = GPR_RAX;
	if (insn->opcode == 0x90 && insn->rep)
		insn->op = OP_PAUSE;
	else if (insn->rm == GPR_RAX)
		insn->op = OP_OTHER;
	else
		return;
	insn->form = FORM_NONE;
}

/* MOVZX, MOVSX; MOVSXD, which is ARPL outside 64-bit code. */
static void name_extend(struct insn *insn, u8 srcsize, enum code_size code)
{
	insn->srcsize = min(srcsize, insn->opsize);
	if (srcsize == 4 && code != CODE_64) {
		insn->op = OP_OTHER;
		insn->form = FORM_NONE;
	}
}

/* LOCK stands in for REX.R, AMD's way to CR8 without REX (APM vol. 3 "MOV CRn"). */
static bool name_control(struct insn *insn)
{
	if (insn->lock)
		insn->reg |= 8;
	return insn->reg <= 8 && (BIT(insn->reg) & 0x11d); /* CR0, 2, 3, 4, 8 */
}

static int name_special(struct insn *insn, enum special special, enum code_size code)
{
	if (special >= EXTEND_BYTE && special <= EXTEND_LONG) {
		name_extend(insn, 1 << (special - EXTEND_BYTE), code);
		return 0;
	}
	if (special == STACK && code == CODE_64 && insn->opsize == 4)
		insn->opsize = 8;
	else if (special == PORT && insn->opsize == 8)
		insn->opsize = 4;
	else if (special == WORD || (special == WORD_STORE && insn->mod != 3))
		insn->opsize = 2;
	else if (special == TABLE && code == CODE_64)
		insn->opsize = 8;
	else if (special == CONTROL_REG || special == DEBUG_REG)
		insn->opsize = code == CODE_64 ? 8 : 4;
	else if (special == XCHG_ACC)
		name_xchg(insn);
	insn->srcsize = insn->opsize;
	if ((special == CONTROL_REG && !name_control(insn)) ||
	    (special == DEBUG_REG && insn->reg >= 8))
		return -EINVAL;
	return 0;
}

int insn_name(struct insn *insn, enum code_size code, unsigned with)
{
	const struct name *name = find_name(insn, with);

	insn->op = name->op;
	insn->form = name->form;
	if (likely(name->special == PLAIN))
		return 0;
	if (name->special == GROUP_7 && insn->mod == 3 && (insn->reg & 5) != 4) {
		insn->op = group_7_reg_op[(insn->reg & 7) << 3 | (insn->rm & 7)];
		return 0;
	}
	if (name->special <= GROUP_11) {
		name = &groups[name->special][insn->reg & 7];
		insn->op = name->op;
		insn->form = name->form;
	}
	return name_special(insn, name->special, code);
}

/* ---- which may have a LOCK prefix ------------------------------------------------------------ */

/* LOCK may stand before what reads memory and writes it again. APM vol. 3 §1.2.5. */
bool insn_may_lock(const struct insn *insn)
{
	if (insn->op == OP_MOV_FROM_CR || insn->op == OP_MOV_TO_CR)
		return true;
	if (!insn->has_modrm || insn->mod == 3 || insn->form == FORM_REG_RM)
		return false;
	if (insn->map == MAP_0F && insn->opcode == 0xc7) /* CMPXCHG8B and 16B */
		return (insn->reg & 7) == 1;
	switch (insn->op) {
	case OP_ADD ... OP_XOR:
	case OP_XCHG ... OP_NEG:
	case OP_BTS ... OP_XADD:
		return true;
	}
	return false;
}
_Static_assert(OP_XOR == OP_ADD + 6 && OP_NEG == OP_XCHG + 4 && OP_XADD == OP_BTS + 4,
	       "ADD OR ADC SBB AND SUB XOR; XCHG INC DEC NOT NEG; BTS BTR BTC CMPXCHG XADD");

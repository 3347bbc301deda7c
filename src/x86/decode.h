/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * decode.h: what an instruction is, how long it is, and what its operands are.
 *
 * A processor with "next RIP" and decode assists tells a VMM how long the intercepted instruction
 * was and what it named; many do not (QEMU's TCG among them), and nobody tells for an access to
 * memory-mapped I/O. So we read the instruction ourselves. The decoder knows the length of every
 * instruction of the manuals (legacy, VEX, EVEX, XOP, 3DNow!) in 16, 32 and 64-bit code, and gives
 * a name (enum insn_op) to those that exits are about. APM vol. 3 chapter 1; SDM vol. 2 chapter 2.
 */
#ifndef X86_DECODE_H
#define X86_DECODE_H

#include "x86/regs.h"

#define INSN_MAX 15 /* bytes; a longer one is #GP (APM vol. 3 §1.2) */

/* How code is read: CS.D and CS.L decide. The values are the default address width in bytes. */
enum code_size { CODE_16 = 2, CODE_32 = 4, CODE_64 = 8 };

/* Opcode maps: one byte; 0f xx; 0f 38 xx; 0f 3a xx; 0f 0f … xx; XOP's; beyond these, with EVEX. */
/* clang-format off */
enum insn_map {
	MAP_ONE, MAP_0F, MAP_0F38, MAP_0F3A, MAP_3DNOW, MAP_XOP8, MAP_XOP9, MAP_XOPA, MAP_OTHER
};

/*
 * The instructions that exits are about. Everything else is OP_OTHER and has only its length. MOV
 * to MOVBE are those that touch memory-mapped I/O and the emulator can do; opsize is the memory
 * operand's then, but in MOVZX, MOVSX and MOVSXD srcsize is.
 */
enum insn_op {
	OP_OTHER,
	OP_CPUID, OP_HLT, OP_RDMSR, OP_WRMSR, OP_RDTSC, OP_RDTSCP, OP_RDPMC, OP_PAUSE,
	OP_INVD, OP_WBINVD, OP_XSETBV, OP_MONITOR, OP_MWAIT,
	OP_INVLPG, /* memory operand: the address */
	OP_INVLPGA, OP_VMRUN, OP_VMMCALL, OP_VMCALL, OP_VMLOAD, OP_VMSAVE, OP_STGI, OP_CLGI, OP_SKINIT,
	OP_IN, OP_OUT, /* AL or eAX, and imm8 or DX */
	OP_INS, OP_OUTS, /* [es:rDI] <- port DX; port DX <- [seg:rSI] */
	/* cr = reg (8 for LOCK with CR0, AMD's other CR8), gpr = rm */
	OP_MOV_FROM_CR, OP_MOV_TO_CR, OP_MOV_FROM_DR, OP_MOV_TO_DR, OP_CLTS, OP_LMSW, OP_SMSW,
	OP_INT, /* INT n, imm = n */
	OP_INT1, OP_INT3, OP_INTO, OP_IRET, OP_PUSHF, OP_POPF, OP_CLI, OP_STI,
	OP_LGDT, OP_SGDT, OP_LIDT, OP_SIDT, OP_LLDT, OP_SLDT, OP_LTR, OP_STR,
	OP_MOV, OP_MOVZX, OP_MOVSX,
	OP_MOVS, OP_STOS, OP_LODS, OP_CMPS, OP_SCAS,
	OP_ADD, OP_OR, OP_ADC, OP_SBB, OP_AND, OP_SUB, OP_XOR, OP_CMP, OP_TEST,
	OP_XCHG, OP_INC, OP_DEC, OP_NOT, OP_NEG,
	OP_BT, OP_BTS, OP_BTR, OP_BTC, OP_CMPXCHG, OP_XADD,
	OP_MOVBE, OP_PUSH, OP_POP,
};

/* Where the operands of the two-operand forms are. */
enum insn_form {
	FORM_NONE, FORM_RM_REG, FORM_REG_RM, FORM_RM_IMM, FORM_ACC_IMM, /* destination, source */
	FORM_RM, FORM_IMM, /* one operand */
	FORM_ACC_MOFFS, FORM_MOFFS_ACC, /* AL/rAX and [disp] */
	FORM_REG_IMM, /* destination: the register in the opcode's low bits (rm) */
};
/* clang-format on */

struct insn {
	u8 len;		       /* bytes, 1-15 */
	u8 map, opcode;	       /* enum insn_map, and the byte in it */
	u8 op, form;	       /* enum insn_op, enum insn_form */
	u8 opsize;	       /* operand size in bytes: 1, 2, 4, 8 */
	u8 srcsize;	       /* MOVZX, MOVSX: the source's size in bytes; otherwise opsize */
	u8 addrsize;	       /* address size in bytes: 2, 4, 8 */
	s8 seg;		       /* enum seg of an override prefix that has effect, or -1 */
	bool lock, rep, repne; /* f0, f3, f2 seen, of the last two the last (also in the opcode) */
	u8 rex;		       /* the REX prefix, or 0 */
	bool vex;	       /* VEX, EVEX or XOP encoded */
	bool has_modrm, has_sib;
	u8 mod;		/* modrm.mod */
	u8 reg;		/* modrm.reg with REX.R, 0-15 */
	u8 rm;		/* modrm.rm with REX.B, 0-15: a register if mod is 3 or there is no modrm */
	u8 scale;	/* 0-3 */
	s8 base, index; /* enum gpr of the memory operand, or -1 */
	bool rip_relative;
	u8 immsize; /* bytes, 0 if there is none */
	s64 disp;   /* sign-extended (EVEX: unscaled); or the whole moffs */
	/*
	 * Sign-extended to 64 bits; but zero-extended for ports, INT, RET, shift and bit counts and
	 * what else is no number. Far pointers: selector << 32 | offset; ENTER: level << 32 | size.
	 */
	u64 imm;
};

/**
 * insn_decode() - decode one instruction.
 * @bytes: where it starts
 * @n: how many bytes may be read
 * @code: 16, 32 or 64-bit code
 * @out: the result; undefined after an error, but for out->len on -EINVAL
 *
 * Return: 0; -ENODATA if the @n bytes are a proper beginning of an instruction (@n < 15);
 * -E2BIG if it would be longer than 15 bytes (#GP); -EINVAL if no such opcode exists (#UD).
 */
int insn_decode(const u8 *bytes, size_t n, enum code_size code, struct insn *out);

/** sign_extend() - of a number of @size bytes, 1 to 8. */
static inline s64 sign_extend(u64 value, unsigned size)
{
	unsigned shift = 64 - 8 * size;

	return (s64)(value << shift) >> shift;
}

/**
 * insn_address() - the effective address of the memory operand, cut to the address size.
 * @gpr: the sixteen general registers; @rip: the address of the instruction itself
 */
u64 insn_address(const struct insn *insn, const u64 *gpr, u64 rip);

/** insn_segment() - the memory operand's segment: by override, SS with rSP and rBP, or else DS. */
enum seg insn_segment(const struct insn *insn);

#endif

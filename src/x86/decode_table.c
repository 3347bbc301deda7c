/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * decode_table.c: the opcode maps of the manuals as tables.
 *
 * Two questions about every opcode: what follows it, and does it exist. An opcode exists if AMD's
 *or Intel's manual has it, or every processor executes it unmentioned (SALC, the x87 aliases), as
 *of 2022; whether this processor has the feature is CPUID's business, not ours. APM vol. 3 appendix
 *A; SDM vol. 2D appendix A.
 *
 *	1. what follows: attributes of the one-byte and the 0F map. Of the others, 0F38 has always a
 *	   ModRM byte and 0F3A a ModRM byte and an 8-bit immediate
 *	2. which opcodes exist with which mandatory prefix: one hexadecimal digit each
 *	3. where existence depends on the ModRM byte: groups, memory-only and register-only forms
 *
 * Not here, because it does not change the length and only the processor can do something about
 * it: rules on VEX and EVEX fields (L, W, vvvv, masks) and on their operands.
 */
#include "x86/decode_table.h"

/* ---- 1. what follows -------------------------------------------------------------------- */

/*
 * Abbreviations that keep a row of the manual's map a row here: M ModRM, R rule, B bytes, N not in
 * 64-bit code, and the immediates S and U (8 bits, sign- or zero-extended), Z, W, V, E, F, O, T, X.
 */
#define __  KIND_NONE
#define B_  ATTR_BYTE
#define N_  ATTR_NOT64
#define P_  KIND_PREFIX
#define X_  KIND_ESCAPE
#define D_  (ATTR_MODRM | KIND_3DNOW)
#define C_  (ATTR_MODRM | KIND_MOV_CR)
#define S_  KIND_IB
#define SB  (KIND_IB | ATTR_BYTE)
#define U_  KIND_UB
#define UB  (KIND_UB | ATTR_BYTE)
#define UN  (KIND_UB | ATTR_NOT64)
#define W_  KIND_IW
#define Z_  KIND_IZ
#define V_  KIND_IV
#define E_  KIND_ENTER
#define FN  (KIND_FAR | ATTR_NOT64)
#define O_  KIND_MOFFS
#define OB  (KIND_MOFFS | ATTR_BYTE)
#define M_  ATTR_MODRM
#define MB  (ATTR_MODRM | ATTR_BYTE)
#define MU  (ATTR_MODRM | KIND_UB)
#define MUB (ATTR_MODRM | KIND_UB | ATTR_BYTE)
#define MS  (ATTR_MODRM | KIND_IB)
#define MSB (ATTR_MODRM | KIND_IB | ATTR_BYTE)
#define MSN (ATTR_MODRM | KIND_IB | ATTR_BYTE | ATTR_NOT64)
#define MZ  (ATTR_MODRM | KIND_IZ)
#define MT  (ATTR_MODRM | KIND_TEST)
#define MTB (ATTR_MODRM | KIND_TEST | ATTR_BYTE)
#define MR  (ATTR_MODRM | ATTR_RULE)
#define MRB (ATTR_MODRM | ATTR_RULE | ATTR_BYTE)
#define MRU (ATTR_MODRM | ATTR_RULE | KIND_UB)
#define MRS (ATTR_MODRM | ATTR_RULE | KIND_IB | ATTR_BYTE)
#define MRZ (ATTR_MODRM | ATTR_RULE | KIND_IZ)
#define MRX (ATTR_MODRM | ATTR_RULE | KIND_EXTRQ)

/* clang-format off */
const u8 insn_attr_one[256] = {
	/* 00 */ MB,  M_,  MB,  M_,  SB,  Z_,  N_,  N_,  MB,  M_,  MB,  M_,  SB,  Z_,  N_,  X_,
	/* 10 */ MB,  M_,  MB,  M_,  SB,  Z_,  N_,  N_,  MB,  M_,  MB,  M_,  SB,  Z_,  N_,  N_,
	/* 20 */ MB,  M_,  MB,  M_,  SB,  Z_,  P_,  N_,  MB,  M_,  MB,  M_,  SB,  Z_,  P_,  N_,
	/* 30 */ MB,  M_,  MB,  M_,  SB,  Z_,  P_,  N_,  MB,  M_,  MB,  M_,  SB,  Z_,  P_,  N_,
	/* 40 */ P_,  P_,  P_,  P_,  P_,  P_,  P_,  P_,  P_,  P_,  P_,  P_,  P_,  P_,  P_,  P_,
	/* 50 */ __,  __,  __,  __,  __,  __,  __,  __,  __,  __,  __,  __,  __,  __,  __,  __,
	/* 60 */ N_,  N_,  X_,  M_,  P_,  P_,  P_,  P_,  Z_,  MZ,  S_,  MS,  B_,  __,  B_,  __,
	/* 70 */ S_,  S_,  S_,  S_,  S_,  S_,  S_,  S_,  S_,  S_,  S_,  S_,  S_,  S_,  S_,  S_,
	/* 80 */ MSB, MZ,  MSN, MS,  MB,  M_,  MB,  M_,  MB,  M_,  MB,  M_,  MR,  MR,  MR,  X_,
	/* 90 */ __,  __,  __,  __,  __,  __,  __,  __,  __,  __,  FN,  __,  __,  __,  __,  __,
	/* A0 */ OB,  O_,  OB,  O_,  B_,  __,  B_,  __,  SB,  Z_,  B_,  __,  B_,  __,  B_,  __,
	/* B0 */ SB,  SB,  SB,  SB,  SB,  SB,  SB,  SB,  V_,  V_,  V_,  V_,  V_,  V_,  V_,  V_,
	/* C0 */ MUB, MU,  W_,  __,  X_,  X_,  MRS, MRZ, E_,  __,  W_,  __,  __,  U_,  N_,  __,
	/* D0 */ MB,  M_,  MB,  M_,  UN,  UN,  N_,  __,  MR,  MR,  MR,  MR,  MR,  MR,  MR,  MR,
	/* E0 */ S_,  S_,  S_,  S_,  UB,  U_,  UB,  U_,  Z_,  Z_,  FN,  S_,  B_,  __,  B_,  __,
	/* F0 */ P_,  __,  P_,  P_,  __,  __,  MTB, MT,  __,  __,  __,  __,  __,  __,  MRB, MR,
};

const u8 insn_attr_0f[256] = {
	/* 00 */ MR,  MR,  M_,  M_,  __,  __,  __,  __,  __,  __,  __,  __,  __,  M_,  __,  D_,
	/* 10 */ M_,  M_,  MR,  MR,  M_,  M_,  MR,  MR,  M_,  M_,  M_,  M_,  M_,  M_,  M_,  M_,
	/* 20 */ C_,  C_,  C_,  C_,  __,  __,  __,  __,  M_,  M_,  M_,  MR,  M_,  M_,  M_,  M_,
	/* 30 */ __,  __,  __,  __,  __,  __,  __,  __,  X_,  __,  X_,  __,  __,  __,  __,  __,
	/* 40 */ M_,  M_,  M_,  M_,  M_,  M_,  M_,  M_,  M_,  M_,  M_,  M_,  M_,  M_,  M_,  M_,
	/* 50 */ MR,  M_,  M_,  M_,  M_,  M_,  M_,  M_,  M_,  M_,  M_,  M_,  M_,  M_,  M_,  M_,
	/* 60 */ M_,  M_,  M_,  M_,  M_,  M_,  M_,  M_,  M_,  M_,  M_,  M_,  M_,  M_,  M_,  M_,
	/* 70 */ MU,  MRU, MRU, MRU, M_,  M_,  M_,  __,  MRX, MR,  M_,  M_,  M_,  M_,  M_,  M_,
	/* 80 */ Z_,  Z_,  Z_,  Z_,  Z_,  Z_,  Z_,  Z_,  Z_,  Z_,  Z_,  Z_,  Z_,  Z_,  Z_,  Z_,
	/* 90 */ MB,  MB,  MB,  MB,  MB,  MB,  MB,  MB,  MB,  MB,  MB,  MB,  MB,  MB,  MB,  MB,
	/* A0 */ __,  __,  __,  M_,  MU,  M_,  __,  __,  __,  __,  __,  M_,  MU,  M_,  MR,  M_,
	/* B0 */ MB,  M_,  MR,  M_,  MR,  MR,  M_,  M_,  M_,  M_,  MRU, M_,  M_,  M_,  M_,  M_,
	/* C0 */ MB,  M_,  MU,  MR,  MU,  MRU, MU,  MR,  __,  __,  __,  __,  __,  __,  __,  __,
	/* D0 */ M_,  M_,  M_,  M_,  M_,  M_,  MR,  MR,  M_,  M_,  M_,  M_,  M_,  M_,  M_,  M_,
	/* E0 */ M_,  M_,  M_,  M_,  M_,  M_,  M_,  MR,  M_,  M_,  M_,  M_,  M_,  M_,  M_,  M_,
	/* F0 */ MR,  M_,  M_,  M_,  M_,  M_,  M_,  MR,  M_,  M_,  M_,  M_,  M_,  M_,  M_,  M_,
};
/* clang-format on */

/* ---- 2. which opcodes exist ---------------------------------------------------------------- */

/*
 * Row 40, column 1 of the 0F map is the second digit after "40": f, whatever the prefix. A 3DNow!
 * opcode's prefixes mean nothing and XOP has none: there a digit says 1 or 0.
 */
/* clang-format off */
const u64 insn_exists[TABLE_COUNT][16] = {
	[TABLE_0F] = {
		/* 00 */ 0xffff0fffff0f0fff, 0xfff33373ffffffff, 0xffff000033ffff33, 0xffffff0100000000,
		/* 40 */ 0xffffffffffffffff, 0x3f553333fff7ffff, 0x3333333333332237, 0xf3333331bb00aa77,
		/* 80 */ 0xffffffffffffffff, 0xffffffffffffffff, 0xffffff00ffffffff, 0xffffffff4fffffff,
		/* C0 */ 0xfff1333fffffffff, 0xa33333e333333333, 0x333333e333333333, 0x833333333333333f,
	},
	[TABLE_0F38] = {
		/* 00 */ 0x3333333333330000, 0x2000220200003330, 0x2222220022220000, 0x2222220222222222,
		/* 40 */ 0x2200000000000000, 0x0000000000000000, 0x0000000000000000, 0x0000000000000000,
		/* 80 */ 0x2220000000000000, 0x0000000000000000, 0x0000000000000000, 0x0000000000000000,
		/* C0 */ 0x0000000011111102, 0x0000000040026666, 0x0000000000000000, 0xbb000270e1440000,
	},
	[TABLE_0F3A] = {
		/* 00 */ 0x0000000022222223, 0x0000222200000000, 0x2220000000000000, 0x0000000000000000,
		/* 40 */ 0x2220200000000000, 0x0000000000000000, 0x2222000000000000, 0x0000000000000000,
		/* 80 */ 0x0000000000000000, 0x0000000000000000, 0x0000000000000000, 0x0000000000000000,
		/* C0 */ 0x0000000000001022, 0x0000000000000002, 0x0000000000000000, 0x4000000000000000,
	},
	[TABLE_VEX_0F] = {
		/* 00 */ 0x0000000000000000, 0xfff3337300000000, 0x0000000033c3cc33, 0x0000000000000000,
		/* 40 */ 0x0330333300330000, 0x3f553333fff7ffff, 0x2222222222222226, 0xe22222210000aa66,
		/* 80 */ 0x0000000000000000, 0x33bb000033000000, 0x0000000000000010, 0x0000000000000000,
		/* C0 */ 0x00f0223000000000, 0xa222222222222222, 0x222222e222222222, 0x8222222222222220,
	},
	[TABLE_VEX_0F38] = {
		/* 00 */ 0x2222222222222222, 0x0002002222202220, 0x2222220022222222, 0x2222222222222222,
		/* 40 */ 0x220002220b0e0000, 0x22220000222040f0, 0x0000000000000000, 0x0000000022000000,
		/* 80 */ 0x0000000000002020, 0x2222002222222222, 0x0000002222222222, 0x0000002222222222,
		/* C0 */ 0x0000000000000002, 0x0000000000022222, 0x0000000000000000, 0x00110d8f00000000,
	},
	[TABLE_VEX_0F3A] = {
		/* 00 */ 0x2220222022222222, 0x0000222222000200, 0x2220000000000000, 0x2222000022000000,
		/* 40 */ 0x2220202022222000, 0x0000000000002222, 0x2222000022222222, 0x0000000022222222,
		/* 80 */ 0x0000000000000000, 0x0000000000000000, 0x0000000000000000, 0x0000000000000000,
		/* C0 */ 0x0000000000000022, 0x0000000000000002, 0x0000000000000000, 0x8000000000000000,
	},
	[TABLE_EVEX_0F] = {
		/* 00 */ 0x0000000000000000, 0xfff3337300000000, 0x0000000033c3cc33, 0x0000000000000000,
		/* 40 */ 0x0000000000000000, 0x0f003333fff7ffff, 0x222222222222222e, 0xe2222220ffee006e,
		/* 80 */ 0x0000000000000000, 0x0000000000000000, 0x0000000000000000, 0x0000000000000000,
		/* C0 */ 0x00f0223000000000, 0x0222222022222222, 0x222222e222222222, 0x0222222022222220,
	},
	[TABLE_EVEX_0F38] = {
		/* 00 */ 0x2000200000022200, 0x6666662022222222, 0x6666666666622200, 0x6666662266622222,
		/* 40 */ 0x2022222200002222, 0x22ea220022220000, 0x0022222080000000, 0x22e2022222222222,
		/* 80 */ 0x0002000022220202, 0x2222002222aa2222, 0x2222002222aa2222, 0x0000222222222222,
		/* C0 */ 0x0000202220222202, 0x0000000000002222, 0x0000000000000000, 0x0000000000000000,
	},
	[TABLE_EVEX_0F3A] = {
		/* 00 */ 0x2202220032320002, 0x0000222222220222, 0x2222023300000000, 0x0000000022220022,
		/* 40 */ 0x0022200000000000, 0x2200223300000000, 0x0000003300000000, 0x2222000000000000,
		/* 80 */ 0x0000000000000000, 0x0000000000000000, 0x0000000000000000, 0x0000000000000000,
		/* C0 */ 0x0050000000000022, 0x0000000000000000, 0x0000000000000000, 0x0000000000000000,
	},
	[TABLE_EVEX_5] = {
		/* 00 */ 0x0000000000000000, 0x4400000000000300, 0x0000000000404411, 0x0000000000000000,
		/* 40 */ 0x0000000000000000, 0x0500000055f75555, 0x0000000000000020, 0x0000000077a63f20,
		/* 80 */ 0x0000000000000000, 0x0000000000000000, 0x0000000000000000, 0x0000000000000000,
		/* C0 */ 0x0000000000000000, 0x0000000000000000, 0x0000000000000000, 0x0000000000000000,
	},
	[TABLE_EVEX_6] = {
		/* 00 */ 0x0000000000000000, 0x0003000000000000, 0x0000000000002200, 0x0000000000000000,
		/* 40 */ 0x0022000000002222, 0x000000cc00000000, 0x0000000000000000, 0x0000000000000000,
		/* 80 */ 0x0000000000000000, 0x0000002222222222, 0x0000002222222222, 0x0000002222222222,
		/* C0 */ 0x0000000000000000, 0x000000cc00000000, 0x0000000000000000, 0x0000000000000000,
	},
	[TABLE_XOP8] = {
		/* 00 */ 0x0000000000000000, 0x0000000000000000, 0x0000000000000000, 0x0000000000000000,
		/* 40 */ 0x0000000000000000, 0x0000000000000000, 0x0000000000000000, 0x0000000000000000,
		/* 80 */ 0x0000011100000011, 0x0000011100000011, 0x0011001000000000, 0x0000001000000000,
		/* C0 */ 0x1111000000001111, 0x0000000000000000, 0x0000000000001111, 0x0000000000000000,
	},
	[TABLE_XOP9] = {
		/* 00 */ 0x0110000000000000, 0x0010000000000000, 0x0000000000000000, 0x0000000000000000,
		/* 40 */ 0x0000000000000000, 0x0000000000000000, 0x0000000000000000, 0x0000000000000000,
		/* 80 */ 0x1111000000000000, 0x1111111111110000, 0x0000000000000000, 0x0000000000000000,
		/* C0 */ 0x0111001100010000, 0x0111001100010000, 0x0111000000000000, 0x0000000000000000,
	},
	[TABLE_XOPA] = {
		/* 00 */ 0x0000000000000000, 0x1010000000000000, 0x0000000000000000, 0x0000000000000000,
		/* 40 */ 0x0000000000000000, 0x0000000000000000, 0x0000000000000000, 0x0000000000000000,
		/* 80 */ 0x0000000000000000, 0x0000000000000000, 0x0000000000000000, 0x0000000000000000,
		/* C0 */ 0x0000000000000000, 0x0000000000000000, 0x0000000000000000, 0x0000000000000000,
	},
	[TABLE_3DNOW] = {
		/* 00 */ 0x0000000000001100, 0x0000000000001100, 0x0000000000000000, 0x0000000000000000,
		/* 40 */ 0x0000000000000000, 0x0000000000000000, 0x0000000000000000, 0x0000000000000000,
		/* 80 */ 0x0000000000100010, 0x1000101100100010, 0x1000101100100010, 0x1000101100010001,
		/* C0 */ 0x0000000000000000, 0x0000000000000000, 0x0000000000000000, 0x0000000000000000,
	},
};
/* clang-format on */

/* ---- 3. where existence depends on the ModRM byte ------------------------------------------ */

/*
 * For each value of ModRM's reg field, the set of mandatory prefixes with which the instruction
 * exists, in memory and in register form. The low digit holds for all code, the high digit adds
 * what only 64-bit code has.
 */
struct rule {
	u8 mem[8], reg[8];
};

#define ALL(x)                         \
	{                              \
		x, x, x, x, x, x, x, x \
	}
#define ANY   ALL(15)
#define NEVER ALL(0)

enum {
	ALWAYS,
	MEM_ONLY,
	REG_ONLY,
	MOV_FROM_SEG,
	MOV_TO_SEG,
	GROUP_1A,
	GROUP_4,
	GROUP_5,
	GROUP_6,
	GROUP_7,
	GROUP_8,
	GROUP_9,
	GROUP_11,
	GROUP_12_13,
	GROUP_14,
	GROUP_15,
	MOV_HALF,
	MOVQ2DQ,
	SSE4A_IMM,
	SSE4A,
	MOVBE,
	ADCX,
	AES_WIDE,
	AES_KL,
};

static const struct rule rules[] = {
	[ALWAYS] = {ANY, ANY},
	[MEM_ONLY] = {ANY, NEVER},
	[REG_ONLY] = {NEVER, ANY},
	/* there are six segment registers, and CS cannot be loaded */
	[MOV_FROM_SEG] = {{15, 15, 15, 15, 15, 15}, {15, 15, 15, 15, 15, 15}},
	[MOV_TO_SEG] = {{15, 0, 15, 15, 15, 15}, {15, 0, 15, 15, 15, 15}},
	[GROUP_1A] = {{15}, {15}},
	[GROUP_4] = {{15, 15}, {15, 15}},
	/* far CALL and JMP take their target from memory */
	[GROUP_5] = {{15, 15, 15, 15, 15, 15, 15}, {15, 15, 15, 0, 15, 0, 15}},
	[GROUP_6] = {{15, 15, 15, 15, 15, 15}, {15, 15, 15, 15, 15, 15}},
	/* RSTORSSP; in registers: group_7_reg */
	[GROUP_7] = {{15, 15, 15, 15, 15, WITH_F3, 15, 15}, NEVER},
	[GROUP_8] = {{0, 0, 0, 0, 15, 15, 15, 15}, {0, 0, 0, 0, 15, 15, 15, 15}},
	/* CMPXCHG8B, XRSTORS XSAVEC XSAVES, VMPTRLD/VMCLEAR/VMXON VMPTRST;
	   RDRAND/SENDUIPI RDSEED/RDPID */
	[GROUP_9] = {{0, 15, 0, 1, 1, 1, WITH_NONE | WITH_66 | WITH_F3, 1},
		     {[6] = WITH_NONE | WITH_66 | WITH_F3 << 4, WITH_NONE | WITH_66 | WITH_F3}},
	/* MOV; XABORT and XBEGIN are C6 F8 and C7 F8 only: see insn_rule() */
	[GROUP_11] = {{15}, {15}},
	/* shifts of vectors by an immediate */
	[GROUP_12_13] = {NEVER, {0, 0, 3, 0, 3, 0, 3, 0}},
	[GROUP_14] = {NEVER, {0, 0, 3, WITH_66, 0, 0, 3, WITH_66}},
	/* FXSAVE FXRSTOR LDMXCSR STMXCSR XSAVE/PTWRITE XRSTOR XSAVEOPT/CLWB/CLRSSBSY
	   CLFLUSH/CLFLUSHOPT; RDFSBASE RDGSBASE WRFSBASE WRGSBASE PTWRITE LFENCE/INCSSP
	   MFENCE/TPAUSE/UMONITOR/UMWAIT SFENCE */
	[GROUP_15] = {{1, 1, 1, 1, WITH_NONE | WITH_F3, 1, WITH_NONE | WITH_66 | WITH_F3,
		       WITH_NONE | WITH_66},
		      {WITH_F3 << 4, WITH_F3 << 4, WITH_F3 << 4, WITH_F3 << 4, WITH_F3,
		       WITH_NONE | WITH_F3, 15, 1}},
	/* MOVLPS and MOVHPS: with 66 (…PD) only from memory */
	[MOV_HALF] = {ANY, ALL(WITH_NONE | WITH_F3 | WITH_F2)},
	[MOVQ2DQ] = {ALL(WITH_66), ANY},
	/* VMREAD; EXTRQ and INSERTQ with two immediates */
	[SSE4A_IMM] = {ALL(WITH_NONE), {11, 9, 9, 9, 9, 9, 9, 9}},
	[SSE4A] = {ALL(WITH_NONE), ALL(WITH_NONE | WITH_66 | WITH_F2)},
	/* MOVBE, but CRC32; WRSS, but ADCX and ADOX; AESENC…KL, but AESENC… */
	[MOVBE] = {ANY, ALL(WITH_F2)},
	[ADCX] = {ANY, ALL(WITH_66 | WITH_F3)},
	[AES_WIDE] = {{15, 15, 15, 15}, NEVER},
	[AES_KL] = {ANY, ALL(WITH_66)},
};

/* The rules' places. */
static const u8 rules_one[256] = {
	[0x8c] = MOV_FROM_SEG,	    [0x8e] = MOV_TO_SEG, [0x8f] = GROUP_1A,
	[0xc6 ... 0xc7] = GROUP_11, [0xfe] = GROUP_4,	 [0xff] = GROUP_5,
	[0x62] = MEM_ONLY,	    [0x8d] = MEM_ONLY,	 [0xc4 ... 0xc5] = MEM_ONLY,
};
static const u8 rules_0f[256] = {
	[0x00] = GROUP_6,  [0x01] = GROUP_7,   [0x12] = MOV_HALF,
	[0x13] = MEM_ONLY, [0x16] = MOV_HALF,  [0x17] = MEM_ONLY,
	[0x2b] = MEM_ONLY, [0x50] = REG_ONLY,  [0x71 ... 0x72] = GROUP_12_13,
	[0x73] = GROUP_14, [0x78] = SSE4A_IMM, [0x79] = SSE4A,
	[0xae] = GROUP_15, [0xb2] = MEM_ONLY,  [0xb4 ... 0xb5] = MEM_ONLY,
	[0xba] = GROUP_8,  [0xc3] = MEM_ONLY,  [0xc5] = REG_ONLY,
	[0xc7] = GROUP_9,  [0xd6] = MOVQ2DQ,   [0xd7] = REG_ONLY,
	[0xe7] = MEM_ONLY, [0xf0] = MEM_ONLY,  [0xf7] = REG_ONLY,
};
static const u8 rules_0f38[256] = {
	[0x2a] = MEM_ONLY,
	[0x80 ... 0x82] = MEM_ONLY,
	[0xd8] = AES_WIDE,
	[0xdd ... 0xdf] = AES_KL,
	[0xf0 ... 0xf1] = MOVBE,
	[0xf5] = MEM_ONLY,
	[0xf6] = ADCX,
	[0xf8 ... 0xf9] = MEM_ONLY,
	[0xfa ... 0xfb] = REG_ONLY,
};

static const u8 *const rule_maps[] = {
	[MAP_ONE] = rules_one,
	[MAP_0F] = rules_0f,
	[MAP_0F38] = rules_0f38,
};

/*
 * Register forms of 0F 01, C0 to FF: each is an instruction of its own. Those for which the SDM
 * says NP, or that share an opcode, exist only with the given prefix. APM vol. 3 appendix A, group
 * 7; SDM vol. 2D table A-6.
 */
static const u8 group_7_reg[64] = {
	/* C0 ENCLV VMCALL VMLAUNCH VMRESUME VMXOFF PCONFIG */
	1,
	15,
	15,
	15,
	15,
	1,
	0,
	0,
	/* C8 MONITOR MWAIT CLAC STAC TDCALL SEAMRET SEAMOPS ENCLS/SEAMCALL */
	15,
	15,
	1,
	1,
	WITH_66,
	WITH_66 << 4,
	WITH_66 << 4,
	WITH_NONE | WITH_66 << 4,
	/* D0 XGETBV XSETBV - - VMFUNC XEND XTEST ENCLU */
	1,
	1,
	0,
	0,
	1,
	1,
	1,
	1,
	/* D8 VMRUN VMMCALL VMLOAD VMSAVE STGI CLGI SKINIT INVLPGA */
	15,
	15,
	15,
	15,
	15,
	15,
	15,
	15,
	/* E0 SMSW */
	15,
	15,
	15,
	15,
	15,
	15,
	15,
	15,
	/* E8 SERIALIZE/SETSSBSY/XSUSLDTRK XRESLDTRK SAVEPREVSSP - UIRET TESTUI RDPKRU/CLUI
	   WRPKRU/STUI */
	WITH_NONE | WITH_F3 | WITH_F2,
	WITH_F2,
	WITH_F3,
	0,
	WITH_F3 << 4,
	WITH_F3 << 4,
	WITH_NONE | WITH_F3 << 4,
	WITH_NONE | WITH_F3 << 4,
	/* F0 LMSW */
	15,
	15,
	15,
	15,
	15,
	15,
	15,
	15,
	/* F8 SWAPGS RDTSCP MONITORX/MCOMMIT MWAITX CLZERO RDPRU INVLPGB/RMPADJUST/RMPUPDATE
	   TLBSYNC/PSMASH/PVALIDATE */
	15 << 4,
	15,
	WITH_NONE | WITH_F3,
	1,
	15,
	15,
	WITH_NONE | (WITH_F3 | WITH_F2) << 4,
	WITH_NONE | WITH_F2 | WITH_F3 << 4,
};

/* x87 instructions that exist: in memory, by reg field; in registers, by ModRM's low six bits. */
static const u8 x87_mem[8] = {0xff, 0xfd, 0xff, 0xaf, 0xff, 0xdf, 0xff, 0xff};
static const u64 x87_reg[8] = {
	~0ull, 0xffff7f33ff01ffff, 0x00000200ffffffff, 0x00ffff1fffffffff,
	~0ull, 0x0000ffffffffffff, 0xffffffff02ffffff, 0x00ffff01ffffffff,
};

static bool x87_exists(u8 opcode, u8 modrm)
{
	if (modrm < 0xc0)
		return x87_mem[opcode & 7] >> (modrm >> 3) % 8 & 1;
	return x87_reg[opcode & 7] >> modrm % 64 & 1;
}

unsigned insn_rule(enum insn_map map, u8 opcode, u8 modrm, enum code_size code)
{
	const struct rule *rule;
	u8 set;

	/* those that ask for more of the byte than its reg field */
	if (map == MAP_ONE && (opcode & 0xf8) == 0xd8)
		return x87_exists(opcode, modrm) ? 15 : 0;
	if (map == MAP_ONE && (opcode & 0xfe) == 0xc6 && modrm == 0xf8) /* XABORT, XBEGIN */
		return 15;
	if (map == MAP_0F3A) /* HRESET */
		return opcode != 0xf0 || modrm == 0xc0 ? 15 : 0;

	rule = &rules[rule_maps[map][opcode]];
	set = (modrm < 0xc0 ? rule->mem : rule->reg)[modrm >> 3 & 7];
	if (map == MAP_0F && opcode == 0x01 && modrm >= 0xc0)
		set = group_7_reg[modrm & 63];
	return code == CODE_64 ? set >> 4 | (set & 15) : set & 15;
}

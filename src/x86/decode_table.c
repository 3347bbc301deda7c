/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * decode_table.c: the opcode maps of the manuals as tables.
 *
 * Two questions about every opcode: what follows it, and does it exist. An opcode exists if AMD's
 * or Intel's manual has it, or every processor executes it unmentioned (SALC, the x87 aliases), as
 * of 2022; whether this processor has the feature is CPUID's business, not ours. APM vol. 3 appendix
 * A; SDM vol. 2D appendix A.
 *
 *	1. what follows: attributes of the one-byte and the 0F map. Of the others, 0F38 has always a
 *	   ModRM byte and 0F3A a ModRM byte and an 8-bit immediate
 *	2. which opcodes exist with which mandatory prefix: one hexadecimal digit each
 *	3. where that depends on the ModRM byte: groups, memory-only and register-only forms
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
/* clang-format off */
enum {
	__ = KIND_NONE, B_ = ATTR_BYTE, N_ = ATTR_NOT64, P_ = KIND_PREFIX, X_ = KIND_ESCAPE,
	S_ = KIND_IB, SB = S_ | B_, U_ = KIND_UB, UB = U_ | B_, UN = U_ | N_,
	W_ = KIND_IW, Z_ = KIND_IZ, V_ = KIND_IV, E_ = KIND_ENTER, FN = KIND_FAR | N_,
	O_ = KIND_MOFFS, OB = O_ | B_,
	M_ = ATTR_MODRM, MB = M_ | B_, MU = M_ | U_, MUB = MU | B_, MS = M_ | S_, MSB = MS | B_,
	MSN = MSB | N_, MZ = M_ | Z_, MT = M_ | KIND_TEST, MTB = MT | B_,
	MR = M_ | ATTR_RULE, MRB = MR | B_, MRU = MR | U_, MRS = MR | SB, MRZ = MR | Z_,
	MRX = MR | KIND_EXTRQ, C_ = M_ | KIND_MOV_CR, D_ = M_ | KIND_3DNOW,
};

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
 * Row 4, column 1 of the 0F map (CMOVNO) is the second digit behind "[0x4]": f, whatever the prefix.
 * Rows that are not there are empty. A 3DNow! opcode's prefixes mean nothing and XOP has none: there
 * a digit says 1 or 0.
 */
/* clang-format off */
const u64 insn_exists[TABLE_COUNT][16] = {
	[TABLE_0F] = {
		[0x0] = 0xffff0fffff0f0fff, 0xfff33373ffffffff, 0xffff000033ffff33, 0xffffff0100000000,
		[0x4] = 0xffffffffffffffff, 0x3f553333fff7ffff, 0x3333333333332237, 0xf3333331bb00aa77,
		[0x8] = 0xffffffffffffffff, 0xffffffffffffffff, 0xffffff00ffffffff, 0xffffffff4fffffff,
		[0xc] = 0xfff1333fffffffff, 0xa33333e333333333, 0x333333e333333333, 0x833333333333333f,
	},
	/*
	 * 0F 01 with a register operand, where each ModRM byte is an instruction: ENCLV VMCALL
	 * VMLAUNCH VMRESUME VMXOFF PCONFIG - - MONITOR MWAIT CLAC STAC TDCALL - - ENCLS; XGETBV XSETBV
	 * - - VMFUNC XEND XTEST ENCLU VMRUN VMMCALL VMLOAD VMSAVE STGI CLGI SKINIT INVLPGA; SMSW (8)
	 * SERIALIZE/SETSSBSY/XSUSLDTRK XRESLDTRK SAVEPREVSSP - - - RDPKRU WRPKRU; LMSW (8) - RDTSCP
	 * MONITORX/MCOMMIT MWAITX CLZERO RDPRU INVLPGB TLBSYNC/PVALIDATE. APM vol. 3 appendix A, group
	 * 7; SDM vol. 2D table A-6. With 1 the SDM says NP.
	 */
	[TABLE_0F01] = {
		[0xc] = 0x1ffff100ff112001, 0x11001111ffffffff, 0xffffffffd8400011, 0xffffffff0f51ff19,
	},
	/* SEAMRET SEAMOPS SEAMCALL, UIRET TESTUI CLUI STUI, SWAPGS RMPUPDATE/RMPADJUST PSMASH */
	[TABLE_0F01_64] = {[0xc] = 0x222, 0, 0x4444, 0xf00000c4},
	[TABLE_0F38] = {
		[0x0] = 0x3333333333330000, 0x2000220200003330, 0x2222220022220000, 0x2222220222222222,
		[0x4] = 0x2200000000000000, 0x0000000000000000, 0x0000000000000000, 0x0000000000000000,
		[0x8] = 0x2220000000000000, 0x0000000000000000, 0x0000000000000000, 0x0000000000000000,
		[0xc] = 0x0000000011111102, 0x0000000040026666, 0x0000000000000000, 0xbb000270e1440000,
	},
	[TABLE_0F3A] = {
		[0x0] = 0x0000000022222223, 0x0000222200000000, 0x2220000000000000, 0x0000000000000000,
		[0x4] = 0x2220200000000000, 0x0000000000000000, 0x2222000000000000, 0x0000000000000000,
		[0xc] = 0x0000000000001022, 0x0000000000000002, 0x0000000000000000, 0x4000000000000000,
	},
	[TABLE_VEX_0F] = {
		[0x0] = 0x0000000000000000, 0xfff3337300000000, 0x0000000033c3cc33, 0x0000000000000000,
		[0x4] = 0x0330333300330000, 0x3f553333fff7ffff, 0x2222222222222226, 0xe22222210000aa66,
		[0x8] = 0x0000000000000000, 0x33bb000033000000, 0x0000000000000010, 0x0000000000000000,
		[0xc] = 0x00f0223000000000, 0xa222222222222222, 0x222222e222222222, 0x8222222222222220,
	},
	[TABLE_VEX_0F38] = {
		[0x0] = 0x2222222222222222, 0x0002002222202220, 0x2222220022222222, 0x2222222222222222,
		[0x4] = 0x220002220b0e0000, 0x22220000222040f0, 0x0000000000000000, 0x0000000022000000,
		[0x8] = 0x0000000000002020, 0x2222002222222222, 0x0000002222222222, 0x0000002222222222,
		[0xc] = 0x0000000000000002, 0x0000000000022222, 0x0000000000000000, 0x00110d8f00000000,
	},
	[TABLE_VEX_0F3A] = {
		[0x0] = 0x2220222022222222, 0x0000222222000200, 0x2220000000000000, 0x2222000022000000,
		[0x4] = 0x2220202022222000, 0x0000000000002222, 0x2222000022222222, 0x0000000022222222,
		[0xc] = 0x0000000000000022, 0x0000000000000002, 0x0000000000000000, 0x8000000000000000,
	},
	[TABLE_EVEX_0F] = {
		[0x0] = 0x0000000000000000, 0xfff3337300000000, 0x0000000033c3cc33, 0x0000000000000000,
		[0x4] = 0x0000000000000000, 0x0f003333fff7ffff, 0x222222222222222e, 0xe2222220ffee006e,
		[0xc] = 0x00f0223000000000, 0x0222222022222222, 0x222222e222222222, 0x0222222022222220,
	},
	[TABLE_EVEX_0F38] = {
		[0x0] = 0x2000200000022200, 0x6666662022222222, 0x6666666666622200, 0x6666662266622222,
		[0x4] = 0x2022222200002222, 0x22ea220022220000, 0x0022222080000000, 0x22e2022222222222,
		[0x8] = 0x0002000022220202, 0x2222002222aa2222, 0x2222002222aa2222, 0x0000222222222222,
		[0xc] = 0x0000202220222202, 0x0000000000002222, 0x0000000000000000, 0x0000000000000000,
	},
	[TABLE_EVEX_0F3A] = {
		[0x0] = 0x2202220032320002, 0x0000222222220222, 0x2222023300000000, 0x0000000022220022,
		[0x4] = 0x0022200000000000, 0x2200223300000000, 0x0000003300000000, 0x2222000000000000,
		[0xc] = 0x0050000000000022, 0x0000000000000000, 0x0000000000000000, 0x0000000000000000,
	},
	[TABLE_EVEX_5] = {
		[0x0] = 0x0000000000000000, 0x4400000000000300, 0x0000000000404411, 0x0000000000000000,
		[0x4] = 0x0000000000000000, 0x0500000055f75555, 0x0000000000000020, 0x0000000077a63f20,
	},
	[TABLE_EVEX_6] = {
		[0x0] = 0x0000000000000000, 0x0003000000000000, 0x0000000000002200, 0x0000000000000000,
		[0x4] = 0x0022000000002222, 0x000000cc00000000, 0x0000000000000000, 0x0000000000000000,
		[0x8] = 0x0000000000000000, 0x0000002222222222, 0x0000002222222222, 0x0000002222222222,
		[0xc] = 0x0000000000000000, 0x000000cc00000000, 0x0000000000000000, 0x0000000000000000,
	},
	[TABLE_XOP8] = {
		[0x8] = 0x0000011100000011, 0x0000011100000011, 0x0011001000000000, 0x0000001000000000,
		[0xc] = 0x1111000000001111, 0x0000000000000000, 0x0000000000001111, 0x0000000000000000,
	},
	[TABLE_XOP9] = {
		[0x0] = 0x0110000000000000, 0x0010000000000000, 0x0000000000000000, 0x0000000000000000,
		[0x8] = 0x1111000000000000, 0x1111111111110000, 0x0000000000000000, 0x0000000000000000,
		[0xc] = 0x0111001100010000, 0x0111001100010000, 0x0111000000000000, 0x0000000000000000,
	},
	[TABLE_XOPA] = {[0x1] = 0x1010000000000000},
	[TABLE_3DNOW] = {
		[0x0] = 0x0000000000001100, 0x0000000000001100, 0x0000000000000000, 0x0000000000000000,
		[0x8] = 0x0000000000100010, 0x1000101100100010, 0x1000101100100010, 0x1000101100010001,
	},
};
/* clang-format on */

/* ---- 3. where existence depends on the ModRM byte ------------------------------------------ */

/*
 * With which prefixes the instruction exists, as a digit for each value of ModRM's reg field: in
 * memory, in registers, and in registers in 64-bit code only.
 */
struct rule {
	u32 mem, reg, reg64;
};

/* clang-format off */
#define ALL	    0xffffffff
#define MEMORY_ONLY {.mem = ALL}
#define REGS_ONLY   {.reg = ALL}

static const struct rule rules_one[256] = {
	/* BOUND; LEA; LES, LDS */
	[0x62] = MEMORY_ONLY, [0x8d] = MEMORY_ONLY, [0xc4 ... 0xc5] = MEMORY_ONLY,
	[0x8c] = {0xffffff00, 0xffffff00, 0}, /* MOV from a segment register: there are six; */
	[0x8e] = {0xf0ffff00, 0xf0ffff00, 0}, /* to one: not to CS */
	[0x8f] = {0xf0000000, 0xf0000000, 0}, /* POP */
	[0xc6 ... 0xc7] = {0xf0000000, 0xf0000000, 0}, /* MOV; XABORT and XBEGIN: insn_rule() */
	[0xfe] = {0xff000000, 0xff000000, 0}, /* INC DEC */
	[0xff] = {0xfffffff0, 0xfff0f0f0, 0}, /* INC DEC CALL CALLF JMP JMPF PUSH */
};

static const struct rule rules_0f[256] = {
	[0x00] = {0xffffff00, 0xffffff00, 0}, /* SLDT STR LLDT LTR VERR VERW */
	[0x01] = {.mem = 0xfffff4ff}, /* SGDT SIDT LGDT LIDT SMSW RSTORSSP LMSW INVLPG; TABLE_0F01 */
	[0x12] = {ALL, 0xdddddddd, 0}, /* MOVLPS, MOVHLPS; MOVLPD only from memory */
	[0x16] = {ALL, 0xdddddddd, 0}, /* MOVHPS, MOVLHPS; MOVHPD */
	/* MOVLPS, MOVHPS, MOVNTPS; LSS, LFS, LGS; MOVNTI, MOVNTQ, LDDQU */
	[0x13] = MEMORY_ONLY, [0x17] = MEMORY_ONLY, [0x2b] = MEMORY_ONLY, [0xb2] = MEMORY_ONLY,
	[0xb4 ... 0xb5] = MEMORY_ONLY, [0xc3] = MEMORY_ONLY, [0xe7] = MEMORY_ONLY, [0xf0] = MEMORY_ONLY,
	/* MOVMSKPS, PEXTRW, PMOVMSKB, MASKMOVQ */
	[0x50] = REGS_ONLY, [0xc5] = REGS_ONLY, [0xd7] = REGS_ONLY, [0xf7] = REGS_ONLY,
	[0x71 ... 0x72] = {0, 0x00303030, 0}, /* groups 12 and 13: shifts by an immediate */
	[0x73] = {0, 0x00320032, 0}, /* group 14 */
	[0x78] = {0x11111111, 0xb9999999, 0}, /* VMREAD; EXTRQ, INSERTQ */
	[0x79] = {0x11111111, 0xbbbbbbbb, 0}, /* VMWRITE; EXTRQ, INSERTQ */
	/* FXSAVE FXRSTOR LDMXCSR STMXCSR XSAVE/PTWRITE XRSTOR XSAVEOPT/CLWB/CLRSSBSY CLFLUSH(OPT);
	   RDFSBASE RDGSBASE WRFSBASE WRGSBASE PTWRITE LFENCE/INCSSP MFENCE/TPAUSE/UM… SFENCE */
	[0xae] = {0x11115173, 0x000045f1, 0x44440000},
	[0xba] = {0x0000ffff, 0x0000ffff, 0}, /* BT BTS BTR BTC */
	/* CMPXCHG8B, XRSTORS XSAVEC XSAVES VMPTRLD/VMCLEAR/VMXON VMPTRST; RDRAND… RDSEED/RDPID */
	[0xc7] = {0x0f011171, 0x00000037, 0x00000040},
	[0xd6] = {0x22222222, ALL, 0}, /* MOVQ; MOVDQ2Q, MOVQ2DQ */
};

static const struct rule rules_0f38[256] = {
	/* MOVNTDQA; INVEPT INVVPID INVPCID; WRUSS; MOVDIR64B ENQCMD, MOVDIRI */
	[0x2a] = MEMORY_ONLY, [0x80 ... 0x82] = MEMORY_ONLY, [0xf5] = MEMORY_ONLY,
	[0xf8 ... 0xf9] = MEMORY_ONLY,
	[0xd8] = {.mem = 0xffff0000}, /* AESENCWIDE128KL and its like */
	[0xdd ... 0xdf] = {ALL, 0x22222222, 0}, /* AESENCLAST…; AES…KL only from memory */
	[0xf0 ... 0xf1] = {ALL, 0x88888888, 0}, /* CRC32; MOVBE only with memory */
	[0xf6] = {ALL, 0x66666666, 0}, /* ADCX, ADOX; WRSS only to memory */
	[0xfa ... 0xfb] = REGS_ONLY, /* ENCODEKEY */
};
/* clang-format on */

/* x87 instructions that exist: in memory, by reg field; in registers, by ModRM's low six bits. */
static const u8 x87_mem[8] = {0xff, 0xfd, 0xff, 0xaf, 0xff, 0xdf, 0xff, 0xff};
static const u64 x87_reg[8] = {
	~0ull, 0xffff7f33ff01ffff, 0x00000200ffffffff, 0x00ffff1fffffffff,
	~0ull, 0x0000ffffffffffff, 0xffffffff02ffffff, 0x00ffff01ffffffff,
};

static bool x87_exists(u8 opcode, u8 modrm)
{
	return modrm < 0xc0 ? x87_mem[opcode & 7] >> (modrm >> 3) % 8 & 1
			    : x87_reg[opcode & 7] >> modrm % 64 & 1;
}

static unsigned apply(const struct rule *rule, u8 modrm, enum code_size code)
{
	u32 digits = modrm < 0xc0 ? rule->mem : rule->reg;

	if (modrm >= 0xc0 && code == CODE_64)
		digits |= rule->reg64;
	return digits >> (~modrm >> 3 & 7) * 4 & 15;
}

unsigned insn_rule(enum insn_map map, u8 opcode, u8 modrm, enum code_size code)
{
	const struct rule *rule = &rules_0f38[opcode];

	if (map == MAP_ONE) {
		if ((opcode & 0xf8) == 0xd8)
			return x87_exists(opcode, modrm) ? 15 : 0;
		if ((opcode & 0xfe) == 0xc6 && modrm == 0xf8) /* XABORT, XBEGIN */
			return 15;
		return apply(&rules_one[opcode], modrm, code);
	}
	if (map == MAP_0F && opcode == 0x01 && modrm >= 0xc0)
		return insn_prefixes(TABLE_0F01, modrm) |
		       (code == CODE_64 ? insn_prefixes(TABLE_0F01_64, modrm) : 0);
	if (map == MAP_0F)
		return apply(&rules_0f[opcode], modrm, code);
	if (map == MAP_0F3A) /* HRESET has but one operand */
		return opcode != 0xf0 || modrm == 0xc0 ? 15 : 0;
	return rule->mem | rule->reg ? apply(rule, modrm, code) : 15;
}

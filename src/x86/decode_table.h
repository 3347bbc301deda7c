/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * decode_table.h: what the decoder's four files share: the opcode maps as tables (decode_table.c),
 * the reading of bytes (decode.c, decode_operand.c), and the names of what was read
 * (decode_name.c). For them only.
 */
#ifndef X86_DECODE_TABLE_H
#define X86_DECODE_TABLE_H

#include "x86/decode.h"

/* ---- what follows an opcode, one byte of attributes for each ------------------------------ */
#define ATTR_KIND  0x0f /* enum insn_kind */
#define ATTR_MODRM 0x10
#define ATTR_RULE  0x20 /* whether it exists depends on the ModRM byte too: insn_rule() */
#define ATTR_NOT64 0x40 /* does not exist in 64-bit code */
#define ATTR_BYTE  0x80 /* works on bytes */

/* clang-format off */
enum insn_kind {
	KIND_NONE,
	/* immediates: 8 bits, signed or not; 16; 16 or 32 by operand size; 32; by operand size */
	KIND_IB, KIND_UB, KIND_IW, KIND_IZ, KIND_ID, KIND_IV,
	KIND_ENTER, KIND_FAR, /* 16 and 8 bits; 16 or 32 bits, and a 16-bit selector */
	KIND_MOFFS, /* an address, by address size */
	KIND_TEST,  /* group 3: TEST has an immediate, the others have not */
	KIND_EXTRQ, /* 8 and 8 bits with 66 or F2, else none */
	/* not immediates, but no opcode is two of these things */
	KIND_3DNOW, KIND_MOV_CR, /* opcode comes last; ModRM names registers, whatever its mod */
	/* and not the end of the opcode */
	KIND_ESCAPE, /* 0F, and what may begin a VEX, EVEX or XOP prefix: C4, C5, 62, 8F */
	KIND_PREFIX, /* and 40 to 4F: REX in 64-bit code, otherwise INC and DEC */
};
/* clang-format on */
_Static_assert(KIND_PREFIX <= ATTR_KIND, "it has four bits");

extern const u8 insn_attr_one[256]; /* the one-byte map */
extern const u8 insn_attr_0f[256];  /* the 0F map, also for VEX and EVEX */

/* ---- which opcodes exist ----------------------------------------------------------------- */
/*
 * With which mandatory prefix an opcode exists: a set of these. The same bytes 0F 58 are four
 * different instructions (ADDPS, ADDPD, ADDSS, ADDSD) by the prefix before them.
 */
enum { WITH_NONE = 1, WITH_66 = 2, WITH_F3 = 4, WITH_F2 = 8 };

/* The tables, one for each map of each encoding. */
/* clang-format off */
enum insn_table {
	TABLE_0F, TABLE_0F38, TABLE_0F3A,
	TABLE_0F01, TABLE_0F01_64, /* by ModRM; in 64-bit code also the latter */
	TABLE_VEX_0F, TABLE_VEX_0F38, TABLE_VEX_0F3A,
	TABLE_EVEX_0F, TABLE_EVEX_0F38, TABLE_EVEX_0F3A, TABLE_EVEX_5, TABLE_EVEX_6,
	TABLE_XOP8, TABLE_XOP9, TABLE_XOPA,
	TABLE_3DNOW,
	TABLE_COUNT
};
/* clang-format on */

/* A hexadecimal digit for each opcode, in reading order: 16 rows of 16, as the manuals print it. */
extern const u64 insn_exists[TABLE_COUNT][16];

/* insn_prefixes() - the set of mandatory prefixes with which @opcode exists in @table. */
static inline unsigned insn_prefixes(enum insn_table table, u8 opcode)
{
	return insn_exists[table][opcode >> 4] >> (~opcode & 15) * 4 & 15;
}

/* insn_rule() - the same for a legacy opcode that has ATTR_RULE, by its @modrm byte. */
unsigned insn_rule(enum insn_map map, u8 opcode, u8 modrm, enum code_size code);

/* ---- reading bytes ------------------------------------------------------------------------ */
struct reader {
	const u8 *at, *end;
	struct insn *insn;
	u8 code;   /* enum code_size */
	u8 opsize; /* operand size in bytes as the prefixes say: 2, 4, 8 */
	u8 with;   /* the mandatory prefix, one of WITH_… */
	u8 rex;	   /* the bits W R X B, from REX, VEX, EVEX or XOP */
	bool prefix_66;
	bool cut; /* the bytes ended before the instruction did */
};

enum { REX_B = 1, REX_X = 2, REX_R = 4, REX_W = 8 };

/* What R, X and B add to a register's number. */
static inline u8 rex(const struct reader *r, u8 bit)
{
	return r->rex & bit ? 8 : 0;
}

/*
 * Take @n bytes, 1 to 8, as a little-endian number. If there are fewer it is 0 and @cut is set, and
 * whatever comes of that 0, insn_decode() answers -ENODATA, or -E2BIG.
 */
static inline u64 take(struct reader *r, unsigned n)
{
	u64 value = 0;

	if (unlikely((size_t)(r->end - r->at) < n)) {
		r->cut = true;
		return 0;
	}
	for (unsigned i = 0; i < n; i++)
		value |= (u64)r->at[i] << 8 * i;
	r->at += n;
	return value;
}

/* insn_read_modrm() - read ModRM, SIB and displacement; 0, or -EINVAL by the rules. */
int insn_read_modrm(struct reader *r, unsigned attr);

/* insn_read_immediate() - read an immediate of @kind; 0, or -EINVAL for 3DNow!. */
int insn_read_immediate(struct reader *r, unsigned kind);

/* ---- names (decode_name.c) ---------------------------------------------------------------- */
/*
 * insn_name() - set the op and form of a legacy instruction, and correct its operand sizes; @with
 * is the mandatory prefix. Return: 0, or -EINVAL if it does not exist after all: there is no such
 * control register.
 */
int insn_name(struct insn *insn, enum code_size code, unsigned with);

/* insn_may_lock() - may this instruction have a LOCK prefix? */
bool insn_may_lock(const struct insn *insn);

#endif

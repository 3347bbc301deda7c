/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * decode.c: reads one instruction.
 *
 * An x86 instruction is a row of optional parts, each announced by the ones before it:
 *
 *	prefixes | opcode, 1 to 3 bytes | ModRM | SIB | displacement | immediate
 *
 * and the decoder is a walk along that row with one finger on the bytes (struct reader). What an
 * opcode is followed by, and whether it exists, is in tables (decode_table.c); the parts behind the
 * opcode are read in decode_operand.c; and which instruction it is, for those that matter to a VMM,
 * is in decode_name.c.
 *
 * APM vol. 3 §1.1-1.9; SDM vol. 2A §2.1-2.3, 2.7.
 */
#include "x86/decode.h"
#include "lib/lab.h"
#include "x86/decode_table.h"

/* ---- prefixes and REX ------------------------------------------------------------------------ */

static void note_prefix(struct reader *r, u8 prefix)
{
#if SOLVED >= 2
	struct insn *insn = r->insn;

	if (prefix == 0x66) {
		r->prefix_66 = true;
	} else if (prefix == 0x67) { /* 16 -> 4, 32 -> 2, 64 -> 4 */
		insn->addrsize = r->code == CODE_32 ? 2 : 4;
	} else if (prefix == 0xf0) {
		insn->lock = true;
	} else if (prefix >= 0xf2) { /* of the two, the last one counts */
		insn->repne = prefix == 0xf2;
		insn->rep = prefix == 0xf3;
	} else if (prefix >= 0x64) {
		insn->seg = prefix == 0x64 ? SEG_FS : SEG_GS;
	} else if (r->code != CODE_64) {
		/* 26, 2e, 36, 3e: ES, CS, SS, DS; in 64-bit code they do not exist, and do not
		 * undo an FS or GS either (APM vol. 3 §1.2.4) */
		insn->seg = prefix >> 3 & 3;
	}
#else
	/*
	 * Exercise 2.2. What one prefix says, by its byte:
	 *
	 *	66		r->prefix_66: the other operand size
	 *	67		insn->addrsize: the other address size, in bytes: 16-bit code has 4
	 *			then, 32-bit code 2, 64-bit code 4
	 *	f0		insn->lock
	 *	f2, f3		insn->repne, insn->rep: of the two the last one counts
	 *	64, 65		insn->seg: SEG_FS, SEG_GS
	 *	26, 2e, 36, 3e	insn->seg: SEG_ES, SEG_CS, SEG_SS, SEG_DS; but in 64-bit code they
	 *			say nothing, and do not undo an FS or GS either
	 *
	 * Handout: lab 2, "How long was it?". APM vol. 3 §1.2.
	 */
	LAB(2, "2.2", "note what a prefix says");
#endif
}

static bool is_rex(u8 byte)
{
	return (byte & 0xf0) == 0x40;
}

static bool is_prefix(const struct reader *r, u8 byte)
{
	return (insn_attr_one[byte] & ATTR_KIND) == KIND_PREFIX &&
	       (r->code == CODE_64 || !is_rex(byte));
}

/*
 * Read the prefixes, of which @byte is the first, in whatever order they come, and what they say
 * about sizes. A REX prefix counts only right before the opcode: another prefix behind it makes it
 * void (APM vol. 3 §1.2.7).
 * Return: the byte behind them.
 */
static __attribute__((noinline)) u8 read_prefixes(struct reader *r, u8 byte)
{
#if SOLVED >= 2
	struct insn *insn = r->insn;

	while (is_prefix(r, byte)) {
		insn->rex = is_rex(byte) ? byte : 0;
		if (!insn->rex)
			note_prefix(r, byte);
		byte = take(r, 1);
	}
	r->rex = insn->rex & 15;
	if (r->rex & REX_W)
		r->opsize = 8;
	else if (r->prefix_66)
		r->opsize = 6 - r->opsize; /* 2 for 4 and 4 for 2 */
	/* as a part of the opcode, F2 and F3 go before 66 */
	if (insn->repne)
		r->with = WITH_F2;
	else if (insn->rep)
		r->with = WITH_F3;
	else if (r->prefix_66)
		r->with = WITH_66;
	return byte;
#else
	/*
	 * Exercise 2.2, continued. While @byte is a prefix: note it, and take(r, 1) the next. A
	 * REX prefix is kept in insn->rex, but any other behind it makes it void (0 again). Then
	 *
	 *	r->rex		the low four bits of REX
	 *	r->opsize	8 with REX_W; else, with 66, 2 for 4 and 4 for 2
	 *	r->with		WITH_F2, WITH_F3 or WITH_66, if there is one of these prefixes: F2
	 *			and F3 go before 66
	 *
	 * Return the byte that is no prefix any more.
	 */
	LAB(2, "2.2", "read an instruction's prefixes");
#endif
}

/* ---- longer opcodes: the escapes 0F, 0F38 and 0F3A, and the VEX, EVEX and XOP prefixes ------- */

/* Attributes of the maps in which every opcode has the same. */
static const u8 map_attr[] = {
	[MAP_0F38] = ATTR_MODRM | ATTR_RULE, [MAP_0F3A] = ATTR_MODRM | ATTR_RULE | KIND_UB,
	[MAP_XOP8] = ATTR_MODRM | KIND_UB,   [MAP_XOP9] = ATTR_MODRM,
	[MAP_XOPA] = ATTR_MODRM | KIND_ID,   [MAP_OTHER] = ATTR_MODRM,
};

/* The opcode byte was read: its attributes, or an error. */
static inline int note_opcode(struct reader *r, enum insn_map map, enum insn_table table, u8 opcode)
{
	r->insn->map = map;
	r->insn->opcode = opcode;
	if (!(insn_prefixes(table, opcode) & r->with))
		return -EINVAL;
	return map == MAP_0F ? insn_attr_0f[opcode] : map_attr[map];
}

static __attribute__((noinline)) int read_opcode_in(struct reader *r, enum insn_map map,
						    enum insn_table table)
{
	return note_opcode(r, map, table, take(r, 1));
}

static inline int read_0f(struct reader *r)
{
	u8 opcode = take(r, 1);

	if (opcode == 0x38)
		return read_opcode_in(r, MAP_0F38, TABLE_0F38);
	if (opcode == 0x3a)
		return read_opcode_in(r, MAP_0F3A, TABLE_0F3A);
	return note_opcode(r, MAP_0F, TABLE_0F, opcode);
}

/* The map field of VEX (C4, C5), EVEX (62) and XOP (8F). */
static const struct {
	u8 first, field, map, table;
} vex_maps[] = {
	{0xc5, 1, MAP_0F, TABLE_VEX_0F},      {0xc4, 1, MAP_0F, TABLE_VEX_0F},
	{0xc4, 2, MAP_0F38, TABLE_VEX_0F38},  {0xc4, 3, MAP_0F3A, TABLE_VEX_0F3A},
	{0x62, 1, MAP_0F, TABLE_EVEX_0F},     {0x62, 2, MAP_0F38, TABLE_EVEX_0F38},
	{0x62, 3, MAP_0F3A, TABLE_EVEX_0F3A}, {0x62, 5, MAP_OTHER, TABLE_EVEX_5},
	{0x62, 6, MAP_OTHER, TABLE_EVEX_6},   {0x8f, 8, MAP_XOP8, TABLE_XOP8},
	{0x8f, 9, MAP_XOP9, TABLE_XOP9},      {0x8f, 10, MAP_XOPA, TABLE_XOPA},
};

/*
 * VEX, XOP and EVEX pack REX, the map and the mandatory prefix into 1, 2 or 3 bytes behind the
 * first, with register bits inverted:
 *
 *	C5:	R vvvv L pp
 *	C4, 8F:	R X B mmmmm	W vvvv L pp
 *	62:	R X B R' 0 mmm	W vvvv 1 pp	z L'L b V' aaa
 *
 * With one of the old prefixes before them they are #UD.
 * APM vol. 3 §1.8-1.9; SDM vol. 2A §2.3.5, §2.7.
 */
static int read_vex(struct reader *r, u8 first)
{
	struct insn *insn = r->insn;
	u8 p0 = take(r, 1), p1, field;

	insn->vex = true;
	if (insn->lock || insn->rep || insn->repne || r->prefix_66 || insn->rex)
		return -EINVAL;
	if (first == 0xc5) { /* the same as C4 with X, B and W absent and map 1 */
		p1 = p0 & 0x7f;
		p0 = (p0 & 0x80) | 0x61;
	} else {
		p1 = take(r, 1);
	}
	if (first == 0x62) {
		take(r, 1);
		if (!(p1 & 4))
			return -EINVAL;
	}
	if (r->code == CODE_64) {
		r->rex = (~p0 >> 5 & 7) | (p1 >> 4 & REX_W);
		r->opsize = r->rex & REX_W ? 8 : 4;
	}
	r->with = 1 << (p1 & 3); /* nothing, 66, F3, F2, as WITH_… counts them */
	field = p0 & (first == 0x62 ? 0xf : 0x1f);
	for (size_t i = 0; i < ARRAY_SIZE(vex_maps); i++) {
		if (vex_maps[i].first == first && vex_maps[i].field == field) {
			int attr = read_opcode_in(r, vex_maps[i].map, vex_maps[i].table);

			/* the rules are about the legacy opcodes */
			return attr < 0 ? attr : attr & ~ATTR_RULE;
		}
	}
	return -EINVAL;
}

/*
 * C4, C5 and 62 are LES, LDS and BOUND outside 64-bit code, whose operand must be in memory, and a
 * register operand there means the new meaning; 8F is POP with a reg field of 0, and XOP's maps
 * begin at 8, so that reg is not 0.
 */
static __attribute__((noinline)) int read_vex_or_old(struct reader *r, u8 first)
{
	bool vex;

	if (r->at == r->end)
		return -ENODATA;
	if (first == 0x8f)
		vex = (*r->at & 0x1f) >= 8;
	else
		vex = r->code == CODE_64 || *r->at >= 0xc0;
	return vex ? read_vex(r, first) : ATTR_MODRM | ATTR_RULE;
}

/* ---- insn_decode() --------------------------------------------------------------------------- */

/*
 * From here on the straight way through is the one of the instructions that exit most: no prefix,
 * no operands. What they do not need is out of line.
 */

/* The opcode's attributes, or an error. */
static inline int read_opcode(struct reader *r)
{
	u8 first = take(r, 1), attr = insn_attr_one[first];

	if ((attr & ATTR_KIND) == KIND_PREFIX) {
		first = read_prefixes(r, first);
		attr = insn_attr_one[first];
	}
	if (first == 0x0f)
		return read_0f(r);
	r->insn->opcode = first;
	if ((attr & ATTR_KIND) == KIND_ESCAPE)
		return read_vex_or_old(r, first);
	if ((attr & ATTR_NOT64) && r->code == CODE_64)
		return -EINVAL;
	return attr;
}

static inline int read_insn(struct reader *r)
{
	struct insn *insn = r->insn;
	int attr = read_opcode(r), error = 0;

	if (attr < 0)
		return attr;
	if (attr & ATTR_MODRM)
		error = insn_read_modrm(r, attr);
	else
		insn->rm = (insn->opcode & 7) | rex(r, REX_B);
	if (!error && attr & ATTR_KIND)
		error = insn_read_immediate(r, attr & ATTR_KIND);
	if (error)
		return error;
	insn->opsize = attr & ATTR_BYTE ? 1 : r->opsize;
	insn->srcsize = insn->opsize;
	if (insn->vex)
		return 0;
	error = insn_name(insn, r->code, r->with);
	if (unlikely(insn->lock) && !insn_may_lock(insn))
		return -EINVAL;
	return error;
}

int insn_decode(const u8 *bytes, size_t n, enum code_size code, struct insn *out)
{
	struct reader r = {
		.at = bytes,
		.end = bytes + min(n, INSN_MAX),
		.insn = out,
		.code = code,
		.opsize = code == CODE_16 ? 2 : 4,
		.with = WITH_NONE,
	};
	int error;

	*out = (struct insn){.seg = -1, .base = -1, .index = -1, .addrsize = code};
	error = read_insn(&r);
	out->len = r.at - bytes;
	if (unlikely(r.cut))
		error = -ENODATA;
	if (unlikely(error) && error == -ENODATA && n >= INSN_MAX)
		error = -E2BIG;
	return error;
}

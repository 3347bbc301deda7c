/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_decode.c: tests of the instruction decoder by hand-picked instructions.
 *
 * Each line of the first tables was assembled by hand from the manual's encoding pages; what the
 * decoder says is put into words and compared. That it is right about all the other instructions is
 * shown by tests/fuzz/decode_oracle.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include "suite.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "x86/decode.h"

/* Hexadecimal bytes into @bytes; their number. */
static size_t parse(const char *hex, u8 *bytes)
{
	size_t n = 0;
	int used;
	unsigned byte;

	for (; sscanf(hex, "%2x%n", &byte, &used) == 1; hex += used)
		bytes[n++] = byte;
	return n;
}

/* @hex in a heap block of its exact size, so that ASan sees a byte read too many. */
static int decode(const char *hex, enum code_size code, struct insn *insn)
{
	u8 bytes[64], *exact;
	size_t n = parse(hex, bytes);
	int error;

	exact = malloc(n ? n : 1);
	memcpy(exact, bytes, n);
	error = insn_decode(exact, n, code, insn);
	free(exact);
	return error;
}

/* ---- names and operands -------------------------------------------------------------------- */

/* "ds[3+6<<0+12] reg 1 imm 5/1": segment, base, index and scale, displacement; immediate/bytes */
static void describe(const struct insn *i, char *text, size_t size)
{
	static const char *const segs[] = {"es", "cs", "ss", "ds", "fs", "gs"};
	char *at = text, *end = text + size;

	*at = 0;
	if (i->has_modrm && i->mod != 3) {
		at += snprintf(at, end - at, "%s[%s", segs[insn_segment(i)],
			       i->rip_relative ? "rip+" : "");
		if (i->base >= 0)
			at += snprintf(at, end - at, "%d+", i->base);
		if (i->index >= 0)
			at += snprintf(at, end - at, "%d<<%d+", i->index, i->scale);
		at += snprintf(at, end - at, "%s%lx] ", i->disp < 0 ? "-" : "",
			       i->disp < 0 ? -i->disp : i->disp);
	} else if (i->has_modrm || i->form == FORM_RM || i->form == FORM_REG_IMM ||
		   i->form == FORM_RM_REG) {
		at += snprintf(at, end - at, "rm %d ", i->rm);
	} else if (i->form == FORM_ACC_MOFFS || i->form == FORM_MOFFS_ACC) {
		at += snprintf(at, end - at, "%s[%lx] ", segs[insn_segment(i)], i->disp);
	}
	if (i->has_modrm || i->form == FORM_RM_REG)
		at += snprintf(at, end - at, "reg %d ", i->reg);
	if (i->immsize)
		at += snprintf(at, end - at, "imm %lx/%d ", i->imm, i->immsize);
	if (at > text)
		at[-1] = 0;
}

static const struct {
	const char *hex;
	enum code_size code;
	enum insn_op op;
	enum insn_form form;
	int opsize, srcsize;
	const char *operands;
} named[] = {
	/* what a guest's exits are about */
	{"0fa2", CODE_64, OP_CPUID, FORM_NONE, 4, 4, ""},
	{"66 67 48 0fa2", CODE_64, OP_CPUID, FORM_NONE, 8, 8, ""},
	{"f4", CODE_16, OP_HLT, FORM_NONE, 2, 2, ""},
	{"0f32", CODE_32, OP_RDMSR, FORM_NONE, 4, 4, ""},
	{"0f30", CODE_32, OP_WRMSR, FORM_NONE, 4, 4, ""},
	{"0f31", CODE_64, OP_RDTSC, FORM_NONE, 4, 4, ""},
	{"0f33", CODE_64, OP_RDPMC, FORM_NONE, 4, 4, ""},
	{"0f01f9", CODE_64, OP_RDTSCP, FORM_NONE, 4, 4, "rm 1 reg 7"},
	{"f390", CODE_64, OP_PAUSE, FORM_NONE, 4, 4, ""},
	{"90", CODE_64, OP_OTHER, FORM_NONE, 4, 4, ""},
	{"0f08", CODE_64, OP_INVD, FORM_NONE, 4, 4, ""},
	{"0f09", CODE_64, OP_WBINVD, FORM_NONE, 4, 4, ""},
	{"f30f09", CODE_64, OP_WBINVD, FORM_NONE, 4, 4, ""},
	{"0f01d1", CODE_64, OP_XSETBV, FORM_NONE, 4, 4, "rm 1 reg 2"},
	{"0f01c8", CODE_64, OP_MONITOR, FORM_NONE, 4, 4, "rm 0 reg 1"},
	{"0f01c9", CODE_64, OP_MWAIT, FORM_NONE, 4, 4, "rm 1 reg 1"},
	{"0f0138", CODE_64, OP_INVLPG, FORM_RM, 4, 4, "ds[0+0] reg 7"},
	{"65 0f013c25 00100000", CODE_64, OP_INVLPG, FORM_RM, 4, 4, "gs[1000] reg 7"},
	{"0f01df", CODE_64, OP_INVLPGA, FORM_NONE, 4, 4, "rm 7 reg 3"},
	{"0f01d8", CODE_64, OP_VMRUN, FORM_NONE, 4, 4, "rm 0 reg 3"},
	{"0f01d9", CODE_32, OP_VMMCALL, FORM_NONE, 4, 4, "rm 1 reg 3"},
	{"0f01c1", CODE_32, OP_VMCALL, FORM_NONE, 4, 4, "rm 1 reg 0"},
	{"0f01da", CODE_32, OP_VMLOAD, FORM_NONE, 4, 4, "rm 2 reg 3"},
	{"0f01db", CODE_32, OP_VMSAVE, FORM_NONE, 4, 4, "rm 3 reg 3"},
	{"0f01dc", CODE_32, OP_STGI, FORM_NONE, 4, 4, "rm 4 reg 3"},
	{"0f01dd", CODE_32, OP_CLGI, FORM_NONE, 4, 4, "rm 5 reg 3"},
	{"0f01de", CODE_32, OP_SKINIT, FORM_NONE, 4, 4, "rm 6 reg 3"},
	/* ports: never wider than 4 bytes */
	{"e460", CODE_16, OP_IN, FORM_NONE, 1, 1, "imm 60/1"},
	{"e5f0", CODE_32, OP_IN, FORM_NONE, 4, 4, "imm f0/1"},
	{"66ed", CODE_64, OP_IN, FORM_NONE, 2, 2, ""},
	{"48ed", CODE_64, OP_IN, FORM_NONE, 4, 4, ""},
	{"ec", CODE_64, OP_IN, FORM_NONE, 1, 1, ""},
	{"e680", CODE_64, OP_OUT, FORM_NONE, 1, 1, "imm 80/1"},
	{"ef", CODE_16, OP_OUT, FORM_NONE, 2, 2, ""},
	{"66ef", CODE_16, OP_OUT, FORM_NONE, 4, 4, ""},
	{"f36c", CODE_64, OP_INS, FORM_NONE, 1, 1, ""},
	{"f3486d", CODE_64, OP_INS, FORM_NONE, 4, 4, ""},
	{"6e", CODE_32, OP_OUTS, FORM_NONE, 1, 1, ""},
	{"f366 6f", CODE_32, OP_OUTS, FORM_NONE, 2, 2, ""},
	/* control and debug registers: as wide as the mode, and no memory form */
	{"0f20c0", CODE_32, OP_MOV_FROM_CR, FORM_NONE, 4, 4, "rm 0 reg 0"},
	{"0f2018", CODE_64, OP_MOV_FROM_CR, FORM_NONE, 8, 8, "rm 0 reg 3"},
	{"0f2044", CODE_64, OP_MOV_FROM_CR, FORM_NONE, 8, 8, "rm 4 reg 0"},
	{"66 0f22d9", CODE_64, OP_MOV_TO_CR, FORM_NONE, 8, 8, "rm 1 reg 3"},
	{"450f22c7", CODE_64, OP_MOV_TO_CR, FORM_NONE, 8, 8, "rm 15 reg 8"},
	{"f00f22c7", CODE_32, OP_MOV_TO_CR, FORM_NONE, 4, 4, "rm 7 reg 8"},
	{"0f21f8", CODE_32, OP_MOV_FROM_DR, FORM_NONE, 4, 4, "rm 0 reg 7"},
	{"0f23f8", CODE_16, OP_MOV_TO_DR, FORM_NONE, 4, 4, "rm 0 reg 7"},
	{"0f06", CODE_16, OP_CLTS, FORM_NONE, 2, 2, ""},
	{"0f01f0", CODE_16, OP_LMSW, FORM_RM, 2, 2, "rm 0 reg 6"},
	{"48 0f01e3", CODE_64, OP_SMSW, FORM_RM, 8, 8, "rm 3 reg 4"},
	{"48 0f0123", CODE_64, OP_SMSW, FORM_RM, 2, 2, "ds[3+0] reg 4"},
	/* interrupts and flags */
	{"cd80", CODE_32, OP_INT, FORM_IMM, 4, 4, "imm 80/1"},
	{"cc", CODE_32, OP_INT3, FORM_NONE, 4, 4, ""},
	{"f1", CODE_32, OP_INT1, FORM_NONE, 4, 4, ""},
	{"ce", CODE_32, OP_INTO, FORM_NONE, 4, 4, ""},
	{"48cf", CODE_64, OP_IRET, FORM_NONE, 8, 8, ""},
	{"9c", CODE_64, OP_PUSHF, FORM_NONE, 8, 8, ""},
	{"669c", CODE_64, OP_PUSHF, FORM_NONE, 2, 2, ""},
	{"9d", CODE_32, OP_POPF, FORM_NONE, 4, 4, ""},
	{"fa", CODE_16, OP_CLI, FORM_NONE, 2, 2, ""},
	{"fb", CODE_16, OP_STI, FORM_NONE, 2, 2, ""},
	/* descriptor tables */
	{"0f011425 00000000", CODE_64, OP_LGDT, FORM_RM, 8, 8, "ds[0] reg 2"},
	{"66 0f0116 3412", CODE_16, OP_LGDT, FORM_RM, 4, 4, "ds[1234] reg 2"},
	{"0f011e 3412", CODE_16, OP_LIDT, FORM_RM, 2, 2, "ds[1234] reg 3"},
	{"0f0100", CODE_32, OP_SGDT, FORM_RM, 4, 4, "ds[0+0] reg 0"},
	{"0f0108", CODE_32, OP_SIDT, FORM_RM, 4, 4, "ds[0+0] reg 1"},
	{"0f00d0", CODE_64, OP_LLDT, FORM_RM, 2, 2, "rm 0 reg 2"},
	{"0f00c0", CODE_64, OP_SLDT, FORM_RM, 4, 4, "rm 0 reg 0"},
	{"0f00d8", CODE_64, OP_LTR, FORM_RM, 2, 2, "rm 0 reg 3"},
	{"0f0008", CODE_64, OP_STR, FORM_RM, 2, 2, "ds[0+0] reg 1"},
	/* moves and memory operands in all addressing forms */
	{"8907", CODE_16, OP_MOV, FORM_RM_REG, 2, 2, "ds[3+0] reg 0"},
	{"8900", CODE_16, OP_MOV, FORM_RM_REG, 2, 2, "ds[3+6<<0+0] reg 0"},
	{"8952 f0", CODE_16, OP_MOV, FORM_RM_REG, 2, 2, "ss[5+6<<0+-10] reg 2"},
	{"8a8e 0080", CODE_16, OP_MOV, FORM_REG_RM, 1, 1, "ss[5+-8000] reg 1"},
	{"668b0e cdab", CODE_16, OP_MOV, FORM_REG_RM, 4, 4, "ds[-5433] reg 1"},
	{"67668b0c35 00b80000", CODE_16, OP_MOV, FORM_REG_RM, 4, 4, "ds[6<<0+b800] reg 1"},
	{"678b0f", CODE_32, OP_MOV, FORM_REG_RM, 4, 4, "ds[3+0] reg 1"},
	{"8b0424", CODE_32, OP_MOV, FORM_REG_RM, 4, 4, "ss[4+0] reg 0"},
	{"268b0424", CODE_32, OP_MOV, FORM_REG_RM, 4, 4, "es[4+0] reg 0"},
	{"268b0424", CODE_64, OP_MOV, FORM_REG_RM, 4, 4, "ss[4+0] reg 0"},
	{"64268b0424", CODE_64, OP_MOV, FORM_REG_RM, 4, 4, "fs[4+0] reg 0"},
	{"8b0578563412", CODE_32, OP_MOV, FORM_REG_RM, 4, 4, "ds[12345678] reg 0"},
	{"8b0578563412", CODE_64, OP_MOV, FORM_REG_RM, 4, 4, "ds[rip+12345678] reg 0"},
	{"898487 01020384", CODE_64, OP_MOV, FORM_RM_REG, 4, 4, "ds[7+0<<2+-7bfcfdff] reg 0"},
	{"4f89a4e5 80000000", CODE_64, OP_MOV, FORM_RM_REG, 8, 8, "ds[13+12<<3+80] reg 12"},
	{"4b8b0425 00000000", CODE_64, OP_MOV, FORM_REG_RM, 8, 8, "ds[12<<0+0] reg 0"},
	{"418b4500", CODE_64, OP_MOV, FORM_REG_RM, 4, 4, "ds[13+0] reg 0"},
	{"418b0424", CODE_64, OP_MOV, FORM_REG_RM, 4, 4, "ds[12+0] reg 0"},
	{"c705 08000000 efbeadde", CODE_64, OP_MOV, FORM_RM_IMM, 4, 4,
	 "ds[rip+8] reg 0 imm ffffffffdeadbeef/4"},
	{"66c700 3412", CODE_32, OP_MOV, FORM_RM_IMM, 2, 2, "ds[0+0] reg 0 imm 1234/2"},
	{"c60041", CODE_64, OP_MOV, FORM_RM_IMM, 1, 1, "ds[0+0] reg 0 imm 41/1"},
	{"a1 00b80000", CODE_32, OP_MOV, FORM_ACC_MOFFS, 4, 4, "ds[b800]"},
	{"a2 00b8", CODE_16, OP_MOV, FORM_MOFFS_ACC, 1, 1, "ds[b800]"},
	{"48a3 8877665544332211", CODE_64, OP_MOV, FORM_MOFFS_ACC, 8, 8, "ds[1122334455667788]"},
	{"6467a1 44332211", CODE_64, OP_MOV, FORM_ACC_MOFFS, 4, 4, "fs[11223344]"},
	{"b0ff", CODE_64, OP_MOV, FORM_REG_IMM, 1, 1, "rm 0 imm ffffffffffffffff/1"},
	{"49bf 8877665544332211", CODE_64, OP_MOV, FORM_REG_IMM, 8, 8,
	 "rm 15 imm 1122334455667788/8"},
	{"0fb6 06", CODE_32, OP_MOVZX, FORM_REG_RM, 4, 1, "ds[6+0] reg 0"},
	{"660fb6 06", CODE_32, OP_MOVZX, FORM_REG_RM, 2, 1, "ds[6+0] reg 0"},
	{"480fb7 06", CODE_64, OP_MOVZX, FORM_REG_RM, 8, 2, "ds[6+0] reg 0"},
	{"480fbe 06", CODE_64, OP_MOVSX, FORM_REG_RM, 8, 1, "ds[6+0] reg 0"},
	{"0fbf 06", CODE_64, OP_MOVSX, FORM_REG_RM, 4, 2, "ds[6+0] reg 0"},
	{"4863 06", CODE_64, OP_MOVSX, FORM_REG_RM, 8, 4, "ds[6+0] reg 0"},
	{"63 06", CODE_32, OP_OTHER, FORM_NONE, 4, 4, "ds[6+0] reg 0"},
	{"0f38f0 06", CODE_64, OP_MOVBE, FORM_REG_RM, 4, 4, "ds[6+0] reg 0"},
	{"66480f38f1 06", CODE_64, OP_MOVBE, FORM_RM_REG, 8, 8, "ds[6+0] reg 0"},
	{"f20f38f0 06", CODE_64, OP_OTHER, FORM_NONE, 4, 4, "ds[6+0] reg 0"},
	/* strings */
	{"f3a4", CODE_64, OP_MOVS, FORM_NONE, 1, 1, ""},
	{"f348a5", CODE_64, OP_MOVS, FORM_NONE, 8, 8, ""},
	{"66ab", CODE_32, OP_STOS, FORM_NONE, 2, 2, ""},
	{"ac", CODE_32, OP_LODS, FORM_NONE, 1, 1, ""},
	{"f2ae", CODE_32, OP_SCAS, FORM_NONE, 1, 1, ""},
	{"f3a7", CODE_32, OP_CMPS, FORM_NONE, 4, 4, ""},
	/* arithmetic */
	{"0006", CODE_32, OP_ADD, FORM_RM_REG, 1, 1, "ds[6+0] reg 0"},
	{"0b06", CODE_32, OP_OR, FORM_REG_RM, 4, 4, "ds[6+0] reg 0"},
	{"1480", CODE_32, OP_ADC, FORM_ACC_IMM, 1, 1, "imm ffffffffffffff80/1"},
	{"481d 00000080", CODE_64, OP_SBB, FORM_ACC_IMM, 8, 8, "imm ffffffff80000000/4"},
	{"f08326 fe", CODE_32, OP_AND, FORM_RM_IMM, 4, 4, "ds[6+0] reg 4 imm fffffffffffffffe/1"},
	{"66812e 0080", CODE_32, OP_SUB, FORM_RM_IMM, 2, 2, "ds[6+0] reg 5 imm ffffffffffff8000/2"},
	{"803600", CODE_64, OP_XOR, FORM_RM_IMM, 1, 1, "ds[6+0] reg 6 imm 0/1"},
	{"3b06", CODE_64, OP_CMP, FORM_REG_RM, 4, 4, "ds[6+0] reg 0"},
	{"8506", CODE_64, OP_TEST, FORM_RM_REG, 4, 4, "ds[6+0] reg 0"},
	{"a801", CODE_64, OP_TEST, FORM_ACC_IMM, 1, 1, "imm 1/1"},
	{"f60680", CODE_64, OP_TEST, FORM_RM_IMM, 1, 1, "ds[6+0] reg 0 imm ffffffffffffff80/1"},
	{"f70e 01000000", CODE_64, OP_TEST, FORM_RM_IMM, 4, 4, "ds[6+0] reg 1 imm 1/4"},
	{"f716", CODE_64, OP_NOT, FORM_RM, 4, 4, "ds[6+0] reg 2"},
	{"f61e", CODE_64, OP_NEG, FORM_RM, 1, 1, "ds[6+0] reg 3"},
	{"f726", CODE_64, OP_OTHER, FORM_NONE, 4, 4, "ds[6+0] reg 4"},
	{"48870e", CODE_64, OP_XCHG, FORM_RM_REG, 8, 8, "ds[6+0] reg 1"},
	{"93", CODE_32, OP_XCHG, FORM_RM_REG, 4, 4, "rm 3 reg 0"},
	{"4190", CODE_64, OP_XCHG, FORM_RM_REG, 4, 4, "rm 8 reg 0"},
	{"43", CODE_32, OP_INC, FORM_RM, 4, 4, "rm 3"},
	{"664f", CODE_32, OP_DEC, FORM_RM, 2, 2, "rm 7"},
	{"fe06", CODE_32, OP_INC, FORM_RM, 1, 1, "ds[6+0] reg 0"},
	{"48ff0e", CODE_64, OP_DEC, FORM_RM, 8, 8, "ds[6+0] reg 1"},
	{"0fa306", CODE_64, OP_BT, FORM_RM_REG, 4, 4, "ds[6+0] reg 0"},
	{"0fab06", CODE_64, OP_BTS, FORM_RM_REG, 4, 4, "ds[6+0] reg 0"},
	{"0fb306", CODE_64, OP_BTR, FORM_RM_REG, 4, 4, "ds[6+0] reg 0"},
	{"0fbb06", CODE_64, OP_BTC, FORM_RM_REG, 4, 4, "ds[6+0] reg 0"},
	{"0fba26 85", CODE_64, OP_BT, FORM_RM_IMM, 4, 4, "ds[6+0] reg 4 imm 85/1"},
	{"f00fba2e 05", CODE_64, OP_BTS, FORM_RM_IMM, 4, 4, "ds[6+0] reg 5 imm 5/1"},
	{"0fba36 05", CODE_64, OP_BTR, FORM_RM_IMM, 4, 4, "ds[6+0] reg 6 imm 5/1"},
	{"0fba3e 05", CODE_64, OP_BTC, FORM_RM_IMM, 4, 4, "ds[6+0] reg 7 imm 5/1"},
	{"f00fb10e", CODE_64, OP_CMPXCHG, FORM_RM_REG, 4, 4, "ds[6+0] reg 1"},
	{"0fc00e", CODE_64, OP_XADD, FORM_RM_REG, 1, 1, "ds[6+0] reg 1"},
	/* the stack */
	{"4150", CODE_64, OP_PUSH, FORM_RM, 8, 8, "rm 8"},
	{"6658", CODE_64, OP_POP, FORM_RM, 2, 2, "rm 0"},
	{"6aff", CODE_64, OP_PUSH, FORM_IMM, 8, 8, "imm ffffffffffffffff/1"},
	{"68 00000080", CODE_32, OP_PUSH, FORM_IMM, 4, 4, "imm ffffffff80000000/4"},
	{"ff36", CODE_32, OP_PUSH, FORM_RM, 4, 4, "ds[6+0] reg 6"},
	{"8f06", CODE_64, OP_POP, FORM_RM, 8, 8, "ds[6+0] reg 0"},
	{"1e", CODE_32, OP_OTHER, FORM_NONE, 4, 4, ""},
};

START_TEST(names_and_operands)
{
	char hex[80], text[120];
	struct insn insn;
	u8 bytes[32];

	snprintf(hex, sizeof(hex), "%s cccccccccccccccc", named[_i].hex);
	ck_assert_msg(!decode(hex, named[_i].code, &insn), "%s", named[_i].hex);
	describe(&insn, text, sizeof(text));
	ck_assert_msg(insn.len == parse(named[_i].hex, bytes) && insn.op == named[_i].op &&
			      insn.form == named[_i].form && insn.opsize == named[_i].opsize &&
			      insn.srcsize == named[_i].srcsize &&
			      !strcmp(text, named[_i].operands),
		      "%s: length %d op %d form %d sizes %d %d %s", named[_i].hex, insn.len,
		      insn.op, insn.form, insn.opsize, insn.srcsize, text);
}
END_TEST

/* ---- lengths ------------------------------------------------------------------------------- */

static const struct {
	const char *hex;
	enum code_size code;
} lengths[] = {
	/* immediates by operand size */
	{"05 11223344", CODE_32},
	{"6605 1122", CODE_32},
	{"4805 11223344", CODE_64},
	{"664805 11223344", CODE_64}, /* REX.W beats 66 */
	{"486605 1122", CODE_64},     /* a REX prefix that is not the last is void */
	{"66b8 1122", CODE_64},
	{"c8 112233", CODE_64},
	{"c2 1122", CODE_64},
	{"ca 1122", CODE_32},
	{"9a 112233445566", CODE_32},
	{"ea 11223344", CODE_16},
	{"66ea 112233445566", CODE_16},
	{"d40a", CODE_32},
	/* jumps: AMD honours 66 in 64-bit code, Intel does not */
	{"e9 11223344", CODE_64},
	{"66e9 1122", CODE_64},
	{"66e8 1122", CODE_64},
	{"66480f84 11223344", CODE_64},
	{"0f84 1122", CODE_16},
	{"eb11", CODE_64},
	{"e311", CODE_64},
	/* one opcode, two meanings */
	{"c507", CODE_32},   /* LDS */
	{"c5f877", CODE_32}, /* VZEROUPPER */
	{"c44007", CODE_32},
	{"c407", CODE_16},	       /* LES */
	{"c4e27918 06", CODE_32},      /* VBROADCASTSS */
	{"6206", CODE_32},	       /* BOUND */
	{"62f17c48 28 4601", CODE_32}, /* VMOVAPS, EVEX */
	{"62f17c48 28 4601", CODE_64},
	{"62f34508 2506ff", CODE_64},	  /* VPTERNLOGD */
	{"62f67d48 9846 01", CODE_64},	  /* VFMADD132PH, map 6 */
	{"8fc0", CODE_32},		  /* POP */
	{"8fe97880c1", CODE_64},	  /* VFRCZPS, XOP map 9 */
	{"8fe878c0c1 05", CODE_32},	  /* VPROTB, XOP map 8 */
	{"8fea7810c1 11223344", CODE_64}, /* BEXTR, XOP map A */
	{"c4e3f9dfc1 05", CODE_64},	  /* VAESKEYGENASSIST */
	{"c5f1c4c005", CODE_64},	  /* VPINSRW */
	{"c5f1c2c005", CODE_64},	  /* VCMPPD */
	/* others with something special about them */
	{"0f0f c1 9e", CODE_64},		     /* PFADD: the opcode comes last */
	{"0f0f 8411223344 55 9e", CODE_64},	     /* with a SIB byte and 32 bits before it */
	{"660f78c0 1122", CODE_64},		     /* EXTRQ: two immediates */
	{"f20f78c1 1122", CODE_64},		     /* INSERTQ */
	{"0f78c1", CODE_64},			     /* VMREAD: none */
	{"0f3a0fc105", CODE_64},		     /* PALIGNR */
	{"f30f1efa", CODE_64},			     /* ENDBR64 */
	{"0fb9c1", CODE_64},			     /* UD1 */
	{"0f0b", CODE_64},			     /* UD2 */
	{"c7f8 11223344", CODE_64},		     /* XBEGIN */
	{"c6f811", CODE_64},			     /* XABORT */
	{"dd36 1122", CODE_16},			     /* FNSAVE */
	{"d9e8", CODE_32},			     /* FLD1 */
	{"2e2e2e2e2e2e2e2e2e2e2e2e2e2e90", CODE_64}, /* just 15 bytes */
};

START_TEST(lengths_are_right)
{
	struct insn insn;
	u8 bytes[32];
	char hex[80];
	size_t n = parse(lengths[_i].hex, bytes);

	ck_assert_msg(!decode(lengths[_i].hex, lengths[_i].code, &insn) && insn.len == n,
		      "%s alone: %d", lengths[_i].hex, insn.len);
	snprintf(hex, sizeof(hex), "%s 0f0f0f0f0f0f0f0f", lengths[_i].hex);
	ck_assert_msg(!decode(hex, lengths[_i].code, &insn) && insn.len == n, "%s with more: %d",
		      hex, insn.len);
	for (size_t cut = 0; cut < n; cut++) {
		u8 *exact = malloc(cut ? cut : 1);

		memcpy(exact, bytes, cut);
		ck_assert_int_eq(insn_decode(exact, cut, lengths[_i].code, &insn), -ENODATA);
		free(exact);
	}
}
END_TEST

START_TEST(sixteen_bytes_are_too_long)
{
	struct insn insn;

	ck_assert_int_eq(decode("2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e 90", CODE_64, &insn), -E2BIG);
	ck_assert_int_eq(decode("2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e", CODE_64, &insn), -E2BIG);
	ck_assert_int_eq(decode("2e2e2e2e2e2e2e2e2e2e2e2e2e2e", CODE_64, &insn), -ENODATA);
	/* the longest instruction there is without superfluous prefixes */
	ck_assert_int_eq(decode("f066658184c5 11223344 55667788 cc", CODE_64, &insn), 0);
	ck_assert_int_eq(decode("2ef0 6567c78405 11223344 55667788 cc", CODE_32, &insn), -EINVAL);
	ck_assert_int_eq(decode("2e2e2e2e2ec78405 11223344 55667788 cc", CODE_64, &insn), -E2BIG);
}
END_TEST

/* ---- what does not exist ------------------------------------------------------------------- */

#define IN_16	1
#define IN_32	2
#define IN_64	4
#define NOWHERE 0

/* In which code the bytes are an instruction. */
static const struct {
	const char *hex;
	int where;
} existence[] = {
	{"06", IN_16 | IN_32},
	{"27", IN_16 | IN_32},
	{"60", IN_16 | IN_32},
	{"82c000", IN_16 | IN_32},
	{"9a112233445566", IN_16 | IN_32},
	{"ce", IN_16 | IN_32},
	{"d40a", IN_16 | IN_32},
	{"d6", IN_16 | IN_32},
	{"ea112233445566", IN_16 | IN_32},
	{"c407", IN_16 | IN_32},
	{"0f01f8", IN_64},   /* SWAPGS */
	{"f30faec0", IN_64}, /* RDFSBASE */
	{"0f04", NOWHERE},
	{"0f0a", NOWHERE},
	{"0f24c0", NOWHERE},
	{"0fa6c0", NOWHERE},
	{"8ec8", NOWHERE}, /* MOV CS */
	{"8e08", NOWHERE},
	{"8ef0", NOWHERE}, /* a seventh segment register */
	{"8dc0", NOWHERE}, /* LEA of a register */
	{"8fc8", NOWHERE}, /* XOP with an opcode there is not, and POP has no /1 */
	{"fed0", NOWHERE},
	{"fff8", NOWHERE},
	{"ffd8", NOWHERE},
	{"c6c800", NOWHERE},
	{"0f00f0", NOWHERE},
	{"0fbac000", NOWHERE},
	{"0fc700", NOWHERE},
	{"0f20c8", NOWHERE},	     /* CR1 */
	{"0f20e8", NOWHERE},	     /* CR5 */
	{"440f20c8", IN_16 | IN_32}, /* INC and MOV, and in 64-bit code CR9 */
	{"440f21c0", IN_16 | IN_32}, /* the same with DR8 */
	{"0f01c6", NOWHERE},
	{"0f01d2", NOWHERE},
	{"f30f54c0", NOWHERE}, /* ANDPS has no scalar form */
	{"0fb8c0", NOWHERE},   /* POPCNT without F3 */
	{"0f71c800", NOWHERE}, /* group 12 has no /1 */
	{"0f380c", NOWHERE},
	{"0f38ff", NOWHERE},
	{"0f3a0000", NOWHERE},
	{"0f0fc100", NOWHERE}, /* 3DNow! 00 */
	{"d9d1", NOWHERE},
	{"dff0", IN_16 | IN_32 | IN_64},
	/* LOCK */
	{"f00100", IN_16 | IN_32 | IN_64},
	{"f00300", NOWHERE},
	{"f001c0", NOWHERE},
	{"f03900", NOWHERE},
	{"f08900", NOWHERE},
	{"f08700", IN_16 | IN_32 | IN_64},
	{"f00fc708", IN_16 | IN_32 | IN_64},
	{"f00fa300", NOWHERE},
	{"f090", NOWHERE},
	{"f08500", NOWHERE},
	{"f00f21c0", NOWHERE},
	{"f00f20d0", NOWHERE},
	/* no old prefixes before the new ones */
	{"66c5f877", NOWHERE},
	{"f0c5f877", NOWHERE},
	{"c5f800", NOWHERE},
	{"c4e0780000", NOWHERE},
	{"62f17848 2806", NOWHERE},
};

START_TEST(what_exists)
{
	static const struct {
		enum code_size code;
		int bit;
	} codes[] = {{CODE_16, IN_16}, {CODE_32, IN_32}, {CODE_64, IN_64}};

	for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
		struct insn insn;
		char hex[64];
		int error;

		snprintf(hex, sizeof(hex), "%s 0000000000000000", existence[_i].hex);
		error = decode(hex, codes[i].code, &insn);
		ck_assert_msg(error == (existence[_i].where & codes[i].bit ? 0 : -EINVAL),
			      "%s in %d-bit code: %d", existence[_i].hex, codes[i].code * 8, error);
	}
}
END_TEST

START_TEST(prefixes_are_noted)
{
	struct insn insn;

	ck_assert_int_eq(decode("f2f3 a4", CODE_32, &insn), 0);
	ck_assert(insn.rep && !insn.repne && !insn.lock);
	ck_assert_int_eq(decode("f3f2 a4", CODE_32, &insn), 0);
	ck_assert(insn.repne && !insn.rep);
	ck_assert_int_eq(decode("f0 65 0107", CODE_32, &insn), 0);
	ck_assert(insn.lock && insn.seg == SEG_GS);
	ck_assert_int_eq(decode("2e 0107", CODE_32, &insn), 0);
	ck_assert_int_eq(insn.seg, SEG_CS);
	ck_assert_int_eq(decode("2e 0107", CODE_64, &insn), 0);
	ck_assert_int_eq(insn.seg, -1);
	ck_assert_int_eq(decode("4f 0107", CODE_64, &insn), 0);
	ck_assert_int_eq(insn.rex, 0x4f);
	ck_assert_int_eq(decode("4f 66 0107", CODE_64, &insn), 0);
	ck_assert_int_eq(insn.rex, 0);
	ck_assert_int_eq(insn.rm, 7);
	ck_assert_int_eq(decode("67 0107", CODE_16, &insn), 0);
	ck_assert_int_eq(insn.addrsize, 4);
	ck_assert_int_eq(decode("67 0107", CODE_32, &insn), 0);
	ck_assert_int_eq(insn.addrsize, 2);
	ck_assert_int_eq(decode("67 0107", CODE_64, &insn), 0);
	ck_assert_int_eq(insn.addrsize, 4);
}
END_TEST

/* ---- addresses ----------------------------------------------------------------------------- */

START_TEST(addresses_are_computed)
{
	static const struct {
		const char *hex;
		enum code_size code;
		u64 address;
	} cases[] = {
		{"8b07", CODE_64, 0x7000000700000007},
		{"678b07", CODE_64, 0x00000007},
		{"8b4487fc", CODE_64, 0x7000000700000003}, /* rax is 0 */
		{"8b44d708", CODE_64, 0x700000170000001f},
		{"8b05 00010000", CODE_64, 0x123456789106},
		{"678b05 00010000", CODE_64, 0x56789107},
		{"8b8f f0ffffff", CODE_32, 0xfffffff7},
		{"8b41ff", CODE_16, 0x0009}, /* [bx + di - 1] */
		{"a1 fefffffffeffffff", CODE_64, 0xfffffffefffffffe},
		{"0f01bb 00f0ffff", CODE_64, 0x3000000300000003 - 0x1000},
	};
	u64 gpr[GPR_COUNT];

	for (u64 i = 0; i < GPR_COUNT; i++)
		gpr[i] = i << 60 | i << 32 | i;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct insn insn;

		ck_assert_int_eq(decode(cases[i].hex, cases[i].code, &insn), 0);
		ck_assert_msg(insn_address(&insn, gpr, 0x123456789000) == cases[i].address,
			      "%s: %lx", cases[i].hex, insn_address(&insn, gpr, 0x123456789000));
	}
}
END_TEST

static Suite *decode_suite(void)
{
	Suite *s = suite_create("decode");
	TCase *tc = tcase_create("decode");

	tcase_add_loop_test(tc, names_and_operands, 0, ARRAY_SIZE(named));
	tcase_add_loop_test(tc, lengths_are_right, 0, ARRAY_SIZE(lengths));
	tcase_add_test(tc, sixteen_bytes_are_too_long);
	tcase_add_loop_test(tc, what_exists, 0, ARRAY_SIZE(existence));
	tcase_add_test(tc, prefixes_are_noted);
	tcase_add_test(tc, addresses_are_computed);
	suite_add_tcase(s, tc);
	return s;
}
SET_ADD(suites, suite_fn, decode_suite);

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * decode_oracle.c: the instruction decoder against a foreign one.
 *
 *	decode_oracle --random N SEED	N made-up byte strings in each of 16, 32 and 64-bit code
 *	decode_oracle --elf FILE	the executable sections of a 64-bit ELF file
 *	decode_oracle --raw FILE	a file of 64-bit code
 *
 * Zydis 4.0 is the oracle, set to AMD's branches. Compared are: does the instruction exist, its
 * length, and, for those that exist, name, operand sizes, memory operand, registers and immediates.
 * Where the two differ, the manuals decide; a difference that they decide for us is in the list
 * `accepted` with its reason, and the run says how often each was met. Any other is printed, and
 * the exit status is 1. Capstone is asked as well in code (not in random strings, of which it knows
 * too little), and differences from it are counted only, because it is wrong about too much.
 *
 * The decoder's input lies at the end of a heap block of the exact size, so that AddressSanitizer
 * catches a byte read too many; and each string is decoded a second time cut short.
 *
 *	1. one trial: bytes through both decoders
 *	2. names and operands
 *	3. the accepted differences
 *	4. sources of bytes: random ones, files
 */
#include <Zydis/Zydis.h>
#include <capstone/capstone.h>
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include "lib/errno.h"
#include "lib/string.h"
#include "x86/decode.h"

/* ---- 1. one trial -------------------------------------------------------------------------- */

#define ROOM 32 /* bytes of a trial: more than either decoder may look at */

struct trial {
	const u8 *bytes;
	enum code_size code;
	int error; /* ours */
	struct insn insn;
	ZyanStatus status; /* theirs */
	ZydisDecodedInstruction z;
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
};

static ZydisDecoder zydis[CODE_64 + 1];
static u8 *block[INSN_MAX + 1]; /* block[n] has n bytes */

static void init(void)
{
	ZydisDecoderInit(&zydis[CODE_16], ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16);
	ZydisDecoderInit(&zydis[CODE_32], ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32);
	ZydisDecoderInit(&zydis[CODE_64], ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	for (int code = CODE_16; code <= CODE_64; code *= 2) {
		ZydisDecoderEnableMode(&zydis[code], ZYDIS_DECODER_MODE_AMD_BRANCHES, ZYAN_TRUE);
		/* MPX is gone from Intel and never was in AMD: its opcodes are NOPs again */
		ZydisDecoderEnableMode(&zydis[code], ZYDIS_DECODER_MODE_MPX, ZYAN_FALSE);
	}
	for (size_t n = 0; n <= INSN_MAX; n++)
		block[n] = malloc(n ? n : 1);
}

static int decode_exact(const u8 *bytes, size_t n, enum code_size code, struct insn *insn)
{
	memcpy(block[n], bytes, n);
	return insn_decode(block[n], n, code, insn);
}

/* Cut to @n bytes, the answer is the same if they suffice, and -ENODATA if they do not. */
static const char *check_cut(const struct trial *t, size_t n)
{
	struct insn cut;
	int error = decode_exact(t->bytes, n, t->code, &cut);

	if (n < t->insn.len || t->error == -E2BIG)
		return error == -ENODATA ? NULL : "not -ENODATA with bytes missing";
	if (error != t->error || (!error && memcmp(&cut, &t->insn, sizeof(cut))))
		return "depends on bytes behind the instruction";
	return NULL;
}

/* ---- 2. names and operands ----------------------------------------------------------------- */

/* Zydis's words for enum insn_op, in its order. */
static const char names[] =
	" cpuid hlt rdmsr wrmsr rdtsc rdtscp rdpmc pause invd wbinvd xsetbv monitor mwait invlpg"
	" invlpga vmrun vmmcall vmcall vmload vmsave stgi clgi skinit in out ins outs"
	" mov-from-cr mov-to-cr mov-from-dr mov-to-dr clts lmsw smsw int int1 int3 into iret pushf"
	" popf cli sti lgdt sgdt lidt sidt lldt sldt ltr str mov movzx movsx movs stos lods cmps "
	"scas"
	" add or adc sbb and sub xor cmp test xchg inc dec not neg bt bts btr btc cmpxchg xadd "
	"movbe"
	" push pop";

/* The place of @word among the names, 1 for the first; 0 if it is not among them. */
static enum insn_op find_op(const char *word)
{
	size_t n = strlen(word);
	int op = 0;

	for (const char *at = names; *at; at += 1 + strcspn(at + 1, " ")) {
		op++;
		if (!strncmp(at + 1, word, n) && strcspn(at + 1, " ") == n)
			return op;
	}
	return OP_OTHER;
}

static ZydisRegisterClass reg_class(const ZydisDecodedOperand *o)
{
	return o->type == ZYDIS_OPERAND_TYPE_REGISTER ? ZydisRegisterGetClass(o->reg.value)
						      : ZYDIS_REGCLASS_INVALID;
}

static enum insn_op their_op(const struct trial *t)
{
	char word[32];
	size_t n;
	enum insn_op op;

	snprintf(word, sizeof(word), "%s", ZydisMnemonicGetString(t->z.mnemonic));
	n = strlen(word);
	op = find_op(word);
	/* MOVSD, IRETQ, PUSHFQ, MOVSXD: our names are without the size */
	if (!op && n >= 4 && strchr("bwdq", word[n - 1]) && strchr("sftx", word[n - 2])) {
		word[n - 1] = 0;
		op = find_op(word);
	}
	/* SSE has a MOVSD and a CMPSD of its own */
	if ((op == OP_MOVS || op == OP_CMPS) && t->z.meta.category != ZYDIS_CATEGORY_STRINGOP)
		return OP_OTHER;
	for (int i = 0; i < 2 && (op == OP_MOV || op == OP_PUSH || op == OP_POP); i++) {
		switch (reg_class(&t->operands[i])) {
		case ZYDIS_REGCLASS_SEGMENT:
			return OP_OTHER;
		case ZYDIS_REGCLASS_CONTROL:
			return i ? OP_MOV_FROM_CR : OP_MOV_TO_CR;
		case ZYDIS_REGCLASS_DEBUG:
			return i ? OP_MOV_FROM_DR : OP_MOV_TO_DR;
		default:
			break;
		}
	}
	return op;
}

static int their_reg(ZydisRegister reg)
{
	return reg == ZYDIS_REGISTER_NONE || reg == ZYDIS_REGISTER_RIP || reg == ZYDIS_REGISTER_EIP
		       ? -1
		       : ZydisRegisterGetId(reg);
}

static const char *check_memory(const struct trial *t, const ZydisDecodedOperand *o)
{
	const ZydisDecodedOperandMem *mem = &o->mem;
	const struct insn *insn = &t->insn;
	bool rip = mem->base == ZYDIS_REGISTER_RIP || mem->base == ZYDIS_REGISTER_EIP;
	bool moffs = insn->form == FORM_ACC_MOFFS || insn->form == FORM_MOFFS_ACC;
	s64 disp;

	if (!moffs && (!insn->has_modrm || insn->mod == 3))
		return "memory operand where we see none";
	if (insn->base != their_reg(mem->base) || insn->rip_relative != rip)
		return "base";
	if (mem->type != ZYDIS_MEMOP_TYPE_VSIB && insn->index != their_reg(mem->index))
		return "index";
	if (insn->index >= 0 && 1 << insn->scale != mem->scale)
		return "scale";
	/* EVEX scales 8-bit displacements by the operand, which we leave to who knows it */
	disp = mem->disp.value;
	if (moffs && insn->addrsize < 8)
		disp &= BIT(8 * insn->addrsize) - 1;
	if (t->z.encoding != ZYDIS_INSTRUCTION_ENCODING_EVEX && insn->disp != disp)
		return "displacement";
	/* LEA has no segment; and 3E before JMP and CALL is for CET */
	if (mem->type != ZYDIS_MEMOP_TYPE_AGEN && !(t->z.attributes & ZYDIS_ATTRIB_HAS_NOTRACK) &&
	    insn_segment(insn) != (enum seg)ZydisRegisterGetId(mem->segment))
		return "segment";
	if (insn->addrsize * 8 != t->z.address_width)
		return "address size";
	if (insn->op >= OP_MOV && o->size != 8 * insn->srcsize)
		return "size of the memory operand";
	return NULL;
}

/* The registers of the emulator's instructions, by the places where the forms say they are. */
static const char *check_reg(const struct trial *t, const ZydisDecodedOperand *o)
{
	const struct insn *insn = &t->insn;
	int id = ZydisRegisterGetId(o->reg.value);
	int ours;

	switch (o->encoding) {
	case ZYDIS_OPERAND_ENCODING_MODRM_REG:
		ours = insn->reg;
		break;
	case ZYDIS_OPERAND_ENCODING_MODRM_RM:
	case ZYDIS_OPERAND_ENCODING_OPCODE:
		ours = insn->rm;
		break;
	default:
		return NULL;
	}
	/* AH to BH are 4 to 7, but without REX */
	if (ZydisRegisterGetClass(o->reg.value) == ZYDIS_REGCLASS_GPR8) {
		id = o->reg.value - ZYDIS_REGISTER_AL;
		if (id >= 8)
			id -= 4;
		else if (id >= 4 && insn->rex)
			return "AH with a REX prefix";
	}
	return ours == id ? NULL : "register";
}

static const char *check_operands(const struct trial *t)
{
	const struct insn *insn = &t->insn;
	const ZydisDecodedInstruction *z = &t->z;

	if (insn->op != their_op(t))
		return "name";
	if (insn->op >= OP_MOV && insn->addrsize * 8 != z->address_width)
		return "address size";
	if (!insn->vex && insn->map != MAP_3DNOW &&
	    insn->immsize * 8 != z->raw.imm[0].size + z->raw.imm[1].size &&
	    z->mnemonic != ZYDIS_MNEMONIC_CALL && z->mnemonic != ZYDIS_MNEMONIC_JMP)
		return "size of the immediate";
	if (insn->immsize && insn->op && insn->imm != z->raw.imm[0].value.u)
		return "immediate";
	for (int i = 0; i < z->operand_count_visible; i++) {
		const ZydisDecodedOperand *o = &t->operands[i];
		const char *wrong = NULL;

		if (o->visibility != ZYDIS_OPERAND_VISIBILITY_EXPLICIT)
			continue;
		if (o->type == ZYDIS_OPERAND_TYPE_MEMORY)
			wrong = check_memory(t, o);
		else if (o->type == ZYDIS_OPERAND_TYPE_REGISTER && insn->op)
			wrong = check_reg(t, o);
		if (wrong)
			return wrong;
	}
	return NULL;
}

/* ---- 3. the accepted differences ----------------------------------------------------------- */

static bool via_padlock(const struct trial *t)
{
	return t->error == -EINVAL && t->z.meta.isa_ext == ZYDIS_ISA_EXT_PADLOCK;
}

static bool knights_corner(const struct trial *t)
{
	return t->error == -EINVAL &&
	       (t->z.meta.isa_ext == ZYDIS_ISA_EXT_KNC || t->z.meta.isa_ext == ZYDIS_ISA_EXT_KNCE ||
		t->z.meta.isa_ext == ZYDIS_ISA_EXT_KNCV);
}

static bool lock_mov_cr0(const struct trial *t)
{
	return !t->error && t->status == ZYDIS_STATUS_ILLEGAL_LOCK && t->insn.reg == 8 &&
	       (t->insn.op == OP_MOV_FROM_CR || t->insn.op == OP_MOV_TO_CR);
}

static bool prefixed_vmcall(const struct trial *t)
{
	const struct insn *insn = &t->insn;
	u8 modrm = 0xc0 | (insn->reg & 7) << 3 | (insn->rm & 7);

	return !t->error && t->status == ZYDIS_STATUS_DECODING_ERROR && insn->map == MAP_0F &&
	       insn->opcode == 0x01 && insn->mod == 3 &&
	       ((modrm >= 0xc1 && modrm <= 0xc4) || modrm == 0xc8 || modrm == 0xc9);
}

static bool no_base(const struct trial *t)
{
	const struct insn *insn = &t->insn;

	return !t->error && t->code == CODE_64 && insn->addrsize == 4 && insn->has_sib &&
	       insn->mod == 0 && (t->z.raw.sib.base & 7) == 5 && insn->base == -1;
}

/* Does Zydis know the opcode with other values of what is no part of it: W, L, vvvv, ModRM…? */
static bool has_sibling(const struct trial *t)
{
	static u8 known[3][32][256][4]; /* 1: no, 2: yes */
	u8 b[ROOM] = {0};
	const u8 *first = t->bytes;
	unsigned map, pp, at;
	u8 *answer;

	while (*first != 0xc4 && *first != 0xc5 && *first != 0x62 && *first != 0x8f)
		first++; /* prefixes */
	b[0] = *first == 0xc5 ? 0xc4 : *first;
	map = *first == 0xc5 ? 1 : first[1] & 0x1f;
	if (b[0] == 0x62)
		map &= 7;
	pp = (*first == 0xc5 ? first[1] : first[2]) & 3;
	at = b[0] == 0x62 ? 4 : 3;
	answer = &known[b[0] == 0x62 ? 0 : b[0] == 0xc4 ? 1 : 2][map][t->insn.opcode][pp];
	b[1] = (b[0] == 0x62 ? 0xf0 : 0xe0) | map;
	b[at] = t->insn.opcode;
	for (unsigned i = 0; !*answer && i < 256 * 2 * 16 * 8; i++) {
		ZydisDecodedInstruction z;

		b[at + 1] = i; /* ModRM */
		b[2] = (i >> 8 & 1) << 7 | (i >> 9 & 15) << 3 | (at == 4) << 2 | pp;
		if (at == 4)
			b[3] = (i >> 13 & 3) << 5 | 8 | (i >> 15 & 1);
		else
			b[2] |= i >> 11 & 4;
		if (ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&zydis[CODE_64], NULL, b, ROOM, &z)))
			*answer = 2;
	}
	if (!*answer)
		*answer = 1;
	return *answer == 2;
}

static bool vex_form(const struct trial *t)
{
	return !t->error && t->insn.vex && !ZYAN_SUCCESS(t->status) &&
	       t->status != ZYDIS_STATUS_INSTRUCTION_TOO_LONG && has_sibling(t);
}

static bool movsxd_word(const struct trial *t)
{
	return !t->error && t->z.mnemonic == ZYDIS_MNEMONIC_MOVSXD && t->insn.opsize == 2 &&
	       t->insn.srcsize == 2;
}

static struct {
	bool (*is)(const struct trial *);
	const char *reason;
	u64 count;
} accepted[] = {
	{vex_form,
	 "VEX, EVEX, XOP: the opcode exists, but not with this L, W, vvvv, mask or operand; "
	 "we look at the opcode only (decode_table.c)",
	 0},
	{prefixed_vmcall,
	 "VMCALL to VMXOFF, MONITOR, MWAIT with 66, F2 or F3: Zydis says no, but the "
	 "SDM does not write NP there",
	 0},
	{lock_mov_cr0, "LOCK MOV CR0 is MOV CR8 on AMD (APM vol. 3, MOV CRn); Zydis follows Intel",
	 0},
	{movsxd_word, "66 MOVSXD: 16 bits from 16 (SDM vol. 2, MOVSXD r16, r/m16); Zydis reads 32",
	 0},
	{no_base,
	 "SIB base 5 with mod 0 is no base whatever REX.B says (APM vol. 3 §1.4.3); Zydis takes "
	 "R13D with 67",
	 0},
	{via_padlock, "VIA's PadLock, in neither manual", 0},
	{knights_corner, "instructions of Knights Corner, in neither manual", 0},
};

static u64 trials, wrong_ones;

static void complain(const struct trial *t, const char *what)
{
	if (wrong_ones++ >= 50)
		return;
	printf("%d-bit:", t->code * 8);
	for (int i = 0; i <= INSN_MAX; i++)
		printf(" %02x", t->bytes[i]);
	printf(": %s. We: error %d, length %d, op %d; Zydis: status %x, length %d, %s\n", what,
	       t->error, t->insn.len, t->insn.op, t->status, t->z.length,
	       ZYAN_SUCCESS(t->status) ? ZydisMnemonicGetString(t->z.mnemonic) : "-");
}

/* Both decoders on @bytes (ROOM of them); what is wrong, or NULL. */
static const char *compare(struct trial *t, const u8 *bytes, enum code_size code)
{
	bool theirs;

	*t = (struct trial){.bytes = bytes, .code = code};
	t->error = decode_exact(bytes, INSN_MAX, code, &t->insn);
	t->status = ZydisDecoderDecodeFull(&zydis[code], bytes, ROOM, &t->z, t->operands);
	theirs = ZYAN_SUCCESS(t->status);
	if (t->error == -ENODATA)
		return "-ENODATA with enough bytes";
	if (theirs != !t->error)
		return theirs ? "exists" : "does not exist";
	if (!theirs)
		return NULL;
	if (t->z.length != t->insn.len)
		return "length";
	return check_operands(t);
}

/* One trial with everything. */
static void try(struct trial *t, const u8 *bytes, enum code_size code, unsigned cut)
{
	const char *wrong = compare(t, bytes, code);

	trials++;
	for (size_t i = 0; wrong && i < ARRAY_SIZE(accepted); i++) {
		if (accepted[i].is(t)) {
			accepted[i].count++;
			wrong = NULL;
		}
	}
	if (!wrong)
		wrong = check_cut(t, cut % INSN_MAX);
	if (wrong)
		complain(t, wrong);
}

/* ---- 4. sources of bytes ------------------------------------------------------------------- */

static u64 state;

/* xorshift64: Marsaglia, "Xorshift RNGs", 2003 */
static u64 random_bits(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state >> 20;
}

/* Prefixes more often than chance has them, then the beginning of one of the maps. */
static void make_up(u8 *b)
{
	static const u8 prefixes[] = {0x66, 0xf2, 0xf3, 0x67, 0xf0, 0x2e,
				      0x36, 0x3e, 0x26, 0x64, 0x65};
	u64 r = random_bits();

	for (int i = 0; i < ROOM; i += 4)
		memcpy(b + i, &(u32){random_bits()}, 4);
	while ((r & 3) == 0) {
		*b++ = prefixes[(r >> 2) % ARRAY_SIZE(prefixes)];
		r = random_bits();
	}
	if ((r >> 8 & 3) == 0)
		*b++ = 0x40 | (r >> 10 & 15);
	switch (r >> 16 & 15) {
	case 0 ... 4:
		*b++ = 0x0f;
		break;
	case 5:
	case 6:
		*b++ = 0x0f;
		*b++ = r & 0x100000 ? 0x38 : 0x3a;
		break;
	case 7:
		*b++ = 0x0f;
		*b++ = 0x0f;
		break;
	case 8:
		*b = 0xc5;
		break;
	case 9: /* a map that there is, and in half of them what fits most: no second operand */
		b[0] = 0xc4;
		b[1] = (b[1] & 0xe0) | (r >> 20 & 3);
		b[2] |= r & 0x400000 ? 0x78 : 0;
		break;
	case 10:
		b[0] = 0x62;
		b[1] &= 0xf7;
		b[2] |= r & 0x400000 ? 0x7c : 4;
		break;
	case 11:
		b[0] = 0x8f;
		b[1] = (b[1] & 0xe0) | (8 + (r >> 20) % 3);
		b[2] &= 0xfc;
		break;
	}
}

static void run_random(u64 n)
{
	/* ROOM more, for the prefixes that make_up() puts before */
	u8 bytes[2 * ROOM] = {0};
	struct trial t;

	for (u64 i = 0; i < n; i++) {
		make_up(bytes);
		for (int code = CODE_16; code <= CODE_64; code *= 2)
			try(&t, bytes, code, random_bits());
	}
}

/* Does Capstone see another length? It does not know that UD0 and UD1 have a ModRM byte. */
static bool capstone_differs(csh capstone, cs_insn *insn, const u8 *bytes, unsigned length)
{
	size_t left = ROOM;
	u64 address = 0;

	return cs_disasm_iter(capstone, &bytes, &left, &address, insn) && insn->size != length &&
	       insn->id != X86_INS_UD0 && insn->id != X86_INS_UD2B;
}

/* A linear sweep. */
static void run_code(const u8 *code, size_t n)
{
	u8 bytes[ROOM];
	struct trial t;
	csh capstone;
	cs_insn *insn;

	if (cs_open(CS_ARCH_X86, CS_MODE_64, &capstone) != CS_ERR_OK)
		exit(2);
	insn = cs_malloc(capstone);
	for (size_t at = 0; at < n; at += ZYAN_SUCCESS(t.status) ? t.z.length : 1) {
		memset(bytes, 0x90, ROOM);
		memcpy(bytes, code + at, min(n - at, (size_t)ROOM));
		try(&t, bytes, CODE_64, at);
		if (ZYAN_SUCCESS(t.status) && capstone_differs(capstone, insn, bytes, t.z.length))
			complain(&t, "Capstone differs");
	}
	cs_free(insn, 1);
	cs_close(&capstone);
}

static u8 *read_file(const char *path, size_t *n)
{
	FILE *f = fopen(path, "rb");
	u8 *data;

	if (!f || fseek(f, 0, SEEK_END)) {
		perror(path);
		exit(2);
	}
	*n = ftell(f);
	rewind(f);
	data = malloc(*n);
	if (!data || fread(data, 1, *n, f) != *n) {
		perror(path);
		exit(2);
	}
	fclose(f);
	return data;
}

static void run_elf(const u8 *file, size_t n)
{
	const Elf64_Ehdr *header = (const void *)file;
	const Elf64_Shdr *section;

	if (n < sizeof(*header) || memcmp(file, ELFMAG "\2", SELFMAG + 1) ||
	    header->e_shoff + header->e_shnum * sizeof(*section) > n) {
		fprintf(stderr, "not a 64-bit ELF file with sections\n");
		exit(2);
	}
	section = (const void *)(file + header->e_shoff);
	for (int i = 0; i < header->e_shnum; i++, section++)
		if ((section->sh_flags & SHF_EXECINSTR) && section->sh_type == SHT_PROGBITS &&
		    section->sh_offset + section->sh_size <= n)
			run_code(file + section->sh_offset, section->sh_size);
}

int main(int argc, char **argv)
{
	size_t n;
	u8 *data;

	init();
	if (argc == 4 && !strcmp(argv[1], "--random")) {
		state = strtoull(argv[3], NULL, 0) * 0x9e3779b97f4a7c15 + 0xcafe;
		run_random(strtoull(argv[2], NULL, 0));
	} else if (argc == 3 && (!strcmp(argv[1], "--elf") || !strcmp(argv[1], "--raw"))) {
		data = read_file(argv[2], &n);
		if (!strcmp(argv[1], "--elf"))
			run_elf(data, n);
		else
			run_code(data, n);
		free(data);
	} else {
		fprintf(stderr, "usage: %s --random N SEED | --elf FILE | --raw FILE\n", argv[0]);
		return 2;
	}
	for (size_t i = 0; i < ARRAY_SIZE(accepted); i++)
		printf("%10lu accepted: %s\n", accepted[i].count, accepted[i].reason);
	printf("%10lu trials, %lu unexplained differences\n", trials, wrong_ones);
	return wrong_ones || !trials;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * crs: MOV to and from control registers, with every general register; CLTS, LMSW, SMSW (APM vol. 2
 * §3.1, vol. 3 §4). A VM with trap=cr makes them all exits.
 *
 * What a VMM gets wrong here: the register's number (ModRM.rm with REX.B; R8 to R15, and RSP, which
 * the processor keeps in another place than the rest); ModRM.mod, which MOV CR ignores; that the
 * operand has 64 bits in long mode whatever the prefixes; LMSW, which can set CR0.PE but not clear
 * it, and touches four bits only; SMSW to memory, always 16 bits; what it shows of a CR0 or CR4 in
 * which it set bits of its own.
 *
 * Reserved bits, which raise #GP, are in crfault: QEMU's own processor lets them pass.
 */
#include "lib/probe.h"

#define SLOT 32 /* bytes; each holds one instruction, then INT3s */

/* reads: for each control register and each general register in turn, one slot. And writes. */
#ifdef __x86_64__
#define REGISTERS "rax rcx rdx rbx rsp rbp rsi rdi r8 r9 r10 r11 r12 r13 r14 r15"
#define CONTROLS  "cr0 cr2 cr3 cr4 cr8"
static const u8 controls[] = {0, 2, 3, 4, 8};
#else
#define REGISTERS "eax ecx edx ebx esp ebp esi edi"
#define CONTROLS  "cr0 cr2 cr3 cr4"
static const u8 controls[] = {0, 2, 3, 4};
#endif

extern const u8 reads[], writes[];
__asm__(".pushsection .text.probe, \"ax\"\n"
	".balign 32, 0xcc\n"
	"reads:\n"
	".irp control, " CONTROLS "\n.irp register, " REGISTERS "\n"
	"mov %\\control, %\\register\n .balign 32, 0xcc\n"
	".endr\n.endr\n"
	"writes:\n"
	".irp control, " CONTROLS "\n.irp register, " REGISTERS "\n"
	"mov %\\register, %\\control\n .balign 32, 0xcc\n"
	".endr\n.endr\n"
	".popsection");

/* ModRM 00 instead of 11 000 000: still RAX, and no memory. */
CODE(read_cr0_mod, ".byte 0x0f, 0x20, 0x00");
CODE(write_cr2_mod, ".byte 0x0f, 0x22, 0x51");
CODE(read_cr0_66, ".byte 0x66, 0x0f, 0x20, 0xc1");
CODE(read_cr1, ".byte 0x0f, 0x20, 0xc8");
CODE(write_cr5, ".byte 0x0f, 0x22, 0xe8");
#ifdef __x86_64__
CODE(read_cr9, ".byte 0x44, 0x0f, 0x20, 0xc8");
CODE(read_cr0_rex, ".byte 0x4b, 0x0f, 0x20, 0xc1"); /* REX.WXB: into R9, W and X mean nothing */
#endif
CODE(code_clts, ".byte 0x66, 0x0f, 0x06");
CODE(lmsw_register, "lmsw %si");
CODE(lmsw_memory, "lmsw 8(%" REG "si)");
CODE(smsw_word, "smsw %bp");
CODE(smsw_long, "smsw %ebp");
CODE(smsw_memory, "smsw 4(%" REG "si, %" REG "cx, 2)");

static reg_t read_control(unsigned n)
{
	reg_t v;

	switch (n) {
	case 0:
		return read_cr0();
	case 2:
		return read_cr2();
	case 3:
		return read_cr3();
	case 4:
		return read_cr4();
	default:
		v = 0;
#ifdef __x86_64__
		__asm__ volatile("mov %%cr8, %0" : "=r"(v));
#endif
		return v;
	}
}

/* A value that the register can hold and does not hold now. */
static reg_t other_value(unsigned n, unsigned i)
{
	switch (n) {
	case 0:
		return read_cr0() ^ (i & 1 ? CR0_WP : CR0_MP);
	case 2:
		return (reg_t)0x123456789abcdef0 + i;
	case 3:
		return read_cr3() ^ (i & 1 ? 0x08 : 0x10); /* PWT, PCD */
	case 4:
		return read_cr4() ^ (i & 1 ? CR4_TSD : CR4_DE);
	default:
		return (read_control(n) + 3) & 0xf;
	}
}

/* The probe needs a stack, and only in long mode has it one that is not RSP's. */
static bool usable(unsigned reg)
{
	return reg != RSP || sizeof(reg_t) == 8;
}

static unsigned length(unsigned control, unsigned reg)
{
	return control >= 8 || reg >= 8 ? 4 : 3;
}

static bool read_works(const u8 *code, unsigned control, unsigned reg)
{
	struct state before = state_new(), s;

	s = before;
	probe(code, &s);
	return s.vector == VEC_BP && s.rip == (reg_t)code + length(control, reg) + 1 &&
	       registers_changed(&before, &s) == BIT(reg) && s.gpr[reg] == read_control(control);
}

static bool write_works(const u8 *code, unsigned control, unsigned reg, unsigned i)
{
	reg_t old = read_control(control), value = other_value(control, i);
	struct state before = state_new(), s;
	bool works;

	before.gpr[reg] = value;
	s = before;
	probe(code, &s);
	works = s.vector == VEC_BP && s.rip == (reg_t)code + length(control, reg) + 1 &&
		!registers_changed(&before, &s) && read_control(control) == value;
	/* Back to what it was, by the same instruction. */
	before.gpr[reg] = old;
	s = before;
	probe(code, &s);
	return works && read_control(control) == old;
}

/* A mask for each control register: bit n set, it works with general register n. */
static void check_registers(void)
{
	static const char *const read_names[] = {"read-cr0", "read-cr2", "read-cr3", "read-cr4",
						 "read-cr8"};
	static const char *const write_names[] = {"write-cr0", "write-cr2", "write-cr3",
						  "write-cr4", "write-cr8"};
	u32 read, write, all;

	write_cr2((reg_t)0xfedcba9876543210);
	for (unsigned c = 0; c < ARRAY_SIZE(controls); c++) {
		read = write = all = 0;
		for (unsigned r = 0; r < GPRS; r++) {
			if (!usable(r))
				continue;
			all |= BIT(r);
			if (read_works(reads + (c * GPRS + r) * SLOT, controls[c], r))
				read |= BIT(r);
			if (write_works(writes + (c * GPRS + r) * SLOT, controls[c], r, c + r))
				write |= BIT(r);
		}
		check_equal(read_names[c], read, all);
		check_equal(write_names[c], write, all);
	}
}

static void reads_cr0_into(const char *what, const u8 *code, const u8 *end, unsigned reg)
{
	struct state before = state_new(), s = before;

	probe(code, &s);
	check(what, s.vector == VEC_BP && s.rip == (reg_t)end + 1 && s.gpr[reg] == read_cr0() &&
			    registers_changed(&before, &s) == BIT(reg));
}
#define READS(what, name, reg) reads_cr0_into(what, name, name##_end, reg)

static void undefined(const char *what, const u8 *code)
{
	struct state s = state_new();

	probe(code, &s);
	check_fault(what, code, &s, VEC_UD, 0, 0);
}

static void check_encodings(void)
{
	struct state s = state_new();

	READS("mod-ignored-read", read_cr0_mod, RAX);
	READS("prefix-66-read", read_cr0_66, RCX);
	s.gpr[RCX] = 0x5a5a1234;
	probe(write_cr2_mod, &s);
	/* #PF would have set CR2, so a VMM that reads memory here is seen, too. */
	check("mod-ignored-write", s.vector == VEC_BP && read_cr2() == 0x5a5a1234 &&
					   s.rip == (reg_t)write_cr2_mod_end + 1);
	undefined("no-cr1", read_cr1);
	undefined("no-cr5", write_cr5);
#ifdef __x86_64__
	READS("rex-read", read_cr0_rex, R9);
	undefined("no-cr9", read_cr9);
#endif
}

#define LOW_BITS (CR0_PE | CR0_MP | CR0_EM | CR0_TS)

/* LMSW by this code, with @value in SI and behind it in memory; what CR0's low bits are then. */
static u32 after_lmsw(const u8 *code, u16 value)
{
	static u16 memory[8];
	struct state s = state_new();

	memory[4] = value;
	s.gpr[RSI] = code == lmsw_memory ? (reg_t)memory : (s.gpr[RSI] & ~(reg_t)0xffff) | value;
	probe(code, &s);
	return s.vector == VEC_BP ? read_cr0() & 0xffff : s.vector << 16;
}

static void check_status_word(void)
{
	static u16 memory[8];
	reg_t cr0 = read_cr0();
	const u32 high = cr0 & 0xfff0; /* what LMSW must leave alone */
	struct state s;

	write_cr0(cr0 | CR0_TS);
	s = state_new();
	probe(code_clts, &s);
	check("clts", ran_to_end(code_clts, &s) && read_cr0() == (cr0 & ~CR0_TS));

	check_equal("lmsw-sets", after_lmsw(lmsw_register, 0xffff) ^ high, LOW_BITS);
	check_equal("lmsw-keeps-pe", after_lmsw(lmsw_register, 0) ^ high, CR0_PE);
	check_equal("lmsw-memory", after_lmsw(lmsw_memory, 0xfffa) ^ high,
		    CR0_PE | CR0_MP | CR0_TS);
	check("lmsw-upper-half", read_cr0() >> 16 == cr0 >> 16);
	write_cr0(cr0);

	s = state_new();
	probe(smsw_word, &s);
	check("smsw-word", s.vector == VEC_BP && (s.gpr[RBP] & 0xffff) == (cr0 & 0xffff) &&
				   s.gpr[RBP] >> 16 == state_new().gpr[RBP] >> 16);
	s = state_new();
	probe(smsw_long, &s);
	check("smsw-long", s.vector == VEC_BP && (s.gpr[RBP] & 0xffff) == (cr0 & 0xffff));
	s = state_new();
	memset(memory, 0x77, sizeof(memory));
	s.gpr[RSI] = (reg_t)memory;
	s.gpr[RCX] = 1;
	probe(smsw_memory, &s);
	check("smsw-memory", s.vector == VEC_BP && memory[3] == (cr0 & 0xffff) &&
				     memory[2] == 0x7777 && memory[4] == 0x7777);
}

static void check_bits(void)
{
	static const u32 cr0_bits[] = {CR0_MP, CR0_EM, CR0_TS, CR0_NE, CR0_WP, CR0_AM};
	static const u32 cr4_bits[] = {CR4_TSD, CR4_DE,	    CR4_PSE,
				       CR4_PGE, CR4_OSFXSR, CR4_OSXMMEXCPT};
	reg_t cr0 = read_cr0(), cr4 = read_cr4();
	unsigned good = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(cr0_bits); i++) {
		write_cr0(cr0 | cr0_bits[i]);
		good += read_cr0() == (cr0 | cr0_bits[i]);
		write_cr0(cr0 & ~(reg_t)cr0_bits[i]);
		good += read_cr0() == (cr0 & ~(reg_t)cr0_bits[i]);
	}
	write_cr0(cr0);
	check_equal("cr0-bits", good, 2 * ARRAY_SIZE(cr0_bits));
	write_cr0(cr0 & ~(reg_t)CR0_ET);
	check("cr0-et-is-wired", read_cr0() & CR0_ET);

	good = 0;
	for (unsigned i = 0; i < ARRAY_SIZE(cr4_bits); i++) {
		write_cr4(cr4 | cr4_bits[i]);
		good += read_cr4() == (cr4 | cr4_bits[i]);
		write_cr4(cr4 & ~(reg_t)cr4_bits[i]);
		good += read_cr4() == (cr4 & ~(reg_t)cr4_bits[i]);
	}
	write_cr4(cr4);
	check_equal("cr4-bits", good, 2 * ARRAY_SIZE(cr4_bits));
}

CODE(code_rdtsc, "rdtsc");
CODE(code_fnop, "fnop");

/* And bits do what they are for. */
static void check_effects(void)
{
	struct state s = state_new_user();

	probe(code_rdtsc, &s);
	check_fault("rdtsc-allowed", code_rdtsc, &s, VEC_BP, 0, 3);
	write_cr4(read_cr4() | CR4_TSD);
	s = state_new_user();
	probe(code_rdtsc, &s);
	check_fault("rdtsc-forbidden", code_rdtsc, &s, VEC_GP, 0, 0);
	write_cr4(read_cr4() & ~CR4_TSD);

	write_cr0(read_cr0() | CR0_TS);
	s = state_new();
	probe(code_fnop, &s);
	check_fault("fpu-off", code_fnop, &s, VEC_NM, 0, 0);
	__asm__ volatile("clts");
	s = state_new();
	probe(code_fnop, &s);
	check_fault("fpu-on", code_fnop, &s, VEC_BP, 0, 3);
}

void guest(void)
{
	/* CR0 as a known value first: loaders leave it differently. */
	write_cr0((read_cr0() & CR0_PG) | CR0_PE | CR0_ET | CR0_NE);
	check_registers();
	check_encodings();
	check_status_word();
	check_bits();
	check_effects();
}

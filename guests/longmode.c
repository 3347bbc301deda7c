/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * longmode: 64-bit mode, compatibility mode, and the way between them and out of both (APM vol. 2
 * §1.3, 14.6, 14.7; SYSCALL: vol. 2 §6.1.1).
 *
 * Whether code is read as 64, 32 or 16-bit code is decided by the code segment's L and D bits, not
 * by EFER.LMA alone. What a VMM gets wrong here: it reads 32-bit code as if it were 64-bit (0x40 is
 * INC EAX there, and REX here); it forgets segment bases, which count again in compatibility mode;
 * it cuts RIP to 32 bits, or fails to cut it; it loses R8 to R15 over an exit of 32-bit code; it
 * does not keep EFER.LMA in step with CR0.PG (with trap=cr, that is its work).
 */
#include "lib/paging.h"
#include "lib/probe.h"

#define CODE32(name, text) CODE(name, ".code32\n" text "\n .code64")
#define CODE16(name, text) CODE(name, ".code16\n" text "\n .code64")

CODE32(compat_cpuid, "cpuid");
CODE32(compat_prefixed, ".byte 0x66, 0x67, 0x0f, 0xa2");
CODE32(compat_inc_in, "inc %eax\n in %dx, %al");   /* 40 ec */
CODE32(compat_in_long, "dec %eax\n in %dx, %eax"); /* 48 ed */
CODE32(compat_rdmsr, "rdmsr");
CODE32(compat_outs, "rep outsb %fs:(%esi), %dx");
CODE32(compat_ins, "mov %ebx, %es\n rep insb");
CODE16(compat16_cpuid, "cpuid");
CODE16(compat16_in, "in %dx, %eax"); /* 66 ed */
CODE16(compat16_in_word, "in %dx, %ax");
CODE16(compat16_outs, "rep outsb %ds:(%si), %dx");
CODE(many_exits, "1: cpuid\n out %al, $0xe4\n in $0xe9, %al\n sub $1, %rsi\n jnz 1b");
CODE(user_syscall, "nop\n syscall\n nop");

#define SEL_CODE16_HERE SEL_FREE       /* 16-bit code, starting at our own code */
#define SEL_DATA_HERE	(SEL_FREE + 8) /* a segment with a base */
#define PORT_TEXT	0xe9	       /* reads as e9 */

/* In longmode_asm.S. */
extern const u8 syscall_entry[], sysret32_target[];
extern u64 syscall_rcx, syscall_r11, syscall_flags, syscall_return32;
u32 visit_legacy_mode(void);

static u8 buffer[64] __aligned(64);

static struct state compat_state(void)
{
	struct state s = state_new();

	/* Below 4 GiB all of them: upper halves are undefined once 32-bit code runs. */
	for (unsigned i = 0; i < R8; i++)
		s.gpr[i] &= 0xffffffff;
	s.cs = SEL_CODE32;
	return s;
}

/* Bits: the end is right; R8 to R15 and what is not in @may_change are kept. */
static unsigned ended(const u8 *start, const u8 *end, const struct state *before,
		      const struct state *s, u32 may_change)
{
	return (s->vector == VEC_BP && s->rip - 1 == (reg_t)end - (reg_t)start) << 1 |
	       !(registers_changed(before, s) & ~may_change);
}

/* Run 32-bit code. RIP is made relative to the start, as it is for 16-bit code below. */
static unsigned run32(const u8 *code, const u8 *end, struct state *s, u32 may_change)
{
	struct state before = *s;

	probe(code, s);
	s->rip -= (reg_t)code;
	return ended(code, end, &before, s, may_change);
}

/* Run 16-bit code: its segment starts where the code does. */
static unsigned run16(const u8 *code, const u8 *end, struct state *s, u32 may_change)
{
	struct state before = *s;

	gdt[SEL_CODE16_HERE / 8] = segment_descriptor((reg_t)code, 0xffff, 0x9b, 0);
	s->cs = before.cs = SEL_CODE16_HERE;
	probe(NULL, s);
	return ended(code, end, &before, s, may_change);
}
#define RUN32(name, s, may_change) run32(name, name##_end, s, may_change)
#define RUN16(name, s, may_change) run16(name, name##_end, s, may_change)

#define RESULTS			   (BIT(RAX) | BIT(RBX) | BIT(RCX) | BIT(RDX))

static bool is_cpuid_0(const struct state *s)
{
	struct cpuid r = cpuid(0, 0);

	return s->gpr[RAX] == r.eax && s->gpr[RBX] == r.ebx && s->gpr[RCX] == r.ecx &&
	       s->gpr[RDX] == r.edx;
}

static void check_compat(void)
{
	struct state s = compat_state();
	unsigned ok;

	s.gpr[RAX] = s.gpr[RCX] = 0;
	ok = RUN32(compat_cpuid, &s, RESULTS);
	check_equal("compat-cpuid", ok << 1 | is_cpuid_0(&s), 7);
	s = compat_state();
	s.gpr[RAX] = s.gpr[RCX] = 0;
	ok = RUN32(compat_prefixed, &s, RESULTS);
	check_equal("compat-cpuid-prefixed", ok << 1 | is_cpuid_0(&s), 7);

	s = compat_state();
	s.gpr[RAX] = 0x112233ff;
	s.gpr[RDX] = PORT_TEXT;
	ok = RUN32(compat_inc_in, &s, BIT(RAX));
	check_equal("compat-inc-in", (u64)ok << 32 | s.gpr[RAX], 3ull << 32 | 0x112234e9);
	s = compat_state();
	s.gpr[RDX] = 0x3a00;
	ok = RUN32(compat_in_long, &s, BIT(RAX));
	check_equal("compat-dec-in", (u64)ok << 32 | s.gpr[RAX], 3ull << 32 | 0xffffffff);

	wrmsr(MSR_SYSENTER_EIP, 0x0feeddad);
	s = compat_state();
	s.gpr[RCX] = MSR_SYSENTER_EIP;
	ok = RUN32(compat_rdmsr, &s, BIT(RAX) | BIT(RDX));
	check_equal("compat-rdmsr", (u64)ok << 32 | s.gpr[RAX], 3ull << 32 | 0x0feeddad);
}

static void check_compat_strings(void)
{
	static const char text[] = "compatible\n";
	const unsigned n = sizeof(text) - 1;
	struct state s = compat_state();
	unsigned ok;

	gdt[SEL_DATA_HERE / 8] = segment_descriptor((reg_t)text - 0x100, 0xfffff, 0xf3, 0xc);
	__asm__ volatile("mov %0, %%fs" : : "r"(SEL_DATA_HERE | 3));
	s.gpr[RDX] = PORT_TEXT;
	s.gpr[RSI] = 0x100;
	s.gpr[RCX] = n;
	ok = RUN32(compat_outs, &s, BIT(RSI) | BIT(RCX));
	check_equal("compat-outs", (u64)ok << 32 | s.gpr[RSI] << 16 | s.gpr[RCX],
		    3ull << 32 | (0x100 + n) << 16);
	__asm__ volatile("mov %0, %%fs" : : "r"(SEL_USER_DATA));

	gdt[SEL_DATA_HERE / 8] = segment_descriptor((reg_t)buffer - 0x200, 0xfffff, 0xf3, 0xc);
	s = compat_state();
	s.gpr[RBX] = SEL_DATA_HERE | 3;
	s.gpr[RDX] = PORT_TEXT;
	s.gpr[RDI] = 0x204;
	s.gpr[RCX] = 8;
	ok = RUN32(compat_ins, &s, BIT(RDI) | BIT(RCX));
	check_equal("compat-ins", (u64)ok << 32 | s.gpr[RDI] << 16 | s.gpr[RCX],
		    3ull << 32 | 0x20c << 16);
	check_equal("compat-ins-memory",
		    buffer[3] << 24 | buffer[4] << 16 | buffer[11] << 8 | buffer[12], 0x00e9e900);
	__asm__ volatile("mov %0, %%es" : : "r"(SEL_USER_DATA));
}

static void check_compat16(void)
{
	static const char text[] = "sixteen\n";
	const unsigned n = sizeof(text) - 1;
	struct state s = compat_state();
	unsigned ok;
	u32 before;

	s.gpr[RAX] = s.gpr[RCX] = 0;
	ok = RUN16(compat16_cpuid, &s, RESULTS);
	check_equal("compat16-cpuid", ok << 1 | is_cpuid_0(&s), 7);
	s = compat_state();
	s.gpr[RDX] = 0x3a00;
	ok = RUN16(compat16_in, &s, BIT(RAX));
	check_equal("compat16-in", (u64)ok << 32 | s.gpr[RAX], 3ull << 32 | 0xffffffff);
	s = compat_state();
	s.gpr[RDX] = 0x3a00;
	before = s.gpr[RAX];
	ok = RUN16(compat16_in_word, &s, BIT(RAX));
	check_equal("compat16-in-word", (u64)ok << 32 | s.gpr[RAX], 3ull << 32 | before | 0xffff);

	gdt[SEL_DATA_HERE / 8] = segment_descriptor((reg_t)text - 0x8000, 0xfffff, 0xf3, 0xc);
	__asm__ volatile("mov %0, %%ds" : : "r"(SEL_DATA_HERE | 3));
	s = compat_state();
	s.gpr[RDX] = PORT_TEXT;
	s.gpr[RSI] = 0x66668000;
	s.gpr[RCX] = 0x77770000 | n;
	ok = RUN16(compat16_outs, &s, BIT(RSI) | BIT(RCX));
	__asm__ volatile("mov %0, %%ds" : : "r"(SEL_USER_DATA));
	check_equal("compat16-outs", (u64)ok << 32 | s.gpr[RSI], 3ull << 32 | (0x66668000 + n));
	check_equal("compat16-outs-count", s.gpr[RCX], 0x77770000);
}

static void check_syscall(void)
{
	struct state before = state_new_user(), s;
	u64 efer = rdmsr(MSR_EFER);

	s = before;
	probe(user_syscall, &s);
	check_fault("syscall-off", user_syscall, &s, VEC_UD, 0, 1);

	wrmsr(MSR_EFER, efer | EFER_SCE);
	wrmsr(MSR_STAR, (u64)SEL_USER_CODE32 << 48 | (u64)SEL_CODE64 << 32);
	wrmsr(MSR_LSTAR, (u64)syscall_entry);
	wrmsr(MSR_SFMASK, FLAGS_DF | FLAGS_CF);
	before.flags |= FLAGS_DF | FLAGS_CF | FLAGS_ZF | 3 * FLAGS_IOPL;
	s = before;
	probe(user_syscall, &s);
	check_fault("syscall-returns", user_syscall, &s, VEC_BP, 0, 5);
	check("syscall-rcx", syscall_rcx == (u64)user_syscall + 3);
	check_equal("syscall-r11", syscall_r11, before.flags);
	/* Not the status flags: QEMU's own processor clears them, whatever the mask. */
	check_equal("syscall-masked", syscall_flags & ~FLAGS_STATUS, FLAGS_ONE | 3 * FLAGS_IOPL);
	check_equal("syscall-changes", registers_changed(&before, &s), BIT(RCX) | BIT(R11));
	check_equal("sysret-flags", s.flags & (FLAGS_DF | FLAGS_CF | FLAGS_ZF),
		    FLAGS_DF | FLAGS_CF | FLAGS_ZF);
	check_equal("sysret-segments", s.cs << 16 | s.ss, SEL_USER_CODE64 << 16 | SEL_USER_DATA);

	/* And back to 32-bit code. */
	syscall_return32 = (u64)sysret32_target;
	s = before;
	probe(user_syscall, &s);
	syscall_return32 = 0;
	check_fault("sysret32", sysret32_target, &s, VEC_BP, 0, 7);
	check_equal("sysret32-segments", s.cs << 16 | s.ss, SEL_USER_CODE32 << 16 | SEL_USER_DATA);
	check_equal("sysret32-ran", s.gpr[RBX], 0x12345677);
	wrmsr(MSR_EFER, efer);
}

extern u64 boot_pml4[], boot_pdpt[];

/* The same code at other addresses: in the upper half, and across 4 GiB. */
static void check_addresses(void)
{
	static u8 below[PAGE_SIZE] __aligned(4096), above[PAGE_SIZE] __aligned(4096);
	static u64 directory[2][512] __aligned(4096), pages[2][512] __aligned(4096);
	const u64 high = 0xffff800000000000, four_gib = 1ull << 32;
	struct state s = state_new();

	boot_pml4[256] = boot_pml4[0];
	s.gpr[RSI] = 3;
	probe((const u8 *)(high + (reg_t)many_exits), &s);
	check("high-half", s.vector == VEC_BP && s.rip == high + (reg_t)many_exits_end + 1);

	/* CPUID with its first byte below 4 GiB, and the second above. */
	boot_pdpt[3] = (u64)directory[0] | PTE_ALL;
	directory[0][511] = (u64)pages[0] | PTE_ALL;
	pages[0][511] = (u64)below | PTE_ALL;
	boot_pdpt[4] = (u64)directory[1] | PTE_ALL;
	directory[1][0] = (u64)pages[1] | PTE_ALL;
	pages[1][0] = (u64)above | PTE_ALL;
	memset(above, 0xcc, sizeof(above));
	below[PAGE_SIZE - 1] = compat_cpuid[0];
	above[0] = compat_cpuid[1];
	barrier();
	s = state_new();
	s.gpr[RAX] = s.gpr[RCX] = 0;
	probe((const u8 *)(four_gib - 1), &s);
	check("across-4g", s.vector == VEC_BP && s.rip == four_gib + 2 && is_cpuid_0(&s));
}

void guest(void)
{
	struct state before = state_new(), s;

	check_equal("efer-lma", rdmsr(MSR_EFER) & (EFER_LMA | EFER_LME), EFER_LMA | EFER_LME);
	before.gpr[RSI] = 500;
	s = before;
	probe(many_exits, &s);
	check_equal("many-exits",
		    (s.vector == VEC_BP && s.rip == (reg_t)many_exits_end + 1) << 1 |
			    !(registers_changed(&before, &s) & ~(RESULTS | BIT(RSI))),
		    3);
	check_compat();
	check_compat_strings();
	check_compat16();
	check_syscall();
	check_addresses();
	check_equal("legacy-mode-efer", visit_legacy_mode(), 0);
	check_equal("back-efer", rdmsr(MSR_EFER) & (EFER_LMA | EFER_LME), EFER_LMA | EFER_LME);
	s = compat_state();
	s.gpr[RAX] = s.gpr[RCX] = 0;
	check_equal("back-compat-cpuid", RUN32(compat_cpuid, &s, RESULTS) << 1 | is_cpuid_0(&s), 7);
}

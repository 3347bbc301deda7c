/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fpu: x87, SSE and AVX registers, their control words, XCR0 and XSAVE (APM vol. 2 chapter 11).
 *
 * What a VMM gets wrong here: VMRUN switches none of these registers. A VMM that uses one itself
 * (its compiler may, to copy memory), or that runs another guest in between, changes the guest's
 * numbers thousands of instructions later. And XCR0 is one register for both: a guest's XSETBV must
 * not stay behind for the VMM, nor may CPUID or XGETBV tell the guest of the VMM's.
 *
 * Processors without AVX or XSAVE answer the same: what they cannot lose, they kept.
 *
 * Not asked, because QEMU's own processor does it differently: unmasked SSE exceptions (#XM), and
 * reserved bits of MXCSR.
 */
#include "lib/probe.h"

#ifdef __x86_64__
#define XMMS	  "0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15"
#define XMM_COUNT 16
#else
#define XMMS	  "0 1 2 3 4 5 6 7"
#define XMM_COUNT 8
#endif

#define LEAF1_XSAVE BIT(26)
#define LEAF1_AVX   BIT(28)
#define XCR0_X87    BIT(0)
#define XCR0_SSE    BIT(1)
#define XCR0_AVX    BIT(2)

struct registers {
	u8 x87[512]; /* FXSAVE's layout: control words, x87 registers, XMM registers */
	u8 ymm[16][32];
};

static struct registers loaded, seen __aligned(64);
static u8 area[4096] __aligned(64); /* for XSAVE; more than any CPU here needs for x87, SSE, AVX */
static bool has_avx, has_xsave;

CODE(code_xgetbv, "xgetbv");
CODE(code_xsetbv, "xsetbv");
CODE(x87_error, "fnclex\n fldz\n fld1\n fdivp\n fwait");

static void turn_on(void)
{
	u32 features = cpuid(1, 0).ecx;
	reg_t cr0 = read_cr0() & ~(CR0_EM | CR0_TS);

	has_xsave = features & LEAF1_XSAVE;
	has_avx = has_xsave && features & LEAF1_AVX;
	write_cr0(cr0 | CR0_MP | CR0_NE);
	write_cr4(read_cr4() | CR4_OSFXSR | CR4_OSXMMEXCPT | (has_xsave ? CR4_OSXSAVE : 0));
	if (has_xsave)
		xsetbv(0, XCR0_X87 | XCR0_SSE | (has_avx ? XCR0_AVX : 0));
}

/* Different bytes for every register, from a simple generator. */
static void fill(void *at, size_t n, u32 seed)
{
	u8 *p = at;

	while (n--) {
		seed = seed * 1664525 + 1013904223;
		*p++ = seed >> 24;
	}
}

static void load_all(void)
{
	__asm__ volatile("fxrstor %0" : : "m"(loaded.x87));
	if (has_avx)
		__asm__ volatile(".irp n, " XMMS "\n vmovdqu 32*\\n(%0), %%ymm\\n\n .endr"
				 :
				 : "r"(loaded.ymm)
				 : "memory");
}

static void store_all(void)
{
	memset(&seen, 0, sizeof(seen));
	if (has_avx)
		__asm__ volatile(".irp n, " XMMS "\n vmovdqu %%ymm\\n, 32*\\n(%0)\n .endr"
				 :
				 : "r"(seen.ymm)
				 : "memory");
	__asm__ volatile("fxsave %0" : "=m"(seen.x87));
}

/* FXSAVE's image: registers that hold ordinary numbers, and control words that are not default. */
static void prepare(u32 seed)
{
	static const u8 exponent[2] = {0xff, 0x3f};

	fill(&loaded, sizeof(loaded), seed);
	memset(loaded.x87, 0, 32);
	*(u16 *)(loaded.x87 + 0) = 0x0e7f;	/* FCW: round up, double precision, all masked */
	*(u16 *)(loaded.x87 + 2) = 0x2800;	/* FSW: top of stack at 5 */
	loaded.x87[4] = 0xff;			/* FTW: all registers in use */
	*(u32 *)(loaded.x87 + 24) = 0x0000bf80; /* MXCSR: round down, flush to zero, all masked */
	for (unsigned i = 0; i < 8; i++) {
		u8 *st = loaded.x87 + 32 + 16 * i;

		st[7] |= 0x80; /* the integer bit */
		memcpy(st + 8, exponent, 2);
		memset(st + 10, 0, 6);
	}
	/* The low halves of YMM are the XMM registers. */
	for (unsigned i = 0; i < XMM_COUNT; i++)
		memcpy(loaded.x87 + 160 + 16 * i, loaded.ymm[i], 16);
}

/* Exits of several kinds, and none of them may touch a floating-point register. */
static void make_exits(unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		cpuid(i & 1, 0);
		outb(0xe4, i);
		inb(0xe9);
		if (i % 16 == 0)
			wrmsr(MSR_SYSENTER_CS, rdmsr(MSR_SYSENTER_CS));
	}
}

static unsigned x87_equal(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < 8; i++)
		n += !memcmp(loaded.x87 + 32 + 16 * i, seen.x87 + 32 + 16 * i, 10);
	return n;
}

static unsigned xmm_equal(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < XMM_COUNT; i++)
		n += !memcmp(loaded.x87 + 160 + 16 * i, seen.x87 + 160 + 16 * i, 16);
	return n;
}

static unsigned ymm_equal(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < XMM_COUNT; i++)
		n += !has_avx || !memcmp(loaded.ymm[i], seen.ymm[i], 32);
	return n;
}

static void check_kept(void)
{
	unsigned x87 = 0, xmm = 0, ymm = 0, words = 0;

	for (u32 round = 0; round < 4; round++) {
		prepare(round + 1);
		load_all();
		make_exits(round * 300);
		store_all();
		x87 += x87_equal();
		xmm += xmm_equal();
		ymm += ymm_equal();
		words += *(u16 *)seen.x87 == 0x0e7f && *(u32 *)(seen.x87 + 24) == 0xbf80 &&
			 (*(u16 *)(seen.x87 + 2) & 0x3800) == 0x2800 && seen.x87[4] == 0xff;
	}
	check_equal("x87-kept", x87, 4 * 8);
	check_equal("xmm-kept", xmm, 4 * XMM_COUNT);
	check_equal("ymm-kept", ymm, 4 * XMM_COUNT);
	check_equal("control-words-kept", words, 4);
}

/* And they calculate: 1 + 1/2 + 1/4 + … with an exit in every step. */
static void check_sums(void)
{
	u32 mxcsr = 0x1f80, result;
	double one = 1, half = 0.5, sum;

	__asm__ volatile("fninit\n fld1\n fld1");
	for (unsigned i = 0; i < 20; i++) {
		__asm__ volatile("fmull %0\n fadd %%st, %%st(1)" : : "m"(half));
		cpuid(0, 0);
	}
	__asm__ volatile("fstp %%st(0)\n fstpl %0" : "=m"(sum));
	answer("x87-sum", *(u64 *)&sum);

	__asm__ volatile("ldmxcsr %0\n movsd %1, %%xmm6\n movsd %1, %%xmm7"
			 :
			 : "m"(mxcsr), "m"(one));
	for (unsigned i = 0; i < 20; i++) {
		__asm__ volatile("mulsd %0, %%xmm7\n addsd %%xmm7, %%xmm6" : : "m"(half));
		outb(0xe4, 0);
	}
	__asm__ volatile("movsd %%xmm6, %0\n stmxcsr %1" : "=m"(sum), "=m"(result));
	answer("sse-sum", *(u64 *)&sum);
	answer("sse-flags", result);
}

static bool xsave_round(void)
{
	prepare(77);
	load_all();
	memset(area, 0, sizeof(area));
	__asm__ volatile("xsave %0" : "+m"(area) : "a"(7), "d"(0));
	prepare(78);
	load_all();
	make_exits(10);
	__asm__ volatile("xrstor %0" : : "m"(area), "a"(7), "d"(0));
	store_all();
	prepare(77);
	return x87_equal() == 8 && xmm_equal() == XMM_COUNT && ymm_equal() == XMM_COUNT &&
	       (*(u64 *)(area + 512) & 3) == 3;
}

static struct state xcr_state(u32 number, u64 value)
{
	struct state s = state_new();

	s.gpr[RCX] = number;
	s.gpr[RAX] = (u32)value;
	s.gpr[RDX] = value >> 32;
	return s;
}

/* XSETBV of a value that must not be: #GP(0). */
static bool refused(u32 number, u64 value)
{
	struct state s = xcr_state(number, value);

	probe(code_xsetbv, &s);
	return s.vector == VEC_GP && s.error == 0 && s.rip == (reg_t)code_xsetbv;
}

static void check_xcr0(void)
{
	struct state before = state_new(), s;
	bool kept = true, steady = true, faults = true, user = true, off = true, area_kept = true;
	u64 all = XCR0_X87 | XCR0_SSE | (has_avx ? XCR0_AVX : 0);

	if (has_xsave) {
		before.gpr[RCX] = 0;
		s = before;
		probe(code_xgetbv, &s);
		kept = ran_to_end(code_xgetbv, &s) && s.gpr[RAX] == all && s.gpr[RDX] == 0 &&
		       !(registers_changed(&before, &s) & ~(BIT(RAX) | BIT(RDX)));
		xsetbv(0, XCR0_X87);
		make_exits(20);
		steady = xgetbv(0) == XCR0_X87;
		xsetbv(0, all);
		steady = steady && xgetbv(0) == all;
		faults = refused(0, 0) && refused(0, XCR0_SSE) && refused(0, XCR0_X87 | XCR0_AVX) &&
			 refused(1, all) && xgetbv(0) == all;
		s = state_new_user();
		s.gpr[RCX] = 0;
		probe(code_xsetbv, &s);
		user = s.vector == VEC_GP;
		area_kept = xsave_round();
		write_cr4(read_cr4() & ~CR4_OSXSAVE);
		s = before;
		probe(code_xgetbv, &s);
		off = s.vector == VEC_UD;
		write_cr4(read_cr4() | CR4_OSXSAVE);
	}
	check("xgetbv", kept);
	check("xcr0-steady", steady);
	check("xsetbv-refused", faults);
	check("xsetbv-ring3", user);
	check("xsave-area", area_kept);
	check("xgetbv-off", off);
}

/* An unmasked x87 exception waits for the next x87 instruction: #MF there (with CR0.NE). */
static void check_mf(void)
{
	static const u16 unmask_zero_divide = 0x037b;
	struct state s = state_new();

	__asm__ volatile("fninit\n fldcw %0" : : "m"(unmask_zero_divide));
	probe(x87_error, &s);
	check_fault("x87-error", x87_error, &s, VEC_MF, 0, 8);
	__asm__ volatile("fninit");
}

void guest(void)
{
	turn_on();
	check_kept();
	check_sums();
	check_xcr0();
	check_mf();
}

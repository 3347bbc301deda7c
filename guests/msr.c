/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * msr: RDMSR and WRMSR (APM vol. 3; the registers: vol. 2 chapters 3, 6, 7 and appendix A).
 *
 * What a VMM gets wrong here: EDX:EAX put together or taken apart badly, upper halves of RAX and
 * RDX left over after RDMSR, the upper half of RCX taken into account; prefixes and so the length
 * of the instruction; registers that VMRUN does not switch (APM vol. 2 §15.5.1: FS, GS, KERNEL_GS,
 * STAR, LSTAR, CSTAR, SFMASK, SYSENTER_* are VMLOAD's and VMSAVE's) forgotten on the way; EFER.SVME
 * shown to the guest, which never set it.
 *
 * Unknown registers and reserved bits are not here but in msrfault: QEMU's own processor raises no
 * #GP for them, so bare QEMU could not pass. Nor does RCX have anything in its upper half here, but
 * for the registers from c0000000 on: for the others, QEMU's SVM then looks at a wrong place in the
 * MSR permission map, and the guest gets past its VMM.
 */
#include "lib/probe.h"

CODE(code_rdmsr, "rdmsr");
CODE(code_wrmsr, "wrmsr");
CODE(rdmsr_66, ".byte 0x66, 0x0f, 0x32");
CODE(rdmsr_many, ".byte 0x26, 0x3e, 0x67, 0x66, 0x66, 0x66, 0x0f, 0x32");
CODE(wrmsr_66, ".byte 0x66, 0x0f, 0x30");
CODE(wrmsr_many, ".byte 0x2e, 0x36, 0x64, 0x65, 0x66, 0x66, 0x66, 0x0f, 0x30");
#ifdef __x86_64__
CODE(rdmsr_rex, ".byte 0x4f, 0x0f, 0x32");
CODE(wrmsr_rex, ".byte 0x4f, 0x0f, 0x30");
CODE(code_swapgs, "swapgs\n rdmsr");
#endif

#ifdef __x86_64__
#define EFER_EXPECTED (EFER_LME | EFER_LMA)
#else
#define EFER_EXPECTED 0
#endif

/* A VMM lets the guest have some MSRs without an exit, and answers for others: try several. */
static const u32 some[] = {MSR_SYSENTER_EIP, MSR_EFER, MSR_PAT, MSR_APIC_BASE};

static reg_t rcx_for(u32 msr)
{
	return msr < 0xc0000000 ? msr : (reg_t)0x2222222200000000 | msr;
}

/* RDMSR by this code, with garbage all over; bits: end, registers, value, right for all of them. */
static void check_read(const char *what, const u8 *code, const u8 *end)
{
	struct state before, s;
	unsigned good = 7;
	u64 value;

	wrmsr(MSR_SYSENTER_EIP, 0x89abcdef);
	for (unsigned i = 0; i < ARRAY_SIZE(some); i++) {
		value = rdmsr(some[i]);
		before = state_new();
		before.gpr[RCX] = rcx_for(some[i]);
		s = before;
		probe(code, &s);
		good &= (s.vector == VEC_BP && s.rip - 1 == (reg_t)end) << 2 |
			!(registers_changed(&before, &s) & ~(BIT(RAX) | BIT(RDX))) << 1 |
			(s.gpr[RAX] == (u32)value && s.gpr[RDX] == value >> 32);
	}
	check_equal(what, good, 7);
}

static void check_write(const char *what, const u8 *code, const u8 *end)
{
	static const struct {
		u32 msr;
		u64 value;
	} values[] = {
		{MSR_SYSENTER_EIP, 0x76543210},
		{MSR_PAT, 0x0001040506070106},
		{MSR_EFER, EFER_EXPECTED | EFER_NXE},
	};
	struct state before, s;
	unsigned good = 7;
	u64 old;

	for (unsigned i = 0; i < ARRAY_SIZE(values); i++) {
		old = rdmsr(values[i].msr);
		before = state_new();
		before.gpr[RCX] = rcx_for(values[i].msr);
		before.gpr[RAX] = (before.gpr[RAX] & ~(reg_t)0xffffffff) | (u32)values[i].value;
		before.gpr[RDX] = (before.gpr[RDX] & ~(reg_t)0xffffffff) | values[i].value >> 32;
		s = before;
		probe(code, &s);
		good &= (s.vector == VEC_BP && s.rip - 1 == (reg_t)end) << 2 |
			!registers_changed(&before, &s) << 1 |
			(rdmsr(values[i].msr) == values[i].value);
		wrmsr(values[i].msr, old);
	}
	check_equal(what, good, 7);
}

#define READ(what, name)  check_read(what, name, name##_end)
#define WRITE(what, name) check_write(what, name, name##_end)

/* Write, read back, and put back what was there. All of them first written, then all read. */
static void check_kept(void)
{
	static const struct {
		const char *what;
		u32 msr;
		u64 value;
	} regs[] = {
		{"sysenter-cs", MSR_SYSENTER_CS, 0x1230},
		{"sysenter-esp", MSR_SYSENTER_ESP, 0x11223344},
		{"sysenter-eip", MSR_SYSENTER_EIP, 0x55667788},
		{"star", MSR_STAR, 0x0020000812345678},
		{"pat", MSR_PAT, 0x0001040506070001},
#ifdef __x86_64__
		{"lstar", MSR_LSTAR, 0xffff8123456789ab},
		{"cstar", MSR_CSTAR, 0x0000123456789abc},
		{"sfmask", MSR_SFMASK, 0x00047700},
		{"fs-base", MSR_FS_BASE, 0x00007edcba987654},
		{"gs-base", MSR_GS_BASE, 0xffff800000001000},
		{"kernel-gs-base", MSR_KERNEL_GS_BASE, 0x0000000123456000},
#endif
	};
	u64 old[ARRAY_SIZE(regs)];

	for (unsigned i = 0; i < ARRAY_SIZE(regs); i++) {
		old[i] = rdmsr(regs[i].msr);
		wrmsr(regs[i].msr, regs[i].value);
	}
	for (unsigned i = 0; i < 200; i++)
		cpuid(0, 0); /* exits in between */
	for (unsigned i = 0; i < ARRAY_SIZE(regs); i++) {
		check_equal(regs[i].what, rdmsr(regs[i].msr), regs[i].value);
		wrmsr(regs[i].msr, old[i]);
	}
}

static void check_efer(void)
{
	u64 efer = rdmsr(MSR_EFER);

	check_equal("efer", efer, EFER_EXPECTED);
	wrmsr(MSR_EFER, efer | EFER_SCE | EFER_NXE);
	check_equal("efer-sce-nxe", rdmsr(MSR_EFER), EFER_EXPECTED | EFER_SCE | EFER_NXE);
	wrmsr(MSR_EFER, efer | EFER_NXE);
	check_equal("efer-nxe", rdmsr(MSR_EFER), EFER_EXPECTED | EFER_NXE);
	wrmsr(MSR_EFER, efer);
	check_equal("efer-back", rdmsr(MSR_EFER), EFER_EXPECTED);
}

/* In ring 3 both are #GP(0), at the instruction, whatever the register (APM vol. 3, RDMSR). */
static void check_user(void)
{
	struct state s = state_new_user();

	s.gpr[RCX] = MSR_EFER;
	probe(code_rdmsr, &s);
	check_fault("ring3-rdmsr", code_rdmsr, &s, VEC_GP, 0, 0);
	s = state_new_user();
	s.gpr[RCX] = MSR_EFER;
	probe(wrmsr_many, &s);
	check_fault("ring3-wrmsr", wrmsr_many, &s, VEC_GP, 0, 0);
}

static void check_tsc(void)
{
	u64 last = rdtsc(), now;
	bool forward = true;

	for (unsigned i = 0; i < 1000; i++) {
		if (i % 10 == 0)
			cpuid(0, 0);
		now = rdtsc();
		forward = forward && now >= last;
		last = now;
	}
	check("tsc-forward", forward);
}

#ifdef __x86_64__
/* The bases are what the segments really start at, and an exit does not change that. */
static void check_bases(void)
{
	static u64 there[2] = {0xf5f5f5f5, 0x65656565};
	u64 fs, gs, swapped, fs_old = rdmsr(MSR_FS_BASE), gs_old = rdmsr(MSR_GS_BASE);
	struct state s = state_new();

	wrmsr(MSR_FS_BASE, (u64)&there[0]);
	wrmsr(MSR_GS_BASE, (u64)&there[1]);
	wrmsr(MSR_KERNEL_GS_BASE, (u64)&there[0]);
	cpuid(0, 0);
	__asm__ volatile("mov %%fs:0, %0\n mov %%gs:0, %1" : "=r"(fs), "=r"(gs));
	check_equal("fs-reaches", fs, 0xf5f5f5f5);
	check_equal("gs-reaches", gs, 0x65656565);
	__asm__ volatile("swapgs\n mov %%gs:0, %0" : "=r"(swapped));
	check_equal("swapgs-reaches", swapped, 0xf5f5f5f5);
	s.gpr[RCX] = MSR_KERNEL_GS_BASE;
	probe(code_swapgs, &s); /* swapped back */
	check("swapgs-rdmsr", (s.gpr[RAX] | s.gpr[RDX] << 32) == (u64)&there[0]);
	check("gs-base-back", rdmsr(MSR_GS_BASE) == (u64)&there[1]);
	wrmsr(MSR_FS_BASE, fs_old);
	wrmsr(MSR_GS_BASE, gs_old);
}
#endif

void guest(void)
{
	check_efer();
	/* As after reset: write back, write through, uncached minus, uncached, twice. */
	check_equal("pat-reset", rdmsr(MSR_PAT), 0x0007040600070406);

	READ("rdmsr", code_rdmsr);
	READ("rdmsr-66", rdmsr_66);
	READ("rdmsr-many", rdmsr_many);
	WRITE("wrmsr", code_wrmsr);
	WRITE("wrmsr-66", wrmsr_66);
	WRITE("wrmsr-many", wrmsr_many);
#ifdef __x86_64__
	READ("rdmsr-rex", rdmsr_rex);
	WRITE("wrmsr-rex", wrmsr_rex);
	check_bases();
#endif
	check_kept();
	check_user();
	check_tsc();
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cpuid.c: what the guest's CPUID says.
 *
 * The answer is the machine's own, less what a guest here has not got: the table below lists, leaf
 * by leaf, the bits that may pass. A leaf that is not in the table reads zero, so that a feature of
 * next year's processor is hidden until somebody has thought about it. Some bits mirror the guest's
 * control registers, and some leaves are ours. APM vol. 3 appendix E; SDM vol. 2A CPUID.
 */
#include "lib/lab.h"
#include "vmm/vcpu.h"

#define LEAF_CASITA	     0x40000000 /* 0x40000000-0x400000ff: ours */
#define LEAF_CASITA_MAX	     0x40000001
#define LEAF_HV_LAST	     0x4fffffff
#define LEAF_MAX_BASIC	     0x0d
#define LEAF_EXTENDED	     0x80000000
#define LEAF_MAX_EXT	     0x80000008
#define CASITA_ABI	     1 /* version of the hypercalls, hypercall.c */

/*
 * Leaf 1 ECX: SSE3 PCLMULQDQ SSSE3 FMA CX16 PCID SSE4.1 SSE4.2 MOVBE POPCNT AES XSAVE AVX F16C
 * RDRAND. EDX: FPU VME DE PSE TSC MSR PAE CX8 SEP MTRR PGE CMOV PAT PSE36 CLFSH MMX FXSR SSE SSE2
 * SS.
 */
#define LEAF1_ECX	     0x76da3203
#define LEAF1_ECX_PCID	     BIT(17)
#define LEAF1_ECX_OSXSAVE    BIT(27)
#define LEAF1_ECX_HYPERVISOR BIT(31)
#define LEAF1_EDX	     0x0f8bb97f
/*
 * Leaf 7.0 EBX: FSGSBASE BMI1 AVX2 SMEP BMI2 ERMS INVPCID AVX512F DQ RDSEED ADX SMAP IFMA
 * CLFLUSHOPT CLWB CD SHA BW VL. ECX: VBMI UMIP VBMI2 GFNI VAES VPCLMULQDQ VNNI BITALG VPOPCNTDQ
 * RDPID; no LA57, a guest has four-level tables, and no protection keys, which our own accesses to
 * its memory would not heed. EDX: FSRM.
 */
#define LEAF7_EBX	     0xf1bf07a9
#define LEAF7_EBX_INVPCID    BIT(10)
#define LEAF7_ECX	     0x00405f46
#define LEAF7_EDX	     BIT(4)
/* Leaf 0xd: x87, SSE, AVX, AVX-512; XSAVEOPT, XSAVEC, XGETBV(1); no XSAVES, which needs an MSR. */
#define XCR0_SHOWN	     0xe7
#define LEAFD1_EAX	     0x7
/* 8000_0001 ECX: LAHF LZCNT SSE4A misaligned-SSE PREFETCHW XOP FMA4 TBM. EDX: as leaf 1, and
 * SYSCALL NX MMXEXT FFXSR 1-GiB-pages RDTSCP LM 3DNowExt 3DNow */
#define EXT1_ECX	     0x002109e1
#define EXT1_EDX	     0xefd3b97f
#define EXT7_EDX	     BIT(8) /* the time stamp counter never changes its pace */
#define ALL		     (~0u)

struct leaf {
	u32 eax, ebx, ecx, edx; /* bits that pass */
};

static const struct leaf basic[] = {
	[0] = {ALL, ALL, ALL, ALL},
	[1] = {ALL, 0x0000ff00, LEAF1_ECX, LEAF1_EDX}, /* EBX: CLFLUSH size; one CPU, APIC ID 0 */
	[2] = {ALL, ALL, ALL, ALL},
	[4] = {0x00003fff, ALL, ALL, ALL}, /* cache shapes, not who shares them */
	[7] = {0, LEAF7_EBX, LEAF7_ECX, LEAF7_EDX},
	[0xd] = {ALL, ALL, ALL, ALL},
};

static const struct leaf extended[] = {
	[0] = {ALL, ALL, ALL, ALL},	  [1] = {ALL, ALL, EXT1_ECX, EXT1_EDX},
	[2 ... 4] = {ALL, ALL, ALL, ALL},			   /* the processor's name */
	[5 ... 6] = {ALL, ALL, ALL, ALL},			   /* caches and TLBs */
	[7] = {0, 0, 0, EXT7_EDX},	  [8] = {0xffff, 0, 0, 0}, /* address sizes */
};

static struct cpuid_regs hypervisor_leaf(u32 leaf)
{
	if (leaf == LEAF_CASITA) /* "Casita VMM  " */
		return (struct cpuid_regs){LEAF_CASITA_MAX, 0x69736143, 0x56206174, 0x20204d4d};
	return (struct cpuid_regs){.eax = leaf == LEAF_CASITA_MAX ? CASITA_ABI : 0};
}

/* See struct paging_ops. */
static bool software_tlb(const struct vm *vm)
{
	return vm->paging && vm->paging->page_fault;
}

/* What depends on the guest's own state, or must agree with what the tables hide. */
static void adjust(struct vcpu *vcpu, u32 leaf, u32 subleaf, struct cpuid_regs *r)
{
	switch (leaf) {
	case 0:
		r->eax = min(r->eax, (u32)LEAF_MAX_BASIC);
		break;
	case 1:
		if (software_tlb(vcpu->vm))
			r->ecx &= ~LEAF1_ECX_PCID;
		r->ecx |= LEAF1_ECX_HYPERVISOR;
		if (vcpu_get(vcpu, VREG_CR4) & CR4_OSXSAVE)
			r->ecx |= LEAF1_ECX_OSXSAVE;
		break;
	case 7:
		if (subleaf)
			memset(r, 0, sizeof(*r));
		else if (software_tlb(vcpu->vm))
			r->ebx &= ~LEAF7_EBX_INVPCID;
		break;
	case 0xd:
		if (subleaf == 0) {
			r->eax &= XCR0_SHOWN;
			r->edx = 0;
		} else if (subleaf == 1) {
			r->eax &= LEAFD1_EAX; /* EBX: the compacted size, of the guest's XCR0 */
			r->ecx = r->edx = 0;
		} else if (subleaf > 31 || !(XCR0_SHOWN >> subleaf & 1)) {
			memset(r, 0, sizeof(*r));
		}
		break;
	case 0x80000008: /* 48 linear bits, whatever the machine has: four-level tables */
		r->eax = (r->eax & 0xff) | 48 << 8;
		break;
	case LEAF_EXTENDED:
		r->eax = min(r->eax, (u32)LEAF_MAX_EXT);
		break;
	}
}

/* The answer before hooks: the machine's, less what the tables do not let pass. */
static struct cpuid_regs filtered(struct vcpu *vcpu, u32 leaf, u32 subleaf)
{
#if SOLVED >= 2
	struct cpuid_regs r = {0};
	const struct leaf *pass;

	if (leaf < ARRAY_SIZE(basic))
		pass = &basic[leaf];
	else if (leaf - LEAF_EXTENDED < ARRAY_SIZE(extended))
		pass = &extended[leaf - LEAF_EXTENDED];
	else
		return leaf >= LEAF_CASITA && leaf <= LEAF_HV_LAST ? hypervisor_leaf(leaf) : r;

	if (!(pass->eax | pass->ebx | pass->ecx | pass->edx) ||
	    leaf > cpuid(leaf & LEAF_EXTENDED, 0).eax)
		return r;
	r = cpuid(leaf, subleaf);
	r.eax &= pass->eax;
	r.ebx &= pass->ebx;
	r.ecx &= pass->ecx;
	r.edx &= pass->edx;
	adjust(vcpu, leaf, subleaf, &r);
	return r;
#else
	/*
	 * Exercise 2.4. The machine's answer, less what basic[] and extended[] do not let pass,
	 * then adjust(). A leaf in neither table, one whose row is all zero, and one that the
	 * machine has not got (its leaf 0, or 8000_0000, says how far they go) read zero. Leaves
	 * 4000_0000 to 4fff_ffff are the monitor's: hypervisor_leaf().
	 *
	 * Handout: lab 2, "What the guest may know". APM vol. 3 §E.3.
	 */
	LAB(2, "2.4", "say what this guest's CPUID says");
#endif
}

struct cpuid_regs vcpu_cpuid(struct vcpu *vcpu, u32 leaf, u32 subleaf)
{
	struct cpuid_regs r = filtered(vcpu, leaf, subleaf);
	const struct hooks *h = &vcpu->vm->hooks;

	for (unsigned i = 0; i < h->cpuid_count; i++) {
		const struct cpuid_hook *hook = &h->cpuid[i];

		if (leaf - hook->first <= hook->last - hook->first)
			hook->fn(vcpu, leaf, subleaf, &r, hook->opaque);
	}
	return r;
}

static bool hooked(const struct vm *vm, u32 leaf)
{
	for (unsigned i = 0; i < vm->hooks.cpuid_count; i++) {
		const struct cpuid_hook *hook = &vm->hooks.cpuid[i];

		if (leaf - hook->first <= hook->last - hook->first)
			return true;
	}
	return false;
}

/*
 * Most leaves change only with CR4, whose writes exit. So they are worked out then: on a machine
 * that is itself virtual, each CPUID of ours is an exit to whoever runs us. Not with subleaves.
 */
#define HAVE_SUBLEAVES (BIT(4) | BIT(7) | BIT(0xd))

void cpuid_refresh(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;

	for (u32 i = 0; i < 2 * CPUID_STORED; i++) {
		u32 leaf = i % CPUID_STORED + (i < CPUID_STORED ? 0 : LEAF_EXTENDED);

		vm->cpuid.leaf[i] = filtered(vcpu, leaf, 0);
		if (!(leaf < 64 && HAVE_SUBLEAVES >> leaf & 1) && !hooked(vm, leaf))
			vm->cpuid.fixed |= 1u << i;
	}
}

/* A 32-bit result clears the upper half of its register, in 64-bit code and else. */
static void give(struct vcpu *vcpu, const struct cpuid_regs *r)
{
#if SOLVED >= 2
	vcpu->gpr[GPR_RAX] = r->eax;
	vcpu->gpr[GPR_RBX] = r->ebx;
	vcpu->gpr[GPR_RCX] = r->ecx;
	vcpu->gpr[GPR_RDX] = r->edx;
#else
	/*
	 * Exercise 2.4, continued. Four results for four registers.
	 */
	LAB(2, "2.4", "give the guest CPUID's four results");
#endif
}

static __slow void give_worked_out(struct vcpu *vcpu, u32 leaf, u32 subleaf)
{
	struct cpuid_regs r = vcpu_cpuid(vcpu, leaf, subleaf);

	give(vcpu, &r);
}

int vcpu_cpuid_exit(struct vcpu *vcpu, const struct exit *exit)
{
	const struct vm *vm = vcpu->vm;
	u32 leaf = vcpu->gpr[GPR_RAX], n = leaf & ~LEAF_EXTENDED;
	u32 i = leaf & LEAF_EXTENDED ? n + CPUID_STORED : n;

	if (n < CPUID_STORED && vm->cpuid.fixed >> i & 1)
		give(vcpu, &vm->cpuid.leaf[i]);
	else
		give_worked_out(vcpu, leaf, vcpu->gpr[GPR_RCX]);
	return vcpu_skip(vcpu, exit);
}

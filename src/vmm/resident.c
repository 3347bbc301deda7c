/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * resident.c: guest state that stays in the processor while Casita runs.
 *
 * No back end saves the x87, SSE and AVX registers, XCR0, the debug address registers or TSC_AUX at
 * an exit, and Casita is compiled to use none of them. So they are simply left where they are: an
 * exit costs nothing for them. Only when another virtual CPU gets the processor are they exchanged.
 *
 * XSAVE's area is as large as CPUID leaf 0xd says for all that the processor has. While it is
 * saved or loaded XCR0 must name all of that, whatever the guest's XCR0 is (APM vol. 2 §11.5).
 */
#include "vmm/vcpu.h"

enum { FXSAVE_BYTES = 512, MXCSR_OFFSET = 24, FCW_RESET = 0x037f, MXCSR_RESET = 0x1f80 };
#define LEAF_XSAVE   0x0d
#define EXT_FEATURES 0x80000001
#define EDX_RDTSCP   BIT(27)
#define ECX_XSAVE    BIT(26)
#define XCR0_X87     1

struct resident {
	u64 xcr0, dr[4], tsc_aux;
	u8 area[] __aligned(64); /* XSAVE or FXSAVE format */
};

static struct {
	bool known, xsave, rdtscp;
	u64 features; /* all that XCR0 may name */
	u64 bytes;    /* of a struct resident with its area */
} machine;

static struct vcpu *holder; /* whose state the processor holds */

static void know_machine(void)
{
	struct cpuid_regs r = cpuid(LEAF_XSAVE, 0);

	if (machine.known)
		return;
	machine.known = true;
	machine.rdtscp = cpuid(EXT_FEATURES, 0).edx & EDX_RDTSCP;
	machine.xsave = cpuid(1, 0).ecx & ECX_XSAVE;
	machine.features = (u64)r.edx << 32 | r.eax;
	machine.bytes = sizeof(struct resident) + (machine.xsave ? r.ecx : FXSAVE_BYTES);
}

int resident_create(struct vcpu *vcpu)
{
	struct resident *r;

	know_machine();
	r = vcpu->resident = kalloc(machine.bytes);
	if (!r)
		return -ENOMEM;
	/* As after reset. For XSAVE, an empty header means "all in its initial state". */
	*(u16 *)r->area = FCW_RESET;
	*(u32 *)(r->area + MXCSR_OFFSET) = MXCSR_RESET;
	r->xcr0 = XCR0_X87;
	if (machine.rdtscp)
		cpu->pass_msr(vcpu->vm, MSR_TSC_AUX, true, true);
	return 0;
}

void resident_destroy(struct vcpu *vcpu)
{
	if (holder == vcpu)
		holder = NULL;
	kfree(vcpu->resident, machine.bytes);
}

static void save(struct resident *r)
{
	if (machine.xsave) {
		r->xcr0 = xgetbv(0);
		xsetbv(0, machine.features);
		xsave(r->area, machine.features);
	} else {
		fxsave(r->area);
	}
	r->dr[0] = read_dr0();
	r->dr[1] = read_dr1();
	r->dr[2] = read_dr2();
	r->dr[3] = read_dr3();
	if (machine.rdtscp)
		r->tsc_aux = rdmsr(MSR_TSC_AUX);
}

static void load(const struct resident *r)
{
	if (machine.xsave) {
		xsetbv(0, machine.features);
		xrstor(r->area, machine.features);
		xsetbv(0, r->xcr0);
	} else {
		fxrstor(r->area);
	}
	write_dr0(r->dr[0]);
	write_dr1(r->dr[1]);
	write_dr2(r->dr[2]);
	write_dr3(r->dr[3]);
	if (machine.rdtscp)
		wrmsr(MSR_TSC_AUX, r->tsc_aux);
}

void resident_load(struct vcpu *vcpu)
{
	if (likely(holder == vcpu))
		return;
	if (holder)
		save(holder->resident);
	load(vcpu->resident);
	holder = vcpu;
}

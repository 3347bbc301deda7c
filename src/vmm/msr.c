/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * msr.c: RDMSR and WRMSR.
 *
 * What moves with the guest at a world switch (FS and GS base, the system call registers) does not
 * exit at all. The rest comes here: hooks of devices first, then the handful that every guest has.
 * An MSR that nobody knows raises #GP, as on a processor that lacks it; systems probe with that.
 */
#include "lib/lab.h"
#include "vmm/vcpu.h"

/* What EFER may hold (APM vol. 2 §3.1.7). */
#define EXT_FEATURES 0x80000001
#define EDX_SYSCALL  BIT(11)
#define EDX_NX	     BIT(20)
#define EDX_FFXSR    BIT(25)
#define EDX_LM	     BIT(29)

static u64 efer_allowed(struct vcpu *vcpu)
{
	u32 edx = vcpu_cpuid(vcpu, EXT_FEATURES, 0).edx;

	return ((edx & EDX_SYSCALL) ? EFER_SCE : 0) | ((edx & EDX_NX) ? EFER_NXE : 0) |
	       ((edx & EDX_FFXSR) ? EFER_FFXSR : 0) | ((edx & EDX_LM) ? EFER_LME | EFER_LMA : 0);
}

static int write_efer(struct vcpu *vcpu, u64 value)
{
#if SOLVED >= 2
	u64 old = vcpu_get(vcpu, VREG_EFER);

	if (value & ~efer_allowed(vcpu))
		return -EPERM;
	if ((old ^ value) & EFER_LME && vcpu_get(vcpu, VREG_CR0) & CR0_PG)
		return -EPERM;
	/* LMA is the processor's to set; what is written there does not count. */
	value = (value & ~EFER_LMA) | (old & EFER_LMA);
	vcpu_set(vcpu, VREG_EFER, value);
	/* translations were cached under the other meaning of bit 63 */
	paging_registers_written(vcpu, (old ^ value) & EFER_NXE);
	return 0;
#else
	/*
	 * Exercise 2.5. What WRMSR to EFER does (APM vol. 2 §3.1.7):
	 *
	 *	-EPERM	(our caller makes it #GP) for a bit that efer_allowed() has not; and for
	 *		a change of LME while paging is on
	 *	LMA	is the processor's: keep the old one, whatever was written
	 *	NXE	a change gives cached translations another meaning: cpu->flush()
	 */
	LAB(2, "2.5", "write EFER");
#endif
}

/*
 * The guest's MTRRs would say how its physical addresses are cached; ours already do that for the
 * memory beneath. They are kept so that a system finds them as it left them.
 */

#define MTRR_VARIABLE 8
#define MTRR_CAP      (MTRR_VARIABLE | BIT(8) | BIT(10)) /* fixed ranges, write combining */

static u64 *mtrr(struct vm *vm, u32 msr)
{
	if (msr - MSR_MTRR_PHYS_BASE < 2 * MTRR_VARIABLE)
		return &vm->mtrr.variable[msr - MSR_MTRR_PHYS_BASE];
	if (msr == MSR_MTRR_FIX_64K)
		return &vm->mtrr.fixed[0];
	if (msr - MSR_MTRR_FIX_16K < 2)
		return &vm->mtrr.fixed[1 + msr - MSR_MTRR_FIX_16K];
	if (msr - MSR_MTRR_FIX_4K < 8)
		return &vm->mtrr.fixed[3 + msr - MSR_MTRR_FIX_4K];
	if (msr == MSR_MTRR_DEF_TYPE)
		return &vm->mtrr.def_type;
	return NULL;
}

/* Read as this, and writes are lost: what systems look at and cope with finding nothing in. */
static const struct {
	u32 msr;
	u64 value;
} constants[] = {
	{MSR_MTRR_CAP, MTRR_CAP},    /* but that one cannot be written */
	{MSR_APIC_BASE, 0xfee00100}, /* switched off; the boot processor */
	{MSR_BIOS_SIGN, 0},	     /* microcode: no update was loaded */
	{MSR_MISC_ENABLE, 1},	     /* fast strings */
	{MSR_DEBUGCTL, 0},	     /* */
	{MSR_SYSCFG, 0},	     /* */
	{MSR_HWCR, BIT(24)},	     /* the TSC counts at the P0 frequency */
	{MSR_NB_CFG, 0},	     /* */
	{MSR_INT_PENDING, 0},	     /* no C1E to switch off */
};

static const u64 *constant(u32 msr)
{
	for (size_t i = 0; i < ARRAY_SIZE(constants); i++)
		if (constants[i].msr == msr)
			return &constants[i].value;
	return NULL;
}

static int read_msr(struct vcpu *vcpu, u32 msr, u64 *value)
{
	const u64 *known = mtrr(vcpu->vm, msr) ?: constant(msr);

	if (known)
		*value = *known;
	else if (msr == MSR_EFER || msr == MSR_PAT)
		*value = vcpu_get(vcpu, msr == MSR_EFER ? VREG_EFER : VREG_PAT);
	else if (msr == MSR_TSC)
		*value = rdtsc() + vcpu->tsc_offset;
	else
		return -EPERM;
	return 0;
}

static int write_msr(struct vcpu *vcpu, u32 msr, u64 value)
{
	u64 *m = mtrr(vcpu->vm, msr);

	if (msr == MSR_EFER)
		return write_efer(vcpu, value);
	if (m) {
		*m = value;
	} else if (msr == MSR_PAT && pat_valid(value)) {
		vcpu_set(vcpu, VREG_PAT, value);
	} else if (msr == MSR_TSC) {
		vcpu->tsc_offset = value - rdtsc();
		cpu->set_tsc_offset(vcpu, vcpu->tsc_offset);
	} else if (msr == MSR_MTRR_CAP || !constant(msr)) {
		return -EPERM;
	}
	return 0;
}

static const struct msr_hook *find_hook(const struct hooks *h, u32 msr)
{
	for (unsigned i = 0; i < h->msr_count; i++)
		if (msr - h->msr[i].first <= h->msr[i].last - h->msr[i].first)
			return &h->msr[i];
	return NULL;
}

int vcpu_msr_exit(struct vcpu *vcpu, const struct exit *exit)
{
#if SOLVED >= 2
	u32 msr = vcpu->gpr[GPR_RCX];
	u64 value = (u32)vcpu->gpr[GPR_RAX] | vcpu->gpr[GPR_RDX] << 32;
	const struct msr_hook *hook = find_hook(&vcpu->vm->hooks, msr);
	int err = -EPERM;

	if (exit->kind == EXIT_WRMSR) {
		if (!hook)
			err = write_msr(vcpu, msr, value);
		else if (hook->write)
			err = hook->write(vcpu, msr, value, hook->opaque);
	} else {
		if (!hook)
			err = read_msr(vcpu, msr, &value);
		else if (hook->read)
			err = hook->read(vcpu, msr, &value, hook->opaque);
		if (!err) {
			vcpu->gpr[GPR_RAX] = (u32)value;
			vcpu->gpr[GPR_RDX] = value >> 32;
		}
	}
	if (err == -EPERM) {
		vcpu_exception(vcpu, VEC_GP, 0);
		return 0;
	}
	return err ? err : vcpu_skip(vcpu, exit);
#else
	/*
	 * Exercise 2.5, continued. The MSR's number is in ECX, its value in EDX:EAX, for reading
	 * and for writing. A hook (find_hook) goes before read_msr() and write_msr(); one without
	 * the callback is as an MSR that is not there. -EPERM from any of them is #GP(0) for the
	 * guest, and the instruction has not happened; another error is our caller's; after
	 * success, step over the instruction.
	 *
	 * Hint: RDMSR clears the upper halves of RAX and RDX, in 64-bit code too.
	 *
	 * Handout: lab 2, "Model-specific registers". APM vol. 3 RDMSR, WRMSR.
	 */
	LAB(2, "2.5", "do what RDMSR and WRMSR do");
#endif
}

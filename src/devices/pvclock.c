/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pvclock.c: the paravirtual clock of Linux's KVM, which Linux guests know.
 *
 * What it is for. A kernel wants to know the pace of the time stamp counter, and measures it with
 * the PIT: tens of thousands of port reads, each of them an exit. We know it already. The guest
 * asks by CPUID whether it runs under somebody who will tell, gives the address of a structure by
 * WRMSR, and finds in there how to make nanoseconds of its TSC.
 *
 *	CPUID 40000100	EBX ECX EDX: "KVMKVMKVM\0\0\0", EAX: the last of these leaves
 *	CPUID 40000101	EAX: features:  1 delays by port 80 are not needed,  3 the clock, by the
 *			MSRs below,  24 it is the same on all CPUs and never goes back
 *	MSR 4b564d00	wall clock: address of a struct wall_clock, filled at once
 *	MSR 4b564d01	system time: address of a struct system_time, bit 0 set to switch it on
 *
 * Casita's own leaves are at 40000000. Linux looks for KVM's signature there and at each 0x100
 * leaves further on, for hypervisors that speak several dialects; so the second place is KVM's.
 *
 * How it works. The guest computes, from its own TSC (the host's plus vcpu->tsc_offset):
 *
 *	ticks = TSC - tsc_timestamp, shifted left by tsc_shift (right, if that is negative)
 *	time = system_time + (ticks * tsc_to_system_mul >> 32)	ns since the VM was made
 *
 * All virtual CPUs are given the same pair of time stamp and time, taken when the first one asked,
 * so that their clocks agree to the nanosecond. While @version is odd the structure is being
 * changed and must be read again.
 *
 * Linux: Documentation/virt/kvm/x86/cpuid.rst, msr.rst, and the structures of
 * arch/x86/include/asm/pvclock-abi.h.
 */
#include "host/cpu.h"
#include "host/host.h"
#include "lib/errno.h"
#include "vmm/device.h"
#include "vmm/vm.h"

#define LEAF_SIGNATURE	    0x40000100
#define LEAF_FEATURES	    0x40000101
#define FEATURE_NO_IO_DELAY BIT(1)
#define FEATURE_CLOCK	    BIT(3)
#define FEATURE_STABLE	    BIT(24)
#define FEATURES	    (FEATURE_NO_IO_DELAY | FEATURE_CLOCK | FEATURE_STABLE)

#define MSR_WALL_CLOCK	    0x4b564d00
#define MSR_SYSTEM_TIME	    0x4b564d01
#define SYSTEM_TIME_ON	    BIT(0)
#define ALIGNMENT	    4 /* of both structures */

#define FLAG_TSC_STABLE	    BIT(0)

#define NS_PER_SECOND	    1000000000ull
#define NS_PER_MS	    1000000ull

struct wall_clock {
	u32 version;
	u32 seconds; /* since 1970, when the system time was 0 */
	u32 nanoseconds;
} __packed __aligned(ALIGNMENT);
_Static_assert(sizeof(struct wall_clock) == 12, "pvclock ABI");

struct system_time {
	u32 version;
	u32 pad0;
	u64 tsc_timestamp;
	u64 system_time; /* ns */
	u32 tsc_to_system_mul;
	s8 tsc_shift;
	u8 flags;
	u8 pad[2];
} __packed __aligned(ALIGNMENT);
_Static_assert(sizeof(struct system_time) == 32, "pvclock ABI");
_Static_assert(offsetof(struct system_time, tsc_to_system_mul) == 24, "pvclock ABI");

struct pvclock {
	struct vm *vm;
	u64 start;	      /* host_now() when the VM was made */
	bool running;	      /* the next two are set */
	u64 tsc, system_time; /* the host's TSC, and the time then */
	u32 mul;
	s8 shift;
	u64 wall_clock_msr; /* as written */
	u64 system_time_msr;
};

/* ---- from ticks to nanoseconds --------------------------------------------------------------- */

/*
 * ns per tick is 10^6 / kHz. As 0.mul * 2^shift, with the top bit of mul set so that no digit of
 * the 32 is wasted: double or halve the numerator until the quotient is between a half and one.
 */
static void set_rate(struct pvclock *pv, u64 khz)
{
	u64 ns = NS_PER_MS;

	for (; ns >= khz; pv->shift++)
		khz *= 2;
	for (; ns * 2 < khz; pv->shift--)
		ns *= 2;
	pv->mul = (ns << 32) / khz;
}

/* ---- the structures in the guest's memory ---------------------------------------------------- */

/* @version is odd from here to end_change(). Another CPU may be reading: the order matters. */
static void begin_change(u32 *version)
{
	__atomic_store_n(version, *version | 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
}

static void end_change(u32 *version)
{
	__atomic_store_n(version, *version + 1, __ATOMIC_RELEASE);
}

/* The guest's memory at @gpa, or NULL if a structure cannot be there. */
static void *structure(const struct pvclock *pv, u64 gpa, u64 size)
{
	return is_aligned(gpa, ALIGNMENT) ? vm_ptr(pv->vm, GPA(gpa), size) : NULL;
}

static int write_wall_clock(struct pvclock *pv, u64 gpa)
{
	struct wall_clock *w = structure(pv, gpa, sizeof(*w));
	u64 start = host_rtc() * NS_PER_SECOND + pv->start;

	if (!w)
		return -EPERM;
	begin_change(&w->version);
	w->seconds = start / NS_PER_SECOND;
	w->nanoseconds = start % NS_PER_SECOND;
	end_change(&w->version);
	vcpu_ram_written(pv->vm, GPA(gpa));
	pv->wall_clock_msr = gpa;
	return 0;
}

static int write_system_time(struct pvclock *pv, struct vcpu *vcpu, u64 value)
{
	struct system_time *s = structure(pv, value & ~SYSTEM_TIME_ON, sizeof(*s));

	if (value & SYSTEM_TIME_ON && !s)
		return -EPERM;
	pv->system_time_msr = value;
	if (!(value & SYSTEM_TIME_ON))
		return 0;
	if (!pv->running) { /* the pair that everybody gets */
		pv->tsc = rdtsc();
		pv->system_time = host_now() - pv->start;
		pv->running = true;
	}
	begin_change(&s->version);
	s->tsc_timestamp = pv->tsc + vcpu->tsc_offset;
	s->system_time = pv->system_time;
	s->tsc_to_system_mul = pv->mul;
	s->tsc_shift = pv->shift;
	s->flags = FLAG_TSC_STABLE;
	end_change(&s->version);
	vcpu_ram_written(pv->vm, GPA(value));
	return 0;
}

/* ---- hooks ----------------------------------------------------------------------------------- */

static int pvclock_read(struct vcpu *vcpu, u32 msr, u64 *value, void *opaque)
{
	const struct pvclock *pv = opaque;

	(void)vcpu;
	*value = msr == MSR_WALL_CLOCK ? pv->wall_clock_msr : pv->system_time_msr;
	return 0;
}

static int pvclock_write(struct vcpu *vcpu, u32 msr, u64 value, void *opaque)
{
	if (msr == MSR_WALL_CLOCK)
		return write_wall_clock(opaque, value);
	return write_system_time(opaque, vcpu, value);
}

static void pvclock_cpuid(struct vcpu *vcpu, u32 leaf, u32 subleaf, struct cpuid_regs *regs,
			  void *opaque)
{
	(void)vcpu, (void)subleaf, (void)opaque;
	if (leaf == LEAF_SIGNATURE) /* "KVMKVMKVM" */
		*regs = (struct cpuid_regs){LEAF_FEATURES, 0x4b4d564b, 0x564b4d56, 0x4d};
	else
		*regs = (struct cpuid_regs){.eax = FEATURES};
}

static int pvclock_create(struct vm *vm)
{
	struct pvclock *pv = device_alloc(vm, sizeof(*pv));
	struct msr_hook msrs = {MSR_WALL_CLOCK, MSR_SYSTEM_TIME, pvclock_read, pvclock_write, pv};
	struct cpuid_hook leaves = {LEAF_SIGNATURE, LEAF_FEATURES, pvclock_cpuid, pv};
	int error;

	if (!pv)
		return -ENOMEM;
	pv->vm = vm;
	pv->start = host_now();
	set_rate(pv, host_tsc_khz());
	error = vm_hook_msr(vm, &msrs);
	return error ? error : vm_hook_cpuid(vm, &leaves);
}

static const struct device_class pvclock_class = {.name = "pvclock", .create = pvclock_create};
DEVICE(pvclock_class);

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vcpu.h: what the monitor's files share about a virtual CPU: reading the instruction that exited,
 * reaching memory through the guest's own page tables, and the handlers behind the exit switch.
 */
#ifndef VMM_VCPU_H
#define VMM_VCPU_H

#include "vmm/vm.h"
#include "x86/decode.h"

/* ---- vcpu.c ------------------------------------------------------------------------------- */
int vcpu_create(struct vm *vm);
void vcpu_destroy(struct vm *vm);

/* ---- inject.c -------------------------------------------------------------------------------- */
/**
 * vcpu_exception() - raise an exception, VEC_*, at the guest's present instruction. @error is
 * ignored for vectors that have none. If another is waiting to be delivered, the two become a
 * double fault, or a shutdown, as APM vol. 2 §8.2.9 says.
 */
void vcpu_exception(struct vcpu *vcpu, u8 vector, u32 error);
/** vcpu_page_fault() - #PF with its error code and the faulting address for CR2. */
void vcpu_page_fault(struct vcpu *vcpu, gva_t gva, u32 error);
/**
 * vcpu_single_step() - the #DB that a guest with RFLAGS.TF is due after an instruction that we did
 * in its place. Called by cpu->advance. Return: 0.
 */
int vcpu_single_step(struct vcpu *vcpu);

/* ---- segment.c ---------------------------------------------------------------------------- */
/** vcpu_code_size() - is the guest running 16, 32 or 64-bit code? */
enum code_size vcpu_code_size(struct vcpu *vcpu);
/** vcpu_linear() - segment and offset to a linear address (APM vol. 2 §4.5.3 for 64-bit code). */
gva_t vcpu_linear(struct vcpu *vcpu, enum seg seg, u64 offset);

/* ---- translate.c ------------------------------------------------------------------------------- */
#ifdef CONFIG_WALK
/**
 * vcpu_translate() - what a guest virtual address means, by the guest's page tables. @access: some
 * WALK_*; whether the guest is in user mode is looked up. Return: as walk_guest().
 */
int vcpu_translate(struct vcpu *vcpu, gva_t gva, u32 access, struct walk *walk);

/**
 * vcpu_walk_failed() - what follows from an error of vcpu_translate(): a fault for the guest.
 * @seg: the segment of the access: an address that is not canonical is #SS for SS, #GP for others
 * Return: -EAGAIN, the guest has the fault; -ENODEV, the VM cannot go on.
 */
int vcpu_walk_failed(struct vcpu *vcpu, gva_t gva, enum seg seg, int err, const struct walk *walk);

int vcpu_memory_exit(struct vcpu *vcpu, const struct exit *exit);     /* memory_exit.c */
int vcpu_page_fault_exit(struct vcpu *vcpu, const struct exit *exit); /* memory_exit.c */
int vcpu_invlpg_exit(struct vcpu *vcpu, const struct exit *exit);     /* memory_exit.c */
#else /* a guest without page tables of its own: a virtual address is a physical one */
static inline int vcpu_translate(struct vcpu *vcpu, gva_t gva, u32 access, struct walk *walk)
{
	walk->gpa = GPA(gva.a);
	return 0;
}
static inline int vcpu_walk_failed(struct vcpu *vcpu, gva_t gva, enum seg seg, int err,
				   const struct walk *walk)
{
	return err;
}
static inline int vcpu_memory_exit(struct vcpu *vcpu, const struct exit *exit)
{
	return vm_fail(vcpu->vm, -ENOSYS, "a memory fault at %#lx", exit->memory.gpa.a);
}
static inline int vcpu_page_fault_exit(struct vcpu *vcpu, const struct exit *exit)
{
	vcpu_page_fault(vcpu, GVA(exit->exception.address), exit->exception.error);
	return 0;
}
static inline int vcpu_invlpg_exit(struct vcpu *vcpu, const struct exit *exit)
{
	return vm_fail(vcpu->vm, -ENOSYS, "INVLPG at %#lx", exit->rip);
}
#endif

/* ---- fetch.c --------------------------------------------------------------------------------- */
/**
 * vcpu_insn() - read and decode the instruction that exited.
 * Return: 0; -EAGAIN: it could not be fetched, and the guest has been given the fault; another
 * errno: the bytes are no instruction, which the processor saw otherwise: vm->reason says more.
 */
int vcpu_insn(struct vcpu *vcpu, struct insn *insn);

/**
 * vcpu_skip() - go behind the instruction that exited: by the processor's word for where that is,
 * or by reading it. Return: 0, or as vcpu_insn(), less -EAGAIN.
 */
int vcpu_skip(struct vcpu *vcpu, const struct exit *exit);

/**
 * vcpu_access() - copy between a buffer and guest virtual memory, with the guest's present rights.
 * @seg, @offset: where; @size: bytes; may cross a page
 * @access: WALK_WRITE to write to the guest, 0 to read from it
 * Return: 0; -EAGAIN: a page fault, given to the guest; -EFAULT: no RAM there.
 */
int vcpu_access(struct vcpu *vcpu, enum seg seg, u64 offset, void *buffer, u64 size, u32 access);

/** vcpu_probe() - would vcpu_access() succeed? If not, the same fault is given to the guest. */
static inline int vcpu_probe(struct vcpu *vcpu, enum seg seg, u64 offset, u64 size, u32 access)
{
	return vcpu_access(vcpu, seg, offset, NULL, size, access);
}

/** vcpu_operand() - vcpu_access() to an instruction's memory operand. */
int vcpu_operand(struct vcpu *vcpu, const struct insn *insn, void *buffer, u64 size, u32 access);

/** vcpu_operand_address() - the linear address of an instruction's memory operand. */
gva_t vcpu_operand_address(struct vcpu *vcpu, const struct insn *insn);

/** vcpu_wrap() - an instruction pointer as the code's size keeps it: IP wraps at 64 KiB. */
u64 vcpu_wrap(u64 rip, enum code_size code);

/* ---- handlers, each 0 or a negative errno that stops the VM ------------------------------- */
int vcpu_cpuid_exit(struct vcpu *vcpu, const struct exit *exit);     /* cpuid.c */
int vcpu_io_exit(struct vcpu *vcpu, const struct exit *exit);	     /* io.c */
int vcpu_msr_exit(struct vcpu *vcpu, const struct exit *exit);	     /* msr.c */
int vcpu_cr_exit(struct vcpu *vcpu, const struct exit *exit);	     /* cr.c */
int vcpu_hypercall_exit(struct vcpu *vcpu, const struct exit *exit); /* hypercall.c */

#ifdef CONFIG_MMIO
int vcpu_mmio_exit(struct vcpu *vcpu, const struct exit *exit); /* mmio.c */
#else
static inline int vcpu_mmio_exit(struct vcpu *vcpu, const struct exit *exit)
{
	return vm_fail(vcpu->vm, -ENOSYS,
		       "it touched %#lx, where it has no RAM; this Casita was built without "
		       "devices in memory",
		       exit->memory.gpa.a);
}
#endif

#ifdef CONFIG_EMULATE
/** cpuid_refresh() - work out what this guest's CPUID says, at its start and when CR4 changes. */
void cpuid_refresh(struct vcpu *vcpu);
#else
static inline void cpuid_refresh(struct vcpu *vcpu) {}
#endif
/** vcpu_cpuid() - what the guest's CPUID shall say. */
struct cpuid_regs vcpu_cpuid(struct vcpu *vcpu, u32 leaf, u32 subleaf);

/* ---- resident.c: state that stays in the processor between exits -------------------------- */
int resident_create(struct vcpu *vcpu);
void resident_destroy(struct vcpu *vcpu);
/** resident_load() - see that the processor holds this virtual CPU's FPU, debug registers, …. */
void resident_load(struct vcpu *vcpu);

/* ---- run.c -------------------------------------------------------------------------------- */
/** vmm_init() - choose and turn on a back end. Return: 0, or a negative errno, having said why. */
int vmm_init(void);
/** vmm_run() - run VMs, in turns, until all have stopped. */
void vmm_run(struct vm **vms, unsigned count);

/* ---- report.c ----------------------------------------------------------------------------- */
/** report_stop() - say how a VM ended, with its registers if it was a fault. */
void report_stop(struct vm *vm);

#endif

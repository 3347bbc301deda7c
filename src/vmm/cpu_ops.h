/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cpu_ops.h: what a processor vendor's virtualization must offer: one table of functions.
 *
 * The guest's registers stay where the processor keeps them (AMD's VMCB, Intel's VMCS) and are read
 * and written through get and set, one at a time, when somebody needs them: nothing is copied
 * wholesale at an exit. Only the general registers, which no processor saves, are in struct vcpu.
 *
 * Back ends announce themselves in the set `backends`; the first that works here is chosen at boot.
 */
#ifndef VMM_CPU_OPS_H
#define VMM_CPU_OPS_H

#include "lib/set.h"
#include "vmm/exit.h"
#include "x86/regs.h"
#include "x86/walk.h"

struct vm;
struct vcpu;

/* clang-format off */
/* Registers that the processor keeps. */
enum vreg {
	VREG_RIP, VREG_RSP, VREG_RFLAGS, VREG_CR0, VREG_CR2, VREG_CR3, VREG_CR4,
	VREG_EFER, VREG_DR6, VREG_DR7, VREG_PAT, VREG_COUNT
};

/* What paging modes and tests may ask the processor to exit for, beyond what is always on. */
enum intercept {
	INTERCEPT_CR0_WRITE, INTERCEPT_CR0_READ, INTERCEPT_CR3_WRITE, INTERCEPT_CR3_READ,
	INTERCEPT_CR4_WRITE, INTERCEPT_CR4_READ, INTERCEPT_INVLPG,
	INTERCEPT_TASK_SWITCH,
	INTERCEPT_EXCEPTION, /* + vector */
	INTERCEPT_COUNT = INTERCEPT_EXCEPTION + 32
};
/* clang-format on */

/* The registers that paging depends on. */
struct paging_regs {
	u64 cr0, cr3, cr4, efer;
};

struct cpu_ops {
	const char *name;

	/* Is this back end's processor here, and usable? If not, @why says what is in the way. */
	bool (*present)(const char **why);
	/* Turn virtualization on, on this CPU. Return: 0 or a negative errno, having said why. */
	int (*enable)(void);
	bool (*has_nested_paging)(void);

	int (*vm_create)(struct vm *vm);
	void (*vm_destroy)(struct vm *vm);
	int (*vcpu_create)(struct vcpu *vcpu); /* in the state after reset */
	void (*vcpu_destroy)(struct vcpu *vcpu);

	/*
	 * Enter the guest, hand each exit to exit_dispatch(), and enter it again, as long as
	 * vcpu->requests stays zero. This is the innermost loop of all, so each back end has its
	 * own: six lines, in which nothing is done through a pointer.
	 */
	void (*run)(struct vcpu *vcpu);

	u64 (*get)(struct vcpu *vcpu, enum vreg reg);
	void (*set)(struct vcpu *vcpu, enum vreg reg, u64 value);
	void (*get_seg)(struct vcpu *vcpu, enum seg seg, struct segment *out);
	void (*set_seg)(struct vcpu *vcpu, enum seg seg, const struct segment *in);
	void (*get_table)(struct vcpu *vcpu, bool idt, struct table_reg *out);
	void (*set_table)(struct vcpu *vcpu, bool idt, const struct table_reg *in);
	u8 (*get_cpl)(struct vcpu *vcpu);
	/* All that a walk of the guest's page tables depends on, at once. */
	void (*get_walk)(struct vcpu *vcpu, struct walk_regs *regs);

	/*
	 * Step over an instruction that we did in the guest's place: RIP, the end of an interrupt
	 * shadow that covered it, and, if RFLAGS.TF is set, vcpu_single_step(). Returns 0, so that
	 * an exit's handler can end in it.
	 */
	int (*advance)(struct vcpu *vcpu, u64 next_rip);

	/* Exceptions, NMIs: delivered at the next entry. -EBUSY if one is waiting already. */
	int (*inject)(struct vcpu *vcpu, const struct event *event);
	/* Take back the event that is waiting. */
	void (*take_back)(struct vcpu *vcpu, struct event *event);
	/* Hold the INTR pin up with this vector, or take it down (-1). The guest's processor takes
	 * it when its IF and the interrupt shadow let it. */
	void (*offer_irq)(struct vcpu *vcpu, int vector);
	/* After an exit: did the guest take what was offered? */
	bool (*irq_taken)(struct vcpu *vcpu);
	/* Is the next instruction under the shadow of STI or MOV SS? */
	bool (*irq_shadow)(struct vcpu *vcpu);

	/* Forget the guest's cached translations before the next entry. */
	void (*flush)(struct vcpu *vcpu);
	/* Physical address of the nested page table that translates the guest's memory. */
	void (*set_nested_root)(struct vcpu *vcpu, hpa_t root);
	/*
	 * Shadow paging: run the guest with these registers instead of those that it believes in.
	 * From the first call on get, set and get_walk speak of the guest's own, which the processor
	 * never sees; their reads and writes must be intercepted where the two differ.
	 */
	void (*set_paging)(struct vcpu *vcpu, const struct paging_regs *real);
	void (*intercept)(struct vcpu *vcpu, enum intercept what, bool on);
	/* Let the guest touch an MSR without an exit (or no longer). */
	void (*pass_msr)(struct vm *vm, u32 msr, bool read, bool write);
	/* What is added to the host's time stamp counter when the guest reads it. */
	void (*set_tsc_offset)(struct vcpu *vcpu, u64 offset);

	/* After EXIT_REFUSED: print which rule of the manual the state breaks. */
	void (*explain_refusal)(struct vcpu *vcpu);
};

SET_DECLARE(backends, const struct cpu_ops);
#define CPU_BACKEND(object) SET_ADD(backends, const struct cpu_ops, object)

/* The back end in use: chosen once, by vmm_init(). NULL until then. */
extern const struct cpu_ops *cpu;

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * svm.h: what the files of the AMD back end share. Nobody else includes it: the rest of Casita
 * speaks to struct cpu_ops.
 */
#ifndef SVM_SVM_H
#define SVM_SVM_H

#include "svm/detect.h"
#include "svm/vmcb.h"
#include "vmm/exit.h"
#include "vmm/vm.h"

/* The host's FS, GS, TR and system call registers, for VMLOAD after each exit. */
extern struct vmcb *svm_host_vmcb;

/*
 * Exceptions that a guest may not take unseen: delivering #AC can raise #AC, endlessly, and then no
 * interrupt gets through any more; #MC is the machine's, not the guest's. Delivering #DB can loop too,
 * with a breakpoint on the stack that it uses. But Bochs 2.7 loses DR6.BS when #DB is intercepted, and
 * raises the trap once more in the host; so #DB is not intercepted, and DR7 should be watched instead.
 */
#define SVM_ALWAYS_EXCEPTIONS (BIT(VEC_AC) | BIT(VEC_MC))

struct svm_vcpu {
	struct vmcb *vmcb;
	u64 asid_generation; /* which round of ASIDs ours is from; 0: has none */
	bool checked;	     /* svm_check_vmcb() has seen it before its first entry */
	u64 shadow_rip;	     /* where an interrupt shadow was seen last */
	/*
	 * Where each register of the guest is: in the VMCB; but under shadow paging those of struct
	 * paging_regs are here, for the VMCB has the ones that the processor runs the guest with.
	 */
	u64 *reg[VREG_COUNT];
	struct paging_regs seen;
};

/* I/O and MSR permission maps, one set a VM (permission.c). */
struct svm_vm {
	u8 *iopm;
	u8 *msrpm;
};

static inline struct svm_vcpu *svm_of(struct vcpu *vcpu)
{
	return vcpu->cpu_state;
}

static inline struct vmcb *vmcb_of(struct vcpu *vcpu)
{
	return svm_of(vcpu)->vmcb;
}

/**
 * svm_first_check() - hold a VMCB against the manual before its first entry, when its state is
 * still what we made it. Return: whether it is right; if not, the VM has been stopped.
 */
bool svm_first_check(struct vcpu *vcpu);

/** svm_vmsave() - save the host's part of what VMLOAD and VMSAVE move. */
void svm_vmsave(struct vmcb *host_vmcb);
/** svm_set_cr2() - the processor's own CR2, which is nobody's while Casita runs. */
void svm_set_cr2(u64 value);

/** svm_run() - run the guest and deal with its exits, until something is requested (run.c). */
void svm_run(struct vcpu *vcpu);
/** svm_decode_exit() - why the guest stopped, in the monitor's words (exits.c). */
void svm_decode_exit(struct vcpu *vcpu, const struct vmcb *vmcb, struct exit *exit);
/** svm_decode_event() - an event in the format of EVENTINJ and EXITINTINFO. */
void svm_decode_event(u64 word, struct event *event);

/* The table's operations that are in other files; vmm/cpu_ops.h has the contracts. */
int svm_advance(struct vcpu *vcpu, u64 next_rip);
int svm_inject(struct vcpu *vcpu, const struct event *event);
void svm_take_back(struct vcpu *vcpu, struct event *event);
void svm_offer_irq(struct vcpu *vcpu, int vector);
bool svm_irq_taken(struct vcpu *vcpu);
bool svm_irq_shadow(struct vcpu *vcpu);
void svm_flush(struct vcpu *vcpu);
void svm_set_nested_root(struct vcpu *vcpu, hpa_t root);

int svm_vm_create(struct vm *vm);
void svm_vm_destroy(struct vm *vm);
void svm_pass_msr(struct vm *vm, u32 msr, bool read, bool write);

int svm_vcpu_create(struct vcpu *vcpu);
void svm_vcpu_destroy(struct vcpu *vcpu);

/** svm_asid_deal() - give a virtual CPU a new ASID (asid.c). */
void svm_asid_deal(struct svm_vcpu *s);
extern u64 svm_asid_generation;

/** svm_asid_prepare() - see that the VMCB has an ASID that may be used now. */
static inline void svm_asid_prepare(struct svm_vcpu *s)
{
	s->vmcb->tlb_control = SVM_TLB_KEEP;
	if (unlikely(s->asid_generation != svm_asid_generation))
		svm_asid_deal(s);
}

/** svm_asid_renew() - forget all cached translations of a virtual CPU. */
void svm_asid_renew(struct svm_vcpu *s);

/**
 * svm_check_vmcb() - hold a VMCB against the rules of APM vol. 2 §15.5.1, which VMRUN enforces
 * without saying which was broken.
 * @vmcb: the block
 * @features: what the processor has
 * @phys_bits: its physical address width
 * @say: called with each broken rule in a sentence, its section included
 *
 * Return: the number of broken rules.
 */
int svm_check_vmcb(const struct vmcb *vmcb, const struct svm_features *features, unsigned phys_bits,
		   void (*say)(const char *rule));

#endif

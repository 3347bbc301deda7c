/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * svm.c: the AMD back end: is SVM here, turning it on, injecting events.
 *
 * The plan of the room:
 *
 *	vmcb.h		the control block, field by field
 *	svm.c		this: the table of operations, turning SVM on, injecting events
 *	switch.S	the world switch itself
 *	run.c		a run of the guest, and what its exit code means
 *	registers.c	guest registers in the control block
 *	vcpu.c		a control block for a processor fresh from reset
 *	asid.c		cached translations, and when they must go
 *	permission.c	I/O and MSR permission maps
 *	check.c		which rule a refused control block broke
 */
#include "host/cpu.h"
#include "host/host.h"
#include "lib/errno.h"
#include "lib/print.h"
#include "svm/registers.h"
#include "svm/svm.h"
#include "vmm/cpu_ops.h"
#include "vmm/inject.h"

#define CPUID_EXT_FEATURES   0x80000001
#define CPUID_ECX_SVM	     BIT(2)
#define CPUID_SVM	     0x8000000a
#define CPUID_EDX_NP	     BIT(0)
#define CPUID_EDX_NRIP	     BIT(3)
#define CPUID_ADDR_SIZES     0x80000008

#define CPUID_ECX_HYPERVISOR BIT(31)
#define CPUID_HYPERVISOR     0x40000000
#define HYPERVISOR_TCG	     0x54474354 /* "TCGT", the beginning of QEMU's name for it */

#define VM_CR_SVMDIS	     BIT(4)

struct svm_features svm_features;

struct vmcb *svm_host_vmcb;

/* APM vol. 2 §15.4. */
static bool svm_present(const char **why)
{
	struct cpuid_regs r;

	if (cpuid(0x80000000, 0).eax < CPUID_SVM ||
	    !(cpuid(CPUID_EXT_FEATURES, 0).ecx & CPUID_ECX_SVM)) {
		*why = "the processor has no AMD SVM";
		return false;
	}
	if (rdmsr(MSR_VM_CR) & VM_CR_SVMDIS) {
		*why = "the firmware has switched AMD SVM off (VM_CR.SVMDIS)";
		return false;
	}
	r = cpuid(CPUID_SVM, 0);
	svm_features.revision = r.eax & 0xff;
	svm_features.asids = r.ebx;
	svm_features.nested_paging = r.edx & CPUID_EDX_NP;
	svm_features.next_rip = r.edx & CPUID_EDX_NRIP;
	svm_features.inject_irq = !(cpuid(1, 0).ecx & CPUID_ECX_HYPERVISOR) ||
				  cpuid(CPUID_HYPERVISOR, 0).ebx != HYPERVISOR_TCG;
	return true;
}

/*
 * EFER.SVME makes the SVM instructions legal; VM_HSAVE_PA names the page in which VMRUN keeps the
 * host's state (APM vol. 2 §15.30.4).
 */
static int svm_enable(void)
{
	void *hsave = pages_alloc_zero(PAGE_SIZE, PAGE_SIZE);

	svm_host_vmcb = pages_alloc_zero(sizeof(*svm_host_vmcb), PAGE_SIZE);
	if (!hsave || !svm_host_vmcb) {
		print("casita: no memory left to turn SVM on\n");
		return -ENOMEM;
	}
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SVME);
	wrmsr(MSR_VM_HSAVE_PA, ptr_hpa(hsave).a);
	svm_vmsave(svm_host_vmcb);
	print("casita: AMD SVM revision %u, %u ASIDs%s%s\n", svm_features.revision,
	      svm_features.asids, svm_features.nested_paging ? ", nested paging" : "",
	      svm_features.next_rip ? ", next RIP" : "");
	return 0;
}

static int svm_advance(struct vcpu *vcpu, u64 next_rip)
{
	struct vmcb *vmcb = vmcb_of(vcpu);

	vmcb->rip = next_rip;
	vmcb->int_state = 0;
	vmcb->rflags &= ~RFLAGS_RF;
	return unlikely(vmcb->rflags & RFLAGS_TF) ? vcpu_single_step(vcpu) : 0;
}

/*
 * EVENTINJ (APM vol. 2 §15.20) makes the processor deliver an event as its first act in the guest,
 * with all checks, stack switches and consequences that the event has in life.
 */
static int svm_inject(struct vcpu *vcpu, const struct event *event)
{
	struct vmcb *vmcb = vmcb_of(vcpu);
	static const u64 types[] = {
		[EVENT_EXCEPTION] = SVM_EVENT_EXCEPTION,
		[EVENT_NMI] = SVM_EVENT_NMI,
		[EVENT_SOFT_INT] = SVM_EVENT_SOFT_INT,
	};

	if (vmcb->event_inj & SVM_EVENT_VALID)
		return -EBUSY;
	vmcb->event_inj = SVM_EVENT_VALID | types[event->kind] | event->vector;
	if (event->has_error)
		vmcb->event_inj |= SVM_EVENT_ERROR_VALID | (u64)event->error
								   << SVM_EVENT_ERROR_SHIFT;
	if (event->kind == EVENT_EXCEPTION && event->vector == VEC_PF)
		vmcb->cr2 = event->address;
	svm_set_cr2(event->address); /* Bochs's VMRUN does not load it */
	return 0;
}

static void svm_take_back(struct vcpu *vcpu, struct event *event)
{
	struct vmcb *vmcb = vmcb_of(vcpu);

	svm_decode_event(vmcb->event_inj, event);
	vmcb->event_inj = 0;
}

static bool may_take_irq(const struct vmcb *vmcb)
{
	return vmcb->rflags & RFLAGS_IF && !(vmcb->int_state & SVM_INT_SHADOW) &&
	       !(vmcb->event_inj & SVM_EVENT_VALID);
}

/*
 * An external interrupt that the guest may take at once is injected. For one that has to wait there is
 * V_IRQ, a virtual INTR pin (APM vol. 2 §15.21.4): the processor takes the vector when the guest's IF
 * and interrupt shadow allow it and lowers the pin itself, so no exit is needed to wait for that.
 *
 *	QEMU	delivers an injected external interrupt twice under -icount: the pin serves for both
 *	Bochs	does not look at the pin when a guest is entered with IF set, only when IF changes
 */
static void svm_offer_irq(struct vcpu *vcpu, int vector)
{
	struct vmcb *vmcb = vmcb_of(vcpu);

	vmcb->vintr = (vmcb->vintr & SVM_V_TPR) | SVM_V_INTR_MASKING;
	if (vector < 0)
		return;
	if (svm_features.inject_irq && may_take_irq(vmcb))
		vmcb->event_inj = SVM_EVENT_VALID | SVM_EVENT_INTR | vector;
	else
		vmcb->vintr |= SVM_V_IRQ | SVM_V_INTR_PRIO | SVM_V_IGN_TPR |
			       (u64)vector << SVM_V_VECTOR_SHIFT;
}

static bool svm_irq_taken(struct vcpu *vcpu)
{
	return !(vmcb_of(vcpu)->vintr & SVM_V_IRQ);
}

/*
 * The shadow after STI or MOV SS is saved at an exit, and VMRUN loads it again; but QEMU's does
 * not, and then an exit before the shadowed instruction has run would lose it. RFLAGS.RF tells
 * whether it has: we set it, and the processor clears it when an instruction completes (APM vol. 2
 * §3.1.6). All it does meanwhile is to keep a breakpoint off this one instruction, which a shadow
 * does as well.
 */
static bool svm_irq_shadow(struct vcpu *vcpu)
{
	struct svm_vcpu *s = svm_of(vcpu);
	struct vmcb *vmcb = s->vmcb;

	if (!(vmcb->int_state & SVM_INT_SHADOW) &&
	    !(vmcb->rflags & RFLAGS_RF && s->shadow_rip == vmcb->rip)) {
		s->shadow_rip = ~0ull;
		return false;
	}
	s->shadow_rip = vmcb->rip;
	vmcb->int_state |= SVM_INT_SHADOW;
	vmcb->rflags |= RFLAGS_RF;
	return true;
}

static void svm_flush(struct vcpu *vcpu)
{
	svm_asid_renew(svm_of(vcpu));
}

static bool svm_has_nested_paging(void)
{
	return svm_features.nested_paging;
}

static void svm_set_nested_root(struct vcpu *vcpu, hpa_t root)
{
	struct vmcb *vmcb = vmcb_of(vcpu);

	vmcb->ncr3 = root.a;
	vmcb->np_control = root.a ? SVM_NP_ENABLE : 0;
	svm_flush(vcpu);
}

static void svm_set_tsc_offset(struct vcpu *vcpu, u64 offset)
{
	vmcb_of(vcpu)->tsc_offset = offset;
}

static void say_rule(const char *rule)
{
	print("casita:   %s\n", rule);
}

static int check(struct vcpu *vcpu)
{
	unsigned bits = cpuid(CPUID_ADDR_SIZES, 0).eax & 0xff;

	return svm_check_vmcb(vmcb_of(vcpu), &svm_features, bits, say_rule);
}

bool svm_first_check(struct vcpu *vcpu)
{
	svm_of(vcpu)->checked = true;
	svm_asid_prepare(svm_of(vcpu));
	if (!check(vcpu))
		return true;
	vm_fail(vcpu->vm, -EINVAL, "its VMCB breaks the rules above, so VMRUN would refuse it");
	vm_stop(vcpu->vm, VM_FAILED);
	return false;
}

static void svm_explain_refusal(struct vcpu *vcpu)
{
	print("casita: VMRUN refused the guest's state:\n");
	if (!check(vcpu))
		print("casita:   no rule that we know is broken; but some processors (QEMU's) put "
		      "the\n"
		      "casita:   host's registers into the VMCB on refusal, as may be seen "
		      "below\n");
}

static const struct cpu_ops svm_ops = {
	.name = "svm",
	.present = svm_present,
	.enable = svm_enable,
	.has_nested_paging = svm_has_nested_paging,
	.vm_create = svm_vm_create,
	.vm_destroy = svm_vm_destroy,
	.vcpu_create = svm_vcpu_create,
	.vcpu_destroy = svm_vcpu_destroy,
	.run = svm_run,
	.get = svm_get,
	.set = svm_set,
	.get_seg = svm_get_seg,
	.set_seg = svm_set_seg,
	.get_table = svm_get_table,
	.set_table = svm_set_table,
	.get_cpl = svm_get_cpl,
	.get_walk = svm_get_walk,
	.advance = svm_advance,
	.inject = svm_inject,
	.take_back = svm_take_back,
	.offer_irq = svm_offer_irq,
	.irq_taken = svm_irq_taken,
	.irq_shadow = svm_irq_shadow,
	.flush = svm_flush,
	.set_nested_root = svm_set_nested_root,
	.set_paging = svm_set_paging,
	.intercept = svm_intercept,
	.pass_msr = svm_pass_msr,
	.set_tsc_offset = svm_set_tsc_offset,
	.explain_refusal = svm_explain_refusal,
};
CPU_BACKEND(svm_ops);

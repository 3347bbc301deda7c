/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * svm.c: the AMD back end's table of operations, and turning SVM on.
 *
 * The plan of the room:
 *
 *	detect.c	is SVM here, and what does it offer
 *	vmcb.h		the control block, field by field
 *	svm.c		this
 *	vcpu.c		a control block for a processor fresh from reset
 *	switch.S	the world switch itself
 *	run.c		the loop around it
 *	exits.c		what an exit code means
 *	registers.c	guest registers in the control block
 *	inject.c	exceptions for the guest, and stepping over an instruction
 *	irq.c		external interrupts for the guest
 *	nested.c	the nested tables' root
 *	asid.c		cached translations, and when they must go
 *	permission.c	I/O and MSR permission maps
 *	check.c		which rule a refused control block broke
 */
#include "host/cpu.h"
#include "host/host.h"
#include "lib/errno.h"
#include "lib/lab.h"
#include "lib/print.h"
#include "svm/registers.h"
#include "svm/svm.h"
#include "vmm/cpu_ops.h"

#define CPUID_ADDR_SIZES 0x80000008

struct vmcb *svm_host_vmcb;

/*
 * EFER.SVME makes the SVM instructions legal; VM_HSAVE_PA names the page in which VMRUN keeps the
 * host's state (APM vol. 2 §15.30.4).
 */
static int svm_enable(void)
{
#if SOLVED >= 1
	void *hsave = pages_alloc_zero(PAGE_SIZE, PAGE_SIZE);

	svm_host_vmcb = pages_alloc_zero(sizeof(*svm_host_vmcb), PAGE_SIZE);
	if (!hsave || !svm_host_vmcb) {
		print("casita: no memory left to turn SVM on\n");
		return -ENOMEM;
	}
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SVME);
	wrmsr(MSR_VM_HSAVE_PA, ptr_hpa(hsave).a);
	svm_vmsave(svm_host_vmcb);
	return 0;
#else
	/*
	 * Exercise 1.1. Take two zeroed pages: one for the processor, one for svm_host_vmcb
	 * (pages_alloc_zero; if there is none, print so and return -ENOMEM). Set SVME in the MSR
	 * EFER, keeping its other bits; tell the processor where the first page is, in the MSR
	 * VM_HSAVE_PA; then save the host's part of what VMLOAD and VMSAVE move:
	 * svm_vmsave(svm_host_vmcb). Return 0.
	 *
	 * Hint: an MSR wants a physical address: ptr_hpa(p).a. Without SVME all SVM instructions
	 * are #UD.
	 *
	 * Handout: lab 1, "Turning SVM on". APM vol. 2 §15.4, §15.30.4.
	 */
	LAB(1, "1.1", "turn SVM on");
#endif
}

void svm_flush(struct vcpu *vcpu)
{
	svm_asid_renew(svm_of(vcpu));
}

static bool svm_has_nested_paging(void)
{
	return svm_features.nested_paging;
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
	struct svm_vcpu *s = svm_of(vcpu);

	s->checked = true;
	svm_asid_prepare(s); /* the check wants one */
	if (!check(vcpu)) {
		svm_asid_renew(s); /* and the flush that may come with one is for the entry */
		return true;
	}
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
	.present = svm_detect,
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
#if STAGE >= 2
	.advance = svm_advance,
	.inject = svm_inject,
	.take_back = svm_take_back,
#endif
#if STAGE >= 5
	.offer_irq = svm_offer_irq,
	.irq_taken = svm_irq_taken,
	.irq_shadow = svm_irq_shadow,
#endif
	.flush = svm_flush,
#if STAGE >= 4
	.set_nested_root = svm_set_nested_root,
#endif
	.set_paging = svm_set_paging,
	.intercept = svm_intercept,
	.pass_msr = svm_pass_msr,
	.set_tsc_offset = svm_set_tsc_offset,
	.explain_refusal = svm_explain_refusal,
};
CPU_BACKEND(svm_ops);

/* SPDX-License-Identifier: BSD-3-Clause */
/* vcpu.c: a virtual CPU's VMCB, filled as for a processor fresh from reset. */
#include "lib/lab.h"
#include "svm/svm.h"

/*
 * What a guest must never do by itself. VMRUN's own intercept is not a choice: the processor
 * refuses a VMCB without it (APM vol. 2 §15.5.1).
 */
static void set_intercepts(struct vmcb *vmcb)
{
#if SOLVED >= 1
	vmcb->exceptions = SVM_ALWAYS_EXCEPTIONS;
	vmcb->intercepts1 = SVM_INTERCEPT_INTR | SVM_INTERCEPT_NMI | SVM_INTERCEPT_SMI |
			    SVM_INTERCEPT_INIT | SVM_INTERCEPT_CPUID | SVM_INTERCEPT_INVD |
			    SVM_INTERCEPT_RDPMC | SVM_INTERCEPT_HLT | SVM_INTERCEPT_INVLPGA |
			    SVM_INTERCEPT_IOIO | SVM_INTERCEPT_MSR | SVM_INTERCEPT_SHUTDOWN;
	vmcb->intercepts2 = SVM_INTERCEPT_VMRUN | SVM_INTERCEPT_VMMCALL | SVM_INTERCEPT_VMLOAD |
			    SVM_INTERCEPT_VMSAVE | SVM_INTERCEPT_STGI | SVM_INTERCEPT_CLGI |
			    SVM_INTERCEPT_SKINIT | SVM_INTERCEPT_WBINVD | SVM_INTERCEPT_MONITOR |
			    SVM_INTERCEPT_MWAIT | SVM_INTERCEPT_RDPRU;
#else
	/*
	 * Exercise 1.3. Set the intercepts: exceptions = SVM_ALWAYS_EXCEPTIONS; in intercepts1
	 * and intercepts2 every SVM_INTERCEPT_ bit of vmcb.h but VINTR, INVLPG. Go through the
	 * list and ask of each: what could the guest do to the machine without it?
	 *
	 * Hint: VMRUN refuses a VMCB whose VMRUN intercept is clear.
	 *
	 * Handout: lab 1, "What the guest must not do". APM vol. 2 §15.5.1, §15.9.
	 */
	LAB(1, "1.3", "choose the intercepts");
#endif
}

static struct segment reset_segment(u16 attrib)
{
	return (struct segment){.selector = 0, .attrib = attrib, .limit = 0xffff, .base = 0};
}

/* The processor's state after reset: APM vol. 2 §14.1.3, table 14-1. */
static void set_reset_state(struct vmcb *vmcb)
{
#if SOLVED >= 1
	struct segment data = reset_segment(SEG_P | SEG_S | SEG_TYPE_DATA_RW);

	vmcb->es = vmcb->ss = vmcb->ds = vmcb->fs = vmcb->gs = data;
	vmcb->cs = reset_segment(SEG_P | SEG_S | SEG_TYPE_CODE_RX);
	vmcb->cs.selector = 0xf000;
	vmcb->cs.base = 0xffff0000;
	vmcb->gdtr = reset_segment(0);
	vmcb->idtr = reset_segment(0);
	vmcb->ldtr = reset_segment(SEG_P | SEG_TYPE_LDT);
	vmcb->tr = reset_segment(SEG_P | SEG_TYPE_TSS16_BUSY);
	vmcb->rip = 0xfff0;
	vmcb->rflags = RFLAGS_RESET;
	/* CD and NW would run the guest uncached; every loader but a firmware's clears them. */
	vmcb->cr0 = CR0_RESET & ~(CR0_CD | CR0_NW);
	vmcb->dr6 = DR6_RESET;
	vmcb->dr7 = DR7_RESET;
	vmcb->g_pat = PAT_RESET;
	vmcb->efer = EFER_SVME; /* the guest never sees this bit, and VMRUN insists on it */
#else
	/*
	 * Exercise 1.4. Give every register the value it has after reset. reset_segment() makes a
	 * segment with base 0 and limit 0xffff:
	 *
	 *	ES SS DS FS GS	present, readable and writable data
	 *	CS		present code; selector 0xf000, base 0xffff0000
	 *	GDTR IDTR	no attributes
	 *	LDTR TR		present; an LDT, a busy 16-bit TSS
	 *	RIP 0xfff0, RFLAGS_RESET, DR6_RESET, DR7_RESET, PAT_RESET
	 *	CR0		CR0_RESET, but with caches on: no CD, no NW
	 *
	 * And EFER.SVME, which is not the guest's, but VMRUN insists on it.
	 *
	 * Handout: lab 1, "A processor fresh from reset". APM vol. 2 §14.1.3, table 14-1.
	 */
	LAB(1, "1.4", "give the guest's registers their values after reset");
#endif
}

int svm_vcpu_create(struct vcpu *vcpu)
{
	struct svm_vm *svm = vcpu->vm->cpu_state;
	struct svm_vcpu *s = kalloc(sizeof(*s));

	if (!s)
		return -ENOMEM;
	vcpu->cpu_state = s;
	s->vmcb = pages_alloc_zero(sizeof(*s->vmcb), PAGE_SIZE);
	if (!s->vmcb)
		return -ENOMEM;
	svm_registers_init(s);
	set_intercepts(s->vmcb);
	set_reset_state(s->vmcb);
	s->vmcb->iopm = ptr_hpa(svm->iopm).a;
	s->vmcb->msrpm = ptr_hpa(svm->msrpm).a;
	s->vmcb->vintr = SVM_V_INTR_MASKING;
	return 0;
}

void svm_vcpu_destroy(struct vcpu *vcpu)
{
	struct svm_vcpu *s = vcpu->cpu_state;

	if (!s)
		return;
	if (s->vmcb)
		pages_free(ptr_hpa(s->vmcb), sizeof(*s->vmcb), true);
	kfree(s, sizeof(*s));
	vcpu->cpu_state = NULL;
}

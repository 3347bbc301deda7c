/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check.c: which rule a refused VMCB breaks.
 *
 * VMRUN checks the guest's state before entering it and, if anything is wrong, gives the one answer
 * VMEXIT_INVALID for some thirty reasons (APM vol. 2 §15.5.1, "Canonicalization and Consistency
 * Checks"). Here are the reasons, one line each, so that nobody need read the manual with a hex
 * dump in the other hand.
 */
#include "svm/svm.h"

#define CR4_KNOWN                                                                                 \
	(CR4_VME | CR4_PVI | CR4_TSD | CR4_DE | CR4_PSE | CR4_PAE | CR4_MCE | CR4_PGE | CR4_PCE | \
	 CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_UMIP | CR4_LA57 | CR4_FSGSBASE | CR4_PCIDE |           \
	 CR4_OSXSAVE | CR4_SMEP | CR4_SMAP | CR4_PKE | CR4_CET)
#define EFER_KNOWN                                                                         \
	(EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE | EFER_SVME | EFER_LMSLE | EFER_FFXSR | \
	 EFER_TCE | BIT(17) | BIT(18) | BIT(20) | BIT(21))

struct checker {
	void (*say)(const char *rule);
	int broken;
};

#define RULE_OF(section, c, broken, text) rule(c, broken, text " (APM vol. 2 " section ")")
#define RULE(c, broken, text)		  RULE_OF("15.5.1", c, broken, text)

static void rule(struct checker *c, bool broken, const char *text)
{
	if (broken)
		c->say(text);
	c->broken += broken;
}

static void check_control_registers(struct checker *c, const struct vmcb *v, u64 above_phys)
{
	bool paging = v->cr0 & CR0_PG;
	bool long_paging = paging && (v->efer & EFER_LME);

	RULE(c, !(v->efer & EFER_SVME), "EFER.SVME is clear");
	RULE_OF("15.5.1, 3.1.7", c, v->efer & ~EFER_KNOWN, "a reserved bit of EFER is set");
	RULE(c, (v->cr0 & CR0_NW) && !(v->cr0 & CR0_CD), "CR0.NW is set without CR0.CD");
	RULE(c, v->cr0 >> 32, "bits 63:32 of CR0 are not zero");
	RULE(c, v->cr3 & above_phys, "CR3 has bits above the physical address width");
	RULE_OF("15.5.1, 3.1.3", c, v->cr4 & ~CR4_KNOWN, "a reserved bit of CR4 is set");
	RULE(c, v->dr6 >> 32, "bits 63:32 of DR6 are not zero");
	RULE(c, v->dr7 >> 32, "bits 63:32 of DR7 are not zero");
	RULE(c, long_paging && !(v->cr4 & CR4_PAE),
	     "EFER.LME and CR0.PG are set, CR4.PAE is clear");
	RULE(c, long_paging && !(v->cr0 & CR0_PE), "EFER.LME and CR0.PG are set, CR0.PE is clear");
	RULE(c,
	     long_paging && (v->cr4 & CR4_PAE) && (v->cs.attrib & SEG_L) && (v->cs.attrib & SEG_DB),
	     "CS.L and CS.D are both set in long mode");
}

static void check_event(struct checker *c, u64 event)
{
	u64 type = event & SVM_EVENT_TYPE;
	u64 vector = event & SVM_EVENT_VECTOR;

	if (!(event & SVM_EVENT_VALID))
		return;
	RULE_OF("15.20", c,
		type != SVM_EVENT_INTR && type != SVM_EVENT_NMI && type != SVM_EVENT_EXCEPTION &&
			type != SVM_EVENT_SOFT_INT,
		"EVENTINJ has a reserved type");
	RULE_OF("15.20", c, type == SVM_EVENT_EXCEPTION && (vector == VEC_NMI || vector > 31),
		"EVENTINJ injects an exception with a vector that is none");
}

int svm_check_vmcb(const struct vmcb *vmcb, const struct svm_features *features, unsigned phys_bits,
		   void (*say)(const char *rule))
{
	struct checker c = {.say = say};
	u64 above = ~0ull << phys_bits;

	check_control_registers(&c, vmcb, above);
	RULE(&c, !(vmcb->intercepts2 & SVM_INTERCEPT_VMRUN), "the VMRUN intercept is clear");
	RULE(&c, vmcb->asid == 0, "the ASID is zero");
	RULE(&c, vmcb->asid >= features->asids, "the ASID is not one that the processor has");
	RULE(&c, vmcb->iopm & above, "the I/O permission map is beyond physical memory");
	RULE(&c, vmcb->msrpm & above, "the MSR permission map is beyond physical memory");
	RULE(&c, vmcb->np_control & ~(u64)SVM_NP_ENABLE,
	     "a nested paging control is set that we do not use");
	if (vmcb->np_control & SVM_NP_ENABLE) {
		RULE_OF("15.24.5", &c, !features->nested_paging,
			"nested paging is on, and the processor has none");
		RULE_OF("15.25.4", &c, vmcb->ncr3 & (above | (PAGE_SIZE - 1)),
			"nCR3 has reserved bits set");
		RULE_OF("15.25.4", &c, !pat_valid(vmcb->g_pat),
			"G_PAT names a memory type that is none");
	}
	check_event(&c, vmcb->event_inj);
	return c.broken;
}

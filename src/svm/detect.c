/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * detect.c: is AMD SVM here, and what does this processor's offer?
 *
 * Two things must be true: CPUID says that the processor has the instructions, and the firmware has
 * not switched them off for good. APM vol. 2 §15.4 has it as a flow chart.
 */
#include "svm/detect.h"
#include "host/cpu.h"
#include "lib/lab.h"
#include "lib/print.h"
#include "x86/regs.h"

#define CPUID_EXT_MAX	   0x80000000
#define CPUID_EXT_FEATURES 0x80000001
#define CPUID_ECX_SVM	   BIT(2)
#define CPUID_SVM	   0x8000000a
#define CPUID_EDX_NP	   BIT(0)
#define CPUID_EDX_NRIP	   BIT(3)

#define VM_CR_SVMDIS	   BIT(4)

struct svm_features svm_features;

bool svm_detect(const char **why)
{
#if SOLVED >= 0
	struct cpuid_regs r;

	if (cpuid(CPUID_EXT_MAX, 0).eax < CPUID_SVM ||
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
	return true;
#else
	/*
	 * Exercise 0.1. Find out with CPUID whether the processor has SVM: the leaf must exist
	 * (leaf 8000_0000 says how far they go), and leaf 8000_0001 must show the feature. If
	 * not, *why is "the processor has no AMD SVM", and the answer false.
	 *
	 * Only then may the MSR VM_CR be read: reading one that the processor lacks is #GP. If
	 * its bit SVMDIS is set, *why is "the firmware has switched AMD SVM off (VM_CR.SVMDIS)".
	 *
	 * Otherwise fill svm_features from leaf 8000_000a: revision (EAX 7:0), asids (EBX),
	 * nested_paging and next_rip (EDX bits 0 and 3).
	 *
	 * Handout: lab 0, "Asking the processor". APM vol. 2 §15.4, vol. 3 §E.4.9.
	 */
	LAB(0, "0.1", "find out whether this processor has AMD SVM");
#endif
}

void svm_describe(void)
{
	print("casita: AMD SVM revision %u, %u ASIDs%s%s\n", svm_features.revision,
	      svm_features.asids, svm_features.nested_paging ? ", nested paging" : "",
	      svm_features.next_rip ? ", next RIP" : "");
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * detect.c: is Intel VT-x (VMX) here, and what does this processor's offer?
 *
 * CPUID says whether there is VMX at all; everything else is told by MSRs (SDM vol. 3D appendix A).
 * Those about controls hold two halves: which bits must be one, and (63:32) which may be.
 */
#include "vmx/detect.h"
#include "host/cpu.h"
#include "lib/lab.h"
#include "lib/print.h"

#define CPUID_ECX_VMX	    BIT(5) /* leaf 1 */

#define MSR_FEATURE_CONTROL 0x3a
#define FEATURE_LOCKED	    BIT(0)
#define FEATURE_VMX	    BIT(2) /* VMXON outside SMX operation */

#define MSR_VMX_BASIC	    0x480
#define VMX_REVISION	    0x7fffffff
#define MSR_VMX_PROC_CTLS   0x482
#define PROC_SECONDARY	    BIT(31) /* there are secondary controls */
#define MSR_VMX_PROC_CTLS2  0x48b
#define PROC2_EPT	    BIT(1)
#define PROC2_VPID	    BIT(5)
#define PROC2_UNRESTRICTED  BIT(7)

struct vmx_features vmx_features;

#if SOLVED >= 0
/* The bits of a control that may be one. */
static u64 allowed(u32 msr)
{
	return rdmsr(msr) >> 32;
}
#endif

bool vmx_detect(const char **why)
{
#if SOLVED >= 0
	u64 control, secondary = 0;

	if (!(cpuid(1, 0).ecx & CPUID_ECX_VMX)) {
		*why = "the processor has no Intel VT-x";
		return false;
	}
	control = rdmsr(MSR_FEATURE_CONTROL);
	if (control & FEATURE_LOCKED && !(control & FEATURE_VMX)) {
		*why = "the firmware has switched Intel VT-x off (IA32_FEATURE_CONTROL)";
		return false;
	}
	if (allowed(MSR_VMX_PROC_CTLS) & PROC_SECONDARY)
		secondary = allowed(MSR_VMX_PROC_CTLS2);
	vmx_features.revision = rdmsr(MSR_VMX_BASIC) & VMX_REVISION;
	vmx_features.ept = secondary & PROC2_EPT;
	vmx_features.vpid = secondary & PROC2_VPID;
	vmx_features.unrestricted_guest = secondary & PROC2_UNRESTRICTED;
	return true;
#else
	/*
	 * Exercise 0.2. The same for Intel. Without the bit in CPUID leaf 1, *why is "the
	 * processor has no Intel VT-x". If the firmware has locked IA32_FEATURE_CONTROL with
	 * VMX (outside SMX) off, *why is "the firmware has switched Intel VT-x off
	 * (IA32_FEATURE_CONTROL)". If it is not locked, we may switch it on: fine.
	 *
	 * Then fill vmx_features. EPT, VPID and unrestricted guest are secondary controls: the
	 * MSR that tells of them is there only if the primary controls may have bit 31 set.
	 *
	 * Handout: lab 0, "Asking the processor". SDM vol. 3C §24.6-24.7, vol. 3D §A.1-A.3.
	 */
	LAB(0, "0.2", "find out whether this processor has Intel VT-x");
#endif
}

void vmx_describe(void)
{
	print("casita: Intel VT-x: revision %u%s%s%s\n", vmx_features.revision,
	      vmx_features.ept ? ", EPT" : "", vmx_features.vpid ? ", VPID" : "",
	      vmx_features.unrestricted_guest ? ", unrestricted guest" : "");
}

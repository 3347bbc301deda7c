/* SPDX-License-Identifier: BSD-3-Clause */
/* detect.h: is Intel VT-x (VMX) here, and what does this processor's offer? */
#ifndef VMX_DETECT_H
#define VMX_DETECT_H

#include "lib/types.h"

struct vmx_features {
	u32 revision;		 /* of the VMCS's layout: the first word of each */
	bool ept;		 /* nested page tables */
	bool vpid;		 /* address space numbers */
	bool unrestricted_guest; /* real mode, and protected mode without paging */
};
extern struct vmx_features vmx_features;

/**
 * vmx_detect() - look for VMX, and fill vmx_features.
 * @why: if there is none that can be used, what is in the way, as a sentence
 *
 * Return: whether it can be used. SDM vol. 3C §24.6, §24.7.
 */
bool vmx_detect(const char **why);

/** vmx_describe() - tell people what vmx_detect() found, in one line. */
void vmx_describe(void);

#endif

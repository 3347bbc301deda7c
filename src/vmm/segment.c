/* SPDX-License-Identifier: BSD-3-Clause */
/* segment.c: what the guest's segments make of its code and of its addresses. */
#include "vmm/vcpu.h"

enum code_size vcpu_code_size(struct vcpu *vcpu)
{
	struct segment cs;

	cpu->get_seg(vcpu, SEG_CS, &cs);
	if ((cs.attrib & SEG_L) && (vcpu_get(vcpu, VREG_EFER) & EFER_LMA))
		return CODE_64;
	return (cs.attrib & SEG_DB) ? CODE_32 : CODE_16;
}

gva_t vcpu_linear(struct vcpu *vcpu, enum seg seg, u64 offset)
{
	struct segment s;

	cpu->get_seg(vcpu, seg, &s);
	if (vcpu_code_size(vcpu) == CODE_64)
		return GVA(offset + (seg == SEG_FS || seg == SEG_GS ? s.base : 0));
	return GVA((u32)(offset + s.base));
}

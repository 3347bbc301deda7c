/* SPDX-License-Identifier: BSD-3-Clause */
/* translate.c: the guest's virtual addresses, through the guest's own page tables. */
#include "vmm/vcpu.h"

/* An entry of 4 bytes is looked for as half of one of 8, which never crosses the end of RAM. */
static void *table_entry(void *opaque, gpa_t gpa)
{
	u8 *p = vm_ptr(opaque, GPA(gpa.a & ~7ull), 8);

	return p ? p + (gpa.a & 7) : NULL;
}

int vcpu_translate(struct vcpu *vcpu, gva_t gva, u32 access, struct walk *walk)
{
	struct walk_mem mem = {.entry = table_entry, .opaque = vcpu->vm};
	struct walk_regs regs;

	cpu->get_walk(vcpu, &regs);
	return walk_guest(&regs, &mem, gva, access, walk);
}

int vcpu_walk_failed(struct vcpu *vcpu, gva_t gva, enum seg seg, int err, const struct walk *walk)
{
	if (err == -ENODEV)
		return vm_fail(vcpu->vm, err, "its page tables are at an address without RAM");
	if (walk->error == WALK_NONCANONICAL)
		vcpu_exception(vcpu, seg == SEG_SS ? VEC_SS : VEC_GP, 0);
	else
		vcpu_page_fault(vcpu, gva, walk->error);
	return -EAGAIN;
}

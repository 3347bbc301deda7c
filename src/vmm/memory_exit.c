/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * memory_exit.c: exits that memory made: what the paging mode has no translation for, and what it asked
 * to see so as to keep its translations right.
 */
#include "vmm/vcpu.h"

/*
 * The guest touched physical memory that is no RAM: a device's business. If it was not the
 * instruction that did it, there is nothing that we could do in its place.
 */
static __slow int no_ram(struct vcpu *vcpu, const struct exit *exit)
{
	u64 gpa = exit->memory.gpa.a;

	if (exit->memory.table_walk)
		return vm_fail(vcpu->vm, -EFAULT,
			       "its page tables are at %#lx, where it has no RAM", gpa);
	if (exit->interrupted.valid)
		return vm_fail(vcpu->vm, -EFAULT,
			       "vector %u needs %#lx for its delivery, where there is no RAM",
			       exit->interrupted.event.vector, gpa);
	return vcpu_mmio_exit(vcpu, exit);
}

/* There is no translation for a guest physical address: ask the paging mode first. */
__slow int vcpu_memory_exit(struct vcpu *vcpu, const struct exit *exit)
{
	const struct paging_ops *paging = vcpu->vm->paging;
	int err;

	if (!paging->fault)
		return vm_fail(vcpu->vm, -EIO, "a nested page fault at %#lx, without nested paging",
			       exit->memory.gpa.a);
	err = paging->fault(vcpu, exit);
	return err == -ENOENT ? no_ram(vcpu, exit) : err;
}

/* A mode that intercepts #PF finds out itself what physical address is behind it, and whose it is. */
int vcpu_page_fault_exit(struct vcpu *vcpu, const struct exit *exit)
{
	struct exit at = {.kind = EXIT_MEMORY, .rip = exit->rip, .interrupted = exit->interrupted};
	int err;

	if (unlikely(!vcpu->vm->paging->page_fault)) {
		vcpu_page_fault(vcpu, GVA(exit->exception.address), exit->exception.error);
		return 0;
	}
	err = vcpu->vm->paging->page_fault(vcpu, exit, &at.memory.gpa);
	return unlikely(err == -ENOENT) ? no_ram(vcpu, &at) : err;
}

/* INVLPG has an operand, and touches no memory with it: it may even be mapped nowhere. */
__slow int vcpu_invlpg_exit(struct vcpu *vcpu, const struct exit *exit)
{
	struct insn insn;
	int err;

	if (!vcpu->vm->paging->invlpg)
		return vcpu_skip(vcpu, exit);
	err = vcpu_insn(vcpu, &insn);
	if (err)
		return err == -EAGAIN ? 0 : err;
	vcpu->vm->paging->invlpg(vcpu, vcpu_operand_address(vcpu, &insn));
	return cpu->advance(vcpu, vcpu_wrap(exit->rip + insn.len, vcpu_code_size(vcpu)));
}

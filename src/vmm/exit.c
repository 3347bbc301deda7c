/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * exit.c: the one exit switch. Every reason for which a guest can stop is here, with who deals with
 * it.
 */
#include "host/host.h"
#include "lib/errno.h"
#include "vmm/inject.h"
#include "vmm/paging_ops.h"
#include "vmm/vcpu.h"

const char *exit_kind_name(enum exit_kind kind)
{
	static const char *const names[] = {
#define X(e, name) [e] = name,
		EXIT_KINDS(X)
#undef X
	};

	return names[kind];
}

/* HLT: sleep until an interrupt, or an exception that stepping over it raises. */
static int halt(struct vcpu *vcpu, const struct exit *exit)
{
	vcpu->halted = true;
	vcpu->requests |= REQUEST_LEAVE;
	return vcpu_skip(vcpu, exit);
}

/*
 * The guest touched physical memory that is no RAM: a device's business. If it was not the
 * instruction that did it, there is nothing that we could do in its place.
 */
static __slow int no_ram(struct vcpu *vcpu, const struct exit *exit)
{
	unsigned long long gpa = exit->memory.gpa.a;

	if (exit->memory.table_walk)
		return vm_fail(vcpu->vm, -EFAULT,
			       "its page tables are at %#llx, where it has no RAM", gpa);
	if (exit->interrupted.valid)
		return vm_fail(vcpu->vm, -EFAULT,
			       "vector %u needs %#llx for its delivery, where there is no RAM",
			       exit->interrupted.event.vector, gpa);
	return vcpu_mmio_exit(vcpu, exit);
}

/* There is no translation for a guest physical address: ask the paging mode first. */
static __slow int memory_fault(struct vcpu *vcpu, const struct exit *exit)
{
	int err = vcpu->vm->paging->fault(vcpu, exit);

	return err == -ENOENT ? no_ram(vcpu, exit) : err;
}

/* A mode that intercepts #PF finds out itself what physical address is behind it. */
static int page_fault(struct vcpu *vcpu, const struct exit *exit)
{
	struct exit at = {.kind = EXIT_MEMORY, .rip = exit->rip, .interrupted = exit->interrupted};
	int err = vcpu->vm->paging->page_fault(vcpu, exit, &at.memory.gpa);

	return unlikely(err == -ENOENT) ? no_ram(vcpu, &at) : err;
}

/* INVLPG has an operand, and touches no memory with it: it may even be mapped nowhere. */
static __slow int invlpg(struct vcpu *vcpu, const struct exit *exit)
{
	struct insn insn;
	int err = vcpu_insn(vcpu, &insn);

	if (err)
		return err == -EAGAIN ? 0 : err;
	vcpu->vm->paging->invlpg(vcpu, vcpu_operand_address(vcpu, &insn));
	return cpu->advance(vcpu, vcpu_wrap(exit->rip + insn.len, vcpu_code_size(vcpu)));
}

/* An exception that we asked to see and that is the guest's own after all: give it to the guest. */
static __slow int reflect(struct vcpu *vcpu, const struct exit *exit)
{
	if (exit->exception.vector == VEC_MC)
		panic("the machine reports a hardware error (#MC)");
	if (exit->exception.vector == VEC_PF)
		vcpu_page_fault(vcpu, GVA(exit->exception.address), exit->exception.error);
	else
		vcpu_exception(vcpu, exit->exception.vector, exit->exception.error);
	return 0;
}

/* An instruction that this guest's CPUID does not show: as on a processor without it. */
static int undefined(struct vcpu *vcpu)
{
	vcpu_exception(vcpu, VEC_UD, 0);
	return 0;
}

static int refused(struct vcpu *vcpu)
{
	cpu->explain_refusal(vcpu);
	return vm_fail(vcpu->vm, -EINVAL, "the processor refused to enter the guest");
}

static int shutdown(struct vcpu *vcpu)
{
	vm_stop(vcpu->vm, VM_SHUTDOWN);
	return 0;
}

static int unknown(struct vcpu *vcpu, const struct exit *exit)
{
	return vm_fail(vcpu->vm, -ENOSYS, "exit code %#llx (information %#llx, %#llx) is not known",
		       (unsigned long long)exit->code, (unsigned long long)exit->info1,
		       (unsigned long long)exit->info2);
}

static int handle(struct vcpu *vcpu, const struct exit *exit)
{
	switch (exit->kind) {
	case EXIT_INTERRUPT:
		vcpu->requests |= REQUEST_HOST;
		return 0;
	case EXIT_WINDOW: /* nobody asks for it: the pin waits by itself */
		return 0;
	case EXIT_CPUID:
		return vcpu_cpuid_exit(vcpu, exit);
	case EXIT_IO:
		return vcpu_io_exit(vcpu, exit);
	case EXIT_RDMSR:
	case EXIT_WRMSR:
		return vcpu_msr_exit(vcpu, exit);
	case EXIT_CR_READ:
	case EXIT_CR_WRITE:
		return vcpu_cr_exit(vcpu, exit);
	case EXIT_MEMORY:
		return memory_fault(vcpu, exit);
	case EXIT_EXCEPTION:
		if (exit->exception.vector == VEC_PF && vcpu->vm->paging->page_fault)
			return page_fault(vcpu, exit);
		return reflect(vcpu, exit);
	case EXIT_HYPERCALL:
		return vcpu_hypercall_exit(vcpu, exit);
	case EXIT_HLT:
		return halt(vcpu, exit);
	case EXIT_INVLPG:
		return invlpg(vcpu, exit);
	case EXIT_TASK_SWITCH:
		return vm_fail(vcpu->vm, -ENOSYS,
			       "it switches tasks by hardware, which loads CR3: only nested paging "
			       "can let it");
	case EXIT_INVD: /* caches are coherent here: nothing to write back or drop */
		return vcpu_skip(vcpu, exit);
	case EXIT_RDPMC: /* no performance counters here, so no number is a right one */
		vcpu_exception(vcpu, VEC_GP, 0);
		return 0;
	case EXIT_FORBIDDEN:
		return undefined(vcpu);
	case EXIT_SHUTDOWN:
		return shutdown(vcpu);
	case EXIT_REFUSED:
		return refused(vcpu);
	case EXIT_UNKNOWN:
	case EXIT_KIND_COUNT:
		break;
	}
	return unknown(vcpu, exit);
}

static __slow void fail(struct vcpu *vcpu, int err, const struct exit *exit)
{
	if (!vcpu->vm->reason[0])
		vm_fail(vcpu->vm, err, "error %d at an exit of kind %s", -err,
			exit_kind_name(exit->kind));
	vm_stop(vcpu->vm, VM_FAILED);
}

/* Hooks see an exit first. Return: 1: that was all; 0: nobody took it; negative: it failed. */
static __slow int call_hook(struct vcpu *vcpu, const struct exit *exit)
{
	const struct exit_hook *hook = &vcpu->vm->hooks.exit[exit->kind];

	return hook->fn(vcpu, exit, hook->opaque);
}

void exit_dispatch(struct vcpu *vcpu, const struct exit *exit)
{
	int err = 0;

	if (unlikely(vcpu->requests))
		irq_account(vcpu, exit);
	if (unlikely(vcpu->vm->hooks.exit_kinds >> exit->kind & 1))
		err = call_hook(vcpu, exit);
	if (likely(!err))
		err = handle(vcpu, exit);
	if (unlikely(err < 0))
		fail(vcpu, err, exit);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * exit.c: the one exit switch. Every reason for which a guest can stop is here, with who deals with
 * it.
 */
#include "host/host.h"
#include "lib/errno.h"
#include "lib/lab.h"
#include "vmm/inject.h"
#include "vmm/irq.h"
#include "vmm/vcpu.h"

/* HLT: sleep until an interrupt, or an exception that stepping over it raises. */
static int halt(struct vcpu *vcpu, const struct exit *exit)
{
#if SOLVED >= 2
	vcpu->halted = true;
	vcpu->requests |= REQUEST_LEAVE;
	return vcpu_skip(vcpu, exit);
#else
	/*
	 * Exercise 2.1, continued. The guest's processor halts: vcpu->halted, and REQUEST_LEAVE
	 * gives the machine to somebody else. When it wakes it goes on behind the HLT.
	 */
	LAB(2, "2.1", "halt the guest's processor");
#endif
}

/* An exception that we asked to see and that is the guest's own after all: give it to the guest. */
static __slow int reflect(struct vcpu *vcpu, const struct exit *exit)
{
	if (exit->exception.vector == VEC_MC)
		panic("the machine reports a hardware error (#MC)");
	if (exit->exception.vector == VEC_PF)
		return vcpu_page_fault_exit(vcpu, exit);
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

/* Only asked for where CR3 is not the guest's to load. */
static int task_switch(struct vcpu *vcpu)
{
	return vm_fail(vcpu->vm, -ENOSYS,
		       "it switches tasks by hardware, which loads CR3: only nested paging can let "
		       "it");
}

static int unknown(struct vcpu *vcpu, const struct exit *exit)
{
	return vm_fail(vcpu->vm, -ENOSYS, "exit code %#llx (information %#llx, %#llx) is not known",
		       (unsigned long long)exit->code, (unsigned long long)exit->info1,
		       (unsigned long long)exit->info2);
}

static int handle(struct vcpu *vcpu, const struct exit *exit)
{
#if SOLVED >= 2
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
		return vcpu_memory_exit(vcpu, exit);
	case EXIT_EXCEPTION:
		return reflect(vcpu, exit);
	case EXIT_HYPERCALL:
		return vcpu_hypercall_exit(vcpu, exit);
	case EXIT_HLT:
		return halt(vcpu, exit);
	case EXIT_INVLPG:
		return vcpu_invlpg_exit(vcpu, exit);
	case EXIT_TASK_SWITCH:
		return task_switch(vcpu);
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
#else
	/*
	 * Exercise 2.1. One flat switch over exit->kind, a line or two each:
	 *
	 *	EXIT_INTERRUPT		the machine has one for us: REQUEST_HOST
	 *	EXIT_WINDOW		nothing
	 *	EXIT_CPUID, EXIT_IO, EXIT_RDMSR and EXIT_WRMSR, EXIT_CR_READ and EXIT_CR_WRITE,
	 *	EXIT_HYPERCALL, EXIT_MEMORY, EXIT_INVLPG
	 *				vcpu_cpuid_exit() and its neighbours in vcpu.h
	 *	EXIT_EXCEPTION, EXIT_HLT, EXIT_SHUTDOWN, EXIT_REFUSED, EXIT_TASK_SWITCH
	 *				the functions above
	 *	EXIT_INVD		nothing needs to be done: vcpu_skip()
	 *	EXIT_RDPMC		#GP(0)
	 *	EXIT_FORBIDDEN		undefined()
	 *	everything else		unknown()
	 *
	 * Return what the handler returned. Do not write a default: the compiler then says which
	 * kind you forgot.
	 *
	 * Handout: lab 2, "One switch".
	 */
	LAB(2, "2.1", "deal with every kind of exit");
#endif
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

/* SPDX-License-Identifier: BSD-3-Clause */
/* hypercall.c: the hypercalls of hypercall.h, and finding one by its number. */
#include "lib/errno.h"
#include "lib/lab.h"
#include "vmm/hypercall.h"
#include "vmm/inject.h"
#include "vmm/vcpu.h"

static s64 call_version(struct vcpu *vcpu, const u64 args[4], void *opaque)
{
	(void)vcpu, (void)args, (void)opaque;
	return 1;
}

static s64 call_print(struct vcpu *vcpu, const u64 args[4], void *opaque)
{
	(void)opaque;
	vm_console_write(vcpu->vm, args[0]);
	return 0;
}

static s64 call_exit(struct vcpu *vcpu, const u64 args[4], void *opaque)
{
	(void)opaque;
	vcpu->vm->status = args[0];
	vm_stop(vcpu->vm, VM_EXITED);
	return 0;
}

static s64 call_yield(struct vcpu *vcpu, const u64 args[4], void *opaque)
{
	(void)args, (void)opaque;
	vcpu->requests |= REQUEST_LEAVE;
	return 0;
}

static const struct hypercall_hook version = {.number = 0, .fn = call_version};
static const struct hypercall_hook print_byte = {.number = 1, .fn = call_print};
static const struct hypercall_hook exit_vm = {.number = 2, .fn = call_exit};
static const struct hypercall_hook yield = {.number = 3, .fn = call_yield};
HYPERCALL(version);
HYPERCALL(print_byte);
HYPERCALL(exit_vm);
HYPERCALL(yield);

static const struct hypercall_hook *find(const struct vm *vm, u64 number)
{
	const struct hypercall_hook *const *it;

	for (unsigned i = 0; i < vm->hooks.hypercall_count; i++) {
		if (vm->hooks.hypercall[i].number == number)
			return &vm->hooks.hypercall[i];
	}
	set_for_each (hypercalls, it) {
		if ((*it)->number == number)
			return *it;
	}
	return NULL;
}

int vcpu_hypercall_exit(struct vcpu *vcpu, const struct exit *exit)
{
#if SOLVED >= 2
	u64 args[4] = {vcpu->gpr[GPR_RBX], vcpu->gpr[GPR_RCX], vcpu->gpr[GPR_RDX],
		       vcpu->gpr[GPR_RSI]};
	const struct hypercall_hook *call;
	u64 number = vcpu->gpr[GPR_RAX];

	if (cpu->get_cpl(vcpu) != 0) {
		vcpu_exception(vcpu, VEC_UD, 0);
		return 0;
	}
	if (vcpu_code_size(vcpu) != CODE_64) { /* the upper halves are not the guest's to know */
		for (unsigned i = 0; i < ARRAY_SIZE(args); i++)
			args[i] = (u32)args[i];
		number = (u32)number;
	}
	call = find(vcpu->vm, number);
	vcpu->gpr[GPR_RAX] = call ? call->fn(vcpu, args, call->opaque) : -ENOSYS;
	return vcpu_skip(vcpu, exit);
#else
	/*
	 * Exercise 2.9. The convention is in hypercall.h. Only ring 0 may ask (cpu->get_cpl);
	 * others get #UD. Outside 64-bit code the upper halves of all registers do not count.
	 * find() the call; -ENOSYS if nobody knows the number. Step over the instruction.
	 *
	 * Handout: lab 2, "Hypercalls".
	 */
	LAB(2, "2.9", "do what a hypercall asks");
#endif
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* hooks.c: registering hooks, and finding the one for a port. */
#include "vmm/hooks.h"
#include "vmm/vm.h"

int vm_hook_io(struct vm *vm, const struct io_hook *hook)
{
	struct hooks *h = &vm->hooks;

	if (hook->first > hook->last || (hook->width != 1 && hook->width != 2 && hook->width != 4))
		return -EINVAL;
	if (h->io_count == IO_HOOKS)
		return -ENOSPC;
	for (u32 port = hook->first; port <= hook->last; port++)
		if (h->io_index[port])
			return -EEXIST;
	h->io[h->io_count++] = *hook;
	for (u32 port = hook->first; port <= hook->last; port++)
		h->io_index[port] = h->io_count;
	return 0;
}

static const struct io_hook *vm_find_io(const struct vm *vm, u16 port)
{
	unsigned index = vm->hooks.io_index[port];

	return index ? &vm->hooks.io[index - 1] : NULL;
}

static u32 ones(int size)
{
	return ~0u >> (32 - 8 * size);
}

u32 vm_in(struct vm *vm, u16 port, int size)
{
	const struct io_hook *hook = vm_find_io(vm, port);
	u32 value = 0;

	if (!hook)
		return ones(size);
	if (likely(size <= hook->width))
		return (hook->in ? hook->in(hook->opaque, port, size) : ~0u) & ones(size);
	for (int i = 0; i < size; i += hook->width)
		value |= vm_in(vm, port + i, hook->width) << 8 * i;
	return value;
}

void vm_out(struct vm *vm, u16 port, int size, u32 value)
{
	const struct io_hook *hook = vm_find_io(vm, port);

	if (!hook)
		return;
	if (likely(size <= hook->width)) {
		if (hook->out)
			hook->out(hook->opaque, port, size, value & ones(size));
		return;
	}
	for (int i = 0; i < size; i += hook->width)
		vm_out(vm, port + i, hook->width, value >> 8 * i);
}

int vm_hook_msr(struct vm *vm, const struct msr_hook *hook)
{
	struct hooks *h = &vm->hooks;

	if (hook->first > hook->last)
		return -EINVAL;
	for (unsigned i = 0; i < h->msr_count; i++)
		if (hook->first <= h->msr[i].last && h->msr[i].first <= hook->last)
			return -EEXIST;
	if (h->msr_count == MSR_HOOKS)
		return -ENOSPC;
	h->msr[h->msr_count++] = *hook;
	return 0;
}

int vm_hook_cpuid(struct vm *vm, const struct cpuid_hook *hook)
{
	struct hooks *h = &vm->hooks;

	if (hook->first > hook->last || !hook->fn)
		return -EINVAL;
	if (h->cpuid_count == CPUID_HOOKS)
		return -ENOSPC;
	h->cpuid[h->cpuid_count++] = *hook;
	return 0;
}

int vm_hook_hypercall(struct vm *vm, const struct hypercall_hook *hook)
{
	struct hooks *h = &vm->hooks;

	for (unsigned i = 0; i < h->hypercall_count; i++)
		if (h->hypercall[i].number == hook->number)
			return -EEXIST;
	if (h->hypercall_count == HYPERCALL_HOOKS)
		return -ENOSPC;
	h->hypercall[h->hypercall_count++] = *hook;
	return 0;
}

int vm_hook_exit(struct vm *vm, const struct exit_hook *hook)
{
	struct hooks *h = &vm->hooks;

	if (h->exit_kinds >> hook->kind & 1)
		return -EEXIST;
	h->exit[hook->kind] = *hook;
	h->exit_kinds |= 1u << hook->kind;
	return 0;
}

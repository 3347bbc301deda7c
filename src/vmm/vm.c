/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vm.c: building a virtual machine from its configuration, and taking it apart.
 *
 * The order: memory, devices (they may hook memory), the processor, paging (which translates
 * the memory map as it now is), and at last the guest's files.
 */
#include "lib/print.h"
#include "vmm/device.h"
#include "vmm/loader.h"
#include "vmm/trace.h"
#include "vmm/vcpu.h"

#define CPUID_ADDR_SIZES 0x80000008

void vm_stop(struct vm *vm, enum vm_state why)
{
	if (vm->state == VM_RUNNING)
		vm->state = why;
	if (vm->vcpu)
		vm->vcpu->requests |= REQUEST_LEAVE;
}

int vm_fail(struct vm *vm, int error, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	str_format_v(vm->reason, sizeof(vm->reason), fmt, ap);
	va_end(ap);
	return error;
}

void *device_alloc(struct vm *vm, size_t bytes)
{
	void *memory = vm->device_alloc_count < VM_DEVICE_ALLOCS ? kalloc(bytes) : NULL;

	if (memory)
		vm->device_allocs[vm->device_alloc_count++] = (struct device_alloc){memory, bytes};
	return memory;
}

static int create_devices(struct vm *vm)
{
	const struct device_class *const *it;

	set_for_each (devices, it) {
		int err = (*it)->create(vm);

		if (err && !vm->reason[0])
			vm_fail(vm, err, "its %s could not be made (error %d)", (*it)->name, -err);
		if (err)
			return err;
	}
	return 0;
}

static void destroy_devices(struct vm *vm)
{
	const struct device_class *const *it;

	set_for_each (devices, it)
		if ((*it)->destroy)
			(*it)->destroy(vm);
	for (unsigned i = 0; i < vm->device_alloc_count; i++)
		kfree(vm->device_allocs[i].memory, vm->device_allocs[i].bytes);
}

/* The paging mode that was asked for by name, or the best that is linked and works here. */
static int choose_paging(struct vm *vm)
{
	const char *wanted = vm->config->paging;
	const char *why = "this Casita was built without any paging mode";
	const struct paging_ops *const *it;

	set_for_each (paging_modes, it) {
		if (wanted[0] && strcmp(wanted, (*it)->name))
			continue;
		if ((*it)->present && !(*it)->present(&why)) {
			if (wanted[0])
				return vm_fail(vm, -ENODEV, "paging=%s: %s", wanted, why);
		} else if (!vm->paging || vm->paging->rank < (*it)->rank) {
			vm->paging = *it;
		}
	}
	if (vm->paging)
		return 0;
	if (wanted[0])
		return vm_fail(vm, -ENOSYS, "paging=%s: this Casita was built without it", wanted);
	return vm_fail(vm, -ENODEV, "no way to virtualize its memory: %s", why);
}

/* By the loader asked for by name, or the first that knows the file; or say which there are. */
static int load(struct vm *vm)
{
	const char *wanted = vm->config->loader;
	const struct loader *const *it;
	char names[64] = "";
	size_t n = 0;

	set_for_each (loaders, it) {
		if (wanted[0] ? !strcmp(wanted, (*it)->name) : (*it)->probe(&vm->config->kernel)) {
			int err = (*it)->load(vm);

			if (!err)
				paging_registers_written(vm->vcpu, false);
			return err;
		}
		if (n < sizeof(names))
			n += str_format(names + n, sizeof(names) - n, " %s", (*it)->name);
	}
	if (wanted[0])
		return vm_fail(vm, -ENOSYS,
			       "loader=%s: this Casita was built without it (it has:%s)", wanted,
			       names[0] ? names : " none");
	return vm_fail(vm, -ENOEXEC,
		       "%s is no kernel that a loader here knows (they are:%s); for raw code say "
		       "loader=flat at=ADDRESS mode=real|protected|long",
		       vm->config->kernel.name, names[0] ? names : " none");
}

static int build(struct vm *vm)
{
	return choose_paging(vm) ?: memory_create(vm, vm->config->mem) ?: create_devices(vm) ?:
	       cpu->vm_create(vm) ?: (vm->paging->vm_create ? vm->paging->vm_create(vm) : 0) ?:
	       vcpu_create(vm) ?: trace_create(vm) ?: load(vm);
}

int vm_create(const struct vm_config *config, struct vm **out)
{
	struct vm *vm = kalloc(sizeof(*vm));
	int err;

	if (!vm)
		return -ENOMEM;
	memcpy(vm->name, config->name, sizeof(vm->name));
	vm->config = config;
	vm->phys_bits = cpuid(CPUID_ADDR_SIZES, 0).eax;
	err = build(vm);
	if (!err) {
		*out = vm;
		return 0;
	}
	print("casita: %s: cannot start: %s\n", vm->name,
	      vm->reason[0]    ? vm->reason
	      : err == -ENOMEM ? "not enough memory left; give the machine more"
			       : "a part of it failed");
	vm_destroy(vm);
	return err;
}

void vm_destroy(struct vm *vm)
{
	vm_dirty_end(vm);
	trace_destroy(vm);
	if (vm->vcpu)
		vcpu_destroy(vm);
	if (vm->paging_state)
		vm->paging->vm_destroy(vm);
	if (vm->cpu_state)
		cpu->vm_destroy(vm);
	destroy_devices(vm);
	memory_destroy(vm);
	kfree(vm, sizeof(*vm));
}

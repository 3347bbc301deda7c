/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vm.c: building a virtual machine from its configuration, and taking it apart.
 *
 * The order: memory, hooks, devices (they may hook memory), the processor, paging (which translates
 * the memory map as it now is), and at last the guest's files.
 */
#include "host/host.h"
#include "lib/errno.h"
#include "lib/print.h"
#include "lib/string.h"
#include "vmm/device.h"
#include "vmm/loader.h"
#include "vmm/paging_ops.h"
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
	void *memory;

	if (vm->device_alloc_count == VM_DEVICE_ALLOCS)
		return NULL;
	memory = kalloc(bytes);
	if (memory) {
		vm->device_allocs[vm->device_alloc_count].memory = memory;
		vm->device_allocs[vm->device_alloc_count++].bytes = bytes;
	}
	return memory;
}

static int create_devices(struct vm *vm)
{
	const struct device_class *const *it;

	set_for_each (devices, it) {
		int err = (*it)->create(vm);

		if (err)
			return vm->reason[0]
				       ? err
				       : vm_fail(vm, err, "its %s could not be made (error %d)",
						 (*it)->name, -err);
	}
	return 0;
}

static void destroy_devices(struct vm *vm)
{
	const struct device_class *const *it;

	set_for_each (devices, it) {
		if ((*it)->destroy)
			(*it)->destroy(vm);
	}
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
		if (!(*it)->present(&why)) {
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

static const struct loader *find_loader(struct vm *vm)
{
	const char *wanted = vm->config->loader;
	const struct loader *const *it;

	set_for_each (loaders, it) {
		if (wanted[0] ? !strcmp(wanted, (*it)->name) : (*it)->probe(&vm->config->kernel))
			return *it;
	}
	return NULL;
}

/* No loader: say which there are, because one may have been left out of this Casita. */
static int no_loader(struct vm *vm)
{
	const struct loader *const *it;
	char names[64] = "";
	size_t n = 0;

	set_for_each (loaders, it) {
		if (n < sizeof(names))
			n += str_format(names + n, sizeof(names) - n, " %s", (*it)->name);
	}
	if (vm->config->loader[0])
		return vm_fail(vm, -ENOSYS,
			       "loader=%s: this Casita was built without it (it has:%s)",
			       vm->config->loader, names[0] ? names : " none");
	return vm_fail(vm, -ENOEXEC,
		       "%s is no kernel that a loader here knows (they are:%s); for raw code say "
		       "loader=flat at=ADDRESS mode=real|protected|long",
		       vm->config->kernel.name, names[0] ? names : " none");
}

static int load(struct vm *vm)
{
	const struct loader *loader = find_loader(vm);

	int err = loader ? loader->load(vm) : no_loader(vm);

	if (!err)
		paging_registers_written(vm->vcpu, false);
	return err;
}

static int build(struct vm *vm)
{
	int err = choose_paging(vm);

	if (!err)
		err = memory_create(vm, vm->config->mem);
	if (!err)
		err = hooks_create(vm);
	if (!err)
		err = create_devices(vm);
	if (!err)
		err = cpu->vm_create(vm);
	if (!err)
		err = vm->paging->vm_create(vm);
	if (!err)
		err = vcpu_create(vm);
	if (!err)
		err = trace_create(vm);
	return err ? err : load(vm);
}

int vm_create(const struct vm_config *config, struct vm **out)
{
	struct vm *vm = kalloc(sizeof(*vm));
	int err;

	if (!vm)
		return -ENOMEM;
	str_copy(vm->name, sizeof(vm->name), config->name);
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
	hooks_destroy(vm);
	memory_destroy(vm);
	kfree(vm, sizeof(*vm));
}

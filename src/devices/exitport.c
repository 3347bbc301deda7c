/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * exitport.c: port f4, where a guest ends its VM and says how it went.
 *
 * A byte written to it is the VM's exit status. No PC has such a port: it is where QEMU's
 * isa-debug-exit sits by custom. A Linux guest without ACPI knows no other way to switch its
 * machine off; a program of it gets here with ioperm() and outb(). Reads float.
 */
#include "vmm/device.h"
#include "vmm/vm.h"

#define EXIT_PORT 0xf4

static void exitport_out(void *opaque, u16 port, int size, u32 value)
{
	struct vm *vm = opaque;

	vm->status = value;
	vm_stop(vm, VM_EXITED);
}

static int exitport_create(struct vm *vm)
{
	struct io_hook hook = {EXIT_PORT, EXIT_PORT, 1, NULL, exitport_out, vm};

	return vm_hook_io(vm, &hook);
}

static const struct device_class exitport_class = {.name = "exitport", .create = exitport_create};
DEVICE(exitport_class);

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * debugcon.c: port e9, the simplest console there is.
 *
 * A byte written to it appears on the console. No PC has it: Bochs's port_e9_hack and QEMU's
 * isa-debugcon do. A read gives e9 there and here, so that a guest can tell who is listening.
 */
#include "vmm/device.h"
#include "vmm/vm.h"

#define DEBUGCON_PORT 0xe9

static u32 debugcon_in(void *opaque, u16 port, int size)
{
	return DEBUGCON_PORT;
}

static void debugcon_out(void *opaque, u16 port, int size, u32 value)
{
	vm_console_write(opaque, value);
}

static int debugcon_create(struct vm *vm)
{
	struct io_hook hook = {DEBUGCON_PORT, DEBUGCON_PORT, 1, debugcon_in, debugcon_out, vm};

	return vm_hook_io(vm, &hook);
}

static const struct device_class debugcon_class = {.name = "debugcon", .create = debugcon_create};
DEVICE(debugcon_class);

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * reset.c: the ways in which software resets a PC, or switches it off.
 *
 *	64   The keyboard controller's command port: command fe pulses the reset line. There is no
 *	     keyboard here, so it reads ff like any empty port, and no other command does anything.
 *	92   System control port A: bit 0 resets; bit 1 is the A20 gate. A20 is always on in a VM:
 *	     the bit can be written and read, and that is all.
 *	cf9  Reset control register: setting bit 2 resets. Bits 1 and 3 say how hard, which makes no
 *	     difference to a VM. Only accesses of a byte come here: a wider one at cf8 is PCI's.
 *	604  ACPI's PM1 control register where QEMU's firmware puts it: 2000, sleep enable with the
 *	     type of sleep that it calls "off", switches off.
 *
 * A reset ends the VM (VM_RESET), and whoever runs it decides whether to start it anew.
 *
 * IBM PC AT Technical Reference, 1-42 (8042); Intel 82371SB (PIIX3) data sheet, RC register; Intel
 * 82371AB (PIIX4) data sheet, PMCNTRL.
 */
#include "vmm/device.h"
#include "vmm/vm.h"

#define KEYBOARD_PORT  0x64
#define KEYBOARD_RESET 0xfe

#define SYSTEM_PORT    0x92
#define SYSTEM_RESET   BIT(0)
#define SYSTEM_A20     BIT(1)

#define CONTROL_PORT   0xcf9
#define CONTROL_RESET  BIT(2)
#define CONTROL_BITS   0x0e

#define POWER_PORT     0x604
#define POWER_SLEEP    0x3c00 /* bit 13 sleep enable, 12-10 the type of sleep */
#define POWER_OFF      0x2000 /* type 0 */

struct reset {
	struct vm *vm;
	u8 system, control;
};

static u32 reset_in(void *opaque, u16 port, int size)
{
	const struct reset *r = opaque;

	return port == SYSTEM_PORT ? r->system : r->control;
}

static void reset_out(void *opaque, u16 port, int size, u32 value)
{
	struct reset *r = opaque;

	if (port == SYSTEM_PORT)
		r->system = value & SYSTEM_A20;
	else if (port == CONTROL_PORT)
		r->control = value & CONTROL_BITS;
	if ((port == KEYBOARD_PORT && value == KEYBOARD_RESET) ||
	    (port == SYSTEM_PORT && value & SYSTEM_RESET) ||
	    (port == CONTROL_PORT && value & CONTROL_RESET))
		vm_stop(r->vm, VM_RESET);
	if (port == POWER_PORT && size == 2 && (value & POWER_SLEEP) == POWER_OFF)
		vm_stop(r->vm, VM_POWEROFF);
}

static int reset_create(struct vm *vm)
{
	struct reset *r = device_alloc(vm, sizeof(*r));
	struct io_hook keyboard = {KEYBOARD_PORT, KEYBOARD_PORT, 1, NULL, reset_out, r};
	struct io_hook system = {SYSTEM_PORT, SYSTEM_PORT, 1, reset_in, reset_out, r};
	struct io_hook control = {CONTROL_PORT, CONTROL_PORT, 1, reset_in, reset_out, r};
	struct io_hook power = {POWER_PORT, POWER_PORT, 2, NULL, reset_out, r};

	if (!r)
		return -ENOMEM;
	r->vm = vm;
	r->system = SYSTEM_A20;
	return vm_hook_io(vm, &keyboard) ?: vm_hook_io(vm, &system) ?: vm_hook_io(vm, &control) ?:
	       vm_hook_io(vm, &power);
}

static const struct device_class reset_class = {.name = "reset", .create = reset_create};
DEVICE(reset_class);

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * console.c: the machine's one console, shared by its VMs.
 *
 * A single VM has it to itself, byte for byte. When there are several, each gets whole lines with
 * its name in front, and what is typed goes to the first that still runs.
 */
#include "lib/print.h"
#include "vmm/vm.h"

static unsigned vm_count;
static struct vm *keyboard; /* what is typed goes there */

void vm_console_focus(struct vm *vm, unsigned vms)
{
	keyboard = vm;
	vm_count = vms;
}

static void flush_line(struct vm *vm)
{
	print("[%s] %.*s\n", vm->name, (int)vm->line_length, vm->line);
	vm->line_length = 0;
}

void vm_console_write(struct vm *vm, u8 byte)
{
	char c = byte;

	if (vm_count <= 1) {
		console_write(&c, 1);
		return;
	}
	if (c == '\n')
		flush_line(vm);
	else if (c != '\r')
		vm->line[vm->line_length++] = c;
	if (vm->line_length == sizeof(vm->line))
		flush_line(vm);
}

int vm_console_read(struct vm *vm)
{
	return vm == keyboard ? console_read() : -1;
}

void vm_console_input(struct vm *vm, void (*ready)(void *opaque), void *opaque)
{
	vm->input_ready = ready;
	vm->input_opaque = opaque;
}

void vm_console_poll(void)
{
	if (keyboard && keyboard->input_ready)
		keyboard->input_ready(keyboard->input_opaque);
}

void vm_console_end(struct vm *vm)
{
	if (vm->line_length)
		flush_line(vm);
	if (keyboard == vm)
		keyboard = NULL;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* irq.c: interrupt lines; see irq.h. */
#include "vmm/irq.h"
#include "vmm/vm.h"

void vm_set_irq_chip(struct vm *vm, const struct irq_chip *chip)
{
	vm->irq.chip = *chip;
	vm->irq.present = true;
	for (unsigned line = 0; line < IRQ_LINES; line++) {
		if (vm->irq.lines >> line & 1)
			chip->set_line(chip->opaque, line, true);
	}
}

void vm_irq(struct vm *vm, unsigned line, bool level)
{
	u32 lines = level ? vm->irq.lines | 1u << line : vm->irq.lines & ~(1u << line);

	if (lines == vm->irq.lines)
		return;
	vm->irq.lines = lines;
	if (vm->irq.present)
		vm->irq.chip.set_line(vm->irq.chip.opaque, line, level);
}

void vm_set_intr(struct vm *vm, bool level)
{
	vm->intr = level;
	if (vm->vcpu) /* a device may raise a line while it is being made */
		vm->vcpu->requests |= REQUEST_IRQ;
}

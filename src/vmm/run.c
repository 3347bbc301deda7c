/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * run.c: the run loop.
 *
 * One turn of the loop is: put a waiting interrupt on the guest's pin, enter the guest, and deal
 * with what made it exit. Nothing else happens at an exit. Timers are looked at only when the
 * machine's timer has interrupted (timer.h), and input only when the machine's UART has.
 *
 * Several VMs share the CPU in turns. A turn ends when the guest halts or its slice is over; while
 * there is one VM only, there are no slices. When all are halted the CPU sleeps until an interrupt.
 */
#include "lib/print.h"
#include "vmm/timer.h"
#include "vmm/trace.h"
#include "vmm/vcpu.h"

#define SLICE_NS 10000000 /* 10 ms */

const struct cpu_ops *cpu;

int vmm_init(void)
{
	const char *why = "this Casita was built without a back end for any processor";
	const struct cpu_ops *const *it;

	set_for_each (backends, it) {
		if ((*it)->present(&why)) {
			cpu = *it;
			return cpu->enable();
		}
	}
	print("casita: this machine cannot run guests: %s\n", why);
	return -ENODEV;
}

/*
 * Can a halted guest go on? A guest that halts with interrupts disabled never will: no wire of its
 * machine can wake it but NMI, and nobody here pulls that.
 */
static bool try_wake(struct vm *vm)
{
	struct vcpu *vcpu = vm->vcpu;

	if (vcpu->halted && vcpu_can_wake(vcpu))
		vcpu->halted = false;
	else if (vcpu->halted && !vcpu_may_wake(vcpu))
		vm_stop(vm, VM_POWEROFF);
	return !vcpu->halted;
}

/* All VMs that are to run, and the one that has the processor. */
static struct vm **vms;
static unsigned vm_count;
static struct vcpu *running;

/* Did what has just happened wake another VM? */
static bool somebody_woke(void)
{
	for (unsigned i = 0; i < vm_count; i++) {
		const struct vm *vm = vms[i];

		if (vm->state == VM_RUNNING && vm->vcpu->halted && vcpu_can_wake(vm->vcpu))
			return true;
	}
	return false;
}

/*
 * See to what was requested while the guest ran, or what it waits for. The machine's interrupts are
 * let in here, and with them timers and input. Return: whether the guest may be entered now.
 */
static bool see_to_requests(struct vcpu *vcpu)
{
	if (vcpu->requests & REQUEST_HOST) {
		vcpu->requests &= ~REQUEST_HOST;
		host_take_interrupts();
		timers_run(host_now());
		vm_console_poll();
		if (somebody_woke())
			vcpu->requests |= REQUEST_LEAVE;
	}
	if (vcpu->requests & REQUEST_LEAVE)
		return false;
	if (vcpu->requests & REQUEST_IRQ) {
		vcpu->requests &= ~REQUEST_IRQ;
		irq_offer(vcpu);
	}
	return true;
}

/* Run one guest until it halts, stops, or its slice is over. */
static void run_turn(struct vcpu *vcpu)
{
	running = vcpu;
	resident_load(vcpu);
	vcpu->requests &= ~REQUEST_LEAVE;
	while (!vcpu->requests || see_to_requests(vcpu))
		cpu->run(vcpu);
}

static void end_slice(void *unused)
{
	running->requests |= REQUEST_LEAVE;
}

static struct timer slice = {.fn = end_slice};

/* Give one VM its turn. Return: something happened; false: it sleeps. */
static bool turn(struct vm *vm, bool alone)
{
	if (try_wake(vm)) {
		if (!alone)
			timer_arm(&slice, host_now() + SLICE_NS);
		run_turn(vm->vcpu);
		timer_cancel(&slice);
	} else if (vm->state == VM_RUNNING) {
		return false;
	}
	if (vm->state != VM_RUNNING) {
		vm_console_end(vm);
		report_stop(vm);
	}
	return true;
}

static unsigned count_running(struct vm **first)
{
	unsigned n = 0;

	for (unsigned i = 0; i < vm_count; i++)
		if (vms[i]->state == VM_RUNNING && !n++)
			*first = vms[i];
	return n;
}

void vmm_run(struct vm **all, unsigned count)
{
	struct vm *first = NULL;
	unsigned alive;

	vms = all;
	vm_count = count;
	while ((alive = count_running(&first))) {
		unsigned asleep = 0;

		vm_console_focus(first, count);
		for (unsigned i = 0; i < count; i++)
			if (vms[i]->state == VM_RUNNING && !turn(vms[i], alive == 1))
				asleep++;
		if (asleep == alive) {
			host_idle();
			timers_run(host_now());
			vm_console_poll();
		}
	}
}

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
#include "host/host.h"
#include "lib/errno.h"
#include "lib/print.h"
#include "vmm/console.h"
#include "vmm/inject.h"
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

/* Let the machine's pending interrupts in, and do what they were about. */
static void take_interrupts(struct vm *vm)
{
	host_take_interrupts();
	timers_run(host_now());
	vm_console_poll(vm);
}

/* Return: whether the guest may be entered now. */
static bool see_to_requests(struct vcpu *vcpu)
{
	if (vcpu->requests & REQUEST_HOST) {
		vcpu->requests &= ~REQUEST_HOST;
		take_interrupts(vcpu->vm);
	}
	if (vcpu->requests & REQUEST_LEAVE)
		return false;
	if (vcpu->requests & REQUEST_IRQ)
		irq_offer(vcpu);
	return true;
}

/* Run one guest until it halts, stops, or its slice is over. */
static void run_turn(struct vcpu *vcpu)
{
	resident_load(vcpu);
	vcpu->requests &= ~REQUEST_LEAVE;
	while (!vcpu->requests || see_to_requests(vcpu))
		cpu->run(vcpu);
}

/*
 * Can a halted guest go on? A guest that halts with interrupts disabled never will: no wire of its
 * machine can wake it but NMI, and nobody here pulls that.
 */
static bool try_wake(struct vm *vm)
{
	struct vcpu *vcpu = vm->vcpu;

	if (!vcpu->halted)
		return true;
	if (vcpu_can_wake(vcpu)) {
		vcpu->halted = false;
		return true;
	}
	if (!(vcpu_get(vcpu, VREG_RFLAGS) & RFLAGS_IF))
		vm_stop(vm, VM_POWEROFF);
	return false;
}

static void end_slice(void *opaque)
{
	struct vcpu **running = opaque;

	(*running)->requests |= REQUEST_LEAVE;
}

static void sleep_all(struct vm **vms, unsigned count)
{
	host_idle();
	timers_run(host_now());
	for (unsigned i = 0; i < count; i++)
		vm_console_poll(vms[i]);
}

/* Give one VM its turn. Return: something happened; false: it sleeps. */
static bool turn(struct vm *vm, struct timer *slice)
{
	if (try_wake(vm)) {
		if (slice)
			timer_arm(slice, host_now() + SLICE_NS);
		run_turn(vm->vcpu);
	} else if (vm->state == VM_RUNNING) {
		return false;
	}
	if (vm->state != VM_RUNNING)
		report_stop(vm);
	return true;
}

void vmm_run(struct vm **vms, unsigned count)
{
	struct vcpu *running = NULL;
	struct timer slice;
	unsigned alive, asleep;

	timer_init(&slice, end_slice, &running);
	vm_console_shared(count);
	vms[0]->has_keyboard = true;
	do {
		alive = asleep = 0;
		for (unsigned i = 0; i < count; i++) {
			if (vms[i]->state != VM_RUNNING)
				continue;
			alive++;
			running = vms[i]->vcpu;
			if (!turn(vms[i], count > 1 ? &slice : NULL))
				asleep++;
		}
		if (alive && asleep == alive)
			sleep_all(vms, count);
	} while (alive);
	timer_cancel(&slice);
}

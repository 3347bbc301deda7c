/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * inject.c: exceptions for the guest.
 *
 * They are delivered by the processor at the next entry (cpu->inject), with all the checks it makes
 * for real ones. Only one can wait at a time. A second is raised when delivering the first failed,
 * or when the instruction that we emulate has two faults, and then the manual has rules.
 */
#include "lib/lab.h"
#include "vmm/vcpu.h"

/* APM vol. 2 table 8-2. */
static bool contributory(u8 vector)
{
	return (BIT(VEC_DE) | BIT(VEC_TS) | BIT(VEC_NP) | BIT(VEC_SS) | BIT(VEC_GP)) >> vector & 1;
}

/* Does @second, raised while @first is being delivered, make a double fault? APM vol. 2 §8.2.9. */
static bool makes_double_fault(u8 first, u8 second)
{
	return (first == VEC_PF && second == VEC_PF) ||
	       ((first == VEC_PF || contributory(first)) && contributory(second));
}

static void raise(struct vcpu *vcpu, const struct event *event)
{
#if SOLVED >= 2
	struct event waiting, df = {.kind = EVENT_EXCEPTION, .vector = VEC_DF, .has_error = true};

	vcpu->halted = false;
	if (cpu->inject(vcpu, event) != -EBUSY)
		return;
	cpu->take_back(vcpu, &waiting);
	if (waiting.kind != EVENT_EXCEPTION)
		cpu->inject(vcpu, event);
	else if (waiting.vector == VEC_DF &&
		 (event->vector == VEC_PF || contributory(event->vector)))
		vm_stop(vcpu->vm, VM_SHUTDOWN);
	else if (makes_double_fault(waiting.vector, event->vector))
		cpu->inject(vcpu, &df);
	else
		cpu->inject(vcpu, event); /* the first is a fault, and will happen again */
#else
	/*
	 * Exercise 2.8, continued. Raise @event: cpu->inject(). If another is waiting (-EBUSY),
	 * take that back (cpu->take_back) and decide by APM vol. 2 §8.2.9:
	 *
	 *	the one waiting is no exception		the new one first, it was raised later
	 *	it is #DF, the new one #PF or contributory	shutdown: vm_stop(…, VM_SHUTDOWN)
	 *	makes_double_fault()			#DF, error code 0, instead of both
	 *	else					the new one; the old is a fault, and will happen
	 *						again when its instruction runs again
	 *
	 * A halted processor is awake then: vcpu->halted.
	 */
	LAB(2, "2.8", "raise an exception when another is waiting");
#endif
}

void vcpu_exception(struct vcpu *vcpu, u8 vector, u32 error)
{
	bool has_error = VECTORS_WITH_ERROR >> vector & 1;
	struct event event = {EVENT_EXCEPTION, vector, has_error, error, vcpu_get(vcpu, VREG_CR2)};

	raise(vcpu, &event);
}

void vcpu_page_fault(struct vcpu *vcpu, gva_t gva, u32 error)
{
	struct event event = {EVENT_EXCEPTION, VEC_PF, true, error, gva.a};

	raise(vcpu, &event);
}

#define DR6_BS BIT(14) /* the #DB is a single step's */

int vcpu_single_step(struct vcpu *vcpu)
{
	vcpu_set(vcpu, VREG_DR6, vcpu_get(vcpu, VREG_DR6) | DR6_BS);
	vcpu_exception(vcpu, VEC_DB, 0);
	return 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * trace.h: seeing what a guest's exits are and cost.
 *
 * For each VM: a counter and the time stamp ticks per kind of exit, and a ring of the last exits.
 * The ticks inside are those from a VMRUN to its exit, outside those from the exit to the next
 * VMRUN; in an emulator that counts instructions (QEMU -icount shift=0) a tick is an instruction.
 */
#ifndef VMM_TRACE_H
#define VMM_TRACE_H

#include "host/cpu.h"
#include "lib/types.h"
#include "vmm/exit.h"
#include "vmm/vm.h"

#define TRACE_RING 256 /* a power of two */

struct trace_entry {
	struct exit exit;
	u64 inside;  /* ticks in the guest before it */
	u64 outside; /* ticks from it to the next entry; filled in then */
} __aligned(128);

struct trace {
	u64 start, left; /* time stamps of the VM's start and of the last exit */
	u64 count[EXIT_KIND_COUNT];
	u64 outside[EXIT_KIND_COUNT];
	struct trace_entry *last; /* the exit that is being dealt with */
	struct trace_entry ring[TRACE_RING];
};

#ifdef CONFIG_TRACE
int trace_create(struct vm *vm);
void trace_destroy(struct vm *vm);
/**
 * trace_run() - run the guest once. The back end writes the exit straight into the ring, so that
 * remembering it costs nothing more.
 *
 * Return: the exit, good until TRACE_RING exits later.
 */
static inline const struct exit *trace_run(struct vcpu *vcpu)
{
	struct trace *t = vcpu->vm->trace;
	struct trace_entry *e = t->last;
	u64 enter = rdtsc();
	u64 outside = enter - t->left;
	u64 left;

	e->outside = outside;
	t->outside[e->exit.kind] += outside;
	e = unlikely(e == &t->ring[TRACE_RING - 1]) ? t->ring : e + 1;
	t->last = e;
	cpu->run(vcpu, &e->exit);
	left = rdtsc();
	t->left = left;
	e->inside = left - enter;
	t->count[e->exit.kind]++;
	return &e->exit;
}

/** trace_print() - the table of exits. */
void trace_print(const struct vm *vm);
/** trace_last() - the last exits, oldest first, at most @n. */
void trace_last(const struct vm *vm, unsigned n);
#else
#include "lib/print.h"
static inline int trace_create(struct vm *vm)
{
	(void)vm;
	return 0;
}
static inline void trace_destroy(struct vm *vm)
{
	(void)vm;
}
static inline const struct exit *trace_run(struct vcpu *vcpu)
{
	static struct exit exit;

	cpu->run(vcpu, &exit);
	return &exit;
}
static inline void trace_print(const struct vm *vm)
{
	(void)vm;
	print("casita: no exit table: this Casita was built without TRACE\n");
}
static inline void trace_last(const struct vm *vm, unsigned n)
{
	(void)vm, (void)n;
}
#endif

#endif

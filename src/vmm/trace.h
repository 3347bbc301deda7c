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

#include "vmm/vm.h"

#define TRACE_RING 256 /* a power of two */

struct trace_entry {
	struct exit exit;
	u64 inside;  /* ticks in the guest before it; until then, when it was entered */
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
 * trace_enter() - the guest is about to be entered.
 * Return: where to put its next exit: straight into the ring, so that remembering it costs nothing
 * more. It stays good until TRACE_RING exits later.
 */
static inline struct exit *trace_enter(struct vm *vm)
{
	struct trace *t = vm->trace;
	struct trace_entry *e = t->last;
	u64 now = rdtsc();
	u64 outside = now - t->left;

	e->outside = outside;
	t->outside[e->exit.kind] += outside;
	e = unlikely(e == &t->ring[TRACE_RING - 1]) ? t->ring : e + 1;
	e->inside = now;
	t->last = e;
	return &e->exit;
}

/** trace_exit() - it has exited. */
static inline void trace_exit(struct vm *vm, struct exit *exit)
{
	struct trace *t = vm->trace;
	struct trace_entry *e = container_of(exit, struct trace_entry, exit);
	u64 now = rdtsc();

	t->left = now;
	e->inside = now - e->inside;
	t->count[exit->kind]++;
}

/** trace_print() - the table of exits. */
void trace_print(const struct vm *vm);
/** trace_last() - the last exits, oldest first, at most @n. */
void trace_last(const struct vm *vm, unsigned n);
#else
#include "lib/print.h"
static inline int trace_create(struct vm *vm)
{
	return 0;
}
static inline void trace_destroy(struct vm *vm) {}
static inline struct exit *trace_enter(struct vm *vm)
{
	return &vm->exit;
}
static inline void trace_exit(struct vm *vm, struct exit *exit) {}
static inline void trace_print(const struct vm *vm)
{
	print("casita: no exit table: this Casita was built without TRACE\n");
}
static inline void trace_last(const struct vm *vm, unsigned n) {}
#endif

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* trace.c: counting exits and remembering the last ones; see trace.h. */
#include "lib/print.h"
#include "vmm/trace.h"

int trace_create(struct vm *vm)
{
	vm->trace = kalloc(sizeof(*vm->trace));
	if (!vm->trace)
		return -ENOMEM;
	vm->trace->start = vm->trace->left = rdtsc();
	vm->trace->last = &vm->trace->ring[TRACE_RING - 1];
	return 0;
}

void trace_destroy(struct vm *vm)
{
	kfree(vm->trace, sizeof(*vm->trace));
}

static u64 total(const struct trace *t)
{
	u64 n = 0;

	for (unsigned k = 0; k < EXIT_KIND_COUNT; k++)
		n += t->count[k];
	return n;
}

void trace_print(const struct vm *vm)
{
	const struct trace *t = vm->trace;
	u64 outside = 0;

	print("casita: %s: exits\n", vm->name);
	print("  %-12s %12s %16s %10s\n", "kind", "count", "ticks outside", "each");
	for (unsigned k = 0; k < EXIT_KIND_COUNT; k++) {
		if (!t->count[k])
			continue;
		outside += t->outside[k];
		print("  %-12s %12lu %16lu %10lu\n", exit_kind_name(k), t->count[k], t->outside[k],
		      t->outside[k] / t->count[k]);
	}
	print("  %-12s %12lu %16lu\n", "total", total(t), outside);
	print("  %-12s %12s %16lu\n", "inside", "", t->left - t->start - outside);
	if (vm->tables_max)
		print("  shadow pages %12u of %u\n", vm->tables, vm->tables_max);
}

void trace_last(const struct vm *vm, unsigned n)
{
	const struct trace *t = vm->trace;
	unsigned last = t->last - t->ring;

	n = min(total(t), (u64)min(n, (unsigned)TRACE_RING));
	if (n)
		print("casita: %s: the last exits:\n", vm->name);
	for (unsigned i = n; i > 0; i--) {
		const struct exit *e = &t->ring[(last - i + 1) % TRACE_RING].exit;

		print("  %-12s code %#lx info %#lx, %#lx rip %#lx\n", exit_kind_name(e->kind),
		      e->code, e->info1, e->info2, e->rip);
	}
}

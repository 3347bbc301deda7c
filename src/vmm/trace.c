/* SPDX-License-Identifier: BSD-3-Clause */
/* trace.c: counting exits and remembering the last ones; see trace.h. */
#include "lib/print.h"
#include "vmm/trace.h"

int trace_create(struct vm *vm)
{
	vm->trace = pages_alloc_zero(sizeof(*vm->trace), PAGE_SIZE);
	if (!vm->trace)
		return -ENOMEM;
	vm->trace->start = vm->trace->left = rdtsc();
	vm->trace->last = &vm->trace->ring[TRACE_RING - 1];
	return 0;
}

void trace_destroy(struct vm *vm)
{
	if (vm->trace)
		pages_free(ptr_hpa(vm->trace), sizeof(*vm->trace), false);
	vm->trace = NULL;
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
		print("  %-12s %12llu %16llu %10llu\n", exit_kind_name(k),
		      (unsigned long long)t->count[k], (unsigned long long)t->outside[k],
		      (unsigned long long)(t->outside[k] / t->count[k]));
	}
	print("  %-12s %12llu %16llu\n", "total", (unsigned long long)total(t),
	      (unsigned long long)outside);
	print("  %-12s %12s %16llu\n", "inside", "",
	      (unsigned long long)(t->left - t->start - outside));
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

		print("  %-12s code %#llx info %#llx, %#llx rip %#llx\n", exit_kind_name(e->kind),
		      (unsigned long long)e->code, (unsigned long long)e->info1,
		      (unsigned long long)e->info2, (unsigned long long)e->rip);
	}
}

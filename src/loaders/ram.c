/* SPDX-License-Identifier: BSD-3-Clause */
/* ram.c: guest RAM as the loaders see it: to write into, and to describe. */
#include "lib/print.h"
#include "loaders/loaders.h"
#include "vmm/vm.h"

#define CONVENTIONAL_END 0x9fc00ull /* the KiB below 640 KiB is the extended BIOS data area */

int bad_kernel(struct vm *vm, const char *fmt, ...)
{
	char text[sizeof(vm->reason)];
	va_list ap;

	va_start(ap, fmt);
	str_format_v(text, sizeof(text), fmt, ap);
	va_end(ap);
	return vm_fail(vm, -ENOEXEC, "%s: %s", vm->config->kernel.name, text);
}

void *loader_ram(struct vm *vm, const struct vm_file *who, const char *what, u64 at, u64 size)
{
	void *p = NULL;

	if (at < LOADER_LIMIT && size <= LOADER_LIMIT - at)
		p = vm_ptr(vm, GPA(at), size);
	if (!p)
		vm_fail(vm, -ENOMEM,
			"%s: no RAM for %s at 0x%lx, 0x%lx bytes: VM has %llu MiB, see mem=",
			who->name, what, at, size, vm->memory.ram_size / MIB);
	return p;
}

int loader_put(struct vm *vm, const struct vm_file *file, const char *what, u64 offset, u64 size,
	       u64 at, u64 room)
{
	u8 *to = loader_ram(vm, file, what, at, room);

	if (!to)
		return -ENOMEM;
	memcpy(to, (const u8 *)file->data + offset, size);
	memset(to + size, 0, room - size);
	return 0;
}

/* Put [start, end) behind the @n ranges there are; an empty one is nothing. Return the new @n. */
static unsigned add_range(struct ram_range *ranges, unsigned n, u64 start, u64 end,
			  enum ram_type type)
{
	struct ram_range *last = n ? &ranges[n - 1] : NULL;

	if (start >= end)
		return n;
	if (last && last->type == type && last->start + last->size == start) {
		last->size += end - start;
		return n;
	}
	ranges[n] = (struct ram_range){start, end - start, type};
	return n + 1;
}

unsigned ram_map(const struct vm *vm, struct ram_range *ranges)
{
	unsigned n = 0;

	for (unsigned i = 0; i < vm->memory.count; i++) {
		const struct mem_region *region = &vm->memory.regions[i];
		u64 start = region->start.a, end = start + region->size;

		if (region->kind != MEM_RAM)
			continue;
		n = add_range(ranges, n, start, min(end, CONVENTIONAL_END), RAM_USABLE);
		n = add_range(ranges, n, max(start, CONVENTIONAL_END), min(end, MIB), RAM_RESERVED);
		n = add_range(ranges, n, max(start, MIB), end, RAM_USABLE);
	}
	return n;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * multiboot_info.c: what a Multiboot kernel is told. Multiboot Specification 0.6.96, §3.3.
 *
 * All of it goes behind the kernel's end, and never below 1 MiB, where a PC has holes:
 *
 *	kernel, bss | struct block | strings |      | module |   | module | …     stack |
 *	            ^ 16-byte boundary        page boundaries               end of the RAM
 *
 * The specification lets a loader put these things anywhere and leaves it to the kernel to keep off
 * them; QEMU puts them behind the kernel as well.
 */
#include "host/multiboot.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "loaders/loaders.h"
#include "loaders/multiboot.h"
#include "vmm/vm.h"

#define MODULES_MAX  (VM_FILES_MAX + 1) /* an as=initrd is a module, the first */
#define LOADER_NAME  "Casita"
#define CONVENTIONAL (640 * KIB)

/* What has a fixed size; the strings follow. */
struct block {
	struct multiboot_info info;
	u32 pad;
	u64 gdt[START_GDT_ENTRIES];
	struct multiboot_module modules[MODULES_MAX];
	struct multiboot_memory map[RAM_RANGES_MAX];
	char strings[];
};
_Static_assert(is_aligned(offsetof(struct block, gdt), sizeof(u64)), "descriptors in one piece");

/* The block while it is being written: it in host memory, its address in the guest's. */
struct writer {
	struct block *block;
	u64 at;
	char *end; /* of the strings so far */
};

static u32 guest_address(const struct writer *w, const void *p)
{
	return w->at + ((const char *)p - (const char *)w->block);
}

/* ---- strings ------------------------------------------------------------------------- */

/* What a file's command line takes: "name words", or "name" if there are no words. */
static u64 cmdline_size(const struct vm_file *file)
{
	return strlen(file->name) + 1 + strlen(file->cmdline) + 1;
}

/* Return: the guest's address of a string with @first, and behind a blank @second if it has any. */
static u32 put_string(struct writer *w, const char *first, const char *second)
{
	char *start = w->end;
	size_t n = strlen(first);

	memcpy(w->end, first, n);
	w->end += n;
	if (*second) {
		*w->end++ = ' ';
		n = strlen(second);
		memcpy(w->end, second, n);
		w->end += n;
	}
	*w->end++ = 0;
	return guest_address(w, start);
}

/* ---- modules ------------------------------------------------------------------------- */

static unsigned list_files(const struct vm_config *config, const struct vm_file **files)
{
	unsigned n = 0;

	if (config->initrd.data)
		files[n++] = &config->initrd;
	for (unsigned i = 0; i < config->module_count; i++)
		files[n++] = &config->modules[i];
	return n;
}

/* Copy the files behind the block, each to a page boundary of its own, and list them. */
static int put_modules(struct vm *vm, struct writer *w, const struct vm_file **files, unsigned n,
		       u64 at)
{
	struct multiboot_info *info = &w->block->info;

	for (unsigned i = 0; i < n; i++) {
		int err;

		at = align_up(at, PAGE_SIZE);
		err = loader_copy(vm, files[i], "the module", 0, files[i]->size, at);
		if (err)
			return err;
		w->block->modules[i] = (struct multiboot_module){
			.start = at,
			.end = at + files[i]->size,
			.string = put_string(w, files[i]->name, files[i]->cmdline),
		};
		at += files[i]->size;
	}
	info->flags |= MULTIBOOT_INFO_MODULES;
	info->mods_count = n;
	info->mods_addr = guest_address(w, w->block->modules);
	return 0;
}

/* ---- memory -------------------------------------------------------------------------- */

static void put_memory(const struct vm *vm, struct writer *w)
{
	struct multiboot_info *info = &w->block->info;
	struct ram_range ranges[RAM_RANGES_MAX];
	unsigned n = ram_map(vm, ranges);

	for (unsigned i = 0; i < n; i++) {
		const struct ram_range *r = &ranges[i];

		w->block->map[i] = (struct multiboot_memory){
			.size = sizeof(struct multiboot_memory) - sizeof(u32),
			.base = r->start,
			.length = r->size,
			.type = r->type,
		};
		if (r->type == RAM_USABLE && r->start == 0)
			info->mem_lower = min(r->size, CONVENTIONAL) / KIB;
		if (r->type == RAM_USABLE && r->start == MIB)
			info->mem_upper = min(r->size / KIB, UINT32_MAX);
	}
	info->flags |= MULTIBOOT_INFO_MEMORY | MULTIBOOT_INFO_MMAP;
	info->mmap_length = n * sizeof(struct multiboot_memory);
	info->mmap_addr = guest_address(w, w->block->map);
}

/* ---- all of it ----------------------------------------------------------------------- */

int multiboot_inform(struct vm *vm, u64 end, struct multiboot_place *out)
{
	const struct vm_file *kernel = &vm->config->kernel, *files[MODULES_MAX];
	unsigned n = list_files(vm->config, files);
	struct writer w = {.at = align_up(max(end, MIB), 16)};
	u64 size = sizeof(struct block) + cmdline_size(kernel) + sizeof(LOADER_NAME);
	const struct mem_region *ram = vm_region(vm, GPA(w.at));
	int err;

	for (unsigned i = 0; i < n; i++)
		size += cmdline_size(files[i]);
	w.block = loader_ram(vm, kernel, "Multiboot information", w.at, size);
	if (!w.block)
		return -ENOMEM;
	memset(w.block, 0, sizeof(struct block));
	w.end = w.block->strings;
	put_memory(vm, &w);
	err = put_modules(vm, &w, files, n, w.at + size);
	if (err)
		return err;
	w.block->info.flags |= MULTIBOOT_INFO_CMDLINE | MULTIBOOT_INFO_LOADER_NAME;
	w.block->info.cmdline = put_string(&w, kernel->name, kernel->cmdline);
	w.block->info.boot_loader_name = put_string(&w, LOADER_NAME, "");
	out->info = guest_address(&w, &w.block->info);
	out->gdt = guest_address(&w, w.block->gdt);
	out->stack = min(ram->start.a + ram->size, LOADER_LIMIT - PAGE_SIZE);
	return 0;
}

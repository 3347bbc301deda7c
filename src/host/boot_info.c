/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * boot_info.c: what the Multiboot loader left for us: command line, modules, memory map.
 *
 * Nothing is copied: boot_used() names every byte of it, the page allocator keeps away from them
 * (memory.c), and so the strings stay good for ever. Only the module list is turned into
 * structures of our own.
 *
 * A loader promises that all of this lies in memory; QEMU's does not check. When the machine has
 * too little, the end of the last module is simply missing, and everything later would go wrong
 * in interesting ways. So the modules are compared with the memory map first.
 * Multiboot Specification 0.6.96 §3.3.
 */
#include "host/host.h"
#include "host/boot_info.h"
#include "host/exit.h"
#include "host/multiboot.h"
#include "lib/print.h"
#include "lib/string.h"

#define MOST_MODULES 64

extern const u8 image_start[], image_end[];

static const struct multiboot_info *info;
static const char *cmdline = "";
static struct boot_module modules[MOST_MODULES];
static unsigned module_count;

static void *at(u64 address)
{
	return hpa_ptr(HPA(address));
}

static _Noreturn void refuse(void)
{
	host_exit(HOST_EXIT_REFUSED);
}

bool boot_memory(unsigned i, struct range *r, bool *is_ram)
{
	u64 entry = info->mmap_addr, end = entry + info->mmap_length;

	for (; entry < end; i--) {
		const struct multiboot_memory *m = at(entry);

		if (i == 0) {
			*r = (struct range){m->base, m->base + m->length};
			*is_ram = m->type == MULTIBOOT_MEMORY_RAM;
			return true;
		}
		entry += sizeof(m->size) + m->size;
	}
	return false;
}

static struct range string_range(u64 address)
{
	return (struct range){address, address ? address + strlen(at(address)) + 1 : 0};
}

bool boot_used(unsigned i, struct range *r)
{
	const struct multiboot_module *list = at(info->mods_addr);

	switch (i) {
	case 0:
		*r = (struct range){(uintptr_t)image_start, (uintptr_t)image_end};
		return true;
	case 1:
		*r = (struct range){(uintptr_t)info, (uintptr_t)(info + 1)};
		return true;
	case 2:
		*r = (struct range){info->mmap_addr, info->mmap_addr + info->mmap_length};
		return true;
	case 3:
		*r = string_range(info->flags & MULTIBOOT_INFO_CMDLINE ? info->cmdline : 0);
		return true;
	case 4:
		*r = (struct range){(uintptr_t)list, (uintptr_t)(list + module_count)};
		return true;
	}
	i -= 5;
	if (i >= 2 * module_count)
		return false;
	if (i % 2)
		*r = string_range(list[i / 2].string);
	else
		*r = (struct range){list[i / 2].start, list[i / 2].end};
	return true;
}

/* The end of the piece of memory that @address lies in; 0 if it lies in none. */
static u64 memory_end_at(u64 address)
{
	struct range r;
	bool is_ram;

	for (unsigned i = 0; boot_memory(i, &r, &is_ram); i++)
		if (is_ram && r.start <= address && address < r.end)
			return r.end;
	return 0;
}

static u64 mib(u64 bytes)
{
	return align_up(bytes, MIB) >> 20;
}

static void check_module(const struct boot_module *m)
{
	u64 start = ptr_hpa(m->data).a, end = start + m->size;
	u64 memory_end = memory_end_at(start);

	if (end <= memory_end || !m->size)
		return;
	print("casita: the module '%s' does not fit into memory: it would take the addresses\n"
	      "0x%lx to 0x%lx (%lu MiB), but the memory there ends at 0x%lx (%lu MiB).\n"
	      "Give the machine more than %lu MiB (QEMU: -m %luM).\n",
	      m->string, start, end, mib(end), memory_end, mib(memory_end), mib(end),
	      mib(align_up(end + 32 * MIB, 64 * MIB)));
	refuse();
}

static void read_modules(void)
{
	const struct multiboot_module *list = at(info->mods_addr);

	if (!(info->flags & MULTIBOOT_INFO_MODULES))
		return;
	if (info->mods_count > MOST_MODULES) {
		print("casita: %u modules, but there is only room for %u\n", info->mods_count,
		      MOST_MODULES);
		refuse();
	}
	module_count = info->mods_count;
	for (unsigned i = 0; i < module_count; i++) {
		modules[i].data = at(list[i].start);
		modules[i].size = list[i].end - list[i].start;
		modules[i].string = list[i].string ? at(list[i].string) : "";
		check_module(&modules[i]);
	}
}

/* QEMU and bootdisk.py put the program's own name first, as every program's arguments begin. */
static void read_cmdline(void)
{
	const char *blank;

	if (!(info->flags & MULTIBOOT_INFO_CMDLINE))
		return;
	blank = strchr(at(info->cmdline), ' ');
	if (!blank)
		return;
	while (*blank == ' ')
		blank++;
	cmdline = blank;
}

void boot_info_init(u32 magic, u64 address)
{
	if (magic != MULTIBOOT_LOADED) {
		print("casita: not started by a Multiboot 1 loader (EAX is 0x%x, not 0x%x)\n",
		      magic, MULTIBOOT_LOADED);
		refuse();
	}
	info = at(address);
	if (!(info->flags & MULTIBOOT_INFO_MMAP)) {
		print("casita: the loader gave no memory map (flags 0x%x)\n", info->flags);
		refuse();
	}
	read_cmdline();
	read_modules();
}

const char *boot_cmdline(void)
{
	return cmdline;
}

const struct boot_module *boot_modules(unsigned *count)
{
	*count = module_count;
	return modules;
}

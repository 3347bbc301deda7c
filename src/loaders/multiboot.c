/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * multiboot.c: kernels with a Multiboot 1 header, as QEMU's -kernel and GRUB's multiboot take them.
 * Multiboot Specification 0.6.96.
 *
 * Somewhere in the first 8 KiB of such a file stands a header: a magic number, flags, and a
 * checksum that makes the three add up to zero. The flags say what the kernel needs to be told, and
 * whether the header says where to put the file (flag 16) or that is left to its ELF headers. So:
 *
 *	1. find the header, and see that we understand its flags
 *	2. load the kernel by the header's addresses, or as an ELF file (elf.c)
 *	3. write what the kernel is told, and its modules
 *	4. start it in protected mode, with EAX and EBX as §3.2 wants them
 *
 * Command lines are given as QEMU gives them, the file's name first: "hello.elf quiet". A kernel
 * that reads its own command line, Casita among them, then works alike in both.
 *
 * All that the kernel is told goes behind its end, and never below 1 MiB, where a PC has holes:
 *
 *	kernel, bss | struct block | strings |      | module |   | module | …     stack |
 *	            ^ 16-byte boundary        page boundaries               end of the RAM
 *
 * The specification lets a loader put these things anywhere and leaves it to the kernel to keep off
 * them; QEMU puts them behind the kernel as well.
 */
#include "host/multiboot.h"
#include "lib/print.h"
#include "loaders/loaders.h"
#include "vmm/loader.h"
#include "vmm/vm.h"

/* The header, §3.1. */
struct multiboot_header {
	u32 magic, flags, checksum;
	/* the rest is there only if flags has MULTIBOOT_ADDRESSES: addresses in guest memory */
	u32 header_addr;   /* of this header */
	u32 load_addr;	   /* of the first byte that is loaded */
	u32 load_end_addr; /* 0: all of the file is loaded */
	u32 bss_end_addr;  /* 0: there is no bss */
	u32 entry_addr;
} __packed; /* read where it lies in the file */
_Static_assert(offsetof(struct multiboot_header, header_addr) == 12, "Multiboot §3.1.1");
_Static_assert(sizeof(struct multiboot_header) == 32, "Multiboot §3.1.1");

#define HEADER_SHORT	    offsetof(struct multiboot_header, header_addr)
#define HEADER_SEARCH	    8192 /* bytes of the file that the whole header must be in */
#define HEADER_ALIGN	    4

#define MULTIBOOT_ADDRESSES BIT(16)
#define MULTIBOOT_MANDATORY 0xffffu /* of these, a loader must know every one that is set */
/* Modules on page boundaries (ours always are), memory (we always tell), video (we tell of none). */
#define MULTIBOOT_KNOWN	    (BIT(0) | BIT(1) | BIT(2))

#define MODULES_MAX	    (VM_FILES_MAX + 1) /* an as=initrd is a module, the first */
#define LOADER_NAME	    "Casita"
#define CONVENTIONAL	    (640 * KIB)

/* ---- 1. the header ------------------------------------------------------------------- */

static u32 sum(const struct multiboot_header *h)
{
	return h->magic + h->flags + h->checksum;
}

/* The first header with a right checksum; failing that, the first magic number; or NULL. */
static const struct multiboot_header *find_header(const struct vm_file *file)
{
	const struct multiboot_header *found = NULL;

	for (u64 at = 0; at + HEADER_SHORT <= min(file->size, HEADER_SEARCH); at += HEADER_ALIGN) {
		const struct multiboot_header *h = (const void *)((const u8 *)file->data + at);

		if (h->magic != MULTIBOOT_HEADER_MAGIC)
			continue;
		if (!sum(h))
			return h;
		if (!found)
			found = h;
	}
	return found;
}

/* A wrong checksum is a broken Multiboot kernel rather than some other file: load() tells. */
static bool multiboot_probe(const struct vm_file *kernel)
{
	return find_header(kernel);
}

static int check_header(struct vm *vm, const struct vm_file *file, const struct multiboot_header *h,
			u64 at)
{
	u64 searched = min(file->size, HEADER_SEARCH);
	u32 unknown = h ? h->flags & MULTIBOOT_MANDATORY & ~MULTIBOOT_KNOWN : 0;

	if (!h)
		return bad_kernel(vm, "no Multiboot header in the first %lu bytes", searched);
	if (sum(h))
		return bad_kernel(
			vm, "Multiboot header at 0x%lx: magic, flags and checksum add up to 0x%x",
			at, sum(h));
	if (unknown)
		return bad_kernel(vm,
				  "the Multiboot header asks for flag %d, of which nobody knows",
				  __builtin_ctz(unknown));
	if (h->flags & MULTIBOOT_ADDRESSES && searched - at < sizeof(*h))
		return bad_kernel(
			vm, "Multiboot header at 0x%lx has addresses (flag 16), but is cut short",
			at);
	return 0;
}

/* ---- 2. load the kernel -------------------------------------------------------------- */

/*
 * The header lies at @offset in the file and at header_addr in memory, and so the byte for
 * load_addr is as far before it in the file as it is in memory (§3.1.3).
 */
static int load_by_addresses(struct vm *vm, const struct vm_file *file,
			     const struct multiboot_header *h, u64 offset, struct image *out)
{
	u64 before = (u64)h->header_addr - h->load_addr, start = offset - before;
	u64 end, most;

	if (h->header_addr < h->load_addr || before > offset)
		return bad_kernel(
			vm, "header_addr 0x%x and load_addr 0x%x do not fit a header at 0x%lx",
			h->header_addr, h->load_addr, offset);
	most = file->size - start;
	end = h->load_end_addr ? h->load_end_addr : h->load_addr + most;
	if (end < h->load_addr || end - h->load_addr > most)
		return bad_kernel(
			vm, "load_addr 0x%x to load_end_addr 0x%x, but the file has 0x%lx bytes",
			h->load_addr, h->load_end_addr, most);
	if (h->bss_end_addr && h->bss_end_addr < end)
		return bad_kernel(vm, "bss_end_addr 0x%x is before the end of the data, 0x%lx",
				  h->bss_end_addr, end);
	if (h->entry_addr < h->load_addr || h->entry_addr >= end)
		return bad_kernel(vm, "entry_addr 0x%x is not in 0x%x-0x%lx", h->entry_addr,
				  h->load_addr, end);
	*out = (struct image){.entry = h->entry_addr, .end = max(end, h->bss_end_addr)};
	return loader_put(vm, file, "the kernel", start, end - h->load_addr, h->load_addr,
			  out->end - h->load_addr);
}

static int load_kernel(struct vm *vm, struct image *out)
{
	const struct vm_file *file = &vm->config->kernel;
	const struct multiboot_header *h = find_header(file);
	u64 offset = h ? (const u8 *)h - (const u8 *)file->data : 0;
	int err = check_header(vm, file, h, offset);

	if (err)
		return err;
	if (h->flags & MULTIBOOT_ADDRESSES)
		return load_by_addresses(vm, file, h, offset, out);
	if (elf_probe(file))
		return elf_load(vm, out);
	return bad_kernel(vm, "not ELF, and its Multiboot header gives no addresses (flag 16)");
}

/* ---- 3. what it is told, §3.3 -------------------------------------------------------- */

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

/* What a file's command line takes: "name words", or "name" if there are no words. */
static u64 cmdline_size(const struct vm_file *file)
{
	return strlen(file->name) + 1 + strlen(file->cmdline) + 1;
}

/* Return: the guest's address of a string with @first, and behind a blank @second if it has any. */
static u32 put_string(struct writer *w, const char *first, const char *second)
{
	char *start = w->end;
	size_t room = strlen(first) + 1 + strlen(second) + 1;

	w->end += str_format(start, room, "%s%s%s", first, *second ? " " : "", second) + 1;
	return guest_address(w, start);
}

/* Module number @i, or NULL if there are not so many. */
static const struct vm_file *module(const struct vm_config *config, unsigned i)
{
	if (config->initrd.data && i-- == 0)
		return &config->initrd;
	return i < config->module_count ? &config->modules[i] : NULL;
}

/* Copy the modules behind the block, each to a page boundary of its own, and list them. */
static int put_modules(struct vm *vm, struct writer *w, u64 at)
{
	struct multiboot_info *info = &w->block->info;
	const struct vm_file *file;

	info->flags |= MULTIBOOT_INFO_MODULES;
	info->mods_addr = guest_address(w, w->block->modules);
	while ((file = module(vm->config, info->mods_count))) {
		at = align_up(at, PAGE_SIZE);
		if (loader_put(vm, file, "the module", 0, file->size, at, file->size))
			return -ENOMEM;
		w->block->modules[info->mods_count++] = (struct multiboot_module){
			at, at + file->size, put_string(w, file->name, file->cmdline), 0};
		at += file->size;
	}
	return 0;
}

static void put_memory(const struct vm *vm, struct writer *w)
{
	struct multiboot_info *info = &w->block->info;
	struct ram_range ranges[RAM_RANGES_MAX];
	unsigned n = ram_map(vm, ranges);

	for (unsigned i = 0; i < n; i++) {
		const struct ram_range *r = &ranges[i];

		w->block->map[i] = (struct multiboot_memory){
			sizeof(struct multiboot_memory) - sizeof(u32), r->start, r->size, r->type};
		if (r->type == RAM_USABLE && r->start == 0)
			info->mem_lower = min(r->size, CONVENTIONAL) / KIB;
		if (r->type == RAM_USABLE && r->start == MIB)
			info->mem_upper = min(r->size / KIB, UINT32_MAX);
	}
	info->flags |= MULTIBOOT_INFO_MEMORY | MULTIBOOT_INFO_MMAP;
	info->mmap_length = n * sizeof(struct multiboot_memory);
	info->mmap_addr = guest_address(w, w->block->map);
}

/* Put it all behind @end, where the kernel ends. */
static int inform(struct vm *vm, u64 end, struct writer *w)
{
	const struct vm_file *kernel = &vm->config->kernel, *file;
	u64 size = sizeof(struct block) + cmdline_size(kernel) + sizeof(LOADER_NAME);

	for (unsigned i = 0; (file = module(vm->config, i)); i++)
		size += cmdline_size(file);
	w->at = align_up(max(end, MIB), 16);
	w->block = loader_ram(vm, kernel, "Multiboot information", w->at, size);
	if (!w->block)
		return -ENOMEM;
	memset(w->block, 0, sizeof(struct block));
	w->end = w->block->strings;
	put_memory(vm, w);
	if (put_modules(vm, w, w->at + size))
		return -ENOMEM;
	w->block->info.flags |= MULTIBOOT_INFO_CMDLINE | MULTIBOOT_INFO_LOADER_NAME;
	w->block->info.cmdline = put_string(w, kernel->name, kernel->cmdline);
	w->block->info.boot_loader_name = put_string(w, LOADER_NAME, "");
	return 0;
}

/* ---- 4. start ------------------------------------------------------------------------ */

static int multiboot_load(struct vm *vm)
{
	const struct mem_region *ram;
	struct writer w;
	struct image image;
	int err = load_kernel(vm, &image) ?: inform(vm, image.end, &w);

	if (err)
		return err;
	ram = vm_region(vm, GPA(w.at));
	err = start_protected(vm->vcpu, image.entry,
			      min(ram->start.a + ram->size, LOADER_LIMIT - PAGE_SIZE),
			      GPA(guest_address(&w, w.block->gdt)));
	vcpu_set_gpr(vm->vcpu, GPR_RAX, MULTIBOOT_LOADED);
	vcpu_set_gpr(vm->vcpu, GPR_RBX, guest_address(&w, &w.block->info));
	return err;
}

static const struct loader multiboot_loader = {"multiboot", multiboot_probe, multiboot_load};
LOADER(multiboot_loader);

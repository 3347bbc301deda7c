/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * multiboot.c: kernels with a Multiboot 1 header, as QEMU's -kernel and GRUB's multiboot take them.
 * Multiboot Specification 0.6.96.
 *
 * Somewhere in the first 8 KiB of such a file stands a header: a magic number, flags, and a
 * checksum that makes the three add up to zero. The flags say what the kernel needs to be told, and
 * whether the header says where to put the file (flag 16) or that is left to its ELF headers. So:
 *
 *	1. find the header
 *	2. see that we understand its flags
 *	3. load the kernel by the header's addresses, or
 *	4. as an ELF file (elf.c)
 *	5. write what the kernel is told, and its modules (multiboot_info.c)
 *	6. start it in protected mode, with EAX and EBX as §3.2 wants them
 *
 * Command lines are given as QEMU gives them, the file's name first: "hello.elf quiet". A kernel
 * that reads its own command line, Casita among them, then works alike in both.
 */
#include "host/multiboot.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "loaders/elf.h"
#include "loaders/loaders.h"
#include "loaders/multiboot.h"
#include "vmm/loader.h"
#include "vmm/vm.h"

/* The header, §3.1. */
struct multiboot_header {
	u32 magic;
	u32 flags;
	u32 checksum;
	/* the rest is there only if flags has MULTIBOOT_ADDRESSES: addresses in guest memory */
	u32 header_addr;   /* of this header */
	u32 load_addr;	   /* of the first byte that is loaded */
	u32 load_end_addr; /* 0: all of the file is loaded */
	u32 bss_end_addr;  /* 0: there is no bss */
	u32 entry_addr;
};
_Static_assert(offsetof(struct multiboot_header, header_addr) == 12, "Multiboot §3.1.1");
_Static_assert(sizeof(struct multiboot_header) == 32, "Multiboot §3.1.1");

#define HEADER_SHORT	    offsetof(struct multiboot_header, header_addr)
#define HEADER_SEARCH	    8192 /* bytes of the file that the whole header must be in */
#define HEADER_ALIGN	    4

#define MULTIBOOT_PAGES	    BIT(0) /* modules on page boundaries: ours always are */
#define MULTIBOOT_MEMORY    BIT(1) /* tell me about memory: we always do */
#define MULTIBOOT_VIDEO	    BIT(2) /* a video mode, please: the guest is told of none */
#define MULTIBOOT_ADDRESSES BIT(16)
#define MULTIBOOT_MANDATORY 0xffffu /* of these, a loader must know every one that is set */

/* ---- 1. find the header -------------------------------------------------------------- */

/*
 * The offset of the first header with a right checksum; failing that, of the first magic number,
 * with @sum what should have been zero. -1 if there is neither.
 */
static s64 find_header(const struct vm_file *file, struct multiboot_header *out, u32 *sum)
{
	u64 end = min(file->size, HEADER_SEARCH);
	struct multiboot_header h = {};
	s64 found = -1;

	for (u64 at = 0; at + HEADER_SHORT <= end; at += HEADER_ALIGN) {
		u32 total;

		memcpy(&h, (const u8 *)file->data + at, HEADER_SHORT);
		total = h.magic + h.flags + h.checksum;
		if (h.magic != MULTIBOOT_HEADER_MAGIC || (total && found >= 0))
			continue;
		found = at;
		*out = h;
		*sum = total;
		if (!total)
			break;
	}
	return found;
}

/* A wrong checksum is a broken Multiboot kernel rather than some other file: load() tells. */
static bool multiboot_probe(const struct vm_file *kernel)
{
	struct multiboot_header h;
	u32 sum;

	return find_header(kernel, &h, &sum) >= 0;
}

/* ---- 2. its flags -------------------------------------------------------------------- */

static int read_header(struct vm *vm, const struct vm_file *file, struct multiboot_header *h,
		       u64 *offset)
{
	u32 sum = 0, unknown;
	s64 at = find_header(file, h, &sum);

	if (at < 0)
		return vm_fail(vm, -ENOEXEC, "%s: no Multiboot header in the first %lu bytes",
			       file->name, min(file->size, HEADER_SEARCH));
	if (sum)
		return vm_fail(
			vm, -ENOEXEC,
			"%s: Multiboot header at 0x%lx: magic, flags and checksum add up to 0x%x",
			file->name, (u64)at, sum);
	unknown = h->flags & MULTIBOOT_MANDATORY &
		  ~(MULTIBOOT_PAGES | MULTIBOOT_MEMORY | MULTIBOOT_VIDEO);
	if (unknown)
		return vm_fail(vm, -ENOEXEC,
			       "%s: the Multiboot header asks for flag %d, of which nobody knows",
			       file->name, __builtin_ctz(unknown));
	*offset = at;
	if (!(h->flags & MULTIBOOT_ADDRESSES))
		return 0;
	if (min(file->size, HEADER_SEARCH) - at < sizeof(*h))
		return vm_fail(
			vm, -ENOEXEC,
			"%s: Multiboot header at 0x%lx has addresses (flag 16), but is cut short",
			file->name, (u64)at);
	memcpy(h, (const u8 *)file->data + at, sizeof(*h));
	return 0;
}

/* ---- 3. load by addresses ------------------------------------------------------------ */

/* What the addresses come to: which bytes of the file, and how many in memory, bss included. */
struct extent {
	u64 offset, loaded, size;
};

/*
 * The header lies at @offset in the file and at header_addr in memory, and so the byte for
 * load_addr is as far before it in the file as it is in memory (§3.1.3).
 */
static int find_extent(struct vm *vm, const struct vm_file *file, const struct multiboot_header *h,
		       u64 offset, struct extent *out)
{
	u64 before = (u64)h->header_addr - h->load_addr;
	u64 end;

	if (h->header_addr < h->load_addr || before > offset)
		return vm_fail(
			vm, -ENOEXEC,
			"%s: header_addr 0x%x and load_addr 0x%x do not fit a header at 0x%lx",
			file->name, h->header_addr, h->load_addr, offset);
	out->offset = offset - before;
	out->loaded = file->size - out->offset;
	end = h->load_end_addr ? h->load_end_addr : h->load_addr + out->loaded;
	if (end < h->load_addr || end - h->load_addr > out->loaded)
		return vm_fail(
			vm, -ENOEXEC,
			"%s: load_addr 0x%x to load_end_addr 0x%x, but the file has 0x%lx bytes",
			file->name, h->load_addr, h->load_end_addr, out->loaded);
	out->loaded = end - h->load_addr;
	if (h->bss_end_addr && h->bss_end_addr < end)
		return vm_fail(vm, -ENOEXEC,
			       "%s: bss_end_addr 0x%x is before the end of the data, 0x%lx",
			       file->name, h->bss_end_addr, end);
	out->size = h->bss_end_addr ? h->bss_end_addr - h->load_addr : out->loaded;
	if (h->entry_addr < h->load_addr || h->entry_addr >= end)
		return vm_fail(vm, -ENOEXEC, "%s: entry_addr 0x%x is not in 0x%x-0x%lx", file->name,
			       h->entry_addr, h->load_addr, end);
	return 0;
}

static int load_by_addresses(struct vm *vm, const struct vm_file *file,
			     const struct multiboot_header *h, u64 offset, struct image *out)
{
	struct extent extent = {};
	int err = find_extent(vm, file, h, offset, &extent);
	u8 *to;

	if (err)
		return err;
	to = loader_ram(vm, file, "the kernel", h->load_addr, extent.size);
	if (!to)
		return -ENOMEM;
	memcpy(to, (const u8 *)file->data + extent.offset, extent.loaded);
	memset(to + extent.loaded, 0, extent.size - extent.loaded);
	*out = (struct image){.entry = h->entry_addr, .end = h->load_addr + extent.size};
	return 0;
}

/* ---- 4. and 6. load and start -------------------------------------------------------- */

static int load_kernel(struct vm *vm, struct image *out)
{
	const struct vm_file *file = &vm->config->kernel;
	struct multiboot_header h;
	u64 offset = 0;
	int err = read_header(vm, file, &h, &offset);

	if (err)
		return err;
	if (h.flags & MULTIBOOT_ADDRESSES)
		return load_by_addresses(vm, file, &h, offset, out);
	if (elf_probe(file))
		return elf_load(vm, file, out);
	return vm_fail(vm, -ENOEXEC,
		       "%s: not ELF, and its Multiboot header gives no addresses (flag 16)",
		       file->name);
}

static int multiboot_load(struct vm *vm)
{
	struct multiboot_place place;
	struct image image;
	int err = load_kernel(vm, &image);

	if (!err)
		err = multiboot_inform(vm, image.end, &place);
	if (!err)
		err = start_protected(vm->vcpu, image.entry, place.stack, GPA(place.gdt));
	if (err)
		return err;
	vcpu_set_gpr(vm->vcpu, GPR_RAX, MULTIBOOT_LOADED);
	vcpu_set_gpr(vm->vcpu, GPR_RBX, place.info);
	return 0;
}

static const struct loader multiboot_loader = {
	.name = "multiboot",
	.probe = multiboot_probe,
	.load = multiboot_load,
};
LOADER(multiboot_loader);

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * linux.c: Linux kernels in the form in which distributions install them (vmlinuz, bzImage).
 * Linux, Documentation/arch/x86/boot.rst; below, "§" and a word name a field or a section there.
 *
 * A bzImage is one sector of boot code, some sectors of real-mode setup code, and then the
 * protected-mode code, which unpacks the kernel proper. The setup header, at 0x1f1, tells a loader
 * what the kernel wants. We leave the real-mode code out, as the 32-bit and 64-bit boot protocols
 * allow: we tell the kernel in its stead what it would have asked the BIOS, in a page of zeroes
 * with a few answers in it ("zero page", boot_params).
 *
 *	1. read the header: is it one, is it new enough, is the file whole?
 *	2. find a place for the kernel: where it prefers to be, aligned as it wants; from there it
 *	   uses init_size bytes before it has looked at the memory map
 *	3. find a place for the initrd: as high as RAM and initrd_addr_max allow, as far as may be
 *	   from the memory that the kernel unpacks itself into
 *	4. write zero page and command line
 *	5. start: in long mode at 0x200 in the code, or, if it is a 32-bit kernel, in protected mode
 *	   at its first byte; RSI (ESI) is the address of the zero page, all others are 0
 *
 * The instructions that we spend here are in every figure of a boot, so each file is copied once,
 * and only the zero page is cleared.
 */
#include "lib/print.h"
#include "loaders/loaders.h"
#include "vmm/loader.h"
#include "vmm/vm.h"

/*
 * The formats of boot.rst and zero-page.rst; the offsets are those of the tables there, which count
 * from the beginning of the file and of boot_params alike.
 */
enum { LINUX_SECTOR = 512, LINUX_HEADER_AT = 0x1f1, LINUX_FLAG_AT = 0x1fe, LINUX_MAGIC_AT = 0x202 };
#define LINUX_BOOT_FLAG	   0xaa55
#define LINUX_MAGIC	   0x53726448 /* "HdrS" */
#define LINUX_HEADER_MAX   0x290      /* where the room for it in boot_params ends */

/* Protocol versions, and what came with them. */
#define LINUX_2_06	   0x206 /* cmdline_size */
#define LINUX_2_10	   0x20a /* pref_address, init_size */
#define LINUX_2_12	   0x20c /* xloadflags */

#define LINUX_LOADED_HIGH  0x01 /* loadflags: a bzImage, belongs at 1 MiB or above */
#define LINUX_KERNEL_64	   0x01 /* xloadflags: may be entered in 64-bit mode, behind its start by */
#define LINUX_ENTRY_64	   0x200

#define LINUX_LOADER_OTHER 0xff /* type_of_loader: one without a number of its own */

/* The setup header, at LINUX_HEADER_AT in the file. */
struct linux_header {
	u8 setup_sects; /* 512-byte sectors of real-mode code behind the first; 0 means 4 */
	u16 root_flags;
	u32 syssize; /* 16-byte units of protected-mode code */
	u16 ram_size, vid_mode, root_dev, boot_flag;
	u8 jump;	/* opcode */
	u8 jump_offset; /* from behind it to the end of this header */
	u32 magic;
	u16 version;
	u32 realmode_switch;
	u16 start_sys_seg;
	u16 kernel_version; /* offset of a string, less 0x200 */
	u8 type_of_loader, loadflags;
	u16 setup_move_size;
	u32 code32_start;
	u32 ramdisk_image, ramdisk_size, bootsect_kludge;
	u16 heap_end_ptr;
	u8 ext_loader_ver, ext_loader_type;
	u32 cmd_line_ptr;
	u32 initrd_addr_max; /* the highest address that a byte of the initrd may have */
	u32 kernel_alignment;
	u8 relocatable_kernel, min_alignment;
	u16 xloadflags;
	u32 cmdline_size; /* without the zero behind it */
	u32 hardware_subarch;
	u64 hardware_subarch_data;
	u32 payload_offset, payload_length;
	u64 setup_data, pref_address;
	u32 init_size;
} __packed;

#define LINUX_ASSERT_AT(field, offset)                                                     \
	_Static_assert(LINUX_HEADER_AT + offsetof(struct linux_header, field) == (offset), \
		       "boot.rst, the real-mode kernel header")
LINUX_ASSERT_AT(boot_flag, LINUX_FLAG_AT);
LINUX_ASSERT_AT(magic, LINUX_MAGIC_AT);
LINUX_ASSERT_AT(kernel_version, 0x20e);
LINUX_ASSERT_AT(code32_start, 0x214);
LINUX_ASSERT_AT(xloadflags, 0x236);
LINUX_ASSERT_AT(cmdline_size, 0x238);
LINUX_ASSERT_AT(init_size, 0x260);

#define LINUX_E820_MAX 128

/* The "zero page": what the kernel is told, zero where it is told nothing. */
struct linux_params {
	u8 unused1[0x1e8];
	u8 e820_entries;
	u8 unused2[LINUX_HEADER_AT - 0x1e9];
	union {
		struct linux_header header;
		u8 header_bytes[LINUX_HEADER_MAX - LINUX_HEADER_AT];
	};
	u8 unused3[0x2d0 - LINUX_HEADER_MAX];
	struct ram_range e820[LINUX_E820_MAX];
	u8 unused4[0x1000 - 0x2d0 - LINUX_E820_MAX * sizeof(struct ram_range)];
} __packed;
_Static_assert(offsetof(struct linux_params, e820_entries) == 0x1e8, "zero-page.rst");
_Static_assert(offsetof(struct linux_params, header) == LINUX_HEADER_AT, "zero-page.rst");
_Static_assert(offsetof(struct linux_params, e820) == 0x2d0, "zero-page.rst");
_Static_assert(sizeof(struct linux_params) == 4096, "zero-page.rst");

#define DEFAULT_SETUP_SECTS 4
#define SYSSIZE_UNIT	    16
#define VERSION_MAX	    64 /* characters; what is longer is no version */
#define CMDLINE_ROOM	    (LOW_LINUX_END - LOW_LINUX_CMDLINE)

/* The kernel's file, and where its parts go. Guest physical addresses, sizes in bytes. */
struct kernel {
	const struct vm_file *file;
	const struct linux_header *header; /* in the file */
	u64 header_end;			   /* offset in the file */
	u64 setup_size; /* of the real-mode part; the protected-mode part follows */
	u64 code_size;	/* of the protected-mode part */
	u64 load;	/* where that is put */
	u64 end;	/* behind what it uses before it knows the memory map */
	u64 initrd;	/* 0 if there is none */
};

static const struct linux_header *file_header(const struct vm_file *file)
{
	return (const void *)((const u8 *)file->data + LINUX_HEADER_AT);
}

/* ---- 1. the header ------------------------------------------------------------------- */

/* Two sectors are the least that a bzImage has, and all of the header is in them. */
static bool linux_probe(const struct vm_file *kernel)
{
	const struct linux_header *h = file_header(kernel);

	return kernel->size >= 2 * LINUX_SECTOR && h->boot_flag == LINUX_BOOT_FLAG &&
	       h->magic == LINUX_MAGIC;
}

/* §jump: its offset counts from 0x202, and what lies behind the header is code. */
static int check_header(struct vm *vm, struct kernel *k)
{
	const struct linux_header *h = k->header;
	unsigned major = h->version >> 8, minor = h->version & 0xff;
	size_t size = h->version >= LINUX_2_10 ? sizeof(*h)
					       : offsetof(struct linux_header, hardware_subarch);

	if (h->version < LINUX_2_06)
		return bad_kernel(vm,
				  "Linux boot protocol %u.%02u is older than 2.06 (Linux 2.6.22)",
				  major, minor);
	if (!(h->loadflags & LINUX_LOADED_HIGH))
		return bad_kernel(vm, "a zImage (loadflags 0x%x): build a bzImage", h->loadflags);
	k->header_end = LINUX_MAGIC_AT + h->jump_offset;
	if (k->header_end < LINUX_HEADER_AT + size || k->header_end > LINUX_HEADER_MAX)
		return bad_kernel(vm,
				  "the setup header ends at 0x%lx, protocol %u.%02u has 0x%lx-0x%x",
				  k->header_end, major, minor, LINUX_HEADER_AT + size,
				  LINUX_HEADER_MAX);
	return 0;
}

static int read_kernel(struct vm *vm, struct kernel *k)
{
	const struct linux_header *h = k->header;
	u64 sectors;
	int err;

	if (!linux_probe(k->file))
		return bad_kernel(vm, "no Linux kernel: no 0xaa55 at 0x1fe and \"HdrS\" at 0x202");
	err = check_header(vm, k);
	if (err)
		return err;
	sectors = h->setup_sects ? h->setup_sects : DEFAULT_SETUP_SECTS;
	k->setup_size = (1 + sectors) * LINUX_SECTOR;
	k->code_size = (u64)h->syssize * SYSSIZE_UNIT;
	if (k->file->size < k->setup_size + k->code_size)
		return bad_kernel(vm,
				  "cut short: %lu bytes, setup_sects %lu and syssize 0x%x make %lu",
				  k->file->size, sectors, h->syssize, k->setup_size + k->code_size);
	if (k->code_size <= LINUX_ENTRY_64)
		return bad_kernel(vm, "syssize 0x%x leaves no room for a kernel", h->syssize);
	return 0;
}

/* §kernel_version: print the string's first word, which is the version. */
static void print_version(const struct vm *vm, const struct kernel *k)
{
	u64 at = k->header->kernel_version + LINUX_SECTOR;
	const char *text = (const char *)k->file->data + at;
	int n = 0;

	if (!k->header->kernel_version)
		return;
	while (n < VERSION_MAX && at + n < k->setup_size && text[n] > ' ' && text[n] <= '~')
		n++;
	print("%s: Linux %.*s\n", vm->name, n, text);
}

/* ---- 2. a place for the kernel ------------------------------------------------------- */

/*
 * §pref_address, §kernel_alignment, §init_size. A relocatable kernel is put where it prefers to
 * run; one that is not goes where it was linked to start, and moves itself to pref_address. Before
 * 2.10 it runs where it starts, and nobody knows how much memory it needs there.
 */
static int place_kernel(struct vm *vm, struct kernel *k)
{
	const struct linux_header *h = k->header;
	u64 runs = h->code32_start, init_size = k->code_size;

	if (h->version >= LINUX_2_10) {
		runs = h->pref_address ? h->pref_address : runs;
		init_size = max(init_size, h->init_size);
	}
	k->load = h->relocatable_kernel ? runs : h->code32_start;
	if (min(k->load, runs) < MIB || max(k->load, runs) >= LOADER_LIMIT)
		return bad_kernel(vm,
				  "code32_start 0x%x, pref_address 0x%lx: not from 1 MiB to 4 GiB",
				  h->code32_start, runs);
	if (h->relocatable_kernel) {
		if (!h->kernel_alignment || h->kernel_alignment & (h->kernel_alignment - 1))
			return bad_kernel(vm, "kernel_alignment 0x%x is not a power of two",
					  h->kernel_alignment);
		k->load = runs = align_up(runs, h->kernel_alignment);
	}
	if (!loader_ram(vm, k->file, "the kernel to run", runs, init_size) ||
	    !loader_ram(vm, k->file, "the kernel", k->load, k->code_size))
		return -ENOMEM;
	k->end = max(runs + init_size, k->load + k->code_size);
	return 0;
}

/* ---- 3. a place for the initrd ------------------------------------------------------- */

/* §initrd_addr_max */
static int place_initrd(struct vm *vm, struct kernel *k)
{
	const struct vm_file *initrd = &vm->config->initrd;
	const struct mem_region *ram = vm_region(vm, GPA(k->load));
	u64 top = min(ram->start.a + ram->size, k->header->initrd_addr_max + 1ull);

	if (!initrd->data)
		return 0;
	if (!initrd->size)
		return vm_fail(vm, -ENOEXEC, "%s: the initrd is empty", initrd->name);
	if (initrd->size <= top)
		k->initrd = align_down(top - initrd->size, PAGE_SIZE);
	if (k->initrd < k->end)
		return vm_fail(
			vm, -ENOMEM,
			"%s: %lu bytes do not fit between 0x%lx (the kernel) and 0x%lx, see mem=",
			initrd->name, initrd->size, k->end, top);
	return 0;
}

/* ---- 4. zero page and command line --------------------------------------------------- */

/* §The 32-bit boot protocol: a page of zeroes, the file's header, and what loaders fill in. */
static int put_params(struct vm *vm, const struct kernel *k)
{
	struct linux_params *params =
		loader_ram(vm, k->file, "boot_params", LOW_LINUX_PARAMS, sizeof(*params));

	if (!params)
		return -ENOMEM;
	memset(params, 0, sizeof(*params));
	memcpy(params->header_bytes, k->header, k->header_end - LINUX_HEADER_AT);
	params->header.type_of_loader = LINUX_LOADER_OTHER;
	params->header.code32_start = k->load;
	params->header.cmd_line_ptr = LOW_LINUX_CMDLINE;
	params->header.ramdisk_image = k->initrd;
	params->header.ramdisk_size = k->initrd ? vm->config->initrd.size : 0;
	_Static_assert(RAM_RANGES_MAX <= LINUX_E820_MAX, "the map fits");
	params->e820_entries = ram_map(vm, params->e820);
	return 0;
}

static int put_cmdline(struct vm *vm, const struct kernel *k)
{
	const char *cmdline = k->file->cmdline;
	u64 size = strlen(cmdline), most = min(k->header->cmdline_size, CMDLINE_ROOM - 1);
	char *to;

	if (size > most)
		return vm_fail(vm, -E2BIG,
			       "%s: the command line has %lu characters, this kernel takes %lu",
			       k->file->name, size, most);
	to = loader_ram(vm, k->file, "the command line", LOW_LINUX_CMDLINE, size + 1);
	if (!to)
		return -ENOMEM;
	memcpy(to, cmdline, size + 1);
	return 0;
}

/* ---- 5. load and start --------------------------------------------------------------- */

static int copy_files(struct vm *vm, const struct kernel *k)
{
	const struct vm_file *initrd = &vm->config->initrd;
	u64 size = initrd->size;
	int err = loader_put(vm, k->file, "the kernel", k->setup_size, k->code_size, k->load,
			     k->code_size);

	return err || !k->initrd ? err
				 : loader_put(vm, initrd, "the initrd", 0, size, k->initrd, size);
}

static int start(struct vcpu *vcpu, const struct kernel *k)
{
	const struct linux_header *h = k->header;
	bool kernel_64 = h->version >= LINUX_2_12 && h->xloadflags & LINUX_KERNEL_64;
	int err = kernel_64 ? start_long(vcpu, k->load + LINUX_ENTRY_64, 0)
			    : start_protected(vcpu, k->load, LOW_STACK, GPA(LOW_GDT));

	vcpu_set_gpr(vcpu, GPR_RSI, LOW_LINUX_PARAMS);
	return err;
}

static int linux_load(struct vm *vm)
{
	const struct vm_config *config = vm->config;
	struct kernel k = {.file = &config->kernel, .header = file_header(&config->kernel)};
	int err;

	if (config->module_count)
		return vm_fail(vm, -EINVAL, "%s: Linux takes no modules: say as=initrd",
			       config->modules[0].name);
	err = read_kernel(vm, &k) ?: place_kernel(vm, &k) ?: place_initrd(vm, &k) ?:
	      put_params(vm, &k) ?: put_cmdline(vm, &k) ?: copy_files(vm, &k) ?:
	      start(vm->vcpu, &k);
	if (!err)
		print_version(vm, &k);
	return err;
}

static const struct loader linux_loader = {"linux", linux_probe, linux_load};
LOADER(linux_loader);

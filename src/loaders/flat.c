/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * flat.c: raw code, without a header that would say anything about it.
 *
 * The file is copied to at= (0x7c00 in real mode, else 1 MiB) and started at its first byte, in the
 * mode that mode= names. The states are those of loaders.h; in every one of them
 *
 *	RSI	physical address of the command line, a C string at 0x500; 0 if there is none
 *	RSP	0x7c00, growing down
 *
 * and all other general registers are 0 (but DL is 0x80 in real mode). In protected and long mode
 * the memory below 0x7c00 holds the tables listed in loaders.h, so the image must lie above.
 */
#include "loaders/loaders.h"
#include "vmm/loader.h"
#include "vmm/vm.h"

#define BOOT_SECTOR 0x7c00 /* where a BIOS puts one */

/* No contents are wrong for a flat image, so none are right either: it must be asked for. */
static bool flat_probe(const struct vm_file *kernel)
{
	return false;
}

static int check_config(struct vm *vm)
{
	const struct vm_config *config = vm->config;
	const char *name = config->kernel.name;

	if (!config->kernel.size)
		return bad_kernel(vm, "the file is empty");
	if (config->initrd.data || config->module_count)
		return vm_fail(vm, -EINVAL, "%s: a flat image is told of no other files; remove %s",
			       name,
			       config->initrd.data ? config->initrd.name : config->modules[0].name);
	if (strlen(config->kernel.cmdline) >= LOW_CMDLINE_END - LOW_CMDLINE)
		return vm_fail(vm, -E2BIG,
			       "%s: the command line has %zu characters, a flat image gets %llu",
			       name, strlen(config->kernel.cmdline),
			       LOW_CMDLINE_END - LOW_CMDLINE - 1);
	return 0;
}

/* Does [at, at + size) touch [start, end)? No sum here can overflow. */
static bool touches(u64 at, u64 size, u64 start, u64 end)
{
	return start < end && at < end && (at >= start || size > start - at);
}

/* The image must not lie on what we are going to write into low memory. */
static int check_place(struct vm *vm, u64 at)
{
	const struct vm_config *config = vm->config;
	const struct vm_file *kernel = &config->kernel;
	bool real = config->mode == START_REAL;
	u64 start = *kernel->cmdline ? LOW_CMDLINE : LOW_TABLES;
	u64 end = real ? LOW_CMDLINE_END : LOW_STACK;

	if (real && at >= MIB)
		return vm_fail(vm, -ERANGE,
			       "%s: at=0x%lx is out of real mode's reach, which is 1 MiB",
			       kernel->name, at);
	if (touches(at, kernel->size, start, end))
		return vm_fail(
			vm, -EBUSY,
			"%s: 0x%lx bytes at=0x%lx would cover 0x%lx-0x%lx, which Casita uses",
			kernel->name, kernel->size, at, start, end - 1);
	return 0;
}

static int start(struct vcpu *vcpu, enum start_mode mode, u64 at, u64 low)
{
	if (mode == START_PROTECTED)
		return start_protected(vcpu, at, low + LOW_STACK, GPA(low + LOW_GDT));
	if (mode == START_LONG)
		return start_long(vcpu, at, low);
	start_real(vcpu, at);
	return 0;
}

static int copy_cmdline(struct vm *vm, u64 low)
{
	const struct vm_file *kernel = &vm->config->kernel;
	size_t size = strlen(kernel->cmdline) + 1;
	void *to;

	if (!*kernel->cmdline)
		return 0;
	to = loader_ram(vm, kernel, "the command line", low + LOW_CMDLINE, size);
	if (!to)
		return -ENOMEM;
	memcpy(to, kernel->cmdline, size);
	vcpu_set_gpr(vm->vcpu, GPR_RSI, low + LOW_CMDLINE);
	return 0;
}

static int flat_load(struct vm *vm)
{
	const struct vm_config *config = vm->config;
	u64 at = config->at, low = 0, size = config->kernel.size;

	if (at == UINT64_MAX)
		at = config->mode == START_REAL ? BOOT_SECTOR : MIB;
	if (!vm_ptr(vm, GPA(0), 1)) /* a VM without low memory */
		low = align_up(at + size, PAGE_SIZE);
	return check_config(vm) ?: (low ? 0 : check_place(vm, at)) ?:
	       loader_put(vm, &config->kernel, "the image", 0, size, at, size) ?:
	       start(vm->vcpu, config->mode, at, low) ?: copy_cmdline(vm, low);
}

static const struct loader flat_loader = {"flat", flat_probe, flat_load};
LOADER(flat_loader);

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * config.h: what VMs to run, from the words behind the boot modules' names.
 *
 *	bzImage vm=linux mem=256M -- console=ttyS0 quiet
 *	initrd.img for=linux as=initrd
 *
 * A module with vm=NAME (or with neither vm= nor for=) is the kernel of a new VM. One with for=NAME
 * is a file for that VM, as=initrd or as=module (the default). Everything behind "--" is handed to
 * the guest as the kernel's (or the module's) command line.
 *
 *	vm=NAME				letters, digits, - and _; default: from the file's name
 *	mem=SIZE			default 64M; K, M, G; rounded up to 2M
 *	paging=nested|shadow|vtlb|none	default: the best that is linked and the machine can do
 *	loader=flat|multiboot|linux	default: what the file looks like
 *	at=ADDRESS			flat: where to put it and start it; default 0x7c00 in
 *					real mode, else 1M
 *	mode=real|protected|long	flat: in what mode it starts; default real
 *	trap=WORD[+WORD…]		exit where it need not: cr
 *	cpuid=LEAF:EAX:EBX:ECX:EDX	what that leaf says
 *	msr=NUMBER:VALUE		an MSR of this VM that keeps what is written to it
 *	io=PORT:VALUE			four ports, a register that keeps what is written to it
 *
 * The last three take several, with + between. They make machines that no guest has seen before.
 *
 * at= and mode= imply loader=flat. A word that is not known, or is there twice, is an error.
 */
#ifndef VMM_CONFIG_H
#define VMM_CONFIG_H

#include "host/host.h"
#include "lib/types.h"
#include "vmm/words.h"

#define VM_NAME_MAX  16
#define VM_FILES_MAX 8
#define VMS_MAX	     8

struct vm_file {
	const char *name; /* as the boot loader gave it, without directories */
	const void *data;
	u64 size;	     /* bytes */
	const char *cmdline; /* behind "--"; never NULL */
};

enum start_mode { START_REAL, START_PROTECTED, START_LONG };

struct vm_config {
	char name[VM_NAME_MAX];
	u64 mem;	 /* bytes, a multiple of 2 MiB */
	char paging[12]; /* empty: choose */
	char loader[12]; /* empty: choose */
	u64 at;		 /* UINT64_MAX: not given */
	enum start_mode mode;
	bool trap_cr;
	struct word cpuid, msr, io; /* as they stand there: devices/preset.c reads them */
	struct vm_file kernel;
	struct vm_file initrd; /* data is NULL if there is none */
	struct vm_file modules[VM_FILES_MAX];
	unsigned module_count;
};

/**
 * config_parse() - read all modules' words.
 * @modules, @count: the boot modules; their strings must stay where they are
 * @configs: VMS_MAX configurations to fill
 * @error, @error_size: room for a sentence that names the module and the word at fault
 *
 * The files' names are kept in one place until the next call.
 *
 * Return: the number of VMs, 0 if there are no modules, or -EINVAL with @error filled.
 */
int config_parse(const struct boot_module *modules, unsigned count, struct vm_config *configs,
		 char *error, size_t error_size);

#endif

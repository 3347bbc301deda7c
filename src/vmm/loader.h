/* SPDX-License-Identifier: BSD-3-Clause */
/* loader.h: how a guest gets into its VM. A file in loaders/ announces one with LOADER(). */
#ifndef VMM_LOADER_H
#define VMM_LOADER_H

#include "lib/set.h"
#include "lib/types.h"

struct vm;
struct vm_config;
struct vm_file;

struct loader {
	const char *name; /* loader=NAME on the module's command line */
	/* Does this file look like mine? Looks at the contents only; false for a flat image. */
	bool (*probe)(const struct vm_file *kernel);
	/*
	 * Put the files of vm->config into vm's memory and set the boot CPU's registers.
	 * Return: 0, or a negative errno with a sentence for people in vm_fail(): what is wrong
	 * with the file, with numbers.
	 */
	int (*load)(struct vm *vm);
};

SET_DECLARE(loaders, const struct loader);
#define LOADER(object) SET_ADD(loaders, const struct loader, object)

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * device.h: a kind of device. A file in devices/ announces one with DEVICE(); each VM gets one of
 * each that is linked. create() allocates the device's state and sets its hooks; the order in which
 * devices are created means nothing.
 */
#ifndef VMM_DEVICE_H
#define VMM_DEVICE_H

#include "lib/set.h"
#include "lib/types.h"

struct vm;

struct device_class {
	const char *name;
	/* Return: 0 or a negative errno; the VM is not started then. */
	int (*create)(struct vm *vm);
	/* May be NULL. Memory from device_alloc() is freed without it. */
	void (*destroy)(struct vm *vm);
};

SET_DECLARE(devices, const struct device_class);
#define DEVICE(object) SET_ADD(devices, const struct device_class, object)

/** device_alloc() - zeroed state that lives as long as the VM; NULL if there is none. */
void *device_alloc(struct vm *vm, size_t bytes);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * boot_info.h: what the loader said, for the rest of host/.
 */
#ifndef HOST_BOOT_INFO_H
#define HOST_BOOT_INFO_H

#include "lib/types.h"

/* Physical memory from start up to, not including, end. */
struct range {
	u64 start, end;
};

/**
 * boot_info_init() - read the Multiboot information.
 * @magic: EAX at our entry
 * @info: EBX: the address of the information
 *
 * Ends the machine with a message if the loader is not a Multiboot loader, or if a module does
 * not fit into memory.
 */
void boot_info_init(u32 magic, u64 info);

/**
 * boot_memory() - walk the memory map.
 * @i: which entry, from 0
 * @r: what it spans
 * @is_ram: whether it is memory that one may use
 *
 * Return: false if there are no more.
 */
bool boot_memory(unsigned i, struct range *r, bool *is_ram);

/**
 * boot_used() - walk what lies in memory already: Casita, the modules, the loader's tables and
 * strings. Some of them may be empty, or overlap.
 * @i: which, from 0
 * @r: what it spans
 *
 * Return: false if there are no more.
 */
bool boot_used(unsigned i, struct range *r);

#endif

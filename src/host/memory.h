/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * memory.h: taking possession of the machine's memory.
 */
#ifndef HOST_MEMORY_H
#define HOST_MEMORY_H

/** memory_init() - map all memory, and give what nobody uses to the page allocator. */
void memory_init(void);

#endif

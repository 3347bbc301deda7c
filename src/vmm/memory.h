/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * memory.h: a VM's physical address space: RAM, memory-mapped devices, and holes between them.
 *
 * A small array of regions, sorted, that never overlap. What lies in no region is a hole: reads
 * give all ones, writes are lost, as on a PC's bus.
 */
#ifndef VMM_MEMORY_H
#define VMM_MEMORY_H

#include "lib/types.h"

struct vm;

/* Callbacks of a memory-mapped device; @offset from the region's start, @size 1, 2, 4, 8 bytes. */
struct mem_hook {
	u64 (*read)(void *opaque, u64 offset, int size);
	void (*write)(void *opaque, u64 offset, int size, u64 value);
	void *opaque;
};

struct mem_region {
	gpa_t start;
	u64 size; /* bytes, whole pages */
	enum { MEM_RAM, MEM_MMIO } kind;
	hpa_t host;	      /* RAM: where it is */
	struct mem_hook hook; /* MMIO */
};

#define MEM_REGIONS 32
#define MEM_BLOCKS  2

/* A piece of host memory that the VM was given, and that goes back when it ends. */
struct mem_block {
	hpa_t host;
	u64 size;
};

struct memory {
	struct mem_region regions[MEM_REGIONS];
	unsigned count;
	struct mem_block blocks[MEM_BLOCKS];
	unsigned block_count;
	u64 ram_size; /* bytes, all RAM regions together */
	u64 *dirty;   /* bit n: page n was written; NULL: nobody wants to know (dirty.c) */
};

/**
 * vm_add_ram() - give a VM memory: whole pages from @start on, which are at @host.
 * Return: 0, -EINVAL if it is not page-aligned, -EEXIST if something is there, -ENOSPC.
 */
int vm_add_ram(struct vm *vm, gpa_t start, u64 size, hpa_t host);

/**
 * vm_hook_mem() - let a device answer a range of physical addresses, in whole pages. What was RAM
 * there stops being RAM. @hook is copied.
 * Return: 0, -EINVAL if not page-aligned, -EEXIST if another device is there, -ENOSPC.
 */
int vm_hook_mem(struct vm *vm, gpa_t start, u64 size, const struct mem_hook *hook);

/** vm_region() - the region that holds an address, or NULL: a hole. */
const struct mem_region *vm_region(const struct vm *vm, gpa_t gpa);

/* Behind vm_ptr() of vm.h, for what is not in the first region. */
void *vm_ptr_anywhere(const struct vm *vm, gpa_t gpa, u64 size);

/** memory_create() - give a new VM its memory. Return: 0, or -ENOMEM with a sentence. */
int memory_create(struct vm *vm, u64 size);

/** memory_destroy() - give a VM's RAM back, scrubbed. */
void memory_destroy(struct vm *vm);

/** vcpu_ram_written() - tell the paging mode that guest RAM is about to be written in the guest's
 * place: there may be page tables in it. Within one page. */
void vcpu_ram_written(struct vm *vm, gpa_t gpa);

#ifdef CONFIG_DIRTY_LOG
/** vm_dirty_end() - no longer note which pages of RAM are written, if anybody wanted to know. */
void vm_dirty_end(struct vm *vm);
/** vm_dirty_note() - the page that holds @gpa is being written. */
void vm_dirty_note(struct vm *vm, gpa_t gpa);
#else
static inline void vm_dirty_end(struct vm *vm) {}
static inline void vm_dirty_note(struct vm *vm, gpa_t gpa) {}
#endif

#endif

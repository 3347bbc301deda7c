/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fake_cpu.h: a processor that only remembers what it was told, in a VM with real memory.
 *
 * For tests of code that sets registers through struct cpu_ops and writes guest RAM. RAM is filled
 * with RAM_FILL, so that a test can tell what was written; each piece of it is an allocation of its
 * own, so that AddressSanitizer sees the first byte outside.
 */
#ifndef TESTS_UNIT_FAKE_CPU_H
#define TESTS_UNIT_FAKE_CPU_H

#include "vmm/vm.h"

#define RAM_FILL     0xa5
#define FAKE_RAM_MAX 3

struct fake_cpu {
	u64 regs[VREG_COUNT];
	struct segment segs[SEG_COUNT];
	struct table_reg gdt, idt;
	u8 cpl;
	bool waiting; /* for the next entry: */
	struct event event;
	int irq;	/* vector on the INTR pin, or -1 */
	bool irq_taken; /* a test sets it when the guest takes what is on the pin */
	bool shadow;	/* of STI or MOV SS */
	u64 tsc_offset;
	hpa_t nested_root;
	struct paging_regs real; /* what set_paging() was given */
	u64 intercepts;		 /* bit n: enum intercept */
	unsigned flushes, advances, offers;
};

struct fake_machine {
	struct vm vm;
	struct vcpu vcpu;
	struct vm_config config;
	struct fake_cpu cpu;
	u8 *ram[FAKE_RAM_MAX];
	unsigned ram_count;
};

/** fake_machine_init() - a VM without RAM, its registers full of rubbish; `cpu` becomes the fake.
 */
void fake_machine_init(struct fake_machine *m);
/** fake_machine_free() - give its RAM back. */
void fake_machine_free(struct fake_machine *m);
/** fake_add_ram() - more RAM, whole pages. */
void fake_add_ram(struct fake_machine *m, u64 start, u64 size);
/** fake_ram() - pointer to a byte of RAM; the test fails if there is none. */
u8 *fake_ram(struct fake_machine *m, u64 gpa);
/** fake_ram_untouched() - is [start, end) still as fake_add_ram() left it? */
bool fake_ram_untouched(struct fake_machine *m, u64 start, u64 end);

u16 get16(const void *p);
u32 get32(const void *p);
u64 get64(const void *p);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dirty: which pages of RAM have been written? Casita's hypercalls 4 (begin, end) and 5 (which of 32
 * pages).
 *
 * What a VMM gets wrong here: a large page is noted as a whole or for its first page only; a page is
 * noted once and never again; a write across two pages notes one; what the VMM writes in the guest's
 * place (INS) is not noted. Only for VMs.
 */
#include "lib/probe.h"

#define PAGES	    32
#define CALL_LOG    4
#define CALL_DIRTY  5
#define PORT_FLOATS 0x1234

static u8 memory[PAGES * PAGE_SIZE] __aligned(PAGE_SIZE);

static reg_t call(reg_t number, reg_t argument)
{
	reg_t result = number;
	u32 vendor = cpuid(0, 0).ebx;

	if (vendor == 0x756e6547) /* "Genu" */
		__asm__ volatile("vmcall" : "+a"(result) : "b"(argument) : "memory");
	else
		__asm__ volatile("vmmcall" : "+a"(result) : "b"(argument) : "memory");
	return result;
}

static u32 dirty(void)
{
	return call(CALL_DIRTY, (reg_t)memory);
}

static void write(unsigned page, unsigned offset)
{
	*(volatile u8 *)&memory[page * PAGE_SIZE + offset] = page;
}

void guest(void)
{
	volatile u64 *across = (u64 *)&memory[9 * PAGE_SIZE - 4];
	void *to = &memory[20 * PAGE_SIZE];
	u32 sum = 0;

	write(5, 0);
	check_equal("before", dirty(), 0);
	check_equal("begin", call(CALL_LOG, 1), 0);
	check_equal("nothing-yet", dirty(), 0);
	check("twice", (s32)call(CALL_LOG, 1) < 0);

	write(3, 17);
	write(31, PAGE_SIZE - 1);
	write(3, 18);
	check_equal("written", dirty(), BIT(3) | BIT(31));
	check_equal("asked-again", dirty(), 0);
	write(3, 0);
	check_equal("written-again", dirty(), BIT(3));

	*across = 1;
	check_equal("across", dirty(), BIT(8) | BIT(9));
	for (unsigned i = 0; i < PAGES; i++)
		sum += *(volatile u8 *)&memory[i * PAGE_SIZE];
	check_equal("read", dirty(), 0);
	check("contents", sum != 0);

	__asm__ volatile("insb" : "+D"(to) : "d"(PORT_FLOATS) : "memory");
	check_equal("by-the-vmm", dirty(), BIT(20));
	for (unsigned i = 0; i < PAGES; i++)
		write(i, 8 * i);
	check_equal("all", dirty(), 0xffffffff);

	check_equal("end", call(CALL_LOG, 0), 0);
	write(7, 7);
	check_equal("after", dirty(), 0);
}

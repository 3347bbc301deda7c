/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * roundtrip: what an exit costs and back again, for `make bench`. It does one thing a thousand times,
 * with the time stamp counter before and behind, and says what one of them took. In QEMU with -icount
 * shift=0 these are instructions, the VMM's included. A loop around nothing is taken off.
 *
 * Not in guests.toml: what it says is nowhere the same.
 */
#include "lib/cpu.h"

#define TURNS 1000

/* Each in a loop of its own, all loops alike: the counter is in EDI, which none of them changes. */
#define MEASURE(instruction)                                                            \
	({                                                                              \
		u64 before_ = rdtsc();                                                  \
		u32 turns_ = TURNS;                                                     \
		reg_t a_ = 0, b_ = 0, c_ = 0, d_ = 0;                                   \
                                                                                        \
		__asm__ volatile("1:\n" instruction "\n\tdec %0\n\tjnz 1b"              \
				 : "+D"(turns_), "+a"(a_), "+b"(b_), "+c"(c_), "+d"(d_) \
				 : "S"((reg_t)place)                                    \
				 : "memory");                                           \
		rdtsc() - before_;                                                      \
	})

static u8 place[PAGE_SIZE] __aligned(4096);
static u64 nothing;

static void tell(const char *what, u64 ticks)
{
	ticks = ticks > nothing ? ticks - nothing : 0;
	say("%s %u\n", what, ((u32)ticks + TURNS / 2) / TURNS);
}

void guest(void)
{
	nothing = MEASURE("nop");
	tell("CPUID", MEASURE("xor %%eax, %%eax\n\tcpuid"));
	tell("RDMSR of EFER", MEASURE("mov $0xc0000080, %%ecx\n\trdmsr"));
	tell("IN from a port of nobody's", MEASURE("mov $0x2f0, %%edx\n\tinb %%dx, %%al"));
	tell("OUT to the 8259's mask", MEASURE("mov $0xff, %%al\n\toutb %%al, $0x21"));
	tell("MOV CR3, the same again", MEASURE("mov %%cr3, %%rax\n\tmov %%rax, %%cr3"));
	tell("INVLPG", MEASURE("invlpg (%%rsi)"));
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * main.c: bringing the machine up, part after part, each needing those before it.
 *
 *	1. the console, to be able to say what goes wrong
 *	2. traps, to see it when it does
 *	3. what the loader said; memory
 *	4. the processor's optional features that a VMM wants
 *	5. interrupts and clocks
 *	6. casita_main()
 */
#include "host/host.h"
#include "host/boot_info.h"
#include "host/console.h"
#include "host/cpu.h"
#include "host/memory.h"
#include "host/pic.h"
#include "host/time.h"
#include "host/traps.h"
#include "x86/regs.h"

#define CPUID_MCE   BIT(7)  /* leaf 1, EDX */
#define CPUID_XSAVE BIT(26) /* leaf 1, ECX */

int casita_main(void);
_Noreturn void host_main(u32 magic, u64 info);

/*
 * Casita's own code uses no x87, SSE or AVX register, but those of its guests must be saved and
 * loaded, by FXSAVE or XSAVE. Machine checks get reported instead of silently resetting.
 */
static void enable_features(void)
{
	struct cpuid_regs leaf1 = cpuid(1, 0);
	u64 cr4 = read_cr4() | CR4_OSFXSR | CR4_OSXMMEXCPT;

	if (leaf1.edx & CPUID_MCE)
		cr4 |= CR4_MCE;
	if (leaf1.ecx & CPUID_XSAVE)
		cr4 |= CR4_OSXSAVE;
	write_cr4(cr4);
	write_cr0(read_cr0() | CR0_MP | CR0_NE);
}

/* Called by boot.S with what the loader left in EAX and EBX. */
void host_main(u32 magic, u64 info)
{
	console_init();
	traps_init();
	boot_info_init(magic, info);
	memory_init();
	enable_features();
	pic_init();
	console_init_input();
	time_init();
	rtc_init();
	host_exit((u8)casita_main());
}

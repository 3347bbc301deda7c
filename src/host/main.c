/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * main.c: the machine's beginning, part after part, each needing those before it, and its end.
 */
#include "host/host.h"
#include "host/cpu.h"
#include "host/internal.h"
#include "lib/print.h"
#include "x86/regs.h"

#define CPUID_XSAVE    BIT(26) /* leaf 1, ECX */

#define BOCHS_SHUTDOWN 0x8900 /* expects a word, letter by letter */
#define QEMU_PM1A_CNT  0x604  /* ACPI's power management register of QEMU's PCs */
#define PM1A_SOFT_OFF  0x2000 /* SLP_EN, sleep type 0 = S5 there */

/*
 * Casita's own code uses no x87, SSE or AVX register, but those of its guests must be saved and
 * loaded, by FXSAVE or XSAVE. Machine checks get reported instead of silently resetting.
 */
static void enable_features(void)
{
	u64 cr4 = read_cr4() | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_MCE;

	if (cpuid(1, 0).ecx & CPUID_XSAVE)
		cr4 |= CR4_OSXSAVE;
	write_cr4(cr4);
	write_cr0(read_cr0() | CR0_MP | CR0_NE);
}

/* Called by boot.S with what the loader left in EAX and EBX. */
_Noreturn void host_main(u32 magic, u64 info);
void host_main(u32 magic, u64 info)
{
	console_init(); /* to be able to say what goes wrong */
	traps_init();	/* to see it when it does */
	boot_info_init(magic, info);
	enable_features();
	irq_init();
	console_init_input();
	time_init();
	host_exit((u8)casita_main());
}

void host_refuse(const char *fmt, ...)
{
	va_list ap;

	print("casita: ");
	va_start(ap, fmt);
	print_v(fmt, ap);
	va_end(ap);
	print("\n");
	host_exit(HOST_EXIT_REFUSED);
}

/* Every emulator has a door of its own. Where one is missing, writing to its port does nothing. */
void host_exit(u8 status)
{
	cli();
	console_flush();
	outb(QEMU_DEBUG_EXIT, status);
	for (const char *c = "Shutdown"; *c; c++)
		outb(BOCHS_SHUTDOWN, (u8)*c);
	outw(QEMU_PM1A_CNT, PM1A_SOFT_OFF);
	for (;;)
		__asm__ volatile("cli; hlt");
}

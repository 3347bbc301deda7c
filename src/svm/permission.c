/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * permission.c: the two bit maps that say which ports and MSRs a guest may touch by itself.
 *
 * I/O map (APM vol. 2 §15.10.1): 12 KiB, one bit a port, set = exit. A wide access at the end of
 * the port range looks at bits beyond port 0xffff, hence the third page. We set them all.
 *
 * MSR map (APM vol. 2 §15.11): 8 KiB, two bits an MSR, read then write, set = exit:
 *
 *	offset 0x0000	MSRs 0000_0000 - 0000_1fff
 *	offset 0x0800	MSRs c000_0000 - c000_1fff
 *	offset 0x1000	MSRs c001_0000 - c001_1fff
 *
 * An MSR in none of these ranges always exits.
 */
#include "lib/lab.h"
#include "svm/svm.h"

/* VMLOAD, VMSAVE and VMRUN move these with the guest, so they need no exit. */
static const u32 switched[] = {
	MSR_FS_BASE, MSR_GS_BASE, MSR_KERNEL_GS_BASE, MSR_STAR,		MSR_LSTAR,
	MSR_CSTAR,   MSR_SFMASK,  MSR_SYSENTER_CS,    MSR_SYSENTER_ESP, MSR_SYSENTER_EIP,
};

int svm_vm_create(struct vm *vm)
{
	struct svm_vm *s = kalloc(sizeof(*s));

	if (!s)
		return -ENOMEM;
	vm->cpu_state = s;
#if SOLVED >= 1
	memset(s->iopm, 0xff, IOPM_SIZE);
	memset(s->msrpm, 0xff, MSRPM_SIZE);
	for (size_t i = 0; i < ARRAY_SIZE(switched); i++)
		svm_pass_msr(vm, switched[i], true, true);
	return 0;
#else
	/*
	 * Exercise 1.2. A zero bit lets the guest touch the machine's own port or MSR. Make every
	 * port and every MSR exit, but for the MSRs in switched[], which the world switch moves
	 * with the guest: svm_pass_msr(vm, msr, true, true) for each.
	 *
	 * Handout: lab 1, "What the guest must not do". APM vol. 2 §15.10.1, §15.11.
	 */
	LAB(1, "1.2", "fill the permission maps");
#endif
}

void svm_vm_destroy(struct vm *vm)
{
	kfree(vm->cpu_state, sizeof(struct svm_vm));
	vm->cpu_state = NULL;
}

void svm_pass_msr(struct vm *vm, u32 msr, bool read, bool write)
{
#if SOLVED >= 1
	struct svm_vm *s = vm->cpu_state;
	u32 bank = msr >> 16;
	u32 offset = bank == 0 ? 0 : bank == 0xc000 ? 0x800 : bank == 0xc001 ? 0x1000 : UINT32_MAX;
	u32 bit = (msr & 0x1fff) * 2;
	u8 *byte;

	if (offset == UINT32_MAX || (msr & 0xffff) > 0x1fff)
		return; /* outside the map: always exits */
	byte = &s->msrpm[offset + bit / 8];
	*byte &= ~(3u << bit % 8);
	*byte |= ((read ? 0 : 1) | (write ? 0 : 2)) << bit % 8;
#else
	/*
	 * Exercise 1.2, continued. Find the MSR's two bits in s->msrpm (svm_vm's) by the table
	 * above, and let each say "exit" unless reading or writing is allowed. An MSR outside the
	 * three ranges has no bits: it always exits, and there is nothing to do.
	 *
	 * Hint: two bits an MSR, so four MSRs a byte.
	 */
	LAB(1, "1.2", "find an MSR's bits in the permission map");
#endif
}

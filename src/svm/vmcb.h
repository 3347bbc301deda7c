/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmcb.h: the virtual machine control block, AMD's 4 KiB page of everything about a guest CPU.
 *
 * Its first kilobyte tells the processor how to run the guest (what to intercept, what to inject)
 * and is where the processor tells why it stopped; the save area behind holds the guest's
 * registers. VMRUN reads it and #VMEXIT writes it. APM vol. 2 appendix B; chapter 15 explains each
 * field.
 */
#ifndef SVM_VMCB_H
#define SVM_VMCB_H

#include "x86/regs.h"

/* What can be intercepted: bits of intercepts1, and of intercepts2. */
/* clang-format off */
enum {
	SVM_INTERCEPT_INTR = BIT(0), SVM_INTERCEPT_NMI = BIT(1), SVM_INTERCEPT_SMI = BIT(2),
	SVM_INTERCEPT_INIT = BIT(3), SVM_INTERCEPT_VINTR = BIT(4), SVM_INTERCEPT_RDPMC = BIT(15),
	SVM_INTERCEPT_CPUID = BIT(18), SVM_INTERCEPT_INVD = BIT(22), SVM_INTERCEPT_HLT = BIT(24),
	SVM_INTERCEPT_INVLPG = BIT(25), SVM_INTERCEPT_INVLPGA = BIT(26), SVM_INTERCEPT_IOIO = BIT(27),
	SVM_INTERCEPT_MSR = BIT(28), SVM_INTERCEPT_TASK = BIT(29), SVM_INTERCEPT_SHUTDOWN = BIT(31)
};
enum {
	SVM_INTERCEPT_VMRUN = BIT(0), SVM_INTERCEPT_VMMCALL = BIT(1), SVM_INTERCEPT_VMLOAD = BIT(2),
	SVM_INTERCEPT_VMSAVE = BIT(3), SVM_INTERCEPT_STGI = BIT(4), SVM_INTERCEPT_CLGI = BIT(5),
	SVM_INTERCEPT_SKINIT = BIT(6), SVM_INTERCEPT_WBINVD = BIT(9), SVM_INTERCEPT_MONITOR = BIT(10),
	SVM_INTERCEPT_MWAIT = BIT(11), SVM_INTERCEPT_RDPRU = BIT(14)
};
/* clang-format on */

/* tlb_control (APM vol. 2 §15.16.1) */
#define SVM_TLB_KEEP	      0
#define SVM_TLB_FLUSH_ALL     1 /* every ASID's entries */

/* vintr: the virtual interrupt, a wire and a vector (APM vol. 2 §15.21.1) */
#define SVM_V_TPR	      0xffull
#define SVM_V_IRQ	      BIT(8)
#define SVM_V_INTR_PRIO	      (0xfull << 16)
#define SVM_V_IGN_TPR	      BIT(20)
#define SVM_V_INTR_MASKING    BIT(24) /* the guest's IF does not hold the host's interrupts */
#define SVM_V_VECTOR_SHIFT    32

/* int_state */
#define SVM_INT_SHADOW	      BIT(0)

/* event_inj and exit_int_info share a format (APM vol. 2 §15.20) */
#define SVM_EVENT_VECTOR      0xffull
#define SVM_EVENT_TYPE	      (7ull << 8)
#define SVM_EVENT_INTR	      (0ull << 8)
#define SVM_EVENT_NMI	      (2ull << 8)
#define SVM_EVENT_EXCEPTION   (3ull << 8)
#define SVM_EVENT_SOFT_INT    (4ull << 8)
#define SVM_EVENT_ERROR_VALID BIT(11)
#define SVM_EVENT_VALID	      BIT(31)
#define SVM_EVENT_ERROR_SHIFT 32

#define SVM_NP_ENABLE	      BIT(0)

/* exit_info1 of SVM_EXIT_NPF, beside the #PF error code (APM vol. 2 §15.25.6) */
#define SVM_NPF_TABLE	      BIT(33) /* while the guest's own page tables were walked */

/* exit codes (APM vol. 2 appendix C) */
/* clang-format off */
enum {
	SVM_EXIT_CR_READ = 0x00, SVM_EXIT_CR_WRITE = 0x10, /* + register */
	SVM_EXIT_EXCEPTION = 0x40, /* + vector */
	SVM_EXIT_INTR = 0x60, SVM_EXIT_NMI, SVM_EXIT_SMI, SVM_EXIT_INIT, SVM_EXIT_VINTR,
	SVM_EXIT_RDPMC = 0x6f, SVM_EXIT_CPUID = 0x72, SVM_EXIT_INVD = 0x76, SVM_EXIT_HLT = 0x78,
	SVM_EXIT_INVLPG = 0x79, SVM_EXIT_INVLPGA, SVM_EXIT_IOIO, SVM_EXIT_MSR, SVM_EXIT_TASK,
	SVM_EXIT_SHUTDOWN = 0x7f, SVM_EXIT_VMRUN, SVM_EXIT_VMMCALL, SVM_EXIT_VMLOAD, SVM_EXIT_VMSAVE,
	SVM_EXIT_STGI = 0x84, SVM_EXIT_CLGI, SVM_EXIT_SKINIT, SVM_EXIT_WBINVD = 0x89,
	SVM_EXIT_MONITOR = 0x8a, SVM_EXIT_MWAIT, SVM_EXIT_RDPRU = 0x8e, SVM_EXIT_NPF = 0x400
};
/* clang-format on */
#define SVM_EXIT_INVALID      0xffffffffu /* low half: QEMU does not extend the sign */

/* exit_info1 of SVM_EXIT_IOIO (APM vol. 2 §15.10.2) */
enum { SVM_IOIO_IN = BIT(0), SVM_IOIO_STRING = BIT(2), SVM_IOIO_REP = BIT(3) };
#define SVM_IOIO_SIZE_SHIFT 4 /* bits 4-6: 1, 2 or 4 bytes */
#define SVM_IOIO_PORT_SHIFT 16

struct vmcb {
	/* control area */
	u16 cr_read, cr_write, dr_read, dr_write; /* intercept bit n: reads or writes of CRn, DRn */
	u32 exceptions;				  /* intercept bit n: vector n */
	u32 intercepts1, intercepts2;
	u8 reserved1[0x3c - 0x14];
	u16 pause_threshold, pause_count;
	u64 iopm, msrpm; /* physical addresses of the permission maps */
	u64 tsc_offset;
	u32 asid;
	u8 tlb_control, reserved2[3];
	u64 vintr, int_state;
	u64 exit_code, exit_info1, exit_info2, exit_int_info;
	u64 np_control;
	u8 reserved3[0xa8 - 0x98];
	u64 event_inj;
	u64 ncr3;
	u64 lbr_control;
	u64 clean; /* all zero: the processor may have nothing cached of this VMCB */
	u64 next_rip;
	u8 fetched, insn[15]; /* decode assist */
	u8 reserved4[0x400 - 0xe0];
	/* state save area */
	struct segment es, cs, ss, ds, fs, gs, gdtr, ldtr, idtr, tr;
	u8 reserved5[0x4cb - 0x4a0];
	u8 cpl;
	u32 reserved6;
	u64 efer;
	u8 reserved7[0x548 - 0x4d8];
	u64 cr4, cr3, cr0, dr7, dr6, rflags, rip;
	u8 reserved8[0x5d8 - 0x580];
	u64 rsp;
	u8 reserved9[0x5f8 - 0x5e0];
	u64 rax;
	u64 star, lstar, cstar, sfmask, kernel_gs_base;
	u64 sysenter_cs, sysenter_esp, sysenter_eip;
	u64 cr2;
	u8 reserved10[0x668 - 0x648];
	u64 g_pat, debugctl;
	u8 reserved11[0x1000 - 0x678];
};

/* Every field behind a gap, and what a slip in the order of a row would move. */
#define VMCB_AT(field, offset) \
	_Static_assert(offsetof(struct vmcb, field) == (offset), "VMCB layout: " #field)
VMCB_AT(cr_write, 0x002);
VMCB_AT(exceptions, 0x008);
VMCB_AT(intercepts1, 0x00c);
VMCB_AT(intercepts2, 0x010);
VMCB_AT(pause_threshold, 0x03c);
VMCB_AT(iopm, 0x040);
VMCB_AT(msrpm, 0x048);
VMCB_AT(tsc_offset, 0x050);
VMCB_AT(asid, 0x058);
VMCB_AT(tlb_control, 0x05c);
VMCB_AT(vintr, 0x060);
VMCB_AT(int_state, 0x068);
VMCB_AT(exit_code, 0x070);
VMCB_AT(exit_int_info, 0x088);
VMCB_AT(np_control, 0x090);
VMCB_AT(event_inj, 0x0a8);
VMCB_AT(ncr3, 0x0b0);
VMCB_AT(clean, 0x0c0);
VMCB_AT(next_rip, 0x0c8);
VMCB_AT(fetched, 0x0d0);
VMCB_AT(es, 0x400);
VMCB_AT(gdtr, 0x460);
VMCB_AT(tr, 0x490);
VMCB_AT(cpl, 0x4cb);
VMCB_AT(efer, 0x4d0);
VMCB_AT(cr4, 0x548);
VMCB_AT(dr6, 0x568);
VMCB_AT(rflags, 0x570);
VMCB_AT(rip, 0x578);
VMCB_AT(rsp, 0x5d8);
VMCB_AT(rax, 0x5f8);
VMCB_AT(star, 0x600);
VMCB_AT(sfmask, 0x618);
VMCB_AT(cr2, 0x640);
VMCB_AT(g_pat, 0x668);
VMCB_AT(debugctl, 0x670);
_Static_assert(sizeof(struct vmcb) == 0x1000, "VMCB size");
_Static_assert(sizeof(struct segment) == 16, "a segment register in the VMCB");

#endif

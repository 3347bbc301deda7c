/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * regs.h: the registers of an x86 processor, as the manuals number and name their bits.
 * APM vol. 2 chapter 3; SDM vol. 3A chapter 2.
 */
#ifndef X86_REGS_H
#define X86_REGS_H

#include "lib/types.h"

/* General registers, in the order in which instructions encode them (APM vol. 3 §1.4). */
/* clang-format off */
enum gpr {
	GPR_RAX, GPR_RCX, GPR_RDX, GPR_RBX, GPR_RSP, GPR_RBP, GPR_RSI, GPR_RDI,
	GPR_R8, GPR_R9, GPR_R10, GPR_R11, GPR_R12, GPR_R13, GPR_R14, GPR_R15, GPR_COUNT
};
/* clang-format on */

/* Segment registers; the first six in the order in which instructions encode them. */
enum seg { SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS, SEG_LDTR, SEG_TR, SEG_COUNT };

/*
 * A segment register: selector and hidden descriptor, in the form that the VMCB uses (APM vol. 2
 * §4.5-4.8).
 *
 * attrib packs the descriptor's attribute bits without the limit between them, as in the VMCB
 * (APM vol. 2 §15.5.1):
 *
 *	 11  10   9   8   7  6 5  4  3 2 1 0
 *	| G | DB | L |AVL| P | DPL| S | type |
 */
struct segment {
	u16 selector;
	u16 attrib;
	u32 limit; /* in bytes, already scaled by G */
	u64 base;
};

#define SEG_S		    BIT(4) /* code or data, not a system segment */
#define SEG_GET_DPL(attrib) (((attrib) >> 5) & 3)
#define SEG_P		    BIT(7)
#define SEG_L		    BIT(9)  /* 64-bit code */
#define SEG_DB		    BIT(10) /* 32-bit code or stack */
#define SEG_G		    BIT(11) /* limit counts pages */

/* Types of code and data segments, accessed bit included (APM vol. 2 tables 4-3 and 4-4). */
#define SEG_TYPE_DATA_RW    0x3
#define SEG_TYPE_CODE_RX    0xb
/* Types of system segments (APM vol. 2 tables 4-5 and 4-6). */
#define SEG_TYPE_LDT	    0x2
#define SEG_TYPE_TSS16_BUSY 0x3
#define SEG_TYPE_TSS_BUSY   0xb /* 32-bit, or 64-bit in long mode */

/* A descriptor table register. */
struct table_reg {
	u16 limit;
	u64 base;
};

/* RFLAGS; ONE is always set. */
enum { RFLAGS_CF = BIT(0), RFLAGS_ONE = BIT(1), RFLAGS_PF = BIT(2), RFLAGS_AF = BIT(4) };
enum { RFLAGS_ZF = BIT(6), RFLAGS_SF = BIT(7), RFLAGS_TF = BIT(8), RFLAGS_IF = BIT(9) };
enum { RFLAGS_DF = BIT(10), RFLAGS_OF = BIT(11), RFLAGS_RF = BIT(16), RFLAGS_AC = BIT(18) };

/* CR0 */
enum { CR0_PE = BIT(0), CR0_MP = BIT(1), CR0_EM = BIT(2), CR0_TS = BIT(3), CR0_ET = BIT(4) };
enum { CR0_NE = BIT(5), CR0_WP = BIT(16), CR0_AM = BIT(18), CR0_NW = BIT(29), CR0_CD = BIT(30) };
#define CR0_PG BIT(31) /* no int, as an enumerator is */

/* CR4 */
enum { CR4_VME = BIT(0), CR4_PVI = BIT(1), CR4_TSD = BIT(2), CR4_DE = BIT(3), CR4_PSE = BIT(4) };
enum { CR4_PAE = BIT(5), CR4_MCE = BIT(6), CR4_PGE = BIT(7), CR4_PCE = BIT(8) };
enum { CR4_OSFXSR = BIT(9), CR4_OSXMMEXCPT = BIT(10), CR4_UMIP = BIT(11), CR4_LA57 = BIT(12) };
enum { CR4_FSGSBASE = BIT(16), CR4_PCIDE = BIT(17), CR4_OSXSAVE = BIT(18), CR4_SMEP = BIT(20) };
enum { CR4_SMAP = BIT(21), CR4_PKE = BIT(22), CR4_CET = BIT(23) };

/* EFER */
enum { EFER_SCE = BIT(0), EFER_LME = BIT(8), EFER_LMA = BIT(10), EFER_NXE = BIT(11) };
enum { EFER_SVME = BIT(12), EFER_LMSLE = BIT(13), EFER_FFXSR = BIT(14), EFER_TCE = BIT(15) };

/* What the registers hold after reset (APM vol. 2 table 14-1). */
#define CR0_RESET    (CR0_CD | CR0_NW | CR0_ET)
#define DR6_RESET    0xffff0ff0ull
#define DR7_RESET    0x400ull
#define PAT_RESET    0x0007040600070406ull
#define RFLAGS_RESET RFLAGS_ONE

/* Eight memory types, a byte each: 0 to 7, of which 2 and 3 are none (APM vol. 2 §7.8.1). */
static inline bool pat_valid(u64 pat)
{
	bool valid = true;

	for (int i = 0; i < 8; i++, pat >>= 8)
		valid &= (pat & 0xff) <= 7 && (pat & 0xfe) != 2;
	return valid;
}

/* Exception vectors (APM vol. 2 §8.2). */
/* clang-format off */
enum vector {
	VEC_DE, VEC_DB, VEC_NMI, VEC_BP, VEC_OF, VEC_BR, VEC_UD, VEC_NM, VEC_DF, VEC_TS = 10,
	VEC_NP, VEC_SS, VEC_GP, VEC_PF, VEC_MF = 16, VEC_AC, VEC_MC, VEC_XM, VEC_CP = 21
};
/* clang-format on */

/* The vectors that push an error code, as a bit mask. */
#define VECTORS_WITH_ERROR                                                                   \
	(BIT(VEC_DF) | BIT(VEC_TS) | BIT(VEC_NP) | BIT(VEC_SS) | BIT(VEC_GP) | BIT(VEC_PF) | \
	 BIT(VEC_AC) | BIT(VEC_CP))

/* #PF error code (APM vol. 2 §8.4.2). */
#define PF_PRESENT BIT(0) /* clear: a table entry on the way was not present */
#define PF_WRITE   BIT(1)
#define PF_USER	   BIT(2)
#define PF_RSVD	   BIT(3) /* a reserved bit was set in a table entry */
#define PF_FETCH   BIT(4) /* an instruction fetch, when NX or SMEP is on */

/* Model-specific registers that we know by name (APM vol. 2 appendix A). */
/* clang-format off */
enum msr {
	MSR_TSC = 0x10, MSR_APIC_BASE = 0x1b, MSR_BIOS_SIGN = 0x8b, MSR_MTRR_CAP = 0xfe,
	MSR_SYSENTER_CS = 0x174, MSR_SYSENTER_ESP, MSR_SYSENTER_EIP,
	MSR_MISC_ENABLE = 0x1a0, MSR_DEBUGCTL = 0x1d9,
	MSR_MTRR_PHYS_BASE = 0x200, /* base and mask in turns, 0x200-0x20f */
	MSR_MTRR_FIX_64K = 0x250, MSR_MTRR_FIX_16K = 0x258, /* and 0x259 */
	MSR_MTRR_FIX_4K = 0x268, /* 0x268-0x26f */
	MSR_PAT = 0x277, MSR_MTRR_DEF_TYPE = 0x2ff,
	MSR_EFER = 0xc0000080, MSR_STAR, MSR_LSTAR, MSR_CSTAR, MSR_SFMASK,
	MSR_FS_BASE = 0xc0000100, MSR_GS_BASE, MSR_KERNEL_GS_BASE, MSR_TSC_AUX,
	MSR_SYSCFG = 0xc0010010, MSR_HWCR = 0xc0010015, MSR_NB_CFG = 0xc001001f,
	MSR_INT_PENDING = 0xc0010055, MSR_VM_CR = 0xc0010114, MSR_VM_HSAVE_PA = 0xc0010117
};
/* clang-format on */

#endif

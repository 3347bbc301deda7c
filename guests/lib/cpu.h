/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cpu.h: single instructions that C has no words for, and the numbers the manuals give to what they
 * name. APM vol. 2 chapters 3 and 8, vol. 3.
 */
#ifndef GUEST_CPU_H
#define GUEST_CPU_H

#include "lib/guest.h"

/* General registers, in the order in which instructions encode them (APM vol. 3 §1.4). */
enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15 };

#ifdef __x86_64__
#define GPRS 16
#else
#define GPRS 8
#endif

/* Exception vectors (APM vol. 2 §8.2). */
enum {
	VEC_DE = 0,
	VEC_DB = 1,
	VEC_BP = 3,
	VEC_OF = 4,
	VEC_BR = 5,
	VEC_UD = 6,
	VEC_NM = 7,
	VEC_DF = 8,
	VEC_TS = 10,
	VEC_NP = 11,
	VEC_SS = 12,
	VEC_GP = 13,
	VEC_PF = 14,
	VEC_MF = 16,
	VEC_XM = 19,
};

#define FLAGS_CF	   BIT(0)
#define FLAGS_ONE	   BIT(1) /* always set */
#define FLAGS_ZF	   BIT(6)
#define FLAGS_TF	   BIT(8)
#define FLAGS_IF	   BIT(9)
#define FLAGS_DF	   BIT(10)
#define FLAGS_OF	   BIT(11)
#define FLAGS_IOPL	   BIT(12) /* the lower of its two bits */
#define FLAGS_NT	   BIT(14)
#define FLAGS_RF	   BIT(16)
/* The flags that instructions compute. */
#define FLAGS_STATUS	   (BIT(0) | BIT(2) | BIT(4) | BIT(6) | BIT(7) | BIT(11))

#define CR0_PE		   BIT(0)
#define CR0_MP		   BIT(1)
#define CR0_EM		   BIT(2)
#define CR0_TS		   BIT(3)
#define CR0_ET		   BIT(4)
#define CR0_NE		   BIT(5)
#define CR0_WP		   BIT(16)
#define CR0_AM		   BIT(18)
#define CR0_NW		   BIT(29)
#define CR0_CD		   BIT(30)
#define CR0_PG		   BIT(31)

#define CR4_TSD		   BIT(2)
#define CR4_DE		   BIT(3)
#define CR4_PSE		   BIT(4)
#define CR4_PAE		   BIT(5)
#define CR4_PGE		   BIT(7)
#define CR4_OSFXSR	   BIT(9)
#define CR4_OSXMMEXCPT	   BIT(10)
#define CR4_OSXSAVE	   BIT(18)

#define EFER_SCE	   BIT(0)
#define EFER_LME	   BIT(8)
#define EFER_LMA	   BIT(10)
#define EFER_NXE	   BIT(11)

#define MSR_TSC		   0x10
#define MSR_APIC_BASE	   0x1b
#define MSR_SYSENTER_CS	   0x174
#define MSR_SYSENTER_ESP   0x175
#define MSR_SYSENTER_EIP   0x176
#define MSR_PAT		   0x277
#define MSR_EFER	   0xc0000080
#define MSR_STAR	   0xc0000081
#define MSR_LSTAR	   0xc0000082
#define MSR_CSTAR	   0xc0000083
#define MSR_SFMASK	   0xc0000084
#define MSR_FS_BASE	   0xc0000100
#define MSR_GS_BASE	   0xc0000101
#define MSR_KERNEL_GS_BASE 0xc0000102

struct cpuid {
	u32 eax, ebx, ecx, edx;
};

static inline struct cpuid cpuid(u32 leaf, u32 subleaf)
{
	struct cpuid r;

	__asm__ volatile("cpuid"
			 : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
			 : "a"(leaf), "c"(subleaf));
	return r;
}

static inline u64 rdmsr(u32 msr)
{
	u32 lo, hi;

	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
	return (u64)hi << 32 | lo;
}

static inline void wrmsr(u32 msr, u64 value)
{
	__asm__ volatile("wrmsr" : : "c"(msr), "a"((u32)value), "d"((u32)(value >> 32)) : "memory");
}

static inline u64 rdtsc(void)
{
	u32 lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return (u64)hi << 32 | lo;
}

static inline u8 inb(u16 port)
{
	u8 v;

	__asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port) : "memory");
	return v;
}

static inline void outb(u16 port, u8 v)
{
	__asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port) : "memory");
}

static inline void outw(u16 port, u16 v)
{
	__asm__ volatile("outw %0, %1" : : "a"(v), "Nd"(port) : "memory");
}

#define CPU_REGISTER(name)                                                      \
	static inline reg_t read_##name(void)                                   \
	{                                                                       \
		reg_t v;                                                        \
                                                                                \
		__asm__ volatile("mov %%" #name ", %0" : "=r"(v) : : "memory"); \
		return v;                                                       \
	}                                                                       \
	static inline void write_##name(reg_t v)                                \
	{                                                                       \
		__asm__ volatile("mov %0, %%" #name : : "r"(v) : "memory");     \
	}
CPU_REGISTER(cr0)
CPU_REGISTER(cr2)
CPU_REGISTER(cr3)
CPU_REGISTER(cr4)
CPU_REGISTER(dr0)
CPU_REGISTER(dr1)
CPU_REGISTER(dr2)
CPU_REGISTER(dr3)
CPU_REGISTER(dr6)
CPU_REGISTER(dr7)

static inline void sti(void)
{
	__asm__ volatile("sti" ::: "memory");
}

static inline void cli(void)
{
	__asm__ volatile("cli" ::: "memory");
}

static inline void invlpg(const void *p)
{
	__asm__ volatile("invlpg (%0)" : : "r"(p) : "memory");
}

static inline u64 xgetbv(u32 xcr)
{
	u32 lo, hi;

	__asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(xcr));
	return (u64)hi << 32 | lo;
}

static inline void xsetbv(u32 xcr, u64 value)
{
	__asm__ volatile("xsetbv" : : "c"(xcr), "a"((u32)value), "d"((u32)(value >> 32)));
}

#endif

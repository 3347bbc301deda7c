/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cpu.h: single instructions that C has no words for. APM vol. 3.
 */
#ifndef HOST_CPU_H
#define HOST_CPU_H

#include "lib/types.h"

struct cpuid_regs {
	u32 eax, ebx, ecx, edx;
};

static inline struct cpuid_regs cpuid(u32 leaf, u32 subleaf)
{
	struct cpuid_regs r;

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

/** words_equal() - how many of the first @n 64-bit words of @a and @b are equal, from the start on. */
static inline u64 words_equal(const u64 *a, const u64 *b, u64 n)
{
	u64 left = n;
	bool same = true;

	if (!n)
		return 0;
	__asm__ volatile("repe cmpsq" : "+c"(left), "+S"(a), "+D"(b), "=@ccz"(same) : : "memory");
	return n - left - !same;
}

#define CPU_IN_OUT(suffix, type)                                                  \
	static inline type in##suffix(u16 port)                                   \
	{                                                                         \
		type v;                                                           \
                                                                                  \
		__asm__ volatile("in" #suffix " %1, %0" : "=a"(v) : "Nd"(port));  \
		return v;                                                         \
	}                                                                         \
	static inline void out##suffix(u16 port, type v)                          \
	{                                                                         \
		__asm__ volatile("out" #suffix " %0, %1" : : "a"(v), "Nd"(port)); \
	}
CPU_IN_OUT(b, u8)
CPU_IN_OUT(w, u16)
CPU_IN_OUT(l, u32)

#define CPU_REGISTER(reg)                                                  \
	static inline u64 read_##reg(void)                                 \
	{                                                                  \
		u64 v;                                                     \
                                                                           \
		__asm__ volatile("mov %%" #reg ", %0" : "=r"(v));          \
		return v;                                                  \
	}                                                                  \
	static inline void write_##reg(u64 v)                              \
	{                                                                  \
		__asm__ volatile("mov %0, %%" #reg : : "r"(v) : "memory"); \
	}
CPU_REGISTER(cr0)
CPU_REGISTER(cr2)
CPU_REGISTER(cr3)
CPU_REGISTER(cr4)
CPU_REGISTER(dr0)
CPU_REGISTER(dr1)
CPU_REGISTER(dr2)
CPU_REGISTER(dr3)

static inline void cli(void)
{
	__asm__ volatile("cli" ::: "memory");
}

static inline void cpu_relax(void)
{
	__asm__ volatile("pause" ::: "memory");
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

/* Save and load x87, SSE and AVX state; @area is 64-byte aligned, its size from CPUID leaf 0xd. */
static inline void xsave(void *area, u64 mask)
{
	u32 lo = (u32)mask, hi = (u32)(mask >> 32);

	__asm__ volatile("xsave64 (%0)" : : "r"(area), "a"(lo), "d"(hi) : "memory");
}

static inline void xrstor(const void *area, u64 mask)
{
	u32 lo = (u32)mask, hi = (u32)(mask >> 32);

	__asm__ volatile("xrstor64 (%0)" : : "r"(area), "a"(lo), "d"(hi) : "memory");
}

static inline void fxsave(void *area)
{
	__asm__ volatile("fxsave64 (%0)" : : "r"(area) : "memory");
}

static inline void fxrstor(const void *area)
{
	__asm__ volatile("fxrstor64 (%0)" : : "r"(area) : "memory");
}

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fake_cpuid.c: vmm/cpuid.c on a machine whose CPUID says what a test wants; see fake_cpuid.h.
 *
 * cpuid.c is built into this file, with a function of ours in the instruction's place. The macro
 * needs a parenthesis behind it, and so leaves structure members of that name alone.
 */
#include "fake_cpuid.h"

struct cpuid_regs fake_cpuid_all(u32 leaf, u32 subleaf)
{
	(void)leaf, (void)subleaf;
	return (struct cpuid_regs){~0u, ~0u, ~0u, ~0u};
}

struct cpuid_regs fake_cpuid_none(u32 leaf, u32 subleaf)
{
	(void)leaf, (void)subleaf;
	return (struct cpuid_regs){0};
}

struct cpuid_regs (*fake_cpuid)(u32 leaf, u32 subleaf) = fake_cpuid_all;

#define cpuid(leaf, subleaf) fake_cpuid(leaf, subleaf)
#include "vmm/cpuid.c"

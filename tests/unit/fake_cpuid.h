/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fake_cpuid.h: vmm/cpuid.c on a machine whose CPUID says what a test wants.
 */
#ifndef TESTS_UNIT_FAKE_CPUID_H
#define TESTS_UNIT_FAKE_CPUID_H

#include "host/cpu.h"

/* The machine's CPUID. A test may put a function of its own here. */
extern struct cpuid_regs (*fake_cpuid)(u32 leaf, u32 subleaf);

/** fake_cpuid_all() - the machine that has everything: all ones. The one to begin with. */
struct cpuid_regs fake_cpuid_all(u32 leaf, u32 subleaf);
/** fake_cpuid_none() - the machine that has nothing. */
struct cpuid_regs fake_cpuid_none(u32 leaf, u32 subleaf);

#endif

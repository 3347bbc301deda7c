/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_cpuid.c: tests of the guest's CPUID (src/vmm/cpuid.c): on a machine that has everything,
 * what must be hidden is hidden and what Linux needs is there; on one that has nothing, nothing is
 * made up; and the bits that mirror CR4 do so, at the instruction itself too.
 */
#include <string.h>
#include "fake_cpuid.h"
#include "fake_guest.h"
#include "suite.h"

static struct fake_machine m;
static struct vcpu *vcpu;

static void setup(void)
{
	fake_guest_create(&m, CODE_64);
	vcpu = &m.vcpu;
	cpuid_refresh(vcpu);
}

static void teardown(void)
{
	fake_guest_destroy(&m);
}

/* The instruction, as a guest runs it. */
static struct cpuid_regs ask(u32 leaf, u32 subleaf)
{
	struct exit exit;
	struct cpuid_regs r;

	m.cpu.regs[VREG_RIP] = GUEST_CODE;
	exit = fake_exit(&m, EXIT_CPUID);
	fake_code(&m, "\x0f\xa2");
	vcpu->gpr[GPR_RAX] = 0xbad0000000000000 | leaf;
	vcpu->gpr[GPR_RCX] = 0xbad0000000000000 | subleaf;
	vcpu->gpr[GPR_RBX] = vcpu->gpr[GPR_RDX] = ~0ull;
	ck_assert_int_eq(vcpu_cpuid_exit(vcpu, &exit), 0);
	assert_skipped(&m, 2);
	for (enum gpr i = GPR_RAX; i <= GPR_RBX; i++)
		ck_assert_uint_eq(vcpu->gpr[i] >> 32, 0);
	r = (struct cpuid_regs){vcpu->gpr[GPR_RAX], vcpu->gpr[GPR_RBX], vcpu->gpr[GPR_RCX],
				vcpu->gpr[GPR_RDX]};
	return r;
}

static u32 reg_of(u32 leaf, u32 subleaf, char reg)
{
	struct cpuid_regs r = ask(leaf, subleaf);

	return reg == 'a' ? r.eax : reg == 'b' ? r.ebx : reg == 'c' ? r.ecx : r.edx;
}

struct bit {
	u32 leaf, subleaf;
	char reg;
	u8 bit;
};

/* What a guest has not got here: nobody emulates it, or it is the host's. */
static const struct bit hidden[] = {
	{1, 0, 'c', 2},		  {1, 0, 'c', 3},
	{1, 0, 'c', 4}, /* DS, MONITOR */
	{1, 0, 'c', 5},		  {1, 0, 'c', 6},
	{1, 0, 'c', 7}, /* VMX SMX EST */
	{1, 0, 'c', 8},		  {1, 0, 'c', 15},
	{1, 0, 'c', 18}, /* TM2 PDCM DCA */
	{1, 0, 'c', 21},	  {1, 0, 'c', 24},
	{1, 0, 'd', 7}, /* x2APIC, MCE */
	{1, 0, 'd', 9},		  {1, 0, 'd', 14},
	{1, 0, 'd', 21}, /* APIC MCA DS */
	{1, 0, 'd', 22},	  {1, 0, 'd', 28},
	{1, 0, 'd', 29}, /* ACPI HTT TM */
	{7, 0, 'b', 1},		  {7, 0, 'b', 2},
	{7, 0, 'b', 4}, /* TSC_ADJUST SGX */
	{7, 0, 'b', 11},	  {7, 0, 'b', 12},
	{7, 0, 'b', 14}, /* RTM PQM MPX */
	{7, 0, 'b', 15},	  {7, 0, 'b', 25},
	{7, 0, 'c', 3}, /* PQE PT PKU */
	{7, 0, 'c', 5},		  {7, 0, 'c', 7},
	{7, 0, 'c', 16}, /* WAITPKG CET LA57 */
	{7, 0, 'd', 20},	  {7, 0, 'd', 26},
	{7, 0, 'd', 29}, /* IBT IBRS */
	{0xd, 1, 'a', 3},	  {0x80000001, 0, 'c', 2},
	{0x80000001, 0, 'c', 3}, /* XSAVES SVM */
	{0x80000001, 0, 'c', 4},  {0x80000001, 0, 'c', 9},
	{0x80000001, 0, 'c', 10}, /* CR8 OSVW */
	{0x80000001, 0, 'c', 12}, {0x80000001, 0, 'c', 15},
	{0x80000001, 0, 'c', 17}, /* SKINIT */
	{0x80000001, 0, 'c', 22}, {0x80000001, 0, 'c', 23},
	{0x80000001, 0, 'c', 29}, /* MWAITX */
	{0x80000001, 0, 'd', 7},  {0x80000001, 0, 'd', 9},
	{0x80000001, 0, 'd', 14}, /* APIC */
};

START_TEST(hidden_features_are_hidden)
{
	for (size_t i = 0; i < ARRAY_SIZE(hidden); i++) {
		const struct bit *b = &hidden[i];

		ck_assert_msg(!(reg_of(b->leaf, b->subleaf, b->reg) >> b->bit & 1),
			      "leaf %#x.%u e%cx bit %u", b->leaf, b->subleaf, b->reg, b->bit);
	}
}
END_TEST

/* What Linux, or 64-bit code as such, does not do without. */
static const struct bit needed[] = {
	{1, 0, 'd', 0},		  {1, 0, 'd', 3},
	{1, 0, 'd', 4}, /* FPU PSE TSC */
	{1, 0, 'd', 5},		  {1, 0, 'd', 6},
	{1, 0, 'd', 8}, /* MSR PAE CX8 */
	{1, 0, 'd', 13},	  {1, 0, 'd', 15},
	{1, 0, 'd', 24}, /* PGE CMOV FXSR */
	{1, 0, 'd', 25},	  {1, 0, 'd', 26},
	{1, 0, 'c', 13}, /* SSE SSE2 CX16 */
	{1, 0, 'c', 26},	  {1, 0, 'c', 28},
	{1, 0, 'c', 31}, /* XSAVE AVX hypervisor */
	{7, 0, 'b', 0},		  {7, 0, 'b', 5},
	{7, 0, 'b', 7}, /* FSGSBASE AVX2 SMEP */
	{7, 0, 'b', 20},	  {0x80000001, 0, 'd', 11},
	{0x80000001, 0, 'd', 20}, /* SMAP NX */
	{0x80000001, 0, 'd', 29}, {0x80000001, 0, 'c', 0},
	{0xd, 1, 'a', 0}, /* LM LAHF */
};

START_TEST(needed_features_pass)
{
	for (size_t i = 0; i < ARRAY_SIZE(needed); i++) {
		const struct bit *b = &needed[i];

		ck_assert_msg(reg_of(b->leaf, b->subleaf, b->reg) >> b->bit & 1,
			      "leaf %#x.%u e%cx bit %u", b->leaf, b->subleaf, b->reg, b->bit);
	}
}
END_TEST

static bool all_zero(struct cpuid_regs r)
{
	return !(r.eax | r.ebx | r.ecx | r.edx);
}

START_TEST(other_leaves_are_zero)
{
	static const u32 leaves[] = {3,		 5,	     6,		 9,	     0xa,
				     0xb,	 0xe,	     0xf,	 0x10,	     0x12,
				     0x14,	 0x1f,	     0x20,	 0x80000009, 0x8000000a,
				     0x8000001f, 0x40000002, 0x400000ff, 0x50000000, 0xffffffff};

	for (size_t i = 0; i < ARRAY_SIZE(leaves); i++)
		ck_assert_msg(all_zero(ask(leaves[i], 0)), "leaf %#x", leaves[i]);
	ck_assert(all_zero(ask(7, 1)));
	ck_assert(all_zero(ask(7, 2)));
	ck_assert(all_zero(ask(0xd, 63))); /* a state that no XCR0 of a guest's has */
	ck_assert_uint_eq(ask(0, 0).eax, 0xd);
	ck_assert_uint_eq(ask(0x80000000, 0).eax, 0x80000008);
}
END_TEST

START_TEST(one_processor_with_id_0)
{
	ck_assert_uint_eq(ask(1, 0).ebx & 0xffff0000, 0);
	ck_assert_uint_eq(ask(4, 0).eax >> 14, 0);
	ck_assert_uint_eq(ask(0x80000008, 0).ecx, 0);
	ck_assert_uint_eq(ask(0x80000008, 0).ebx, 0);
	ck_assert_uint_eq(ask(0x80000007, 0).edx, BIT(8));
}
END_TEST

START_TEST(casita_signs)
{
	struct cpuid_regs r = ask(0x40000000, 0);

	ck_assert_uint_eq(r.eax, 0x40000001);
	ck_assert_mem_eq(&r.ebx, "Casi", 4);
	ck_assert_mem_eq(&r.ecx, "ta V", 4);
	ck_assert_mem_eq(&r.edx, "MM  ", 4);
	ck_assert_uint_eq(ask(0x40000001, 0).eax, 1);
}
END_TEST

static struct cpuid_regs small_machine(u32 leaf, u32 subleaf)
{
	(void)subleaf;
	if (leaf == 0 || leaf == 0x80000000)
		return (struct cpuid_regs){leaf + 1, 0, 0, 0};
	return fake_cpuid_none(leaf, subleaf);
}

START_TEST(nothing_is_made_up)
{
	fake_cpuid = small_machine;
	cpuid_refresh(vcpu);
	ck_assert_uint_eq(ask(0, 0).eax, 1);
	ck_assert_uint_eq(ask(0x80000000, 0).eax, 0x80000001);
	ck_assert_uint_eq(ask(1, 0).ecx, BIT(31)); /* the hypervisor's bit, and no more */
	ck_assert_uint_eq(ask(1, 0).edx, 0);
	ck_assert(all_zero(ask(7, 0)));
	ck_assert(all_zero(ask(0x80000001, 0)));
}
END_TEST

static struct cpuid_regs short_machine(u32 leaf, u32 subleaf)
{
	return leaf & 0x7fffffff ? fake_cpuid_all(leaf, subleaf) : small_machine(leaf, subleaf);
}

/* A processor answers a leaf beyond its last with something; a guest sees zeroes. */
START_TEST(leaves_beyond_the_machines_last)
{
	fake_cpuid = short_machine;
	cpuid_refresh(vcpu);
	ck_assert(all_zero(ask(7, 0)));
	ck_assert(all_zero(ask(0xd, 0)));
	ck_assert(all_zero(ask(0x80000008, 0)));
}
END_TEST

static void set_cr4(u64 value)
{
	struct exit exit;

	m.cpu.regs[VREG_RIP] = GUEST_CODE;
	exit = fake_exit(&m, EXIT_CR_WRITE);
	fake_code(&m, "\x0f\x22\xe3"); /* mov cr4, rbx */
	vcpu->gpr[GPR_RBX] = value;
	exit.cr.number = 4;
	ck_assert_int_eq(vcpu_cr_exit(vcpu, &exit), 0);
	assert_skipped(&m, 3);
}

START_TEST(osxsave_mirrors_cr4)
{
	ck_assert_uint_eq(ask(1, 0).ecx & BIT(27), 0);
	set_cr4(CR4_PAE | CR4_OSXSAVE);
	ck_assert_uint_eq(ask(1, 0).ecx & BIT(27), BIT(27));
	ck_assert_uint_eq(vcpu_cpuid(vcpu, 1, 0).ecx & BIT(27), BIT(27));
	set_cr4(CR4_PAE);
	ck_assert_uint_eq(ask(1, 0).ecx & BIT(27), 0);
	ck_assert_uint_eq(ask(7, 0).ecx & BIT(4), 0); /* OSPKE */
}
END_TEST

/* The stored answers are the worked-out ones. */
START_TEST(quick_answers_are_the_same)
{
	for (u64 i = 0; i < 64; i++) {
		u32 leaf = i < 32 ? i : 0x80000000 + i - 32;
		struct cpuid_regs quick = ask(leaf, 0), slow = vcpu_cpuid(vcpu, leaf, 0);

		ck_assert_mem_eq(&quick, &slow, sizeof(quick));
	}
}
END_TEST

static void add_one(struct vcpu *v, u32 leaf, u32 subleaf, struct cpuid_regs *r, void *opaque)
{
	(void)v, (void)leaf, (void)subleaf, (void)opaque;
	r->eax++;
}

START_TEST(hooks_are_asked_each_time)
{
	struct cpuid_hook hook = {.first = 2, .last = 2, .fn = add_one};
	struct cpuid_hook extended = {.first = 0x80000002, .last = 0x80000002, .fn = add_one};

	m.vm.cpuid.fixed = 0; /* a VM with its hooks, anew */
	ck_assert_int_eq(vm_hook_cpuid(&m.vm, &hook), 0);
	ck_assert_int_eq(vm_hook_cpuid(&m.vm, &extended), 0);
	cpuid_refresh(vcpu);
	ck_assert_uint_eq(ask(2, 0).eax, 0); /* all ones, and one */
	ck_assert_uint_eq(ask(2, 0).eax, 0);
	ck_assert_uint_eq(ask(0x80000002, 0).eax, 0);
	ck_assert_uint_eq(ask(0x80000003, 0).eax, ~0u);
}
END_TEST

static Suite *cpuid_suite(void)
{
	Suite *s = suite_create("cpuid");
	TCase *t = tcase_create("cpuid");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, hidden_features_are_hidden);
	tcase_add_test(t, needed_features_pass);
	tcase_add_test(t, other_leaves_are_zero);
	tcase_add_test(t, one_processor_with_id_0);
	tcase_add_test(t, casita_signs);
	tcase_add_test(t, nothing_is_made_up);
	tcase_add_test(t, leaves_beyond_the_machines_last);
	tcase_add_test(t, osxsave_mirrors_cr4);
	tcase_add_test(t, quick_answers_are_the_same);
	tcase_add_test(t, hooks_are_asked_each_time);
	suite_add_tcase(s, t);
	return s;
}
SET_ADD(suites, suite_fn, cpuid_suite);

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_msr.c: tests of RDMSR and WRMSR (src/vmm/msr.c): EFER's rules (APM vol. 2 §3.1.7), the types
 * that PAT may name (§7.8.1), the MTRRs' memory, the time stamp counter, and what nobody knows.
 */
#include "fake_cpuid.h"
#include "fake_guest.h"
#include "suite.h"

static struct fake_machine m;
static struct vcpu *vcpu;
static u64 *regs;

static void setup(void)
{
	fake_guest_create(&m, CODE_64);
	vcpu = &m.vcpu;
	regs = m.cpu.regs;
}

static void teardown(void)
{
	fake_guest_destroy(&m);
}

#define RUBBISH 0xbad0bad000000000

static void run(bool write, u32 msr)
{
	struct exit exit;

	regs[VREG_RIP] = GUEST_CODE;
	exit = fake_exit(&m, write ? EXIT_WRMSR : EXIT_RDMSR);
	fake_code_n(&m, write ? "\x0f\x30" : "\x0f\x32", 2);
	vcpu->gpr[GPR_RCX] = RUBBISH | msr;
	m.cpu.flushes = 0;
	ck_assert_int_eq(vcpu_msr_exit(vcpu, &exit), 0);
}

static void write_msr(u32 msr, u64 value)
{
	vcpu->gpr[GPR_RAX] = RUBBISH | (u32)value;
	vcpu->gpr[GPR_RDX] = RUBBISH | value >> 32;
	run(true, msr);
}

static void accepted(u32 msr, u64 value)
{
	write_msr(msr, value);
	assert_no_event(&m);
	assert_skipped(&m, 2);
}

static void refused(u32 msr, u64 value)
{
	u64 efer = regs[VREG_EFER], pat = regs[VREG_PAT];

	write_msr(msr, value);
	assert_exception(&m, VEC_GP, 0);
	assert_skipped(&m, 0);
	ck_assert_uint_eq(regs[VREG_EFER], efer);
	ck_assert_uint_eq(regs[VREG_PAT], pat);
	ck_assert_uint_eq(m.cpu.flushes, 0);
}

static u64 read_msr(u32 msr)
{
	vcpu->gpr[GPR_RAX] = vcpu->gpr[GPR_RDX] = ~0ull;
	run(false, msr);
	assert_no_event(&m);
	assert_skipped(&m, 2);
	ck_assert_uint_eq(vcpu->gpr[GPR_RAX] >> 32, 0);
	ck_assert_uint_eq(vcpu->gpr[GPR_RDX] >> 32, 0);
	return vcpu->gpr[GPR_RDX] << 32 | vcpu->gpr[GPR_RAX];
}

static void unknown(u32 msr)
{
	run(false, msr);
	assert_exception(&m, VEC_GP, 0);
	assert_skipped(&m, 0);
}

/* ---- EFER ------------------------------------------------------------------------------------ */

#define LONG (EFER_LME | EFER_LMA)

START_TEST(efer_bits_that_no_guest_has)
{
	u64 offered = EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE | EFER_FFXSR;

	for (int bit = 0; bit < 64; bit++) {
		if (!(offered >> bit & 1))
			refused(MSR_EFER, LONG | BIT(bit));
	}
	accepted(MSR_EFER, LONG | EFER_SCE | EFER_NXE | EFER_FFXSR);
	ck_assert_uint_eq(read_msr(MSR_EFER), LONG | EFER_SCE | EFER_NXE | EFER_FFXSR);
}
END_TEST

static const struct {
	u64 efer;
	u8 bit; /* of CPUID 8000_0001 EDX */
} features[] = {{EFER_SCE, 11}, {EFER_NXE, 20}, {EFER_FFXSR, 25}, {EFER_LME, 29}};

static u32 missing;

static struct cpuid_regs all_but_one(u32 leaf, u32 subleaf)
{
	struct cpuid_regs r = fake_cpuid_all(leaf, subleaf);

	if (leaf == 0x80000001)
		r.edx &= ~missing;
	return r;
}

START_TEST(efer_bits_go_with_features)
{
	regs[VREG_CR0] = CR0_PE;
	regs[VREG_EFER] = 0;
	accepted(MSR_EFER, features[_i].efer);
	fake_cpuid = all_but_one;
	missing = 1u << features[_i].bit;
	refused(MSR_EFER, features[_i].efer);
}
END_TEST

START_TEST(long_mode_is_not_switched_while_paging)
{
	refused(MSR_EFER, EFER_LMA);
	refused(MSR_EFER, 0);
	regs[VREG_EFER] = 0; /* 32-bit paging */
	refused(MSR_EFER, EFER_LME);
	regs[VREG_CR0] = CR0_PE;
	accepted(MSR_EFER, EFER_LME);
	ck_assert_uint_eq(regs[VREG_EFER], EFER_LME);
}
END_TEST

START_TEST(lma_is_the_processors_own)
{
	accepted(MSR_EFER, EFER_LME);
	ck_assert_uint_eq(regs[VREG_EFER], LONG);
	regs[VREG_CR0] = CR0_PE;
	regs[VREG_EFER] = EFER_LME;
	accepted(MSR_EFER, LONG);
	ck_assert_uint_eq(regs[VREG_EFER], EFER_LME);
}
END_TEST

/* Bit 63 of cached translations has another meaning then. */
START_TEST(nxe_flushes)
{
	accepted(MSR_EFER, LONG | EFER_NXE);
	ck_assert_uint_ge(m.cpu.flushes, 1);
	accepted(MSR_EFER, LONG | EFER_NXE | EFER_SCE);
	ck_assert_uint_eq(m.cpu.flushes, 0);
	accepted(MSR_EFER, LONG | EFER_SCE);
	ck_assert_uint_ge(m.cpu.flushes, 1);
}
END_TEST

/* ---- memory types ---------------------------------------------------------------------------- */

START_TEST(pat_has_eight_types)
{
	static const bool valid[] = {
		[0] = true, [1] = true, [4] = true, [5] = true, [6] = true, [7] = true};

	regs[VREG_PAT] = PAT_RESET;
	for (u64 type = 0; type < 256; type++) {
		u64 value = (PAT_RESET & ~(0xffull << 8 * _i)) | type << 8 * _i;

		if (type < 8 && valid[type]) {
			accepted(MSR_PAT, value);
			ck_assert_uint_eq(read_msr(MSR_PAT), value);
		} else {
			refused(MSR_PAT, value);
		}
	}
}
END_TEST

START_TEST(mtrrs_are_remembered)
{
	static const u32 fixed[] = {0x250, 0x258, 0x259, 0x268, 0x269, 0x26a,
				    0x26b, 0x26c, 0x26d, 0x26e, 0x26f};
	const u64 types = 0x0606060606060606;
	u32 count = read_msr(MSR_MTRR_CAP) & 0xff;

	ck_assert_uint_eq(count, 8);
	for (u32 i = 0; i < 2 * count; i++)
		accepted(0x200 + i, i % 2 ? 0x800 + (i << 12) : i << 12);
	for (size_t i = 0; i < ARRAY_SIZE(fixed); i++)
		accepted(fixed[i], i % 2 ? types : 0);
	accepted(MSR_MTRR_DEF_TYPE, 0xc06);
	for (u32 i = 0; i < 2 * count; i++)
		ck_assert_uint_eq(read_msr(0x200 + i), i % 2 ? 0x800 + (i << 12) : i << 12);
	for (size_t i = 0; i < ARRAY_SIZE(fixed); i++)
		ck_assert_uint_eq(read_msr(fixed[i]), i % 2 ? types : 0);
	ck_assert_uint_eq(read_msr(MSR_MTRR_DEF_TYPE), 0xc06);
	unknown(0x200 + 2 * count);
	unknown(0x24f);
	unknown(0x251);
	unknown(0x25a);
	unknown(0x267);
	unknown(0x270);
}
END_TEST

/* ---- the rest -------------------------------------------------------------------------------- */

START_TEST(the_tsc_goes_on_from_what_was_written)
{
	u64 first, second;

	accepted(MSR_TSC, 1000);
	first = read_msr(MSR_TSC);
	second = read_msr(MSR_TSC);
	ck_assert_uint_ge(first, 1000);
	ck_assert_uint_lt(first, 1000 + (1ull << 40));
	ck_assert_uint_gt(second, first);
	ck_assert_uint_eq(m.cpu.tsc_offset, vcpu->tsc_offset); /* RDTSC shows the same */
	accepted(MSR_TSC, 0xffff000000000000);
	ck_assert_uint_ge(read_msr(MSR_TSC), 0xffff000000000000);
}
END_TEST

START_TEST(nobody_knows_these)
{
	static const u32 msrs[] = {0x11,       0x48,	   0x49,       0x10a,
				   0x830,      0x40000000, 0xc0000079, 0xc0010114,
				   0xc0010117, 0xc0011029, 0xffffffff, 0x4b564d00};

	for (size_t i = 0; i < ARRAY_SIZE(msrs); i++) {
		unknown(msrs[i]);
		refused(msrs[i], 0);
	}
}
END_TEST

START_TEST(the_apic_is_off)
{
	ck_assert_uint_eq(read_msr(MSR_APIC_BASE) & BIT(11), 0);
	ck_assert_uint_ne(read_msr(MSR_APIC_BASE) & BIT(8), 0); /* the boot processor */
}
END_TEST

START_TEST(a_refused_read_leaves_the_registers)
{
	vcpu->gpr[GPR_RAX] = 1;
	vcpu->gpr[GPR_RDX] = 2;
	unknown(0x12345);
	ck_assert_uint_eq(vcpu->gpr[GPR_RAX], 1);
	ck_assert_uint_eq(vcpu->gpr[GPR_RDX], 2);
}
END_TEST

static Suite *msr_suite(void)
{
	Suite *s = suite_create("msr");
	TCase *t = tcase_create("msr");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, efer_bits_that_no_guest_has);
	tcase_add_loop_test(t, efer_bits_go_with_features, 0, ARRAY_SIZE(features));
	tcase_add_test(t, long_mode_is_not_switched_while_paging);
	tcase_add_test(t, lma_is_the_processors_own);
	tcase_add_test(t, nxe_flushes);
	tcase_add_loop_test(t, pat_has_eight_types, 0, 8);
	tcase_add_test(t, mtrrs_are_remembered);
	tcase_add_test(t, the_tsc_goes_on_from_what_was_written);
	tcase_add_test(t, nobody_knows_these);
	tcase_add_test(t, the_apic_is_off);
	tcase_add_test(t, a_refused_read_leaves_the_registers);
	suite_add_tcase(s, t);
	return s;
}
SET_ADD(suites, suite_fn, msr_suite);

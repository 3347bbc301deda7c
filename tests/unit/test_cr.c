/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_cr.c: tests of moves to and from control registers (src/vmm/cr.c): each rule whose breach is
 * #GP(0) and changes nothing, what a good value does, LMSW, SMSW and CLTS. APM vol. 2 §3.1, §14.6.
 */
#include <string.h>
#include "fake_cpuid.h"
#include "fake_guest.h"
#include "suite.h"

static struct fake_machine m;
static struct vcpu *vcpu;
static u64 *regs;

static void create(enum code_size code)
{
	fake_guest_create(&m, code);
	vcpu = &m.vcpu;
	regs = m.cpu.regs;
}

static void teardown(void)
{
	fake_guest_destroy(&m);
}

static void setup_64(void)
{
	create(CODE_64);
}

static void setup_32(void)
{
	create(CODE_32);
}

static void run(enum exit_kind kind, unsigned number)
{
	struct exit exit = fake_exit(&m, kind);

	exit.cr.number = number;
	ck_assert_int_eq(vcpu_cr_exit(vcpu, &exit), 0);
}

/* MOV CRn, RBX. */
static void write_cr(unsigned n, u64 value)
{
	char code[] = {0x0f, 0x22, 0xc3 | n << 3};

	regs[VREG_RIP] = GUEST_CODE;
	fake_code_n(&m, code, sizeof(code));
	vcpu->gpr[GPR_RBX] = value;
	m.cpu.flushes = 0;
	run(EXIT_CR_WRITE, n);
}

static const enum vreg vregs[] = {[0] = VREG_CR0, [2] = VREG_CR2, [3] = VREG_CR3, [4] = VREG_CR4};

static void accepted(unsigned n, u64 value, u64 reads)
{
	write_cr(n, value);
	assert_no_event(&m);
	ck_assert_uint_eq(regs[vregs[n]], reads);
	assert_skipped(&m, 3);
}

static void refused(unsigned n, u64 value)
{
	u64 before[VREG_COUNT];

	regs[VREG_RIP] = GUEST_CODE;
	memcpy(before, regs, sizeof(before));
	write_cr(n, value);
	assert_exception(&m, VEC_GP, 0);
	ck_assert_mem_eq(regs, before, sizeof(before));
	ck_assert_uint_eq(m.cpu.flushes, 0);
	assert_skipped(&m, 0);
}

#define LONG_CR0 (CR0_PG | CR0_PE | CR0_ET)

/* ---- CR0 ------------------------------------------------------------------------------------- */

START_TEST(cr0_in_long_mode)
{
	for (int bit = 32; bit < 64; bit++)
		refused(0, LONG_CR0 | BIT(bit));
	refused(0, LONG_CR0 | CR0_NW);		   /* NW without CD */
	refused(0, CR0_PG | CR0_ET);		   /* PG without PE */
	refused(0, CR0_PE | CR0_ET);		   /* leaving from 64-bit code */
	accepted(0, LONG_CR0 & ~CR0_ET, LONG_CR0); /* ET cannot be cleared */
	accepted(0, LONG_CR0 | CR0_NW | CR0_CD, LONG_CR0 | CR0_NW | CR0_CD);
	accepted(0, LONG_CR0 | 0x1ffaffc0, LONG_CR0); /* what is reserved below 32 is ignored */
	ck_assert_uint_eq(m.cpu.flushes, 0);
	accepted(0, LONG_CR0 | CR0_WP, LONG_CR0 | CR0_WP);
	ck_assert_uint_ge(m.cpu.flushes, 1);
	accepted(0, LONG_CR0 | CR0_WP | CR0_TS | CR0_MP | CR0_EM | CR0_NE | CR0_AM,
		 LONG_CR0 | CR0_WP | CR0_TS | CR0_MP | CR0_EM | CR0_NE | CR0_AM);
	ck_assert_uint_eq(m.cpu.flushes, 0); /* translations are what they were */
	ck_assert_uint_eq(regs[VREG_EFER], EFER_LME | EFER_LMA);
}
END_TEST

START_TEST(entering_long_mode)
{
	regs[VREG_EFER] = EFER_LME;
	refused(0, LONG_CR0); /* without PAE */
	regs[VREG_CR4] = CR4_PAE;
	m.cpu.segs[SEG_CS].attrib |= SEG_L;
	m.cpu.segs[SEG_CS].attrib &= ~SEG_DB;
	refused(0, LONG_CR0); /* a 64-bit code segment too early */
	m.cpu.segs[SEG_CS].attrib &= ~SEG_L;
	accepted(0, LONG_CR0, LONG_CR0);
	ck_assert_uint_eq(regs[VREG_EFER], EFER_LME | EFER_LMA);
	ck_assert_uint_ge(m.cpu.flushes, 1);
}
END_TEST

START_TEST(leaving_long_mode)
{
	regs[VREG_CR0] = LONG_CR0; /* compatibility mode: the segment is a 32-bit one */
	regs[VREG_CR3] = GUEST_TABLES;
	regs[VREG_CR4] = CR4_PAE | CR4_PCIDE;
	regs[VREG_EFER] = EFER_LME | EFER_LMA;
	refused(0, CR0_PE | CR0_ET); /* with PCIDs on */
	regs[VREG_CR4] = CR4_PAE;
	accepted(0, CR0_PE | CR0_ET, CR0_PE | CR0_ET);
	ck_assert_uint_eq(regs[VREG_EFER], EFER_LME);
	ck_assert_uint_ge(m.cpu.flushes, 1);
}
END_TEST

START_TEST(paging_without_long_mode)
{
	refused(0, CR0_PG | CR0_ET);
	accepted(0, LONG_CR0, LONG_CR0);
	ck_assert_uint_eq(regs[VREG_EFER], 0);
	ck_assert_uint_ge(m.cpu.flushes, 1);
	regs[VREG_CR0] = CR0_PE | CR0_ET;
	accepted(0, CR0_ET, CR0_ET); /* back to real mode */
	regs[VREG_CR0] = CR0_PE | CR0_ET;
	accepted(0, 0xffffffff00000000 | CR0_PE, CR0_PE | CR0_ET); /* 32-bit code has 32 bits */
}
END_TEST

/* ---- CR2, CR3 -------------------------------------------------------------------------------- */

START_TEST(cr3_has_as_many_bits_as_addresses)
{
	for (int bit = GUEST_PHYS; bit < 64; bit++)
		refused(3, BIT(bit) | 0x1000);
	accepted(3, BIT(GUEST_PHYS - 1) | 0x1000, BIT(GUEST_PHYS - 1) | 0x1000);
	regs[VREG_CR3] = GUEST_TABLES;
	accepted(3, GUEST_TABLES, GUEST_TABLES); /* the same value: that is how one flushes */
	ck_assert_uint_ge(m.cpu.flushes, 1);
	accepted(2, 0xfedcba9876543210, 0xfedcba9876543210);
}
END_TEST

START_TEST(cr3_with_pcids)
{
	regs[VREG_CR4] |= CR4_PCIDE;
	accepted(3, BIT(63) | GUEST_TABLES | 5, GUEST_TABLES | 5); /* bit 63 is an order only */
	regs[VREG_CR3] = GUEST_TABLES;
	refused(3, BIT(62) | GUEST_TABLES);
}
END_TEST

START_TEST(cr3_outside_long_mode)
{
	accepted(3, 0xffffffff12345000, 0x12345000);
	ck_assert_uint_ge(m.cpu.flushes, 1);
}
END_TEST

/* ---- CR4 ------------------------------------------------------------------------------------- */

/* The bits that the manual knows and a guest may have here. */
#define CR4_OFFERED                                                                               \
	(CR4_VME | CR4_PVI | CR4_TSD | CR4_DE | CR4_PSE | CR4_PAE | CR4_MCE | CR4_PGE | CR4_PCE | \
	 CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_UMIP | CR4_FSGSBASE | CR4_PCIDE | CR4_OSXSAVE |        \
	 CR4_SMEP | CR4_SMAP)

START_TEST(cr4_bits_that_no_guest_has)
{
	for (int bit = 0; bit < 64; bit++) {
		if (!((u64)CR4_OFFERED >> bit & 1) && BIT(bit) != CR4_PKE)
			refused(4, CR4_PAE | BIT(bit));
	}
}
END_TEST

static const struct {
	u64 cr4;
	u32 leaf;
	char reg;
	u8 bit;
} features[] = {
	{CR4_VME, 1, 'd', 1},	   {CR4_PVI, 1, 'd', 1},      {CR4_PCIDE, 1, 'c', 17},
	{CR4_OSXSAVE, 1, 'c', 26}, {CR4_FSGSBASE, 7, 'b', 0}, {CR4_SMEP, 7, 'b', 7},
	{CR4_SMAP, 7, 'b', 20},	   {CR4_UMIP, 7, 'c', 2},
};

static unsigned feature;
static bool only_it; /* just this feature, or all others */

static struct cpuid_regs one_feature(u32 leaf, u32 subleaf)
{
	u32 bit = leaf == features[feature].leaf ? 1u << features[feature].bit : 0;
	u32 rest = only_it ? 0 : ~0u;
	char reg = features[feature].reg;

	(void)subleaf;
	if (!(leaf & 0xffff)) /* how many leaves there are */
		return (struct cpuid_regs){~0u, 0, 0, 0};
	return (struct cpuid_regs){rest, rest ^ (reg == 'b' ? bit : 0),
				   rest ^ (reg == 'c' ? bit : 0), rest ^ (reg == 'd' ? bit : 0)};
}

/* A bit may be set just if CPUID shows its feature. */
START_TEST(cr4_bits_go_with_features)
{
	fake_cpuid = one_feature;
	feature = _i;
	only_it = false;
	refused(4, CR4_PAE | features[_i].cr4);
	only_it = true;
	regs[VREG_CR3] = GUEST_TABLES;
	accepted(4, CR4_PAE | features[_i].cr4, CR4_PAE | features[_i].cr4);
}
END_TEST

START_TEST(cr4_in_long_mode)
{
	refused(4, 0); /* PAE must stay */
	refused(4, CR4_PGE);
	accepted(4, CR4_PAE | CR4_TSD | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_DE | CR4_MCE | CR4_PCE,
		 CR4_PAE | CR4_TSD | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_DE | CR4_MCE | CR4_PCE);
	ck_assert_uint_eq(m.cpu.flushes, 0);
	regs[VREG_CR3] = GUEST_TABLES | 8;
	refused(4, CR4_PAE | CR4_PCIDE); /* bits 11:0 of CR3 are not zero */
	regs[VREG_CR3] = GUEST_TABLES;
	accepted(4, CR4_PAE | CR4_PCIDE, CR4_PAE | CR4_PCIDE);
	regs[VREG_CR3] = GUEST_TABLES | 8;
	accepted(4, CR4_PAE | CR4_PCIDE | CR4_PGE, CR4_PAE | CR4_PCIDE | CR4_PGE);
}
END_TEST

START_TEST(cr4_outside_long_mode)
{
	regs[VREG_CR3] = 0;
	refused(4, CR4_PCIDE);
	accepted(4, CR4_PAE, CR4_PAE);
	accepted(4, 0, 0);
}
END_TEST

START_TEST(cr4_bits_that_flush)
{
	static const u64 bits[] = {CR4_PSE, CR4_PGE, CR4_SMEP, CR4_SMAP, CR4_PCIDE};

	*fake_pte(&m, GUEST_CODE) &= ~4ull; /* for SMEP: the kernel's code */
	for (size_t i = 0; i < ARRAY_SIZE(bits); i++) {
		accepted(4, CR4_PAE | bits[i], CR4_PAE | bits[i]);
		ck_assert_uint_ge(m.cpu.flushes, 1);
		accepted(4, CR4_PAE, CR4_PAE);
		ck_assert_uint_ge(m.cpu.flushes, 1);
	}
}
END_TEST

/* ---- reading, and the other instructions ----------------------------------------------------- */

START_TEST(reads)
{
	regs[VREG_CR2] = 0xfedcba9876543210;
	fake_code(&m, "\x41\x0f\x20\xd1"); /* mov r9, cr2 */
	run(EXIT_CR_READ, 2);
	ck_assert_uint_eq(vcpu->gpr[GPR_R9], 0xfedcba9876543210);
	assert_skipped(&m, 4);
	regs[VREG_RIP] = GUEST_CODE;
	fake_code(&m, "\x0f\x20\xdc"); /* mov rsp, cr3 */
	run(EXIT_CR_READ, 3);
	ck_assert_uint_eq(regs[VREG_RSP], GUEST_TABLES);
}
END_TEST

START_TEST(clts_clears_ts_only)
{
	fake_code(&m, "\x0f\x06");
	regs[VREG_CR0] = LONG_CR0 | CR0_TS | CR0_MP | CR0_WP;
	run(EXIT_CR_WRITE, 0);
	ck_assert_uint_eq(regs[VREG_CR0], LONG_CR0 | CR0_MP | CR0_WP);
	assert_skipped(&m, 2);
}
END_TEST

START_TEST(lmsw_sets_pe_and_never_clears_it)
{
	regs[VREG_CR0] = CR0_ET | CR0_NE;
	fake_code(&m, "\x0f\x01\xf3"); /* lmsw bx */
	vcpu->gpr[GPR_RBX] = 0xfffffff3;
	run(EXIT_CR_WRITE, 0);
	ck_assert_uint_eq(regs[VREG_CR0], CR0_ET | CR0_NE | CR0_PE | CR0_MP);
	assert_skipped(&m, 3);
	regs[VREG_RIP] = GUEST_CODE;
	fake_code(&m, "\x0f\x01\x33"); /* lmsw [ebx] */
	vcpu->gpr[GPR_RBX] = GUEST_DATA;
	memcpy(fake_ram(&m, GUEST_DATA), "\x0c\0", 2);
	run(EXIT_CR_WRITE, 0);
	ck_assert_uint_eq(regs[VREG_CR0], CR0_ET | CR0_NE | CR0_PE | CR0_EM | CR0_TS);
	assert_skipped(&m, 3);
}
END_TEST

START_TEST(smsw_is_as_wide_as_its_operand)
{
	static const struct {
		const char *code;
		u64 expected;
	} widths[] = {{"\x66\x0f\x01\xe3", 0x1122334455660013},
		      {"\x0f\x01\xe3\x90", 0x80010013},
		      {"\x48\x0f\x01\xe3", 0x80010013}};

	regs[VREG_CR0] = LONG_CR0 | CR0_WP | CR0_MP;
	for (size_t i = 0; i < ARRAY_SIZE(widths); i++) {
		regs[VREG_RIP] = GUEST_CODE;
		fake_code_n(&m, widths[i].code, 4);
		vcpu->gpr[GPR_RBX] = 0x1122334455667788;
		run(EXIT_CR_READ, 0);
		ck_assert_uint_eq(vcpu->gpr[GPR_RBX], widths[i].expected);
	}
	regs[VREG_RIP] = GUEST_CODE;
	fake_code(&m, "\x48\x0f\x01\x23"); /* smsw [rbx]: 16 bits, whatever the prefix */
	vcpu->gpr[GPR_RBX] = GUEST_DATA;
	m.cpu.advances = 0;
	run(EXIT_CR_READ, 0);
	ck_assert_mem_eq(fake_ram(&m, GUEST_DATA), "\x13\0\xa5", 3);
	assert_skipped(&m, 4);
}
END_TEST

START_TEST(an_operand_faults)
{
	fake_code(&m, "\x0f\x01\x23"); /* smsw [rbx] */
	vcpu->gpr[GPR_RBX] = GUEST_DATA;
	*fake_pte(&m, GUEST_DATA) = 0;
	run(EXIT_CR_READ, 0);
	assert_page_fault(&m, GUEST_DATA, PF_WRITE);
	assert_skipped(&m, 0);
}
END_TEST

/* APM vol. 2 §5.3.1: #SS(0) for the stack, #GP(0) elsewhere. */
START_TEST(an_operand_is_not_canonical)
{
	fake_code(&m, "\x0f\x01\x23"); /* smsw [rbx] */
	vcpu->gpr[GPR_RBX] = BIT(47);
	run(EXIT_CR_READ, 0);
	assert_exception(&m, VEC_GP, 0);
	fake_code(&m, "\x0f\x01\x65\x00"); /* smsw [rbp] */
	vcpu->gpr[GPR_RBP] = BIT(47);
	run(EXIT_CR_READ, 0);
	assert_exception(&m, VEC_SS, 0);
}
END_TEST

static Suite *cr_suite(void)
{
	Suite *s = suite_create("cr");
	TCase *t = tcase_create("64-bit");
	TCase *p = tcase_create("32-bit");

	tcase_add_checked_fixture(t, setup_64, teardown);
	tcase_add_test(t, cr0_in_long_mode);
	tcase_add_test(t, cr3_has_as_many_bits_as_addresses);
	tcase_add_test(t, cr3_with_pcids);
	tcase_add_test(t, cr4_bits_that_no_guest_has);
	tcase_add_loop_test(t, cr4_bits_go_with_features, 0, ARRAY_SIZE(features));
	tcase_add_test(t, cr4_in_long_mode);
	tcase_add_test(t, cr4_bits_that_flush);
	tcase_add_test(t, reads);
	tcase_add_test(t, clts_clears_ts_only);
	tcase_add_test(t, smsw_is_as_wide_as_its_operand);
	tcase_add_test(t, an_operand_faults);
	tcase_add_test(t, an_operand_is_not_canonical);
	suite_add_tcase(s, t);
	tcase_add_checked_fixture(p, setup_32, teardown);
	tcase_add_test(p, entering_long_mode);
	tcase_add_test(p, leaving_long_mode);
	tcase_add_test(p, paging_without_long_mode);
	tcase_add_test(p, cr3_outside_long_mode);
	tcase_add_test(p, cr4_outside_long_mode);
	tcase_add_test(p, lmsw_sets_pe_and_never_clears_it);
	suite_add_tcase(s, p);
	return s;
}
SET_ADD(suites, suite_fn, cr_suite);

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_vmcb_check.c: tests of the consistency checker (src/svm/check.c): a good VMCB breaks no
 * rule, and each rule of APM vol. 2 §15.5.1 that is broken alone is named, alone.
 */
#include <string.h>
#include "suite.h"
#include "svm/svm.h"
#include "x86/regs.h"

#define PHYS 40

static struct vmcb v;
static struct svm_features features;
static char said[1024];
static unsigned rules;

static void say(const char *rule)
{
	ck_assert_msg(strstr(rule, "APM vol. 2 15."), "no section: %s", rule);
	strncat(said, rule, sizeof(said) - strlen(said) - 1);
	rules++;
}

static int check(void)
{
	int broken;

	said[0] = 0;
	rules = 0;
	broken = svm_check_vmcb(&v, &features, PHYS, say);
	ck_assert_int_eq(broken, rules);
	return broken;
}

/* 64-bit code under nested paging. */
static void setup(void)
{
	memset(&v, 0, sizeof(v));
	features = (struct svm_features){.nested_paging = true, .asids = 16};
	v.efer = EFER_SVME | EFER_LME | EFER_LMA | EFER_NXE | EFER_SCE;
	v.cr0 = CR0_PE | CR0_PG | CR0_ET | CR0_NE | CR0_WP;
	v.cr3 = BIT(PHYS - 1) | 0x1000;
	v.cr4 = CR4_PAE | CR4_PGE | CR4_OSFXSR | CR4_OSXSAVE;
	v.dr6 = DR6_RESET;
	v.dr7 = DR7_RESET;
	v.rflags = RFLAGS_RESET;
	v.cs = (struct segment){.attrib = SEG_P | SEG_S | SEG_L | SEG_TYPE_CODE_RX};
	v.intercepts2 = SVM_INTERCEPT_VMRUN;
	v.asid = 15;
	v.iopm = v.msrpm = BIT(PHYS - 1);
	v.np_control = SVM_NP_ENABLE;
	v.ncr3 = BIT(PHYS - 1) | 0x2000;
	v.g_pat = PAT_RESET;
}

static void assert_good(void)
{
	ck_assert_msg(check() == 0, "a good VMCB breaks: %s", said);
}

START_TEST(good_ones_break_nothing)
{
	assert_good();
	v.event_inj = SVM_EVENT_VALID | SVM_EVENT_EXCEPTION | VEC_GP | SVM_EVENT_ERROR_VALID;
	assert_good();
	v.event_inj = SVM_EVENT_VALID | SVM_EVENT_NMI | VEC_NMI;
	assert_good();
	v.event_inj = SVM_EVENT_VALID | SVM_EVENT_SOFT_INT | 0x80;
	assert_good();
	v.event_inj = SVM_EVENT_VALID | SVM_EVENT_INTR | 0xff;
	assert_good();
	v.event_inj = (7ull << 8) | 2; /* not valid: it says nothing */
	assert_good();
	v.cr0 |= CR0_CD | CR0_NW;
	assert_good();
	v.cs.attrib ^= SEG_L | SEG_DB; /* compatibility mode */
	assert_good();
}
END_TEST

START_TEST(the_reset_state_breaks_nothing)
{
	v.efer = EFER_SVME;
	v.cr0 = CR0_RESET;
	v.cr3 = v.cr4 = 0;
	v.cs.attrib = SEG_P | SEG_S | SEG_TYPE_CODE_RX;
	assert_good();
	v.cr0 = CR0_PE | CR0_PG | CR0_ET; /* 32-bit paging; L and D mean nothing here */
	v.cs.attrib |= SEG_L | SEG_DB;
	assert_good();
	v.cr0 = CR0_PG | CR0_ET; /* paged real mode */
	assert_good();
}
END_TEST

START_TEST(without_nested_paging)
{
	features.nested_paging = false;
	v.np_control = 0;
	v.ncr3 = ~0ull; /* neither is looked at */
	v.g_pat = ~0ull;
	assert_good();
}
END_TEST

static const u64 known_cr4[] = {0,  1,	2,  3,	4,  5,	6,  7,	8,  9,
				10, 11, 12, 16, 17, 18, 20, 21, 22, 23};

START_TEST(reserved_bits_of_cr4)
{
	u64 known = 0;

	for (size_t i = 0; i < ARRAY_SIZE(known_cr4); i++)
		known |= BIT(known_cr4[i]);
	for (int bit = 0; bit < 64; bit++) {
		setup();
		v.cr4 |= BIT(bit);
		if (known >> bit & 1) {
			assert_good();
		} else {
			ck_assert_int_eq(check(), 1);
			ck_assert_ptr_nonnull(strstr(said, "CR4"));
		}
	}
}
END_TEST

/* A field, what is put there, and the words that the rule's sentence must have. */
static const struct flaw {
	size_t offset;
	u8 size;
	u64 value;
	const char *words;
} flaws[] = {
#define FLAW(field, value, words)                                           \
	{                                                                   \
		offsetof(struct vmcb, field), sizeof(v.field), value, words \
	}
	FLAW(efer, EFER_LME | EFER_LMA, "SVME"),
	FLAW(efer, EFER_SVME | EFER_LME | EFER_LMA | BIT(1), "EFER"),
	FLAW(efer, EFER_SVME | EFER_LME | EFER_LMA | BIT(9), "EFER"),
	FLAW(efer, EFER_SVME | EFER_LME | EFER_LMA | BIT(63), "EFER"),
	FLAW(cr0, CR0_PE | CR0_PG | CR0_NW, "NW"),
	FLAW(cr0, CR0_PE | CR0_PG | BIT(32), "CR0"),
	FLAW(cr0, CR0_PE | CR0_PG | BIT(63), "CR0"),
	FLAW(cr0, CR0_PG, "PE"),
	FLAW(cr3, BIT(PHYS), "CR3"),
	FLAW(cr3, BIT(63), "CR3"),
	FLAW(cr4, CR4_PGE, "PAE"),
	FLAW(dr6, DR6_RESET | BIT(32), "DR6"),
	FLAW(dr6, BIT(63), "DR6"),
	FLAW(dr7, DR7_RESET | BIT(32), "DR7"),
	FLAW(dr7, BIT(63), "DR7"),
	FLAW(cs.attrib, SEG_P | SEG_S | SEG_L | SEG_DB | SEG_TYPE_CODE_RX, "CS.L"),
	FLAW(intercepts2, SVM_INTERCEPT_VMMCALL, "VMRUN"),
	FLAW(asid, 0, "ASID"),
	FLAW(asid, 16, "ASID"),
	FLAW(asid, ~0u, "ASID"),
	FLAW(iopm, BIT(PHYS), "I/O permission"),
	FLAW(msrpm, BIT(PHYS), "MSR permission"),
	FLAW(np_control, SVM_NP_ENABLE | BIT(40), "nested paging control"),
	FLAW(ncr3, BIT(PHYS), "nCR3"),
	FLAW(ncr3, 0x1008, "nCR3"),
	FLAW(g_pat, 2, "G_PAT"),
	FLAW(g_pat, 3ull << 24, "G_PAT"),
	FLAW(g_pat, 8ull << 56, "G_PAT"),
	FLAW(event_inj, SVM_EVENT_VALID | 1ull << 8, "type"),
	FLAW(event_inj, SVM_EVENT_VALID | 5ull << 8, "type"),
	FLAW(event_inj, SVM_EVENT_VALID | 7ull << 8, "type"),
	FLAW(event_inj, SVM_EVENT_VALID | SVM_EVENT_EXCEPTION | VEC_NMI, "vector"),
	FLAW(event_inj, SVM_EVENT_VALID | SVM_EVENT_EXCEPTION | 32, "vector"),
};

START_TEST(each_rule_is_named)
{
	const struct flaw *f = &flaws[_i];

	memcpy((char *)&v + f->offset, &f->value, f->size);
	ck_assert_msg(check() == 1, "%u rules are broken, not %s alone: %s", rules, f->words, said);
	ck_assert_msg(strstr(said, f->words), "%s is broken, and it says: %s", f->words, said);
}
END_TEST

START_TEST(a_processor_without_nested_paging)
{
	features.nested_paging = false;
	ck_assert_int_eq(check(), 1);
	ck_assert_ptr_nonnull(strstr(said, "nested paging"));
}
END_TEST

START_TEST(all_that_is_broken_is_named)
{
	v.asid = 0;
	v.cr3 = ~0ull;
	v.dr7 = ~0ull;
	ck_assert_int_eq(check(), 3);
	ck_assert(strstr(said, "ASID") && strstr(said, "CR3") && strstr(said, "DR7"));
}
END_TEST

static Suite *vmcb_check_suite(void)
{
	Suite *s = suite_create("vmcb_check");
	TCase *t = tcase_create("vmcb_check");

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, good_ones_break_nothing);
	tcase_add_test(t, the_reset_state_breaks_nothing);
	tcase_add_test(t, without_nested_paging);
	tcase_add_test(t, reserved_bits_of_cr4);
	tcase_add_loop_test(t, each_rule_is_named, 0, ARRAY_SIZE(flaws));
	tcase_add_test(t, a_processor_without_nested_paging);
	tcase_add_test(t, all_that_is_broken_is_named);
	suite_add_tcase(s, t);
	return s;
}
SET_ADD(suites, suite_fn, vmcb_check_suite);

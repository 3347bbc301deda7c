/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_skip.c: tests of stepping over the instruction that exited (src/vmm/fetch.c): by the
 * processor's word, or by reading it. However the guest changes its code, its page tables or CR3
 * between two exits, the step is as long as what is there now: checked with random changes against
 * decoding what an own look into the guest's tables finds.
 */
#include <string.h>
#include "fake_guest.h"
#include "suite.h"

static struct fake_machine m;
static struct vcpu *vcpu;

static void setup(void)
{
	fake_guest_create(&m, CODE_64);
	vcpu = &m.vcpu;
}

static void teardown(void)
{
	fake_guest_destroy(&m);
}

/* The step that an exit at @rip makes; 0 if the guest got an exception instead. */
static u64 step(enum exit_kind kind, u64 rip)
{
	struct exit exit;

	m.cpu.regs[VREG_RIP] = rip;
	exit = fake_exit(&m, kind);
	ck_assert_int_eq(vcpu_skip(vcpu, &exit), 0);
	return m.cpu.regs[VREG_RIP] - rip;
}

static void put(u64 gpa, const char *code)
{
	memcpy(fake_ram(&m, gpa), code, strlen(code));
}

START_TEST(the_processor_has_the_first_word)
{
	struct exit exit = fake_exit(&m, EXIT_CPUID);

	exit.next_rip = GUEST_CODE + 9;
	put(GUEST_CODE, "\x0f\xa2");
	ck_assert_int_eq(vcpu_skip(vcpu, &exit), 0);
	assert_skipped(&m, 9);
}
END_TEST

static const struct {
	enum exit_kind kind;
	const char *code;
} codes[] = {
	{EXIT_CPUID, "\x0f\xa2"},
	{EXIT_RDMSR, "\x0f\x32"},
	{EXIT_WRMSR, "\x0f\x30"},
	{EXIT_HLT, "\xf4"},
	{EXIT_HYPERCALL, "\x0f\x01\xd9"},
	{EXIT_CPUID, "\x66\x0f\xa2"},
	{EXIT_CPUID, "\x48\x0f\xa2"},
	{EXIT_RDMSR, "\x2e\x66\x0f\x32"},
	{EXIT_HLT, "\x66\x66\xf4"},
	{EXIT_INVD, "\xf3\x90"},
	{EXIT_INVD, "\x0f\x09"},
	{EXIT_IO, "\xe5\x10"},
	{EXIT_IO, "\xf3\x66\x6f"},
	{EXIT_HYPERCALL, "\xf2\x0f\x01\xd9"},
	{EXIT_CPUID, "\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x0f\xa2"},
};

START_TEST(each_instruction_is_as_long_as_it_is)
{
	size_t n = strlen(codes[_i].code);

	put(GUEST_CODE, codes[_i].code);
	for (int again = 0; again < 3; again++)
		ck_assert_uint_eq(step(codes[_i].kind, GUEST_CODE), n);
	/* at a page's end, with nothing behind; across it; and at the end of RAM */
	put(GUEST_CODE + PAGE_SIZE - n, codes[_i].code);
	*fake_pte(&m, GUEST_CODE + PAGE_SIZE) = 0;
	ck_assert_uint_eq(step(codes[_i].kind, GUEST_CODE + PAGE_SIZE - n), n);
	assert_no_event(&m);
	put(GUEST_RAM - n, codes[_i].code);
	ck_assert_uint_eq(step(codes[_i].kind, GUEST_RAM - n), n);
	if (n == 1)
		return;
	*fake_pte(&m, GUEST_CODE + PAGE_SIZE) = 0x30000 | 7; /* not the next page of RAM */
	put(GUEST_CODE + PAGE_SIZE - 1, (char[]){codes[_i].code[0], 0});
	put(0x30000, codes[_i].code + 1);
	ck_assert_uint_eq(step(codes[_i].kind, GUEST_CODE + PAGE_SIZE - 1), n);
	assert_no_event(&m);
}
END_TEST

START_TEST(code_that_went_away_faults)
{
	put(GUEST_CODE, "\x0f\xa2");
	*fake_pte(&m, GUEST_CODE) = 0;
	ck_assert_uint_eq(step(EXIT_CPUID, GUEST_CODE), 0);
	assert_page_fault(&m, GUEST_CODE, 0);
	put(GUEST_CODE + 2 * PAGE_SIZE - 1, "\x0f"); /* half of it */
	*fake_pte(&m, GUEST_CODE + 2 * PAGE_SIZE) = 0;
	ck_assert_uint_eq(step(EXIT_CPUID, GUEST_CODE + 2 * PAGE_SIZE - 1), 0);
	assert_page_fault(&m, GUEST_CODE + 2 * PAGE_SIZE, 0);
}
END_TEST

/* No processor has executed that, so it is Casita's trouble and not the guest's. */
START_TEST(code_outside_ram_is_said)
{
	struct exit exit;

	m.cpu.regs[VREG_RIP] = GUEST_RAM + 0x1000;
	exit = fake_exit(&m, EXIT_CPUID);
	ck_assert_int_lt(vcpu_skip(vcpu, &exit), 0);
	ck_assert_msg(strstr(m.vm.reason, "0x101000"), "%s", m.vm.reason);
	m.cpu.regs[VREG_RIP] = GUEST_RAM - 1;
	exit = fake_exit(&m, EXIT_CPUID);
	put(GUEST_RAM - 1, "\x0f");
	ck_assert_int_lt(vcpu_skip(vcpu, &exit), 0);
	m.cpu.regs[VREG_CR3] = GUEST_RAM; /* and so are the tables */
	ck_assert_int_lt(vcpu_skip(vcpu, &exit), 0);
	assert_no_event(&m);
}
END_TEST

START_TEST(ip_wraps_as_the_mode_says)
{
	m.cpu.segs[SEG_CS].attrib &= ~SEG_L; /* 16-bit code in compatibility mode */
	m.cpu.segs[SEG_CS].base = GUEST_CODE;
	put(GUEST_CODE + 0xfffe, "\x0f\xa2");
	step(EXIT_CPUID, 0xfffe);
	ck_assert_uint_eq(m.cpu.regs[VREG_RIP], 0);
	m.cpu.segs[SEG_CS].attrib |= SEG_DB;
	m.cpu.segs[SEG_CS].base = GUEST_CODE + 2;
	put(GUEST_CODE, "\x0f\xa2");
	step(EXIT_CPUID, 0xfffffffe);
	ck_assert_uint_eq(m.cpu.regs[VREG_RIP], 0);
	put(GUEST_CODE + 0x10000, "\x0f\xa2");
	step(EXIT_CPUID, 0xfffe);
	ck_assert_uint_eq(m.cpu.regs[VREG_RIP], 0x10000);
}
END_TEST

/* ---- random changes -------------------------------------------------------------------------- */

#define ROUNDS	  3000
#define CR3S	  2
#define CODE_BASE 0x40000ull /* eight pages of code, */
#define GVA_BASE  0x80000ull /* which eight virtual pages show in any order */
#define PAGES	  8
#define SPOTS	  6

/* Where in its page each exit is: some on the border. */
static const u64 spots[SPOTS] = {0, 8, 0x123, 0xff1, 0xffe, 0xfff};

static u64 tables_of(unsigned n)
{
	return n ? 0x60000 : GUEST_TABLES;
}

static u64 *pte_of(unsigned n, u64 gva)
{
	return (u64 *)fake_ram(&m, tables_of(n) + 3 * PAGE_SIZE) + (gva >> 12);
}

/* A second set of tables for another CR3. */
static void make_second_tables(void)
{
	u8 *tables = fake_ram(&m, tables_of(1));

	memcpy(tables, fake_ram(&m, GUEST_TABLES), 4 * PAGE_SIZE);
	for (int level = 0; level < 3; level++)
		*(u64 *)(tables + level * PAGE_SIZE) += tables_of(1) - GUEST_TABLES;
}

static void change(u64 *random)
{
	u64 page = random_below(random, PAGES), spot = spots[random_below(random, SPOTS)];
	unsigned n = random_below(random, CR3S);

	switch (random_below(random, 4)) {
	case 0: /* other code */
		put(CODE_BASE + page * PAGE_SIZE + spot,
		    codes[random_below(random, ARRAY_SIZE(codes))].code);
		break;
	case 1: /* another page, or none */
		*pte_of(n, GVA_BASE + page * PAGE_SIZE) =
			random_below(random, 8)
				? (CODE_BASE + random_below(random, PAGES) * PAGE_SIZE) | 7
				: 0;
		break;
	case 2:
		m.cpu.regs[VREG_CR3] = tables_of(n);
		break;
	default: /* a prefix byte more, or one less */
		*fake_ram(&m, CODE_BASE + page * PAGE_SIZE + spot) ^= 0x66 ^ 0x0f;
		break;
	}
}

/* What is at an address, in the tables of this CR3, byte by byte. Return: how much there is. */
static size_t look(u64 gva, u8 *bytes)
{
	unsigned n = m.cpu.regs[VREG_CR3] != GUEST_TABLES;
	size_t i;

	for (i = 0; i < INSN_MAX; i++) {
		u64 pte = *pte_of(n, gva + i);

		if (!(pte & 1))
			break;
		bytes[i] = *fake_ram(&m, (pte & 0xff000) | ((gva + i) & 0xfff));
	}
	return i;
}

static void check_step(u64 gva, enum exit_kind kind)
{
	u8 bytes[INSN_MAX];
	struct insn insn;
	size_t n = look(gva, bytes);
	int err = n ? insn_decode(bytes, n, CODE_64, &insn) : -1;
	struct exit exit;
	u64 stepped;

	m.cpu.regs[VREG_RIP] = gva;
	exit = fake_exit(&m, kind);
	err = err ? err : 0;
	if (vcpu_skip(vcpu, &exit)) {
		ck_assert_int_ne(err, 0); /* the bytes are no instruction */
		return;
	}
	stepped = m.cpu.regs[VREG_RIP] - gva;
	if (m.cpu.waiting) {
		ck_assert_uint_eq(stepped, 0);
		ck_assert_int_ne(err, 0);
		m.cpu.waiting = false;
	} else {
		ck_assert_int_eq(err, 0);
		ck_assert_uint_eq(stepped, insn.len);
	}
}

START_TEST(a_step_is_never_wrong)
{
	static const enum exit_kind kinds[] = {EXIT_CPUID, EXIT_HLT, EXIT_RDMSR, EXIT_WRMSR,
					       EXIT_HYPERCALL};
	u64 random = 4711 + _i;

	make_second_tables();
	for (unsigned n = 0; n < CR3S; n++) {
		for (u64 page = 0; page < PAGES; page++)
			*pte_of(n, GVA_BASE + page * PAGE_SIZE) =
				(CODE_BASE + page * PAGE_SIZE) | 7;
	}
	memset(fake_ram(&m, CODE_BASE), 0x90, PAGES * PAGE_SIZE);
	for (unsigned round = 0; round < ROUNDS; round++) {
		u64 gva = GVA_BASE + random_below(&random, PAGES) * PAGE_SIZE;

		if (random_below(&random, 2))
			change(&random);
		check_step(gva + spots[random_below(&random, SPOTS)],
			   kinds[random_below(&random, ARRAY_SIZE(kinds))]);
	}
}
END_TEST

static Suite *skip_suite(void)
{
	Suite *s = suite_create("skip");
	TCase *t = tcase_create("skip");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, the_processor_has_the_first_word);
	tcase_add_loop_test(t, each_instruction_is_as_long_as_it_is, 0, ARRAY_SIZE(codes));
	tcase_add_test(t, code_that_went_away_faults);
	tcase_add_test(t, code_outside_ram_is_said);
	tcase_add_test(t, ip_wraps_as_the_mode_says);
	tcase_add_loop_test(t, a_step_is_never_wrong, 0, 4);
	suite_add_tcase(s, t);
	return s;
}
SET_ADD(suites, suite_fn, skip_suite);

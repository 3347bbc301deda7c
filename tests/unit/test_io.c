/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_io.c: tests of IN, OUT, INS and OUTS (src/vmm/io.c): what of the accumulator changes, which
 * way and how far strings go, where they stop and what has been done by then. APM vol. 3.
 */
#include <string.h>
#include "fake_guest.h"
#include "lib/errno.h"
#include "suite.h"

#define PORT 0x1f0

static struct fake_machine m;
static struct vcpu *vcpu;

/* The device: reads count upwards in bytes; writes are kept, as they came. */
static struct {
	u8 next;
	u8 written[64 * KIB];
	unsigned count; /* accesses */
	unsigned bytes;
	unsigned stop_at; /* the access at which the VM is stopped */
} dev;

static u32 dev_in(void *opaque, u16 port, int size)
{
	u32 value = 0;

	(void)opaque;
	ck_assert_uint_eq(port, PORT);
	for (int i = 0; i < size; i++)
		value |= (u32)dev.next++ << 8 * i;
	if (++dev.count == dev.stop_at)
		vm_stop(&m.vm, VM_EXITED);
	return value;
}

static void dev_out(void *opaque, u16 port, int size, u32 value)
{
	(void)opaque;
	ck_assert_uint_eq(port, PORT);
	memcpy(dev.written + dev.bytes, &value, size);
	dev.bytes += size;
	if (++dev.count == dev.stop_at)
		vm_stop(&m.vm, VM_EXITED);
}

static void create(enum code_size code)
{
	struct io_hook hook = {PORT, PORT + 3, 4, dev_in, dev_out, NULL};

	fake_guest_create(&m, code);
	vcpu = &m.vcpu;
	memset(&dev, 0, sizeof(dev));
	dev.next = 0x81;
	ck_assert_int_eq(vm_hook_io(&m.vm, &hook), 0);
	vcpu->gpr[GPR_RCX] = vcpu->gpr[GPR_RSI] = vcpu->gpr[GPR_RDI] = 0;
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

static void setup_16(void)
{
	create(CODE_16);
}

#define IN_  BIT(0)
#define STR_ BIT(1)
#define REP_ BIT(2)

static int io(int size, unsigned what)
{
	struct exit exit = fake_exit(&m, EXIT_IO);

	exit.io.port = PORT;
	exit.io.size = size;
	exit.io.in = what & IN_;
	exit.io.string = what & STR_;
	exit.io.rep = what & REP_;
	return vcpu_io_exit(vcpu, &exit);
}

/* INS or OUTS at PORT; it must go well, as far as Casita is concerned. */
static void string(int size, unsigned what)
{
	ck_assert_int_eq(io(size, what | STR_), 0);
}

static void set_string(u64 cx, u64 si, u64 di)
{
	vcpu->gpr[GPR_RCX] = cx;
	vcpu->gpr[GPR_RSI] = si;
	vcpu->gpr[GPR_RDI] = di;
}

static void assert_string(u64 cx, u64 si, u64 di)
{
	ck_assert_uint_eq(vcpu->gpr[GPR_RCX], cx);
	ck_assert_uint_eq(vcpu->gpr[GPR_RSI], si);
	ck_assert_uint_eq(vcpu->gpr[GPR_RDI], di);
}

static void assert_ram(u64 gpa, const char *bytes, size_t n)
{
	ck_assert_mem_eq(fake_ram(&m, gpa), bytes, n);
	ck_assert_uint_eq(*fake_ram(&m, gpa - 1), RAM_FILL);
	ck_assert_uint_eq(*fake_ram(&m, gpa + n), RAM_FILL);
}

/* ---- IN and OUT ------------------------------------------------------------------------------ */

START_TEST(in_changes_as_much_as_it_reads)
{
	static const u64 expected[] = {0x1122334455667781, 0x1122334455668382, 0x87868584};
	static const char *const code[] = {"\xec", "\x66\xed", "\xed"};

	for (int i = 0; i < 3; i++) {
		m.cpu.regs[VREG_RIP] = GUEST_CODE;
		memcpy(fake_ram(&m, GUEST_CODE), code[i], strlen(code[i]));
		vcpu->gpr[GPR_RAX] = 0x1122334455667788;
		ck_assert_int_eq(io(1 << i, IN_), 0);
		ck_assert_uint_eq(vcpu->gpr[GPR_RAX], expected[i]);
		assert_skipped(&m, strlen(code[i]));
	}
}
END_TEST

START_TEST(out_changes_nothing)
{
	fake_code(&m, "\xe6\xf0");
	vcpu->gpr[GPR_RAX] = 0x1122334455667788;
	ck_assert_int_eq(io(1, 0), 0);
	assert_skipped(&m, 2);
	ck_assert_uint_eq(dev.bytes, 1);
	ck_assert_uint_eq(dev.written[0], 0x88);
	ck_assert_int_eq(io(4, 0), 0);
	ck_assert_mem_eq(dev.written + 1, "\x88\x77\x66\x55", 4);
	ck_assert_uint_eq(vcpu->gpr[GPR_RAX], 0x1122334455667788);
}
END_TEST

START_TEST(the_processor_may_know_what_is_behind)
{
	struct exit exit = fake_exit(&m, EXIT_IO);

	exit.next_rip = GUEST_CODE + 5;
	exit.io.port = PORT;
	exit.io.size = 1;
	ck_assert_int_eq(vcpu_io_exit(vcpu, &exit), 0);
	assert_skipped(&m, 5);
}
END_TEST

/* ---- strings --------------------------------------------------------------------------------- */

START_TEST(ins_goes_up)
{
	fake_code(&m, "\x6c");
	set_string(7, 8, GUEST_DATA);
	string(1, IN_);
	assert_skipped(&m, 1);
	assert_string(7, 8, GUEST_DATA + 1); /* no REP, so no RCX */
	assert_ram(GUEST_DATA, "\x81", 1);
}
END_TEST

START_TEST(rep_insd_goes_down)
{
	fake_code(&m, "\xf3\x6d");
	m.cpu.regs[VREG_RFLAGS] |= RFLAGS_DF;
	set_string(2, 8, GUEST_DATA + 4);
	string(4, IN_ | REP_);
	assert_skipped(&m, 2);
	assert_string(0, 8, GUEST_DATA - 4);
	assert_ram(GUEST_DATA, "\x85\x86\x87\x88\x81\x82\x83\x84", 8);
}
END_TEST

START_TEST(rep_outsw)
{
	fake_code(&m, "\x66\xf3\x6f");
	memcpy(fake_ram(&m, GUEST_DATA), "abcdef", 6);
	set_string(3, GUEST_DATA, 5);
	string(2, REP_);
	assert_skipped(&m, 3);
	assert_string(0, GUEST_DATA + 6, 5);
	ck_assert_uint_eq(dev.count, 3);
	ck_assert_mem_eq(dev.written, "abcdef", 6);
}
END_TEST

START_TEST(rep_of_nothing)
{
	fake_code(&m, "\xf3\x6c");
	set_string(0, 1, 0xdeadbeef00000000); /* no address at all: it is not looked at */
	string(1, IN_ | REP_);
	assert_skipped(&m, 2);
	assert_string(0, 1, 0xdeadbeef00000000);
	ck_assert_uint_eq(dev.count, 0);
}
END_TEST

START_TEST(address_size_32_in_64_bit_code)
{
	fake_code(&m, "\xf3\x67\x6c");
	set_string(0xffffffff00000002, 3, 0xffffffff00000000 | GUEST_DATA);
	string(1, IN_ | REP_);
	assert_skipped(&m, 3);
	assert_string(0, 3, GUEST_DATA + 2); /* upper halves are cleared */
	assert_ram(GUEST_DATA, "\x81\x82", 2);
}
END_TEST

START_TEST(fs_has_a_base_in_64_bit_code)
{
	fake_code(&m, "\x64\x6e"); /* outsb from fs:[rsi] */
	m.cpu.segs[SEG_FS].base = GUEST_DATA;
	m.cpu.segs[SEG_DS].base = 0x1000;
	*fake_ram(&m, GUEST_DATA + 2) = 'f';
	set_string(0, 2, 0);
	string(1, 0);
	ck_assert_uint_eq(dev.written[0], 'f');
	m.cpu.regs[VREG_RIP] = GUEST_CODE;
	fake_code(&m, "\x6e\x90"); /* and DS has none */
	*fake_ram(&m, 0x40000) = 'd';
	set_string(0, 0x40000, 0);
	string(1, 0);
	ck_assert_uint_eq(dev.written[1], 'd');
}
END_TEST

START_TEST(a_long_one_is_done_in_pieces)
{
	u64 total = 10000;
	unsigned exits = 0;

	fake_code(&m, "\xf3\x6c");
	set_string(total, 0, GUEST_DATA);
	for (; m.cpu.regs[VREG_RIP] == GUEST_CODE; exits++) {
		u64 before = vcpu->gpr[GPR_RCX];

		string(1, IN_ | REP_);
		ck_assert_uint_lt(vcpu->gpr[GPR_RCX], before);
		ck_assert_uint_eq(vcpu->gpr[GPR_RDI], GUEST_DATA + total - vcpu->gpr[GPR_RCX]);
		ck_assert_uint_eq(dev.count, total - vcpu->gpr[GPR_RCX]);
	}
	ck_assert_uint_gt(exits, 1); /* interrupts get their turn */
	assert_string(0, 0, GUEST_DATA + total);
	assert_no_event(&m);
}
END_TEST

START_TEST(a_stopped_vm_reads_no_more)
{
	fake_code(&m, "\xf3\x6c");
	dev.stop_at = 3;
	set_string(10, 0, GUEST_DATA);
	string(1, IN_ | REP_);
	ck_assert_uint_eq(dev.count, 3);
	assert_string(7, 0, GUEST_DATA + 3);
}
END_TEST

/* ---- faults on the way ----------------------------------------------------------------------- */

START_TEST(a_page_fault_in_the_middle_of_ins)
{
	fake_code(&m, "\xf3\x6c");
	*fake_pte(&m, GUEST_DATA + PAGE_SIZE) = 0;
	set_string(5, 0, GUEST_DATA + PAGE_SIZE - 2);
	string(1, IN_ | REP_);
	assert_skipped(&m, 0);
	assert_page_fault(&m, GUEST_DATA + PAGE_SIZE, PF_WRITE);
	assert_string(3, 0, GUEST_DATA + PAGE_SIZE);
	ck_assert_uint_eq(dev.count, 2); /* the third is the device's still */
	*fake_pte(&m, GUEST_DATA + PAGE_SIZE) = (GUEST_DATA + PAGE_SIZE) | 7;
	string(1, IN_ | REP_); /* the guest mends it and goes on */
	assert_skipped(&m, 2);
	assert_ram(GUEST_DATA + PAGE_SIZE - 2, "\x81\x82\x83\x84\x85", 5);
}
END_TEST

START_TEST(an_element_across_a_border)
{
	u64 at = GUEST_DATA + PAGE_SIZE - 1;

	fake_code(&m, "\x6d");
	*fake_pte(&m, at + 1) &= ~2ull; /* read only */
	m.cpu.regs[VREG_CR0] |= CR0_WP;
	set_string(0, 0, at);
	string(4, IN_);
	assert_page_fault(&m, at + 1, PF_WRITE | PF_PRESENT);
	ck_assert(fake_ram_untouched(&m, at - 3, at + 4)); /* neither part */
	ck_assert_uint_eq(dev.count, 0);
	*fake_pte(&m, at + 1) |= 2;
	string(4, IN_);
	assert_ram(at, "\x81\x82\x83\x84", 4);
	assert_skipped(&m, 1);
}
END_TEST

START_TEST(a_page_fault_of_outs)
{
	fake_code(&m, "\xf3\x6e");
	*fake_pte(&m, GUEST_DATA) &= ~4ull; /* the kernel's */
	m.cpu.cpl = 3;
	set_string(2, GUEST_DATA - 1, 0);
	string(1, REP_);
	assert_page_fault(&m, GUEST_DATA, PF_USER | PF_PRESENT);
	assert_string(1, GUEST_DATA, 0);
	ck_assert_uint_eq(dev.count, 1);
}
END_TEST

/* APM vol. 2 §5.3.1: #GP(0), and not #PF. */
START_TEST(an_address_that_is_not_canonical)
{
	fake_code(&m, "\x6e");
	set_string(0, 0x0000800000000000, 0);
	string(1, 0);
	assert_exception(&m, VEC_GP, 0);
	assert_skipped(&m, 0);
	fake_code(&m, "\x6c");
	set_string(0, 0, 0xffff7fffffffffff);
	string(1, IN_);
	assert_exception(&m, VEC_GP, 0);
	ck_assert_uint_eq(dev.count, 0);
	ck_assert_uint_eq(m.cpu.regs[VREG_CR2], 0xc2);
}
END_TEST

START_TEST(no_ram_stops_the_vm)
{
	fake_code(&m, "\x6c");
	set_string(0, 0, GUEST_RAM);
	ck_assert_int_eq(io(1, IN_ | STR_), -EFAULT);
	ck_assert_msg(strstr(m.vm.reason, "0x1f0"), "%s", m.vm.reason);
	ck_assert_uint_eq(dev.count, 0);
}
END_TEST

/* ---- single steps ---------------------------------------------------------------------------- */

START_TEST(each_element_is_a_step)
{
	fake_code(&m, "\xf3\x6c");
	m.cpu.regs[VREG_RFLAGS] |= RFLAGS_TF;
	set_string(3, 0, GUEST_DATA);
	for (unsigned i = 1; i <= 3; i++) {
		string(1, IN_ | REP_);
		assert_exception(&m, VEC_DB, 0);
		ck_assert_uint_ne(m.cpu.regs[VREG_DR6] & BIT(14), 0);
		assert_string(3 - i, 0, GUEST_DATA + i);
		assert_skipped(&m, i == 3 ? 2 : 0);
	}
}
END_TEST

START_TEST(a_step_of_rep_of_nothing)
{
	fake_code(&m, "\xf3\x6c");
	m.cpu.regs[VREG_RFLAGS] |= RFLAGS_TF;
	string(1, IN_ | REP_);
	assert_exception(&m, VEC_DB, 0);
	assert_skipped(&m, 2);
}
END_TEST

/* ---- segments -------------------------------------------------------------------------------- */

#define DATA_RW	  (SEG_P | SEG_S | 0x3)
#define DATA_RO	  (SEG_P | SEG_S | 0x1)
#define DATA_DOWN (SEG_P | SEG_S | 0x7)
#define CODE_XO	  (SEG_P | SEG_S | 0x9)
#define CODE_RX	  (SEG_P | SEG_S | 0xb)

static const struct limit {
	u16 attrib;
	u32 limit;
	u64 offset;
	int size;
	bool in, good;
} limits[] = {
	{DATA_RW, 0x1fff, 0x1fff, 1, true, true},
	{DATA_RW, 0x1fff, 0x2000, 1, true, false},
	{DATA_RW, 0x1fff, 0x1ffc, 4, true, true},
	{DATA_RW, 0x1fff, 0x1ffd, 4, true, false},
	{DATA_RW, 0x1fff, 0x1ffd, 4, false, false},
	{DATA_RW, 0xffffffff, 0xfffffffe, 4, false, false}, /* wraps around */
	{DATA_RO, 0x1fff, 0, 1, false, true},
	{DATA_RO, 0x1fff, 0, 1, true, false},
	{CODE_RX, 0x1fff, 0, 1, false, true},
	{CODE_RX, 0x1fff, 0, 1, true, false},
	{CODE_XO, 0x1fff, 0, 1, false, false},
	{DATA_RW & ~SEG_P, 0x1fff, 0, 1, false, false},
	{0, 0, 0, 1, true, false}, /* the null selector */
	{DATA_DOWN, 0x1fff, 0x1fff, 1, true, false},
	{DATA_DOWN, 0x1fff, 0x2000, 1, true, true},
	{DATA_DOWN, 0x1fff, 0xffff, 1, true, true},
	{DATA_DOWN, 0x1fff, 0xffff, 2, true, false},
	{DATA_DOWN | SEG_DB, 0x1fff, 0xffff, 2, true, true},
	{DATA_DOWN | SEG_DB, 0x1fff, 0xffffffff, 2, true, false},
};

/* Every case three times: INS to ES, OUTS from DS or from SS. APM vol. 2 §4.8, §4.12. */
START_TEST(segments_have_limits)
{
	const struct limit *l = &limits[_i];
	enum seg seg = l->in ? SEG_ES : SEG_DS;

	m.cpu.segs[seg].attrib = l->attrib;
	m.cpu.segs[seg].limit = l->limit;
	m.cpu.segs[seg].base = GUEST_DATA;
	set_string(0, l->offset, l->offset);
	fake_code_n(&m, l->in ? "\x6d" : "\x6f", 1);
	string(l->size, l->in ? IN_ : 0);
	if (l->good) {
		assert_no_event(&m);
		ck_assert_uint_eq(dev.count, 1);
		assert_skipped(&m, 1);
		return;
	}
	assert_exception(&m, VEC_GP, 0);
	ck_assert_uint_eq(dev.count, 0);
	assert_skipped(&m, 0);
	if (l->in)
		return;
	m.cpu.segs[SEG_SS] = m.cpu.segs[SEG_DS];
	fake_code_n(&m, "\x36\x6f", 2);
	string(l->size, 0);
	assert_exception(&m, VEC_SS, 0);
}
END_TEST

START_TEST(a_base_counts_in_32_bit_code)
{
	fake_code(&m, "\xf3\x6c");
	m.cpu.segs[SEG_ES].base = 0xffff0000;
	set_string(2, 0, GUEST_DATA + 0x10000); /* the sum wraps at 4 GiB */
	string(1, IN_ | REP_);
	assert_ram(GUEST_DATA, "\x81\x82", 2);
	assert_skipped(&m, 2);
}
END_TEST

START_TEST(sixteen_bit_registers_wrap)
{
	fake_code(&m, "\xf3\x6c");
	m.cpu.segs[SEG_ES].base = GUEST_DATA;
	set_string(0x10003, 0, 0x1234ffff); /* the upper halves are left alone */
	string(1, IN_ | REP_);
	assert_string(0x10000, 0, 0x12340002);
	ck_assert_uint_eq(*fake_ram(&m, GUEST_DATA + 0xffff), 0x81);
	ck_assert_mem_eq(fake_ram(&m, GUEST_DATA), "\x82\x83\xa5", 3);
	assert_skipped(&m, 2);
}
END_TEST

START_TEST(a_word_at_the_end_of_64_kib)
{
	fake_code(&m, "\x6d");
	m.cpu.segs[SEG_ES].base = GUEST_DATA;
	set_string(0, 0, 0xffff);
	string(2, IN_);
	assert_exception(&m, VEC_GP, 0);
	ck_assert_uint_eq(dev.count, 0);
}
END_TEST

START_TEST(a_prefix_widens_the_address)
{
	fake_code(&m, "\xf3\x67\x6c");
	m.cpu.segs[SEG_ES].limit = 0xffffffff;
	set_string(1, 0, GUEST_DATA + 0x10000);
	string(1, IN_ | REP_);
	assert_ram(GUEST_DATA + 0x10000, "\x81", 1);
	assert_string(0, 0, GUEST_DATA + 0x10001);
	assert_skipped(&m, 3);
}
END_TEST

static Suite *io_suite(void)
{
	Suite *s = suite_create("io");
	TCase *t = tcase_create("64-bit");
	TCase *p = tcase_create("32-bit");
	TCase *r = tcase_create("16-bit");

	tcase_add_checked_fixture(t, setup_64, teardown);
	tcase_add_test(t, in_changes_as_much_as_it_reads);
	tcase_add_test(t, out_changes_nothing);
	tcase_add_test(t, the_processor_may_know_what_is_behind);
	tcase_add_test(t, ins_goes_up);
	tcase_add_test(t, rep_insd_goes_down);
	tcase_add_test(t, rep_outsw);
	tcase_add_test(t, rep_of_nothing);
	tcase_add_test(t, address_size_32_in_64_bit_code);
	tcase_add_test(t, fs_has_a_base_in_64_bit_code);
	tcase_add_test(t, a_long_one_is_done_in_pieces);
	tcase_add_test(t, a_stopped_vm_reads_no_more);
	tcase_add_test(t, a_page_fault_in_the_middle_of_ins);
	tcase_add_test(t, an_element_across_a_border);
	tcase_add_test(t, a_page_fault_of_outs);
	tcase_add_test(t, an_address_that_is_not_canonical);
	tcase_add_test(t, no_ram_stops_the_vm);
	tcase_add_test(t, each_element_is_a_step);
	tcase_add_test(t, a_step_of_rep_of_nothing);
	suite_add_tcase(s, t);
	tcase_add_checked_fixture(p, setup_32, teardown);
	tcase_add_loop_test(p, segments_have_limits, 0, ARRAY_SIZE(limits));
	tcase_add_test(p, a_base_counts_in_32_bit_code);
	suite_add_tcase(s, p);
	tcase_add_checked_fixture(r, setup_16, teardown);
	tcase_add_test(r, sixteen_bit_registers_wrap);
	tcase_add_test(r, a_word_at_the_end_of_64_kib);
	tcase_add_test(r, a_prefix_widens_the_address);
	suite_add_tcase(s, r);
	return s;
}
SET_ADD(suites, suite_fn, io_suite);

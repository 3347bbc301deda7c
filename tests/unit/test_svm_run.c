/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_svm_run.c: tests of the AMD back end (src/svm) with a world switch that only pretends: what
 * exit codes become (run.c), injection, the interrupt pin and shadows (svm.c), ASIDs (asid.c).
 */
#include <string.h>
#include "fake_guest.h"
#include "fake_pages.h"
#include "lib/errno.h"
#include "suite.h"
#include "svm/svm.h"

static struct fake_machine m;
static struct vcpu *vcpu;
static struct vmcb *v;
static struct exit seen;    /* the last exit that was dispatched */
static struct vmcb entered; /* the VMCB as it was at the last entry */
static void (*guest)(void); /* what the guest does, if anything */

/*
 * The caller says that its registers are destroyed, and does not say how its stack is aligned. So
 * the stack is aligned here, and the rest is done in C.
 */
void fake_world_switch(u64 *gpr, struct vmcb *vmcb, struct vmcb *host);
__asm__(".text\n"
	".globl svm_switch\n"
	"svm_switch:\n"
	"	push %rbp\n"
	"	mov %rsp, %rbp\n"
	"	sub $128, %rsp\n"
	"	and $-64, %rsp\n"
	"	call fake_world_switch\n"
	"	leave\n"
	"	ret\n");

void fake_world_switch(u64 *gpr, struct vmcb *vmcb, struct vmcb *host)
{
	ck_assert_ptr_eq(gpr, vcpu->gpr);
	ck_assert_ptr_eq(vmcb, v);
	ck_assert_ptr_eq(host, svm_host_vmcb);
	entered = *vmcb;
	if (guest)
		guest();
}

static u64 processor_cr2;

void svm_set_cr2(u64 value)
{
	processor_cr2 = value;
}

void svm_vmsave(struct vmcb *host_vmcb)
{
	(void)host_vmcb;
}

/* Every exit ends here, and the run with it. */
static int take_exit(struct vcpu *vc, const struct exit *exit, void *opaque)
{
	(void)opaque;
	seen = *exit;
	vc->requests |= REQUEST_LEAVE;
	return 1;
}

static void setup(void)
{
	static struct vmcb host;
	const struct cpu_ops *const *it;

	fake_guest_create(&m, CODE_16);
	vcpu = &m.vcpu;
	set_for_each (backends, it)
		cpu = *it;
	svm_host_vmcb = &host;
	svm_features = (struct svm_features){.nested_paging = true, .asids = 4};
	ck_assert_int_eq(cpu->vm_create(&m.vm), 0);
	ck_assert_int_eq(cpu->vcpu_create(vcpu), 0);
	v = vmcb_of(vcpu);
	svm_of(vcpu)->checked = true;
	v->rip = 0x1234;
	for (unsigned kind = 0; kind < EXIT_KIND_COUNT; kind++)
		vm_hook_exit(&m.vm, &(struct exit_hook){kind, take_exit, NULL});
}

static void teardown(void)
{
	cpu->vcpu_destroy(vcpu);
	cpu->vm_destroy(&m.vm);
	fake_guest_destroy(&m);
	ck_assert_uint_eq(fake_pages_live(), 0);
}

static void run(u64 code, u64 info1, u64 info2)
{
	v->exit_code = code;
	v->exit_info1 = info1;
	v->exit_info2 = info2;
	vcpu->requests = 0;
	memset(&seen, 0xee, sizeof(seen));
	cpu->run(vcpu);
}

/* ---- exits ----------------------------------------------------------------------------------- */

static const struct {
	u64 code, info1;
	enum exit_kind kind;
} codes[] = {
	{0x000, 0, EXIT_CR_READ},      {0x00f, 0, EXIT_CR_READ},   {0x010, 0, EXIT_CR_WRITE},
	{0x01f, 0, EXIT_CR_WRITE},     {0x020, 0, EXIT_UNKNOWN},   {0x03f, 0, EXIT_UNKNOWN},
	{0x040, 0, EXIT_EXCEPTION},    {0x05f, 0, EXIT_EXCEPTION}, {0x060, 0, EXIT_INTERRUPT},
	{0x064, 0, EXIT_WINDOW},       {0x072, 0, EXIT_CPUID},	   {0x076, 0, EXIT_INVD},
	{0x078, 0, EXIT_HLT},	       {0x079, 0, EXIT_INVLPG},	   {0x07b, 0, EXIT_IO},
	{0x07c, 0, EXIT_RDMSR},	       {0x07c, 1, EXIT_WRMSR},	   {0x07f, 0, EXIT_SHUTDOWN},
	{0x080, 0, EXIT_FORBIDDEN},    {0x081, 0, EXIT_HYPERCALL}, {0x082, 0, EXIT_FORBIDDEN},
	{0x086, 0, EXIT_FORBIDDEN},    {0x087, 0, EXIT_UNKNOWN},   {0x089, 0, EXIT_INVD},
	{0x08a, 0, EXIT_FORBIDDEN},    {0x08b, 0, EXIT_FORBIDDEN}, {0x200, 0, EXIT_UNKNOWN},
	{0x3ff, 0, EXIT_UNKNOWN},      {0x400, 0, EXIT_MEMORY},	   {0x401, 0, EXIT_UNKNOWN},
	{0xffffffff, 0, EXIT_REFUSED}, {~0ull, 0, EXIT_REFUSED},   {0xfffffffe, 0, EXIT_UNKNOWN},
};

START_TEST(codes_have_kinds)
{
	run(codes[_i].code, codes[_i].info1, 7);
	ck_assert_str_eq(exit_kind_name(seen.kind), exit_kind_name(codes[_i].kind));
	ck_assert_uint_eq(seen.code, (u32)codes[_i].code);
	ck_assert_uint_eq(seen.info1, codes[_i].info1);
	ck_assert_uint_eq(seen.info2, 7);
	ck_assert_uint_eq(seen.rip, 0x1234);
	ck_assert(!seen.interrupted.valid);
}
END_TEST

/* APM vol. 2 figure 15-2: port 31:16, sizes 6:4, REP 3, STR 2, IN 0. */
START_TEST(port_io_is_taken_apart)
{
	static const struct {
		u64 info;
		u16 port;
		u8 size;
		bool in, string, rep;
	} ios[] = {
		{0x03f80010, 0x3f8, 1, false, false, false},
		{0xffff0021, 0xffff, 2, true, false, false},
		{0x0cfc0240, 0xcfc, 4, false, false, false},
		{0x01f0012d, 0x1f0, 2, true, true, true},
		{0x01f00214, 0x1f0, 1, false, true, false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(ios); i++) {
		run(0x7b, ios[i].info, 0x1236);
		ck_assert_uint_eq(seen.io.port, ios[i].port);
		ck_assert_uint_eq(seen.io.size, ios[i].size);
		ck_assert_int_eq(seen.io.in, ios[i].in);
		ck_assert_int_eq(seen.io.string, ios[i].string);
		ck_assert_int_eq(seen.io.rep, ios[i].rep);
		ck_assert_uint_eq(seen.next_rip, 0x1236); /* for I/O every processor says it */
	}
}
END_TEST

START_TEST(details_of_other_exits)
{
	run(0x14, 0, 0);
	ck_assert_uint_eq(seen.cr.number, 4);
	run(0x08, 0, 0);
	ck_assert_uint_eq(seen.cr.number, 8);
	run(0x4e, 0x7, 0xffff800000001000);
	ck_assert_uint_eq(seen.exception.vector, 14);
	ck_assert(seen.exception.has_error);
	ck_assert_uint_eq(seen.exception.error, 7);
	ck_assert_uint_eq(seen.exception.address, 0xffff800000001000);
	run(0x46, 0, 0);
	ck_assert_uint_eq(seen.exception.vector, 6);
	ck_assert(!seen.exception.has_error);
	run(0x400, 0x100000006, 0xfee00080);
	ck_assert_uint_eq(seen.memory.gpa.a, 0xfee00080);
	ck_assert_uint_eq(seen.memory.error, 6);
	v->next_rip = 0x1239; /* a processor with that feature */
	run(0x72, 0, 0);
	ck_assert_uint_eq(seen.next_rip, 0x1239);
}
END_TEST

START_TEST(deliveries_that_were_cut_short)
{
	v->exit_int_info = 0x80000021; /* an interrupt */
	v->vintr |= SVM_V_IRQ;
	run(0x400, 0, 0);
	ck_assert(seen.interrupted.valid && seen.interrupted.is_irq);
	ck_assert_int_eq(vcpu->redeliver, 0x21);
	ck_assert(vcpu->requests & REQUEST_IRQ);
	v->cr2 = 0xdead000;
	v->exit_int_info = 0x0000000680000b0e; /* #PF with an error code */
	run(0x400, 0, 0);
	ck_assert(seen.interrupted.valid && !seen.interrupted.is_irq);
	ck_assert_uint_eq(seen.interrupted.event.address, 0xdead000);
	ck_assert_uint_eq(v->event_inj, 0x0000000680000b0e); /* and so it comes again */
	v->exit_int_info = 0x80000202;			     /* NMI */
	run(0x400, 0, 0);
	ck_assert_uint_eq(v->event_inj, 0x80000202);
	v->exit_int_info = 0x80000480; /* INT 80h: the guest will run it again */
	run(0x400, 0, 0);
	ck_assert_uint_eq(v->event_inj, 0);
	v->exit_int_info = 0x00000021; /* not valid */
	run(0x400, 0, 0);
	ck_assert(!seen.interrupted.valid);
}
END_TEST

/* ---- injection ------------------------------------------------------------------------------- */

START_TEST(events_are_injected_and_gone)
{
	struct event gp = {.kind = EVENT_EXCEPTION, .vector = 13, .has_error = true, .error = 0x18};
	struct event nmi = {.kind = EVENT_NMI, .vector = 2}, back;

	ck_assert_int_eq(cpu->inject(vcpu, &gp), 0);
	ck_assert_uint_eq(v->event_inj, 0x0000001880000b0d);
	ck_assert_int_eq(cpu->inject(vcpu, &nmi), -EBUSY);
	cpu->take_back(vcpu, &back);
	ck_assert_int_eq(back.kind, EVENT_EXCEPTION);
	ck_assert_uint_eq(back.vector, 13);
	ck_assert_uint_eq(back.error, 0x18);
	ck_assert_uint_eq(v->event_inj, 0);
	ck_assert_int_eq(cpu->inject(vcpu, &nmi), 0);
	run(0x78, 0, 0);
	ck_assert_uint_eq(entered.event_inj, 0x80000202);
	ck_assert_uint_eq(v->event_inj, 0); /* delivered: not again at the next entry */
	ck_assert_uint_eq(v->cr2, 0);
	vcpu_page_fault(vcpu, GVA(0x7000), 4);
	ck_assert_uint_eq(v->cr2, 0x7000);
	ck_assert_uint_eq(processor_cr2, 0x7000);
}
END_TEST

START_TEST(the_pin_goes_up_and_down)
{
	u64 rest = SVM_V_INTR_MASKING;

	cpu->offer_irq(vcpu, 0x31);
	ck_assert_uint_eq(v->vintr & ~(0xfull << 16 | BIT(20)), rest | BIT(8) | 0x31ull << 32);
	ck_assert(!cpu->irq_taken(vcpu));
	v->vintr &= ~BIT(8); /* the processor takes it */
	ck_assert(cpu->irq_taken(vcpu));
	cpu->offer_irq(vcpu, -1);
	ck_assert_uint_eq(v->vintr, rest);
}
END_TEST

START_TEST(advancing)
{
	v->int_state = 1;
	v->rflags = RFLAGS_ONE | RFLAGS_RF;
	ck_assert_int_eq(cpu->advance(vcpu, 0x5678), 0);
	ck_assert_uint_eq(v->rip, 0x5678);
	ck_assert_uint_eq(v->int_state, 0); /* the shadow was this instruction's */
	ck_assert_uint_eq(v->rflags, RFLAGS_ONE);
	ck_assert_uint_eq(v->event_inj, 0);
	v->rflags |= RFLAGS_TF;
	cpu->advance(vcpu, 0x5679);
	ck_assert_uint_eq(v->event_inj, 0x80000301);
	ck_assert_uint_eq(v->dr6 & BIT(14), BIT(14));
}
END_TEST

/* ---- ASIDs ----------------------------------------------------------------------------------- */

START_TEST(an_asid_stays_until_a_flush)
{
	u32 first;

	run(0x78, 0, 0);
	first = entered.asid;
	ck_assert_uint_ne(first, 0);
	ck_assert_uint_lt(first, 4);
	run(0x78, 0, 0);
	ck_assert_uint_eq(entered.asid, first);
	ck_assert_uint_eq(entered.tlb_control, 0); /* and nothing is flushed */
	cpu->flush(vcpu);
	run(0x78, 0, 0);
	ck_assert(entered.asid != first || entered.tlb_control == 1);
}
END_TEST

/* No number is used twice without a flush of all between. */
START_TEST(asids_run_out)
{
	bool used[4] = {false};
	unsigned flushes = 0;

	for (int i = 0; i < 40; i++) {
		cpu->flush(vcpu);
		run(0x78, 0, 0);
		ck_assert(entered.asid > 0 && entered.asid < 4);
		if (entered.tlb_control == 1) {
			memset(used, 0, sizeof(used));
			flushes++;
		}
		ck_assert(!used[entered.asid]);
		used[entered.asid] = true;
	}
	ck_assert_uint_ge(flushes, 12);
	ck_assert_uint_le(flushes, 14);
}
END_TEST

static Suite *svm_run_suite(void)
{
	Suite *s = suite_create("svm_run");
	TCase *t = tcase_create("svm_run");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, codes_have_kinds, 0, ARRAY_SIZE(codes));
	tcase_add_test(t, port_io_is_taken_apart);
	tcase_add_test(t, details_of_other_exits);
	tcase_add_test(t, deliveries_that_were_cut_short);
	tcase_add_test(t, events_are_injected_and_gone);
	tcase_add_test(t, the_pin_goes_up_and_down);
	tcase_add_test(t, advancing);
	tcase_add_test(t, an_asid_stays_until_a_flush);
	tcase_add_test(t, asids_run_out);
	suite_add_tcase(s, t);
	return s;
}
SET_ADD(suites, suite_fn, svm_run_suite);

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fake_cpu.c: a processor that only remembers what it was told, in a VM with real memory.
 *
 * What of vmm/ and host/ is not linked with a test but needed is here in short, as weak symbols: in
 * a test program that has the real one, that is used.
 */
#include <assert.h>
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "fake_cpu.h"
#include "host/host.h"
#include "lib/errno.h"
#include "lib/print.h"
#include "vmm/inject.h"

#define RUBBISH 0xbad0bad0bad0bad0ull

static struct fake_cpu *fake(struct vcpu *vcpu)
{
	return vcpu->cpu_state;
}

static u64 get(struct vcpu *vcpu, enum vreg reg)
{
	return fake(vcpu)->regs[reg];
}

static void set(struct vcpu *vcpu, enum vreg reg, u64 value)
{
	fake(vcpu)->regs[reg] = value;
}

static void get_seg(struct vcpu *vcpu, enum seg seg, struct segment *out)
{
	*out = fake(vcpu)->segs[seg];
}

static void set_seg(struct vcpu *vcpu, enum seg seg, const struct segment *in)
{
	fake(vcpu)->segs[seg] = *in;
}

static void get_table(struct vcpu *vcpu, bool idt, struct table_reg *out)
{
	*out = idt ? fake(vcpu)->idt : fake(vcpu)->gdt;
}

static void set_table(struct vcpu *vcpu, bool idt, const struct table_reg *in)
{
	*(idt ? &fake(vcpu)->idt : &fake(vcpu)->gdt) = *in;
}

static u8 get_cpl(struct vcpu *vcpu)
{
	return fake(vcpu)->cpl;
}

static void get_walk(struct vcpu *vcpu, struct walk_regs *regs)
{
	*regs = (struct walk_regs){
		.cr0 = get(vcpu, VREG_CR0),
		.cr3 = get(vcpu, VREG_CR3),
		.cr4 = get(vcpu, VREG_CR4),
		.efer = get(vcpu, VREG_EFER),
		.rflags = get(vcpu, VREG_RFLAGS),
		.cpl = fake(vcpu)->cpl,
		.phys_bits = vcpu->vm->phys_bits,
	};
}

static int advance(struct vcpu *vcpu, u64 next_rip)
{
	set(vcpu, VREG_RIP, next_rip);
	fake(vcpu)->shadow = false;
	fake(vcpu)->advances++;
	return get(vcpu, VREG_RFLAGS) & RFLAGS_TF ? vcpu_single_step(vcpu) : 0;
}

static int inject(struct vcpu *vcpu, const struct event *event)
{
	if (fake(vcpu)->waiting)
		return -EBUSY;
	fake(vcpu)->waiting = true;
	fake(vcpu)->event = *event;
	if (event->kind == EVENT_EXCEPTION && event->vector == VEC_PF)
		set(vcpu, VREG_CR2, event->address);
	return 0;
}

static void take_back(struct vcpu *vcpu, struct event *event)
{
	*event = fake(vcpu)->event;
	fake(vcpu)->waiting = false;
}

static void offer_irq(struct vcpu *vcpu, int vector)
{
	fake(vcpu)->irq = vector;
	fake(vcpu)->irq_taken = false;
	fake(vcpu)->offers++;
}

static bool irq_taken(struct vcpu *vcpu)
{
	return fake(vcpu)->irq_taken;
}

static bool irq_shadow(struct vcpu *vcpu)
{
	return fake(vcpu)->shadow;
}

static void flush(struct vcpu *vcpu)
{
	fake(vcpu)->flushes++;
}

static void set_nested_root(struct vcpu *vcpu, hpa_t root)
{
	fake(vcpu)->nested_root = root;
}

static void set_paging(struct vcpu *vcpu, const struct paging_regs *real)
{
	fake(vcpu)->real = *real;
}

static void intercept(struct vcpu *vcpu, enum intercept what, bool on)
{
	u64 *bits = &fake(vcpu)->intercepts;

	*bits = on ? *bits | BIT(what) : *bits & ~BIT(what);
}

static void set_tsc_offset(struct vcpu *vcpu, u64 offset)
{
	fake(vcpu)->tsc_offset = offset;
}

static bool has_nested_paging(void)
{
	return true;
}

static void explain_refusal(struct vcpu *vcpu)
{
	(void)vcpu;
}

static const struct cpu_ops fake_ops = {
	.name = "fake",
	.get = get,
	.set = set,
	.get_seg = get_seg,
	.set_seg = set_seg,
	.get_table = get_table,
	.set_table = set_table,
	.get_cpl = get_cpl,
	.get_walk = get_walk,
	.advance = advance,
	.inject = inject,
	.take_back = take_back,
	.offer_irq = offer_irq,
	.irq_taken = irq_taken,
	.irq_shadow = irq_shadow,
	.flush = flush,
	.set_nested_root = set_nested_root,
	.set_paging = set_paging,
	.intercept = intercept,
	.set_tsc_offset = set_tsc_offset,
	.has_nested_paging = has_nested_paging,
	.explain_refusal = explain_refusal,
};

__attribute__((weak)) const struct cpu_ops *cpu;

__attribute__((weak)) int vm_fail(struct vm *vm, int error, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	str_format_v(vm->reason, sizeof(vm->reason), fmt, ap);
	va_end(ap);
	return error;
}

__attribute__((weak)) void vm_stop(struct vm *vm, enum vm_state why)
{
	if (vm->state == VM_RUNNING)
		vm->state = why;
}

__attribute__((weak)) int vcpu_single_step(struct vcpu *vcpu)
{
	(void)vcpu;
	return 0;
}

__attribute__((weak)) void panic(const char *fmt, ...)
{
	ck_abort_msg("panic: %s", fmt);
	abort();
}

__attribute__((weak)) u64 host_now(void)
{
	return 0;
}

__attribute__((weak)) void host_timer_set(u64 when)
{
	(void)when;
}

__attribute__((weak)) hpa_t pages_alloc(u64 bytes, u64 align)
{
	return ptr_hpa(aligned_alloc(align, bytes));
}

__attribute__((weak)) void pages_free(hpa_t p, u64 bytes, bool scrub)
{
	if (scrub)
		memset(hpa_ptr(p), 0, bytes);
	free(hpa_ptr(p));
}

__attribute__((weak)) u64 pages_available(u64 *largest)
{
	if (largest)
		*largest = GIB;
	return GIB;
}

void fake_machine_init(struct fake_machine *m)
{
	memset(m, 0, sizeof(*m));
	m->vm.config = &m->config;
	m->vm.vcpu = &m->vcpu;
	strcpy(m->vm.name, "testvm");
	m->config.at = UINT64_MAX;
	m->config.kernel.cmdline = "";
	m->vcpu.vm = &m->vm;
	m->vcpu.cpu_state = &m->cpu;
	m->vcpu.offered = m->vcpu.redeliver = m->cpu.irq = -1;
	for (unsigned i = 0; i < GPR_COUNT; i++)
		m->vcpu.gpr[i] = RUBBISH;
	for (unsigned i = 0; i < VREG_COUNT; i++)
		m->cpu.regs[i] = RUBBISH;
	cpu = &fake_ops;
}

void fake_machine_free(struct fake_machine *m)
{
	for (unsigned i = 0; i < m->ram_count; i++)
		free(m->ram[i]);
	m->ram_count = 0;
}

void fake_add_ram(struct fake_machine *m, u64 start, u64 size)
{
	u8 *ram = aligned_alloc(PAGE_SIZE, size);

	assert(ram && m->ram_count < FAKE_RAM_MAX);
	memset(ram, RAM_FILL, size);
	m->ram[m->ram_count++] = ram;
	if (vm_add_ram(&m->vm, GPA(start), size, ptr_hpa(ram)))
		abort();
}

u8 *fake_ram(struct fake_machine *m, u64 gpa)
{
	u8 *p = vm_ptr(&m->vm, GPA(gpa), 1);

	ck_assert_msg(p, "no RAM at 0x%lx", gpa);
	return p;
}

bool fake_ram_untouched(struct fake_machine *m, u64 start, u64 end)
{
	const u8 *p = vm_ptr(&m->vm, GPA(start), end - start);

	ck_assert_msg(p, "no RAM at 0x%lx-0x%lx", start, end);
	for (u64 i = 0; i < end - start; i++) {
		if (p[i] != RAM_FILL)
			return false;
	}
	return true;
}

u16 get16(const void *p)
{
	u16 v;

	memcpy(&v, p, sizeof(v));
	return v;
}

u32 get32(const void *p)
{
	u32 v;

	memcpy(&v, p, sizeof(v));
	return v;
}

u64 get64(const void *p)
{
	u64 v;

	memcpy(&v, p, sizeof(v));
	return v;
}

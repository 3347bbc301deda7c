/* SPDX-License-Identifier: BSD-3-Clause */
/* fake_guest.c: a guest at an instruction; see fake_guest.h. */
#include <check.h>
#include <string.h>
#include "fake_guest.h"
#include "host/host.h"
#include "lib/errno.h"
#include "x86/paging.h"

#define DATA_ATTRIB (SEG_P | SEG_S | SEG_TYPE_DATA_RW)
#define CODE_ATTRIB (SEG_P | SEG_S | SEG_TYPE_CODE_RX)
#define FLAGS_PAGE  (PTE_P | PTE_W | PTE_U)

static void set_segments(struct fake_machine *m, u32 limit, u16 code, u16 data)
{
	for (enum seg seg = SEG_ES; seg <= SEG_GS; seg++) {
		m->cpu.segs[seg] = (struct segment){
			.limit = limit,
			.attrib = seg == SEG_CS ? CODE_ATTRIB | code : DATA_ATTRIB | data,
		};
	}
}

static void set_mode(struct fake_machine *m, enum code_size code)
{
	u64 *regs = m->cpu.regs;

	regs[VREG_CR0] = CR0_ET | (code == CODE_16 ? 0 : CR0_PE);
	regs[VREG_CR3] = regs[VREG_CR4] = regs[VREG_EFER] = 0;
	if (code == CODE_16) {
		set_segments(m, 0xffff, 0, 0);
	} else if (code == CODE_32) {
		set_segments(m, 0xffffffff, SEG_G | SEG_DB, SEG_G | SEG_DB);
	} else {
		set_segments(m, 0xffffffff, SEG_G | SEG_L, SEG_G | SEG_DB);
		regs[VREG_CR0] |= CR0_PG;
		regs[VREG_CR3] = GUEST_TABLES;
		regs[VREG_CR4] = CR4_PAE;
		regs[VREG_EFER] = EFER_LME | EFER_LMA;
	}
}

static void make_tables(struct fake_machine *m)
{
	u64 *tables = (u64 *)fake_ram(m, GUEST_TABLES);

	memset(tables, 0, 4 * PAGE_SIZE);
	for (int level = 0; level < 3; level++)
		tables[level * PT_ENTRIES] = (GUEST_TABLES + (level + 1) * PAGE_SIZE) | FLAGS_PAGE;
	for (u64 i = 0; i < PT_ENTRIES; i++)
		tables[3 * PT_ENTRIES + i] = i * PAGE_SIZE | FLAGS_PAGE;
}

void fake_guest_create(struct fake_machine *m, enum code_size code)
{
	fake_machine_init(m);
	fake_add_ram(m, 0, GUEST_RAM);
	m->vm.phys_bits = GUEST_PHYS;
	memset(fake_ram(m, GUEST_CODE), 0x90, PAGE_SIZE);
	make_tables(m);
	set_mode(m, code);
	m->cpu.regs[VREG_RIP] = GUEST_CODE;
	m->cpu.regs[VREG_RFLAGS] = RFLAGS_ONE;
	m->cpu.regs[VREG_CR2] = 0xc2;
	m->cpu.regs[VREG_DR6] = DR6_RESET;
}

void fake_guest_destroy(struct fake_machine *m)
{
	fake_machine_free(m);
}

void fake_code_n(struct fake_machine *m, const char *bytes, size_t n)
{
	memcpy(fake_ram(m, m->cpu.regs[VREG_RIP]), bytes, n);
}

u64 *fake_pte(struct fake_machine *m, u64 gva)
{
	return (u64 *)fake_ram(m, GUEST_TABLES + 3 * PAGE_SIZE) + pt_index(gva, 1);
}

struct exit fake_exit(struct fake_machine *m, enum exit_kind kind)
{
	return (struct exit){.kind = kind, .rip = m->cpu.regs[VREG_RIP]};
}

void assert_exception(struct fake_machine *m, u8 vector, u32 error)
{
	bool has_error = VECTORS_WITH_ERROR >> vector & 1;

	ck_assert_msg(m->cpu.waiting, "no event is waiting");
	ck_assert_int_eq(m->cpu.event.kind, EVENT_EXCEPTION);
	ck_assert_uint_eq(m->cpu.event.vector, vector);
	ck_assert_int_eq(m->cpu.event.has_error, has_error);
	if (has_error)
		ck_assert_uint_eq(m->cpu.event.error, error);
	m->cpu.waiting = false;
}

void assert_page_fault(struct fake_machine *m, u64 address, u32 error)
{
	assert_exception(m, VEC_PF, error);
	ck_assert_uint_eq(m->cpu.event.address, address);
	ck_assert_uint_eq(m->cpu.regs[VREG_CR2], address);
}

void assert_no_event(struct fake_machine *m)
{
	ck_assert_msg(!m->cpu.waiting, "an event is waiting: vector %u, error %#x",
		      m->cpu.event.vector, m->cpu.event.error);
}

void assert_skipped(struct fake_machine *m, u64 n)
{
	ck_assert_uint_eq(m->cpu.regs[VREG_RIP], GUEST_CODE + n);
	ck_assert_uint_eq(m->cpu.advances, n ? 1 : 0);
	m->cpu.advances = 0;
}

/* xorshift64* */
u64 random_next(u64 *state)
{
	u64 x = *state;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	*state = x;
	return x * 0x2545f4914f6cdd1dull;
}

u64 random_below(u64 *state, u64 n)
{
	return (random_next(state) >> 33) % n;
}

/* What is not tested with this guest: the emulator, the console. */
__attribute__((weak)) int vcpu_mmio_exit(struct vcpu *vcpu, const struct exit *exit)
{
	(void)exit;
	return vm_fail(vcpu->vm, -ENOSYS, "memory-mapped I/O");
}

__attribute__((weak)) void vm_console_write(struct vm *vm, u8 byte)
{
	(void)vm, (void)byte;
}

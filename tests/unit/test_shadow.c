/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_shadow.c: tests of shadow paging (src/paging/shadow*.c) and of the plain virtual TLB (vtlb.c).
 *
 * A processor is modelled here as far as paging goes: it walks the shadow tables with the registers
 * that it was given, sets accessed and dirty bits in them, and remembers translations in a TLB until
 * it is told to flush. On it runs a guest that does random things with its page tables, written
 * through its own addresses. Each access must come to what an oracle says, which reads the guest's
 * tables by the manual (APM vol. 2 §5.2-5.6), slowly, and shares nothing with src/x86/walk.c:
 * the same byte, the same #PF, or "no RAM".
 *
 *	guest physical		8 MiB of RAM, then nothing
 *	guest virtual		0: all RAM, in large pages; from TEST on: random tables
 */
#include <stdlib.h>
#include <string.h>
#include "fake_guest.h"
#include "fake_pages.h"
#include "lib/errno.h"
#include "suite.h"
#include "vmm/exit.h"
#include "vmm/paging_ops.h"
#include "x86/paging.h"

#define RAM	   (8 * MIB)
#define FRAME_MAX  (RAM / PAGE_SIZE)
#define SPACES	   3
#define SHARED	   6 /* page tables that any directory entry may name */
#define ENTRIES	   4 /* directory entries under test, and entries in each table */
#define TABLE(n)   ((u64)(n)*PAGE_SIZE)
#define ROOT(n)	   TABLE(1 + (n))
#define MIDDLE(n)  TABLE(5 + (n))
#define DIR(n)	   TABLE(10 + (n))
#define SMALL(n)   TABLE(20 + (n))
#define FIRST_TEST 8 /* directory entry */
#define TLB	   64

enum kind { KIND_32, KIND_PAE, KIND_LONG };

static struct fake_machine m;
static u8 *ram;
static const struct paging_ops *ops;
static enum kind kind;
static u64 seed;
static unsigned now;
static unsigned counts[3]; /* bytes found, faults, no RAM */

static struct {
	bool valid, dirty;
	u64 page;
	u64 entry; /* of a small page: address and rights, all levels combined */
} tlb[TLB];
static unsigned tlb_flushes;

/* ---- the processor ----------------------------------------------------------------------------- */

static bool hw_allowed(u64 entry, u32 access, bool user)
{
	const struct paging_regs *r = &m.cpu.real;
	bool ac = m.cpu.regs[VREG_RFLAGS] & RFLAGS_AC;

	if (user && !(entry & PTE_U))
		return false;
	if (access & WALK_WRITE && !(entry & PTE_W))
		return false;
	if (access & WALK_FETCH && entry & PTE_NX)
		return false;
	if (user || !(entry & PTE_U))
		return true;
	return access & WALK_FETCH ? !(r->cr4 & CR4_SMEP) : !(r->cr4 & CR4_SMAP) || ac;
}

/* Walk the real tables. Return: the #PF error code's bits 0 and 3, or 0x100 with the entry. */
static u32 hw_walk(u64 gva, u32 access, bool user, u64 *result)
{
	const struct paging_regs *r = &m.cpu.real;
	int top = r->efer & EFER_LME ? 4 : 3;
	u64 *table = hpa_ptr(HPA(r->cr3)), rights = PTE_W | PTE_U, nx = 0, size;

	ck_assert_uint_eq(r->cr0 & (CR0_PG | CR0_WP), CR0_PG | CR0_WP);
	ck_assert(r->cr4 & CR4_PAE);
	for (int level = top;; level--) {
		unsigned i = gva >> pt_shift(level) & (top == 3 && level == 3 ? 3 : 511);
		u64 entry = table[i];

		if (!(entry & PTE_P))
			return 0;
		if (top == 3 && level == 3) {
			assert_quietly(!(entry & 0x1e6), "reserved bits in a directory pointer");
		} else {
			rights &= entry;
			nx |= entry & PTE_NX;
			table[i] |= PTE_A;
		}
		if (level == 1 || entry & PTE_PS) {
			size = 1ull << pt_shift(level);
			*result = (entry & PTE_ADDR & ~(size - 1)) |
				  (gva & (size - 1) & ~0xfffull) | rights | nx;
			if (!hw_allowed(*result, access, user))
				return PF_PRESENT;
			if (access & WALK_WRITE)
				table[i] |= PTE_D;
			return 0x100;
		}
		table = hpa_ptr(HPA(entry & PTE_ADDR));
	}
}

static u32 hw_access(u64 gva, u32 access, bool user, u64 *hpa)
{
	unsigned i = gva / PAGE_SIZE % TLB;
	u64 entry;
	u32 error;

	if (tlb_flushes != m.cpu.flushes)
		memset(tlb, 0, sizeof(tlb));
	tlb_flushes = m.cpu.flushes;
	if (!tlb[i].valid || tlb[i].page != gva / PAGE_SIZE ||
	    !hw_allowed(tlb[i].entry, access, user) || (access & WALK_WRITE && !tlb[i].dirty)) {
		tlb[i].valid = false;
		error = hw_walk(gva, access, user, &entry);
		if (error != 0x100)
			return error;
		tlb[i].valid = true;
		tlb[i].dirty = access & WALK_WRITE;
		tlb[i].page = gva / PAGE_SIZE;
		tlb[i].entry = entry;
	}
	*hpa = (tlb[i].entry & PTE_ADDR) | (gva & 0xfff);
	return 0x100;
}

/* ---- the oracle -------------------------------------------------------------------------------- */

static u64 read_entry(u64 gpa)
{
	u64 wide;
	u32 narrow;

	ck_assert_uint_lt(gpa, RAM);
	if (kind == KIND_32) {
		memcpy(&narrow, ram + gpa, 4);
		return narrow;
	}
	memcpy(&wide, ram + gpa, 8);
	return wide;
}

static u64 oracle_leaf; /* the entry that maps the page */

/* Return: the error code, or -1 with the address. */
static int oracle(u64 gva, u32 access, bool user, u64 *gpa)
{
	u64 cr0 = m.cpu.regs[VREG_CR0], cr4 = m.cpu.regs[VREG_CR4];
	bool nxe = m.cpu.regs[VREG_EFER] & EFER_NXE && kind != KIND_32;
	bool write = access & WALK_WRITE, fetch = access & WALK_FETCH;
	int bits = kind == KIND_32 ? 10 : 9, level = kind == KIND_LONG	? 4
						     : kind == KIND_PAE ? 3
									: 2;
	u64 table = m.cpu.regs[VREG_CR3] & ~0xfffull, entry, size;
	bool w = true, u = true, nx = false, rsvd = false;
	int error = (write ? PF_WRITE : 0) | (user ? PF_USER : 0) |
		    (fetch && (nxe || cr4 & CR4_SMEP) ? PF_FETCH : 0);

	for (;; level--) {
		int shift = 12 + bits * (level - 1);
		u64 index = gva >> shift & ((1u << bits) - 1);

		entry = read_entry(table + index * (kind == KIND_32 ? 4 : 8));
		if (!(entry & 1))
			return error;
		if (kind != KIND_32) {
			rsvd |= entry >> 63 && !nxe;
			rsvd |= (entry >> GUEST_PHYS & ((1ull << (52 - GUEST_PHYS)) - 1)) != 0;
			rsvd |= kind == KIND_PAE && (entry >> 52 & 0x7ff);
		}
		if (!(kind == KIND_PAE && level == 3)) {
			w &= entry >> 1 & 1;
			u &= entry >> 2 & 1;
			nx |= entry >> 63;
		}
		size = 1ull << shift;
		if (rsvd)
			return error | PF_PRESENT | PF_RSVD;
		if (level == 1 || (level == 2 && entry & 0x80))
			break;
		table = entry & 0xffffffffff000;
	}
	if (level == 2 && entry & (size - 1) & ~0x1fffull)
		return error | PF_PRESENT | PF_RSVD;
	oracle_leaf = entry;
	*gpa = (entry & 0xffffffffff000 & ~(size - 1)) | (gva & (size - 1));
	if ((user && !u) || (write && !w && (user || cr0 & CR0_WP)) || (fetch && nx))
		return error | PF_PRESENT;
	if (!user && u && (fetch ? cr4 & CR4_SMEP : cr4 & CR4_SMAP))
		return error | PF_PRESENT;
	return -1;
}

/* ---- the guest --------------------------------------------------------------------------------- */

static void written(void)
{
	ops->registers_written(&m.vcpu);
}

/* One access, to its end. Return: host memory, or NULL if it faulted or there is no RAM. */
static u8 *access_memory(u64 gva, u32 access, bool user)
{
	u64 want_gpa = 0, hpa;
	int want = oracle(gva, access, user, &want_gpa);

	m.cpu.cpl = user ? 3 : 0;
	for (int i = 0; i < 8; i++) {
		struct exit exit = {.kind = EXIT_EXCEPTION};
		gpa_t gpa = GPA(~0ull);
		u32 error = hw_access(gva, access, user, &hpa);
		int err;

		if (error == 0x100) {
			assert_quietly(want == -1, "%#lx: found, and should fault with %#x", gva,
				       want);
			assert_quietly(hpa == (uintptr_t)ram + want_gpa,
				       "%#lx: at %#lx, and should be at %#lx", gva,
				       hpa - (uintptr_t)ram, want_gpa);
			oracle(gva, access, user, &want_gpa);
			assert_quietly(oracle_leaf & PTE_A &&
					       (!(access & WALK_WRITE) || oracle_leaf & PTE_D),
				       "%#lx: accessed and dirty bits: %#lx", gva, oracle_leaf);
			counts[0]++;
			return hpa_ptr(HPA(hpa));
		}
		exit.exception.vector = VEC_PF;
		exit.exception.address = gva;
		exit.exception.error = error | (access & WALK_WRITE ? PF_WRITE : 0) |
				       (access & WALK_FETCH ? PF_FETCH : 0) | (user ? PF_USER : 0);
		err = ops->page_fault(&m.vcpu, &exit, &gpa);
		if (err == -ENOENT) {
			assert_quietly(want == -1 && want_gpa == gpa.a && want_gpa >= RAM,
				       "%#lx: no RAM at %#lx; and should be %d, %#lx", gva, gpa.a,
				       want, want_gpa);
			counts[2]++;
			return NULL;
		}
		ck_assert_msg(!err, "%s", m.vm.reason);
		if (m.cpu.waiting) {
			assert_quietly(want == (int)m.cpu.event.error,
				       "%#lx access %#x: #PF(%#x), expected %#x", gva, access,
				       m.cpu.event.error, want);
			assert_page_fault(&m, gva, want);
			counts[1]++;
			return NULL;
		}
	}
	ck_abort_msg("%#lx: no end", gva);
	return NULL;
}

/* Write an entry of a table as the guest does: through its own address for it. */
static void put(u64 table, unsigned index, u64 value)
{
	unsigned bytes = kind == KIND_32 ? 4 : 8;
	u64 old = m.cpu.regs[VREG_CR4];
	u8 *p;

	m.cpu.regs[VREG_RFLAGS] |= RFLAGS_AC;
	p = access_memory(table + index * bytes, WALK_WRITE, false);
	ck_assert_ptr_nonnull(p);
	memcpy(p, &value, bytes);
	m.cpu.regs[VREG_RFLAGS] &= ~RFLAGS_AC;
	ck_assert_uint_eq(m.cpu.regs[VREG_CR4], old);
}

static u64 test_address(unsigned entry, unsigned slot)
{
	return ((u64)(FIRST_TEST + entry) << (kind == KIND_32 ? 22 : 21)) + slot * 37 * PAGE_SIZE;
}

static u64 root_of(unsigned space)
{
	return kind == KIND_32 ? DIR(space) : ROOT(space);
}

/* Raw, before the guest runs. */
static void poke(u64 table, unsigned index, u64 value)
{
	unsigned bytes = kind == KIND_32 ? 4 : 8;

	memcpy(ram + table + index * bytes, &value, bytes);
}

static void make_space(unsigned n)
{
	unsigned large = kind == KIND_32 ? 2 : 4;

	if (kind == KIND_LONG) {
		poke(ROOT(n), 0, MIDDLE(n) | PTE_P | PTE_W | PTE_U);
		poke(MIDDLE(n), 0, DIR(n) | PTE_P | PTE_W | PTE_U);
	} else if (kind == KIND_PAE) {
		poke(ROOT(n), 0, DIR(n) | PTE_P);
	}
	for (unsigned i = 0; i < large; i++)
		poke(DIR(n), i, i * (RAM / large) | PTE_P | PTE_W | PTE_PS);
}

static const char *const modes[] = {"shadow", "vtlb"};

static void start(enum kind k, const char *mode)
{
	const struct paging_ops *const *it;

	kind = k;
	fake_machine_init(&m);
	fake_pages_low(true);
	ram = aligned_alloc(LARGE_SIZE, RAM);
	memset(ram, 0, RAM);
	ck_assert_int_eq(vm_add_ram(&m.vm, GPA(0), RAM, ptr_hpa(ram)), 0);
	set_for_each (paging_modes, it)
		ops = !strcmp((*it)->name, mode) ? *it : ops;
	m.vm.paging = ops;
	m.vm.phys_bits = GUEST_PHYS;
	for (unsigned i = 0; i < SPACES; i++)
		make_space(i);
	m.cpu.regs[VREG_CR0] = CR0_PE | CR0_PG | CR0_ET | CR0_WP;
	m.cpu.regs[VREG_CR3] = root_of(now = 0);
	m.cpu.regs[VREG_CR4] = kind == KIND_32 ? CR4_PSE : CR4_PAE;
	m.cpu.regs[VREG_EFER] = EFER_NXE | (kind == KIND_LONG ? EFER_LME | EFER_LMA : 0);
	m.cpu.regs[VREG_RFLAGS] = RFLAGS_ONE;
	m.cpu.regs[VREG_CR2] = 0;
	memset(tlb, 0, sizeof(tlb));
	memset(counts, 0, sizeof(counts));
	ck_assert_int_eq(ops->vm_create(&m.vm), 0);
	ck_assert_int_eq(ops->vcpu_create(&m.vcpu), 0);
	written();
}

static void stop(void)
{
	ops->vm_destroy(&m.vm);
	ck_assert_uint_eq(fake_pages_live(), 0);
	fake_pages_low(false);
	free(ram);
}

/* ---- the fuzzer -------------------------------------------------------------------------------- */

static u64 random_flags(void)
{
	u64 flags = random_next(&seed) & (PTE_W | PTE_U | PTE_A | PTE_D | PTE_G);

	if (random_below(&seed, 8))
		flags |= PTE_P;
	if (random_below(&seed, 3))
		flags |= PTE_W | PTE_U;
	if (kind != KIND_32 && !random_below(&seed, 6))
		flags |= PTE_NX;
	if (kind != KIND_32 && !random_below(&seed, 40))
		flags |= BIT(GUEST_PHYS + 1);
	return flags;
}

/* A page of data, of a table (ours are in the first 64), or where no RAM is. */
static u64 random_frame(void)
{
	u64 n = random_below(&seed, 8);

	return (n < 2	? random_below(&seed, 64)
		: n < 3 ? FRAME_MAX + random_below(&seed, 16)
			: random_below(&seed, FRAME_MAX)) *
	       PAGE_SIZE;
}

static void change_page(void)
{
	unsigned table = random_below(&seed, SHARED), slot = random_below(&seed, ENTRIES);

	put(SMALL(table), slot * 37, random_frame() | random_flags());
	for (unsigned i = 0; i < ENTRIES; i++)
		ops->invlpg(&m.vcpu, GVA(test_address(i, slot)));
}

static void change_directory(void)
{
	unsigned space = random_below(&seed, SPACES), entry = random_below(&seed, ENTRIES);
	u64 value = SMALL(random_below(&seed, SHARED)) | random_flags();
	u64 size = kind == KIND_32 ? 4 * MIB : LARGE_SIZE;

	if (!random_below(&seed, 4))
		value = random_below(&seed, RAM / size + 1) * size | random_flags() | PTE_PS;
	put(DIR(space), FIRST_TEST + entry, value);
	if (random_below(&seed, 2)) {
		written();
		return;
	}
	for (unsigned i = 0; space == now && i < 16; i++)
		ops->invlpg(&m.vcpu, GVA(test_address(entry, 0) + i * 37 * PAGE_SIZE));
}

static void change_registers(void)
{
	static const u64 bits[] = {CR4_SMEP, CR4_SMAP, CR4_PGE};

	switch (random_below(&seed, 3)) {
	case 0:
		m.cpu.regs[VREG_CR0] ^= CR0_WP;
		break;
	case 1:
		m.cpu.regs[VREG_EFER] ^= EFER_NXE;
		break;
	default:
		m.cpu.regs[VREG_CR4] ^= bits[random_below(&seed, 3)];
	}
	written();
}

static void random_access(void)
{
	u64 gva = test_address(random_below(&seed, ENTRIES), random_below(&seed, ENTRIES));
	static const u32 accesses[] = {0, WALK_WRITE, WALK_FETCH};
	u32 access = accesses[random_below(&seed, 3)];
	u8 *p = access_memory(gva + random_below(&seed, PAGE_SIZE), access, random_below(&seed, 2));

	/* nothing is written to tables: what they say afterwards would be nobody's intention */
	if (p && access & WALK_WRITE && (u64)(p - ram) >= 64 * PAGE_SIZE)
		*p ^= 1;
}

static void step(void)
{
	u64 n = random_below(&seed, 100);

	if (n < 12) {
		change_page();
	} else if (n < 16) {
		change_directory();
	} else if (n < 22) {
		now = random_below(&seed, SPACES);
		m.cpu.regs[VREG_CR3] = root_of(now);
		written();
	} else if (n < 23) {
		change_registers();
	} else {
		random_access();
	}
}

#define RANDOM 12 /* runs of each mode */

START_TEST(test_random)
{
	start(_i % 3, modes[_i / RANDOM]);
	seed = 0x1234567 + _i * 7919;
	for (unsigned i = 0; i < 40000; i++)
		step();
	for (unsigned i = 0; i < ARRAY_SIZE(counts); i++)
		ck_assert_uint_gt(counts[i], 500);
	stop();
}
END_TEST

/* ---- one thing at a time ----------------------------------------------------------------------- */

START_TEST(test_no_paging)
{
	start(KIND_32, modes[_i]);
	m.cpu.regs[VREG_CR0] = CR0_ET;
	m.cpu.regs[VREG_CR4] = CR4_SMEP;
	written();
	ck_assert(m.cpu.real.cr0 & CR0_PG && !(m.cpu.real.cr0 & CR0_PE));
	ck_assert_uint_eq(m.cpu.real.cr4 & CR4_SMEP, 0);
	ck_assert_uint_eq(m.cpu.regs[VREG_CR0], CR0_ET);
	for (u64 gva = 0; gva < RAM; gva += 0x12345) {
		u64 hpa;

		while (hw_access(gva, WALK_WRITE, false, &hpa) != 0x100) {
			struct exit exit = {.exception = {.address = gva, .error = PF_WRITE}};
			gpa_t gpa;

			ck_assert_int_eq(ops->page_fault(&m.vcpu, &exit, &gpa), 0);
		}
		ck_assert_uint_eq(hpa, (uintptr_t)ram + gva);
	}
	stop();
}
END_TEST

START_TEST(test_no_memory)
{
	fake_machine_init(&m);
	start(KIND_LONG, modes[_i]);
	ops->vm_destroy(&m.vm);
	for (int n = 0, err = -ENOMEM; err; n++) {
		fake_pages_fail_after(n);
		err = ops->vm_create(&m.vm);
		fake_pages_fail_after(-1);
		ck_assert_int_eq(err, n < 2 || err ? -ENOMEM : 0);
		if (m.vm.paging_state)
			ops->vm_destroy(&m.vm);
	}
	ck_assert_uint_eq(fake_pages_live(), 0);
	fake_pages_low(false);
	free(ram);
}
END_TEST

/* Tables where no RAM is stop the VM, with a sentence. */
START_TEST(test_tables_nowhere)
{
	struct exit exit = {.exception = {.vector = VEC_PF, .address = 0x1000}};
	gpa_t gpa;

	start(_i % 3, modes[_i / 3]);
	m.cpu.regs[VREG_CR3] = RAM + 2 * PAGE_SIZE;
	written();
	ck_assert_int_lt(ops->page_fault(&m.vcpu, &exit, &gpa), 0);
	ck_assert_ptr_nonnull(strstr(m.vm.reason, "page tables"));
	stop();
}
END_TEST

/* A directory pointer goes bad while what it leads to is known well: still nobody may use it. */
START_TEST(test_bad_pointer)
{
	static const u64 bad[] = {1ull << GUEST_PHYS, 1ull << 62};

	start(KIND_PAE, modes[_i]);
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		ck_assert_ptr_nonnull(access_memory(0x1000, 0, false));
		poke(ROOT(0), 0, DIR(0) | PTE_P | bad[i]);
		written();
		ck_assert_ptr_null(access_memory(0x1000, 0, false));
		poke(ROOT(0), 0, DIR(0) | PTE_P);
		written();
	}
	stop();
}
END_TEST

static Suite *shadow_suite(void)
{
	Suite *suite = suite_create("shadow");
	TCase *tc = tcase_create("shadow");

	tcase_add_loop_test(tc, test_random, 0, 2 * RANDOM);
	tcase_add_loop_test(tc, test_no_paging, 0, 2);
	tcase_add_loop_test(tc, test_no_memory, 0, 2);
	tcase_add_loop_test(tc, test_tables_nowhere, 0, 6);
	tcase_add_loop_test(tc, test_bad_pointer, 0, 2);
	suite_add_tcase(suite, tc);
	return suite;
}
SET_ADD(suites, suite_fn, shadow_suite);

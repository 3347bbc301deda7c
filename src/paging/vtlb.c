/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vtlb.c: shadow paging at its plainest: a TLB kept in software.
 *
 * The guest has page tables, from guest virtual to guest physical addresses. A processor without nested
 * paging wants tables that lead to host physical ones. So it is never shown the guest's: it runs the
 * guest on tables of ours, in which we enter what the guest's mean:
 *
 *	guest virtual ---- the guest's tables ----> guest physical ---- memory map ----> host physical
 *	      |                                                                               ^
 *	      +------------------------------- our tables ------------------------------------+
 *
 * The guest does not notice, because a processor may remember translations in its TLB and use them
 * until it is told to forget. Our tables are nothing but a very large TLB:
 *
 *	empty at first		every access that is not there yet is a #PF, which we see first
 *	filled by #PF		walk the guest's tables, enter what comes of it, let it try again; if
 *				the walk fails, the #PF is the guest's own
 *	emptied by the guest	INVLPG, and writes of CR0, CR3, CR4 and EFER, are intercepted
 *
 * Forgetting more than the guest asks for is always right, and here a write of CR3 forgets all. That is
 * slow: shadow.c keeps what need not be forgotten, and is five times as long.
 *
 * The tables have 64-bit entries: four levels for a guest in long mode, PAE's three for all others, for
 * PAE's four directory pointers are a root of which only 32 bytes count. All pages are of 4 KiB.
 *
 *	1. the tables
 *	2. a translation
 *	3. a #PF
 *	4. forgetting
 *	5. the table of operations
 */
#include "host/host.h"
#include "lib/errno.h"
#include "lib/lab.h"
#include "lib/string.h"
#include "paging/real_regs.h"
#include "vmm/paging_ops.h"
#include "vmm/vcpu.h"
#include "x86/paging.h"

#define POOL_PAGES 512
#define LINK	   (PTE_P | PTE_W | PTE_U | PTE_A)

struct vtlb {
	u64 *root; /* in the pool, the first */
	u64 *pool; /* below 4 GiB, for CR3 has 32 bits outside long mode */
	unsigned used;
	bool wide; /* four levels */
};

static struct vtlb *vtlb_of(struct vcpu *vcpu)
{
	return vcpu->vm->paging_state;
}

/* ---- 1. the tables ----------------------------------------------------------------------------- */

/* An empty table, or NULL if the pool is used up. */
static u64 *new_table(struct vtlb *t)
{
	u64 *table = t->pool + t->used * PT_ENTRIES;

	if (t->used == POOL_PAGES)
		return NULL;
	t->used++;
	return memset(table, 0, PAGE_SIZE);
}

/* Forget everything. Directory pointers are loaded with CR3 only, so the four are there from the start. */
static void forget_all(struct vtlb *t)
{
	t->used = 0;
	t->root = new_table(t);
	for (unsigned i = 0; i < 4 && !t->wide; i++)
		t->root[i] = ptr_hpa(new_table(t)).a | PTE_P;
}

/* Our entry for @gva, with tables made on the way; NULL if there is none left. */
static u64 *entry_for(struct vtlb *t, gva_t gva)
{
#if SOLVED >= 3
	u64 *table = t->root;

	for (int level = t->wide ? 4 : 3; level > 1; level--) {
		unsigned slot = pt_index(gva.a, level);
		u64 *next;

		if (!t->wide && level == 3)
			slot &= 3;
		if (!(table[slot] & PTE_P)) {
			next = new_table(t);
			if (!next)
				return NULL;
			table[slot] = ptr_hpa(next).a | LINK;
		}
		table = hpa_ptr(HPA(table[slot] & PTE_ADDR));
	}
	return &table[pt_index(gva.a, 1)];
#else
	/*
	 * Exercise 3.2. From t->root down to level 1: four levels if t->wide, else three, of which the
	 * highest has only four entries. A link allows everything (LINK): what is forbidden, the last
	 * entry says. Where a table is missing, make one (new_table); NULL if it cannot be.
	 *
	 * Handout: lab 3, "Tables of our own". APM vol. 2 §5.2.2, §5.3.
	 */
	LAB(3, "3.2", "find our entry for a guest virtual address");
#endif
}

/* ---- 2. a translation -------------------------------------------------------------------------- */

/*
 * What our entry is to be, for a walk that has been granted to this access.
 *
 * Writable only once the guest's entry is dirty: the first write comes here, and the walk marks it.
 * One case is odd: with CR0.WP clear a supervisor may write to a read-only page, but our own WP is set.
 * The page is then made writable, and the supervisor's alone, until a user comes and faults.
 */
static u64 leaf(struct vcpu *vcpu, const struct walk *walk, const void *ram, u32 error)
{
#if SOLVED >= 3
	u64 entry = ptr_hpa(ram).a | PTE_P | PTE_A | PTE_D;

	if (walk->nx)
		entry |= PTE_NX;
	if (walk->user)
		entry |= PTE_U;
	if (walk->writable && walk->dirty)
		return entry | PTE_W;
	if (error & PF_WRITE && !(error & PF_USER)) { /* granted all the same: CR0.WP is clear */
		entry = (entry | PTE_W) & ~PTE_U;
		if (walk->user && vcpu_get(vcpu, VREG_CR4) & CR4_SMEP)
			entry |= PTE_NX;
	}
	return entry;
#else
	/*
	 * Exercise 3.3. Present, accessed and dirty always: our own bits are of no interest. No
	 * execution, user's, writable: as the walk found, with the two exceptions of the comment above.
	 *
	 * Hint: for the odd case think of SMEP, too: a page that was the user's must not become one
	 * that the supervisor may execute.
	 */
	LAB(3, "3.3", "make an entry of what a walk found");
#endif
}

static void enter(struct vcpu *vcpu, gva_t gva, u64 value)
{
	struct vtlb *t = vtlb_of(vcpu);
	u64 *entry = entry_for(t, gva);

	if (!entry) { /* the pool is used up: begin anew, with all of it */
		forget_all(t);
		cpu->flush(vcpu);
		entry = entry_for(t, gva);
	}
	if (*entry & PTE_P)
		cpu->flush(vcpu); /* it may be remembered as it was */
	*entry = value;
}

/* ---- 3. a #PF ---------------------------------------------------------------------------------- */

/* What access it was, in the walker's words. */
static u32 access_of(struct vcpu *vcpu, u32 error)
{
	u32 access = 0;

	if (error & PF_WRITE)
		access |= WALK_WRITE;
	if (error & PF_FETCH)
		access |= WALK_FETCH;
	if (!(error & PF_USER) && cpu->get_cpl(vcpu) == 3)
		access |= WALK_SYSTEM; /* such as to a descriptor table, for a user's instruction */
	return access;
}

static int vtlb_page_fault(struct vcpu *vcpu, const struct exit *exit, gpa_t *gpa)
{
#if SOLVED >= 3
	gva_t gva = GVA(exit->exception.address);
	u32 error = exit->exception.error;
	struct walk walk;
	const void *ram;
	int err = vcpu_translate(vcpu, gva, access_of(vcpu, error), &walk);

	if (err == -EFAULT) {
		vcpu_page_fault(vcpu, gva, walk.error);
		return 0;
	}
	if (err)
		return vm_fail(vcpu->vm, err, "its page tables are at an address without RAM");
	*gpa = walk.gpa;
	ram = vm_ptr(vcpu->vm, GPA(align_down(walk.gpa.a, PAGE_SIZE)), PAGE_SIZE);
	if (!ram)
		return -ENOENT;
	enter(vcpu, gva, leaf(vcpu, &walk, ram, error));
	return 0;
#else
	/*
	 * Exercise 3.4. A #PF of the processor's, on our tables. Whose is it? Walk the guest's tables
	 * for the same access (vcpu_translate, access_of):
	 *
	 *	-EFAULT		the guest's own: give it to the guest (vcpu_page_fault), with the error
	 *			code that the walk gives. Ours it must never see. 0.
	 *	another error	its tables lie where there is no RAM: vm_fail() with a sentence
	 *	no RAM at the physical address: *gpa says where, and -ENOENT makes it a device's
	 *	RAM		enter() what leaf() makes of it; the guest tries again. 0.
	 *
	 * Hint: vm_ptr() wants the page's first byte: an entry maps a page.
	 *
	 * Handout: lab 3, "Whose fault is it?". APM vol. 2 §15.12.15, §8.4.2.
	 */
	LAB(3, "3.4", "sort a page fault");
#endif
}

/* ---- 4. forgetting ------------------------------------------------------------------------------ */

/* CR0, CR3, CR4 or EFER: whatever changed, begin anew. */
static void vtlb_registers_written(struct vcpu *vcpu)
{
	struct vtlb *t = vtlb_of(vcpu);
	struct walk_regs regs;

	cpu->get_walk(vcpu, &regs);
#if SOLVED >= 3
	t->wide = regs.efer & EFER_LMA;
	forget_all(t);
	real_registers(vcpu, &regs, t->root);
	cpu->flush(vcpu);
#else
	/*
	 * Exercise 3.5. A guest in long mode needs tables of four levels (t->wide). Then forget
	 * everything, ours and the processor's (cpu->flush); between the two real_registers() tells the
	 * processor the root.
	 */
	LAB(3, "3.5", "forget when the guest's registers are written");
#endif
}

static void vtlb_invlpg(struct vcpu *vcpu, gva_t gva)
{
	(void)gva;
#if SOLVED >= 3
	forget_all(vtlb_of(vcpu)); /* the guest's page may have been a large one, many of ours */
	cpu->flush(vcpu);
#else
	/*
	 * Exercise 3.5, continued. INVLPG: the guest wants the translation of one page forgotten, ours
	 * and the processor's. To forget more is allowed. What if that page was a large one of the
	 * guest's, and its entry has been changed already?
	 *
	 * Handout: lab 3, "Forgetting". APM vol. 2 §5.5.2.
	 */
	LAB(3, "3.5", "forget one page");
#endif
}

/* ---- 5. the table of operations ------------------------------------------------------------------ */

static int vtlb_vm_create(struct vm *vm)
{
	struct vtlb *t = kalloc(sizeof(*t));

	if (!t)
		return -ENOMEM;
	vm->paging_state = t;
	t->pool = pages_alloc_zero(POOL_PAGES * PAGE_SIZE, PAGE_SIZE);
	if (!t->pool)
		return -ENOMEM;
	if (ptr_hpa(t->pool).a + POOL_PAGES * PAGE_SIZE > 4 * GIB)
		return vm_fail(vm, -ENOMEM, "shadow paging needs memory below 4 GiB");
	return 0;
}

static void vtlb_vm_destroy(struct vm *vm)
{
	struct vtlb *t = vm->paging_state;

	if (t->pool)
		pages_free(ptr_hpa(t->pool), POOL_PAGES * PAGE_SIZE, true);
	kfree(t, sizeof(*t));
	vm->paging_state = NULL;
}

static int vtlb_vcpu_create(struct vcpu *vcpu)
{
	real_registers_begin(vcpu);
	return 0;
}

static int vtlb_remap(struct vm *vm, gpa_t start, u64 size)
{
	(void)start, (void)size;
	if (vm->vcpu)
		vtlb_registers_written(vm->vcpu);
	return 0;
}

static int vtlb_fault(struct vcpu *vcpu, const struct exit *exit)
{
	return vm_fail(vcpu->vm, -EIO, "a nested page fault at %#llx, without nested paging",
		       (unsigned long long)exit->memory.gpa.a);
}

static bool vtlb_present(const char **why)
{
	(void)why;
	return true;
}

static const struct paging_ops vtlb_ops = {
	.name = "vtlb",
	.rank = 1,
	.present = vtlb_present,
	.vm_create = vtlb_vm_create,
	.vm_destroy = vtlb_vm_destroy,
	.vcpu_create = vtlb_vcpu_create,
	.remap = vtlb_remap,
	.fault = vtlb_fault,
	.registers_written = vtlb_registers_written,
	.invlpg = vtlb_invlpg,
	.page_fault = vtlb_page_fault,
};
PAGING_MODE(vtlb_ops);

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shadow.c: shadow paging, for processors that cannot translate twice.
 *
 * The guest has page tables, from guest virtual to guest physical addresses. The processor wants
 * tables that lead to host physical ones. So it is never shown the guest's: it runs the guest on
 * tables that we make up, the shadows of the guest's own, and the guest does not notice:
 *
 *	guest virtual ---- the guest's tables ----> guest physical ---- memory map ----> host physical
 *	      |                                                                               ^
 *	      +----------------------------- the shadow tables -------------------------------+
 *
 * How could it not notice? Because a processor is allowed to remember translations, in its TLB, and
 * to go on using them until it is told to forget. The shadow tables are nothing but a very large
 * TLB, kept by software. They start empty. An access that they do not have is a #PF, which we see
 * before the guest (APM vol. 2 §15.12.15): then we walk the guest's tables as the processor would
 * have done, accessed and dirty bits included, and either
 *
 *	- the walk fails: it is the guest's own #PF, and the guest gets it, with its own error code;
 *	- it ends at a guest address without RAM: a device's register (exit.c knows what to do);
 *	- it ends in RAM: we enter the translation, and the guest tries again.
 *
 * And what tells a TLB to forget, tells us: INVLPG, and writes of CR0, CR3, CR4 and EFER, all of
 * which are intercepted. There one can stop, and has a VMM that is right and slow: each MOV CR3
 * forgets all. What makes it quick is to keep the shadow of each table for as long as the table stays
 * as it is, and that makes the story longer:
 *
 *	shadow.h		the words: shadow page, role, chain
 *	shadow.c		this: #PF, and the registers
 *	shadow_fill.c		what an entry ought to be, and making it so
 *	shadow_pages.c		the pool of shadow pages; keeping them true when the guest writes
 *	shadow_chains.c		who points to what
 *
 * In what mode the guest really runs is told in real_regs.c. Global pages are not ours: none of our
 * entries is global, and forgetting more than one must is always allowed. Nor is there anything to know
 * of memory types.
 *
 *	1. a #PF
 *	2. registers
 *	3. the rest of struct paging_ops
 */
#include "paging/real_regs.h"
#include "paging/shadow.h"

static struct shadow *shadow_of(struct vcpu *vcpu)
{
	return vcpu->vm->paging_state;
}

/* Some of our entries went, or lost rights: now the processor must forget them, too. */
static void flush_stale(struct vcpu *vcpu)
{
	struct shadow *s = shadow_of(vcpu);

	if (s->stale)
		cpu->flush(vcpu);
	s->stale = false;
}

/* ---- 1. a #PF ---------------------------------------------------------------------------------- */

/* The walker asks for each entry on its way once and in order; so we learn the way. */
static void *note_entry(void *opaque, gpa_t gpa)
{
	struct way *way = opaque;
	u8 *p = vm_ptr(way->vm, GPA(gpa.a & ~7ull), 8);

	if (!p)
		return NULL;
	p += gpa.a & 7;
	if (way->n < ARRAY_SIZE(way->entry)) {
		way->gpa[way->n] = gpa.a;
		way->entry[way->n] = p;
	}
	way->n++;
	return p;
}

static u32 access_of(const struct walk_regs *regs, u32 error)
{
	u32 access = 0;

	if (error & PF_WRITE)
		access |= WALK_WRITE;
	if (error & PF_FETCH)
		access |= WALK_FETCH;
	if (!(error & PF_USER) && regs->cpl == 3)
		access |= WALK_SYSTEM; /* such as to a descriptor table, for a user's instruction */
	return access;
}

/* It is the guest's own. It will want to write to the table that ended the walk: let it. */
static int reflect(struct vcpu *vcpu, gva_t gva, const struct way *way, u32 error)
{
	if (way->n && way->n <= ARRAY_SIZE(way->gpa))
		shadow_write(shadow_of(vcpu), way->gpa[way->n - 1] >> PAGE_SHIFT);
	vcpu_page_fault(vcpu, gva, error);
	return 0;
}

/*
 * The translation was there, and good enough for the walker. Either the processor had an older one,
 * or it knows something that cannot be seen from outside: a system access by a program that is a
 * supervisor's, for which RFLAGS.AC does not open what SMAP has closed. But that nothing is there it
 * can only think if it looks elsewhere: QEMU has no intercept of task switches, which load CR3.
 */
static __slow int try_harder(struct vcpu *vcpu, const struct walk_regs *regs, gva_t gva, u32 access,
			     u32 error)
{
	struct way way = {.vm = vcpu->vm};
	struct walk_mem mem = {.entry = note_entry, .opaque = &way};
	struct walk walk;

	if (!(error & PF_PRESENT) || error & PF_RSVD)
		return vm_fail(
			vcpu->vm, -EIO,
			"the processor does not use the page tables that it was given: it has "
			"switched tasks, which loads CR3, and did not exit for it");
	if (!(error & PF_USER) &&
	    walk_guest(regs, &mem, gva, access | WALK_SYSTEM, &walk) == -EFAULT)
		return reflect(vcpu, gva, &way, walk.error);
	cpu->flush(vcpu);
	return 0;
}

/*
 * The heart of it.
 *
 *	1. Walk the guest's tables. The error code says what access it was.
 *	2. The guest's own fault: give it to the guest.
 *	3. It is right, but where no RAM is.
 *	4. It writes to a page with page tables in it: from now on they may change.
 *	5. Enter the translation; the page's own is written last, when all tables above have shadows.
 *	6. What had to be taken away for that, the processor must forget.
 */
static int shadow_page_fault(struct vcpu *vcpu, const struct exit *exit, gpa_t *gpa)
{
	struct shadow *s = shadow_of(vcpu);
	struct way way = {.vm = vcpu->vm};
	struct walk_mem mem = {.entry = note_entry, .opaque = &way};
	gva_t gva = GVA(exit->exception.address);
	u32 access;
	struct walk_regs regs;
	struct walk walk;
	bool changed;
	int err;

	cpu->get_walk(vcpu, &regs);
	access = access_of(&regs, exit->exception.error);
	err = walk_guest(&regs, &mem, gva, access, &walk); /* 1 */
	if (err == -EFAULT) {
		err = reflect(vcpu, gva, &way, walk.error); /* 2 */
		flush_stale(vcpu);
		return err;
	}
	if (err)
		return vm_fail(vcpu->vm, err, "its page tables are at an address without RAM");
	if (way.n > ARRAY_SIZE(way.entry))
		return 0; /* another CPU changed them meanwhile: let it come again */
	*gpa = walk.gpa;
	if (!vm_ptr(vcpu->vm, walk.gpa, 1))
		return -ENOENT;							    /* 3 */
	changed = access & WALK_WRITE && shadow_write(s, walk.gpa.a >> PAGE_SHIFT); /* 4 */
	changed |= shadow_fill(s, gva, &walk, &way, access & WALK_WRITE,
			       exit->exception.error & PF_USER); /* 5 */
	if (!changed)
		return try_harder(vcpu, &regs, gva, access, exit->exception.error);
	if (exit->exception.error & PF_PRESENT)
		s->stale = true; /* it has seen the entry as it was before */
	flush_stale(vcpu);	 /* 6 */
	return 0;
}

/* ---- 2. registers ------------------------------------------------------------------------------ */

static struct mode mode_of(const struct walk_regs *r)
{
	struct mode mode = {
		.tables = !(r->cr0 & CR0_PG)   ? MODE_NONE
			  : r->efer & EFER_LMA ? MODE_LONG
			  : r->cr4 & CR4_PAE   ? MODE_PAE
					       : MODE_32,
		.pse = r->cr4 & CR4_PSE,
		.nx = r->efer & EFER_NXE,
		.wp = r->cr0 & CR0_WP,
		.smep = r->cr4 & CR4_SMEP,
		.smap = r->cr4 & CR4_SMAP,
	};

	return mode;
}

static bool same_mode(const struct mode *a, const struct mode *b)
{
	return a->tables == b->tables && a->pse == b->pse && a->nx == b->nx && a->wp == b->wp &&
	       a->smep == b->smep && a->smap == b->smap;
}

/* Bits that are reserved, or so rare that we let the walker judge them each time. */
static u64 odd_bits(const struct mode *mode, unsigned phys_bits)
{
	u64 odd = PTE_ADDR & ~0ull << phys_bits;

	if (mode->tables == MODE_32)
		return 0;
	if (!mode->nx)
		odd |= PTE_NX;
	if (mode->tables == MODE_PAE)
		odd |= 0x7ffull << 52;
	return odd;
}

static void load_root(struct shadow *s, const struct walk_regs *regs)
{
	u64 table = regs->cr3 & PTE_ADDR;
	page_no root;

	shadow_drop_dead(s);
	if (s->mode.tables != MODE_LONG) {
		shadow_link_root(s, regs);
		return;
	}
	s->root = NO_PAGE; /* the old one may go */
	if (!vm_ptr(s->vm, GPA(table), PAGE_SIZE))
		return;
	root = shadow_get(s, table >> PAGE_SHIFT, role_make(4, 0, RIGHTS_ALL));
	shadow_use(s, root);
	s->root = root;
}

/*
 * All of these flush what is not global, and some of them everything (APM vol. 2 §5.5.2). We put
 * right what is out of sync, and keep the rest, for it is in sync.
 */
static void shadow_registers_written(struct vcpu *vcpu)
{
	struct shadow *s = shadow_of(vcpu);
	struct walk_regs regs;
	struct mode mode;

	cpu->get_walk(vcpu, &regs);
	mode = mode_of(&regs);
	if (!same_mode(&mode, &s->mode)) {
		shadow_drop_all(s);
		s->mode = mode;
		s->odd = odd_bits(&mode, regs.phys_bits);
	}
	load_root(s, &regs);
	real_registers(vcpu, &regs, s->root ? s->pages[s->root].table : s->nothing);
	s->stale = true;
	flush_stale(vcpu);
}

/* ---- 3. the rest of struct paging_ops ---------------------------------------------------------- */

static void shadow_invlpg(struct vcpu *vcpu, gva_t gva)
{
	shadow_invalidate(shadow_of(vcpu), gva);
	cpu->flush(vcpu); /* the guest's page may be many of ours */
	shadow_of(vcpu)->stale = false;
}

static void shadow_ram_written(struct vm *vm, gpa_t gpa)
{
	shadow_write(vm->paging_state, gpa.a >> PAGE_SHIFT);
	flush_stale(vm->vcpu);
}

static int shadow_vm_create(struct vm *vm)
{
	struct shadow *s = kalloc(sizeof(*s));

	if (!s)
		return -ENOMEM;
	vm->paging_state = s;
	s->vm = vm;
	return shadow_pages_create(s);
}

static void shadow_vm_destroy(struct vm *vm)
{
	struct shadow *s = vm->paging_state;

	shadow_pages_destroy(s);
	kfree(s, sizeof(*s));
	vm->paging_state = NULL;
}

/* Memory came or went: rare enough to begin anew. */
static int shadow_remap(struct vm *vm, gpa_t start, u64 size)
{
	shadow_drop_all(vm->paging_state);
	if (vm->vcpu)
		shadow_registers_written(vm->vcpu);
	return 0;
}

static const struct paging_ops shadow_ops = {
	.name = "shadow",
	.rank = 2,
	.vm_create = shadow_vm_create,
	.vm_destroy = shadow_vm_destroy,
	.vcpu_create = real_registers_begin,
	.remap = shadow_remap,
	.registers_written = shadow_registers_written,
	.invlpg = shadow_invlpg,
	.ram_written = shadow_ram_written,
	.page_fault = shadow_page_fault,
};
PAGING_MODE(shadow_ops);

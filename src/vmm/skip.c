/* SPDX-License-Identifier: BSD-3-Clause */
/* skip.c: stepping over the instruction that exited, and remembering its length; see skip.h. */
#include "host/host.h"
#include "lib/errno.h"
#include "vmm/inject.h"
#include "vmm/skip.h"
#include "vmm/vcpu.h"

static const u64 nothing;

int skip_create(struct vcpu *vcpu)
{
	vcpu->skip = kalloc(sizeof(*vcpu->skip));
	return vcpu->skip ? 0 : -ENOMEM;
}

void skip_destroy(struct vcpu *vcpu)
{
	kfree(vcpu->skip, sizeof(*vcpu->skip));
	vcpu->skip = NULL;
}

/* Notes where a walk reads. */
struct recorder {
	struct vm *vm;
	const u64 *pte[SKIP_LEVELS];
	unsigned count;
};

static void *record_entry(void *opaque, gpa_t gpa)
{
	struct recorder *r = opaque;
	u64 *entry = vm_ptr(r->vm, gpa, 8);

	if (r->count < SKIP_LEVELS)
		r->pte[r->count++] = entry;
	return entry;
}

void skip_remember(struct vcpu *vcpu, u64 rip, const struct insn *insn)
{
	struct skip_entry *e = skip_slot(vcpu->skip, rip);
	struct recorder r = {.vm = vcpu->vm};
	struct walk_mem mem = {.entry = record_entry, .opaque = &r};
	struct walk_regs regs;
	struct walk walk;

	e->next_rip = 0;
	if (insn->has_modrm || insn->len > sizeof(*e->code) ||
	    (rip & (PAGE_SIZE - 1)) > PAGE_SIZE - sizeof(*e->code))
		return;
	vcpu_walk_regs(vcpu, &regs);
	if (walk_guest(&regs, &mem, GVA(rip), WALK_FETCH, &walk))
		return;
	e->code = vm_ptr(vcpu->vm, walk.gpa, sizeof(*e->code));
	if (!e->code)
		return;
	e->rip = rip;
	e->cr3 = regs.cr3;
	for (unsigned i = 0; i < SKIP_LEVELS; i++) {
		e->pte[i] = i < r.count ? r.pte[i] : &nothing;
		e->pte_value[i] = *e->pte[i];
	}
	e->code_value = *e->code;
	e->code_mask = ~0ull >> (64 - 8 * insn->len);
	e->next_rip = rip + insn->len;
}

static __slow int skip_decoding(struct vcpu *vcpu, const struct exit *exit)
{
	struct insn insn;
	enum code_size code;
	int err = vcpu_insn(vcpu, &insn);

	if (err)
		return err == -EAGAIN ? 0 : err;
	code = vcpu_code_size(vcpu);
	if (code == CODE_64)
		skip_remember(vcpu, exit->rip, &insn);
	return cpu->advance(vcpu, vcpu_wrap(exit->rip + insn.len, code));
}

int vcpu_skip(struct vcpu *vcpu, const struct exit *exit)
{
	return likely(exit->next_rip) ? cpu->advance(vcpu, exit->next_rip)
				      : skip_decoding(vcpu, exit);
}

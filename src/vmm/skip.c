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

/*
 * The whole of most instructions that exit, without prefixes. They need no decoder: what the exit
 * was for says what they are, if these are the bytes.
 */
static unsigned plain_length(enum exit_kind kind, const u8 *code)
{
	switch (kind) {
	case EXIT_CPUID:
		return code[0] == 0x0f && code[1] == 0xa2 ? 2 : 0;
	case EXIT_RDMSR:
		return code[0] == 0x0f && code[1] == 0x32 ? 2 : 0;
	case EXIT_WRMSR:
		return code[0] == 0x0f && code[1] == 0x30 ? 2 : 0;
	case EXIT_HLT:
		return code[0] == 0xf4 ? 1 : 0;
	case EXIT_HYPERCALL:
		return code[0] == 0x0f && code[1] == 0x01 && code[2] == 0xd9 ? 3 : 0;
	default:
		return 0;
	}
}

static void remember(struct skip_entry *e, const struct recorder *r, u64 rip, unsigned len)
{
	for (unsigned i = 0; i < SKIP_LEVELS; i++) {
		e->pte[i] = i < r->count ? r->pte[i] : &nothing;
		e->pte_value[i] = *e->pte[i];
	}
	e->rip = rip;
	e->code_value = *e->code;
	e->code_mask = ~0ull >> (64 - 8 * len);
	e->next_rip = rip + len;
}

/*
 * Find out what is behind an instruction of 64-bit code, and remember it.
 *
 * Return: the next RIP, or 0: it is not so simple.
 */
static u64 learn(struct vcpu *vcpu, const struct exit *exit)
{
	struct skip_entry *e = skip_slot(vcpu->skip, exit->rip);
	struct recorder r = {.vm = vcpu->vm};
	struct walk_mem mem = {.entry = record_entry, .opaque = &r};
	struct walk_regs regs;
	struct walk walk;
	struct insn insn;
	unsigned len;

	e->next_rip = 0;
	cpu->get_walk(vcpu, &regs);
	if ((exit->rip & (PAGE_SIZE - 1)) > PAGE_SIZE - INSN_MAX ||
	    walk_guest(&regs, &mem, GVA(exit->rip), WALK_FETCH, &walk))
		return 0;
	e->code = vm_ptr(vcpu->vm, walk.gpa, INSN_MAX);
	e->cr3 = regs.cr3;
	if (!e->code)
		return 0;
	len = plain_length(exit->kind, (const u8 *)e->code);
	if (!len) {
		if (insn_decode((const u8 *)e->code, INSN_MAX, CODE_64, &insn))
			return 0;
		len = insn.len;
		if (insn.has_modrm || len > sizeof(*e->code))
			return exit->rip + len;
	}
	remember(e, &r, exit->rip, len);
	return e->next_rip;
}

static __slow int skip_decoding(struct vcpu *vcpu, const struct exit *exit)
{
	enum code_size code = vcpu_code_size(vcpu);
	u64 next = code == CODE_64 ? learn(vcpu, exit) : 0;
	struct insn insn;

	if (!next) {
		int err = vcpu_insn(vcpu, &insn);

		if (err)
			return err == -EAGAIN ? 0 : err;
		next = vcpu_wrap(exit->rip + insn.len, code);
	}
	return cpu->advance(vcpu, next);
}

int vcpu_skip(struct vcpu *vcpu, const struct exit *exit)
{
	return likely(exit->next_rip) ? cpu->advance(vcpu, exit->next_rip)
				      : skip_decoding(vcpu, exit);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fetch.c: the instruction that exited, and guest virtual memory.
 *
 * Where the processor does not tell how long an intercepted instruction was, it must be read:
 * CS.base
 * + RIP is a linear address, the guest's page tables say what physical page that is, and the VM's
 * memory map where the page is. This happens at nearly every exit, so the way for the most common
 * case is short.
 */
#include "host/host.h"
#include "lib/errno.h"
#include "lib/lab.h"
#include "lib/string.h"
#include "vmm/inject.h"
#include "vmm/vcpu.h"

/* The linear address of an instruction: 64-bit code has no CS base (APM vol. 2 §4.5.3). */
static gva_t code_address(struct vcpu *vcpu, u64 rip, enum code_size code)
{
	struct segment cs;

	if (code == CODE_64)
		return GVA(rip);
	cpu->get_seg(vcpu, SEG_CS, &cs);
	return GVA((u32)(cs.base + rip));
}

/*
 * Copy up to 15 bytes from RIP on. The instruction may end at a page's end, with nothing mapped
 * behind it, so the second page is asked for only if the first did not have enough, and why it is
 * not there (@err, @walk) matters only if the decoder wants more.
 *
 * Return: how many bytes there are.
 */
static int fetch(struct vcpu *vcpu, gva_t gva, u8 *bytes, struct walk *walk, int *err)
{
#if SOLVED >= 2
	int n = 0;

	while (n < INSN_MAX) {
		gva_t at = gva_add(gva, n);
		u64 part = min(PAGE_SIZE - (at.a & (PAGE_SIZE - 1)), (u64)INSN_MAX - n);
		const u8 *p;

		*err = vcpu_translate(vcpu, at, WALK_FETCH, walk);
		if (*err)
			break;
		p = vm_ptr(vcpu->vm, walk->gpa, part);
		if (!p) {
			*err = -ENOENT;
			break;
		}
		memcpy(bytes + n, p, part);
		n += part;
	}
	return n;
#else
	/*
	 * Exercise 2.3. Up to INSN_MAX bytes from @gva on, page by page: vcpu_translate() with
	 * WALK_FETCH gives walk->gpa, vm_ptr() the memory there. Stop at the first page that
	 * cannot be had, with why in *err (-ENOENT if it is no RAM).
	 *
	 * Hint: never ask for bytes beyond the page that was translated: the next one may be
	 * anywhere, or nowhere.
	 */
	LAB(2, "2.3", "fetch the instruction that exited");
#endif
}

int vcpu_insn(struct vcpu *vcpu, struct insn *insn)
{
	enum code_size code = vcpu_code_size(vcpu);
	gva_t gva = code_address(vcpu, vcpu_get(vcpu, VREG_RIP), code);
	u8 bytes[INSN_MAX];
	struct walk walk;
	int walk_err = 0;
	int n = fetch(vcpu, gva, bytes, &walk, &walk_err);
	int err = n ? insn_decode(bytes, n, code, insn) : -ENODATA;

	if (err == -ENODATA) { /* the rest is on a page that is not there */
		if (walk_err == -ENOENT)
			return vm_fail(vcpu->vm, walk_err,
				       "it runs code at %#llx, where it has no RAM",
				       (unsigned long long)gva.a);
		return vcpu_walk_failed(vcpu, gva_add(gva, n), SEG_CS, walk_err, &walk);
	}
	if (err)
		return vm_fail(vcpu->vm, err,
			       "the bytes %02x %02x %02x %02x at %#llx are no instruction that "
			       "we know",
			       bytes[0], bytes[1], bytes[2], bytes[3], (unsigned long long)gva.a);
	return 0;
}

u64 vcpu_wrap(u64 rip, enum code_size code)
{
	return code == CODE_64 ? rip : code == CODE_32 ? (u32)rip : (u16)rip;
}

/*
 * Most instructions that exit have no prefix, and then need no decoder: the exit's kind says what
 * they are, if these are the bytes. Return: the length, or 0: not one of those.
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
	default:
		return 0;
	}
}

static unsigned plain_instruction(struct vcpu *vcpu, const struct exit *exit, enum code_size code)
{
	struct walk walk;
	const u8 *p;

	if (vcpu_translate(vcpu, code_address(vcpu, exit->rip, code), WALK_FETCH, &walk))
		return 0;
	p = vm_ptr(vcpu->vm, walk.gpa, 2);
	return p && (walk.gpa.a & (PAGE_SIZE - 1)) < PAGE_SIZE - 1 ? plain_length(exit->kind, p)
								   : 0;
}

static int skip_by_reading(struct vcpu *vcpu, const struct exit *exit)
{
	enum code_size code = vcpu_code_size(vcpu);
	unsigned len = plain_instruction(vcpu, exit, code);

	if (!len) {
		struct insn insn;
		int err = vcpu_insn(vcpu, &insn);

		if (err)
			return err == -EAGAIN ? 0 : err;
		len = insn.len;
	}
	return cpu->advance(vcpu, vcpu_wrap(exit->rip + len, code));
}

int vcpu_skip(struct vcpu *vcpu, const struct exit *exit)
{
#if SOLVED >= 2
	return likely(exit->next_rip) ? cpu->advance(vcpu, exit->next_rip)
				      : skip_by_reading(vcpu, exit);
#else
	/*
	 * Exercise 2.3, continued. Go on behind the instruction that exited. If the processor
	 * said where that is (exit->next_rip is not 0), cpu->advance() to there. Otherwise the
	 * instruction must be decoded (vcpu_insn) for its length, and the sum wraps as the guest's
	 * code size wants it (vcpu_wrap). -EAGAIN from vcpu_insn means that the guest was given a
	 * fault instead: that is 0 for our caller.
	 *
	 * Hint: cpu->advance() ends interrupt shadows and single-steps. Do not set RIP yourself.
	 *
	 * Handout: lab 2, "How long was it?". APM vol. 2 §15.7.1.
	 */
	LAB(2, "2.3", "step over the instruction that exited");
#endif
}

/* The part of an access that lies in one page: how long it is, and where. */
static int translate_part(struct vcpu *vcpu, enum seg seg, gva_t gva, u64 size, u32 access, u64 *n,
			  void **p)
{
	struct walk walk;
	int err = vcpu_translate(vcpu, gva, access, &walk);

	*n = min(size, PAGE_SIZE - (gva.a & (PAGE_SIZE - 1)));
	if (err)
		return vcpu_walk_failed(vcpu, gva, seg, err, &walk);
	*p = vm_ptr(vcpu->vm, walk.gpa, *n);
	if (!*p)
		return -EFAULT;
	if (access & WALK_WRITE)
		vcpu_ram_written(vcpu->vm, walk.gpa);
	return 0;
}

int vcpu_probe(struct vcpu *vcpu, enum seg seg, u64 offset, u64 size, u32 access)
{
	gva_t gva = vcpu_linear(vcpu, seg, offset);
	u64 n;
	void *p;
	int err = 0;

	for (; size && !err; size -= n, gva = gva_add(gva, n))
		err = translate_part(vcpu, seg, gva, size, access, &n, &p);
	return err;
}

int vcpu_access(struct vcpu *vcpu, enum seg seg, u64 offset, void *buffer, u64 size, u32 access)
{
	gva_t gva = vcpu_linear(vcpu, seg, offset);
	u8 *bytes = buffer;
	u64 n;
	void *p = NULL;

	for (; size; size -= n, bytes += n, gva = gva_add(gva, n)) {
		int err = translate_part(vcpu, seg, gva, size, access, &n, &p);

		if (err)
			return err;
		if (access & WALK_WRITE)
			memcpy(p, bytes, n);
		else
			memcpy(bytes, p, n);
	}
	return 0;
}

static u64 operand_offset(struct vcpu *vcpu, const struct insn *insn)
{
	u64 gpr[GPR_COUNT];

	memcpy(gpr, vcpu->gpr, sizeof(gpr));
	gpr[GPR_RSP] = vcpu_get(vcpu, VREG_RSP);
	return insn_address(insn, gpr, vcpu_get(vcpu, VREG_RIP));
}

gva_t vcpu_operand_address(struct vcpu *vcpu, const struct insn *insn)
{
	return vcpu_linear(vcpu, insn_segment(insn), operand_offset(vcpu, insn));
}

int vcpu_operand(struct vcpu *vcpu, const struct insn *insn, void *buffer, u64 size, u32 access)
{
	enum seg seg = insn_segment(insn);
	u64 offset = operand_offset(vcpu, insn);
	int err = vcpu_probe(vcpu, seg, offset, size, access); /* all of it or nothing */

	return err ? err : vcpu_access(vcpu, seg, offset, buffer, size, access);
}

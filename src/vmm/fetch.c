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
#include "lib/string.h"
#include "vmm/inject.h"
#include "vmm/vcpu.h"

enum code_size vcpu_code_size(struct vcpu *vcpu)
{
	struct segment cs;

	cpu->get_seg(vcpu, SEG_CS, &cs);
	if ((cs.attrib & SEG_L) && (vcpu_get(vcpu, VREG_EFER) & EFER_LMA))
		return CODE_64;
	return (cs.attrib & SEG_DB) ? CODE_32 : CODE_16;
}

static void *table_entry(void *opaque, gpa_t gpa)
{
	return vm_ptr(opaque, gpa, 8);
}

int vcpu_translate(struct vcpu *vcpu, gva_t gva, u32 access, struct walk *walk)
{
	struct walk_mem mem = {.entry = table_entry, .opaque = vcpu->vm};
	struct walk_regs regs;

	cpu->get_walk(vcpu, &regs);
	return walk_guest(&regs, &mem, gva, access, walk);
}

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
 * behind it, so the second page is asked for only if the first did not have enough, and its absence
 * matters only if the decoder wants more.
 *
 * Return: how many bytes there are, or a negative errno as vcpu_insn().
 */
static int fetch(struct vcpu *vcpu, gva_t gva, u8 *bytes, struct walk *walk)
{
	u64 in_page = min(PAGE_SIZE - (gva.a & (PAGE_SIZE - 1)), (u64)INSN_MAX);
	const u8 *p;

	if (vcpu_translate(vcpu, gva, WALK_FETCH, walk))
		return -EFAULT;
	p = vm_ptr(vcpu->vm, walk->gpa, in_page);
	if (!p)
		return -ENODEV;
	memcpy(bytes, p, in_page);
	if (in_page == INSN_MAX || vcpu_translate(vcpu, gva_add(gva, in_page), WALK_FETCH, walk))
		return in_page;
	p = vm_ptr(vcpu->vm, walk->gpa, INSN_MAX - in_page);
	if (!p)
		return in_page;
	memcpy(bytes + in_page, p, INSN_MAX - in_page);
	return INSN_MAX;
}

int vcpu_insn(struct vcpu *vcpu, struct insn *insn)
{
	enum code_size code = vcpu_code_size(vcpu);
	u64 rip = vcpu_get(vcpu, VREG_RIP);
	gva_t gva = code_address(vcpu, rip, code);
	u8 bytes[INSN_MAX];
	struct walk walk;
	int n = fetch(vcpu, gva, bytes, &walk);
	int err;

	if (n == -EFAULT) {
		vcpu_page_fault(vcpu, gva, walk.error);
		return -EAGAIN;
	}
	if (n < 0)
		return vm_fail(vcpu->vm, n, "the guest runs code at %#llx, where it has no RAM",
			       (unsigned long long)gva.a);
	err = insn_decode(bytes, n, code, insn);
	if (err == -ENODATA) { /* the rest is on a page that is not there */
		vcpu_page_fault(vcpu, gva_add(gva, n), walk.error);
		return -EAGAIN;
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

/* The part of an access that lies in one page: how long it is, and where. */
static int translate_part(struct vcpu *vcpu, gva_t gva, u64 size, u32 access, u64 *n, void **p)
{
	struct walk walk;

	*n = min(size, PAGE_SIZE - (gva.a & (PAGE_SIZE - 1)));
	if (vcpu_translate(vcpu, gva, access, &walk)) {
		vcpu_page_fault(vcpu, gva, walk.error);
		return -EAGAIN;
	}
	*p = vm_ptr(vcpu->vm, walk.gpa, *n);
	return *p ? 0 : -EFAULT;
}

int vcpu_probe(struct vcpu *vcpu, gva_t gva, u64 size, u32 access)
{
	u64 n;
	void *p;
	int err = 0;

	for (; size && !err; size -= n, gva = gva_add(gva, n))
		err = translate_part(vcpu, gva, size, access, &n, &p);
	return err;
}

int vcpu_access(struct vcpu *vcpu, gva_t gva, void *buffer, u64 size, u32 access)
{
	u8 *bytes = buffer;
	u64 n;
	void *p;

	for (; size; size -= n, bytes += n, gva = gva_add(gva, n)) {
		int err = translate_part(vcpu, gva, size, access, &n, &p);

		if (err)
			return err;
		if (access & WALK_WRITE)
			memcpy(p, bytes, n);
		else
			memcpy(bytes, p, n);
	}
	return 0;
}

gva_t vcpu_linear(struct vcpu *vcpu, enum seg seg, u64 offset)
{
	struct segment s;

	cpu->get_seg(vcpu, seg, &s);
	if (vcpu_code_size(vcpu) == CODE_64)
		return GVA(offset + (seg == SEG_FS || seg == SEG_GS ? s.base : 0));
	return GVA((u32)(offset + s.base));
}

int vcpu_operand(struct vcpu *vcpu, const struct insn *insn, void *buffer, u64 size, u32 access)
{
	u64 gpr[GPR_COUNT];
	u64 offset;

	memcpy(gpr, vcpu->gpr, sizeof(gpr));
	gpr[GPR_RSP] = vcpu_get(vcpu, VREG_RSP);
	offset = insn_address(insn, gpr, vcpu_get(vcpu, VREG_RIP));
	return vcpu_access(vcpu, vcpu_linear(vcpu, insn_segment(insn), offset), buffer, size,
			   access);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * registers.c: the guest's registers that the processor keeps in the VMCB, read and written there.
 */
#include "host/host.h"
#include "svm/registers.h"

static const u16 reg_offset[VREG_COUNT] = {
	[VREG_RIP] = offsetof(struct vmcb, rip),       [VREG_RSP] = offsetof(struct vmcb, rsp),
	[VREG_RFLAGS] = offsetof(struct vmcb, rflags), [VREG_CR0] = offsetof(struct vmcb, cr0),
	[VREG_CR2] = offsetof(struct vmcb, cr2),       [VREG_CR3] = offsetof(struct vmcb, cr3),
	[VREG_CR4] = offsetof(struct vmcb, cr4),       [VREG_EFER] = offsetof(struct vmcb, efer),
	[VREG_DR6] = offsetof(struct vmcb, dr6),       [VREG_DR7] = offsetof(struct vmcb, dr7),
	[VREG_PAT] = offsetof(struct vmcb, g_pat),
};

static const u16 seg_offset[SEG_COUNT] = {
	[SEG_ES] = offsetof(struct vmcb, es),	  [SEG_CS] = offsetof(struct vmcb, cs),
	[SEG_SS] = offsetof(struct vmcb, ss),	  [SEG_DS] = offsetof(struct vmcb, ds),
	[SEG_FS] = offsetof(struct vmcb, fs),	  [SEG_GS] = offsetof(struct vmcb, gs),
	[SEG_LDTR] = offsetof(struct vmcb, ldtr), [SEG_TR] = offsetof(struct vmcb, tr),
};

void svm_registers_init(struct svm_vcpu *s)
{
	for (enum vreg i = 0; i < VREG_COUNT; i++)
		s->reg[i] = (u64 *)((char *)s->vmcb + reg_offset[i]);
}

static struct segment *seg_at(struct vcpu *vcpu, enum seg seg)
{
	return (struct segment *)((char *)vmcb_of(vcpu) + seg_offset[seg]);
}

/*
 * The guest must not see EFER.SVME, which must be set while it runs. LMA always is what LME and CR0.PG
 * make it, so that is what is told: Bochs has cleared it already when it exits for a write of CR0.PG.
 */
static u64 guest_efer(const struct svm_vcpu *s)
{
	u64 efer = *s->reg[VREG_EFER];
	u64 lma = efer & EFER_LME && *s->reg[VREG_CR0] & CR0_PG ? EFER_LMA : 0;

	return (efer & ~(EFER_SVME | EFER_LMA)) | lma;
}

u64 svm_get(struct vcpu *vcpu, enum vreg reg)
{
	const struct svm_vcpu *s = svm_of(vcpu);

	return reg == VREG_EFER ? guest_efer(s) : *s->reg[reg];
}

void svm_set(struct vcpu *vcpu, enum vreg reg, u64 value)
{
	*svm_of(vcpu)->reg[reg] = reg == VREG_EFER ? value | EFER_SVME : value;
}

void svm_set_paging(struct vcpu *vcpu, const struct paging_regs *real)
{
	struct svm_vcpu *s = svm_of(vcpu);
	struct vmcb *vmcb = s->vmcb;

	if (s->reg[VREG_CR0] == &vmcb->cr0) {
		s->seen = (struct paging_regs){vmcb->cr0, vmcb->cr3, vmcb->cr4, vmcb->efer};
		s->reg[VREG_CR0] = &s->seen.cr0;
		s->reg[VREG_CR3] = &s->seen.cr3;
		s->reg[VREG_CR4] = &s->seen.cr4;
		s->reg[VREG_EFER] = &s->seen.efer;
	}
	vmcb->cr0 = real->cr0;
	vmcb->cr3 = real->cr3;
	vmcb->cr4 = real->cr4;
	vmcb->efer = real->efer | EFER_SVME;
}

void svm_get_seg(struct vcpu *vcpu, enum seg seg, struct segment *out)
{
	*out = *seg_at(vcpu, seg);
}

/*
 * The privilege level has a byte of its own, and processors differ in whether they believe it or
 * SS.DPL: keep both equal.
 */
void svm_set_seg(struct vcpu *vcpu, enum seg seg, const struct segment *in)
{
	*seg_at(vcpu, seg) = *in;
	if (seg == SEG_SS)
		vmcb_of(vcpu)->cpl = SEG_GET_DPL(in->attrib);
}

void svm_get_table(struct vcpu *vcpu, bool idt, struct table_reg *out)
{
	const struct segment *t = idt ? &vmcb_of(vcpu)->idtr : &vmcb_of(vcpu)->gdtr;

	out->limit = t->limit;
	out->base = t->base;
}

void svm_set_table(struct vcpu *vcpu, bool idt, const struct table_reg *in)
{
	struct segment *t = idt ? &vmcb_of(vcpu)->idtr : &vmcb_of(vcpu)->gdtr;

	t->limit = in->limit;
	t->base = in->base;
}

u8 svm_get_cpl(struct vcpu *vcpu)
{
	return vmcb_of(vcpu)->cpl;
}

void svm_get_walk(struct vcpu *vcpu, struct walk_regs *regs)
{
	const struct svm_vcpu *s = svm_of(vcpu);
	const struct vmcb *vmcb = s->vmcb;

	regs->cr0 = *s->reg[VREG_CR0];
	regs->cr3 = *s->reg[VREG_CR3];
	regs->cr4 = *s->reg[VREG_CR4];
	regs->efer = guest_efer(s);
	regs->rflags = vmcb->rflags;
	regs->cpl = vmcb->cpl;
	regs->phys_bits = vcpu->vm->phys_bits;
}

void svm_intercept(struct vcpu *vcpu, enum intercept what, bool on)
{
	struct vmcb *vmcb = vmcb_of(vcpu);
	static const struct {
		bool write;
		u8 cr;
	} crs[] = {
		[INTERCEPT_CR0_WRITE] = {true, 0}, [INTERCEPT_CR0_READ] = {false, 0},
		[INTERCEPT_CR3_WRITE] = {true, 3}, [INTERCEPT_CR3_READ] = {false, 3},
		[INTERCEPT_CR4_WRITE] = {true, 4}, [INTERCEPT_CR4_READ] = {false, 4},
	};

	if (what >= INTERCEPT_EXCEPTION) {
		u32 bit = 1u << (what - INTERCEPT_EXCEPTION);

		vmcb->exceptions = on ? vmcb->exceptions | bit : vmcb->exceptions & ~bit;
		vmcb->exceptions |= SVM_ALWAYS_EXCEPTIONS;
	} else if (what >= INTERCEPT_INVLPG) {
		u32 bit = what == INTERCEPT_INVLPG ? SVM_INTERCEPT_INVLPG : SVM_INTERCEPT_TASK;

		vmcb->intercepts1 = on ? vmcb->intercepts1 | bit : vmcb->intercepts1 & ~bit;
	} else {
		u16 *word = crs[what].write ? &vmcb->cr_write : &vmcb->cr_read;
		u16 bit = 1u << crs[what].cr;

		*word = on ? *word | bit : *word & ~bit;
	}
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cr.c: moves to and from control registers, done in the guest's place.
 *
 * The processor says which register was touched, and (without decode assists) nothing more, so the
 * instruction is decoded: MOV to or from CRn, CLTS, LMSW, SMSW. A write is checked as the processor
 * checks it: what the manual forbids is #GP and changes nothing (APM vol. 2 §3.1).
 */
#include "lib/lab.h"
#include "vmm/vcpu.h"

#define CR0_DEFINED                                                                                \
	(CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | \
	 CR0_PG)
#define CR0_LMSW	(CR0_PE | CR0_MP | CR0_EM | CR0_TS)

/* A change of one of these makes cached translations wrong (APM vol. 2 §5.5.2). */
#define CR0_TRANSLATION (CR0_PG | CR0_WP | CR0_PE)
#define CR4_TRANSLATION (CR4_PSE | CR4_PAE | CR4_PGE | CR4_PCIDE | CR4_SMEP | CR4_SMAP)

/* APM vol. 2 §3.1.1 and, for entering and leaving long mode, §14.6. */
static int guest_write_cr0(struct vcpu *vcpu, u64 value)
{
#if SOLVED >= 2
	u64 old = vcpu_get(vcpu, VREG_CR0);
	u64 efer = vcpu_get(vcpu, VREG_EFER);
	u64 cr4 = vcpu_get(vcpu, VREG_CR4);
	struct segment cs;

	if (value >> 32 || ((value & CR0_PG) && !(value & CR0_PE)) ||
	    ((value & CR0_NW) && !(value & CR0_CD)))
		return -EPERM;
	value = (value & CR0_DEFINED) | CR0_ET;
	if (value & ~old & CR0_PG && efer & EFER_LME) {
		cpu->get_seg(vcpu, SEG_CS, &cs);
		if (!(cr4 & CR4_PAE) || cs.attrib & SEG_L)
			return -EPERM;
		vcpu_set(vcpu, VREG_EFER, efer | EFER_LMA);
	} else if (~value & old & CR0_PG) {
		cpu->get_seg(vcpu, SEG_CS, &cs);
		if ((efer & EFER_LMA && cs.attrib & SEG_L) || cr4 & CR4_PCIDE)
			return -EPERM;
		vcpu_set(vcpu, VREG_EFER, efer & ~EFER_LMA);
	}
	vcpu_set(vcpu, VREG_CR0, value);
	paging_registers_written(vcpu, (old ^ value) & CR0_TRANSLATION);
	return 0;
#else
	/*
	 * Exercise 2.7. Return -EPERM (our caller makes it #GP) for what the manual forbids, and
	 * change nothing then:
	 *
	 *	bits 63:32; PG without PE; NW without CD
	 *	turning PG on while EFER.LME is set, if CR4.PAE is clear or CS.L is set
	 *	turning PG off in 64-bit code, or while CR4.PCIDE is set
	 *
	 * Reserved bits of the lower half are ignored, ET is always one. Turning PG on with
	 * EFER.LME sets EFER.LMA; turning it off clears LMA. If one of CR0_TRANSLATION changed,
	 * cached translations are wrong: cpu->flush().
	 *
	 * Handout: lab 2, "Control registers". APM vol. 2 §3.1.1, §14.6.
	 */
	LAB(2, "2.7", "write CR0");
#endif
}

static int guest_write_cr3(struct vcpu *vcpu, u64 value)
{
	bool long_mode = vcpu_get(vcpu, VREG_EFER) & EFER_LMA;
	bool pcid = vcpu_get(vcpu, VREG_CR4) & CR4_PCIDE;

	if (!long_mode)
		value = (u32)value;
	else if (pcid)
		value &= ~BIT(63); /* "keep this PCID's translations": we may keep fewer */
	if (value >> vcpu->vm->phys_bits)
		return -EPERM;
	vcpu_set(vcpu, VREG_CR3, value);
	paging_registers_written(vcpu, true);
	return 0;
}

/* The bits of CR4 whose features the guest's CPUID shows (APM vol. 2 §3.1.3). */
static u64 cr4_allowed(struct vcpu *vcpu)
{
	struct cpuid_regs one = vcpu_cpuid(vcpu, 1, 0);
	struct cpuid_regs seven = vcpu_cpuid(vcpu, 7, 0);
	u64 allowed = CR4_TSD | CR4_DE | CR4_PSE | CR4_PAE | CR4_PGE | CR4_PCE | CR4_OSFXSR |
		      CR4_OSXMMEXCPT;

	allowed |= (one.edx & BIT(1)) ? CR4_VME | CR4_PVI : 0;
	allowed |= (one.ecx & BIT(17)) ? CR4_PCIDE : 0;
	allowed |= (one.ecx & BIT(26)) ? CR4_OSXSAVE : 0;
	allowed |= (seven.ebx & BIT(0)) ? CR4_FSGSBASE : 0;
	allowed |= (seven.ebx & BIT(7)) ? CR4_SMEP : 0;
	allowed |= (seven.ebx & BIT(20)) ? CR4_SMAP : 0;
	allowed |= (seven.ecx & BIT(2)) ? CR4_UMIP : 0;
	return allowed | CR4_MCE; /* no leaf of ours shows it, and every system may set it */
}

static int guest_write_cr4(struct vcpu *vcpu, u64 value)
{
	u64 old = vcpu_get(vcpu, VREG_CR4);
	bool long_mode = vcpu_get(vcpu, VREG_EFER) & EFER_LMA;

	if (value & ~cr4_allowed(vcpu) || (long_mode && !(value & CR4_PAE)))
		return -EPERM;
	if (value & ~old & CR4_PCIDE && (!long_mode || vcpu_get(vcpu, VREG_CR3) & 0xfff))
		return -EPERM;
	vcpu_set(vcpu, VREG_CR4, value);
	if ((old ^ value) & CR4_OSXSAVE)
		cpuid_refresh(vcpu);
	paging_registers_written(vcpu, (old ^ value) & CR4_TRANSLATION);
	return 0;
}

static int guest_write_cr(struct vcpu *vcpu, unsigned number, u64 value)
{
	if (number == 0)
		return guest_write_cr0(vcpu, value);
	if (number == 3)
		return guest_write_cr3(vcpu, value);
	if (number == 4)
		return guest_write_cr4(vcpu, value);
	if (number != 2)
		return -ENOSYS;
	vcpu_set(vcpu, VREG_CR2, value);
	return 0;
}

static u64 guest_read_cr(struct vcpu *vcpu, unsigned number)
{
	static const u8 regs[] = {[0] = VREG_CR0, [2] = VREG_CR2, [3] = VREG_CR3, [4] = VREG_CR4};

	return vcpu_get(vcpu, regs[number]);
}

/* LMSW loads the low four bits of CR0; it can set PE and never clear it. */
static int do_lmsw(struct vcpu *vcpu, const struct insn *insn)
{
	u64 old = vcpu_get(vcpu, VREG_CR0);
	u16 word = vcpu_gpr(vcpu, insn->rm);
	int err = insn->mod == 3 ? 0 : vcpu_operand(vcpu, insn, &word, sizeof(word), 0);

	return err ?: guest_write_cr0(vcpu, (old & ~CR0_LMSW) | (word & CR0_LMSW) | (old & CR0_PE));
}

/* SMSW stores CR0: 16 bits in memory, as many as the operand size says in a register. */
static int do_smsw(struct vcpu *vcpu, const struct insn *insn)
{
	u64 cr0 = vcpu_get(vcpu, VREG_CR0);
	u16 word = cr0;

	if (insn->mod != 3)
		return vcpu_operand(vcpu, insn, &word, sizeof(word), WALK_WRITE);
	if (insn->opsize == 2)
		cr0 = (vcpu_gpr(vcpu, insn->rm) & ~0xffffull) | word;
	vcpu_set_gpr(vcpu, insn->rm, insn->opsize == 4 ? (u32)cr0 : cr0);
	return 0;
}

int vcpu_cr_exit(struct vcpu *vcpu, const struct exit *exit)
{
#if SOLVED >= 2
	enum code_size code = vcpu_code_size(vcpu);
	struct insn insn;
	u64 value;
	int err = vcpu_insn(vcpu, &insn);

	if (err)
		return err == -EAGAIN ? 0 : err;
	switch (insn.op) {
	case OP_MOV_TO_CR:
		value = vcpu_gpr(vcpu, insn.rm);
		err = guest_write_cr(vcpu, insn.reg, code == CODE_64 ? value : (u32)value);
		break;
	case OP_MOV_FROM_CR:
		value = guest_read_cr(vcpu, exit->cr.number);
		vcpu_set_gpr(vcpu, insn.rm, code == CODE_64 ? value : (u32)value);
		break;
	case OP_CLTS:
		err = guest_write_cr0(vcpu, vcpu_get(vcpu, VREG_CR0) & ~CR0_TS);
		break;
	case OP_LMSW:
		err = do_lmsw(vcpu, &insn);
		break;
	case OP_SMSW:
		err = do_smsw(vcpu, &insn);
		break;
	default:
		return vm_fail(vcpu->vm, -ENOSYS,
			       "a control register exit at an instruction %#x "
			       "that touches none",
			       insn.opcode);
	}
	if (err == -EPERM) {
		vcpu_exception(vcpu, VEC_GP, 0);
		return 0;
	}
	if (err)
		return err == -EAGAIN ? 0 : err;
	return cpu->advance(vcpu, vcpu_wrap(exit->rip + insn.len, code));
#else
	/*
	 * Exercise 2.7, continued. Decode the instruction and carry it out: OP_MOV_TO_CR
	 * (register insn.rm to control register insn.reg), OP_MOV_FROM_CR, OP_CLTS, OP_LMSW,
	 * OP_SMSW. Outside 64-bit code only the lower half of a register counts, and the upper
	 * half of a destination is cleared. -EPERM is #GP(0), and the instruction has not
	 * happened. Then step over it: cpu->advance() to vcpu_wrap() of its end.
	 */
	LAB(2, "2.7", "carry out moves to and from control registers");
#endif
}

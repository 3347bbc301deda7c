/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * io.c: IN and OUT, INS and OUTS.
 *
 * The plain ones move a register. The string ones move memory, by way of the guest's page tables,
 * and with a REP prefix as many elements as rCX says. One exit serves the whole repetition, up to a
 * bound that keeps interrupts from waiting; what is left is started over by the guest itself,
 * because its registers say how far we came, exactly as when an interrupt breaks into a real REP
 * (APM vol. 3 §1.2.6). APM vol. 3 IN, OUT, INS, OUTS.
 */
#include "lib/lab.h"
#include "vmm/vcpu.h"

#define REP_BOUND 4096 /* elements an exit */

/* A write of 8 or 16 bits leaves the rest of RAX, one of 32 bits clears the upper half. */
static void set_accumulator(struct vcpu *vcpu, u32 value, int size)
{
#if SOLVED >= 2
	u64 old = vcpu->gpr[GPR_RAX];
	u64 mask = size == 1 ? 0xff : size == 2 ? 0xffff : ~0ull;

	vcpu->gpr[GPR_RAX] = (old & ~mask) | (value & mask);
#else
	/*
	 * Exercise 2.6. IN puts 1, 2 or 4 bytes into AL, AX or EAX. What happens to the rest of
	 * RAX is in the comment above.
	 */
	LAB(2, "2.6", "put the result of IN into the accumulator");
#endif
}

/* rCX, rSI and rDI are as wide as addresses; 32-bit ones clear the upper half when written. */
static u64 address_mask(int addrsize)
{
	return addrsize == 8 ? ~0ull : addrsize == 4 ? 0xffffffffull : 0xffffull;
}

static void set_address_reg(struct vcpu *vcpu, enum gpr reg, u64 value, int addrsize)
{
	u64 mask = address_mask(addrsize);
	u64 keep = addrsize == 2 ? ~mask : 0;

	vcpu->gpr[reg] = (vcpu->gpr[reg] & keep) | (value & mask);
}

/*
 * Outside 64-bit code a segment has an end, and may be read-only or absent. That is checked for
 * each element (APM vol. 2 §4.8, §4.12). An expand-down segment's offsets are those above its limit.
 */
static bool outside_segment(struct vcpu *vcpu, enum seg seg, u64 offset, int size, bool write)
{
	struct segment s;
	bool code, expand_down;
	u64 last = offset + size - 1;

	if (vcpu_code_size(vcpu) == CODE_64)
		return false;
	cpu->get_seg(vcpu, seg, &s);
	code = s.attrib & BIT(3);
	expand_down = !code && (s.attrib & BIT(2));
	if (!(s.attrib & SEG_P) || (write && (code || !(s.attrib & BIT(1)))) ||
	    (!write && code && !(s.attrib & BIT(1))))
		return true;
	if (expand_down)
		return offset <= s.limit || last > ((s.attrib & SEG_DB) ? 0xffffffffull : 0xffff);
	return last > s.limit;
}

/*
 * One element between a port and memory. For INS the memory is touched first, so that a page fault
 * comes before the device has given its byte away.
 */
static int string_element(struct vcpu *vcpu, const struct exit *exit, enum seg seg, u64 offset)
{
	u32 value = 0;
	int err;

	if (outside_segment(vcpu, seg, offset, exit->io.size, exit->io.in)) {
		vcpu_exception(vcpu, seg == SEG_SS ? VEC_SS : VEC_GP, 0);
		return -EAGAIN;
	}
	if (exit->io.in) {
		err = vcpu_probe(vcpu, seg, offset, exit->io.size, WALK_WRITE);
		if (err)
			return err;
		value = vm_in(vcpu->vm, exit->io.port, exit->io.size);
		return vcpu_access(vcpu, seg, offset, &value, exit->io.size, WALK_WRITE);
	}
	err = vcpu_access(vcpu, seg, offset, &value, exit->io.size, 0);
	if (!err)
		vm_out(vcpu->vm, exit->io.port, exit->io.size, value);
	return err;
}

/* How many elements may be done at this exit: a guest that single-steps sees each of them. */
static int bound(struct vcpu *vcpu)
{
	return vcpu_get(vcpu, VREG_RFLAGS) & RFLAGS_TF ? 1 : REP_BOUND;
}

/* Stopping in the middle is an instruction boundary for traps: the single step's #DB comes here. */
static int interrupted(struct vcpu *vcpu)
{
	if (vcpu_get(vcpu, VREG_RFLAGS) & RFLAGS_TF)
		vcpu_single_step(vcpu);
	return 0;
}

/*
 * The processor tells port, size and direction; the address size and the segment it tells only with
 * decode assists (and QEMU's tells no address size), so the instruction is decoded.
 */
static int string_io(struct vcpu *vcpu, const struct exit *exit)
{
#if SOLVED >= 2
	bool down = vcpu_get(vcpu, VREG_RFLAGS) & RFLAGS_DF;
	int step = down ? -exit->io.size : exit->io.size;
	enum gpr index = exit->io.in ? GPR_RDI : GPR_RSI;
	enum seg seg = SEG_ES; /* INS takes no override */
	struct insn insn;
	u64 mask, count;
	int err = vcpu_insn(vcpu, &insn);

	if (err)
		return err == -EAGAIN ? 0 : err;
	if (!exit->io.in)
		seg = insn.seg >= 0 ? (enum seg)insn.seg : SEG_DS;
	mask = address_mask(insn.addrsize);
	count = exit->io.rep ? vcpu->gpr[GPR_RCX] & mask : 1;
	for (int done = 0; count; done++) {
		u64 offset = vcpu->gpr[index] & mask;

		if (done == bound(vcpu))
			return interrupted(vcpu); /* RIP stays: the guest runs it again */
		err = string_element(vcpu, exit, seg, offset);
		if (err == -EFAULT)
			return vm_fail(vcpu->vm, err,
				       "string I/O at port %#x on an address that is no RAM",
				       exit->io.port);
		if (err)
			return err == -EAGAIN ? 0 : err;
		set_address_reg(vcpu, index, offset + step, insn.addrsize);
		count--;
		if (exit->io.rep)
			set_address_reg(vcpu, GPR_RCX, count, insn.addrsize);
		if (vcpu->vm->state != VM_RUNNING)
			break;
	}
	return vcpu_skip(vcpu, exit);
#else
	/*
	 * Exercise 2.6, continued. INS moves elements from the port to ES:rDI, OUTS from DS:rSI
	 * (or the segment of an override) to the port; rCX of them with REP, else one.
	 *
	 *	- decode the instruction for its address size and segment
	 *	- rCX, rSI, rDI are as wide as addresses: address_mask(), set_address_reg()
	 *	- RFLAGS.DF says whether the address goes up or down, by the size of an element
	 *	- after each element (string_element) the registers say how far we are, so that a
	 *	  fault in the middle leaves the guest where a real one would. -EAGAIN: it has been
	 *	  given a fault, return 0; -EFAULT: no RAM there, vm_fail(); others as they are
	 *	- after bound() elements return interrupted() without stepping over the instruction:
	 *	  the guest runs it again with the count that is left
	 *	- an OUT may stop the VM: look at its state
	 *
	 * Handout: lab 2, "Ports". APM vol. 3 INS, OUTS, §1.2.6.
	 */
	LAB(2, "2.6", "carry out INS and OUTS");
#endif
}

int vcpu_io_exit(struct vcpu *vcpu, const struct exit *exit)
{
	if (unlikely(exit->io.string))
		return string_io(vcpu, exit);
	if (exit->io.in)
		set_accumulator(vcpu, vm_in(vcpu->vm, exit->io.port, exit->io.size), exit->io.size);
	else
		vm_out(vcpu->vm, exit->io.port, exit->io.size, vcpu->gpr[GPR_RAX]);
	return vcpu_skip(vcpu, exit);
}

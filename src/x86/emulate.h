/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * emulate.h: does what one instruction would have done, where the processor could not: its memory
 * operand is a device's register, or a page that must not be written directly.
 */
#ifndef X86_EMULATE_H
#define X86_EMULATE_H

#include "x86/decode.h"

/*
 * Guest memory as an instruction names it: a segment and an offset, of which the offset is already
 * cut to the address size. Both return 0 or a negative errno, which ends the instruction before it
 * has changed anything; that is how a page fault on the way is told, after it was injected.
 */
struct emulate_memory {
	/* @will_write: a write to the same place follows, so be sure that it may be made */
	int (*read)(void *opaque, enum seg seg, u64 offset, unsigned size, bool will_write,
		    u64 *value);
	int (*write)(void *opaque, enum seg seg, u64 offset, unsigned size, u64 value);
	void *opaque;
};

/* The registers that it works on. */
struct emulate_regs {
	u64 *gpr; /* all sixteen, RSP included */
	u64 rflags;
	u64 rip; /* of the instruction; left alone */
};

/* The most iterations of a REP that are done at one go, so that interrupts are not kept waiting. */
#define EMULATE_REP_MAX 256

#define EMULATE_AGAIN	1

/**
 * emulate() - execute an instruction with a memory operand.
 * @insn: the instruction, decoded: one of those that enum insn_op names from OP_MOV to OP_MOVBE
 * @regs: the registers; changed as the instruction changes them, but for RIP
 *
 * Memory is read and written in the order and with the sizes that the manuals give, each access
 * exactly once. LOCK and the implicit lock of XCHG with memory are up to @mem: what it must do for
 * other processors it can do from a read with will_write to the write that follows.
 *
 * Return: 0: done, RIP is to be moved past the instruction; EMULATE_AGAIN: a REP with iterations
 * left, RIP stays and the guest executes it once more; -ENOSYS: not an instruction of ours, or it
 * has no memory operand; else what @mem returned. After an error nothing has changed, except by
 * iterations of a REP that were complete.
 */
int emulate(const struct insn *insn, struct emulate_regs *regs, const struct emulate_memory *mem);

#endif

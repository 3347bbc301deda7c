/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mmio.c: the guest touched physical memory that is no RAM: a device's registers, or nothing.
 *
 * The processor only says where. What was to be done there is the instruction's secret, so it is
 * decoded and carried out here (x86/emulate.c), with its memory operands brought to the right
 * place: RAM, a device's callbacks, or a hole, where reads give ones and writes are lost.
 */
#include "vmm/vcpu.h"
#include "x86/emulate.h"

static void device_access(const struct mem_region *r, u64 offset, u8 *bytes, u64 n, bool write)
{
	const struct mem_hook *hook = &r->hook;
	u64 value = 0;

	memcpy(&value, bytes, write ? n : 0);
	if (write && hook->write)
		hook->write(hook->opaque, offset, n, value);
	else if (!write)
		value = hook->read ? hook->read(hook->opaque, offset, n) : ~0ull;
	memcpy(bytes, &value, write ? 0 : n);
}

/* The part of an access that lies in one page. One of 3, 5, 6 or 7 bytes goes byte by byte. */
static void access_part(struct vm *vm, gpa_t gpa, u8 *bytes, u64 n, bool write)
{
	const struct mem_region *r = vm_region(vm, gpa);
	u64 step = (n & (n - 1)) ? 1 : n;

	if (r && r->kind == MEM_RAM) {
		void *p = vm_ptr(vm, gpa, n);

		if (write)
			vcpu_ram_written(vm, gpa);
		memcpy(write ? p : bytes, write ? bytes : p, n);
	} else if (r) {
		for (u64 i = 0; i < n; i += step)
			device_access(r, gpa.a - r->start.a + i, bytes + i, step, write);
	} else if (!write) {
		memset(bytes, 0xff, n);
	}
}

static int access(struct vcpu *vcpu, enum seg seg, u64 offset, void *buffer, u64 size, bool write,
		  u32 rights)
{
	gva_t gva = vcpu_linear(vcpu, seg, offset);
	u8 *bytes = buffer;
	struct walk walk;

	for (u64 n; size; size -= n, bytes += n, gva = gva_add(gva, n)) {
		n = min(size, PAGE_SIZE - (gva.a & (PAGE_SIZE - 1)));
		int err = vcpu_translate(vcpu, gva, rights, &walk);

		if (err)
			return vcpu_walk_failed(vcpu, gva, seg, err, &walk);
		access_part(vcpu->vm, walk.gpa, bytes, n, write);
	}
	return 0;
}

static int read_operand(void *opaque, enum seg seg, u64 offset, unsigned size, bool will_write,
			u64 *value)
{
	*value = 0;
	return access(opaque, seg, offset, value, size, false, will_write ? WALK_WRITE : 0);
}

static int write_operand(void *opaque, enum seg seg, u64 offset, unsigned size, u64 value)
{
	return access(opaque, seg, offset, &value, size, true, WALK_WRITE);
}

int vcpu_mmio_exit(struct vcpu *vcpu, const struct exit *exit)
{
	struct emulate_memory mem = {read_operand, write_operand, vcpu};
	struct emulate_regs regs = {vcpu->gpr, vcpu_get(vcpu, VREG_RFLAGS), exit->rip};
	struct insn insn;
	int err = vcpu_insn(vcpu, &insn);

	if (err)
		return err == -EAGAIN ? 0 : err;
	vcpu->gpr[GPR_RSP] = vcpu_get(vcpu, VREG_RSP);
	err = emulate(&insn, &regs, &mem);
	if (err == -ENOSYS)
		return vm_fail(vcpu->vm, err,
			       "instruction %#x of map %u touched physical address %#lx, where "
			       "there is no RAM, and nobody here can carry it out",
			       insn.opcode, insn.map, exit->memory.gpa.a);
	vcpu_set(vcpu, VREG_RSP, vcpu->gpr[GPR_RSP]);
	vcpu_set(vcpu, VREG_RFLAGS, regs.rflags); /* of a REP's last iteration, if cut short */
	if (err == -EAGAIN || err == EMULATE_AGAIN)
		return 0; /* a page fault on the way, given to the guest; or a long REP goes on */
	if (err)
		return err;
	return cpu->advance(vcpu, vcpu_wrap(exit->rip + insn.len, vcpu_code_size(vcpu)));
}

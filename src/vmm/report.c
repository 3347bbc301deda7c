/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * report.c: telling people how a VM ended, and what its processor looked like when it was a fault.
 */
#include "lib/print.h"
#include "vmm/trace.h"
#include "vmm/vcpu.h"

#define LAST_EXITS 8

const char *exit_kind_name(enum exit_kind kind)
{
	static const char *const names[] = {
#define X(e, name) [e] = name,
		EXIT_KINDS(X)
#undef X
	};

	return names[kind];
}

static void print_segments(struct vcpu *vcpu)
{
	static const char *const names[] = {"ES", "CS", "SS", "DS", "FS", "GS", "LDTR", "TR"};
	struct segment s;

	for (enum seg i = 0; i < SEG_COUNT; i++) {
		cpu->get_seg(vcpu, i, &s);
		print("  %-4s %04x base %016lx limit %08x attributes %03x\n", names[i], s.selector,
		      s.base, s.limit, s.attrib);
	}
}

static void print_code(struct vcpu *vcpu)
{
	gva_t gva = vcpu_linear(vcpu, SEG_CS, vcpu_get(vcpu, VREG_RIP));
	struct walk walk;
	const u8 *p = NULL;

	if (!vcpu_translate(vcpu, gva, WALK_FETCH | WALK_PEEK, &walk))
		p = vm_ptr(vcpu->vm, walk.gpa, 1);
	print("  code");
	for (u64 i = 0; p && i < INSN_MAX && (gva.a & (PAGE_SIZE - 1)) + i < PAGE_SIZE; i++)
		print(" %02x", p[i]);
	print("%s\n", p ? "" : " at RIP is not mapped");
}

/* A page of registers, and the bytes at RIP. */
static void report_registers(struct vcpu *vcpu)
{
	static const char *const names[] = {"RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI",
					    "R8 ", "R9 ", "R10", "R11", "R12", "R13", "R14", "R15"};

	for (enum gpr i = 0; i < GPR_COUNT; i++)
		print("%s%s %016lx%s", i % 4 ? " " : "  ", names[i], vcpu_gpr(vcpu, i),
		      i % 4 == 3 ? "\n" : "");
	print("  RIP %016lx RFLAGS %08lx EFER %04lx\n", vcpu_get(vcpu, VREG_RIP),
	      vcpu_get(vcpu, VREG_RFLAGS), vcpu_get(vcpu, VREG_EFER));
	print("  CR0 %08lx CR2 %016lx CR3 %016lx CR4 %08lx\n", vcpu_get(vcpu, VREG_CR0),
	      vcpu_get(vcpu, VREG_CR2), vcpu_get(vcpu, VREG_CR3), vcpu_get(vcpu, VREG_CR4));
	print_segments(vcpu);
	print_code(vcpu);
}

void report_stop(struct vm *vm)
{
	static const char *const ends[] = {
		[VM_POWEROFF] = "powered off (halted with interrupts disabled)",
		[VM_RESET] = "reset",
		[VM_SHUTDOWN] = "triple fault",
	};

	if (vm->state == VM_EXITED)
		print("\ncasita: %s: exited with status %u\n", vm->name, vm->status);
	else if (vm->state == VM_FAILED)
		print("\ncasita: %s: stopped: %s\n", vm->name, vm->reason);
	else
		print("\ncasita: %s: %s\n", vm->name, ends[vm->state]);
	if (vm->state == VM_FAILED || vm->state == VM_SHUTDOWN) {
		report_registers(vm->vcpu);
		trace_last(vm, LAST_EXITS);
	}
}

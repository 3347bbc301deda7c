# SPDX-License-Identifier: BSD-3-Clause
"""Labs 1, 3 and 4: the references, changed so that less is done than the lab asks, or something else.

Each says which evidence shows it. Without that evidence it would pass, and that is tried as well: so
each is a proof that its check is needed.
"""

from __future__ import annotations

from dataclasses import dataclass

SHADOW, NESTED = "src/paging/vtlb.c", "src/paging/nested.c"


@dataclass(frozen=True)
class Trick:
    """What to replace in a file of the reference, by what, and what it must not gain."""

    name: str
    lab: int
    test: str
    path: str
    edits: tuple[tuple[str, str], ...]
    said: str  # in the message
    checks: tuple[str, ...]  # what shows it: switched off, the test passes


_UNTOUCHED, _HOLES = "grading.paging._untouched", "grading.paging._not_a_hole"
_FIRST, _ANSWERS = "grading.paging._first", "grading.judge._answer_problem"
_SEEN = "grading.programs.lab3_world.World.see_tables"
_REGISTERS = "static void vtlb_registers_written("
_SET_ROOT = "\tforget_all(t);\n\treal_registers(vcpu, &regs, t->root);\n"

# The processor walks the guest's own tables, and then these, in which all RAM is.
_NESTED_ROOT = """
	cpu->set_paging(vcpu, &(struct paging_regs){regs.cr0, regs.cr3, regs.cr4, regs.efer});
	t->wide = true;
	if (t->used < 16)
		forget_all(t);
	for (u64 gpa = t->used < 16 ? 0 : GIB; gpa < 64 * MIB; gpa += PAGE_SIZE) {
		void *ram = vm_ptr(vcpu->vm, GPA(gpa), PAGE_SIZE);

		if (ram)
			*entry_for(t, GVA(gpa)) = ptr_hpa(ram).a | LINK | PTE_D;
	}
	vmcb_np(vcpu, ptr_hpa(t->root).a);
"""
# Lab 4's three lines, which are no part of lab 3's handout.
_NP_ON = """
#include "svm/svm.h"
static void vmcb_np(struct vcpu *vcpu, u64 root)
{
	vmcb_of(vcpu)->ncr3 = root;
	vmcb_of(vcpu)->np_control = SVM_NP_ENABLE;
}

"""
# Pages that have not been used are marked absent in the guest's tables, so that there is a #PF for each.
_HIDE = """
#define HIDDEN 0x200
static void hide(struct vm *vm, u64 table, int level)
{
	u64 *entry = vm_ptr(vm, GPA(table), PAGE_SIZE);

	for (unsigned i = 0; entry && i < 512; i++) {
		if (!(entry[i] & PTE_P))
			continue;
		if (level > 1 && !(entry[i] & PTE_PS))
			hide(vm, entry[i] & PTE_ADDR, level - 1);
		else if (!(entry[i] & PTE_A))
			entry[i] ^= PTE_P | HIDDEN;
	}
}

static bool show(struct vm *vm, u64 table, u64 gva)
{
	for (int level = 4; level; level--) {
		u64 *entry = vm_ptr(vm, GPA(table), PAGE_SIZE);

		if (!entry)
			return false;
		entry += pt_index(gva, level);
		if (*entry & HIDDEN) {
			*entry ^= PTE_P | HIDDEN;
			return true;
		}
		table = *entry & PTE_ADDR;
	}
	return false;
}

"""
_FAULT = "\tgva_t gva = GVA(exit->exception.address);\n\tu32 error"
_SHOW = """	struct walk_regs now;

	cpu->get_walk(vcpu, &now);
	if (show(vcpu->vm, now.cr3 & PTE_ADDR, exit->exception.address))
		return 0;
"""
# All that the guest's tables have is entered as soon as there are any.
_EAGER = """
static void all_at_once(struct vcpu *vcpu, u64 table, int level, u64 gva)
{
	u64 *entry = vm_ptr(vcpu->vm, GPA(table), PAGE_SIZE);

	for (u64 i = 0; entry && i < 512; i++) {
		u64 at = gva | i << (12 + 9 * (level - 1));
		struct walk walk;

		if (!(entry[i] & PTE_P) || (level > 1 && entry[i] & PTE_PS))
			continue;
		at = (u64)((s64)(at << 16) >> 16);
		if (level > 1)
			all_at_once(vcpu, entry[i] & PTE_ADDR, level - 1, at);
		else if (!vcpu_translate(vcpu, GVA(at), 0, &walk) && vm_ptr(vcpu->vm, walk.gpa, 1))
			enter(vcpu, GVA(at), leaf(vcpu, &walk,
				vm_ptr(vcpu->vm, GPA(align_down(walk.gpa.a, PAGE_SIZE)), 1), 0));
	}
}

"""
_LEAK = "\tif (!ram)\n\t\treturn -ENOENT;\n"
_ONES = """
static u64 ones(int level)
{
	u64 *page = level ? new_table() : memset(new_table(), 0xff, PAGE_SIZE);

	for (u64 i = 0, entry = level ? ones(level - 1) : 0; level && i < 512; i++)
		page[i] = entry;
	return ptr_hpa(page).a | PTE_P | PTE_U;
}

"""
_REMAP, _CREATED = "static int nested_remap(", "\t\tif (err)\n\t\t\treturn err;\n\t}\n\treturn 0;\n"
_VM_CREATE = "static int nested_vm_create("
_WHOSE = "\tif (!vm_ptr(vm, gpa, 1))\n\t\treturn -ENOENT;\n"
_WATCHED = ("grading.judge._watched_problem",)
# A table that leads to itself everywhere: 512^3 of them for who follows them all.
_TO_ITSELF = ("\treturn 0;\n", "\tu64 *ring = new_table();\n"
              "\tfor (unsigned i = 0; ring && i < PT_ENTRIES; i++)\n\t\troot[511] = ring[i] = ptr_hpa(ring).a | LINK;\n\treturn 0;\n")
_FREE = "for (unsigned i = 0; level > 1 && i < PT_ENTRIES; i++) {\n\t\tif ((table[i] & PTE_P)"

TRICKS = [
    Trick("nested-with-the-guests-tables", 3, "walk64", SHADOW,
          ((_REGISTERS, _NP_ON + _REGISTERS), (_SET_ROOT, _NESTED_ROOT)), "without a #PF exit", (_UNTOUCHED,)),
    Trick("nested-with-made-up-faults", 3, "two", SHADOW,
          (("static int vtlb_page_fault(", _NP_ON + _HIDE + "static int vtlb_page_fault("), (_FAULT, _SHOW + _FAULT),
           (_SET_ROOT, _NESTED_ROOT + "\tif (regs.cr0 & CR0_PG)\n\t\thide(vcpu->vm, regs.cr3 & PTE_ADDR, 4);\n")),
          "which are as it wrote them", (_SEEN,)),
    Trick("the-guests-tables", 3, "walk64", SHADOW,
          (("\tvm->paging_state = t;\n", "\tvm->paging_state = t;\n\tvm->memory.regions[0].host = HPA(0);\n"),
           (_SET_ROOT, "\treal_registers(vcpu, &regs, regs.efer & EFER_LMA ? hpa_ptr(HPA(regs.cr3)) : t->root);\n")),
          "without a #PF exit", (_UNTOUCHED,)),
    Trick("all-at-once", 3, "walk64", SHADOW,
          ((_REGISTERS, _EAGER + _REGISTERS),
           (_SET_ROOT, _SET_ROOT + "\tif (t->wide && regs.cr0 & CR0_PG)\n"
            "\t\tall_at_once(vcpu, regs.cr3 & PTE_ADDR, 4, 0);\n")), "without a #PF exit", (_UNTOUCHED,)),
    Trick("others-memory-shadow", 3, "isolation", SHADOW,
          ((_LEAK, "\tif (!ram)\n\t\tram = hpa_ptr(HPA(align_down(walk.gpa.a, PAGE_SIZE)));\n"),),
          "where it has no memory", (_ANSWERS,)),
    Trick("shadow-instead", 4, "two", NESTED,
          (("\tu64 *root = new_table();\n\n\tif (!root)\n\t\treturn -ENOMEM;\n\tvm->paging_state",
            "\tu64 *root = new_table();\n\tconst struct paging_ops *const *it;\n\n"
            "\tset_for_each (paging_modes, it) {\n\t\tif ((*it)->rank == 2) {\n\t\t\tvm->paging = *it;\n"
            "\t\t\treturn (*it)->vm_create(vm);\n\t\t}\n\t}\n\tvm->paging_state"),), "an exit for #PF", (_FIRST,)),
    Trick("intercept-left-on", 4, "rights", NESTED,
          (("\treturn 0;\n}\n\n/* Make the tables agree", "\tcpu->intercept(vcpu, INTERCEPT_EXCEPTION + VEC_PF, true);\n"
            "\treturn 0;\n}\n\n/* Make the tables agree"),
           ("static bool nested_present(", "static int hand_on(struct vcpu *vcpu, const struct exit *exit, gpa_t *gpa)\n"
            "{\n\t(void)gpa;\n\tvcpu_page_fault(vcpu, GVA(exit->exception.address), exit->exception.error);\n"
            "\treturn 0;\n}\n\nstatic bool nested_present("),
           ("\t.protect = nested_protect,\n", "\t.protect = nested_protect,\n\t.page_fault = hand_on,\n")),
          "an exit for #PF", (_FIRST,)),
    Trick("when-touched", 4, "walk64", NESTED,
          (("r->kind == MEM_RAM ? map_ram(root, r->start, r->host, r->size) : 0", "0 * r->size"),
           (_WHOSE, _WHOSE + "\tu64 at = align_down(gpa.a, LARGE_SIZE);\n\n\tif (!vm->memory.dirty)\n"
            "\t\treturn map_ram(vm->paging_state, GPA(at), ptr_hpa(vm_ptr(vm, GPA(at), 1)), LARGE_SIZE);\n")),
          "where it has RAM", (_HOLES,)),
    Trick("ones-for-a-hole", 4, "holes", NESTED,
          ((_VM_CREATE, _ONES + _VM_CREATE),
           (_CREATED, _CREATED.replace("\treturn 0;\n", "\tfor (u64 gpa = vm->memory.ram_size, all = ones(1); gpa < GIB;"
                                       " gpa += LARGE_SIZE)\n\t\t*entry_at(root, GPA(gpa), 2) = all;\n\treturn 0;\n"))),
          "There was no nested page fault", (_HOLES,)),
    Trick("ones-for-what-was-given-back", 4, "giveback", NESTED,
          ((_REMAP, _ONES + _REMAP), ("ptr_hpa(ram).a | LEAF : 0;", "ptr_hpa(ram).a | LEAF : ones(0);")),
          "There was no nested page fault", (_HOLES,)),
    Trick("all-is-dirty", 4, "dirty", NESTED,
          (("*entry = read_only ? *entry & ~PTE_W : *entry | PTE_W;",
            "for (u64 i = 0; read_only && i < step; i += PAGE_SIZE)\n"
            "\t\t\t\tvm_dirty_note(vm, GPA(align_down(gpa.a, step) + i));"),), "written pages", (_ANSWERS, _HOLES)),
    Trick("others-memory-nested", 4, "holes", NESTED,
          ((_WHOSE, "\tif (!vm_ptr(vm, gpa, 1)) {\n\t\t*entry_at(vm->paging_state, gpa, 1) = align_down(gpa.a, PAGE_SIZE)"
            " | LEAF;\n\t\treturn 0;\n\t}\n"),), "where it has no memory", (_ANSWERS,)),
    # Who looks at each VMRUN is to be blind, or kept busy.
    Trick("vmrun-in-disguise", 1, "control-block", "src/svm/switch.S",
          (("\tvmrun\t%rax\n", "\t.byte\t0x66\n\tvmrun\t%rax\n"),),
          "has not come to VMRUN", _WATCHED),
    Trick("bytes-like-vmrun", 1, "control-block", "src/svm/switch.S",
          (("\tvmrun\t%rax\n", "\tvmrun\t%rax\n\t.pushsection .rodata\n\t.fill 100000, 3, 0xd8010f\n"
            "\t.popsection\n"),), "are in 100001 places", _WATCHED),
    Trick("tables-without-end", 4, "flush", NESTED,
          ((_CREATED, _CREATED.replace(*_TO_ITSELF)), (_FREE, _FREE.replace("i < PT_ENTRIES", "i < 1"))),
          "lead back to themselves", _WATCHED),
    Trick("vmcb-that-allows-all", 1, "control-block", "src/svm/vcpu.c",
          (("SVM_INTERCEPT_INTR | SVM_INTERCEPT_NMI | SVM_INTERCEPT_SMI |", "SVM_INTERCEPT_INTR |"),),
          "NMI is not intercepted", _WATCHED),
    # Who calls functions is to call others.
    Trick("table-beside", 4, "operations", NESTED,
          (("static const struct paging_ops nested_ops = {", "static const struct paging_ops own = {"),
           ("PAGING_MODE(nested_ops);", "PAGING_MODE(own);\nextern const struct paging_ops nested_ops;\n"
            "const struct paging_ops nested_ops = {.fault = nested_fault};")),
          "protect of nested_ops was never called", _WATCHED),
]  # fmt: skip

# SPDX-License-Identifier: BSD-3-Clause
"""What a guest with rings and an IDT needs: handlers, GDT, IDT, TSS, as assembler text."""

from __future__ import annotations

from .asm import ADDRESS

_KERNEL_CODE, _KERNEL_DATA, USER_CODE, USER_DATA, TSS = 0x10, 0x18, 0x23, 0x2B, 0x30
_SYSCALL = 0x80


def handlers(long: bool) -> list[str]:
    """Of #PF, which ends an attempt, and of INT $0x80, which ends one in ring 3."""
    ax, sp = ("%rax", "%rsp") if long else ("%eax", "%esp")
    pop = "popq" if long else "popl"
    return [
        "page_fault:",
        f"\t{pop} fault_error", f"\tmov %cr2, {ax}", f"\tmov {ax}, fault_cr2",
        f"\t{pop} fault_ip", f"\tmov $stack_end, {sp}", "\tcld", "\tjmp *resume",
        "syscall_gate:",
        "\tmov %eax, got", f"\tmov $stack_end, {sp}", "\tjmp *resume",
    ]  # fmt: skip


def tables(long: bool) -> list[str]:
    """GDT, IDT, TSS, the stack, and the words that the handlers use."""
    def place(label: str) -> str:
        return f"({label} - start + {ADDRESS:#x})"

    def gate(label: str, dpl: int) -> list[str]:
        at = place(label)
        lines = [f"\t.word {at} & 0xffff, {_KERNEL_CODE:#x}, {0x8E00 | dpl << 13:#x}, {at} >> 16"]
        return lines + (["\t.long 0, 0"] if long else [])

    size = 16 if long else 8
    code = "0x00af9b000000ffff" if long else "0x00cf9b000000ffff"
    user = "0x00affb000000ffff" if long else "0x00cffb000000ffff"
    tss = place("tss")
    pointer = "\t.quad" if long else "\t.long"
    return [
        "\t.balign 16", "gdt:", f"\t.quad 0, 0, {code}, 0x00cf93000000ffff",
        f"\t.quad {user}, 0x00cff3000000ffff",
        f"\t.word 103, {tss} & 0xffff", f"\t.byte {tss} >> 16 & 0xff, 0x89, 0, {tss} >> 24",
        "\t.quad 0", "gdt_end:",
        "gdtr:", "\t.word gdt_end - gdt - 1", f"{pointer} gdt",
        "\t.balign 16", "idt:", f"\t.fill {14 * size}, 1, 0", *gate("page_fault", 0),
        f"\t.fill {(_SYSCALL - 15) * size}, 1, 0", *gate("syscall_gate", 3), "idt_end:",
        "idtr:", "\t.word idt_end - idt - 1", f"{pointer} idt",
        "\t.balign 16", "tss:",
        *(["\t.long 0", "\t.quad stack_end"] if long
          else [f"\t.long 0, stack_end, {_KERNEL_DATA:#x}"]),
        "\t.fill 90, 1, 0", "\t.word 104",
        "\t.balign 16", "resume:", "\t.quad 0", "got:", "\t.quad 0",
        "fault_error:", "\t.quad 0", "fault_cr2:", "\t.quad 0", "fault_ip:", "\t.quad 0",
        "\t.fill 1024, 1, 0", "stack_end:", "\t.quad 0, 0",
    ]  # fmt: skip

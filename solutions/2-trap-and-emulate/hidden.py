# SPDX-License-Identifier: BSD-3-Clause
"""Seeded guests for lab 2 that only staff has. The same interface as grader/grading/programs/lab2.py."""

from __future__ import annotations

import random
from typing import Any, Callable, Mapping, Sequence

from grading.evidence import EXIT_IOIO, PORT_EXIT
from grading.programs.asm import ADDRESS, SECOND_ADDRESS, STOPPED, Asm, Guest, Program
from grading.programs.lab1 import halt
from grading.programs.lab2 import _order, _Steps
from grading.programs.lab2_more import checksum, transfer

_HALF = 0xFFFFFFFF
_FLAGS = 0xCD5  # CF, PF, AF, ZF, SF, DF and OF (APM vol. 2 §3.1.6)
_UD, _GP, _NONE = 6, 13, 0xFF
_WITH_ERROR = (8, 10, 11, 12, 13, 14, 17)
_VECTORS = 32
_CODE, _DATA, _USER_CODE, _USER_DATA, _TSS, _WINDOW = 0x10, 0x18, 0x23, 0x2B, 0x30, 0x38


# ---- tables of a 32-bit guest ------------------------------------------------------------------------


def _descriptor(name: str, place: str, limit: int, attributes: int) -> list[str]:
    """A segment descriptor (APM vol. 2 §4.7.1); attributes: flags << 8 | type."""
    return [
        f"{name}:\t.word {limit & 0xffff:#x}, ({place}) & 0xffff",
        f"\t.byte ({place}) >> 16 & 0xff, {attributes & 0xff:#x}, {attributes >> 4 & 0xf0 | limit >> 16:#x}",
        f"\t.byte ({place}) >> 24 & 0xff",
    ]


def _place(asm: Asm, label: str) -> str:
    """The address of a label, as a number that the assembler can cut in pieces."""
    return f"{label} - start + {asm.address:#x}"


def _load_tables(asm: Asm, window: str = "start", limit: int = 0xFFFF, more: Sequence[str] = ()) -> None:
    """GDT with rings 0 and 3, a TSS, a small data segment at `window`, and `more` descriptors; IDT, whose handlers put vector,
    error code and saved EIP into EAX, EDX and ECX and go on at EBP."""
    asm("lgdt gdtr", "lidt idtr", f"mov ${_TSS}, %eax", "ltr %ax", "mov $stack, %esp")
    data = ["\t.balign 8", "gdt:", "\t.quad 0, 0, 0x00cf9b000000ffff, 0x00cf93000000ffff"]
    data += ["\t.quad 0x00cffb000000ffff, 0x00cff3000000ffff"]
    data += _descriptor("gdt_tss", _place(asm, "tss"), 0x67, 0x089)
    data += _descriptor("gdt_window", _place(asm, window), limit, 0x493)
    data += [*more, "gdtr:", f"\t.word {_WINDOW + 7 + 8 * len(more)}", "\t.long gdt", "\t.balign 8"]
    data += ["tss:", f"\t.long 0, stack, {_DATA:#x}", "\t.fill 90, 1, 0", "\t.word 0x68"]
    data += ["\t.fill 512, 1, 0", "user_stack:", "\t.fill 512, 1, 0", "stack:"]
    for vector in range(_VECTORS):
        data.append(f"stub{vector}:" + ("" if vector in _WITH_ERROR else "\tpushl $0"))
        data += [f"\tpushl ${vector}", "\tjmp common"]
    data += ["common:", "\tpop %eax", "\tpop %edx", "\tpop %ecx", "\tmov $stack, %esp", "\tjmp *%ebp"]
    data += ["\t.balign 8", "idt:"]
    for vector in range(_VECTORS):
        place = _place(asm, f"stub{vector}")
        data.append(f"\t.word ({place}) & 0xffff, {_CODE:#x}, 0x8e00, ({place}) >> 16")
    data += ["idtr:", f"\t.word {8 * _VECTORS - 1}", "\t.long idt"]
    asm.data(*data)


def _count_handler(asm: Asm, vector: int) -> None:
    asm.count += 7 if vector in _WITH_ERROR else 8


def _expect(asm: Asm, name: str, code: bytes | str, vector: int) -> None:
    """Run one instruction, which raises `vector` with error code 0, or nothing: _NONE. Destroys EAX, ECX, EDX.

    Saves what came, and where from.
    """
    at, behind = asm.new_label(), asm.new_label()
    asm(f"mov ${behind}, %ebp")
    asm.text(f"{at}:")
    asm(code if isinstance(code, str) else ".byte " + ", ".join(f"{byte:#x}" for byte in code))
    not_raised = [f"mov ${_NONE}, %eax", "xor %edx, %edx", f"mov ${at}, %ecx"]
    if vector == _NONE:
        asm(*not_raised)
    else:
        asm.text(*("\t" + each for each in not_raised))
        _count_handler(asm, vector)
    asm.text(f"{behind}:")
    asm.save(f"the vector (ff: none), for {name}", "%eax", expected=vector)
    asm.save(f"the error code, for {name}", "%edx", expected=0)
    asm(f"sub ${at}, %ecx")
    asm.save(f"the saved EIP's distance from the instruction, for {name}", "%ecx", expected=0)


# ---- hypercalls --------------------------------------------------------------------------------------

_VERSION, _PRINT = 0, 1
_ENOSYS = 38


def _call(asm: Asm, rng: random.Random, name: str, number: int, result: int) -> None:
    """One VMMCALL from the kernel: what it gives, and that it changes nothing else."""
    acc, stack = asm.registers[0], asm.registers[4]
    values = {register: asm.word(rng) for register in asm.registers if register != stack}
    values[acc] = number
    if number == _PRINT:  # a letter, for people to see; the rest of the register does not count
        base = asm.registers[3]
        values[base] = values[base] & ~0xFF | rng.randrange(0x61, 0x7B)
    flags = rng.getrandbits(12) & _FLAGS | 2
    size = "q" if asm.long else "l"
    for register, value in values.items():
        asm.load(register, value)
    asm(f"push{size} ${flags:#x}", f"popf{size}")
    prefixes = rng.sample((0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65, 0x67), rng.choice((0, 1, 3)))
    if asm.long and rng.random() < 0.5:
        prefixes.append(0x48)
    asm(".byte " + ", ".join(f"{byte:#x}" for byte in (*prefixes, 0x0F, 0x01, 0xD9)))
    asm(f"pushf{size}")
    values[acc] = result & (1 << asm.bits) - 1
    for register, value in values.items():
        asm.save(f"{register} after {name}", f"%{register}", expected=value)
    asm(f"pop{size} %{acc}", f"sub $stack, %{stack}")
    asm.save(f"{stack} after {name}, less what it was", f"%{stack}", expected=0)
    asm(f"add $stack, %{stack}")
    asm(f"and ${_FLAGS:#x}, %eax")
    asm.save(f"the flags after {name}", f"%{acc}", expected=flags & _FLAGS)
    asm.answer_saved()


def _calls(asm: Asm, rng: random.Random) -> None:
    unknown = [3 + rng.getrandbits(30), (1 << asm.bits) - 1 - rng.getrandbits(8)]
    if asm.long:  # in 64-bit code all of RAX is the number
        unknown.append((1 + rng.getrandbits(31)) << 32)
    calls = [(f"VMMCALL {number:#x}, which nobody knows", number, -_ENOSYS) for number in unknown]
    calls += [("VMMCALL 0, version", _VERSION, 1), ("VMMCALL 1, print", _PRINT, 0)]
    rng.shuffle(calls)
    for name, number, result in calls:
        _call(asm, rng, name, number, result)


def _call_from_ring3(asm: Asm, name: str) -> None:
    user, behind = asm.new_label(), asm.new_label()
    asm(f"mov ${behind}, %ebp", f"mov ${_VERSION}, %eax")
    asm(f"pushl ${_USER_DATA:#x}", "pushl $user_stack", "pushl $2", f"pushl ${_USER_CODE:#x}")
    asm(f"pushl ${user}", "iret")
    asm.text(f"{user}:")
    asm("vmmcall")
    asm.text("\tud2", f"{behind}:")  # UD2: only if the call was allowed
    _count_handler(asm, _UD)
    # IRET took the kernel's data segments away.
    asm(f"mov ${_DATA:#x}, %ebx", "mov %ebx, %ds", "mov %ebx, %es")
    asm.save(f"the vector, for {name}", "%eax", expected=_UD)
    asm(f"sub ${user}, %ecx")
    asm.save(f"the saved EIP's distance from the instruction, for {name}", "%ecx", expected=0)
    asm.answer_saved()


def _print(asm: Asm, word: str) -> None:
    """A line, for people."""
    for letter in word + "\n":
        asm(f"mov ${ord(letter)}, %ebx", f"mov ${_PRINT}, %eax", "vmmcall")


def _call_from_compatibility(asm: Asm, rng: random.Random) -> None:
    """From 32-bit code in long mode: the upper half of RAX is not a part of the number. Destroys RAX."""
    asm("lgdt gdtr")
    asm.load("rax", (1 + rng.getrandbits(31)) << 32 | _VERSION)
    asm("ljmp *to_32")
    asm.text("\t.code32", "in_32:")
    asm("vmmcall", "ljmp $0x10, $in_64")
    asm.text("\t.code64", "in_64:")
    asm.save("RAX after VMMCALL 0 from 32-bit code, with a number in its upper half", "%rax", expected=1)
    asm.answer_saved()
    asm.data("\t.balign 8", "gdt:", "\t.quad 0, 0x00cf9b000000ffff, 0x00af9b000000ffff")
    asm.data("to_32:", "\t.long in_32", "\t.word 8", "gdtr:", "\t.word 23", "\t.quad gdt")


def hypercalls(rng: random.Random, _options: Mapping[str, Any]) -> list[Guest]:
    """VMMCALL: results, unknown numbers, prefixes, all registers; two VMs, in 32-bit and in 64-bit code.

    And by ring 3 of the first VM, to which it is #UD; and from 32-bit code of the second.
    """
    first, second = Asm(long=False), Asm(long=True, address=SECOND_ADDRESS)
    _load_tables(first)
    _calls(first, rng)
    _call_from_ring3(first, "VMMCALL 0 by ring 3")
    _calls(first, rng)
    word = "".join(rng.choice("bdfgklmnprstvz") + rng.choice("aeiou") for _ in range(4))
    _print(first, word)
    second("mov $stack, %rsp")
    _calls(second, rng)
    _call_from_compatibility(second, rng)
    second.data("\t.balign 8", "\t.fill 512, 1, 0", "stack:")
    return [first.finish(bare=False, says=(word,)), second.finish(bare=False)]


# ---- forbidden values --------------------------------------------------------------------------------

_EFER = 0xC0000080
_LME, _LMA = 1 << 8, 1 << 10
_PE, _TS, _NW, _CD, _PG = 1, 1 << 3, 1 << 29, 1 << 30, 1 << 31


def _control(asm: Asm, name: str, register: str, set_: int, clear: int, vector: int) -> None:
    """MOV of the register's own value, with these bits changed, to it. It keeps its old value."""
    asm(f"mov %{register}, %ebx", "mov %ebx, %esi")
    asm(f"or ${set_:#x}, %esi", f"and ${~clear & _HALF:#x}, %esi")
    _expect(asm, name, f"mov %esi, %{register}", vector)
    asm(f"mov %{register}, %eax", "xor %ebx, %eax")
    asm.save(f"what changed in {register} by {name}", "%eax", expected=0)
    asm(f"or ${set_:#x}, %ebx", f"and ${~clear & _HALF:#x}, %ebx", "xor %esi, %ebx")
    asm.save(f"what changed in ESI, whose value it was, by {name}", "%ebx", expected=0)
    asm.answer_saved()


def _efer(asm: Asm, name: str, flip: int, vector: int, changes: int = 0) -> None:
    """WRMSR of EFER's own value with these bits inverted."""
    asm(f"mov ${_EFER:#x}, %ecx", "rdmsr", "mov %eax, %ebx", "mov %edx, %esi")
    asm(f"xor ${flip & _HALF:#x}, %eax", f"xor ${flip >> 32:#x}, %edx")
    _expect(asm, name, "wrmsr", vector)
    asm(f"mov ${_EFER:#x}, %ecx", "rdmsr", "xor %ebx, %eax", "xor %esi, %edx")
    asm.save(f"what changed in EFER, lower half, by {name}", "%eax", expected=changes)
    asm.save(f"what changed in EFER, upper half, by {name}", "%edx", expected=0)
    asm.answer_saved()


def _allowed(asm: Asm, name: str, set_: int, clear: int) -> None:
    """MOV to CR0 of a value that it may have, and back."""
    asm("mov %cr0, %ebx", "mov %ebx, %esi")
    asm(f"or ${set_:#x}, %esi", f"and ${~clear & _HALF:#x}, %esi")
    _expect(asm, name, "mov %esi, %cr0", _NONE)
    asm("mov %cr0, %eax", "mov %ebx, %cr0", "xor %ebx, %eax")
    asm.save(f"what changed in CR0 by {name}", "%eax", expected=set_ | clear)
    asm.answer_saved()


def _task_switched(asm: Asm) -> None:
    """CR0.TS stays when control registers are read."""
    asm("mov %cr0, %ebx", "mov %ebx, %esi", f"or ${_TS}, %esi", "mov %esi, %cr0")
    asm("mov %cr4, %eax", "mov %cr0, %eax", "mov %cr0, %eax", "mov %ebx, %cr0", "xor %ebx, %eax")
    asm.save("what changed in CR0 by setting TS, read twice", "%eax", expected=_TS)
    asm.answer_saved()


def _stack_pointer(asm: Asm, rng: random.Random) -> None:
    """ESP, which is not where the other general registers are, to and from control registers."""
    value = rng.getrandbits(32)
    asm("mov %esp, %esi", f"mov ${value:#x}, %esp", "mov %esp, %cr2", "mov %cr2, %ebx")
    asm("mov %cr0, %ecx", "mov %cr0, %esp", "sub %esp, %ecx", "mov %esi, %esp")
    asm.save("CR2 after MOV from ESP", "%ebx", expected=value)
    asm.save("CR0 less ESP after MOV from CR0 to ESP", "%ecx", expected=0)
    word = rng.getrandbits(32) & ~0xF | _PE
    asm(f"mov ${word:#x}, %esi", "lmsw %si")
    asm.save("ESI after LMSW from SI", "%esi", expected=word)
    asm.answer_saved()


def _expect64(asm: Asm, name: str, instruction: str, vector: int) -> None:
    """As _expect, in 64-bit code, for #GP or nothing. Destroys RBP, R12 and R13."""
    behind = asm.new_label()
    asm(f"mov ${behind}, %ebp", f"mov ${_NONE}, %r12d", "xor %r13d, %r13d", instruction)
    asm.count += 4 if vector == _GP else 0
    asm.text(f"{behind}:")
    asm.save(f"the vector (ff: none), for {name}", "%r12", expected=vector)
    asm.save(f"the error code, for {name}", "%r13", expected=0)


def _control64(asm: Asm, name: str, *change: str) -> None:
    """MOV to CR0 of its own value, with a change to RSI, which #GP refuses."""
    asm("mov %cr0, %rbx", "mov %rbx, %rsi", *change)
    _expect64(asm, name, "mov %rsi, %cr0", _GP)
    asm("mov %cr0, %rdi", "xor %rbx, %rdi")
    asm.save(f"what changed in CR0 by {name}", "%rdi", expected=0)
    asm.answer_saved()


def _efer64(asm: Asm, name: str, flip: int, vector: int) -> None:
    """WRMSR of EFER's own value with these bits inverted, which changes nothing."""
    asm(f"mov ${_EFER:#x}, %ecx", "rdmsr", "mov %eax, %ebx", f"xor ${flip:#x}, %eax")
    _expect64(asm, name, "wrmsr", vector)
    asm(f"mov ${_EFER:#x}, %ecx", "rdmsr", "xor %ebx, %eax")
    asm.save(f"what changed in EFER by {name}", "%rax", expected=0)
    asm.answer_saved()


def _in_long_mode(rng: random.Random) -> Guest:
    """The way out of long mode is not through its middle; and all 64 bits of CR2."""
    asm = Asm(long=True, address=SECOND_ADDRESS)
    asm("lidt idtr")
    bit, value = rng.randrange(33, 64), rng.getrandbits(64)
    cases: list[Callable[[], None]] = [
        lambda: _control64(asm, "CR0 without PG in 64-bit code", f"and ${_PG - 1:#x}, %esi"),
        lambda: _control64(asm, f"CR0 with bit {bit}", "mov $1, %edi", f"shl ${bit}, %rdi", "or %rdi, %rsi"),
        lambda: _control64(asm, "CR0 with bit 32", "mov $1, %edi", "shl $32, %rdi", "or %rdi, %rsi"),
        lambda: _efer64(asm, "EFER without LME in 64-bit code", _LME, _GP),
        lambda: _efer64(asm, "EFER without LMA in 64-bit code", _LMA, _NONE),
    ]
    rng.shuffle(cases)
    for case in cases:
        case()
    for number in range(2):
        asm("mov %cr0, %rbx", "mov %rbx, %rsi", f"xor ${_TS}, %esi")
        _expect64(asm, f"CR0 with another TS in 64-bit code, {number}", "mov %rsi, %cr0", _NONE)
        asm("mov %cr0, %rdi", "xor %rbx, %rdi")
        asm.save(f"what changed in CR0 then, {number}", "%rdi", expected=_TS)
        asm.answer_saved()
    asm.load("rsi", value)
    asm("mov %rsi, %cr2", "mov %cr2, %rdi")
    asm.save("CR2 after MOV from RSI", "%rdi", expected=value)
    asm.answer_saved()
    asm.data("gp:", "\tpop %r13", f"\tmov ${_GP}, %r12d", "\tmov 24(%rsp), %rsp", "\tjmp *%rbp")
    place = _place(asm, "gp")
    asm.data("\t.balign 8", "idt:", f"\t.fill {16 * _GP}, 1, 0")
    asm.data(f"\t.word ({place}) & 0xffff, {_CODE:#x}, 0x8e00, ({place}) >> 16", "\t.quad 0")
    asm.data("idtr:", f"\t.word {16 * _GP + 15}", "\t.quad idt")
    return asm.finish(bare=False, words="trap=cr")


def forbidden(rng: random.Random, _options: Mapping[str, Any]) -> list[Guest]:
    """Values that CR0, CR4 and EFER must not have: #GP(0), and the register is as before. And ESP in MOV CR."""
    asm = Asm(long=False)
    _load_tables(asm)
    reserved4 = rng.choice((12, 13, 14, 19, *range(24, 32)))
    reserved0 = rng.choice((6, 10, 17, 22, 26, 28))
    efer_low = rng.choice((*range(1, 8), 9, 16, 20, 31))
    efer_high = rng.randrange(32, 64)
    cases: list[Callable[[], None]] = [
        lambda: _control(asm, "CR0 with PG and without PE", "cr0", _PG, _PE, _GP),
        lambda: _control(asm, "CR0 with NW and without CD", "cr0", _NW, _CD, _GP),
        lambda: _allowed(asm, "CR0 with NW and CD", _NW | _CD, 0),
        lambda: _allowed(asm, "CR0 without PE", 0, _PE),
        lambda: _task_switched(asm),
        lambda: _control(asm, f"CR0 with reserved bit {reserved0}", "cr0", 1 << reserved0, 0, _NONE),
        lambda: _control(asm, f"CR4 with bit {reserved4}", "cr4", 1 << reserved4, 0, _GP),
        lambda: _efer(asm, f"EFER with bit {efer_low}", 1 << efer_low, _GP),
        lambda: _efer(asm, f"EFER with bit {efer_high}", 1 << efer_high, _GP),
        lambda: _efer(asm, "EFER with SVME", 1 << 12, _GP),
        lambda: _efer(asm, "EFER with LMA", _LMA, _NONE),
    ]
    rng.shuffle(cases)
    for case in cases:
        case()
    _expect(asm, "RDPMC", "rdpmc", _GP)
    _stack_pointer(asm, rng)
    # Paging on in long mode wants PAE. EFER.LMA must not be set by the attempt.
    _efer(asm, "EFER with LME", _LME, _NONE, _LME)
    _control(asm, "CR0 with PG, with EFER.LME and without CR4.PAE", "cr0", _PG, 0, _GP)
    _efer(asm, "EFER without LME", _LME, _NONE, _LME)
    return [asm.finish(bare=False, words="trap=cr"), _in_long_mode(rng)]


# ---- string I/O at its ends --------------------------------------------------------------------------

_BOUND = 4096  # REP_BOUND of io.c
_ROOM = 2 * _BOUND
_LIMIT = 255


def _string(size: int, write: bool, *, rep: bool = True, small: bool = False, prefix: int = 0) -> bytes:
    code = [prefix] if prefix else []
    code += [0x67] if small else []
    code += [0x66] if size == 2 else []
    code += [0xF3] if rep else []
    return bytes((*code, (0x6E if write else 0x6C) + (size > 1)))


def _uncounted(asm: Asm, code: bytes) -> None:
    """count.c leaves string I/O out."""
    asm.text("\t.byte " + ", ".join(f"{byte:#x}" for byte in code))


def _none_at_all(asm: Asm, rng: random.Random, port: int, write: bool, small: bool) -> None:
    """REP with a count of 0, of which a 16-bit address size sees only the lower half."""
    size, index = rng.choice((1, 2, 4)), "esi" if write else "edi"
    name = f"REP {'OUTS' if write else 'INS'}, {size * 8} bits, 0 times, {16 if small else 32}-bit addresses"
    count, value = rng.getrandbits(15) << 16 if small else 0, rng.getrandbits(31)
    asm("cld", f"mov ${port:#x}, %edx", f"mov ${value:#x}, %eax", "out %eax, %dx")
    asm(f"mov ${count:#x}, %ecx", f"mov $room, %{index}", "mov room, %ebx")
    _uncounted(asm, _string(size, write, small=small))
    asm.save(f"ecx after {name}", "%ecx", expected=count)
    asm(f"sub $room, %{index}", "xor room, %ebx", "in %dx, %eax")
    asm.save(f"{index} after {name}", f"%{index}", expected=0)
    asm.save(f"memory's changes after {name}", "%ebx", expected=0)
    asm.save(f"the port after {name}", "%eax", expected=value)
    asm.answer_saved()


def _very_many(asm: Asm, rng: random.Random, port: int) -> None:
    """More than one exit does: INS fills memory, and one byte behind it stays."""
    count, value = _BOUND + rng.randrange(100, _BOUND - 100), rng.getrandbits(31) | 1
    asm("cld", f"mov ${port:#x}, %edx", f"mov ${value:#x}, %eax", "out %eax, %dx")
    asm("movb $0, room", f"movb $0, room + {count - 1}", f"movb $0x5a, room + {count}")
    asm(f"mov ${count}, %ecx", "mov $room, %edi")
    _uncounted(asm, _string(1, write=False, prefix=0x64))  # FS is elsewhere, but INS takes no override
    name = f"REP INS, 8 bits, with an FS prefix, {count} times"
    asm.save(f"ecx after {name}", "%ecx", expected=0)
    asm("sub $room, %edi")
    asm.save(f"edi after {name}", "%edi", expected=count)
    asm("movzbl room, %eax", f"mov room + {count - 1}, %ah", f"movzbl room + {count}, %ebx")
    low = value & 0xFF
    asm.save(f"first and last byte after {name}", "%eax", expected=low << 8 | low)
    asm.save(f"the byte behind after {name}", "%ebx", expected=0x5A)
    asm.answer_saved()


def _over_the_end(asm: Asm, rng: random.Random, port: int, write: bool) -> None:
    """A segment ends in the middle: #GP, and the registers say how far it came."""
    size, index = rng.choice((1, 2, 4)), "esi" if write else "edi"
    done, more = rng.randrange(3, 20), rng.randrange(1, 20)
    start = _LIMIT + 1 - done * size
    at, behind = asm.new_label(), asm.new_label()
    # The window is in one segment register, and all others are flat: its low addresses are elsewhere there.
    segment = rng.choice(("fs", "gs", "es")) if write else "es"
    prefix = {"fs": 0x64, "gs": 0x65, "es": 0x26}[segment] if write else 0
    asm("cld", f"mov ${_DATA:#x}, %eax", *(f"mov %eax, %{each}" for each in ("fs", "gs", "es")))
    name = f"REP {'OUTS' if write else 'INS'}, {size * 8} bits, {segment.upper()}, over the segment's end"
    asm(f"mov ${_WINDOW:#x}, %eax", f"mov %eax, %{segment}")
    asm(f"mov ${behind}, %ebp", f"mov ${port:#x}, %edx", f"mov ${start}, %{index}", f"mov ${done + more}, %ecx")
    # The handler's ECX is the saved EIP: keep the count elsewhere.
    asm.text(f"{at}:")
    _uncounted(asm, _string(size, write, prefix=prefix))
    asm.text("\tmov %ecx, %ebx", f"\tmov ${_NONE}, %eax", "\txor %edx, %edx", f"\tmov ${at}, %ecx", f"{behind}:")
    asm.count += 8  # the handler that keeps ECX
    asm.save(f"the vector, for {name}", "%eax", expected=_GP)
    asm.save(f"the error code, for {name}", "%edx", expected=0)
    asm.save(f"ecx, for {name}", "%ebx", expected=more)
    asm.save(f"{index}, for {name}", f"%{index}", expected=_LIMIT + 1)
    asm(f"sub ${at}, %ecx", f"mov ${_DATA:#x}, %ebx", "mov %ebx, %es")
    asm.save(f"the saved EIP's distance from the instruction, for {name}", "%ecx", expected=0)
    asm.answer_saved()


def string_ends(rng: random.Random, _options: Mapping[str, Any]) -> list[Guest]:
    """INS and OUTS of no element, of more than an exit does, and into a fault."""
    asm = Asm(long=False)
    port = 0x5000 + 4 * rng.getrandbits(8)
    _load_tables(asm, "window", _LIMIT)
    # #GP goes to a handler of its own, which keeps ECX in EBX.
    asm.data("stub_gp:", "\tmov %ecx, %ebx", "\tpushl $13", "\tjmp common")
    handler = _place(asm, "stub_gp")
    asm(f"movl $({_CODE:#x} << 16 | (({handler}) & 0xffff)), idt + {8 * _GP}")
    asm(f"movl $(({handler}) & 0xffff0000 | 0x8e00), idt + {8 * _GP + 4}")
    for _ in range(3):
        for write in (False, True):
            _none_at_all(asm, rng, port, write, small=False)
            _none_at_all(asm, rng, port, write, small=True)
            _over_the_end(asm, rng, port, write)
    asm(f"mov ${_WINDOW:#x}, %eax", "mov %eax, %fs")
    _very_many(asm, rng, port)
    # The first byte at the exit port ends the guest; what REP would write after it is not written.
    asm(f"mov ${PORT_EXIT:#x}, %edx", "mov $last_bytes, %esi", "mov $4, %ecx")
    _uncounted(asm, _string(1, write=True))
    asm.data("\t.balign 8", "window:", f"\t.fill {_LIMIT + 9}, 1, 0x33", "room:", f"\t.fill {_ROOM}, 1, 0x44")
    asm.data("last_bytes:", "\t.byte 0, 3, 2, 1")
    return [asm.finish(ended=True, bare=False, words=f"io={port:#x}:0x0")]


_NOWHERE = 0xE0000000  # no VM of the tests has RAM there


def string_outside(rng: random.Random, _options: Mapping[str, Any]) -> list[Guest]:
    """Two VMs, of which each makes one exit: INS or OUTS at an address without RAM. It stops them."""
    guests = []
    for address, write in zip((ADDRESS, SECOND_ADDRESS), rng.sample((False, True), 2)):
        asm = Asm(long=False, address=address)
        asm(f"mov ${0x5000 + rng.getrandbits(10):#x}, %edx", f"mov ${rng.randrange(1, 99)}, %ecx")
        asm(f"mov ${_NOWHERE + rng.getrandbits(20):#x}, %{'esi' if write else 'edi'}")
        _uncounted(asm, _string(rng.choice((1, 2, 4)), write))
        # vm_fail()'s sentence, and not the one that every error has
        said = rf"outside{len(guests) + 1}: stopped: (?!error \d)"
        guests.append(asm.finish(STOPPED, last_code=EXIT_IOIO, bare=False, says=(said,)))
    return guests


# ---- string I/O in 64-bit code -----------------------------------------------------------------------

_BUFFER, _MARGIN = 256, 16
_FS_BASE = 0xC0000100
_VOID = (0x26, 0x2E, 0x36, 0x3E)  # overrides that 64-bit code does not have


def _string64_case(asm: Asm, rng: random.Random, number: int, state: dict[str, Any]) -> None:
    """One INS or OUTS. With an address size of 32 bits upper halves do not count; if written, they are cleared."""
    write, size, down = rng.random() < 0.5, rng.choice((1, 2, 4)), rng.random() < 0.4
    repeat, small, by_fs = rng.random() < 0.8, rng.random() < 0.5, write and rng.random() < 0.5
    count = rng.randrange(1, (_BUFFER - 2 * _MARGIN) // 4) if repeat else 1
    first = rng.randrange(_MARGIN, _BUFFER - _MARGIN - count * size + 1)
    start = first + (count - 1) * size if down else first
    junk = rng.getrandbits(32) << 32 if small else 0
    counter = junk | (count if repeat else rng.getrandbits(32))
    index = "rsi" if write else "rdi"
    asm("std" if down else "cld", f"mov ${state['port']:#x}, %edx", f"movabs ${counter:#x}, %rcx")
    asm(f"movabs ${junk | start:#x}, %{index}")
    if not by_fs:
        asm(f"add $buffer, %{index}")
    prefixes = [0x67] * small + [0x66] * (size == 2) + [0xF3] * repeat + [0x64] * by_fs
    prefixes += rng.sample(_VOID, rng.choice((0, 1, 2)))
    rng.shuffle(prefixes)
    prefixes += [0x48] if size == 4 and rng.random() < 0.5 else []
    _uncounted(asm, bytes((*prefixes, (0x6E if write else 0x6C) + (size > 1))))
    end = transfer(state, write, size, count, start, -size if down else size)
    what = f"{'REP ' if repeat else ''}{'OUTS' if write else 'INS'}, {size * 8} bits"
    what += f", {count} times" if repeat else ""
    what += f", {'downwards' if down else 'upwards'}, {32 if small else 64}-bit addresses"
    what = f"case {number}: {what}{', in FS' if by_fs else ''}"
    if not by_fs:
        asm(f"sub $buffer, %{index}")
    asm.save(f"{index} after {what}", f"%{index}", expected=end)
    asm.save(f"rcx after {what}", "%rcx", expected=0 if repeat else counter)
    if write:
        asm("in %dx, %eax")
        asm.save(f"the port after {what}", "%rax", expected=state["value"])
    else:
        checksum(asm, f"memory after {what}", bytes(state["buffer"]))
    state["value"] = rng.getrandbits(32)
    asm(f"mov ${state['value']:#x}, %eax", "out %eax, %dx")
    asm.answer_saved()


def strings64(rng: random.Random, options: Mapping[str, Any]) -> list[Guest]:
    """As `strings`, in 64-bit code: two address sizes, REX, and the overrides that are none there."""
    asm = Asm(long=True)
    port, value = 0x5000 + 4 * rng.getrandbits(8), rng.getrandbits(32)
    state = {"port": port, "value": value, "buffer": bytearray(rng.getrandbits(8) for _ in range(_BUFFER))}
    asm(f"mov ${_FS_BASE:#x}, %ecx", "mov $buffer, %eax", "xor %edx, %edx", "wrmsr")
    room = f"\t.fill {_BUFFER}, 1, 0"
    data = ["\t.balign 8", room, "buffer:", "\t.byte " + ", ".join(map(str, state["buffer"])), room]
    for number in range(1, options.get("cases", 16) + 1):
        _string64_case(asm, rng, number, state)
    asm.data(*data)
    return [asm.finish(bare=False, words=f"io={port:#x}:{value:#x}")]


# ---- subleaves ---------------------------------------------------------------------------------------


def subleaves(rng: random.Random, _options: Mapping[str, Any]) -> list[Guest]:
    """CPUID leaves that ECX divides, as the bare machine has them. Not those of which a VM shows only a part."""
    asm = Asm(long=False)
    asked = [(0xD, 2), *((4, subleaf) for subleaf in range(5)), (7, 2 + rng.getrandbits(8))]
    rng.shuffle(asked)
    for leaf, subleaf in asked:
        asm(f"mov ${leaf:#x}, %eax", f"mov ${subleaf:#x}, %ecx", "cpuid")
        if leaf == 4:
            asm("and $0x3fff, %eax")  # above: how many processors share it
        for register in ("eax", "ebx", "ecx", "edx"):
            asm.save(f"CPUID {leaf:#x}, ECX {subleaf}, {register}", f"%{register}")
        asm.answer_saved()
    return [asm.finish()]


# ---- values in 64-bit code ---------------------------------------------------------------------------

_MSR_MAP_FIRST = 0x2000  # MSRs that the permission map's first range has


def values64(rng: random.Random, options: Mapping[str, Any]) -> list[Guest]:
    """As `values`, in 64-bit code, with garbage above every 32-bit operand.

    But for RCX of an MSR below 0x2000: QEMU 7.2 looks its bit up by all of RCX, and there may be no exit.
    """
    asm = Asm(long=True)
    machine = _order(rng)
    machine.msr = {number: value for number, value in machine.msr.items() if number >= _MSR_MAP_FIRST}
    words = machine.words()
    steps = _Steps(asm, rng, machine)
    kinds = [steps.cpuid, steps.rdmsr, steps.wrmsr, steps.read_port, steps.write_port]
    chosen = kinds + [rng.choice(kinds) for _ in range(options.get("steps", 25))]
    rng.shuffle(chosen)
    for step in chosen:
        step()
    # REX.B with another prefix behind it is void: RCX, not R9.
    asm("xor %r9d, %r9d", ".byte 0x41, 0x66, 0x0f, 0x20, 0xc1", "mov %cr0, %rax", "sub %rax, %rcx")
    asm.save("RCX less CR0 after MOV from CR0 with a void REX", "%rcx", expected=0)
    asm.save("R9 after it", "%r9", expected=0)
    asm.answer_saved()
    return [asm.finish(bare=False, words=f"{words} trap=cr")]


# ---- lengths in 64-bit code --------------------------------------------------------------------------

_PREFIXES = (0x66, 0x67, 0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65)
_REX = (0x40, 0x42, 0x48, 0x4A)  # W and X, which mean nothing here
_LONGEST = 15


def lengths64(rng: random.Random, options: Mapping[str, Any]) -> list[Guest]:
    """As `lengths`, in 64-bit code: with REX, and up to the longest instruction that there can be."""
    asm = Asm(long=True)
    msr = 0x40000000 + rng.getrandbits(28)
    forms = [
        ("CPUID", b"\x0f\xa2"), ("RDMSR", b"\x0f\x32"), ("WRMSR", b"\x0f\x30"), ("INVD", b"\x0f\x08"),
        ("WBINVD", b"\x0f\x09"), ("VMMCALL", b"\x0f\x01\xd9"), ("MOV CR0 to RCX", b"\x0f\x20\xc1"),
        ("MOV CR4 to RDX", b"\x0f\x20\xe2"), ("MOV CR3 to R9", b"\x49\x0f\x20\xd9"),
    ]  # fmt: skip
    chosen = forms * 2 + [rng.choice(forms) for _ in range(options.get("cases", 40))]
    rng.shuffle(chosen)
    for number, (name, code) in enumerate(chosen):
        most = _LONGEST - len(code)
        how_many = rng.choice((0, 1, 2, 3, most - 1, most) if number else (most,))
        prefixes = [rng.choice(_PREFIXES) for _ in range(how_many)]
        if prefixes and code[0] != 0x49 and rng.random() < 0.7:
            prefixes[-1] = rng.choice(_REX)
        for register, value in (("eax", 0xFFFF), ("ecx", msr), ("edx", rng.getrandbits(32))):
            asm(f"mov ${value:#x}, %{register}")
        asm("lea start, %rsi")
        asm(".byte " + ", ".join(f"{byte:#x}" for byte in (*prefixes, *code)))
        steps = rng.randrange(5, 16)
        asm(*["lodsb"] * steps, "sub $start, %rsi")
        said = f" with prefixes {bytes(prefixes).hex(' ')}" if prefixes else ""
        asm.answer(f"bytes executed of the {steps} behind {name}{said}", "%rsi", 1, steps)
    return [asm.finish(bare=False, words=f"trap=cr msr={msr:#x}:0x0")]


# ---- memory operands ---------------------------------------------------------------------------------


def _random_form(asm: Asm, rng: random.Random) -> tuple[str | None, str | None]:
    """Base and index, or None."""
    names = list(asm.registers)
    base = rng.choice([None, *names, *names])
    index = rng.choice([None, *(name for name in names if name != names[4] and name != base)])
    return base, index


def _special_forms(asm: Asm) -> list[tuple[str | None, str | None]]:
    """What ModRM and SIB have exceptions for: no base, rSP and R12, rBP and R13, no index, RIP."""
    bases = [asm.registers[4], asm.registers[5], *(("r12", "r13") if asm.long else ())]
    return [(None, None), (None, asm.registers[5]), *((base, None) for base in bases)]


def _operand(asm: Asm, rng: random.Random, form: tuple[str | None, str | None]) -> tuple[str, dict[str, int]]:
    """A random form of memory operand, and what its registers must hold, so that it means `target`: the index
    as it is, the base with `target` added to it."""
    base, index = form
    scale = rng.choice((1, 2, 4, 8))
    if asm.long and base is None and index is None:
        return "target(%rip)", {}
    limit = (1 << asm.bits) - 1
    disp = rng.choice((0, rng.randrange(-128, 128), rng.getrandbits(30) - (1 << 29)))
    value = rng.getrandbits(20) if base is None else asm.word(rng)
    registers = {index: value} if index else {}
    offset = value * scale if index else 0
    inside = f"{f'%{base}' if base else ''}" + (f", %{index}, {scale}" if index else "")
    if base is None:
        return (f"target - {offset:#x}({inside})" if index else "target"), registers
    # With a displacement of four bytes though one would do, now and then; rBP, and R13, always want one.
    wide = "{disp32} " if rng.random() < 0.3 else ""
    registers[base] = -(offset + disp) & limit
    return f"{wide}{disp}({inside})", registers


def _one_operand(asm: Asm, rng: random.Random, number: int, form: tuple[str | None, str | None]) -> None:
    stack = asm.registers[4]
    text, registers = _operand(asm, rng, form)
    wide, brace, text = text.rpartition("} ")
    name = f"case {number}: SMSW to {text}"
    size = "q" if asm.long else "l"
    asm(f"mov{size} $0x77777777, target", f"mov{size} $0x77777777, target - 8", f"mov %{stack}, old_stack")
    for register, value in registers.items():
        asm.load(register, value)
        if f"(%{register}" in text:
            asm(f"add target_address, %{register}")
    asm(wide + brace + "smsw " + text)
    asm(f"mov old_stack, %{stack}")
    asm.save(f"the stack pointer's difference after {name}", f"%{stack}")
    asm("mov target, %eax", "mov target - 8, %ebx", "mov target + 2, %ecx")
    for register, what in (("eax", "memory"), ("ebx", "memory before it"), ("ecx", "memory behind it")):
        asm.save(f"{what} after {name}", f"%{asm.registers[0][0] if asm.long else 'e'}{register[1:]}")
    asm.answer_saved()


def _operands(asm: Asm, rng: random.Random, count: int) -> Asm:
    stack = asm.registers[4]
    asm(f"mov $stack, %{stack}")
    forms = _special_forms(asm) + [_random_form(asm, rng) for _ in range(count)]
    rng.shuffle(forms)
    for number, form in enumerate(forms, 1):
        _one_operand(asm, rng, number, form)
    asm.data("\t.balign 8", "\t.quad 0", "target:", "\t.quad 0, 0", "target_address:", "\t.long target, 0")
    asm.data("old_stack:", "\t.quad 0", "\t.fill 512, 1, 0", "stack:")
    return asm


def _register_operands(asm: Asm, rng: random.Random) -> None:
    """SMSW to a register in 64-bit code: 66 makes it 16 bits, REX.W 64 whatever 66 says, and REX alone nothing."""
    forms = [("smsw %r8w", "r8"), ("smsw %bx", "rbx"), ("smsw %r9d", "r9"), ("smsw %r10", "r10")]
    forms.append((".byte 0x66, 0x49, 0x0f, 0x01, 0xe3", "r11"))
    rng.shuffle(forms)
    for code, register in forms:
        asm.load(register, rng.getrandbits(64))
        # bits 31 to 16 need not be those of a bare machine
        asm(code, "movabs $0xffffffff0000ffff, %rax", f"and %rax, %{register}")
        asm.save(f"{register} after {code.replace('.byte ', '')}", f"%{register}")
    asm.answer_saved()


def operands(rng: random.Random, options: Mapping[str, Any]) -> list[Guest]:
    """SMSW to memory, in all forms that an operand can have: where it went, and where the next one began."""
    count = options.get("cases", 18)
    first = _operands(Asm(long=False), rng, count)
    second = _operands(Asm(long=True, address=SECOND_ADDRESS), rng, count)
    _register_operands(second, rng)
    return [first.finish(words="trap=cr"), second.finish(words="trap=cr")]


# ---- RFLAGS.RF ---------------------------------------------------------------------------------------


def resume(rng: random.Random, _options: Mapping[str, Any]) -> list[Guest]:
    """Breakpoints on an instruction that exits and on the one behind it: RF lets one instruction pass, not two."""
    asm = Asm(long=False)
    msr, port = 0x40000000 + rng.getrandbits(28), 0x5000 + 4 * rng.getrandbits(8)
    _load_tables(asm)
    handler = _place(asm, "debug")
    asm(f"movl $({_CODE:#x} << 16 | (({handler}) & 0xffff)), idt + 8")
    asm(f"movl $(({handler}) & 0xffff0000 | 0x8e00), idt + 12")
    codes = ["cpuid", "rdmsr", "wrmsr", "invd", "wbinvd", "vmmcall", "in %dx, %eax", "out %al, %dx",
             "mov %cr0, %ebx", "mov %ebx, %cr2"]  # fmt: skip
    rng.shuffle(codes)
    for code in codes:
        first, second = asm.new_label(), asm.new_label()
        asm(f"mov ${first}, %eax", "mov %eax, %dr0", f"mov ${second}, %eax", "mov %eax, %dr1")
        asm("xor %esi, %esi", "xor %edi, %edi", "mov $0x405, %eax", "mov %eax, %dr7")
        asm("mov $0xffff, %eax", f"mov ${msr:#x}, %ecx", f"mov ${port:#x}, %edx")
        asm.text(f"{first}:")
        asm(code)
        asm.text(f"{second}:")
        asm("nop", "xor %eax, %eax", "mov %eax, %dr7", f"sub ${first}, %edi")
        asm.count += 2 * 4  # the handler, twice
        asm.save(f"breakpoints hit at {code} and behind it", "%esi", expected=2)
        asm.answer_saved()
    asm.data("debug:", "\tinc %esi", "\tmov (%esp), %edi", "\torl $0x10000, 8(%esp)", "\tiret")
    return [asm.finish(bare=False, words=f"trap=cr msr={msr:#x}:0x0 io={port:#x}:0x0")]


# ---- HLT, stepped over -------------------------------------------------------------------------------


def halt_stepped(rng: random.Random, _options: Mapping[str, Any]) -> list[Guest]:
    """HLT with TF set: the #DB behind it wakes the processor. Seeded registers come through it."""
    asm = Asm(long=False)
    _load_tables(asm)
    handler = _place(asm, "debug")
    asm(f"movl $({_CODE:#x} << 16 | (({handler}) & 0xffff)), idt + 8")
    asm(f"movl $(({handler}) & 0xffff0000 | 0x8e00), idt + 12")
    value = rng.getrandbits(32)
    asm(f"mov ${value:#x}, %ebx", "xor %esi, %esi", "xor %edi, %edi")
    asm("pushl $0x102", "popf", "hlt")
    asm.text("behind:")
    asm("add $1, %ebx", "sub $behind, %edi")
    asm.count += 4  # the handler
    asm.save("how often #DB came", "%esi", expected=1)
    asm.save("the saved EIP's distance from the instruction behind HLT", "%edi", expected=0)
    asm.save("EBX, one more than before", "%ebx", expected=value + 1 & _HALF)
    asm.answer_saved()
    asm.data("debug:", "\tinc %esi", "\tmov (%esp), %edi", "\tandl $~0x100, 8(%esp)", "\tiret")
    return [asm.finish(bare=False)]


# ---- the machine's interrupts ------------------------------------------------------------------------

# The machine's local APIC, which a guest of this stage reaches: APM vol. 2 table 16-2
_TIMER_INITIAL, _TIMER_CURRENT = 0xFEE00380, 0xFEE00390


def interrupted(rng: random.Random, options: Mapping[str, Any]) -> list[Guest]:
    """The timer of the machine's own local APIC, started by a guest with IF set, ends its run.

    Who does not let the host take the interrupt comes back to the same exit for ever.
    """
    asm = Asm(long=False)
    rounds, turn = options.get("rounds", 20000), rng.randrange(1, 32)
    ebx, esi = rng.getrandbits(32), rng.getrandbits(32)
    asm.load("ebx", ebx)
    asm.load("esi", esi)
    asm("sti")
    for number in range(1, 4):
        asm(f"movl ${rng.randrange(2000, 9000)}, {_TIMER_INITIAL:#x}", f"mov ${rounds}, %ecx")
        label = asm.new_label()
        asm.text(f"{label}:")
        asm("add %ebx, %esi", f"rol ${turn}, %ebx", "dec %ecx", f"jnz {label}", times=rounds)
        for _ in range(rounds):
            esi = (esi + ebx) & _HALF
            ebx = (ebx << turn | ebx >> 32 - turn) & _HALF
        asm(f"mov {_TIMER_CURRENT:#x}, %edi")
        asm.save(f"ticks left of timer {number}", "%edi", expected=0)
        asm.save(f"ebx after interrupt {number}", "%ebx", expected=ebx)
        asm.save(f"esi after interrupt {number}", "%esi", expected=esi)
        asm.answer_saved()
    return [asm.finish(bare=False)]


# ---- what is told at VMRUN ---------------------------------------------------------------------------

_ET, _WP, _PGE, _PAE, _NXE = 1 << 4, 1 << 16, 1 << 7, 1 << 5, 1 << 11
_LONG_CODE = 0x40  # a code segment with L and D set, which is one of 32 bits in legacy mode


def _write(asm: Asm, register: str, set_: int = 0, clear: int = 0) -> None:
    """Change bits of a control register. Destroys EAX."""
    asm(f"mov %{register}, %eax", f"or ${set_:#x}, %eax", f"and ${~clear & _HALF:#x}, %eax")
    asm(f"mov %eax, %{register}")


def _set_efer(asm: Asm, value: int) -> None:
    asm(f"mov ${_EFER:#x}, %ecx", f"mov ${value:#x}, %eax", "xor %edx, %edx", "wrmsr")


def _answer_efer(asm: Asm, when: str, value: int) -> None:
    asm(f"mov ${_EFER:#x}, %ecx", "rdmsr")
    asm.answer(f"EFER's lower 12 bits, {when}", "%eax", 3, value)


def _refused(asm: Asm, name: str, instruction: str) -> None:
    """It is #GP."""
    _expect(asm, name, instruction, _GP)
    asm.answer_saved()


def _entries_faults(asm: Asm, rng: random.Random) -> None:
    """Exceptions with and without an error code, and instructions in the shadow of MOV SS."""
    asm(f"mov ${0x40000000 + rng.getrandbits(24):#x}, %ecx")
    _refused(asm, "RDMSR of what is not there", "rdmsr")
    _expect(asm, "INVLPGA", bytes((0x0F, 0x01, 0xDF)), _UD)
    asm.answer_saved()
    for code in ("cpuid", "wbinvd"):
        asm(f"mov ${_DATA:#x}, %eax", "mov %eax, %ss", code)


def _at_the_end_of_ram(asm: Asm, end: int) -> None:
    """An instruction whose last byte is the VM's last: nothing behind it is to be read. It is #GP."""
    at = end - 3
    asm(f"movw $0x220f, {at:#x}", f"movb $0xc6, {at + 2:#x}", f"mov ${at:#x}, %edi")  # mov %esi, %cr0
    behind = asm.new_label()
    asm("mov %cr0, %esi", f"or ${_PG:#x}, %esi", f"and ${~_PE & _HALF:#x}, %esi")
    asm(f"mov ${behind}, %ebp", "jmp *%edi")
    _count_handler(asm, _GP)
    asm.text(f"{behind}:")
    asm(f"sub ${at:#x}, %ecx")
    asm.save("the vector, for an instruction at the end of RAM", "%eax", expected=_GP)
    asm.save("the saved EIP's distance from it", "%ecx", expected=0)
    asm.answer_saved()


def _entries_modes(asm: Asm, legacy: bool) -> None:
    """Paging on and off: with LME, long mode and its LMA; without, neither."""
    efer = _NXE if legacy else _NXE | _LME
    kind = "legacy" if legacy else "long mode's"
    _write(asm, "cr4", set_=_PAE)
    asm(f"mov ${'pointers' if legacy else 'level4'}, %eax", "mov %eax, %cr3")
    _set_efer(asm, efer)
    _write(asm, "cr0", set_=_WP)  # no PG, so no long mode yet
    _answer_efer(asm, f"before {kind} paging", efer)
    _write(asm, "cr0", set_=_PG)
    active = efer if legacy else efer | _LMA
    _answer_efer(asm, f"with {kind} paging", active)
    _set_efer(asm, active & ~_NXE)
    _set_efer(asm, active)
    asm("mov %cr3, %eax", "mov %eax, %cr3")
    _write(asm, "cr0", clear=_WP)
    _write(asm, "cr0", clear=_PG)
    _answer_efer(asm, f"after {kind} paging", efer)


def entries(rng: random.Random, _options: Mapping[str, Any]) -> list[Guest]:
    """Exceptions, shadows, and the ways between modes, for somebody who looks at each VMRUN."""
    asm = Asm(long=False)
    _load_tables(asm, more=("\t.quad 0x00ef9b000000ffff",))
    _entries_faults(asm, rng)
    _at_the_end_of_ram(asm, ADDRESS + (64 << 20))
    _write(asm, "cr4", set_=_PGE)
    _write(asm, "cr0", clear=_ET)
    _set_efer(asm, _LME)
    asm("mov %cr0, %esi", f"or ${_PG:#x}, %esi")
    _refused(asm, "CR0 with PG, with EFER.LME, CR4.PGE and without CR4.PAE", "mov %esi, %cr0")
    _entries_modes(asm, legacy=False)
    # In a code segment with L set: no long mode begins there; and PG may be cleared where none is.
    label = asm.new_label()
    asm(f"ljmp ${_LONG_CODE:#x}, ${label}")
    asm.text(f"{label}:")
    asm("mov %cr0, %esi", f"or ${_PG:#x}, %esi")
    _refused(asm, "CR0 with PG, with EFER.LME and CS.L", "mov %esi, %cr0")
    asm(f"ljmp ${_LONG_CODE:#x}, ${label}b")
    asm.text(f"{label}b:")
    _entries_modes(asm, legacy=True)
    asm.data("\t.balign 4096", "level4:", "\t.long level3 + 3, 0", "\t.fill 511, 8, 0")
    asm.data("level3:", "\t.long level2 + 3, 0", "\t.fill 511, 8, 0")
    large = asm.address >> 21
    asm.data("level2:", f"\t.fill {large}, 8, 0", f"\t.long {asm.address + 0x83:#x}, 0")
    asm.data(f"\t.fill {511 - large}, 8, 0", "pointers:", "\t.long level2 + 1, 0", "\t.fill 3, 8, 0")
    return [asm.finish(bare=False, words="trap=cr")]


PROGRAMS: dict[str, Program] = {
    program.__name__: program
    for program in (
        *(hypercalls, forbidden, string_ends, strings64, subleaves, values64, lengths64, operands, resume),
        *(halt, halt_stepped, entries, string_outside, interrupted),
    )
}

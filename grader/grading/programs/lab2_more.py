# SPDX-License-Identifier: BSD-3-Clause
"""Seeded guests for lab 2 with tables of their own: string I/O and faults, in 32-bit code."""

from __future__ import annotations

import random
from typing import Any, Mapping

from .asm import Asm, Guest

# ---- strings ------------------------------------------------------------------------------------

_BUFFER = 256  # bytes
_MARGIN = 16  # of it, at both ends, that no case may touch
_SIZES = {1: "b", 2: "w", 4: "l"}
# A segment whose base is the buffer, so that 16-bit addresses reach it.
_SEL_BUFFER = 0x20
_OVERRIDES = {"": 0x3E, "CS": 0x2E, "ES": 0x26, "SS": 0x36, "DS": 0x3E}


def transfer(
    state: dict[str, Any], write: bool, size: int, count: int, start: int, step: int
) -> int:
    """What INS or OUTS does to the buffer and to the port's value; where its index is then."""
    buffer: bytearray = state["buffer"]
    mask = (1 << 8 * size) - 1
    for at in range(start, start + count * step, step):
        if write:
            element = int.from_bytes(buffer[at : at + size], "little")
            state["value"] = state["value"] & ~mask | element
        else:
            buffer[at : at + size] = (state["value"] & mask).to_bytes(size, "little")
    return start + count * step


def _string_case(asm: Asm, rng: random.Random, number: int, state: dict[str, Any]) -> None:
    """One INS or OUTS; `state` has the port, its value and the buffer's bytes."""
    write, size = rng.random() < 0.5, rng.choice((1, 2, 4))  # write: OUTS
    repeat, down, small = rng.random() < 0.8, rng.random() < 0.4, rng.random() < 0.4
    count = rng.randrange(1, (_BUFFER - 2 * _MARGIN) // 4) if repeat else 1
    first = rng.randrange(_MARGIN, _BUFFER - _MARGIN - count * size + 1)
    start = first + (count - 1) * size if down else first
    counter = count if repeat else rng.getrandbits(16)
    index = "esi" if write else "edi"
    override = rng.choice(list(_OVERRIDES)) if write and not small else ""

    asm("std" if down else "cld")
    asm(f"mov ${state['port']:#x}, %edx")
    junk = rng.getrandbits(16) << 16 if small else 0  # what a 16-bit address must not look at
    asm(f"mov ${junk | counter:#x}, %ecx")
    asm(f"mov ${junk | start:#x}, %{index}" if small else f"mov $buffer + {start}, %{index}")
    prefixes = [0x67] if small else []
    if small and write:
        prefixes.append(0x64)  # FS has the buffer's base
    elif override:
        prefixes.append(_OVERRIDES[override])
    prefixes += [0x66] if size == 2 else []
    prefixes += [0xF3] if repeat else []
    rng.shuffle(prefixes)
    opcode = (0x6E if write else 0x6C) + (size > 1)
    elsewhere = ["es"] if small and not write else []
    if write and not small:  # a segment that is not meant is not where the buffer is
        elsewhere = [name for name in ("es", "ss") if name != (override or "DS").lower()]
    if elsewhere:
        asm(f"mov ${_SEL_BUFFER:#x}, %eax", *(f"mov %eax, %{name}" for name in elsewhere))
    # Not counted: count.c leaves string I/O out.
    asm.text("\t.byte " + ", ".join(f"{byte:#x}" for byte in (*prefixes, opcode)))
    if elsewhere:
        asm("mov $0x18, %eax", *(f"mov %eax, %{name}" for name in elsewhere))

    end = transfer(state, write, size, count, start, -size if down else size)
    buffer: bytearray = state["buffer"]

    what = f"{'REP ' if repeat else ''}{'OUTS' if write else 'INS'}, {size * 8} bits"
    what += f", {count} times" if repeat else ""
    what += f", {'downwards' if down else 'upwards'}, {16 if small else 32}-bit addresses"
    what = f"case {number}: {what}"
    if not small:
        asm(f"sub $buffer, %{index}")
    asm.save(f"{index} after {what}", f"%{index}", expected=(junk | end) & 0xFFFFFFFF)
    left = junk if repeat else junk | counter
    asm.save(f"ecx after {what}", "%ecx", expected=left)
    if write:
        asm("in %dx, %eax")
        asm.save(f"the port after {what}", "%eax", expected=state["value"])
    else:
        checksum(asm, f"memory after {what}", bytes(buffer))
    # Something new in the port, and some of it in the buffer.
    value = rng.getrandbits(32)
    asm(f"mov ${value:#x}, %eax", f"mov ${state['port']:#x}, %edx", "out %eax, %dx")
    state["value"] = value


def checksum(asm: Asm, name: str, buffer: bytes) -> None:
    """Answer a sum over all of the buffer, in which every byte's place matters."""
    label, words, (acc, _, _, index) = asm.new_label(), len(buffer) // 4, asm.registers[:4]
    asm("xor %eax, %eax", f"mov ${words}, %ebx")
    asm.text(f"{label}:")
    asm("rol $7, %eax", f"add buffer - 4(, %{index}, 4), %eax", "dec %ebx", f"jnz {label}", times=words)
    total = 0
    for i in range(words - 1, -1, -1):
        total = (total << 7 | total >> 25) & 0xFFFFFFFF
        total = total + int.from_bytes(buffer[4 * i : 4 * i + 4], "little") & 0xFFFFFFFF
    asm.save(name, f"%{acc}", expected=total)


def strings(rng: random.Random, options: Mapping[str, Any]) -> list[Guest]:
    """INS and OUTS between memory and a port that was ordered, in all their forms."""
    asm = Asm(long=False)
    port, value = 0x5000 + 4 * rng.getrandbits(8), rng.getrandbits(32)
    buffer = bytearray(rng.getrandbits(8) for _ in range(_BUFFER))
    asm("lgdt gdtr", f"mov ${_SEL_BUFFER:#x}, %eax", "mov %eax, %fs")
    # Room around it, so that what goes the wrong way destroys nothing else.
    room = f"\t.fill {_BUFFER}, 1, 0"
    contents = "\t.byte " + ", ".join(str(byte) for byte in buffer)
    data = ["\t.balign 8", room, "buffer:", contents, room]
    # Base 31:24, limit and flags, type, base 23:0 (APM vol. 2 §4.7.1).
    place = f"(buffer - start + {asm.address:#x})"
    data += [
        "\t.balign 8", "gdt:", "\t.quad 0, 0, 0x00cf9b000000ffff, 0x00cf93000000ffff",
        f"\t.word 0xffff, {place} & 0xffff",
        f"\t.byte {place} >> 16 & 0xff, 0x93, 0, {place} >> 24",
        "gdtr:", "\t.word 39", "\t.long gdt",
    ]  # fmt: skip
    state = {"port": port, "value": value, "buffer": buffer}
    for number in range(1, options.get("cases", 24) + 1):
        _string_case(asm, rng, number, state)
        asm.answer_saved()
    asm.data(*data)
    return [asm.finish(bare=False, words=f"io={port:#x}:{value:#x}")]


# ---- faults -------------------------------------------------------------------------------------

_UD, _GP = 6, 13
_WITH_ERROR = (8, 10, 11, 12, 13, 14, 17)
_VECTORS = 32
_FORBIDDEN = {
    "VMRUN": 0xD8, "VMLOAD": 0xDA, "VMSAVE": 0xDB, "STGI": 0xDC, "CLGI": 0xDD, "SKINIT": 0xDE,
    "INVLPGA": 0xDF,
}  # fmt: skip


def _fault_case(
    asm: Asm, rng: random.Random, name: str, code: bytes, vector: int, ecx: int
) -> None:
    at, behind = asm.new_label(), asm.new_label()
    # EAX: an address that VMRUN would take; one that it would not is #GP before it is an exit.
    asm(f"mov ${behind}, %ebp", f"mov ${rng.getrandbits(19) << 12:#x}, %eax")
    asm(f"mov ${ecx:#x}, %ecx", f"mov ${rng.getrandbits(31):#x}, %edx")
    asm.text(f"{at}:")
    asm(".byte " + ", ".join(f"{byte:#x}" for byte in code))
    # Only reached if there was no fault.
    asm.text("\tmov $0xff, %eax", "\txor %edx, %edx", f"\tmov ${at}, %ecx", f"{behind}:")
    asm.count += 7 if vector in _WITH_ERROR else 8  # the handler
    asm.save(f"the vector, for {name}", "%eax", expected=vector)
    asm.save(f"the error code, for {name}", "%edx", expected=0)
    asm(f"sub ${at}, %ecx")
    asm.save(f"the saved EIP's distance from the instruction, for {name}", "%ecx", expected=0)
    asm.answer_saved()


def faults(rng: random.Random, options: Mapping[str, Any]) -> list[Guest]:
    """#GP for unknown MSRs, #UD for SVM's instructions: vector, error code, saved EIP."""
    asm = Asm(long=False)
    cases: list[tuple[str, bytes, int, int]] = []
    for _ in range(options.get("msrs", 4)):
        number = rng.choice((0x40000000, 0xD0000000)) + rng.getrandbits(24)
        cases.append((f"RDMSR of {number:#x}", b"\x0f\x32", _GP, number))
        cases.append((f"WRMSR to {number:#x}", b"\x0f\x30", _GP, number))
    for name, last in _FORBIDDEN.items():
        cases.append((name, bytes((0x0F, 0x01, last)), _UD, rng.getrandbits(32)))
    rng.shuffle(cases)
    asm("lidt idtr")
    for name, code, vector, ecx in cases:
        prefix = rng.choice((b"", b"\x2e", b"\x3e", b"\x64"))
        _fault_case(asm, rng, name, prefix + code, vector, ecx)

    data: list[str] = []
    for vector in range(_VECTORS):
        data.append(f"stub{vector}:" + ("" if vector in _WITH_ERROR else "\tpushl $0"))
        data += [f"\tpushl ${vector}", "\tjmp common"]
    data += ["common:", "\tpop %eax", "\tpop %edx", "\tpop %ecx", "\tadd $8, %esp", "\tjmp *%ebp"]
    data.append("\t.balign 8")
    data.append("idt:")
    for vector in range(_VECTORS):
        place = f"(stub{vector} - start + {asm.address:#x})"
        data.append(f"\t.word {place} & 0xffff, 0x10, 0x8e00, {place} >> 16")
    data += ["idtr:", f"\t.word {8 * _VECTORS - 1}", "\t.long idt"]
    asm.data(*data)
    return [asm.finish(bare=False)]

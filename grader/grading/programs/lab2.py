# SPDX-License-Identifier: BSD-3-Clause
"""Seeded guests for lab 2, instructions that exit.

The VM is one to order (src/devices/preset.c): the words cpuid=, msr= and io= give it CPUID leaves,
MSRs and ports with random values. So a bare run cannot say what is right; what is right was
ordered.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any, Callable, Mapping

from .asm import Asm, Guest, Program
from .lab2_more import faults, strings

_HALF = 0xFFFFFFFF
_USED32 = ("eax", "ecx", "edx", "ebx", "esi", "edi")
_USED64 = ("rax", "rcx", "rdx", "rbx", "rsi", "rdi")


# ---- values -------------------------------------------------------------------------------------


@dataclass
class _Machine:
    """The machine that is ordered: a model of what its guest sees."""

    cpuid: dict[int, tuple[int, ...]] = field(default_factory=dict)
    msr: dict[int, int] = field(default_factory=dict)
    io: dict[int, int] = field(default_factory=dict)

    def words(self) -> str:
        """The words of the boot module."""
        lists = {
            "cpuid": [":".join(f"{n:#x}" for n in (leaf, *r)) for leaf, r in self.cpuid.items()],
            "msr": [f"{number:#x}:{value:#x}" for number, value in self.msr.items()],
            "io": [f"{port:#x}:{value:#x}" for port, value in self.io.items()],
        }
        return " ".join(f"{key}={'+'.join(groups)}" for key, groups in lists.items() if groups)


def _order(rng: random.Random) -> _Machine:
    def half() -> int:
        return rng.getrandbits(32)

    leaves = [0x40001000 + rng.getrandbits(24), 0x8FF00000 + rng.getrandbits(16)]
    leaves.append(0x100 + rng.getrandbits(12))
    msrs = [0x40000000 + rng.getrandbits(28), 0x1000 + rng.getrandbits(11)]
    msrs.append(0xC0010200 + rng.getrandbits(8))
    ports = [0x5000 + 4 * rng.getrandbits(8), 0x6000 + 4 * rng.getrandbits(8)]
    return _Machine(
        {leaf: (half(), half(), half(), half()) for leaf in leaves},
        {number: rng.getrandbits(64) for number in msrs},
        {port: half() for port in ports},
    )


class _Steps:
    """Writes one instruction after the other, and says what each leaves in the registers."""

    def __init__(self, asm: Asm, rng: random.Random, machine: _Machine) -> None:
        self.asm, self.rng, self.machine = asm, rng, machine
        self.used = _USED64 if asm.long else _USED32
        self.values: dict[str, int] = {}
        self.number = 0

    def prepare(self, clean: str = "", **fixed: int) -> None:
        """Random values in all registers, but the lower halves of these. Keys: eax and so on.

        `clean`: one whose upper half is 0.
        """
        for name in self.used:
            value = self.asm.word(self.rng)
            low = fixed.get("e" + name[1:])
            if low is not None:
                value = low if clean == "e" + name[1:] else value & ~_HALF | low
            self.values[name] = value
            self.asm.load(name, value)

    def give(self, **halves: int) -> None:
        """These 32-bit results come; the upper halves are cleared."""
        for name, value in halves.items():
            self.values[self.used[0][0] + name[1:]] = value

    def done(self, what: str) -> None:
        """Keep all registers, to be answered."""
        self.number += 1
        for name in self.used:
            said = f"{name} after step {self.number}, {what}"
            self.asm.save(said, f"%{name}", expected=self.values[name])
        self.asm.answer_saved()

    def cpuid(self) -> None:
        """CPUID of a leaf that was ordered."""
        leaf = self.rng.choice(list(self.machine.cpuid))
        self.prepare(eax=leaf)
        self.asm("cpuid")
        a, b, c, d = self.machine.cpuid[leaf]
        self.give(eax=a, ebx=b, ecx=c, edx=d)
        self.done(f"CPUID {leaf:#x}")

    def rdmsr(self) -> None:
        """RDMSR of one that was ordered."""
        number = self.rng.choice(list(self.machine.msr))
        # QEMU 7.2 takes all of RCX to find the place in the permission map, and then misses the exit.
        self.prepare(clean="ecx", ecx=number)
        self.asm("rdmsr")
        value = self.machine.msr[number]
        self.give(eax=value & _HALF, edx=value >> 32)
        self.done(f"RDMSR {number:#x}")

    def wrmsr(self) -> None:
        """WRMSR to one that was ordered."""
        number, value = self.rng.choice(list(self.machine.msr)), self.rng.getrandbits(64)
        self.prepare(clean="ecx", ecx=number, eax=value & _HALF, edx=value >> 32)
        self.asm("wrmsr")
        self.machine.msr[number] = value
        self.done(f"WRMSR {number:#x}")

    def _port(self) -> tuple[int, int, str, int]:
        port, size = self.rng.choice(list(self.machine.io)), self.rng.choice((1, 2, 4))
        offset = self.rng.randrange(0, 4, size)
        register = {1: "%al", 2: "%ax", 4: "%eax"}[size]
        return port, size, register, offset

    def read_port(self) -> None:
        """IN, of all sizes and at all offsets."""
        port, size, register, offset = self._port()
        self.prepare(edx=port + offset)
        self.asm(f"in %dx, {register}")
        mask = (1 << 8 * size) - 1
        value = self.machine.io[port] >> 8 * offset & mask
        acc = self.used[0]
        if size == 4:
            self.give(eax=value)
        else:
            self.values[acc] = self.values[acc] & ~mask | value
        self.done(f"IN {port + offset:#x}, {size * 8} bits")

    def write_port(self) -> None:
        """OUT, of all sizes and at all offsets."""
        port, size, register, offset = self._port()
        self.prepare(edx=port + offset)
        self.asm(f"out {register}, %dx")
        mask = ((1 << 8 * size) - 1) << 8 * offset
        written = self.values[self.used[0]] << 8 * offset & mask
        self.machine.io[port] = self.machine.io[port] & ~mask | written
        self.done(f"OUT {port + offset:#x}, {size * 8} bits")


def values(rng: random.Random, options: Mapping[str, Any]) -> list[Guest]:
    """CPUID leaves, MSRs and ports give what was ordered, or written; nothing else changes."""
    asm = Asm(long=bool(options.get("long", False)))
    machine = _order(rng)
    words = machine.words()
    steps = _Steps(asm, rng, machine)
    kinds: list[Callable[[], None]] = [
        steps.cpuid, steps.rdmsr, steps.wrmsr, steps.read_port, steps.write_port
    ]  # fmt: skip
    chosen = kinds + [rng.choice(kinds) for _ in range(options.get("steps", 25))]
    rng.shuffle(chosen)
    for step in chosen:
        step()
    return [asm.finish(bare=False, words=words)]


# What may be seen of a leaf, as src/vmm/cpuid.c has it: EAX, EBX, ECX with what only Casita sets, EDX.
_ALL = 0xFFFFFFFF
_SHOWN = {
    1: (_ALL, 0xFF00, 0xFEDA3203, 0x0F8BB97F),
    7: (0, 0xF1BF07A9, 0x00405F46, 0x10),
    0x80000001: (_ALL, _ALL, 0x002109E1, 0xEFD3B97F),
    0x80000007: (0, 0, 0, 0x100),
    0x80000008: (0xFFFF, 0, 0, 0),
}


def _hidden_bits(asm: Asm, rng: random.Random) -> None:
    for leaf, shown in rng.sample(sorted(_SHOWN.items()), len(_SHOWN)):
        asm(f"mov ${leaf:#x}, %eax", f"mov ${0 if leaf == 7 else rng.getrandbits(32):#x}, %ecx", "cpuid")
        for mask, short, register in zip(shown, ("eax", "ebx", "ecx", "edx"), (0, 3, 1, 2)):
            if mask != _ALL:
                asm(f"and ${~mask & _ALL:#x}, %{short}")
                name = f"CPUID {leaf:#x}, {short.upper()}, the bits that are not to be seen"
                asm.save(name, f"%{asm.registers[register]}", expected=0)
        asm.answer_saved()


def hidden(rng: random.Random, options: Mapping[str, Any]) -> list[Guest]:
    """What a guest must not see: features and leaves that nobody has thought about."""
    asm = Asm(long=bool(options.get("long", False)))
    unknown = [0x8000000A, 0x80000040 + rng.getrandbits(8), 0xC0000000 + rng.getrandbits(16)]
    unknown += [0x100 + rng.getrandbits(16), 0x50000000 + rng.getrandbits(24)]
    unknown += options.get("beyond", [])  # in the table, but this machine has not got them
    rng.shuffle(unknown)
    _hidden_bits(asm, rng)
    for leaf in unknown:
        # QEMU gives the highest leaf's data for one beyond it: leaf 7's, which has them in subleaf 0.
        asm(f"mov ${leaf:#x}, %eax", f"mov ${rng.getrandbits(2) if leaf >> 8 else 0:#x}, %ecx", "cpuid")
        for register in asm.registers[:4]:
            asm.save(f"CPUID {leaf:#x}, {register}", f"%{register}", expected=0)
        asm.answer_saved()
    asm("mov $0x40000000, %eax", "cpuid", "shr $28, %eax")
    asm.save("CPUID 0x40000000, EAX, the highest four bits", f"%{asm.registers[0]}", expected=4)
    asm.answer_saved()
    return [asm.finish(bare=False)]


# ---- lengths ------------------------------------------------------------------------------------

_PREFIXES = {
    "66": 0x66, "67": 0x67, "ES": 0x26, "CS": 0x2E, "SS": 0x36, "DS": 0x3E, "FS": 0x64, "GS": 0x65,
    "F2": 0xF2, "F3": 0xF3,
}  # fmt: skip
_PAD_MIN, _PAD_MAX = 5, 15


@dataclass(frozen=True)
class _Form:
    """An instruction that exits: its bytes, and what it wants in registers."""

    name: str
    code: bytes
    registers: Mapping[str, int]
    repeatable: bool = False  # F2 and F3 mean nothing here


def _forms(msr: int, port: int) -> list[_Form]:
    dx, low = {"edx": port}, 0x48
    forms = [
        _Form("CPUID", b"\x0f\xa2", {"eax": 0x40000000}),
        _Form("RDMSR", b"\x0f\x32", {"ecx": msr}),
        _Form("WRMSR", b"\x0f\x30", {"ecx": msr}),
        _Form("INVD", b"\x0f\x08", {}),
        _Form("WBINVD", b"\x0f\x09", {}),
        _Form("VMMCALL", b"\x0f\x01\xd9", {"eax": 0xFFFF}),
        _Form("MOV CR0 to ECX", b"\x0f\x20\xc1", {}),
        _Form("MOV CR4 to EDX", b"\x0f\x20\xe2", {}),
    ]
    for name, opcode in (("IN 8", 0xE4), ("IN", 0xE5), ("OUT 8", 0xE6), ("OUT", 0xE7)):
        forms.append(_Form(f"{name}, port in the code", bytes((opcode, low)), {}, True))
        forms.append(_Form(f"{name}, port in DX", bytes((opcode + 8,)), dx, True))
    return forms


def lengths(rng: random.Random, options: Mapping[str, Any]) -> list[Guest]:
    """Instructions that exit, with random prefixes, and a ladder of LODSBs behind each.

    A LODSB is one byte; how many were executed tells where the guest went on, to the byte.
    """
    asm = Asm(long=bool(options.get("long", False)))
    msr, port = 0x40000000 + rng.getrandbits(28), 0x5000 + 4 * rng.getrandbits(8)
    forms = _forms(msr, port)
    chosen = forms + [rng.choice(forms) for _ in range(options.get("cases", 40) - len(forms))]
    rng.shuffle(chosen)
    index = asm.registers[6]
    for form in chosen:
        allowed = [name for name in _PREFIXES if name not in ("F2", "F3") or form.repeatable]
        if asm.long:
            allowed.remove("67")
        names = rng.sample(allowed, rng.choice((0, 1, 1, 2, 3, 4)))
        for register in ("eax", "ecx", "edx"):
            asm(f"mov ${form.registers.get(register, rng.getrandbits(32)):#x}, %{register}")
        asm(f"lea start, %{index}")
        code = bytes(_PREFIXES[name] for name in names) + form.code
        asm(".byte " + ", ".join(f"{byte:#x}" for byte in code))
        steps = rng.randrange(_PAD_MIN, _PAD_MAX + 1)
        asm(*["lodsb"] * steps)
        asm(f"sub $start, %{index}")
        with_prefixes = f" with prefixes {' '.join(names)}" if names else ""
        what = f"bytes executed of the {steps} behind {form.name}{with_prefixes}"
        asm.answer(what, f"%{index}", 1, steps)
    return [asm.finish(bare=False, words=f"trap=cr msr={msr:#x}:0x0 io={port:#x}:0x0")]


PROGRAMS: dict[str, Program] = {
    program.__name__: program for program in (values, hidden, lengths, strings, faults)
}

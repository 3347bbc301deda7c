# SPDX-License-Identifier: BSD-3-Clause
"""Seeded guests for lab 1, the world switch.

At stage 1 a monitor knows three exits: OUT, HLT and the triple fault. Nothing else exits here, but
for `stopped`, whose CPUID has to stop its VM.
"""

from __future__ import annotations

import random
from typing import Any, Mapping

from ..evidence import EXIT_HLT, EXIT_SHUTDOWN
from .asm import ANY, HALT, SECOND_ADDRESS, SHUTDOWN, STOPPED, Asm, Guest, Program

# Ports without a device, in a PC as QEMU makes it and in Casita's. Four bytes from each are free.
IMMEDIATE_PORTS = (*range(0x22, 0x2D), *range(0x48, 0x5D), *range(0xE0, 0xE5))
DX_PORTS = range(0x1000, 0x4000)

_EXIT_CPUID = 0x72
_TEXT_PORT = 0xE9
# CF, PF, AF, ZF, SF, DF and OF (APM vol. 2 §3.1.6)
FLAGS_MASK = 0xCD5


def random_exit(asm: Asm, rng: random.Random) -> None:
    """An OUT of a random form and size to a port where nothing is."""
    source = rng.choice(("%al", "%ax", "%eax"))
    if rng.random() < 0.5:
        asm(f"out {source}, ${rng.choice(IMMEDIATE_PORTS):#x}")
    else:
        asm(f"mov ${rng.choice(DX_PORTS):#x}, %dx", f"out {source}, %dx")


def mix(asm: Asm, rng: random.Random) -> None:
    """One instruction that changes one or two random registers and loses nothing of them."""
    a, b = rng.sample(asm.registers, 2)
    # Odd factors, and no AND or OR: a wrong bit stays wrong to the end.
    odd = rng.getrandbits(30) | 1
    asm(
        rng.choice(
            (
                f"add %{a}, %{b}",
                f"sub %{a}, %{b}",
                f"xor %{a}, %{b}",
                f"xchg %{a}, %{b}",
                f"imul ${odd:#x}, %{a}, %{a}",
                f"add ${odd:#x}, %{a}",
                f"rol ${rng.randrange(1, asm.bits)}, %{a}",
                f"not %{a}",
                f"neg %{a}",
                f"bswap %{a}",
            )
        )
    )


def _load_all(asm: Asm, rng: random.Random) -> None:
    for register in asm.registers:
        asm.load(register, asm.word(rng))


def enter(rng: random.Random, _options: Mapping[str, Any]) -> list[Guest]:
    """The first instruction is an OUT. What comes of it is not looked at."""
    asm = Asm(long=False)
    port = rng.choice(IMMEDIATE_PORTS)
    asm(f"out %al, ${port:#x}")
    asm(f"out %al, ${0xF4:#x}")
    return [asm.finish(ANY, first_port=port)]


def answers(rng: random.Random, options: Mapping[str, Any]) -> list[Guest]:
    """Straight-line arithmetic in four registers, answered again and again."""
    asm = Asm(long=bool(options.get("long", False)))
    names = ("rbx", "rcx", "rsi", "rdi") if asm.long else ("ebx", "ecx", "esi", "edi")
    for name in names:
        asm.load(name, asm.word(rng))
    for number in range(options.get("values", 40)):
        a, b = rng.sample(names, 2)
        asm(f"add %{a}, %{b}", f"rol ${rng.randrange(1, asm.bits)}, %{b}")
        asm(f"xor ${rng.getrandbits(30):#x}, %{a}")
        asm.answer(f"value {number + 1}, {b}", f"%{b}")
    return [asm.finish()]


def _registers(rng: random.Random, options: Mapping[str, Any], long: bool) -> list[Guest]:
    asm = Asm(long)
    # First so that a wrong value shows whose it is …
    for number in range(1, 4):
        _load_all(asm, rng)
        random_exit(asm, rng)
        for register in asm.registers:
            asm.save(f"{register} after exit {number}", f"%{register}")
        asm.answer_saved()
    # … also after an exit that Casita has more to do for: it may leave some registers alone at others …
    _load_all(asm, rng)
    for letter in b"registers\n":
        asm(f"mov ${letter}, %al", f"out %al, ${_TEXT_PORT:#x}")
    for register in asm.registers:
        asm.save(f"{register} after a line of text", f"%{register}")
    asm.answer_saved()
    # … then so that nothing can hide.
    _load_all(asm, rng)
    count = options.get("exits", 100)
    for _ in range(count):
        for _ in range(rng.randrange(2, 9)):
            mix(asm, rng)
        random_exit(asm, rng)
    for register in asm.registers:
        asm.save(f"{register} after {count} more exits", f"%{register}")
    asm.answer_saved()
    return [asm.finish()]


def registers32(rng: random.Random, options: Mapping[str, Any]) -> list[Guest]:
    """The eight registers of 32-bit code through a hundred exits."""
    return _registers(rng, options, long=False)


def registers64(rng: random.Random, options: Mapping[str, Any]) -> list[Guest]:
    """The sixteen registers of 64-bit code through a hundred exits."""
    return _registers(rng, options, long=True)


def flags(rng: random.Random, options: Mapping[str, Any]) -> list[Guest]:
    """The arithmetic flags and DF, set to random values before an exit and read behind it."""
    asm = Asm(long=bool(options.get("long", False)))
    acc, size = ("%rax", "q") if asm.long else ("%eax", "l")
    for number in range(1, options.get("exits", 24) + 1):
        value = rng.getrandbits(12) & FLAGS_MASK | 2
        asm(f"push{size} ${value:#x}", f"popf{size}")
        random_exit(asm, rng)
        asm(f"pushf{size}", f"pop{size} {acc}", f"and ${FLAGS_MASK:#x}, %eax")
        asm.save(f"flags after exit {number}", acc)
        asm.answer_saved()
    return [asm.finish()]


def many(rng: random.Random, options: Mapping[str, Any]) -> list[Guest]:
    """A loop of thousands of exits, with a checksum over all registers but its counter and ESP."""
    asm = Asm(long=bool(options.get("long", False)))
    times = options.get("exits", 2000)
    used = [r for r in asm.registers if r not in ("ecx", "rcx", "esp", "rsp")]
    for register in used:
        asm.load(register, asm.word(rng))
    asm(f"mov ${times}, %ecx")
    label = asm.new_label()
    asm.text(f"{label}:")
    inside: list[str] = [f"out %al, ${rng.choice(IMMEDIATE_PORTS):#x}"]
    for a, b in zip(used, used[1:] + used[:1]):
        inside += [f"add %{a}, %{b}", f"rol ${rng.randrange(1, asm.bits)}, %{b}"]
    asm(*inside, "dec %ecx", f"jnz {label}", times=times)
    for register in used:
        asm.save(f"{register} after {times} exits", f"%{register}")
    asm.answer_saved()
    return [asm.finish()]


def _says_a_word(asm: Asm, rng: random.Random, name: str) -> None:
    registers = ("rbx", "rsi") if asm.long else ("ebx", "esi")
    for register in registers:
        asm.load(register, asm.word(rng))
    for _ in range(8):
        random_exit(asm, rng)
        asm(f"add %{registers[0]}, %{registers[1]}", f"rol $9, %{registers[0]}")
    for register in registers:
        asm.answer(f"{name}{register}", f"%{register}")


def halt(rng: random.Random, _options: Mapping[str, Any]) -> list[Guest]:
    """HLT with interrupts off: nothing can wake it, so its VM is over; the machine goes on."""
    asm = Asm(long=False)
    _says_a_word(asm, rng, "")
    asm.text("\t.if BARE", "\txor %eax, %eax", "\tout %al, $0xf4", "\t.endif")
    asm("hlt")
    return [asm.finish(HALT, last_code=EXIT_HLT)]


def shutdown(rng: random.Random, _options: Mapping[str, Any]) -> list[Guest]:
    """INT3 where there is no IDT: #BP, #GP, #DF, and no gate for any of them. A triple fault."""
    asm = Asm(long=False)
    _says_a_word(asm, rng, "")
    asm("int3")
    return [asm.finish(SHUTDOWN, last_code=EXIT_SHUTDOWN)]


def two(rng: random.Random, _options: Mapping[str, Any]) -> list[Guest]:
    """Two VMs, the second in 64-bit code: the host, and the other VM, come through it."""
    first, second = Asm(long=False), Asm(long=True, address=SECOND_ADDRESS)
    _says_a_word(first, rng, "")
    _says_a_word(second, rng, "")
    return [first.finish(), second.finish()]


def stopped(rng: random.Random, _options: Mapping[str, Any]) -> list[Guest]:
    """An exit that stage 1 does not know (CPUID) stops its own VM, and the other VM still runs."""
    first, second = Asm(long=False), Asm(long=False, address=SECOND_ADDRESS)
    _says_a_word(first, rng, "")
    first.text("\t.if BARE", "\txor %eax, %eax", "\tout %al, $0xf4", "\t.endif")
    first("cpuid")
    _says_a_word(second, rng, "")
    return [first.finish(STOPPED, last_code=_EXIT_CPUID), second.finish()]


PROGRAMS: dict[str, Program] = {
    program.__name__: program
    for program in (
        *(enter, answers, registers32, registers64, flags, many),
        *(halt, shutdown, two, stopped),
    )
}

# SPDX-License-Identifier: BSD-3-Clause
"""Lab 1's hidden guests: what the public ones leave out."""

from __future__ import annotations

import random
from typing import Any, Mapping

from grading.programs.asm import Asm, Guest, Program
from grading.programs.lab1 import random_exit

# FS_BASE, GS_BASE, KERNEL_GS_BASE; STAR, LSTAR, CSTAR, SFMASK; SYSENTER_CS, _ESP, _EIP
_BASES = (0xC0000100, 0xC0000101, 0xC0000102)
_STAR, _LSTAR, _CSTAR, _SFMASK = range(0xC0000081, 0xC0000085)
_SYSENTER_CS, _SYSENTER_ESP, _SYSENTER_EIP = range(0x174, 0x177)

_LAPIC = 0xFEE00000
_IRR = _LAPIC + 0x210  # vectors 0x20 to 0x3f, a bit each
_TIMER_INITIAL, _TIMER_CURRENT = _LAPIC + 0x380, _LAPIC + 0x390
_TIMER_BIT = 0x10  # Casita has its timer at vector 0x30


def _msr_value(msr: int, rng: random.Random) -> int:
    """A value that every processor keeps as it is."""
    if msr == _STAR:
        return rng.getrandbits(64)
    if msr == _SYSENTER_CS:
        return rng.getrandbits(13) << 3
    if msr in (_SFMASK, _SYSENTER_ESP, _SYSENTER_EIP):
        return rng.getrandbits(31)
    address = rng.getrandbits(48)
    return address | 0xFFFF << 48 if address >> 47 else address


def msrs(rng: random.Random, options: Mapping[str, Any]) -> list[Guest]:
    """The MSRs that travel with the world need no exit, and keep what is written to them."""
    asm = Asm(long=True)
    everything = [*_BASES, _STAR, _LSTAR, _CSTAR, _SFMASK, _SYSENTER_CS, _SYSENTER_ESP, _SYSENTER_EIP]
    for number in range(1, options.get("rounds", 3) + 1):
        order = rng.sample(everything, len(everything))
        for msr in order:
            value = _msr_value(msr, rng)
            asm(f"mov ${msr:#x}, %ecx", f"mov ${value & 0xFFFFFFFF:#x}, %eax")
            asm(f"mov ${value >> 32:#x}, %edx", "wrmsr")
        for _ in range(rng.randrange(2, 6)):
            random_exit(asm, rng)
        for msr in rng.sample(everything, len(everything)):
            asm(f"mov ${msr:#x}, %ecx", "rdmsr", "shl $32, %rdx", "mov %eax, %eax", "or %rax, %rdx")
            asm.save(f"MSR {msr:#x} after exit, round {number}", "%rdx")
        asm.answer_saved()
    return [asm.finish()]


def interrupted(rng: random.Random, options: Mapping[str, Any]) -> list[Guest]:
    """The machine's interrupts end a guest's run though its own IF is clear, and the host takes them.

    A guest of stage 1 reaches the machine's own local APIC. It starts the timer there, makes no exit for
    a long while, and then looks whether anybody has taken the interrupt. (Bare, nobody would.)
    """
    asm = Asm(long=False)
    ebx, esi = rng.getrandbits(32), rng.getrandbits(32)
    asm.load("ebx", ebx)
    asm.load("esi", esi)
    rounds, turn = options.get("rounds", 20000), rng.randrange(1, 32)
    for number in range(1, 4):
        asm(f"movl ${rng.randrange(2000, 9000)}, {_TIMER_INITIAL:#x}", f"mov ${rounds}, %ecx")
        label = asm.new_label()
        asm.text(f"{label}:")
        asm("add %ebx, %esi", f"rol ${turn}, %ebx", "dec %ecx", f"jnz {label}", times=rounds)
        for _ in range(rounds):
            esi = (esi + ebx) & 0xFFFFFFFF
            ebx = (ebx << turn | ebx >> 32 - turn) & 0xFFFFFFFF
        asm(f"mov {_IRR:#x}, %edi", f"shr ${_TIMER_BIT}, %edi", "and $1, %edi")
        asm.save(f"interrupt {number} is still waiting", "%edi", expected=0)
        asm(f"mov {_TIMER_CURRENT:#x}, %edi")
        asm.save(f"ticks left of timer {number}", "%edi", expected=0)
        asm.save(f"ebx after interrupt {number}", "%ebx", expected=ebx)
        asm.save(f"esi after interrupt {number}", "%esi", expected=esi)
        asm.answer_saved()
    return [asm.finish(bare=False)]


PROGRAMS: dict[str, Program] = {"msrs": msrs, "interrupted": interrupted}

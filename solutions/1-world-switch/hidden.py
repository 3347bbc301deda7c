# SPDX-License-Identifier: BSD-3-Clause
"""Lab 1's hidden guests: what the public ones leave out."""

from __future__ import annotations

import random
from typing import Any, Mapping

from grading.evidence import EXIT_IOIO
from grading.programs.asm import ADDRESS, SECOND_ADDRESS, STOPPED, Asm, Guest, Program
from grading.programs.lab1 import random_exit

# FS_BASE, GS_BASE, KERNEL_GS_BASE; STAR, LSTAR, CSTAR, SFMASK; SYSENTER_CS, _ESP, _EIP
_BASES = (0xC0000100, 0xC0000101, 0xC0000102)
_STAR, _LSTAR, _CSTAR, _SFMASK = range(0xC0000081, 0xC0000085)
_SYSENTER_CS, _SYSENTER_ESP, _SYSENTER_EIP = range(0x174, 0x177)

_LAPIC = 0xFEE00000
_IRR = _LAPIC + 0x210  # vectors 0x20 to 0x3f, a bit each
_TIMER_INITIAL, _TIMER_CURRENT = _LAPIC + 0x380, _LAPIC + 0x390
_TIMER_BIT = 0x10  # Casita has its timer at vector 0x30

# APM vol. 2 table 14-1
_AFTER_RESET = {"dr6": 0xFFFF0FF0, "dr7": 0x400, "cr2": 0, "cr3": 0, "cr4": 0}

# Instructions that exit, and the exit codes. What they would do if they did not, harms no test.
_MSR = 0x7C
_FORBIDDEN = {
    "rdmsr-efer": (_MSR, "mov $0xc0000080, %ecx", "rdmsr"),
    "rdmsr-177": (_MSR, "mov $0x177, %ecx", "rdmsr"),  # next to SYSENTER_EIP
    "rdmsr-hsave": (_MSR, "mov $0xc0010117, %ecx", "rdmsr"),
    "rdpmc": (0x6F, "xor %ecx, %ecx", "rdpmc"),
    "wbinvd": (0x89, "wbinvd"),
    "in": (EXIT_IOIO, "in $0x22, %al"),
    "monitor": (0x8A, "mov %esp, %eax", "xor %ecx, %ecx", "xor %edx, %edx", "monitor"),
    "mwait": (0x8B, "xor %eax, %eax", "xor %ecx, %ecx", "mwait"),
}
_FORBIDDEN_SVM = {
    "vmrun": (0x80, "mov $0x2000000, %eax", "vmrun"),
    "vmmcall": (0x81, "vmmcall"),
    "vmload": (0x82, "mov $0x2000000, %eax", "vmload"),
    "vmsave": (0x83, "mov $0x2300000, %eax", "vmsave"),
    "stgi": (0x84, "stgi"),
    "clgi": (0x85, "clgi"),
    "skinit": (0x86, "skinit"),
    "invlpga": (0x7A, "xor %eax, %eax", "xor %ecx, %ecx", "invlpga"),
}


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


def _stop_each(rng: random.Random, kinds: Mapping[str, tuple[Any, ...]]) -> list[Guest]:
    """A VM for each instruction, which must stop it, in a random order."""
    guests = []
    for place, name in enumerate(rng.sample(sorted(kinds), len(kinds))):
        code, *instructions = kinds[name]
        asm = Asm(long=False, address=ADDRESS + place * (SECOND_ADDRESS - ADDRESS))
        asm.load("ebx", asm.word(rng))
        if code != EXIT_IOIO:  # the first exit of that kind must be the last of all
            asm.answer(f"a word before {name}", "%ebx")
        asm.text("\t.if BARE", "\txor %eax, %eax", "\tout %al, $0xf4", "\t.endif")
        asm(*instructions)
        guests.append(asm.finish(STOPPED, last_code=code))
    return guests


def forbidden(rng: random.Random, _options: Mapping[str, Any]) -> list[Guest]:
    """What a guest may not do by itself, and a monitor of stage 1 cannot do for it."""
    return _stop_each(rng, _FORBIDDEN)


def forbidden_svm(rng: random.Random, _options: Mapping[str, Any]) -> list[Guest]:
    """The instructions of SVM itself."""
    return _stop_each(rng, _FORBIDDEN_SVM)


def fresh(rng: random.Random, _options: Mapping[str, Any]) -> list[Guest]:
    """What a guest finds in the registers that no loader sets; and that VMRUN keeps the host elsewhere."""
    asm = Asm(long=False)
    for register, expected in rng.sample(sorted(_AFTER_RESET.items()), len(_AFTER_RESET)):
        asm(f"mov %{register}, %edi")
        asm.save(register, "%edi", expected=expected)
    for instruction in ("str", "sldt"):
        asm(f"{instruction} %edi")
        asm.save(instruction, "%edi", expected=0)
    # LDTR has base 0 and limit 0xffff, so a descriptor in low memory can be asked for.
    asm("mov 0x600, %esi", "mov 0x604, %ebp", "movl $0xffff, 0x600", "movl $0xcf9300, 0x604")
    asm("mov $0x604, %ecx", "xor %edi, %edi", "lar %ecx, %edi", "and $0xff00, %edi")
    asm("mov %esi, 0x600", "mov %ebp, 0x604")
    asm.save("rights of a segment in the LDT", "%edi", expected=0x9300)
    # Where VM_HSAVE_PA was never set, QEMU keeps the host's CR0 here. A guest of stage 1 sees that.
    asm("mov 0x558, %edi", "and $0x80000001, %edi")
    asm.save("CR0 of a host kept at address 0", "%edi", expected=0)
    asm.answer_saved()
    return [asm.finish(bare=False)]


PROGRAMS: dict[str, Program] = {
    program.__name__: program for program in (msrs, interrupted, forbidden, forbidden_svm, fresh)
}

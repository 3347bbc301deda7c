# SPDX-License-Identifier: BSD-3-Clause
"""Assembler text for a seeded guest, written and counted instruction by instruction.

A program is a function of a random.Random and the test's options. It writes its guest with an
`Asm`:

    asm = Asm(long=False)
    asm(f"mov ${rng.getrandbits(32)}, %esi", "out %al, $0x22")
    asm.answer("esi", "%esi")
    return [asm.finish()]

`asm(…)` counts each string as one instruction that is executed once; a loop says its own number
with `times`. So we know beforehand how many instructions of the image a run executes, to compare
with what count.c counts; see evidence.py for what "executes" means.

A guest starts as flat images do (src/loaders/loaders.h): at its first byte, all general registers
0 but ESP, which is 0x7c00, flat segments, no IDT, interrupts off; in long mode 4 GiB are mapped
one to one. The symbol BARE is 1 where it is assembled to be run without Casita, else 0.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any, Callable, Mapping, Sequence

from ..evidence import PORT_EXIT, PORT_NIBBLE

ADDRESS = 0x2000000
SECOND_ADDRESS = 0x2400000  # without memory virtualization guests share the machine's

REGISTERS32 = ("eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi")
REGISTERS64 = tuple("r" + name[1:] for name in REGISTERS32) + tuple(
    f"r{n}" for n in range(8, 16)
)

# How a guest's run is to end, beside "exit", status 0.
HALT, SHUTDOWN, STOPPED, ANY = "halt", "shutdown", "stopped", "any"
# Like "exit", or its VM is stopped where it touches memory that it has not got.
HOLE = "hole"


@dataclass(frozen=True)
class Answer:
    """A value that the guest reports: so many nibbles, the most significant first."""

    name: str
    nibbles: int
    expected: int | None = None  # None: what the bare run answers


@dataclass(frozen=True)
class Guest:
    """One generated guest."""

    source: str
    long: bool
    answers: tuple[Answer, ...]
    instructions: int  # of its image that a run executes
    end: str = "exit"
    address: int = ADDRESS
    words: str = ""  # for its boot module, beside those that every program has
    bare: bool = True  # can be run without Casita
    first_port: int | None = None  # the port of the OUT that it starts with; end is ANY
    last_code: int | None = None  # for STOPPED: the exit that ends it
    touches: tuple[int, ...] = ()  # virtual addresses, in the order of their first use
    # Physical addresses without RAM that it uses, in order; None: any may be a nested page fault.
    holes: tuple[int, ...] | None = ()
    sure_nibbles: int | None = None  # for HOLE: what it must answer before it may be stopped
    says: tuple[str, ...] = ()  # regular expressions: what is to be on the serial line, as well


Program = Callable[[random.Random, Mapping[str, Any]], list[Guest]]


class Asm:
    """A guest while it is written."""

    def __init__(self, long: bool, address: int = ADDRESS) -> None:
        self.long = long
        self.address = address
        self.registers = REGISTERS64 if long else REGISTERS32
        self.bits = 64 if long else 32
        self.count = 0
        self._lines: list[str] = []
        self._answers: list[Answer] = []
        self._saved: list[tuple[str, int | None]] = []
        self._data: list[str] = []
        self._places = 1
        self._labels = 0

    def __call__(self, *instructions: str, times: int = 1) -> None:
        """Write instructions, each executed so many times."""
        for instruction in instructions:
            self._lines.append("\t" + instruction)
            self.count += times

    def text(self, *lines: str) -> None:
        """Write what is not executed: labels, directives, code that is not to be reached."""
        self._lines += lines

    def data(self, *lines: str) -> None:
        """Write what stands behind the code: tables, handlers."""
        self._data += lines

    def new_label(self) -> str:
        """A name of its own."""
        self._labels += 1
        return f"label_{self._labels}"

    @property
    def answers(self) -> Sequence[Answer]:
        """What it answers so far."""
        return self._answers

    def word(self, rng: random.Random) -> int:
        """A random value as wide as a register."""
        return rng.getrandbits(self.bits)

    def load(self, register: str, value: int) -> None:
        """Set a full register; `register` has no %."""
        self(f"{'movabs' if self.long else 'mov'} ${value:#x}, %{register}")

    def answer(self, name: str, source: str, nibbles: int = 0, expected: int | None = None) -> None:
        """Report the lowest nibbles of a register or a place in memory. Destroys rAX and EDX."""
        nibbles = nibbles or self.bits // 4
        acc = "%rax" if self.long else "%eax"
        self(f"mov {source}, {acc}")
        if nibbles * 4 < self.bits:
            self(f"ror ${nibbles * 4}, {acc}")
        for _ in range(nibbles):
            self(f"rol $4, {acc}", "mov %eax, %edx", "and $15, %edx", f"or ${PORT_NIBBLE:#x}, %edx")
            self("out %al, %dx")
        self._answers.append(Answer(name, nibbles, expected))

    def save(self, name: str, source: str, expected: int | None = None) -> None:
        """Store a register; answer_saved() reports it. Changes no register and no flag."""
        self(f"mov {source}, saved + {len(self._saved) * 8}")
        self._saved.append((name, expected))

    def answer_saved(self) -> None:
        """Report all that was stored since the last time. Destroys rAX and EDX."""
        for place, (name, expected) in enumerate(self._saved):
            self.answer(name, f"saved + {place * 8}", expected=expected)
        self._places = max(self._places, len(self._saved))
        self._saved.clear()

    def finish(self, end: str = "exit", ended: bool = False, **fields: Any) -> Guest:
        """End the guest; `end` as in Guest. `ended`: it has written to the exit port itself."""
        if end in ("exit", HOLE) and not ended:
            self("xor %eax, %eax", f"out %al, ${PORT_EXIT:#x}")
        # Who comes here was not stopped where he should have been: a wrong answer, a bad status.
        self.text(f"\tmov ${PORT_NIBBLE + 15:#x}, %edx", "\tout %al, %dx")
        self.text("\tmov $1, %eax", f"\tout %al, ${PORT_EXIT:#x}", "1:\tjmp 1b")
        self.text(*self._data, "\t.balign 8", "saved:", f"\t.fill {self._places}, 8, 0")
        return Guest(
            source="\n".join([f"\t.code{self.bits}", "start:", *self._lines, ""]),
            long=self.long,
            answers=tuple(self._answers),
            instructions=self.count,
            end=end,
            address=self.address,
            **fields,
        )

# SPDX-License-Identifier: BSD-3-Clause
"""Page tables of seeded guests, and a slow walker that says what each access must do.

A `Memory` is what the guest has in its physical memory, in words of four bytes; tables lie in it as
the guest will write them. `walk()` is written from APM vol. 2 chapter 5 and §8.4.2 alone and knows
nothing of Casita's walker: what it says is what is expected, and the bare run must say the same.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

P, W, U, A, D, PS, G = 1, 2, 4, 0x20, 0x40, 0x80, 0x100
NX = 1 << 63
PAGE = 4096
_ADDRESS = 0x000F_FFFF_FFFF_F000
# The processor's physical addresses have 40 bits, or a few more; never so many.
HIGH_BITS = (1 << 50, 1 << 51)

# Error codes of #PF (APM vol. 2 §8.4.2).
PRESENT, WRITE, USER, RSVD, FETCH = 1, 2, 4, 8, 16


@dataclass(frozen=True)
class Kind:
    """One of the three ways of paging."""

    name: str
    shifts: tuple[int, ...]  # of each level's index, from the top
    top: int  # entries of the root
    size: int  # bytes of an entry

    @property
    def long(self) -> bool:
        """Is it for 64-bit code?"""
        return len(self.shifts) == 4

    @property
    def levels(self) -> int:
        """How many tables a walk goes through."""
        return len(self.shifts)

    def index(self, gva: int, level: int) -> int:
        """Which entry of a table of that level; 1 is the lowest."""
        entries = self.top if level == self.levels else PAGE // self.size
        return gva >> self.shifts[-level] & (entries - 1)

    def page(self, level: int) -> int:
        """Bytes that an entry of that level maps."""
        return 1 << self.shifts[-level]


KINDS = {
    "32": Kind("32", (22, 12), 1024, 4),
    "pae": Kind("pae", (30, 21, 12), 4, 8),
    "64": Kind("64", (39, 30, 21, 12), 512, 8),
}


@dataclass
class Modes:
    """The bits of control registers that a walk depends on."""

    wp: bool = False
    pse: bool = True
    nxe: bool = False
    smep: bool = False
    smap: bool = False
    ac: bool = False


class Memory:
    """Physical memory of a guest: its words, and frames that nobody has yet. Where its RAM ends there
    is a hole, which reads all ones."""

    def __init__(self, rng: random.Random, first: int, end: int, ram_end: int) -> None:
        self.words: dict[int, int] = {}
        self.ram_end = ram_end
        self._free = list(range(first, end, PAGE))
        rng.shuffle(self._free)

    def frame(self) -> int:
        """A frame of one's own."""
        return self._free.pop()

    def get(self, address: int, size: int = 4) -> int:
        """What is there."""
        if address >= self.ram_end:
            return (1 << 8 * size) - 1
        low = self.words.get(address, 0)
        return low if size == 4 else low | self.words.get(address + 4, 0) << 32

    def put(self, address: int, value: int, size: int = 4) -> None:
        """Write a word or two. A hole keeps nothing."""
        if address >= self.ram_end:
            return
        self.words[address] = value & 0xFFFFFFFF
        if size == 8:
            self.words[address + 4] = value >> 32


class Space:
    """An address space: a root, and the tables below it. `unused`: bits set in the entries of the
    upper levels that mean nothing."""

    def __init__(self, kind: Kind, memory: Memory, unused: int = 0) -> None:
        self.kind = kind
        self.unused = unused
        self.memory = memory
        self.tables: list[int] = []
        self.plain: set[int] = set()  # where the entries are that map addresses to themselves
        self.root = self._table()

    def _table(self) -> int:
        frame = self.memory.frame()
        self.tables.append(frame)
        return frame

    def entry(self, gva: int, level: int = 1, upper: int = P | W | U) -> int:
        """Where the entry is; tables on the way are made, with these bits in what leads to them."""
        table = self.root
        for above in range(self.kind.levels, level, -1):
            at = table + self.kind.index(gva, above) * self.kind.size
            value = self.memory.get(at, self.kind.size)
            if not value & P:
                pointer = self.kind.name == "pae" and above == 3
                value = self._table() | (P if pointer else upper | self.unused)
                self.memory.put(at, value, self.kind.size)
            assert above != 2 or not value & PS & ~self.unused, "a large page is in the way"
            table = value & _ADDRESS
        return table + self.kind.index(gva, level) * self.kind.size

    def map(self, gva: int, gpa: int, bits: int, level: int = 1, upper: int = P | W | U) -> int:
        """Map a page; where its entry is."""
        at = self.entry(gva, level, upper)
        self.memory.put(at, gpa | bits | (PS if level > 1 else 0), self.kind.size)
        return at

    def identity(self, first: int, end: int, level: int) -> None:
        """Map addresses to themselves, for the supervisor."""
        for address in range(first, end, self.kind.page(level)):
            self.plain.add(self.map(address, address, P | W, level))

    def words(self) -> list[int]:
        """Where the words of its tables are that are not zero, but for the plain entries."""
        found = []
        for at, value in self.memory.words.items():
            if value and at & -PAGE in self.tables and at & -self.kind.size not in self.plain:
                found.append(at)
        return sorted(found)


def _reserved(kind: Kind, modes: Modes, value: int, level: int) -> bool:
    """Has a present entry bits that must be zero?"""
    large = bool(value & PS) and level > 1
    if kind.size == 4:
        return large and modes.pse and bool(value & 1 << 21)
    if any(value & bit for bit in HIGH_BITS):
        return True
    if kind.name == "pae" and value >> 52 & 0x7FF:
        return True
    if value & NX and not modes.nxe:
        return True
    if level == 4:
        return large
    return large and level == 2 and bool(value & 0x1FE000)


def walk(
    space: Space, modes: Modes, gva: int, write: bool, fetch: bool, user: bool
) -> tuple[int | None, int]:
    """The physical address and 0, or None and the error code. Sets accessed and dirty bits."""
    kind, memory = space.kind, space.memory
    error = (WRITE if write else 0) | (USER if user else 0)
    error |= FETCH if fetch and (modes.smep or (modes.nxe and kind.size == 8)) else 0
    table, every, any_bit = space.root, W | U, 0
    for level in range(kind.levels, 0, -1):
        at = table + kind.index(gva, level) * kind.size
        value = memory.get(at, kind.size)
        if not value & P:
            return None, error
        pointer = kind.name == "pae" and level == 3
        if not pointer and _reserved(kind, modes, value, level):
            return None, error | PRESENT | RSVD
        if not pointer:
            every &= value
            any_bit |= value
        leaf = level == 1 or bool(value & PS and level < 4 and not pointer and
                                  (modes.pse or kind.size == 8))
        if leaf:
            break
        if not pointer:
            memory.put(at, value | A, kind.size)
        table = value & _ADDRESS
    if not _allowed(modes, every, any_bit, write, fetch, user):
        return None, error | PRESENT
    memory.put(at, value | A | (D if write else 0), kind.size)
    size = kind.page(level)
    return (value & _ADDRESS & ~(size - 1)) + gva % size, 0


def _allowed(modes: Modes, every: int, any_bit: int, write: bool, fetch: bool, user: bool) -> bool:
    if user and not every & U:
        return False
    if write and not every & W and (user or modes.wp):
        return False
    if fetch and any_bit & NX:
        return False
    if not user and every & U:
        return not modes.smep if fetch else not modes.smap or modes.ac
    return True

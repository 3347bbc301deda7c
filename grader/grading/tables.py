# SPDX-License-Identifier: BSD-3-Clause
"""Page tables as they lie in a machine's memory, read from outside: what do they translate, and to what?

Entries of 64 bits, with four levels or with PAE's three: what Casita makes for a processor.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .gdbstub import Stub

_P, _W, _U, _PS, _NX = 1, 2, 4, 0x80, 1 << 63
_ADDRESS = 0x000F_FFFF_FFFF_F000
PAGE, LARGE = 12, 21  # bits
_TABLE = struct.Struct("<512Q")
_MOST_TABLES = 1024  # tables may lead back to themselves: what we do has an end


@dataclass(frozen=True, slots=True)
class Leaf:
    """Where a page is, and what may be done with it."""

    frame: int  # host physical address
    rights: int  # _W, _U; _NX where code may not be executed

    def grants(self, other: "Leaf") -> bool:
        """Is all that `other` says true here as well?"""
        missing = other.rights & ~self.rights & (_W | _U)
        return self.frame == other.frame and not missing and not self.rights & ~other.rights & _NX

    def part(self, offset: int) -> "Leaf":
        """A piece of a larger page."""
        return Leaf(self.frame + offset, self.rights)

    def __str__(self) -> str:
        words = ["writable" if self.rights & _W else "read-only"]
        words += [] if self.rights & _U else ["the supervisor's"]
        words += ["not for code"] if self.rights & _NX else []
        return f"{', '.join(words)}, at host {self.frame:#x}"


@dataclass
class Tables:
    """All translations of one set of tables."""

    small: dict[int, Leaf] = field(default_factory=dict)  # by page number
    large: dict[int, Leaf] = field(default_factory=dict)  # by number of 2 MiB
    odd: str = ""  # an entry that says what it should not: the first; behind it nothing was read
    tables: int = 0  # that were read
    where: set[int] = field(default_factory=set)  # the tables themselves

    def __len__(self) -> int:
        return len(self.small) + len(self.large)

    def count_table(self) -> None:
        """One more. Too many are odd."""
        self.tables += 1
        if self.tables > _MOST_TABLES:
            self.odd = f"its page tables are more than {_MOST_TABLES}, or lead back to themselves."

    def at(self, page: int) -> Leaf | None:
        """The translation of 4 KiB."""
        leaf = self.small.get(page)
        if leaf is None and (large := self.large.get(page >> 9)):
            leaf = large.part((page & 511) << PAGE)
        return leaf

    def pages(self, start: int, end: int) -> dict[int, Leaf]:
        """Each page from address `start` up to `end`, by its address."""
        found = ((page << PAGE, self.at(page)) for page in range(start >> PAGE, end >> PAGE))
        return {address: leaf for address, leaf in found if leaf is not None}


def read_tables(stub: "Stub", root: int, levels: int) -> Tables:
    """All that lies below a root with so many levels: 4, or 3 for PAE's; 0: there are none."""
    found = Tables()
    if levels == 3:
        if not stub.has(root & ~31, 32):
            found.odd = f"CR3 is {root:#x}: there is no memory."
        for index, pointer in enumerate(struct.unpack("<4Q", stub.read(root & ~31, 32))):
            if pointer & _P and not found.odd:
                _walk(stub, pointer & _ADDRESS, 2, index << 30, _W | _U, found)
    elif levels:
        _walk(stub, root & _ADDRESS, levels, 0, _W | _U, found)
    return found


def _walk(stub: "Stub", table: int, level: int, base: int, rights: int, found: Tables) -> None:
    found.count_table()
    found.where.add(table)
    if not stub.has(table, _TABLE.size):
        found.odd = f"the table for the addresses from {base:#x} on is at {table:#x}: there is no memory."
    for index, value in enumerate(_TABLE.unpack(stub.read(table, _TABLE.size))):
        if found.odd:
            return
        if not value & _P:
            continue
        address = base | index << PAGE + 9 * (level - 1)
        here = rights & value & (_W | _U) | (rights | value) & _NX
        if level == 1 or value & _PS and level < 4:
            _add(level, address, value, here, found)
        else:
            _walk(stub, value & _ADDRESS, level - 1, address, here, found)


def _add(level: int, address: int, value: int, rights: int, found: Tables) -> None:
    frame = value & _ADDRESS
    if level == 1:
        found.small[address >> PAGE] = Leaf(frame, rights)
        if value & _PS:
            found.odd = (
                f"the entry of the 4 KiB at {address:#x} is {value:#x}: bit 7 is not PS there, "
                "but PAT, and chooses another memory type (APM vol. 2 §7.8.2)."
            )
    elif level == 2:
        found.large[address >> LARGE] = Leaf(frame & -1 << LARGE, rights)
        if frame & (1 << LARGE) - 1 & ~0x1000:
            found.odd = f"the entry of the 2 MiB at {address:#x} is {value:#x}: not aligned."
    else:
        found.count_table()  # as much work as one
        frame &= -1 << LARGE + 9
        for part in range(512):
            found.large[(address >> LARGE) + part] = Leaf(frame + (part << LARGE), rights)

# SPDX-License-Identifier: BSD-3-Clause
"""May the processor still know what is no longer so? A TLB that keeps all that it is allowed to keep.

A processor may remember every translation that its page tables had at a VMRUN, tagged with the ASID, used
or not, until it is told to forget (APM vol. 2 §5.5, §15.16). Emulators forget far more, so a flush that is
missing harms nothing there. Here is the processor that forgets nothing else: at each VMRUN all translations
of the tables that the VMCB names (nCR3, or CR3 under shadow paging) are compared with those that were there
at earlier VMRUNs with the same ASID. What was there must lead to the same memory with no fewer rights;
a translation that is new, or that allows more, needs no flush (§5.5.2).

    since the last VMRUN with this ASID …        so
    ------------------------------------        --------------------------------------------------
    a page is absent now, or elsewhere        the ASID must be another one, or TLB_CONTROL flush it
    it lost the right to write, or to …        the same
    it came, or has more rights            nothing
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any, Mapping

from .vmcb import Vmcb
from .watch import Check, Entry

_P, _W, _U, _PS, _NX = 1, 2, 4, 0x80, 1 << 63
_ADDRESS = 0x000F_FFFF_FFFF_F000
_PAGE, _LARGE = 12, 21  # bits
_CR0_PG, _CR4_PAE, _EFER_LMA = 1 << 31, 1 << 5, 1 << 10
_FLUSH_ALL, _FLUSH_THIS, _FLUSH_LOCAL = 1, 3, 7
_TABLE = struct.Struct("<512Q")
# Tables may lead back to themselves, and every VMRUN may have another ASID: what we do has an end.
_MOST_TABLES = 1024  # at a VMRUN
_MOST_KNOWN = 1 << 19  # translations, of all ASIDs


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
class _Map:
    """All translations of one set of tables."""

    small: dict[int, Leaf] = field(default_factory=dict)  # by page number
    large: dict[int, Leaf] = field(default_factory=dict)  # by number of 2 MiB
    odd: str = ""  # an entry that says what it should not: the first; behind it nothing was read
    tables: int = 0  # that were read

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
            leaf = large.part((page & 511) << _PAGE)
        return leaf


class Translations(Check):
    """That processor."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__(options)
        self._known: dict[int, _Map] = {}

    def entering(self, entry: Entry) -> str:
        vmcb = entry.vmcb
        asid, flush = vmcb["asid"], vmcb["tlb_control"]
        if asid == 0:
            return "its ASID is 0, which is the host's (APM vol. 2 §15.5.1)."
        if flush not in (0, _FLUSH_ALL, _FLUSH_THIS, _FLUSH_LOCAL):
            return f"TLB_CONTROL is {flush}, which is reserved (APM vol. 2 §15.16.1)."
        if flush == _FLUSH_ALL:
            self._known.clear()
        elif flush:
            self._known.pop(asid, None)
        now = _read(entry)
        before = self._known.get(asid, _Map())
        if now.odd:
            return now.odd
        if stale := _stale(before, now):
            return f"{stale} ASID {asid} as before, TLB_CONTROL 0: nothing makes the processor forget it."
        self._known[asid] = now  # all that was known before is in it, or it would have been stale
        if sum(map(len, self._known.values())) > _MOST_KNOWN:
            return f"the processor may know more than {_MOST_KNOWN} translations: too many to look at."
        return ""


def _stale(before: _Map, now: _Map) -> str:
    """A translation that may be remembered, and is no longer true."""
    for page, leaf in before.small.items():
        found = now.at(page)
        if found is None or not found.grants(leaf):
            return _told(page << _PAGE, leaf, found)
    for number, leaf in before.large.items():
        found = now.large.get(number)
        if found and found.grants(leaf):
            continue
        for index in range(512):
            part, found = leaf.part(index << _PAGE), now.at(number << 9 | index)
            if found is None or not found.grants(part):
                return _told(number << _LARGE | index << _PAGE, part, found)
    return ""


def _told(address: int, before: Leaf, found: Leaf | None) -> str:
    return f"address {address:#x} was {before}; now it is {found or 'not mapped'}."


def _read(entry: Entry) -> _Map:
    """Walk all the tables that the processor is about to use."""
    vmcb, found = entry.vmcb, _Map()
    root, levels = _root(vmcb)
    if levels == 3:
        if not entry.stub.has(root & ~31, 32):
            found.odd = f"CR3 is {root:#x}: there is no memory."
        for index, pointer in enumerate(struct.unpack("<4Q", entry.stub.read(root & ~31, 32))):
            if pointer & _P and not found.odd:
                _walk(entry, pointer & _ADDRESS, 2, index << 30, _W | _U, found)
    elif levels:
        _walk(entry, root & _ADDRESS, levels, 0, _W | _U, found)
    return found


def _root(vmcb: Vmcb) -> tuple[int, int]:
    """Of which tables; their levels: none where the guest runs without any."""
    if vmcb.nested:
        return vmcb["ncr3"], 4
    if not vmcb["cr0"] & _CR0_PG:
        return 0, 0
    if vmcb["efer"] & _EFER_LMA:
        return vmcb["cr3"], 4
    return vmcb["cr3"], 3 if vmcb["cr4"] & _CR4_PAE else 0


def _walk(entry: Entry, table: int, level: int, base: int, rights: int, found: _Map) -> None:
    found.count_table()
    if not entry.stub.has(table, _TABLE.size):
        found.odd = f"the table for the addresses from {base:#x} on is at {table:#x}: there is no memory."
    for index, value in enumerate(_TABLE.unpack(entry.stub.read(table, _TABLE.size))):
        if found.odd:
            return
        if not value & _P:
            continue
        address = base | index << _PAGE + 9 * (level - 1)
        here = rights & value & (_W | _U) | (rights | value) & _NX
        if level == 1 or value & _PS and level < 4:
            _add(level, address, value, here, found)
        else:
            _walk(entry, value & _ADDRESS, level - 1, address, here, found)


def _add(level: int, address: int, value: int, rights: int, found: _Map) -> None:
    frame = value & _ADDRESS
    if level == 1:
        found.small[address >> _PAGE] = Leaf(frame, rights)
        if value & _PS:
            found.odd = (
                f"the entry of the 4 KiB at {address:#x} is {value:#x}: bit 7 is not PS there, "
                "but PAT, and chooses another memory type (APM vol. 2 §7.8.2)."
            )
    elif level == 2:
        found.large[address >> _LARGE] = Leaf(frame & -1 << _LARGE, rights)
        if frame & (1 << _LARGE) - 1 & ~0x1000:
            found.odd = f"the entry of the 2 MiB at {address:#x} is {value:#x}: not aligned."
    else:
        found.count_table()  # as much work as one
        frame &= -1 << _LARGE + 9
        for part in range(512):
            found.large[(address >> _LARGE) + part] = Leaf(frame + (part << _LARGE), rights)

# SPDX-License-Identifier: BSD-3-Clause
"""A walk down page tables, told step by step: the guest's own, and those below them.

The guest's tables hold guest physical addresses and are read through the VM's memory map; nested
tables hold host physical addresses. Neither walk changes accessed and dirty bits. The rules are
those of src/x86/walk.c (APM vol. 2 §5.2-5.4), written a second time, so that each can be held
against the other. Plain Python, without GDB.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Callable

import names

# Reads a table's entry, address and size; None: there is no memory.
Reader = Callable[[int, int], "int | None"]

_P, _W, _U, _PS, _NX = 1, 2, 4, 1 << 7, 1 << 63
_ADDRESS = 0x000FFFFFFFFFF000
_LEVELS = {4: "PML4E", 3: "PDPTE", 2: "PDE", 1: "PTE"}
# No permissions and no page size there; the accessed bit is let pass, as walk.c explains.
_PDPTE_RESERVED = 0x1C6 | _NX | 0x7FF << 52


@dataclass
class Walk:
    """What a walk found: its steps as text, and the address unless it ended early."""

    lines: list[str] = field(default_factory=list)
    address: int | None = None
    why: str = ""  # it ended early
    anded: int = _W | _U
    ored: int = 0

    def stop(self, why: str) -> Walk:
        """It ends here."""
        self.why = why
        return self

    def found(self, frame: int, offset: int, size: int, access: str = "") -> Walk:
        """It ends at a page."""
        self.address = frame | offset
        self.lines.append(f"{names.size(size)} page at {frame:#x}: {access or self._rights()}")
        return self

    def _rights(self) -> str:
        said = ["writable" if self.anded & _W else "read-only"]
        said.append("user" if self.anded & _U else "supervisor only")
        said.append("no execute" if self.ored & _NX else "executable")
        return ", ".join(said)


@dataclass(frozen=True)
class Rules:
    """What a walk depends on."""

    physical_bits: int = 52
    no_execute: bool = True  # EFER.NXE; without it bit 63 is reserved
    pae: bool = False  # the three levels of PAE, whose first has four entries

    @property
    def reserved(self) -> int:
        """Bits that must be zero in every entry."""
        software = 0x7FF << 52 if self.pae else 0
        return _ADDRESS & ~((1 << self.physical_bits) - 1) | software | (0 if self.no_execute else _NX)


def guest(read: Reader, address: int, registers: dict[str, int], physical_bits: int) -> Walk:
    """What a guest virtual address means, by CR0, CR3, CR4 and EFER."""
    cr0, cr3, cr4, efer = (registers[name] for name in ("CR0", "CR3", "CR4", "EFER"))
    rules = Rules(physical_bits or 52, bool(efer & 1 << 11))
    if efer & 1 << 10:
        top = address >> 47
        if top not in (0, 0x1FFFF):
            return Walk().stop(f"{address:#x} is not canonical: bits 63 to 47 differ; #GP, or #SS")
        return entries8(read, address, cr3 & _ADDRESS, 4, rules)
    address &= 0xFFFFFFFF
    if not cr0 >> 31:
        walk = Walk(["paging is off (CR0.PG=0): the address is physical as it is"])
        walk.address = address
        return walk
    if cr4 & 1 << 5:
        return entries8(read, address, cr3 & 0xFFFFFFE0, 3, replace(rules, pae=True))
    return _entries4(read, address, cr3 & 0xFFFFF000, bool(cr4 & 1 << 4), rules)


def kind(registers: dict[str, int]) -> str:
    """Which kind of paging these registers turn on."""
    if registers["EFER"] & 1 << 10:
        return "4-level"
    if not registers["CR0"] >> 31:
        return "none"
    return "PAE" if registers["CR4"] & 1 << 5 else "32-bit"


def entries8(read: Reader, address: int, root: int, levels: int, rules: Rules) -> Walk:
    """Tables with entries of 8 bytes: long mode, PAE, nested."""
    walk, table = Walk(), root
    for level in range(levels, 0, -1):
        index = address >> 3 + 9 * level & (3 if rules.pae and level == 3 else 511)
        entry = _step(walk, read, _LEVELS[level], index, table + index * 8, 8)
        if entry is None:
            return walk
        pointer = rules.pae and level == 3  # no permissions, and no accessed bit
        large = bool(level > 1 and entry & _PS and not pointer)
        reserved = rules.reserved | (_PDPTE_RESERVED if pointer else 0)
        reserved |= _PS if level == 4 else 0
        if large and level < 4:
            reserved |= (1 << 3 + 9 * level) - 0x2000
        if entry & reserved:
            return walk.stop(f"{_LEVELS[level]} has reserved bits set ({_set_bits(entry & reserved)}): "
                             "#PF, error code with `reserved-bit`")
        if not pointer:
            walk.anded, walk.ored = walk.anded & entry, walk.ored | entry
        table = entry & _ADDRESS
        if large or level == 1:
            size = 1 << 3 + 9 * level
            return walk.found(table & ~(size - 1), address & size - 1, size)
    return walk


def _entries4(read: Reader, address: int, root: int, large_pages: bool, rules: Rules) -> Walk:
    """32-bit paging; a 4 MiB page has bits 39-32 of its address in bits 20-13 (PSE-36)."""
    walk, index = Walk(), address >> 22
    entry = _step(walk, read, "PDE", index, root + index * 4, 4)
    if entry is None:
        return walk
    walk.anded &= entry
    if entry & _PS and large_pages:
        frame = entry & 0xFFC00000 | (entry >> 13 & 0xFF) << 32
        if entry & 1 << 21 or frame >> rules.physical_bits:
            return walk.stop("PDE has reserved bits set: #PF, error code with `reserved-bit`")
        return walk.found(frame, address & 0x3FFFFF, 4 << 20)
    index = address >> 12 & 1023
    entry = _step(walk, read, "PTE", index, (entry & 0xFFFFF000) + index * 4, 4)
    if entry is None:
        return walk
    walk.anded &= entry
    return walk.found(entry & 0xFFFFF000, address & 0xFFF, 4096)


def _step(walk: Walk, read: Reader, name: str, index: int, at: int, size: int) -> int | None:
    """Read an entry and tell of it; None if the walk ends here."""
    entry = read(at, size)
    if entry is None:
        walk.stop(f"{name}[{index}] would be at {at:#x}, where there is no RAM")
        return None
    walk.lines.append(f"{name}[{index}] at {at:#x} = {entry:#0{size * 2 + 2}x}: {_entry(entry, name)}")
    if not entry & _P:
        walk.stop(f"{name}[{index}] is not present: #PF, error code without `present`")
        return None
    return entry


def _entry(entry: int, name: str) -> str:
    """An entry's bits by name. Bit 7 is PS, or in a lowest entry PAT."""
    table = {**names.PTE, 7: "PAT" if name == "PTE" else "PS", 9: "AVL9", 10: "AVL10", 11: "AVL11"}
    low = entry & 0xFFF | entry & _NX
    return f"{entry & _ADDRESS:#x} {names.bits(low, table, '(nothing)')}" if entry else "empty"


def _set_bits(word: int) -> str:
    return " ".join(str(bit) for bit in range(64) if word >> bit & 1)

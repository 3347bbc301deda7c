# SPDX-License-Identifier: BSD-3-Clause
"""The VMCB as it lies in memory: APM vol. 2 appendix B. Only the fields that somebody looks at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .gdbstub import Stub

_CONTROL, _SAVE = 0x100, 0x678  # bytes of each area that are read, from 0 and 0x400 on
_SAVE_START = 0x400
_SEGMENTS = ("es", "cs", "ss", "ds", "fs", "gs", "gdtr", "ldtr", "idtr", "tr")
_FIELDS = {
    **{"cr_writes": (0x02, 2), "int_state": (0x68, 8)},
    **{"exceptions": (0x08, 4), "intercepts1": (0x0C, 4), "intercepts2": (0x10, 4)},
    **{"iopm": (0x40, 8), "msrpm": (0x48, 8), "asid": (0x58, 4), "tlb_control": (0x5C, 1)},
    **{"vintr": (0x60, 8), "exit_code": (0x70, 8), "exit_info1": (0x78, 8), "exit_info2": (0x80, 8)},
    **{"np_control": (0x90, 8), "event_inj": (0xA8, 8), "ncr3": (0xB0, 8)},
    **{"efer": (0x4D0, 8), "cr4": (0x548, 8), "cr3": (0x550, 8), "cr0": (0x558, 8)},
    **{"cpl": (0x4CB, 1), "dr7": (0x560, 8), "dr6": (0x568, 8), "rflags": (0x570, 8), "rip": (0x578, 8)},
    **{"cs_attributes": (0x412, 2), "cs_base": (0x418, 8), "rsp": (0x5D8, 8), "cr2": (0x640, 8), "g_pat": (0x668, 8)},
}

NP_ENABLE = 1
EVENT_VALID, EVENT_ERROR_VALID = 1 << 31, 1 << 11


@dataclass(frozen=True)
class Segment:
    """A segment register."""

    selector: int
    attrib: int
    limit: int
    base: int

    def __str__(self) -> str:
        rest = f"attributes {self.attrib:#x}, limit {self.limit:#x}, base {self.base:#x}"
        return f"selector {self.selector:#x}, {rest}"


@dataclass(frozen=True)
class Vmcb:
    """One, as it was at a stop."""

    address: int
    control: bytes
    save: bytes

    @classmethod
    def read(cls, stub: "Stub", address: int) -> "Vmcb":
        """From the machine's memory."""
        control = stub.read(address, _CONTROL)
        return cls(address, control, stub.read(address + _SAVE_START, _SAVE - _SAVE_START))

    @staticmethod
    def place(name: str) -> tuple[int, int]:
        """Where a field is, and how many bytes it has."""
        return _FIELDS[name]

    def __getitem__(self, name: str) -> int:
        at, size = self.place(name)
        part = self.control[at : at + size] if at < _SAVE_START else self._saved(at, size)
        return int.from_bytes(part, "little")

    def _saved(self, at: int, size: int) -> bytes:
        return self.save[at - _SAVE_START : at - _SAVE_START + size]

    def segment(self, name: str) -> Segment:
        """ES to TR."""
        raw = self._saved(_SAVE_START + 16 * _SEGMENTS.index(name), 16)
        sizes = ((0, 2), (2, 4), (4, 8), (8, 16))
        return Segment(*(int.from_bytes(raw[a:b], "little") for a, b in sizes))

    @property
    def nested(self) -> bool:
        """Is nested paging on?"""
        return bool(self["np_control"] & NP_ENABLE)

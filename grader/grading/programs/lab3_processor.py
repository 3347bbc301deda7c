# SPDX-License-Identifier: BSD-3-Clause
"""The control registers of a guest with paging, as its code has them, and its model (lab3_tables.py)."""

from __future__ import annotations

from .asm import Asm
from .lab3_tables import Kind, Modes, Space

_CR0_WP, _CR0_PG = 1 << 16, 1 << 31
_CR4_PSE, _CR4_PAE, _CR4_PGE, _CR4_SMEP, _CR4_SMAP = 1 << 4, 1 << 5, 1 << 7, 1 << 20, 1 << 21
_EFER, _EFER_NXE = 0xC0000080, 1 << 11


class Processor:
    """What sets registers. EAX, EBX and, for MSRs, ECX and EDX are lost."""

    space: Space
    root_bits = 0  # of CR3, beside the root's address; they mean nothing for a walk

    def __init__(self, kind: Kind, modes: Modes) -> None:
        self.kind = kind
        self.modes = modes
        self.asm = Asm(kind.long)
        acc = "r" if kind.long else "e"
        self.ax, self.bx, self.sp = f"%{acc}ax", f"%{acc}bx", f"%{acc}sp"

    def paging_on(self) -> None:
        """CR4, CR3, CR0, in this order."""
        self._set_cr4()
        self.asm(f"mov ${self.space.root | self.root_bits:#x}, %eax", f"mov {self.ax}, %cr3")
        self._set_cr0(True)

    def paging_off(self) -> None:
        """CR0.PG = 0."""
        self._set_cr0(False)

    def _set_cr4(self, pge: bool = False) -> None:
        m = self.modes
        value = _CR4_PAE if self.kind.size == 8 else _CR4_PSE if m.pse else 0
        value |= (_CR4_PGE if pge else 0) | (_CR4_SMEP if m.smep else 0)
        value |= _CR4_SMAP if m.smap else 0
        self.asm(f"mov ${value:#x}, %eax", f"mov {self.ax}, %cr4")

    def _set_cr0(self, pg: bool) -> None:
        value = 0x31 | (_CR0_WP if self.modes.wp else 0) | (_CR0_PG if pg else 0)
        self.asm(f"mov ${value:#x}, %eax", f"mov {self.ax}, %cr0")

    def set_wp(self, wp: bool) -> None:
        """CR0.WP."""
        self.modes.wp = wp
        self._set_cr0(True)

    def set_nxe(self, nxe: bool) -> None:
        """EFER.NXE."""
        self.modes.nxe = nxe
        change = f"or ${_EFER_NXE:#x}, %eax" if nxe else f"and ${~_EFER_NXE & 0xFFFFFFFF:#x}, %eax"
        self.asm(f"mov ${_EFER:#x}, %ecx", "rdmsr", change, "wrmsr")

    def set_supervisor(self, smep: bool, smap: bool) -> None:
        """CR4.SMEP and SMAP."""
        self.modes.smep, self.modes.smap = smep, smap
        self._set_cr4()

    def set_ac(self, ac: bool) -> None:
        """RFLAGS.AC."""
        self.modes.ac = ac
        size = "q" if self.kind.long else "l"
        self.asm(f"push{size} ${0x40002 if ac else 2:#x}", f"popf{size}")

    def toggle_global(self) -> None:
        """CR4.PGE on, off and on: everything is forgotten."""
        for pge in (True, False, True):
            self._set_cr4(pge)

    def switch(self, space: Space) -> None:
        """MOV CR3."""
        self.space = space
        self.asm(f"mov ${space.root:#x}, %eax", f"mov {self.ax}, %cr3")

    def invlpg(self, gva: int) -> None:
        """INVLPG."""
        self.asm.load(self.bx[1:], gva)
        self.asm(f"invlpg ({self.bx})")

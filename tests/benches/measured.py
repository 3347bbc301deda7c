# SPDX-License-Identifier: BSD-3-Clause
"""One measured run on a machine that counts instructions, and tables of what was seen."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Sequence

from common import BUILD, CasitaError, scratch_directory
from engines import End, Machine, Module, Outcome, boot

MODES = ("nested", "shadow")
_BACKSTOP = 1800.0  # seconds; a backstop only
_CASITA_MEM = 128  # MiB beside the guest's
_ROW = re.compile(r"^  (\S.{11}) +(\d+) +(\d+)(?: +\d+)?$", re.MULTILINE)
_POOL = re.compile(r"^  shadow pages +(\d+) of (\d+)$", re.MULTILINE)

# The same in every run: QEMU's clock counts instructions, and its randomness has a seed.
_EXTRA = ("-seed", "1", "-no-reboot")


@dataclass(frozen=True)
class Exits:
    """Casita's own table of a VM's exits: of each kind how many, and the instructions outside."""

    count: dict[str, int]
    outside: dict[str, int]
    pool: tuple[int, int] | None  # shadow pages held, and the pool's size

    @classmethod
    def parse(cls, text: str) -> Exits:
        """From what EXITS=1 prints."""
        text = text.partition(": exits\n")[2]
        rows = [(match[1].strip(), int(match[2]), int(match[3])) for match in _ROW.finditer(text)]
        if not rows:
            raise CasitaError(f"no table of exits in: {text[-500:]}")
        pool = _POOL.search(text)
        return cls(
            {kind: count for kind, count, _ in rows if kind != "total"},
            {kind: outside for kind, _, outside in rows if kind != "total"},
            (int(pool[1]), int(pool[2])) if pool else None,
        )

    @property
    def total(self) -> int:
        """Of all kinds."""
        return sum(self.count.values())

    def each(self, kind: str) -> str:
        """Instructions outside the guest for one exit of that kind, as text."""
        if not self.count.get(kind):
            return "-"
        return f"{round(self.outside[kind] / self.count[kind]):,}"

    @property
    def each_of_all(self) -> str:
        """The same over all kinds."""
        return f"{round(sum(self.outside.values()) / self.total):,}"


def _text(outcome: Outcome) -> str:
    if outcome.end is End.TIMEOUT:
        raise CasitaError(f"it hung; it said: {outcome.serial[-500:]!r}")
    return outcome.serial.decode(errors="replace").replace("\r\n", "\n")


def bare(
    image: Path, words: str, initrd: Path | None, mem: int, icount: bool = True
) -> tuple[str, str]:
    """Without Casita: what it says on the serial line, and at port 0xe9."""
    machine = Machine("qemu", mem=mem, icount=icount, extra=_EXTRA)
    modules = [Module(initrd)] if initrd else []
    with scratch_directory() as scratch:
        outcome = boot(machine, image, words, modules, scratch, timeout=_BACKSTOP)
    return _text(outcome), outcome.debugcon.decode(errors="replace")


def in_vm(
    image: Path, words: str, initrd: Path | None, mem: int, paging: str, icount: bool = True
) -> str:
    """In a VM in Casita: what is said on the serial line, the table of exits at the end."""
    modules = [Module(image, f"vm=guest mem={mem}M paging={paging} -- {words}".rstrip())]
    if initrd:
        modules.append(Module(initrd, "for=guest as=initrd"))
    machine = Machine("qemu", mem=mem + _CASITA_MEM, icount=icount, extra=_EXTRA)
    casita = BUILD / "casita.elf"
    with scratch_directory() as scratch:
        return _text(boot(machine, casita, "exits", modules, scratch, timeout=_BACKSTOP))


def print_table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """The first column to the left, all others to the right; a title above."""
    lines = [list(head), *(list(row) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    print(f"\n{title}\n")
    for line in lines:
        cells = [line[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(line[1:], widths[1:]))]
        print("  " + "   ".join(cells).rstrip(), flush=True)


def print_exits(title: str, tables: dict[str, Exits]) -> None:
    """Tables of exits side by side."""
    kinds: list[str] = []
    for exits in tables.values():
        kinds += [kind for kind in exits.count if kind not in kinds]
    head = ["exits"] + [cell for name in tables for cell in (name, "each")]
    rows = [
        [kind] + [c for e in tables.values() for c in (f"{e.count.get(kind, 0):,}", e.each(kind))]
        for kind in kinds
    ]
    rows.append(["total"] + [c for e in tables.values() for c in (f"{e.total:,}", e.each_of_all)])
    print_table(f"{title} (each: instructions outside the guest for one)", head, rows)

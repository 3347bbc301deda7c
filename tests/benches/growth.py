# SPDX-License-Identifier: BSD-3-Clause
"""What address spaces cost, as they become more: exits, and page tables of Casita's.

The guest `spaces` makes N of them one after the other, each with page tables of its own (four pages in
long mode), and visits each new one and an old one. Then Linux, which has as many as processes.
"""

from __future__ import annotations

import re

import linux
from common import BUILD, CasitaError, scratch_directory
from .measured import Exits, in_vm, print_exits, print_table

_SIZES = (1, 10, 100, 1000)
# A name, how memory is virtualized, and MiB of it: a larger VM has a larger pool of shadow pages.
_VMS = (("nested", "nested", 64), ("vtlb", "vtlb", 64), ("shadow", "shadow", 64),
        ("shadow, 1 GiB", "shadow", 1024))
_LINUX_MEM = 256
# So many programs asleep; then how many programs there are, and how many KiB of page tables.
_ASLEEP = (0, 10, 100, 300)
_LINUX_SAYS = """for i in $(seq {}); do sleep 1000 & done; sleep 1
echo programs $(grep -h VmPTE /proc/[0-9]*/status | wc -l) $(grep -w PageTables /proc/meminfo)
exit 0"""
_NOTE = """  The pool is made with the VM: a page for each 64 of the guest's, at least 256. One costs 12 KiB: the
  table, what was last seen of the guest's table, and who points where. It never grows: who needs one
  when all are taken takes the one that was not needed for the longest time. (vtlb has one set of
  tables for all address spaces, and forgets it at each MOV CR3.)"""


def _storm(count: int, paging: str, mem: int) -> tuple[Exits, int]:
    image = BUILD / "guests" / "spaces.elf"
    text = in_vm(image, f"forkstorm={count}", None, mem, paging)
    tables = re.search(r"^tables=([0-9a-f]+)$", text, re.MULTILINE)
    if not tables or "exited with status 0" not in text:
        raise CasitaError(f"the guest spaces went wrong: {text[-800:]}")
    return Exits.parse(text), int(tables[1], 16)


def _held(exits: Exits) -> list[str]:
    return [f"{n:,}" for n in exits.pool] if exits.pool else ["-", "-"]


def _storms() -> None:
    rows: list[list[str]] = []
    by_kind: dict[str, Exits] = {}
    for name, paging, mem in _VMS:
        none, _ = _storm(0, paging, mem)
        for count in _SIZES:
            exits, tables = _storm(count, paging, mem)
            more = exits.total - none.total
            outside = sum(exits.outside.values()) - sum(none.outside.values())
            rows.append([f"{name}: {count:,}", f"{tables:,}", f"{more:,}", f"{more / count:.1f}",
                         f"{outside / count:,.0f}", *_held(exits)])
            if name == "shadow":
                by_kind[f"{count:,}"] = exits
    print_table(
        "Address spaces in the guest spaces, in 64 MiB or as said; less what a run without any has",
        ["spaces", "its tables", "exits", "each", "outside, each", "shadow pages", "pool"],
        rows,
    )
    print_exits("The same by kind, shadow paging", by_kind)


def _linux() -> None:
    rows, userland = [], linux.initramfs().read_bytes()
    for asleep in _ASLEEP:
        with scratch_directory() as scratch:
            initrd = scratch / "initramfs"
            initrd.write_bytes(linux.with_commands(userland, _LINUX_SAYS.format(asleep), None))
            text = in_vm(linux.kernel(), linux.KERNEL_CMDLINE, initrd, _LINUX_MEM, "shadow")
        said = re.search(r"^programs (\d+) PageTables: (\d+) kB$", text, re.MULTILINE)
        if not said:
            raise CasitaError(f"Linux went wrong: {text[-800:]}")
        rows.append([said[1], f"{int(said[2]) // 4:,}", *_held(Exits.parse(text))])
    print_table(
        f"Linux, {_LINUX_MEM} MiB, with so many programs; its tables: PageTables of /proc/meminfo",
        ["programs", "its tables", "shadow pages", "pool"],
        rows,
    )
    print(_NOTE)


def report() -> None:
    """Exits by the number of spaces, and what is held of whose page tables."""
    _storms()
    _linux()

# SPDX-License-Identifier: BSD-3-Clause
"""One exit and back: the guest roundtrip does each thing a thousand times."""

from __future__ import annotations

import re

from common import BUILD, CasitaError
from .measured import MODES, bare, in_vm, print_table

_MEM = 64
_NOTE = """  Quoted: a minimal loop of VMRUN and its exit takes 48 instructions; Linux KVM, in Bochs, 953 to 1,095
  for CPUID, and 3,100 to 3,300 for an exit to user space, as port I/O is."""


def _answers(text: str) -> dict[str, str]:
    rows = re.findall(r"^(\S.*?) (\d+)$", text.replace("\r", ""), re.MULTILINE)
    if len(rows) < 6:
        raise CasitaError(f"the guest roundtrip went wrong: {text[-800:]}")
    return {what: f"{int(value):,}" for what, value in rows if "casita" not in what}


def report() -> None:
    """Instructions that each thing takes more than a NOP does."""
    image = BUILD / "guests" / "roundtrip.elf"
    columns = {"bare": _answers(bare(image, "", None, _MEM)[1])}
    for mode in MODES:
        columns[mode] = _answers(in_vm(image, "", None, _MEM, mode).partition(": exits\n")[0])
    rows = [[what, *(column[what] for column in columns.values())] for what in columns["bare"]]
    print_table("One of each, in instructions more than a NOP", ["", *columns], rows)
    print(_NOTE)

# SPDX-License-Identifier: BSD-3-Clause
"""Boots a Multiboot image with modules on an emulated machine: QEMU or Bochs.

    machine = Machine(engine="qemu", mem=512)
    outcome = boot(machine, image, "exits", [Module(kernel, "vm=linux mem=256M")], directory)

`make run`, `make check` and the autograder all start machines here and nowhere else.
"""

from __future__ import annotations

from pathlib import Path
from typing import Sequence

from common import CasitaError
from .bochs import BochsSession
from .machine import Boot, End, Machine, Module, Outcome
from .qemu import QemuSession
from .session import Echo, Session, echo_to_stdout

__all__ = ["End", "Machine", "Module", "Outcome", "boot", "echo_to_stdout"]

_SESSIONS: dict[str, type[Session]] = {"qemu": QemuSession, "bochs": BochsSession}


def boot(
    machine: Machine,
    image: Path,
    cmdline: str,
    modules: Sequence[Module],
    directory: Path,
    *,
    keyboard: bool = False,
    echo: Echo | None = None,
    timeout: float | None = None,
) -> Outcome:
    """Run the machine until it ends, is left, or `timeout` seconds of wall time are over.

    `directory` is a scratch directory, one for each call: below it files are linked under the names
    that the machine sees, and logs are left. What the machine sends down its serial line is handed to `echo`
    as it comes; `keyboard` says whether this process's standard input goes up it.
    """
    if machine.engine not in _SESSIONS:
        raise CasitaError(f"ENGINE={machine.engine} is unknown; there are qemu and bochs")
    for file in (image, *(module.path for module in modules)):
        if not file.is_file():
            raise CasitaError(f"{file} is not there, or not a file")
    work = directory / "machine"
    work.mkdir()
    session = _SESSIONS[machine.engine](Boot(machine, image, cmdline, modules, work), keyboard)
    return session.run(echo, timeout)

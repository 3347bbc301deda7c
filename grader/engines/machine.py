# SPDX-License-Identifier: BSD-3-Clause
"""What is booted, on what, and how it ended: plain data, the same for every engine."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Sequence

from common import CasitaError


@dataclass(frozen=True)
class Machine:
    """The computer to emulate."""

    engine: str = "qemu"  # or "bochs"
    cpu: str = "amd"  # or "intel"
    mem: int = 128  # MiB
    accel: str = "tcg"  # QEMU only: or "kvm"
    icount: bool = False  # QEMU only: one tick of the clock an instruction, the same in every run
    model: str = ""  # the CPU model by the engine's name; empty: one that fits `cpu`
    gdb_port: int = 0  # QEMU only: wait for GDB at this TCP port; 0: do not
    real_time: bool = False  # Bochs only: do not run ahead of the clock on the wall, for people
    extra: Sequence[str] = ()  # QEMU: more options; Bochs: more lines of bochsrc


@dataclass(frozen=True)
class Module:
    """A file that the boot loader puts into memory, with the words that follow its name there."""

    path: Path
    words: str = ""
    name: str = ""  # the name that the machine sees; empty: the file's own

    @property
    def boot_name(self) -> str:
        """The name, without anything that a boot loader could take for something else."""
        return re.sub(r"[^A-Za-z0-9._-]", "_", self.name or self.path.name).lstrip("-.") or "file"

    @property
    def boot_entry(self) -> str:
        """What the machine sees of it: its name, and the words."""
        return f"{self.boot_name} {self.words}".rstrip()


@dataclass(frozen=True)
class Boot:
    """One start of a machine."""

    machine: Machine
    image: Path
    cmdline: str
    modules: Sequence[Module]
    directory: Path

    def link_files(self, image_name: str) -> None:
        """Link image and modules into the directory, so that no path needs quoting."""
        files = [(image_name, self.image), *((m.boot_name, m.path) for m in self.modules)]
        for name, path in files:
            link = self.directory / name
            if link.is_symlink():
                raise CasitaError(f"two of the files to boot are both named {name}; rename one")
            link.symlink_to(path.resolve())


class End(Enum):
    """How a machine's run came to its end."""

    EXITED = "exited"  # the software ended it
    LEFT = "left"  # Ctrl-A x
    TIMEOUT = "timeout"  # the wall-clock backstop


@dataclass(frozen=True)
class Outcome:
    """What was seen from outside."""

    end: End
    status: int | None  # what the software wrote to QEMU's exit port, its low 7 bits; else None
    serial: bytes
    debugcon: bytes  # what was written to port 0xe9
    log: bytes  # Bochs's log, or what QEMU said on stderr
    seconds: float  # on the clock on the wall
    machine_seconds: float | None = None  # on the machine's own clock, since it was switched on: Bochs

# SPDX-License-Identifier: BSD-3-Clause
"""Runs Bochs for the grader: one start in the sandbox, its serial line in a file.

`engines` has its serial line on a terminal and waits for its display to find a port; in a sandbox there
are neither terminals nor other displays. The disk and the rest of the configuration are theirs.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import bootdisk
from common import BUILD, CasitaError
from engines import bochs as engine
from engines.machine import Machine
from . import contain
from .evidence import read

_SERIAL, _STDOUT = "serial", "bochs.stdout"
_FILE_BYTES = 64 << 20  # of any file that Bochs writes, its disk included


@dataclass(frozen=True)
class SeenBochs:
    """What was seen of it."""

    serial: bytes
    limit: str  # "time" or "log": what ended it; empty: it ended itself
    failure: str  # why Bochs itself gave up; empty: the software ended the machine
    seconds: float


def run(machine: Machine, image: Path, directory: Path, seconds: float) -> SeenBochs:
    """Run it to its end, or for so many seconds. `directory` is there and empty."""
    disk = directory / "disk.img"
    loader = BUILD / "bootdisk.bin"
    try:
        bootdisk.build_disk(disk, image, "", [], loader)
    except (bootdisk.BootdiskError, OSError) as error:
        raise CasitaError(f"no disk for Bochs to boot from: {error}") from None
    text = engine.bochsrc(machine, disk.stat().st_size, _SERIAL, mode="file")
    (directory / "bochsrc").write_text(text)
    (directory / "commands").write_text(engine.COMMANDS)
    stdout = directory / _STDOUT
    limits = contain.Limits(seconds=seconds, file_bytes=_FILE_BYTES)
    ended = contain.run(engine.WORDS, directory, limits, files=(stdout, stdout))
    limit = {"seconds": "time", "cpu": "time", "file": "log"}.get(ended.exceeded, "")
    return SeenBochs(
        serial=read(directory / _SERIAL),
        limit=limit,
        failure="" if limit else engine.failure(ended.code, read(stdout)),
        seconds=ended.seconds,
    )

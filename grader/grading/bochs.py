# SPDX-License-Identifier: BSD-3-Clause
"""Runs Bochs for the grader: a machine that is stricter than QEMU, and has CPUs that QEMU has not.

It runs in the sandbox, its serial line in a file. (`engines` has that on a terminal and waits for its
display to find a port; in a sandbox there are neither terminals nor other displays.)

Its log is the evidence of guests, with `debug: action=ignore, cpu0=report`. Each line begins with the
time and who says it, and nothing that the machine's software prints begins so (what it writes to the
BIOS's debug ports is marked as the BIOS's):

    00156792193d[CPU0  ] VMRUN VMCB ptr: 0x000000000016b000
    00156792193d[CPU0  ] VMRUN: Starting Nested Paging Mode !
    00156792206d[CPU0  ] SVM VMEXIT reason=123 exitinfo1=00000000ca070110 exitinfo2=0000000002000085

There is no RIP but the one behind an I/O instruction, in exitinfo2; no count of instructions, only
ticks of the machine's clock, about one an instruction; and no exit status. So a guest's answers and
exits are judged as in QEMU, and its instructions are not.
"""

from __future__ import annotations

import fcntl
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Sequence

import bootdisk
from common import BUILD, ROOT, CasitaError
from engines import bochs as engine
from engines.machine import Machine, Module
from . import contain
from .evidence import EXIT_IOIO, NOWHERE, Counts, Exit, Run, Trace, read
from .machine import Seen, Start

_SERIAL, _STDOUT, _LOG = "serial", "bochs.stdout", "bochs.log"
_FILE_BYTES = 64 << 20  # of any file that Bochs writes: its disk; its log, two to ten kilobytes an exit
_SIGNALLED, _KILLED = 128, 137  # as in machine.py
_SIGNED = 1 << 32
_DEBUG = ("debug: action=ignore, cpu0=report",)
_EVENT = re.compile(
    rb"^(\d{11,})d\[CPU0  \] (?:VMRUN VMCB ptr: 0x([0-9a-f]{16})"
    rb"|(VMRUN: Starting Nested Paging Mode !)"
    rb"|SVM VMEXIT reason=(-?\d+) exitinfo1=([0-9a-f]{16}) exitinfo2=([0-9a-f]{16}))$",
    re.M,
)
_TICK = re.compile(rb"^(\d{11,})[a-z]\[", re.M)


@dataclass(frozen=True)
class SeenBochs:
    """What was seen of it."""

    serial: bytes
    limit: str  # "time" or "log": what ended it; empty: it ended itself
    failure: str  # why Bochs itself gave up; empty: the software ended the machine
    seconds: float
    code: int  # its exit status; 128 + n: signal n ended it


def boot_loader() -> Path:
    """The loader that goes onto a disk; made when it is not there, as in a checkout that is fresh."""
    path = BUILD / "bootdisk.bin"
    if not path.is_file():
        BUILD.mkdir(parents=True, exist_ok=True)
        words = ["make", "-s", "--no-print-directory", f"O={BUILD}", "-C", str(ROOT / "src"), str(path)]
        with open(BUILD / ".lock", "w", encoding="ascii") as lock:  # the Makefile's
            fcntl.flock(lock, fcntl.LOCK_EX)
            done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            raise CasitaError(f"the boot loader for Bochs cannot be made: {done.stderr.strip()[-500:]}")
    return path


def _write_files(
    machine: Machine, image: Path, modules: Sequence[Module], directory: Path
) -> list[str]:
    disk, loader = directory / "disk.img", boot_loader()
    entries = [(module.path, module.boot_entry) for module in modules]
    try:
        bootdisk.build_disk(disk, image, "", entries, loader)
    except (bootdisk.BootdiskError, OSError) as error:
        raise CasitaError(f"no disk for Bochs to boot from: {error}") from None
    text = engine.bochsrc(machine, disk.stat().st_size, _SERIAL, mode="file")
    (directory / "bochsrc").write_text(text)
    (directory / "commands").write_text(engine.COMMANDS)
    return list(engine.WORDS)


def boot(
    machine: Machine, image: Path, directory: Path, seconds: float, modules: Sequence[Module] = ()
) -> SeenBochs:
    """Run it to its end, or for so many seconds. `directory` is there and empty."""
    words = _write_files(machine, image, modules, directory)
    stdout = directory / _STDOUT
    limits = contain.Limits(seconds=seconds, file_bytes=_FILE_BYTES)
    ended = contain.run(words, directory, limits, files=(stdout, stdout))
    limit = {"seconds": "time", "cpu": "time", "file": "log", "memory": "log", "disk": "log"}.get(ended.exceeded, "")
    return SeenBochs(
        serial=read(directory / _SERIAL),
        limit=limit,
        failure="" if limit else engine.failure(ended.code, read(stdout)),
        seconds=ended.seconds,
        code=ended.code,
    )


# ---- guests ---------------------------------------------------------------------------------------


def parse(log: bytes) -> Trace:
    """Read the log; of one that was cut off, as far as it goes."""
    runs: list[Run] = []
    vmcb: int | None = None
    nested = False
    for match in _EVENT.finditer(log):
        _, entry, starts_nested, reason, info1, info2 = match.groups()
        if entry is not None:
            if vmcb is not None:
                runs.append(Run(vmcb, None, nested))
            vmcb, nested = int(entry, 16), False
        elif starts_nested is not None:
            nested = True
        elif vmcb is not None:
            runs.append(Run(vmcb, _exit(int(reason), int(info1, 16), int(info2, 16)), nested))
            vmcb = None
    if vmcb is not None:
        runs.append(Run(vmcb, None, nested))
    return Trace(tuple(runs))


def _exit(reason: int, info1: int, info2: int) -> Exit:
    rip = NOWHERE
    if reason == EXIT_IOIO:
        # OUT with an immediate port has one byte more. What else could reach a small port, DX, is
        # told one byte off; answers go to large ones.
        rip = info2 - (1 if info1 >> 16 & 0xFF00 else 2)
    return Exit(reason % _SIGNED, info1, info2, rip)


def ticks(log: bytes) -> int:
    """From the first entry to the end of the log."""
    first = _EVENT.search(log)
    tail = _TICK.findall(log[-65536:])
    return int(tail[-1]) - int(first[1]) if first and tail else 0


def _machine(start: Start) -> Machine:
    return Machine(engine="bochs", mem=start.mem, model=start.model, extra=_DEBUG)


def prepare(start: Start, directory: Path) -> list[str]:
    """Write all that it needs into an empty directory; the command line, to be run there."""
    return _write_files(_machine(start), start.image, start.modules, directory)


def run(start: Start, directory: Path, seconds: float) -> Seen:
    """Run guests to their end, or for so many seconds. `directory` is there and empty."""
    found = boot(_machine(start), start.image, directory, seconds, start.modules)
    log = read(directory / _LOG)
    if found.code == _KILLED and not found.limit:
        raise CasitaError("Bochs was killed from outside (is there too little memory?)")
    if found.failure and not _TICK.search(log):
        raise CasitaError(f"Bochs did not start: {found.failure}")
    trace, spent = parse(log), ticks(log)
    exceeded = ""
    if start.exits and len(trace.runs) > start.exits:
        exceeded = "exits"
    elif start.instructions and spent > start.instructions:
        exceeded = "ticks"
    # Ended by the software: as QEMU's for status 0. By its own choice, as of a triple fault: 0.
    code = 0 if found.failure and found.code <= _SIGNALLED else found.code
    return Seen(
        code=None if found.limit == "time" else code,
        log=log,
        counts=Counts(""),
        serial=found.serial,
        stderr=read(directory / _STDOUT)[-4096:],
        seconds=found.seconds,
        trace=trace,
        too_much=found.limit == "log" or len(log) >= _FILE_BYTES,
        ticks=spent,
        exceeded=exceeded,
    )

# SPDX-License-Identifier: BSD-3-Clause
"""Runs QEMU for the grader: one start, with bounds on everything, and the evidence it leaves in files.

`engines` runs machines for people and lets them take their time; here software runs that may do anything.
The command line is theirs all the same, so that what is graded is what `make run` runs.
"""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Sequence

from common import CasitaError
from engines.machine import Boot, Machine, Module
from engines.qemu import command
from .evidence import Counts, Trace, parse_counts, parse_trace, read

# Of any file that QEMU writes: half a million exits. (It ignores SIGXFSZ, and what is too much is lost.)
_LOG_BYTES = 64 << 20
_CPU_SECONDS = 60
_SIGKILL, _SIGXCPU = 9, 24
_LOG, _COUNTS, _SERIAL, _STDERR = "qemu.log", "count.txt", "serial", "qemu.stderr"
_BLOCKS = 50_000  # that QEMU may translate; a run translates four thousand
_NOWHERE = "0xfffffffffffffff0+1"  # an address at which no code is
_STATUS_LIMIT = 9  # count.c's


@dataclass(frozen=True)
class Start:
    """One start of QEMU."""

    image: Path
    modules: Sequence[Module]
    mem: int  # MiB
    model: str = ""
    bare: bool = False  # the image is the guest itself: log what it writes to ports
    plugin: Path | None = None
    low: int = 0  # the guests' image
    high: int = 0
    exits: int = 0  # bounds; 0: none
    instructions: int = 0
    options: Sequence[str] = ()  # of QEMU


@dataclass(frozen=True)
class Seen:
    """What was seen of it."""

    code: int | None  # QEMU's exit status, negative: a signal; None: it had to be killed
    log: bytes
    counts: Counts
    serial: bytes  # for people only
    stderr: bytes
    seconds: float
    trace: Trace = field(default=Trace(()))

    @property
    def limit(self) -> str:
        """Which bound ended it; empty: none."""
        if self.code is None:
            return "time"
        if max(len(self.log), len(self.serial)) >= _LOG_BYTES:
            return "log"
        if self.code in (-_SIGXCPU, 128 + _SIGXCPU):
            return "time"
        return {"entries": "exits", "exit": ""}.get(self.counts.why, self.counts.why)

    @property
    def crashed(self) -> bool:
        """Did QEMU itself die, of something that happened in the machine?"""
        return self.code is not None and self.code < 0 and not self.limit

    @property
    def status(self) -> int | None:
        """What the machine's software wrote to the exit port; None: it did not end that way."""
        return self.code >> 1 if self.code is not None and self.code > 0 and self.code & 1 else None


def arguments(start: Start, gdb: bool = False) -> list[str]:
    """QEMU's command line, to be run in an own directory; all files in it have absolute names."""
    extra = ["-no-reboot", *start.options]
    if start.plugin and not gdb:
        words = [f"out={_COUNTS}", f"low={start.low:#x}", f"high={start.high:#x}"]
        words += [] if start.bare else [f"blocks={_BLOCKS}"]
        words += [f"entries={start.exits}"] if start.exits else []
        words += [f"instructions={start.instructions}"] if start.instructions else []
        extra += ["-plugin", ",".join([str(start.plugin), *words])]
    if start.bare:
        extra += ["-d", "trace:memory_region_ops_write", "-D", _LOG]
    else:
        extra += ["-d", "in_asm", "-dfilter", _NOWHERE, "-D", _LOG]
    machine = Machine(
        mem=start.mem, icount=True, model=start.model, gdb_port=1234 if gdb else 0, extra=extra
    )
    words = command(Boot(machine, start.image, "", start.modules, Path()), interactive=False)
    words[words.index("-kernel") + 1] = str(start.image.resolve())
    if start.modules:
        modules = [f"{m.path.resolve()} {m.words}".rstrip() for m in start.modules]
        words[words.index("-initrd") + 1] = ",".join(m.replace(",", ",,") for m in modules)
    return words


def run(start: Start, directory: Path, seconds: float, wrapper: Sequence[str] = ()) -> Seen:
    """Run it to its end, or for so many seconds. `directory` is there and empty."""
    bounds = ["prlimit", f"--fsize={_LOG_BYTES}", f"--cpu={_CPU_SECONDS}", "--core=0", "--"]
    words = ["setpriv", "--pdeathsig", "KILL", *bounds, *wrapper, *arguments(start)]
    begin = time.monotonic()
    try:
        with open(directory / _SERIAL, "wb") as out, open(directory / _STDERR, "wb") as err:
            process = subprocess.Popen(
                words, cwd=directory, stdin=subprocess.DEVNULL, stdout=out, stderr=err
            )
            code = _wait(process, seconds)
    except OSError as error:
        raise CasitaError(f"QEMU could not be started: {error}") from None
    log = read(directory / _LOG)
    seen = Seen(
        code=code,
        log=log,
        counts=parse_counts(read(directory / _COUNTS)) if start.plugin else Counts(""),
        serial=read(directory / _SERIAL),
        stderr=read(directory / _STDERR),
        seconds=time.monotonic() - begin,
        trace=Trace(()) if start.bare else parse_trace(log),
    )
    _check(seen)
    return seen


def _wait(process: "subprocess.Popen[bytes]", seconds: float) -> int | None:
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        return None
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _check(seen: Seen) -> None:
    """What the software in the machine cannot have done is the grader's trouble."""
    said = seen.stderr.decode(errors="replace").strip()
    if seen.code == -_SIGKILL:
        raise CasitaError("QEMU was killed from outside (is there too little memory?)")
    if not seen.limit and not seen.crashed and not seen.counts.why and seen.log == b"":
        # QEMU says 1 for a bad option; so does the exit port for status 0. But then it had counted.
        raise CasitaError(f"QEMU did not start, status {seen.code}: {said or 'it said nothing'}")

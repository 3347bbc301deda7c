# SPDX-License-Identifier: BSD-3-Clause
"""Runs QEMU for the grader: one start, with bounds on everything, and its evidence in files.

`engines` runs machines for people and lets them take their time; here software runs that may do
anything. The command line is theirs all the same, so that what is graded is what `make run` runs.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import shutil
import socket
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Sequence

from common import CasitaError
from engines.machine import Boot, Machine, Module
from engines.qemu import command
from . import contain
from .evidence import Counts, Trace, parse_counts, parse_trace, read
from .watch import Watch, Watched

# Of any file that QEMU writes: half a million exits. It ignores SIGXFSZ; what is too much is lost.
_LOG_BYTES = 64 << 20
# Bare, every write to a port is logged, of string I/O too. These guests are our own.
_BARE_LOG_BYTES = 512 << 20
_SIGNALLED, _KILLED = 128, 137  # exit statuses from 129 on: of a signal; of SIGKILL
_LOG, _COUNTS, _SERIAL, _STDERR = "qemu.log", "count.txt", "serial", "qemu.stderr"
_BLOCKS = 50_000  # that QEMU may translate; a run translates four thousand
_WATCHED_BLOCKS = 500  # more for each exit, for at each breakpoint it begins anew
_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
_NOWHERE = "0xfffffffffffffff0+1"  # an address at which no code is


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
    codes: Sequence[tuple[int, Path]] = ()  # what is to stand there, as handed over: at=, code=
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
    too_much: bool = False  # a file came to the most that it may have
    ticks: int | None = None  # Bochs: its clock's, from the first entry to the end
    exceeded: str = ""  # a bound that was found to be exceeded afterwards
    watched: Watched | None = None  # None: nobody looked at its VMRUNs

    @property
    def limit(self) -> str:
        """Which bound ended it; empty: none."""
        if self.code is None:
            return "time"
        if self.too_much:
            return "log"
        if self.exceeded:
            return self.exceeded
        return {"entries": "exits", "exit": ""}.get(self.counts.why, self.counts.why)

    @property
    def crashed(self) -> bool:
        """Did QEMU itself die, of something that happened in the machine?

        The exit port can give any odd status; but a QEMU that ends by itself has the plugin say so.
        """
        return self.code is not None and self.code > _SIGNALLED and not (self.limit or self.counts.why)

    @property
    def status(self) -> int | None:
        """What the machine's software wrote to the exit port; None: it did not end that way."""
        return self.code >> 1 if self.code is not None and self.code > 0 and self.code & 1 else None


class _Window:
    """What a watched machine is given from outside: a line for its debugger's stub, and its memory."""

    def __init__(self, start: Start) -> None:
        self.ours, self.theirs = socket.socketpair()
        self.file = os.memfd_create("memory", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(self.file, start.mem * contain.MIB)
        # Were it made shorter, by whoever has got hold of QEMU, our looking there would be SIGBUS.
        fcntl.fcntl(self.file, fcntl.F_ADD_SEALS, _SEALS)
        self.memory = mmap.mmap(self.file, start.mem * contain.MIB)

    @property
    def handles(self) -> tuple[int, int]:
        """What QEMU is to have, by these numbers."""
        return self.theirs.fileno(), self.file

    @property
    def options(self) -> list[str]:
        """For QEMU."""
        line, file = self.handles
        memory = f"memory-backend-file,id=ram,size={len(self.memory)},mem-path=/proc/self/fd/{file},share=on"
        return [
            *("-object", memory, "-machine", "memory-backend=ram"),
            *("-S", "-chardev", f"socket,id=watch,fd={line}", "-gdb", "chardev:watch"),
        ]

    def close_theirs(self) -> None:
        """QEMU has them, or never will."""
        self.theirs.close()

    def close(self) -> None:
        """All of it; whoever looked through it has ended."""
        self.memory.close()
        os.close(self.file)


def arguments(start: Start, gdb: bool = False, window: _Window | None = None) -> list[str]:
    """QEMU's command line, to be run in a directory where hand_over() has put the files."""
    extra = ["-no-reboot", *start.options, *(window.options if window else ())]
    if start.plugin and not gdb:
        words = [f"out={_COUNTS}", f"low={start.low:#x}", f"high={start.high:#x}"]
        words += [f"at={at:#x},code={path.name}" for at, path in start.codes]
        blocks = _BLOCKS + (start.exits * _WATCHED_BLOCKS if window else 0)
        words += [] if start.bare else [f"blocks={blocks}"]
        words += [f"entries={start.exits}"] if start.exits else []
        words += [f"instructions={start.instructions}"] if start.instructions else []
        extra += ["-plugin", ",".join([f"./{start.plugin.name}", *words])]
    if start.bare:
        extra += ["-d", "trace:memory_region_ops_write", "-D", _LOG]
    else:
        extra += ["-d", "in_asm", "-dfilter", _NOWHERE, "-D", _LOG]
    machine = Machine(
        mem=start.mem, icount=True, model=start.model, gdb_port=1234 if gdb else 0, extra=extra
    )
    words = command(Boot(machine, start.image, "", start.modules, Path()), interactive=False)
    words[words.index("-kernel") + 1] = start.image.name
    return words


def hand_over(start: Start, directory: Path) -> None:
    """Put all that QEMU needs into the directory: it sees nothing else."""
    modules = [(module.path, module.boot_name) for module in start.modules]
    plugin = [(start.plugin, start.plugin.name)] if start.plugin else []
    for path, name in [(start.image, start.image.name), *modules, *plugin]:
        shutil.copyfile(path, directory / name)


def run(start: Start, directory: Path, seconds: float, watch: Watch | None = None) -> Seen:
    """Run it to its end, or for so many seconds. `directory` is there and empty."""
    limits = contain.Limits(
        seconds=seconds, file_bytes=_BARE_LOG_BYTES if start.bare else _LOG_BYTES
    )
    files = (directory / _SERIAL, directory / _STDERR)
    hand_over(start, directory)
    ended = _run(start, directory, limits, files, watch)
    log = read(directory / _LOG)
    if start.bare:
        (directory / _LOG).unlink(missing_ok=True)  # may be long, and says nothing to people
    seen = Seen(
        code=None if ended.exceeded in ("seconds", "cpu") else ended.code,
        log=log,
        counts=parse_counts(read(directory / _COUNTS)) if start.plugin else Counts(""),
        serial=read(directory / _SERIAL),
        stderr=read(directory / _STDERR),
        seconds=ended.seconds,
        trace=Trace(()) if start.bare else parse_trace(log),
        too_much=ended.exceeded in ("file", "memory", "disk") or max(map(_size, files)) >= limits.file_bytes
        or len(log) >= limits.file_bytes,
        watched=watch.result if watch else None,
    )  # fmt: skip
    _check(seen)
    return seen


def _run(
    start: Start, directory: Path, limits: contain.Limits, files: tuple[Path, Path], watch: Watch | None
) -> contain.Ended:
    """Run QEMU, watched or not. Whoever watches ends with it: then the line has no other end."""
    if watch is None:
        return contain.run(arguments(start), directory, limits, files=files)
    window = _Window(start)
    follower = threading.Thread(target=watch.follow, args=(window.ours, memoryview(window.memory)))
    follower.start()
    try:
        words = arguments(start, window=window)
        ended = contain.run(
            words, directory, limits, files=files, handles=window.handles, started=window.close_theirs
        )
    finally:
        window.close_theirs()
        follower.join()
        window.close()
    if watch.trouble:
        raise CasitaError(f"the machine could not be watched: {watch.trouble!r}")
    return ended


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def _check(seen: Seen) -> None:
    """What the software in the machine cannot have done is the grader's trouble."""
    said = seen.stderr.decode(errors="replace").strip()
    if seen.code == _KILLED and seen.crashed:
        raise CasitaError("QEMU was killed from outside (is there too little memory?)")
    if not seen.limit and not seen.crashed and not seen.counts.why and seen.log == b"":
        # QEMU says 1 for a bad option; so does the exit port for status 0. But then it had counted.
        raise CasitaError(f"QEMU did not start, status {seen.code}: {said or 'it said nothing'}")

# SPDX-License-Identifier: BSD-3-Clause
"""Runs Bochs for the grader: a machine that is stricter than QEMU, and has CPUs that QEMU has not.

Its log is the evidence, with `debug: action=ignore, cpu0=report`. Each line begins with the time and
who says it, and nothing that the machine's software prints begins so (what it writes to the BIOS's
debug ports is marked as the BIOS's):

    00156792193d[CPU0  ] VMRUN VMCB ptr: 0x000000000016b000
    00156792193d[CPU0  ] VMRUN: Starting Nested Paging Mode !
    00156792206d[CPU0  ] SVM VMEXIT reason=123 exitinfo1=00000000ca070110 exitinfo2=0000000002000085

There is no RIP but the one behind an I/O instruction, in exitinfo2; no count of instructions, only
ticks of the machine's clock, about one an instruction; and no exit status. So a guest's answers and
exits are judged as in QEMU, and its instructions are not.
"""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from engines import bochs
from engines.machine import Boot, Machine
from . import contain
from .evidence import EXIT_IOIO, NOWHERE, Counts, Exit, Run, Trace, read
from .machine import Seen, Start

_LOG_BYTES = 64 << 20  # two to ten kilobytes an exit
_SIGNED = 1 << 32
_SERIAL, _STDOUT, _STDERR = "serial", "bochs.stdout", "bochs.stderr"
_LOG = "bochs.log"
_DEBUG = ("debug: action=ignore, cpu0=report",)
_EVENT = re.compile(
    rb"^(\d{11,})d\[CPU0  \] (?:VMRUN VMCB ptr: 0x([0-9a-f]{16})"
    rb"|(VMRUN: Starting Nested Paging Mode !)"
    rb"|SVM VMEXIT reason=(-?\d+) exitinfo1=([0-9a-f]{16}) exitinfo2=([0-9a-f]{16}))$",
    re.M,
)
_TICK = re.compile(rb"^(\d{11,})[a-z]\[", re.M)


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


def prepare(start: Start, directory: Path) -> list[str]:
    """Write all that it needs into an empty directory; the command line, to be run there."""
    machine = Machine(engine="bochs", mem=start.mem, model=start.model, extra=_DEBUG)
    boot = Boot(machine, start.image, "", start.modules, directory)
    return bochs.write_files(boot, f"mode=file, dev={_SERIAL}")


def run(start: Start, directory: Path, seconds: float) -> Seen:
    """Run it to its end, or for so many seconds. `directory` is there and empty."""
    words = prepare(start, directory)
    limits = contain.Limits(seconds=seconds, file_bytes=_LOG_BYTES)
    files = (directory / _STDOUT, directory / _STDERR)
    with ThreadPoolExecutor(max_workers=1) as pool:
        with bochs.one_at_a_time():
            running = pool.submit(contain.run, words, directory, limits, files=files)
            bochs.wait_for_display(running.done, directory)
        ended = running.result()
    log, said = read(directory / _LOG), read(directory / _STDOUT) + read(directory / _STDERR)
    trace, spent = parse(log), ticks(log)
    exceeded = ""
    if start.exits and len(trace.runs) > start.exits:
        exceeded = "exits"
    elif start.instructions and spent > start.instructions:
        exceeded = "ticks"
    code = ended.code if bochs.ended_itself(ended.code, said) else min(ended.code, 0)
    return Seen(
        code=None if ended.exceeded in ("seconds", "cpu") else code,
        log=log,
        counts=Counts(""),
        serial=read(directory / _SERIAL),
        stderr=said[-4096:],
        seconds=ended.seconds,
        trace=trace,
        too_much=ended.exceeded == "file" or len(log) >= _LOG_BYTES,
        ticks=spent,
        exceeded=exceeded,
    )

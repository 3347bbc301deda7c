# SPDX-License-Identifier: BSD-3-Clause
"""Runs one test so that a person can look on: QEMU waits for GDB, which finds all symbols."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from common import ROOT, CasitaError
from . import contain, one, report
from .build import BuildFailed
from .gate import Rejected

_HOUR = 3600
_NO_HURRY = contain.Limits(  # with the network, for GDB comes that way
    seconds=24 * _HOUR, cpu_seconds=_HOUR, file_bytes=1024 * contain.MIB, network=True
)
_GDB_COMMANDS = ROOT / "grader" / "gdb" / "load.py"
_WAIT = ("-S", "-gdb", "tcp:127.0.0.1:1234")


def under_gdb(order: one.Order, directory: Path, runner: one.Runner | None = None) -> int:
    """Build the submission, start its one test under GDB, and wait until that has ended."""
    runner = runner or one.the_runner()
    test = order.tests[0]
    if test.engine != "qemu":
        raise CasitaError(f"test {test.name} runs in {test.engine}, and GDB needs QEMU")
    try:
        accepted = one.accept(order, one.fresh_folder(directory, "gate"))
        built, prepared = one.get_ready(order, accepted, directory, one.Clock(), runner, None)
    except (Rejected, BuildFailed) as error:
        print(report.clean(str(error)), flush=True)
        return 1
    where = one.fresh_folder(directory, "test")
    commands = runner.commands(test, built.image, prepared, where)
    argv = [str(word) for word in commands.get("gdb") or [*commands["qemu"], *_WAIT]]
    script = directory / "gdbinit"
    lines = [f"file {built.symbols}", f"directory {directory / 'build' / 'src'}"]
    lines += [f"source {_GDB_COMMANDS}"] if _GDB_COMMANDS.is_file() else []
    script.write_text("\n".join([*lines, f"target remote {_address(argv)}", ""]), encoding="utf-8")
    print(f"QEMU, in {where}:\n  {shlex.join(argv)}")
    print(f"waiting for GDB; in another terminal: gdb -x {script}", flush=True)
    contain.run(argv, where, _NO_HURRY, files=(1, 2))
    return 0


def _address(argv: list[str]) -> str:
    """Where QEMU waits: what follows -gdb."""
    for option, value in zip(argv, argv[1:]):
        if option == "-gdb" and (match := re.fullmatch(r"tcp:([\w.]*):(\d+)", value)):
            return f"{match[1] or '127.0.0.1'}:{match[2]}"
    raise CasitaError("QEMU was not told to wait for GDB")

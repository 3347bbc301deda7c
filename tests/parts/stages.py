# SPDX-License-Identifier: BSD-3-Clause
"""Every stage with every lab's holes open: it builds without a warning, and boots as far as it can.

`make STAGE=n SOLVED=m`; a lab that does not exist yet has no holes, so its pairs are left out.
"""

from __future__ import annotations

import shutil
from functools import partial

from common import BUILD, scratch_directory
from engines import End, Machine, Module, boot
from staff.cut import lab_folders, last_stage
from .harness import BACKSTOP, Test, expect, shell


def _pairs() -> list[tuple[int, int]]:
    """(STAGE, SOLVED); what is more than the last lab is the same as all."""
    labs = max(lab_folders())
    return [
        (stage, solved)
        for stage in range(last_stage() + 1)
        for solved in range(-1, min(stage, labs) + 1)
    ]


def _says(stage: int, solved: int) -> str:
    """What must stand on the console when a first guest is booted: the first hole in its way."""
    if solved >= min(stage, max(lab_folders())):
        return "casita: hello: exited with status 0" if stage else "casita: AMD SVM revision"
    if solved < 1:
        return f"casita: lab {solved + 1}, exercise {solved + 1}.1 is to be done"
    return ", exercise "  # of which lab depends on what this stage does first


def _try(stage: int, solved: int) -> None:
    out = BUILD / "check" / f"stage-{stage}-{solved}"
    shutil.rmtree(out, ignore_errors=True)
    words = ["make", "-s", "-C", "src", f"O={out}", f"STAGE={stage}", f"SOLVED={solved}"]
    result = shell(words)
    expect(result.returncode == 0, f"STAGE={stage} SOLVED={solved} does not build", result.stdout)
    expect(not result.stdout.strip(), f"STAGE={stage} SOLVED={solved} warns", result.stdout)
    guest = Module(BUILD / "guests" / "hello.elf", "vm=hello")
    with scratch_directory() as directory:
        outcome = boot(Machine(), out / "casita.elf", "", [guest], directory, timeout=BACKSTOP)
    seen = outcome.serial.decode(errors="replace")
    expect(outcome.end is End.EXITED, f"it did not end: {outcome.end}", seen)
    expect(_says(stage, solved) in seen, f"not said: {_says(stage, solved)}", seen)
    shutil.rmtree(out)


def _no_such_stage() -> None:
    result = shell(["make", "-s", "casita", "STAGE=99"])
    expect(result.returncode != 0 and "STAGE=99" in result.stdout, "STAGE=99 is built", result.stdout)


def tests() -> list[Test]:
    """One test a pair."""
    return [
        Test("no-such-stage", _no_such_stage),
        *(Test(f"{n}-solved-{m}", partial(_try, n, m), weight=4) for n, m in _pairs()),
    ]

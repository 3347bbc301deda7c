# SPDX-License-Identifier: BSD-3-Clause
"""Lab 0's tests: Casita boots without any VM, and says what the processor offers.

What is right is in the test, because it follows from the processor that the machine is given:

    kind = "tour"
    run = "no-nested-paging"
    cpu = "max,-npt"                    # QEMU's -cpu, or Bochs's model with engine = "bochs"
    options = { lines = ["casita: AMD SVM revision 1, 16 ASIDs"] }

or one of several, which the seed picks:

    options = { cases = [{ cpu = "max", lines = ["…"] }, { cpu = "max,-svm", lines = ["…"] }] }

In QEMU the seed also changes what must not matter: the width of physical addresses, features of no
concern here. Each of the lines must be on the serial line, once, and no other of this kind. Here,
what the image prints does count: there is no guest yet whose exits could tell.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Sequence

from common import CasitaError
from engines.machine import Machine
from . import bochs
from .machine import Start, run
from .model import Test, TestResult, Verdict

_SECONDS = 20.0
_BOCHS_SECONDS = 40.0
_MEM = 128  # MiB
_KINDS = tuple(
    b"casita: " + what for what in (b"AMD SVM", b"no AMD SVM", b"Intel VT-x", b"no Intel VT-x")
)
_IRRELEVANT = (
    *("-avx", "-avx2", "-rdrand", "-rdseed", "-sse4a"),
    *("-3dnow", "-mmxext", "-smap", "-adx", "-pku"),
)
_COLUMNS = 160


@dataclass(frozen=True)
class Case:
    """A processor, and the lines that are right for it."""

    cpu: str
    lines: tuple[bytes, ...]


def choose(test: Test, seed: int) -> Case:
    """The case that this seed has for the test."""
    rng = random.Random(f"casita {seed} {test.lab} {test.name}")
    cases: Sequence[dict[str, Any]] = test.options.get("cases") or [
        {"cpu": test.cpu, "lines": test.options.get("lines", [])}
    ]
    case = rng.choice(cases)
    lines = tuple(line.encode("ascii") for line in case["lines"])
    if not lines:
        raise CasitaError(f"test {test.name}: its options name no lines to be expected")
    cpu = case.get("cpu", test.cpu)
    if test.engine == "qemu":
        flags = rng.sample(_IRRELEVANT, rng.randrange(4))
        cpu = ",".join([cpu or "max", f"phys-bits={rng.randrange(36, 49)}", *flags])
    return Case(cpu, lines)


def start_of(test: Test, image: Path, seed: int) -> Start:
    """How QEMU is started for it."""
    return _start(test, image, choose(test, seed), None)


def _start(test: Test, image: Path, case: Case, plugin: Path | None) -> Start:
    limit = test.instructions if plugin else 0
    return Start(image, [], _MEM, model=case.cpu, plugin=plugin, instructions=limit)


def run_tour(test: Test, image: Path, seed: int, plugin: Path, directory: Path) -> TestResult:
    """Run one, and judge what it said."""
    case = choose(test, seed)
    limit, seconds = "", 0.0
    if test.engine == "bochs":
        machine = Machine(engine="bochs", model=case.cpu, mem=_MEM)
        outcome = bochs.boot(machine, image, directory, _BOCHS_SECONDS)
        serial, seconds, limit = outcome.serial, outcome.seconds, outcome.limit
        if outcome.failure:
            message = f"On {case.cpu}: Bochs failed: {outcome.failure}."
            return _result(test, Verdict.FAIL, message, case, serial, seconds)
    else:
        seen = run(_start(test, image, case, plugin), directory, _SECONDS)
        serial, seconds, limit = seen.serial, seen.seconds, seen.limit
    problem = compare(case.lines, serial)
    if limit:
        message = f"On {case.cpu}: it did not come to its end ({limit}). {problem}".rstrip()
        return _result(test, Verdict.LIMIT, message, case, serial, seconds)
    verdict = Verdict.FAIL if problem else Verdict.PASS
    message = f"On {case.cpu}: {problem}" if problem else ""
    return _result(test, verdict, message, case, serial, seconds)


def compare(wanted: Sequence[bytes], serial: bytes) -> str:
    """What is wrong with the lines about the processor; empty: nothing."""
    lines = [line.rstrip(b"\r") for line in serial.split(b"\n")]
    said = [line for line in lines if line.startswith(_KINDS)]
    if said == list(wanted):
        return ""
    expected = " and ".join(f'"{_clean(line)}"' for line in wanted)
    if said:
        return f"expected {expected}, seen " + " and ".join(f'"{_clean(line)}"' for line in said)
    others = [line for line in lines if line.strip()]
    last = f'; the last line is "{_clean(others[-1])}"' if others else "; it said nothing at all"
    return f"expected {expected}, and there is no such line{last}"


def _clean(line: bytes) -> str:
    return "".join(c for c in line.decode("ascii", "replace") if c.isprintable())[:_COLUMNS]


def _result(
    test: Test, verdict: Verdict, message: str, case: Case, serial: bytes, seconds: float
) -> TestResult:
    said = [_clean(line) for line in serial.split(b"\n") if line.startswith(_KINDS)]
    points = test.points if verdict is Verdict.PASS else 0
    evidence = {"cpu": case.cpu, "lines": said}
    return TestResult(test, verdict, points, message, evidence, seconds)

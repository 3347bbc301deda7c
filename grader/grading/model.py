# SPDX-License-Identifier: BSD-3-Clause
"""What is graded and what came out: plain data, passed among the grader's parts."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, Mapping, Sequence


class Verdict(Enum):
    """How a test, or a whole submission, ended."""

    PASS = "PASS"  # as it should be
    FAIL = "FAIL"  # something else was seen than expected
    LIMIT = "LIMIT"  # a bound on exits, instructions, output or time was exceeded: scores as FAIL
    BUILD = "BUILD"  # the submission does not compile: no test was run
    REJECTED = "REJECTED"  # the submission was not accepted: nothing was built
    INFRA = "INFRA"  # the grader's own trouble: never a mark


@dataclass(frozen=True)
class Test:
    """One test, as lab.toml (or hidden.toml) describes it."""

    name: str  # unique in the lab
    title: str
    points: int
    exercise: str  # of the handout
    hint: str
    kind: str  # "program", "guest" or "tour"
    run: str  # the program's or the guest's name
    words: str = ""  # for the VM's boot module
    cpu: str = ""  # the engine's CPU model; empty: the usual one
    engine: str = "qemu"  # or "bochs"
    mem: int = 64  # MiB of the VM
    exits: int = 5000  # budget
    instructions: int = 20_000_000  # budget, of the whole run
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)  # for the program
    hidden: bool = False
    lab: int = 0


@dataclass(frozen=True)
class Lab:
    """One lab: what may be changed, and what is tested."""

    number: int
    name: str
    folder: Path  # labs/1-world-switch
    files: tuple[str, ...]  # the allow-list, relative to the tree's root
    tests: tuple[Test, ...]  # public ones first, in the order of the files
    hours: str = ""

    @property
    def points(self) -> int:
        """The most that can be had."""
        return sum(test.points for test in self.tests)


@dataclass(frozen=True)
class TestResult:
    """How one test ended, and why."""

    test: Test
    verdict: Verdict
    points: int  # awarded: test.points for PASS, else 0
    message: str = ""  # what a person needs: the guest, what was expected, what was seen
    evidence: Mapping[str, Any] = field(default_factory=dict, hash=False)  # numbers; deterministic
    seconds: float = 0.0  # on the clock on the wall
    last_exits: Sequence[str] = field(default=(), hash=False)


@dataclass(frozen=True)
class Result:
    """How one submission ended."""

    lab: Lab
    seed: int
    verdict: Verdict  # PASS: full marks; FAIL: less; BUILD, REJECTED and INFRA: of the whole
    results: tuple[TestResult, ...] = ()  # in the order of the lab; empty if nothing was run
    message: str = ""  # why it was rejected, what the compiler said, what the grader's trouble is
    notes: tuple[str, ...] = ()  # what a person should know although it changes no mark
    image_sha256: str = ""  # of the stripped image
    submission_sha256: str = ""  # of the files that were taken from the submission
    seconds: Mapping[str, float] = field(default_factory=dict, hash=False)  # by phase
    sandbox: str = "none"  # what the submission was built and run in: see sandbox.py

    @property
    def score(self) -> int:
        """The marks; INFRA has none, and this is then not to be used."""
        return sum(result.points for result in self.results)

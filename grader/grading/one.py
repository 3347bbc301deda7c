# SPDX-License-Identifier: BSD-3-Clause
"""Grades one submission: gate, build, the tests side by side, and one result out of it.

    submission ── gate ── build ──┐
                                  ├── tests, each in a folder of its own ── Result
    seed ──────── prepare ────────┘

The same submission and seed give the same result, but for the times. What goes wrong in the grader
itself is INFRA and never a mark: the same test is then run on the reference, where staff have it, to
say whose trouble it looks like.
"""

from __future__ import annotations

import importlib
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Callable, Iterator, Protocol, Sequence

from common import ROOT, CasitaError
from . import contain, sandbox, trees
from .build import Built, BuildFailed, build
from .gate import Accepted, Rejected, Task, accept_patch, accept_tree
from .lab import folders
from .model import Lab, Result, Test, TestResult, Verdict
from .prepared import Keeper

_MAX_LAB_SEARCHED = 3  # handouts that a patch which does not apply is tried against


class Runner(Protocol):
    """What runner.py does, and what a test of this module puts in its place."""

    def prepare(self, lab: Lab, tests: Sequence[Test], seed: int, directory: Path) -> Any:
        """Make what the tests need for this seed."""

    def run_test(self, test: Test, image: Path, prepared: Any, directory: Path) -> TestResult:
        """Run one test."""

    def commands(self, test: Test, image: Path, prepared: Any, directory: Path) -> dict[str, Any]:
        """How to run it by hand."""


def the_runner() -> Runner:
    """runner.py, loaded when it is needed: a patch can be rejected without it."""
    return Keeper(importlib.import_module("grading.runner"))


@dataclass(frozen=True)
class Submission:
    """What is graded: a patch, a tree, or neither: this checkout (staff: the reference)."""

    patch: bytes | None = None
    tree: Path | None = None


@dataclass(frozen=True)
class Order:
    """One submission to grade, and how."""

    lab: Lab
    tests: tuple[Test, ...]
    submission: Submission
    seed: int
    stage: int  # whose handout it is against; later than the lab's own in a later handout
    files: tuple[str, ...]  # the allow-list of all labs from this one to the stage's
    jobs: int = 1


@dataclass
class Listener:
    """Who wants to know how it goes."""

    note: Callable[[str], None] = lambda _: None
    begin: Callable[[], None] = lambda: None
    ended: Callable[[TestResult], None] = lambda _: None


@dataclass
class Clock:
    """Seconds by phase."""

    begin: float = field(default_factory=time.monotonic)
    seconds: dict[str, float] = field(default_factory=dict)

    def measure(self, name: str, work: Callable[[], Any]) -> Any:
        """Do it, and note how long it took."""
        begin = time.monotonic()
        try:
            return work()
        finally:
            self.seconds[name] = time.monotonic() - begin

    def since_begin(self, name: str) -> None:
        """Note how long it all took up to now."""
        self.seconds[name] = time.monotonic() - self.begin


def grade(
    order: Order,
    directory: Path,
    listener: Listener | None = None,
    runner: Runner | None = None,
    prepared: Any = None,
) -> Result:
    """Grade it; the directory is empty. `prepared`: what prepare() gave for this lab and seed."""
    listener = listener or Listener()
    clock = Clock()
    result = Result(order.lab, order.seed, Verdict.PASS, sandbox=sandbox.mode())
    try:
        accepted = clock.measure("gate", lambda: accept(order, fresh_folder(directory, "gate")))
        result = replace(
            result, notes=accepted.notes, submission_sha256=accepted.sha256, seconds=clock.seconds
        )
        for note in accepted.notes:
            listener.note(note)
        runner = runner or the_runner()
        built, prepared = get_ready(order, accepted, directory, clock, runner, prepared)
        listener.begin()
        bench = _Bench(order, built, prepared, directory / "tests", runner)
        results = clock.measure("run", lambda: bench.run(listener, clock))
        result = replace(
            result, results=results, verdict=_overall(results), image_sha256=built.sha256
        )
    except Rejected as refusal:
        result = _nothing_run(result, order, Verdict.REJECTED, str(refusal))
    except BuildFailed as failure:
        result = _nothing_run(result, order, Verdict.BUILD, str(failure))
    except CasitaError as error:
        result = _nothing_run(result, order, Verdict.INFRA, str(error))
    clock.since_begin("total")
    return replace(result, seconds=clock.seconds)


def accept(order: Order, directory: Path) -> Accepted:
    """Let the submission through the gate, or raise Rejected."""
    basis = trees.handout(order.stage)
    task = Task(order.lab.number, order.files, basis, lambda: _other_handouts(order.stage))
    if order.submission.patch is not None:
        return accept_patch(order.submission.patch, task, directory)
    if order.submission.tree is not None:
        return accept_tree(order.submission.tree, task)
    reference = trees.reference(order.stage)
    return accept_tree(reference.tree if reference else ROOT, task)


def _other_handouts(stage: int) -> Iterator[trees.Basis]:
    """The handouts of the labs nearby, where they can be had."""
    if trees.STAFF:
        there = sorted(folders(), key=lambda number: abs(number - stage))
        for number in there[1 : 1 + _MAX_LAB_SEARCHED]:
            yield trees.handout(number)


def get_ready(
    order: Order, accepted: Accepted, directory: Path, clock: Clock, runner: Runner, prepared: Any
) -> tuple[Built, Any]:
    """Compile the submission and prepare the guests, side by side."""
    basis = trees.handout(order.stage)

    def compile_it() -> Built:
        return build(basis, accepted.changes, fresh_folder(directory, "build"), order.jobs)

    def prepare() -> Any:
        where = fresh_folder(directory, "prepared")
        return runner.prepare(order.lab, order.tests, order.seed, where)

    if prepared is not None:
        return clock.measure("build", compile_it), prepared
    with ThreadPoolExecutor(max_workers=1) as pool:
        preparing = pool.submit(clock.measure, "prepare", prepare)
        try:
            built = clock.measure("build", compile_it)
            return built, preparing.result()
        except (KeyboardInterrupt, SystemExit):
            contain.stop_all()
            raise


class _Bench:
    """Runs the tests of one submission."""

    def __init__(
        self, order: Order, built: Built, prepared: Any, directory: Path, runner: Runner
    ) -> None:
        self._order = order
        self._built = built
        self._prepared = prepared
        self._directory = directory
        self._runner = runner
        self._lock = threading.Lock()
        self._control: Path | None = None

    def run(self, listener: Listener, clock: Clock) -> tuple[TestResult, ...]:
        """Run them all; their results in the lab's order."""
        results: dict[str, TestResult] = {}
        pool = ThreadPoolExecutor(max_workers=max(self._order.jobs, 1))
        try:
            futures = [pool.submit(self._one, test) for test in self._order.tests]
            for future in as_completed(futures):
                result = future.result()
                if not results:
                    clock.since_begin("first_verdict")
                results[result.test.name] = result
                listener.ended(result)
        except BaseException:
            contain.stop_all()
            pool.shutdown(wait=True, cancel_futures=True)
            raise
        pool.shutdown()
        return tuple(results[test.name] for test in self._order.tests)

    def _one(self, test: Test) -> TestResult:
        begin = time.monotonic()
        try:
            result = self._runner.run_test(
                test, self._built.image, self._prepared, fresh_folder(self._directory, test.name)
            )
        except CasitaError as error:
            result = self._infra(test, str(error))
        except Exception:  # pylint: disable=broad-except
            result = self._infra(test, traceback.format_exc())
        return result if result.seconds else replace(result, seconds=time.monotonic() - begin)

    def _infra(self, test: Test, message: str) -> TestResult:
        """The grader's own trouble: tell whose it looks like by running the reference."""
        said = f"{message}\nControl run: {self._control_run(test)}"
        return TestResult(test, Verdict.INFRA, 0, said)

    def _control_run(self, test: Test) -> str:
        try:
            image = self._control_image()
            if image is None:
                return "none; the reference is not here. Tell your instructor."
            directory = fresh_folder(self._directory, f"{test.name}.control")
            result = self._runner.run_test(test, image, self._prepared, directory)
        except (CasitaError, BuildFailed) as error:
            return f"the reference has trouble too: {error}"
        except Exception:  # pylint: disable=broad-except
            return f"the reference has trouble too: {traceback.format_exc()}"
        verdict = result.verdict.value
        return f"the reference ends with {verdict}; so this submission has to do with the trouble."

    def _control_image(self) -> Path | None:
        with self._lock:
            if self._control is None and (reference := trees.reference(self._order.stage)):
                self._control = build(reference, {}, fresh_folder(self._directory, "control")).image
            return self._control


def fresh_folder(directory: Path, name: str) -> Path:
    """A new, empty folder."""
    path = directory / name
    path.mkdir(parents=True)
    return path


def _overall(results: Sequence[TestResult]) -> Verdict:
    verdicts = {result.verdict for result in results}
    if Verdict.INFRA in verdicts:
        return Verdict.INFRA
    return Verdict.PASS if verdicts <= {Verdict.PASS} else Verdict.FAIL


def _nothing_run(result: Result, order: Order, verdict: Verdict, message: str) -> Result:
    results = tuple(TestResult(test, verdict, 0) for test in order.tests)
    return replace(result, verdict=verdict, results=results, message=message)


def exit_status(result: Result) -> int:
    """The program's: 0 full marks, 1 less, 3 no mark at all."""
    return {Verdict.PASS: 0, Verdict.INFRA: 3}.get(result.verdict, 1)

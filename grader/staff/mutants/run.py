# SPDX-License-Identifier: BSD-3-Clause
"""`grader/grade mutate`: small mistakes in the reference of a lab, which the tests should catch.

    mutants ── build ── the reference's image? another mutant's? ── tests, until one fails ── report

A mutant that all tests pass is a survivor: either it does the same as the reference (then it is
listed as equivalent, with a reason: known.py), or a test is missing.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from typing import Any, Sequence

from common import BUILD, ROOT, CasitaError, scratch_directory
from grading import contain, one, trees
from grading.build import BuildFailed, build
from grading.lab import read_lab
from grading.model import Lab, Test, Verdict
from . import assembly, c_code
from .known import read_known
from .record import Basis, Fate, Outcome, Record
from .sources import Mutant, Source, named, read_sources
from .summary import Summary

# What the verdicts depend on, besides the lab's own tests.
_TESTS = ("grader/grading", "grader/engines", "grader/count.c", "guests")


@dataclass(frozen=True)
class Wish:
    """What is asked for."""

    lab: int
    seed: int = 1  # of the guests and of the sample
    jobs: int = 1
    sample: int | None = None  # only so many of them
    only: str = ""  # FILE:LINE: only those of this line
    out: Path | None = None


def all_mutants(sources: Sequence[Source]) -> list[Mutant]:
    """Every mutant of these sources."""
    found = []
    for source in sources:
        make = assembly.mutations if source.assembly else c_code.mutations
        found += named(source, make(source))
    return found


def chosen(mutants: Sequence[Mutant], wish: Wish) -> list[Mutant]:
    """Those that were asked for. A larger sample of the same seed has all of a smaller one."""
    if wish.only:
        name, _, line = wish.only.rpartition(":")
        there = [m for m in mutants if f"/{m.source.name}".endswith(f"/{name}")]
        here = [m for m in there if str(m.line) == line]
        if not here:
            raise CasitaError(f"--only {wish.only}: no mutant is there; write FILE:LINE of a hole")
        return here
    if wish.sample is None or wish.sample >= len(mutants):
        return list(mutants)

    def lot(mutant: Mutant) -> str:
        return hashlib.sha256(f"{wish.seed} {mutant.key}".encode()).hexdigest()

    taken = {id(mutant) for mutant in sorted(mutants, key=lot)[: wish.sample]}
    return [mutant for mutant in mutants if id(mutant) in taken]


class Bench:
    """Builds and grades mutants of one lab."""

    def __init__(self, lab: Lab, seed: int, directory: Path, runner: one.Runner) -> None:
        reference = trees.reference(lab.number)
        assert reference is not None
        self._reference = reference
        self._runner = runner
        self._directory = directory
        prepared = one.fresh_folder(directory, "prepared")
        self._prepared: Any = runner.prepare(lab, lab.tests, seed, prepared)
        self._lock = threading.Lock()
        self._kills: dict[str, Counter[str]] = defaultdict(Counter)  # by function
        self._images: dict[str, str] = {}  # whose image it is
        self._seconds: dict[str, float] = {}
        self._tests = lab.tests
        self._image = self._grade_reference()

    def _grade_reference(self) -> str:
        """The hash of its image. It must pass; and how long each test takes is of use."""
        directory = one.fresh_folder(self._directory, "reference")
        built = build(self._reference, {}, one.fresh_folder(directory, "build"))
        for test in self._tests:
            result = self._runner.run_test(
                test, built.image, self._prepared, one.fresh_folder(directory, test.name)
            )
            if result.verdict is not Verdict.PASS:
                raise CasitaError(f"the reference fails {test.name}: {result.message}")
            self._seconds[test.name] = result.seconds
        return built.sha256

    def know(self, key: str, outcome: Outcome) -> None:
        """What an earlier run has found."""
        if outcome.image and outcome.fate is not Fate.DUPLICATE:
            self._images.setdefault(outcome.image, key)

    def grade(self, mutant: Mutant, number: int) -> Outcome:
        """What becomes of it."""
        directory = one.fresh_folder(self._directory, f"mutant-{number}")
        try:
            return self._grade(mutant, directory)
        except CasitaError as error:
            return Outcome(Fate.TROUBLE, str(error))
        finally:
            rmtree(directory, ignore_errors=True)

    def _grade(self, mutant: Mutant, directory: Path) -> Outcome:
        changes = {mutant.source.name: mutant.content.encode()}
        try:
            built = build(self._reference, changes, one.fresh_folder(directory, "build"))
        except BuildFailed:
            return Outcome(Fate.UNCOMPILED)
        image = built.sha256
        if image == self._image:
            return Outcome(Fate.IDENTICAL, image=image)
        with self._lock:
            first = self._images.setdefault(image, mutant.key)
        if first != mutant.key:
            return Outcome(Fate.DUPLICATE, first, image)
        for test in self._order(mutant):
            folder = one.fresh_folder(directory, test.name)
            result = self._runner.run_test(test, built.image, self._prepared, folder)
            if result.verdict is Verdict.INFRA:
                return Outcome(Fate.TROUBLE, result.message)
            if result.verdict is not Verdict.PASS:
                with self._lock:
                    self._kills[mutant.function][test.name] += 1
                return Outcome(Fate.KILLED, test.name, image)
        return Outcome(Fate.SURVIVED, image=image)

    def _order(self, mutant: Mutant) -> list[Test]:
        """What caught most in this function comes first, then what is quick; Bochs last."""
        with self._lock:
            kills = Counter(self._kills[mutant.function])

        def cost(test: Test) -> tuple[bool, int, float]:
            return test.engine == "bochs", -kills[test.name], self._seconds[test.name]

        return sorted(self._tests, key=cost)


def run(wish: Wish, runner: one.Runner | None = None) -> int:
    """0 if every survivor is listed, 1 if not or if the list is wrong, 3 for trouble of ours."""
    lab = read_lab(wish.lab)
    sources = read_sources(ROOT, lab)
    mutants = all_mutants(sources)
    if not mutants:
        raise CasitaError(f"lab {lab.number} has no holes in its files: there is nothing to mutate")
    known = read_known(ROOT / "solutions" / lab.folder.name / "mutants.toml")
    wanted = chosen(mutants, wish)
    path = wish.out or BUILD / f"mutants-{lab.number}.json"
    if not path.absolute().parent.is_dir():
        raise CasitaError(f"--out {path}: there is no folder {path.parent}")
    record = Record(path, _basis(lab, wish.seed))
    print(f"Lab {lab.number}, {lab.name}: {len(wanted)} of {len(mutants)} mutants; report: {path}")
    if record.note:
        print(record.note)
    summary = Summary(lab, wanted, record, known, whole=len(wanted) == len(mutants))
    waiting = [mutant for mutant in wanted if mutant.key not in record.outcomes]
    try:
        if waiting:
            with scratch_directory() as directory:
                bench = Bench(lab, wish.seed, directory, runner or one.the_runner())
                _grade_all(bench, waiting, record, wish.jobs)
    except KeyboardInterrupt:
        print("\nStopped; the same command goes on from here. So far:")
        summary.show()
        raise
    return summary.show()


def _grade_all(bench: Bench, waiting: Sequence[Mutant], record: Record, jobs: int) -> None:
    for key, outcome in record.outcomes.items():
        bench.know(key, outcome)
    pool = ThreadPoolExecutor(max_workers=jobs)
    futures = {pool.submit(bench.grade, mutant, i): mutant for i, mutant in enumerate(waiting, 1)}
    try:
        for done, future in enumerate(as_completed(futures), 1):
            mutant, outcome = futures[future], future.result()
            record.put(mutant.key, outcome, line=mutant.line, operator=mutant.mutation.operator)
            _tell(f"{done}/{len(waiting)}", mutant, outcome)
    except BaseException:
        contain.stop_all()  # what ends now is not recorded: nobody takes it from the futures
        pool.shutdown(wait=True, cancel_futures=True)
        raise
    pool.shutdown()


def _tell(count: str, mutant: Mutant, outcome: Outcome) -> None:
    how = outcome.fate.value + (f" by {outcome.by}" if outcome.fate is Fate.KILLED else "")
    print(f"  {count:>9}  {mutant.place:26} {mutant.mutation.operator:10} {how}", flush=True)
    if outcome.fate is Fate.SURVIVED:
        print(f"{'':13}- {mutant.old}\n{'':13}+ {mutant.new}", flush=True)
    if outcome.fate is Fate.TROUBLE:
        print(f"{'':13}{outcome.by}", flush=True)


def _basis(lab: Lab, seed: int) -> Basis:
    """What the outcomes depend on, as hashes."""
    reference = trees.reference(lab.number)
    assert reference is not None
    tree = reference.tree
    sources = [str(path.relative_to(tree)) for path in (tree / "src").rglob("*")]
    solutions = ROOT / "solutions" / lab.folder.name
    places = [ROOT / name for name in _TESTS]
    places += [lab.folder / "lab.toml", *solutions.glob("hidden.*")]
    files = [path for place in places for path in (place, *place.rglob("*")) if path.is_file()]
    names = [os.path.relpath(path, ROOT) for path in files if "__pycache__" not in path.parts]
    hashes = trees.hash_files(tree, sources)[:24], trees.hash_files(ROOT, names)[:24]
    return Basis(lab.number, seed, *hashes)

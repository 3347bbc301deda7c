# SPDX-License-Identifier: BSD-3-Clause
"""The bank of wrong solutions: grades each, and says whether the tests caught what they must.

solutions/N-name/wrong/*.patch are diffs against the reference of lab N, below a few header lines:

    Title: the guest's RBX is lost at every exit
    Fails: registers32 registers64      these must not PASS
    May-fail: many                      this may go either way; every other test must PASS
    Engine: qemu                        where the tests of Fails run

Each becomes the patch that a student would send, from the handout to the wrong solution, and is
graded like one. The untouched handout and the reference are graded beside them. It is a fault of the
bank if a wrong solution loses nothing, or other tests than it says, or if no wrong solution fails a
test: such a test is worth nothing.
"""

from __future__ import annotations

import re
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Sequence

from common import ROOT, CasitaError, scratch_directory
from grading import contain, one, report, trees
from grading.lab import folders, read_lab
from grading.model import Lab, Result, Verdict
from grading.patches import Applied

_KEYS = ("Title", "Fails", "May-fail", "Engine")
_HANDOUT, _REFERENCE = "(handout)", "(reference)"
_HANDOUT_SHARE = 0.2  # of the marks that the untouched handout may have
_LEGEND = (
    ". passes   F fails, as it must   f fails, as it may   ! passes, but must fail   "
    "X fails, but must pass"
)


@dataclass(frozen=True)
class Wrong:
    """One wrong solution; the two rows beside them have no diff."""

    name: str
    title: str
    fails: tuple[str, ...]
    may_fail: tuple[str, ...] = ()
    engine: str = ""
    diff: bytes = b""


def read_wrong(path: Path, lab: Lab) -> Wrong:
    """Read one patch file; CasitaError if its header is not as it should be."""
    content = path.read_bytes()
    start = re.search(rb"^(diff |--- )", content, re.MULTILINE)
    if not start:
        raise CasitaError(f"{path}: there is no diff in it")
    header = content[: start.start()].decode(errors="replace")
    values: dict[str, str] = {}
    for line in re.sub(r"\n[ \t]+", " ", header).splitlines():
        key, colon, value = line.partition(":")
        if not line.strip():
            continue
        if not colon or key not in _KEYS or key in values:
            raise CasitaError(f"{path}: {line!r} is not one of the lines {', '.join(_KEYS)}")
        values[key] = value.strip()
    wrong = Wrong(
        name=path.stem,
        title=values.get("Title", ""),
        fails=tuple(values.get("Fails", "").split()),
        may_fail=tuple(values.get("May-fail", "").split()),
        engine=values.get("Engine", ""),
        diff=content[start.start() :],
    )
    _check(wrong, lab, path)
    return wrong


def _check(wrong: Wrong, lab: Lab, path: Path) -> None:
    engines = {test.name: test.engine for test in lab.tests}
    if not wrong.title or not wrong.fails:
        raise CasitaError(f"{path}: it must have a Title: and a Fails:")
    for name in (*wrong.fails, *wrong.may_fail):
        if name not in engines:
            raise CasitaError(f"{path}: lab {lab.number} has no test named {name}")
    for name in wrong.fails:
        if wrong.engine and engines[name] != wrong.engine:
            raise CasitaError(f"{path}: {name} runs in {engines[name]}, not in {wrong.engine}")


# ---- grading -------------------------------------------------------------------------------------


def student_patch(wrong: Wrong, handout: trees.Basis, reference: trees.Basis, work: Path) -> bytes:
    """The patch from the handout to the wrong solution; CasitaError if it cannot be made."""
    applied = Applied(reference, work)
    complaint = applied.apply(wrong.diff)
    if complaint is not None:
        raise CasitaError(f"does not apply to the reference: {complaint.strip()}")
    before = trees.git_ok(handout.repo, "rev-parse", "HEAD^{tree}").decode().strip()
    return applied.difference(before, applied.tree(), handout.repo / "objects")


class _Teller:
    """Grades the wrong solutions of one lab."""

    def __init__(self, lab: Lab, seed: int, jobs: int, directory: Path, runner: one.Runner) -> None:
        self._lab = lab
        self._jobs = jobs
        self._directory = directory
        self._runner = runner
        self._order = one.Order(lab, lab.tests, one.Submission(), seed, lab.number, lab.files)
        reference = trees.reference(lab.number)
        assert reference is not None
        self._handout, self._reference = trees.handout(lab.number), reference
        prepared = one.fresh_folder(directory, "prepared")
        self._prepared: Any = runner.prepare(lab, lab.tests, seed, prepared)

    def grade(self, wrong: Wrong) -> Result:
        """Grade one of them; what is wrong with the patch itself is INFRA."""
        directory = one.fresh_folder(self._directory, wrong.name)
        submission = one.Submission()
        if wrong.name == _HANDOUT:
            submission = one.Submission(tree=self._handout.tree)
        elif wrong.name != _REFERENCE:
            work = one.fresh_folder(directory, "wrong")
            try:
                patch = student_patch(wrong, self._handout, self._reference, work)
            except CasitaError as error:
                return Result(self._lab, self._order.seed, Verdict.INFRA, message=str(error))
            submission = one.Submission(patch=patch)
        order = replace(self._order, submission=submission)
        graded = one.fresh_folder(directory, "graded")
        return one.grade(order, graded, runner=self._runner, prepared=self._prepared)

    def grade_all(self, wrongs: Sequence[Wrong]) -> list[Result]:
        """All of them, side by side; their rows are printed in order."""
        results = []
        with ThreadPoolExecutor(max_workers=self._jobs) as pool:
            futures: list[Future[Result]] = [pool.submit(self.grade, wrong) for wrong in wrongs]
            try:
                for wrong, future in zip(wrongs, futures):
                    results.append(future.result())
                    print(_row(wrong, results[-1], self._lab), flush=True)
            except BaseException:
                contain.stop_all()
                pool.shutdown(wait=True, cancel_futures=True)
                raise
        return results


def run(number: int | None, seed: int, jobs: int, runner: one.Runner | None = None) -> int:
    """`grader/grade bank`: 0 if all is as the wrong solutions say, 1 if not, 3 for INFRA."""
    status = 0
    for each in folders() if number is None else [number]:
        lab = read_lab(each)
        paths = sorted((ROOT / "solutions" / lab.folder.name / "wrong").glob("*.patch"))
        if not paths:
            print(f"lab {each} has no wrong solutions")
            continue
        with scratch_directory() as directory:
            status = max(status, _run_lab(lab, paths, seed, jobs, directory, runner))
    return status


def _run_lab(
    lab: Lab, paths: list[Path], seed: int, jobs: int, directory: Path, runner: one.Runner | None
) -> int:
    wrongs = [read_wrong(path, lab) for path in paths]
    names = tuple(test.name for test in lab.tests)
    beside = [Wrong(_REFERENCE, "full marks", ()), Wrong(_HANDOUT, "hardly any marks", (), names)]
    print(f"Lab {lab.number}, {lab.name}: {len(wrongs)} wrong solutions, {len(names)} tests\n")
    for index, test in enumerate(lab.tests, 1):
        print(f"  {index:2} {test.name} ({test.points}{', hidden' if test.hidden else ''})")
    print(f"\n  {_LEGEND}\n")
    columns = "".join(f"{index:>3}" for index in range(1, len(names) + 1))
    print(f"{'':{_NAME_WIDTH}}{columns}  score", flush=True)
    teller = _Teller(lab, seed, jobs, directory, runner or one.the_runner())
    rows = [*beside, *wrongs]
    results = teller.grade_all(rows)
    found = faults(rows, results, lab)
    print()
    for fault in found:
        print(f"FAULT {fault}")
    infra = any(result.verdict is Verdict.INFRA for result in results)
    print(f"Bank: lab {lab.number}: {len(wrongs)} wrong solutions, {len(found)} faults\n")
    return 3 if infra else 1 if found else 0


# ---- the matrix ----------------------------------------------------------------------------------

_NAME_WIDTH = 34


def _row(wrong: Wrong, result: Result, lab: Lab) -> str:
    verdicts = {each.test.name: each.verdict for each in result.results}
    marks = [_mark(wrong, name, verdicts.get(name)) for name in (test.name for test in lab.tests)]
    score = "none" if result.verdict is Verdict.INFRA else f"{result.score}/{lab.points}"
    whole = result.verdict in (Verdict.BUILD, Verdict.REJECTED, Verdict.INFRA)
    title = f"{result.verdict.value}: {wrong.title}" if whole else wrong.title
    name = f"  {wrong.name[:_NAME_WIDTH - 3]:{_NAME_WIDTH - 2}}"
    return f"{name}{''.join(f'{mark:>3}' for mark in marks)}  {score:7} {title}"


def _mark(wrong: Wrong, test: str, verdict: Verdict | None) -> str:
    if verdict is None or verdict is Verdict.INFRA:
        return "?"
    if verdict is Verdict.PASS:
        return "!" if test in wrong.fails else "."
    if test in wrong.fails:
        return "F"
    return "f" if test in wrong.may_fail else "X"


def faults(wrongs: Sequence[Wrong], results: Sequence[Result], lab: Lab) -> list[str]:
    """What is not as it must be, a sentence each."""
    found: list[str] = []
    caught: set[str] = set()
    for wrong, result in zip(wrongs, results):
        failed = {each.test.name for each in result.results if each.verdict is not Verdict.PASS}
        found += [f"{wrong.name}: {text}" for text in _row_faults(wrong, result, failed, lab)]
        if wrong.name not in (_HANDOUT, _REFERENCE) and result.verdict is Verdict.FAIL:
            caught |= failed
    found += [
        f"test {test.name}: no wrong solution fails it, so it is worth nothing"
        for test in lab.tests
        if test.name not in caught
    ]
    return found


def _row_faults(wrong: Wrong, result: Result, failed: set[str], lab: Lab) -> list[str]:
    if result.verdict in (Verdict.BUILD, Verdict.REJECTED, Verdict.INFRA):
        said = [result.message, *(each.message for each in result.results)]
        return [f"{result.verdict.value}\n{report.indent(report.clean(chr(10).join(filter(None, said))))}"]
    if wrong.name == _HANDOUT:
        most = int(lab.points * _HANDOUT_SHARE)
        return [f"has {result.score} of {lab.points} marks, untouched"] if result.score > most else []
    found = []
    if wrong.name != _REFERENCE and not failed:
        found.append("loses nothing: it is a correct solution, or the tests are blind")
    missed = [name for name in wrong.fails if name not in failed]
    if missed and failed:
        found.append(f"must fail {' '.join(missed)}, and passes")
    for each in result.results:
        name = each.test.name
        if name in failed and name not in (*wrong.fails, *wrong.may_fail):
            message = report.indent(report.clean(each.message))
            found.append(f"fails {name}, which it must pass\n{message}")
    return found

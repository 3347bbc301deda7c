# SPDX-License-Identifier: BSD-3-Clause
"""Grades one student of a class, whoever asks: this machine's pool or a task of a cluster."""

from __future__ import annotations

import difflib
import shutil
import threading
import traceback
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from common import CasitaError, scratch_directory
from grading import one, report, trees
from grading.gate import Rejected
from grading.model import Lab, Result, TestResult, Verdict
from .entries import Entry, fingerprint, open_entry
from .folder import Folder, write_whole


_SETTLE = 0.25  # seconds


class Stopped(Exception):
    """The grader was told to stop: what came out of this student's run is no result."""


@dataclass(frozen=True)
class Bench:
    """All that is the same for every student of the class."""

    lab: Lab
    seed: int
    key: str  # folder.grader_key()
    folder: Folder
    runner: one.Runner
    prepared: Any
    stopping: threading.Event

    @property
    def order(self) -> one.Order:
        """An order for nobody's submission."""
        lab = self.lab
        return one.Order(lab, lab.tests, one.Submission(), self.seed, lab.number, lab.files)


def prepare(lab: Lab, seed: int, key: str, folder: Folder, runner: one.Runner) -> Bench:
    """Prepare the guests, once for the class."""
    with scratch_directory() as directory:
        prepared = runner.prepare(lab, lab.tests, seed, directory)
    return Bench(lab, seed, key, folder, runner, prepared, threading.Event())


def grade_entry(bench: Bench, entry: Entry, number: int) -> Result:
    """Grade a student and write what came out; whatever goes wrong is that student's result."""
    work = bench.folder.work(number)
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    try:
        seen = fingerprint(entry)
        try:
            result, own = _grade(bench, entry, work)
        except Rejected as refusal:
            result, own = _nothing(bench.lab, bench.seed, Verdict.REJECTED, str(refusal)), ""
        # A machine that is told to stop may have killed the emulator first, and that is nobody's failure:
        # wait until we were told as well (the signal's handler raises here).
        settle = 0.0 if result.verdict is Verdict.PASS else _SETTLE
        if bench.stopping.wait(settle):
            raise Stopped
        home = bench.folder.of(entry)
        home.mkdir(parents=True, exist_ok=True)
        (home / "entry.json").unlink(missing_ok=True)
        write_whole(home / "own.c", own)
        report.write_json(result, home / "result.json")
        bench.folder.finish(entry, seen, bench.key)
        return result
    except Stopped:
        raise
    except Exception:  # pylint: disable=broad-except
        if bench.stopping.is_set():
            raise Stopped from None
        return _trouble(bench, entry, traceback.format_exc())
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _trouble(bench: Bench, entry: Entry, message: str) -> Result:
    """The grader's own: written if that is possible, and the next student's turn."""
    result = _nothing(bench.lab, bench.seed, Verdict.INFRA, message)
    try:
        bench.folder.of(entry).mkdir(parents=True, exist_ok=True)
        report.write_json(result, bench.folder.of(entry) / "result.json")
    except OSError:
        pass  # a full disk, say; the message is shown all the same
    return result


def _grade(bench: Bench, entry: Entry, work: Path) -> tuple[Result, str]:
    submission = open_entry(entry, one.fresh_folder(work, "entry"))
    order = replace(bench.order, submission=submission)
    result = one.grade(order, work, runner=bench.runner, prepared=bench.prepared)
    own = "" if result.verdict is Verdict.REJECTED else _own_lines(order, work)
    return result, own


def _own_lines(order: one.Order, work: Path) -> str:
    """The lines that are the student's and not the handout's, file by file."""
    accepted = one.accept(order, one.fresh_folder(work, "own"))
    handout = trees.handout(order.stage).tree
    text = []
    for name, content in sorted(accepted.changes.items()):
        before = (handout / name).read_bytes() if (handout / name).is_file() else b""
        text.append(f"/* {name} */\n" + added_lines(before, content))
    return "".join(text)


def added_lines(before: bytes, after: bytes) -> str:
    """What a diff would show with a +."""
    old, new = (each.decode(errors="replace").splitlines() for each in (before, after))
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    return "".join(
        f"{line}\n"
        for kind, _, _, low, high in matcher.get_opcodes()
        if kind in ("insert", "replace")
        for line in new[low:high]
    )


def grade_anything(order: one.Order, path: Path, directory: Path, listener: one.Listener) -> Result:
    """One submission that is a patch, a tarball or a folder of one; the directory is empty."""
    if not path.exists():
        raise CasitaError(f"{path} is not there")
    try:
        submission = open_entry(Entry("", "", path), one.fresh_folder(directory, "entry"))
    except Rejected as refusal:
        return _nothing(order.lab, order.seed, Verdict.REJECTED, str(refusal))
    return one.grade(replace(order, submission=submission), directory, listener)


def _nothing(lab: Lab, seed: int, verdict: Verdict, message: str) -> Result:
    return Result(lab, seed, verdict, tuple(TestResult(test, verdict, 0) for test in lab.tests), message)

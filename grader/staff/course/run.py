# SPDX-License-Identifier: BSD-3-Clause
"""`grader/grade class`: grades what a class handed in, and picks up where it was stopped.

    entries.py    what each student handed in
    folder.py     results/, and what in it is finished
    work.py       grades one student
    table.py      results.csv
    pages.py      index.html and a page a student
    similar.py    who wrote the same
    slurm.py      the same work on a cluster

Ends with status 0: everybody has a mark; 3: somebody has none (INFRA): run it again; 130: stopped.
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Sequence

from common import CasitaError
from grading import contain, one, report
from grading.lab import read_lab
from grading.model import Lab, Result
from . import pages, similar, slurm, work
from .entries import Entry, find_entries
from .folder import Folder, grader_key, write_whole
from .progress import Progress
from .table import Row, as_csv


@dataclass(frozen=True)
class Wish:
    """What was asked for."""

    lab: int
    submissions: Path
    out: Path
    seed: int = 1
    jobs: int = 1
    again: tuple[str, ...] = ()  # ids that are graded again; "all"
    cluster: slurm.Cluster | None = None


def run(wish: Wish, runner: one.Runner | None = None) -> int:
    """Grade the class."""
    lab = read_lab(wish.lab)
    folder = Folder(wish.out.absolute())
    if folder.path.is_relative_to(wish.submissions.absolute()):
        raise CasitaError(f"{wish.out} is inside {wish.submissions}: it would be taken for a submission")
    entries = find_entries(wish.submissions)
    with folder.alone():
        slurm.stop(folder)
        folder.clear()
        key = grader_key(lab, wish.seed)
        _begin(wish, lab, folder, entries, key)
        waiting = [(i, entry) for i, entry in enumerate(entries) if not folder.is_finished(entry, key)]
        progress = Progress(len(entries), len(entries) - len(waiting), report.stdout())
        kept = f", {len(entries) - len(waiting)} of them before" if len(waiting) < len(entries) else ""
        progress.say(f"Lab {lab.number}, {lab.name}: {len(entries)} students{kept}; seed {wish.seed}")
        try:
            if waiting and wish.cluster:
                slurm.grade(wish.cluster, folder, waiting, progress)
            elif waiting:
                bench = work.prepare(lab, wish.seed, key, folder, runner or one.the_runner())
                _grade_here(bench, waiting, wish.jobs, progress)
        except (KeyboardInterrupt, SystemExit):
            progress.close()
            left = collect(lab, folder, entries, None)
            print(f"Stopped. {len(entries) - left} of {len(entries)} are finished; the same command goes on.")
            raise
        progress.close()
        return _end(lab, folder, entries, progress, len(waiting))


def _begin(wish: Wish, lab: Lab, folder: Folder, entries: Sequence[Entry], key: str) -> None:
    """Is what is there already of the same kind?"""
    plan = folder.plan()
    if plan and plan.get("grader") != key and "all" not in wish.again:
        raise CasitaError(
            f"{wish.out} holds marks of another lab, seed or grader (it was lab "
            f"{plan['lab']['number']}, seed {plan['seed']}). Marks of two kinds are not mixed: give another "
            "--out, or --again all to grade everybody anew"
        )
    names = {entry.name for entry in entries} | {"all"}
    for name in wish.again:
        if name not in names:
            raise CasitaError(f"--again {name}: nobody of that name is in {wish.submissions}")
    folder.write_plan(lab, wish.seed, key, wish.submissions)
    for entry in entries:
        if entry.name in wish.again or "all" in wish.again:
            folder.forget(entry)


def _grade_here(
    bench: work.Bench, waiting: Sequence[tuple[int, Entry]], jobs: int, progress: Progress
) -> None:
    pool = ThreadPoolExecutor(max_workers=jobs)
    futures: dict[Future[Result], Entry] = {
        pool.submit(work.grade_entry, bench, entry, number): entry for number, entry in waiting
    }
    try:
        for future in as_completed(futures):
            progress.ended(futures[future].name, future.result(), bench.lab.points)
    except BaseException:
        bench.stopping.set()  # first: what is killed now is nobody's mark
        contain.stop_all()
        pool.shutdown(wait=True, cancel_futures=True)
        raise
    pool.shutdown()


def collect(lab: Lab, folder: Folder, entries: Sequence[Entry], likeness: similar.Likeness | None) -> int:
    """Write results.csv and the pages; how many have no mark."""
    rows = [Row(entry, folder.result(entry)) for entry in entries]
    write_whole(folder.path / "results.csv", as_csv(rows, lab))
    pages.write(lab, folder, rows, likeness)
    return sum(row.score is None for row in rows)


def _end(lab: Lab, folder: Folder, entries: Sequence[Entry], progress: Progress, graded: int) -> int:
    pace, seconds = progress.pace(), progress.seconds()
    likeness = similar.compare(lab, folder, entries)
    left = collect(lab, folder, entries, likeness)
    counts = Counter(Row(entry, folder.result(entry)).verdict or "none" for entry in entries)
    if graded:
        print(f"Graded {graded} in {seconds:.0f} s, {pace}.")
    print(f"Verdicts: {', '.join(f'{count} {name}' for name, count in sorted(counts.items()))}")
    print(f"{folder.path / 'results.csv'}\n{folder.path / 'index.html'}")
    if left:
        print(f"{left} without a mark: run the same command again; it grades only those.")
    return 3 if left else 0

# SPDX-License-Identifier: BSD-3-Clause
"""The same work on a cluster: array jobs of Slurm, a task a student.

The checkout, its build/ and the folders of submissions and results must be the same path on every node.
Each task is `grader/grade task`, which grades one student as the pool of this machine would and refuses
if its node's grader would mark otherwise. What a task wrote is the result: if a node dies, Slurm puts its
tasks into the queue again, and if a job ends with students missing, they are submitted again.

    results/slurm/tasks.json    who is who, by the number of a task
    results/slurm/job           the jobs that run, to end them if we were killed
    results/slurm/N.log         what task N said
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Sequence

from common import ROOT, CasitaError
from grading import one
from grading.lab import read_lab
from grading.model import Verdict
from . import work
from .entries import Entry
from .folder import Folder, grader_key, write_whole
from .progress import Progress

_ARRAY = 1000  # tasks of one job; Slurm's MaxArraySize is 1001
_ROUNDS = 3  # times that a student is submitted
_POLL = 2.0  # seconds
_SCRIPT = "#!/bin/sh\nexec {grade} task --out {out} --number $(({first} + SLURM_ARRAY_TASK_ID))\n"


@dataclass(frozen=True)
class Cluster:
    """How the job is submitted."""

    at_once: int = 0  # tasks side by side; 0: as many as the cluster runs
    partition: str = ""


def grade(
    cluster: Cluster, folder: Folder, waiting: Sequence[tuple[int, Entry]], progress: Progress
) -> None:
    """Submit, wait, and let come in what each task wrote."""
    home = folder.path / "slurm"
    home.mkdir(exist_ok=True)
    left = list(waiting)
    for entry in (entry for _, entry in left):
        folder.forget(entry)
    for turn in range(_ROUNDS):
        if turn:
            progress.say(f"{len(left)} tasks ended without a result and are submitted again; see {home}")
        write_whole(home / "tasks.json", json.dumps([[n, e.name, e.slug, str(e.path)] for n, e in left]))
        try:
            _run(cluster, folder, len(left), lambda: progress.count(_count(folder, waiting)), home)
        except BaseException:
            stop(folder)
            raise
        left = [(number, entry) for number, entry in left if not folder.result(entry)]
        if not left:
            return


def _count(folder: Folder, waiting: Sequence[tuple[int, Entry]]) -> int:
    return sum((folder.of(entry) / "result.json").is_file() for _, entry in waiting)


def _run(
    cluster: Cluster, folder: Folder, count: int, watch: Callable[[], None], home: Path
) -> None:
    jobs = []
    for first in range(0, count, _ARRAY):
        size = min(_ARRAY, count - first)
        jobs.append(_submit(cluster, folder, first, size, home))
        write_whole(home / "job", "".join(f"{job}\n" for job in jobs))
    while _are_there(jobs):
        watch()
        time.sleep(_POLL)
    watch()
    (home / "job").unlink()


def _submit(cluster: Cluster, folder: Folder, first: int, size: int, home: Path) -> str:
    limit = f"%{cluster.at_once}" if cluster.at_once else ""
    words = ["sbatch", "--parsable", "--requeue", "--job-name=casita", "--open-mode=append"]
    words += [f"--array=0-{size - 1}{limit}", f"--output={home}/{first}+%a.log", f"--chdir={ROOT}"]
    words += ["--cpus-per-task=1", "--mem=1G", "--time=30"]
    words += [f"--partition={cluster.partition}"] if cluster.partition else []
    command = f"{shlex.quote(sys.executable)} {shlex.quote(str(ROOT / 'grader' / 'grade'))}"
    script = _SCRIPT.format(grade=command, out=shlex.quote(str(folder.path)), first=first)
    done = _slurm(words, script)
    if done.returncode:
        raise CasitaError(f"sbatch refused: {done.stderr.strip()}")
    return done.stdout.strip().split(";")[0]


def _slurm(words: Sequence[str], stdin: str = "") -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(words, input=stdin, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise CasitaError(f"{words[0]} is not installed: this machine is no part of a Slurm cluster") from None


def _are_there(jobs: Sequence[str]) -> bool:
    """Are there tasks that run or will? If the controller does not answer, they may be."""
    done = _slurm(["squeue", "--noheader", "--format=%T", f"--jobs={','.join(jobs)}"])
    if done.returncode:
        return "Invalid job id" not in done.stderr
    return bool(done.stdout.strip())


def stop(folder: Folder) -> None:
    """End the jobs that an earlier run left, and wait until none of their tasks runs."""
    path = folder.path / "slurm" / "job"
    if not path.is_file():
        return
    jobs = [line for line in path.read_text().split() if re.fullmatch(r"\d+", line)]
    if jobs:
        _slurm(["scancel", *jobs])
        while _are_there(jobs):
            time.sleep(_POLL / 4)
    path.unlink()


def task(out: Path, number: int, runner: one.Runner | None = None) -> int:
    """What runs on a node: grade the student of that number. 3: no mark; the message says why."""
    folder = Folder(out.absolute())
    plan = folder.plan()
    tasks = json.loads((folder.path / "slurm" / "tasks.json").read_text(encoding="utf-8"))
    if not plan or not 0 <= number < len(tasks):
        raise CasitaError(f"{out} has no task {number}")
    slot, name, slug, path = tasks[number]
    entry = Entry(name, slug, Path(path))
    lab, seed = read_lab(plan["lab"]["number"]), int(plan["seed"])
    key = grader_key(lab, seed)
    if key != plan["grader"]:
        raise CasitaError(
            f"node {os.uname().nodename} would mark otherwise than the machine that began this class: its "
            "QEMU, its compiler or its checkout is another one"
        )
    bench = work.prepare(lab, seed, key, folder, runner or one.the_runner())
    result = work.grade_entry(bench, entry, slot)
    print(f"{name}: {result.verdict.value}", flush=True)
    return 3 if result.verdict is Verdict.INFRA else 0

# SPDX-License-Identifier: BSD-3-Clause
"""A class on a cluster: a real Slurm on this machine's loopback (cluster.py).

short() is a part of `make check`; whole() is `make check-slurm`: the node dies in the middle.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

from common import ROOT
from .classes import make_class
from .cluster import Cluster, missing
from .harness import BACKSTOP, Test, expect, expect_in, scratch, shell, track, untrack

_LAB = 1


def _command(subs: Path, out: Path, *more: str) -> list[str]:
    return ["grader/grade", "class", "--lab", str(_LAB), str(subs), "--out", str(out), *more]


def _results(out: Path) -> dict[str, Any]:
    found = {}
    for path in sorted(out.glob("students/*/result.json")):
        found[path.parent.name] = {k: v for k, v in json.loads(path.read_text()).items() if k != "times"}
    return found


def _begin(name: str, count: int) -> tuple[Path, Path, Path]:
    """Folders of submissions, of the results here, and of those of the cluster."""
    lacking = missing()
    expect(not lacking, f"not installed: {' '.join(lacking)}; run grader/setup.sh slurm")
    folder = scratch(name)
    for path in folder.iterdir():
        shutil.rmtree(path, ignore_errors=True)
    make_class(_LAB, count, folder / "submissions")
    return folder / "submissions", folder / "here", folder / "there"


def _same(subs: Path, here: Path, there: Path) -> None:
    """The cluster's results are this machine's."""
    run = shell(_command(subs, here, "--jobs", "1"))
    expect(run.returncode == 0, f"grader/grade class: status {run.returncode}", run.stdout)
    expect(len(_results(here)) == len(list(subs.iterdir())), "not everybody has a result here")
    expect(_results(there) == _results(here), "the cluster's results are others than this machine's")
    expect((there / "results.csv").read_bytes() == (here / "results.csv").read_bytes(), "results.csv differs")


def short() -> None:
    """A small class on a cluster whose node lives."""
    subs, here, there = _begin("slurm", 3)
    with Cluster(scratch("slurm-cluster"), cpus=1) as cluster:
        run = shell(_command(subs, there, "--slurm"), env=cluster.environment)
        expect(run.returncode == 0, f"grader/grade class --slurm: status {run.returncode}", run.stdout)
        expect_in("3/3", run.stdout)
        again = shell(_command(subs, there, "--slurm"), env=cluster.environment)
        expect_in("3 of them before", again.stdout)
    _same(subs, here, there)


def whole(count: int = 8) -> None:
    """The node dies in the middle and comes back; the grader is killed and begun again."""
    subs, here, there = _begin("slurm-whole", count)
    with Cluster(scratch("slurm-cluster")) as cluster:
        _die_and_come_back(cluster, _command(subs, there, "--slurm"), there, count)
        _killed_grader(cluster, subs, there.with_name("killed"), count)
    _same(subs, here, there)
    expect(_results(there.with_name("killed")) == _results(here), "after the grader was killed: other results")


def _finished(out: Path) -> int:
    return len(list(out.glob("students/*/entry.json")))


def _wait(process: subprocess.Popen[bytes], ready: Any, what: str) -> None:
    end = time.monotonic() + BACKSTOP
    while not ready():
        expect(process.poll() is None and time.monotonic() < end, what)
        time.sleep(0.05)


def _start(cluster: Cluster, command: list[str]) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        command, cwd=ROOT, env=cluster.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip
    track(process)
    return process


def _die_and_come_back(cluster: Cluster, command: list[str], out: Path, count: int) -> None:
    process = _start(cluster, command)
    try:
        _wait(process, lambda: _finished(out) >= 2, "it ended before the node could die")
        killed = cluster.kill_node()
        dead = _finished(out)
        print(f"slurm: the node died with {dead} of {count} finished and {killed} processes running", flush=True)
        expect(killed >= 2 and dead < count, f"nothing was to be lost: {killed} processes, {dead} finished")
        cluster.await_down()
        expect(_finished(out) == dead, "a task went on without its node")
        cluster.begin_node()
        print("slurm: the node is back", flush=True)
        output, _ = process.communicate(timeout=BACKSTOP)
    finally:
        untrack(process)
    said = output.decode(errors="replace")
    expect(process.returncode == 0, f"grader/grade class --slurm: status {process.returncode}", said)
    expect(_finished(out) == count, f"{_finished(out)} of {count} are finished", said)
    print(said, flush=True)


def _killed_grader(cluster: Cluster, subs: Path, out: Path, count: int) -> None:
    """kill -9 of the grader: its tasks are ended before anything is graded anew."""
    process = _start(cluster, _command(subs, out, "--slurm"))
    try:
        _wait(process, lambda: _finished(out) >= 1, "it ended before it could be killed")
        process.kill()
        process.wait()
    finally:
        untrack(process)
    run = shell(_command(subs, out, "--slurm"), env=cluster.environment)
    expect(run.returncode == 0 and _finished(out) == count, "begun again", run.stdout)
    expect_in("of them before", run.stdout)
    expect(not (out / "slurm" / "job").exists(), "the job's name is left")


def tests() -> list[Test]:
    """The short one."""
    return [Test("short", short, weight=30)]

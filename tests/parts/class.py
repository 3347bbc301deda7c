# SPDX-License-Identifier: BSD-3-Clause
"""A small class, really graded: killed in the middle, taken up again, the same marks as in one go."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import time
import zipfile
from pathlib import Path
from typing import Any

from common import BUILD, ROOT
from staff.course.folder import Folder
from .classes import patch, solved, tarball, wrong
from .harness import BACKSTOP, Test, expect, expect_in, scratch, shell, track, untrack

_LAB = 1
_BUILT = BUILD / "run"


def _submissions(folder: Path) -> None:
    """The reference, two wrong solutions, a broken patch, and nothing."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "eve").mkdir(parents=True)
    (folder / "ann.tar.gz").write_bytes(tarball(solved(_LAB)))
    (folder / "ben.patch").write_bytes(patch(_LAB, wrong(_LAB, 0)))
    (folder / "cyd").mkdir()
    (folder / "cyd" / "any name").write_bytes(patch(_LAB, wrong(_LAB, 1)))
    (folder / "dan.patch").write_bytes(patch(_LAB, solved(_LAB))[:-200])


def _command(subs: Path, out: Path) -> list[str]:
    words = ["--lab", str(_LAB), str(subs), "--out", str(out), "--jobs", "1", "--seed", "5"]
    return ["grader/grade", "class", *words]


def _killed(command: list[str], out: Path) -> None:
    """Begin, and kill -9 when two are finished and a third runs."""
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    track(process)
    try:
        end = time.monotonic() + BACKSTOP
        while len(list(out.glob("students/*/entry.json"))) < 2 or not list(_BUILT.glob(f"{Folder(out).work(0).name[:6]}*/tests")):
            expect(process.poll() is None and time.monotonic() < end, "it ended before it could be killed")
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    finally:
        untrack(process)


def _rows(out: Path) -> dict[str, dict[str, str]]:
    with open(out / "results.csv", encoding="utf-8", newline="") as file:
        return {row["id"]: row for row in csv.DictReader(file)}


def _results(out: Path) -> dict[str, Any]:
    """Everybody's result.json without its times."""
    found = {}
    for path in sorted(out.glob("students/*/result.json")):
        found[path.parent.name] = {k: v for k, v in json.loads(path.read_text()).items() if k != "times"}
    return found


def small_class() -> None:
    """Graded in one go, and killed and taken up again."""
    folder = scratch("class")
    subs, out, whole = folder / "submissions", folder / "killed", folder / "whole"
    for path in (out, whole):
        shutil.rmtree(path, ignore_errors=True)
    _submissions(subs)
    run = shell(_command(subs, whole))
    expect(run.returncode == 0, f"grader/grade class: status {run.returncode}", run.stdout)
    rows = _rows(whole)
    expect(list(rows) == ["ann", "ben", "cyd", "dan", "eve"], f"the rows are {list(rows)}")
    verdicts = {name: row["verdict"] for name, row in rows.items()}
    expected = {"ann": "PASS", "ben": "FAIL", "cyd": "FAIL", "dan": "REJECTED", "eve": "REJECTED"}
    expect(verdicts == expected, f"expected {expected}, seen {verdicts}")
    expect(rows["ann"]["score"] == rows["ann"]["max_score"], "the reference has not full marks")
    expect(rows["ben"]["registers64"] == "FAIL" and rows["ben"]["enter"] == "PASS", "ben's R15", str(rows["ben"]))
    page = (whole / "index.html").read_text()
    for text in ("students/ben/index.html", "registers64", "sim_c compared what"):
        expect_in(text, page)

    _killed(_command(subs, out), out)
    finished = {path: path.read_bytes() for path in out.glob("students/*/*.json")}
    again = shell(_command(subs, out))
    expect(again.returncode == 0, f"taken up again: status {again.returncode}", again.stdout)
    expect_in("2 of them before", again.stdout)
    for path, content in finished.items():
        expect(path.read_bytes() == content, f"{path} was finished and has been done again")
    expect(_results(out) == _results(whole), "killed and taken up again, the results are others")
    expect((out / "results.csv").read_bytes() == (whole / "results.csv").read_bytes(), "results.csv differs")
    ours = Folder(out).work(0).name[:6]
    expect(not list(_BUILT.glob(f"{ours}*")), "a scratch folder is left")
    third = shell(_command(subs, out))
    expect_in("5 of them before", third.stdout)


def sites() -> None:
    """What Gradescope and Autolab are given grades there, in a place of its own, as it does here."""
    folder = scratch("class-sites")
    shutil.rmtree(folder, ignore_errors=True)
    for site in ("gradescope", "autolab"):
        run = shell(["grader/grade", "pack", site, "--lab", str(_LAB), "--out", folder / site])
        expect(run.returncode == 0, f"grader/grade pack {site}", run.stdout)
    work = patch(_LAB, wrong(_LAB, 0))
    root, env = folder / "autograder", {"CASITA_ROOT": str(folder / "autograder"), "CASITA_BUILD": ""}
    with zipfile.ZipFile(next((folder / "gradescope").glob("*.zip"))) as archive:
        for info in archive.infolist():
            path = Path(archive.extract(info, root / "source"))
            path.chmod(info.external_attr >> 16 & 0o777)
    (root / "submission").mkdir()
    (root / "submission" / "mine.patch").write_bytes(work)
    for name in ("setup.sh", "run_autograder"):
        run = shell([root / "source" / name], cwd=root, env=env)
        expect(run.returncode == 0, f"{name}: status {run.returncode}", run.stdout)
    results = json.loads((root / "results" / "results.json").read_text())
    failed = [test["name"].split(":")[0] for test in results["tests"] if test["status"] == "failed"]
    expect("registers64" in failed and 0 < results["score"] < 100, "results.json", json.dumps(results, indent=1))

    (folder / "autolab" / "handin.patch").write_bytes(work)
    words = ["make", "-f", "autograde-Makefile"]
    run = shell(words, cwd=folder / "autolab", env={**env, "CASITA_BUILD": str(root / "source/casita/build")})
    expect(run.returncode == 0, f"autograde-Makefile: status {run.returncode}", run.stdout)
    last = json.loads(run.stdout.splitlines()[-1])
    expect(last == {"scores": {f"Lab {_LAB}": results["score"]}}, f"Autolab's last line is {last}")


def tests() -> list[Test]:
    """One class, and the same work for sites."""
    return [Test("small", small_class, weight=60), Test("sites", sites, weight=30)]

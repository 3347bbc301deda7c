# SPDX-License-Identifier: BSD-3-Clause
"""The folder of a class's results, and what in it is finished.

    results/class.json                 what is graded, and by which grader
    results/results.csv                for the gradebook
    results/index.html                 for people
    results/students/ID/result.json    grader/RESULT.md
    results/students/ID/own.c          what the student wrote: the lines that the handout has not
    results/students/ID/entry.json     written last: with it, the student is finished
    results/.lock                      while it runs
    build/run/cKEYnnnnn                a student's submission being graded, see Folder.work()

Every file is written beside its place and then renamed, so at any moment each is whole or not there.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterator

from common import BUILD, ROOT, CasitaError
from grading import trees
from grading.model import Lab
from .entries import Entry, fingerprint

SCHEMA = "casita/class/v1"
_SOURCES = ("grader/grading", "grader/engines", "grader/count.c", "grader/bootdisk.S", "guests")
_PROGRAMS = ("qemu-system-x86_64", "gcc", "ld")


def write_whole(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    fresh = path.with_name(f"{path.name}.new")
    with open(fresh, "w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def grader_key(lab: Lab, seed: int) -> str:
    """Of all that a mark depends on but the submission: another key may mean another mark."""
    handout = trees.handout(lab.number).tree
    total = hashlib.sha256(repr((lab.number, seed, lab.files, lab.tests)).encode())
    for root, names in ((handout, ("src",)), (ROOT, (*_SOURCES, *_lab_folders(lab)))):
        files = [each for name in names for each in _files(root / name)]
        total.update(trees.hash_files(root, [str(file.relative_to(root)) for file in files]).encode())
    for program in _PROGRAMS:
        path = shutil.which(program)
        total.update(f"{program} {path and os.stat(path).st_size}".encode())
    return total.hexdigest()[:24]


def _lab_folders(lab: Lab) -> list[str]:
    return [f"{name}/{lab.folder.name}" for name in ("labs", "solutions")]


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
    for each in sorted(path.rglob("*")):
        parts = each.relative_to(path).parts
        if each.suffix in (".py", ".c", ".h", ".S", ".toml", ".json") and "build" not in parts:
            yield each


@dataclass(frozen=True)
class Folder:
    """A class's results."""

    path: Path

    def work(self, number: int) -> Path:
        """Where the submission of that number is unpacked, built and run.

        QEMU tells its guest the image's path, and to read a longer one takes more instructions: this
        path is as long as that of `grader/grade one`, so that the evidence is the same to the digit.
        No student's name is in it, as programs are given it.
        """
        return BUILD / "run" / f"{self._prefix}{number:05}"

    @property
    def _prefix(self) -> str:
        return f"c{hashlib.sha256(str(self.path).encode()).hexdigest()[:5]}"

    def clear(self) -> None:
        """Remove what submissions were graded in, also that of a grader who was killed."""
        for path in (BUILD / "run").glob(f"{self._prefix}?????"):
            shutil.rmtree(path, ignore_errors=True)

    def of(self, entry: Entry) -> Path:
        """One student's folder."""
        return self.path / "students" / entry.slug

    def result(self, entry: Entry) -> dict[str, Any] | None:
        """One student's result.json, if there is a whole one."""
        return _read(self.of(entry) / "result.json")

    def is_finished(self, entry: Entry, key: str) -> bool:
        """Does the student have a mark, of this grader, for what is handed in now?"""
        done = _read(self.of(entry) / "entry.json")
        result = self.result(entry)
        if not done or not result or result.get("verdict") == "INFRA":
            return False
        return done.get("grader") == key and done.get("fingerprint") == fingerprint(entry)

    def finish(self, entry: Entry, print_of_it: str, key: str) -> None:
        """The student is finished."""
        done = {"name": entry.name, "fingerprint": print_of_it, "grader": key}
        write_whole(self.of(entry) / "entry.json", json.dumps(done, indent=2) + "\n")

    def forget(self, entry: Entry) -> None:
        """Grade the student again."""
        for name in ("entry.json", "result.json"):
            (self.of(entry) / name).unlink(missing_ok=True)

    def plan(self) -> dict[str, Any] | None:
        """class.json."""
        return _read(self.path / "class.json")

    def write_plan(self, lab: Lab, seed: int, key: str, submissions: Path) -> None:
        """Write class.json."""
        plan = {
            "schema": SCHEMA,
            "lab": {"number": lab.number, "name": lab.name},
            "seed": seed,
            "grader": key,
            "submissions": str(submissions.resolve()),
        }
        write_whole(self.path / "class.json", json.dumps(plan, indent=2) + "\n")

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else grades into this folder."""
        self.path.mkdir(parents=True, exist_ok=True)
        with open(self.path / ".lock", "w", encoding="utf-8") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise CasitaError(f"another grader works in {self.path}; wait for it") from None
            yield


def _read(path: Path) -> dict[str, Any] | None:
    """A JSON object, or None if there is no whole one."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None

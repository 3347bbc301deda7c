# SPDX-License-Identifier: BSD-3-Clause
"""Keeps what runner.prepare() made: the same lab, tests and seed need it only once.

What it depends on is in the key: the grader, the guests, the lab with its hidden programs, the
emulator and the compiler. It holds absolute paths, so it is made where it stays:

    build/grade/prepared/KEY/files     the runner's own
    build/grade/prepared/KEY/object    what it gave, pickled; written last: without it, begin again
"""

from __future__ import annotations

import hashlib
import os
import pickle
import shutil
from pathlib import Path
from typing import Any, Sequence

from common import BUILD, ROOT
from . import trees
from .model import Lab, Test, TestResult

_SOURCES = ("grader", "guests")
_PROGRAMS = ("qemu-system-x86_64", "gcc", "ld")
_KEPT = 12  # of these; the oldest go


class Keeper:
    """A runner that does as another does, and keeps what it prepared."""

    def __init__(self, runner: Any) -> None:
        self._runner = runner

    def prepare(self, lab: Lab, tests: Sequence[Test], seed: int, directory: Path) -> Any:
        """What prepare() gave for this before, or gives now. The directory stays empty."""
        del directory
        folder = trees.CACHE / "prepared" / _key(lab, tests, seed)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with trees.locked(folder.with_suffix(".lock")):
            kept = folder / "object"
            if kept.is_file():
                os.utime(folder)
                return pickle.loads(kept.read_bytes())
            shutil.rmtree(folder, ignore_errors=True)
            (folder / "files").mkdir(parents=True)
            made = self._runner.prepare(lab, tests, seed, folder / "files")
            fresh = folder / "object.new"
            fresh.write_bytes(pickle.dumps(made))
            fresh.replace(kept)
        trees.prune(folder.parent, _KEPT)
        return made

    def run_test(self, test: Test, image: Path, prepared: Any, directory: Path) -> TestResult:
        """The other's."""
        result: TestResult = self._runner.run_test(test, image, prepared, directory)
        return result

    def commands(self, test: Test, image: Path, prepared: Any, directory: Path) -> dict[str, Any]:
        """The other's."""
        words: dict[str, Any] = self._runner.commands(test, image, prepared, directory)
        return words


def _key(lab: Lab, tests: Sequence[Test], seed: int) -> str:
    folders = [*(ROOT / name for name in _SOURCES), lab.folder, ROOT / "solutions" / lab.folder.name]
    names = [
        os.path.relpath(path, ROOT)
        for folder in folders
        for path in folder.rglob("*")
        if path.is_file() and path.suffix not in (".pyc", ".patch") and not _is_built(path)
    ]
    total = hashlib.sha256(trees.hash_files(ROOT, names).encode())
    for program in _PROGRAMS:
        path = shutil.which(program)
        facts = os.stat(path) if path else None
        total.update(f"{path} {facts and (facts.st_size, facts.st_mtime_ns)}".encode())
    wanted = [(test.name, sorted(test.options.items()), test) for test in tests]
    total.update(repr((lab.number, seed, wanted)).encode())
    return total.hexdigest()[:24]


def _is_built(path: Path) -> bool:
    return path.is_relative_to(BUILD) or "__pycache__" in path.parts

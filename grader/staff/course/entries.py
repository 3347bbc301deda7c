# SPDX-License-Identifier: BSD-3-Clause
"""What a class handed in: one entry a student in a folder.

    ann.patch            a patch; any other ending will do, or none
    ben.tar.gz           a tarball or a .zip of a tree or of a patch
    cyd/                 a folder with one patch, one tarball, or a tree (it has src/)

The entry's name without such an ending is the student's id. Everything in the folder is an entry: what
cannot be graded is rejected with a sentence and is never left out.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator

from common import CasitaError
from grading.gate import MAX_PATCH, Rejected
from grading.one import Submission
from . import tarballs

_ENDINGS = re.compile(r"\.(patch|diff|txt|tar|tar\.(gz|bz2|xz)|tgz|tbz2?|txz|zip)$", re.IGNORECASE)
_NOT_HASHED = {".git", "build", "__pycache__"}
_LEFT_ALONE = {".git", ".gitignore", ".DS_Store", "__MACOSX", "Thumbs.db"}


@dataclass(frozen=True)
class Entry:
    """What one student handed in."""

    name: str  # the student's id
    slug: str  # a name for files: letters, digits and ._- only
    path: Path


def find_entries(folder: Path) -> list[Entry]:
    """All entries of a folder, by name."""
    if not folder.is_dir():
        raise CasitaError(f"{folder} is not a folder of submissions")
    paths = sorted(path for path in folder.iterdir() if path.name not in _LEFT_ALONE)
    if not paths:
        raise CasitaError(f"{folder} is empty: there is nothing to grade")
    stems = [path.name if _is_folder(path) else _ENDINGS.sub("", path.name) for path in paths]
    entries = []
    for path, stem in zip(paths, stems):
        name = stem if stem and stems.count(stem) == 1 else path.name
        entries.append(Entry(_readable(name), _slug(name), path))
    return entries


def _is_folder(path: Path) -> bool:
    return stat.S_ISDIR(path.lstat().st_mode)


def _readable(name: str) -> str:
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _slug(name: str) -> str:
    """A file name of its own for every id, the id itself where that will do."""
    safe = re.sub(r"[^A-Za-z0-9._-]", "_", name)[:80]
    if safe == name and not name.startswith((".", "-")):
        return name
    return f"{safe.lstrip('.-') or 'entry'}-{hashlib.sha256(os.fsencode(name)).hexdigest()[:8]}"


def open_entry(entry: Entry, directory: Path) -> Submission:
    """What is to be graded of it, unpacked in an empty folder; raises Rejected."""
    return _open(entry.path, directory, 0)


def _open(path: Path, directory: Path, depth: int) -> Submission:
    mode = path.lstat().st_mode
    if stat.S_ISREG(mode):
        if not tarballs.is_tarball(path):
            return Submission(patch=_read(path))
        if depth > 1:
            raise Rejected("there is a tarball inside a tarball")
        below = directory / f"unpacked-{depth}"
        below.mkdir(parents=True)
        tarballs.unpack(path, below)
        return _open(below, directory, depth + 1)
    if not stat.S_ISDIR(mode):
        raise Rejected(f"{_readable(path.name)} is not a plain file or a folder")
    source = path / "src"
    if source.exists() and _is_folder(source):
        return Submission(tree=path.resolve())
    inside = sorted(each for each in path.iterdir() if each.name not in _LEFT_ALONE)
    if not inside:
        raise Rejected("nothing was handed in: it is empty")
    if len(inside) > 1:
        names = ", ".join(_readable(each.name) for each in inside[:5])
        raise Rejected(
            f"there are {len(inside)} things in it ({names}), and no src/ of a tree among them; one "
            "patch, one tarball or one tree is wanted"
        )
    if depth > 3:
        raise Rejected("there are too many folders in one another")
    return _open(inside[0], directory, depth + 1)


def _read(path: Path) -> bytes:
    with open(path, "rb") as file:
        return file.read(MAX_PATCH + 1)  # the gate says that it is too long


def fingerprint(entry: Entry) -> str:
    """Of all that was handed in: another one means that it must be graded again."""
    total = hashlib.sha256()
    for path in _walk(entry.path):
        mode = path.lstat().st_mode
        total.update(os.fsencode(os.path.relpath(path, entry.path)) + b"\0%o\0" % stat.S_IFMT(mode))
        if stat.S_ISREG(mode):
            with open(path, "rb") as file:
                total.update(hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()


def _walk(path: Path) -> Iterator[Path]:
    yield path
    if _is_folder(path):
        for below in sorted(path.iterdir()):
            if below.name not in _NOT_HASHED:
                yield from _walk(below)

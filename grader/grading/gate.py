# SPDX-License-Identifier: BSD-3-Clause
"""The gate: what of a submission is let in, and why the rest is not.

A submission is a patch against the lab's handout, or a whole tree, as a folder or packed. Either way all that comes out is
the new contents of files on the lab's allow-list: everything else that is built and run is ours.
A patch that wants more is rejected as a whole; of a tree, the other files are just not taken.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Iterable, Mapping

from . import archive, diagnose, trees
from .patches import Applied, Entry

MAX_PATCH = 1 << 20  # bytes
MAX_FILE = 1 << 18
_MAX_NAMED = 12  # files named in one message
_MAX_WALKED = 10_000  # files of a tree looked at for notes
_GOOD_MODE = "100644"
_BAD_MODES = {
    "000000": "is deleted",
    "100755": "is made executable (mode 100755; it must stay 100644)",
    "120000": "is made a symbolic link",
    "160000": "is made a submodule",
}
_NOT_COMPARED = (".git/", "build/")


class Rejected(Exception):
    """The submission is not accepted; the text says why, and what to do about it."""


@dataclass(frozen=True)
class Task:
    """What a submission is to be: changes of these files, in this tree."""

    lab: int
    files: tuple[str, ...]
    basis: trees.Basis
    others: Callable[[], Iterable[trees.Basis]] = field(default=lambda: ())  # other labs' handouts

    @property
    def advice(self) -> str:
        """How a good patch is made."""
        listed = " ".join(self.files)
        return f"In the handout's folder: git diff lab-{self.basis.stage} -- {listed} >my.patch"


@dataclass(frozen=True)
class Accepted:
    """The files that differ from the handout's, and what a person should know."""

    changes: Mapping[str, bytes]
    notes: tuple[str, ...] = ()

    @property
    def sha256(self) -> str:
        """The same for the same work, however it was handed in."""
        total = hashlib.sha256()
        for name, content in sorted(self.changes.items()):
            total.update(f"{name}\0{len(content)}\0".encode() + content)
        return total.hexdigest()


def accept_patch(patch: bytes, task: Task, directory: Path) -> Accepted:
    """Let a patch in, or raise Rejected. The directory is empty, and this function's own."""
    if archive.is_archive(patch):
        return accept_archive(patch, task, directory)
    if len(patch) > MAX_PATCH:
        raise Rejected(f"the patch has {len(patch)} bytes; {MAX_PATCH} are allowed. {task.advice}")
    fault = diagnose.no_patch(patch)
    if fault:
        raise Rejected(f"{fault}\n{task.advice}")
    applied = Applied(task.basis, directory)
    complaint = applied.apply(patch)
    if complaint is not None:
        why = diagnose.does_not_apply(patch, complaint, task.basis, task.others, directory)
        raise Rejected(f"{why}\n{task.advice}")
    entries = applied.entries()
    if not entries:
        raise Rejected(f"the patch is empty: it changes nothing.\n{task.advice}")
    faults = [fault for entry in entries if (fault := _entry_fault(entry, task))]
    if not faults:
        changes = {entry.path: applied.content(entry) for entry in entries}
        faults = _content_faults(changes)
        if not faults:
            return Accepted(changes)
    raise Rejected(_listed("the patch changes what it may not:", faults) + f"\n{task.advice}")


def accept_archive(data: bytes, task: Task, directory: Path) -> Accepted:
    """Take the allow-listed files of a packed tree, or raise Rejected."""
    (directory / "unpacked").mkdir()
    try:
        tree = archive.unpack(data, directory / "unpacked")
    except archive.BadArchive as fault:
        raise Rejected(f"the archive is not accepted: {fault}\n{task.advice}") from None
    return accept_tree(tree, task)


def accept_tree(tree: Path, task: Task) -> Accepted:
    """Take the allow-listed files of a tree, or raise Rejected."""
    if not (tree / "src").is_dir():
        raise Rejected(f"{tree.name} is not a tree of Casita: it has no folder src/")
    changes, faults = {}, []
    for name in task.files:
        content, fault = read_plain(tree, name)
        ours = task.basis.tree / name
        if fault and (fault != _MISSING or ours.exists()):
            faults.append(f"{name}: {fault}")
        if content is not None and not (ours.is_file() and ours.read_bytes() == content):
            changes[name] = content
    faults += _content_faults(changes)
    if faults:
        raise Rejected(_listed("the tree has files that cannot be taken:", faults))
    return Accepted(changes, tuple(_tree_notes(tree, task, changes)))


# ---- what is wrong with a file -------------------------------------------------------------------


def _entry_fault(entry: Entry, task: Task) -> str:
    """Why a path that a patch changes is not let in; empty: it is."""
    if entry.path not in task.files:
        new = " (it is a new file)" if entry.old_mode == "000000" else ""
        more = f"; besides, it {_BAD_MODES[entry.mode]}" if entry.mode in _BAD_MODES else ""
        allowed = " ".join(task.files)
        return f"{entry.path}: lab {task.lab} changes only {allowed}{new}{more}"
    if entry.mode != _GOOD_MODE:
        return f"{entry.path}: {_BAD_MODES.get(entry.mode, f'is given mode {entry.mode}')}"
    return ""


def _content_faults(changes: Mapping[str, bytes]) -> list[str]:
    faults = []
    for name, content in changes.items():
        if not content.strip():
            faults.append(f"{name}: is left empty")
        elif b"\0" in content:
            faults.append(f"{name}: is binary, not source text")
        elif len(content) > MAX_FILE:
            faults.append(f"{name}: has {len(content)} bytes; {MAX_FILE} are allowed")
    return faults


_MISSING = "is not there"


def read_plain(tree: Path, name: str) -> tuple[bytes | None, str]:
    """A plain file's contents, or why it is none. No link on the way is followed."""
    *folders, last = name.split("/")
    folder = os.open(tree, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for part in folders:
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
            below = os.open(part, flags, dir_fd=folder)
            os.close(folder)
            folder = below
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        with open(os.open(last, flags, dir_fd=folder), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return None, "is not a plain file"
            return file.read(MAX_FILE + 1), ""
    except FileNotFoundError:
        return None, _MISSING
    except OSError:  # ELOOP, ENOTDIR: a link
        return None, "is not a plain file, or a folder above it is a link"
    finally:
        os.close(folder)


# ---- what was not taken --------------------------------------------------------------------------


def _tree_notes(tree: Path, task: Task, changes: Mapping[str, bytes]) -> Iterable[str]:
    if not changes:
        yield f"nothing differs from lab {task.basis.stage}'s handout"
    ignored = _ignored(tree, task)
    if ignored:
        yield _listed("these differ from the handout's, and the handout's were used:", ignored)
    if len(ignored) > _MAX_NAMED:
        yield f"so many differ that this may be the tree of another lab than {task.basis.stage}"


def _ignored(tree: Path, task: Task) -> list[str]:
    """The files below src/, grader/, guests/ and labs/ that are not the handout's."""
    ours = task.basis.tree
    found = []
    for path in sorted(ours.rglob("*")):
        name = str(path.relative_to(ours))
        if name in task.files or name.startswith(_NOT_COMPARED) or not path.is_file():
            continue
        if not (tree / name.split("/", 1)[0]).exists():  # none of that was sent
            continue
        if not (tree / name).exists():
            found.append(f"{name} (missing)")
        elif not _same(tree / name, path):
            found.append(name)
    for path in sorted(itertools.islice((tree / "src").rglob("*"), _MAX_WALKED)):
        name = str(path.relative_to(tree))
        if path.is_file() and name not in task.files and not (ours / name).exists():
            if path.suffix in (".c", ".h", ".S"):
                found.append(f"{name} (new)")
    return found


def _same(theirs: Path, ours: Path) -> bool:
    try:
        same_kind = theirs.is_file() and not theirs.is_symlink()
        if not same_kind or theirs.stat().st_size != ours.stat().st_size:
            return False
        return theirs.read_bytes() == ours.read_bytes()
    except OSError:  # it cannot be read: it was not taken anyway
        return False


def _listed(title: str, lines: list[str]) -> str:
    more = len(lines) - _MAX_NAMED
    rest = [f"and {more} more"] if more > 0 else []
    return "\n  ".join([title, *lines[:_MAX_NAMED], *rest])

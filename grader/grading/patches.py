# SPDX-License-Identifier: BSD-3-Clause
"""Applies a patch to a tree of the cache, in a git index and an object store of its own.

Nothing is written to a working tree, so no path in a patch can lead anywhere. What came of it is
then looked at entry by entry (gate.py): git itself would take links, submodules and modes as well.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from . import trees


@dataclass(frozen=True)
class Entry:
    """One path that a patch changes."""

    path: str
    old_mode: str  # "000000": it is new
    mode: str  # "000000": it is deleted
    blob: str


class Applied:
    """A patch, applied to a basis in a directory of its own."""

    def __init__(self, basis: trees.Basis, directory: Path) -> None:
        self._basis = basis
        self._directory = directory
        self._env = {
            "GIT_INDEX_FILE": str(directory / "index"),
            "GIT_OBJECT_DIRECTORY": str(directory / "objects"),
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(basis.repo / "objects"),
        }
        (directory / "objects").mkdir(parents=True, exist_ok=True)

    def apply(self, patch: bytes, *options: str) -> str | None:
        """Apply it, or give git's complaint; nothing of it is then applied."""
        with suppress(FileNotFoundError):
            (self._directory / "index").unlink()
        self._git("read-tree", "HEAD")
        file = self._directory / "patch"
        file.write_bytes(patch)
        words = ["-c", "apply.whitespace=nowarn", "-c", "apply.ignoreWhitespace=no", "apply"]
        done = trees.git(
            self._basis.repo, *words, "--cached", *options, file, env=self._env, cwd=self._directory
        )
        return done.stderr.decode(errors="replace") if done.returncode else None

    def entries(self) -> list[Entry]:
        """What the patch changed, renames as two."""
        raw = self._git("diff-index", "--cached", "--raw", "-z", "--no-renames", "--no-abbrev", "HEAD")
        words = raw.decode(errors="surrogateescape").split("\0")
        found = []
        for facts, path in zip(words[0::2], words[1::2]):
            old_mode, mode, _, blob, _ = facts.lstrip(":").split(" ")
            found.append(Entry(path, old_mode, mode, blob))
        return found

    def content(self, entry: Entry) -> bytes:
        """The file as the patch leaves it."""
        return self._git("cat-file", "blob", entry.blob)

    def tree(self) -> str:
        """The whole tree as the patch leaves it, as a git object."""
        return self._git("write-tree").decode().strip()

    def difference(self, before: str, after: str, objects: Path | None = None) -> bytes:
        """The patch from one tree object to another, one of which another store may hold."""
        env = dict(self._env)
        if objects:
            env["GIT_ALTERNATE_OBJECT_DIRECTORIES"] += f":{objects}"
        words = ("diff-tree", "-r", "-p", "--no-renames", "--no-ext-diff", before, after)
        return trees.git_ok(self._basis.repo, *words, env=env)

    def _git(self, *words: str) -> bytes:
        return trees.git_ok(self._basis.repo, *words, env=self._env)


def names(patch: bytes) -> list[tuple[bytes, bytes]]:
    """The pairs of paths that a unified diff names, as they stand there, strip level and all."""
    found = []
    lines = patch.split(b"\n")
    for old, new in zip(lines, lines[1:]):
        if old.startswith(b"--- ") and new.startswith(b"+++ "):
            found.append((_name(old), _name(new)))
    return found


def _name(line: bytes) -> bytes:
    return line[4:].split(b"\t")[0].rstrip()

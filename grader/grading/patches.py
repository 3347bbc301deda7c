# SPDX-License-Identifier: BSD-3-Clause
"""Applies a patch to a tree of the cache, in a copy of its repository, without a working tree.

Nothing is written to a working tree, so no path in a patch can lead anywhere; and git itself runs in the
sandbox. What came of it is then looked at entry by entry (gate.py): git would take links, submodules and
modes as well.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from common import CasitaError
from . import contain, trees

_LIMITS = contain.Limits(
    seconds=30, cpu_seconds=20, file_bytes=32 << 20, output_bytes=8 << 20, memory_bytes=1024 << 20,
    processes=16,
)  # fmt: skip
_SETTINGS = ("apply.whitespace=nowarn", "apply.ignoreWhitespace=no", "core.autocrlf=false")


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
        self._repo = f"{basis.folder.name}.git"
        if not (directory / self._repo).exists():
            shutil.copytree(basis.repo, directory / self._repo)

    def apply(self, patch: bytes, *options: str) -> str | None:
        """Apply it, or give git's complaint; nothing of it is then applied."""
        (self._directory / "index").unlink(missing_ok=True)
        self._git("read-tree", "HEAD")
        (self._directory / "patch").write_bytes(patch)
        done = self._run("apply", "--cached", *options, "patch")
        if done.exceeded:
            return f"the patch is too much to apply: too much {done.exceeded}"
        return done.text if done.code else None

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
        """The patch from one tree object to another, one of which another store may hold. For staff."""
        env = {"GIT_ALTERNATE_OBJECT_DIRECTORIES": str(objects)} if objects else {}
        words = ("diff-tree", "-r", "-p", "--no-renames", "--no-ext-diff", before, after)
        return trees.git_ok(self._directory / self._repo, *words, env=env)

    def _git(self, *words: str) -> bytes:
        done = self._run(*words)
        if done.code or done.exceeded:
            said = f"too much {done.exceeded}" if done.exceeded else done.text.strip()
            raise CasitaError(f"git {words[0]} failed: {said}")
        return done.output

    def _run(self, *words: str) -> contain.Ended:
        env = {"GIT_DIR": self._repo, "GIT_INDEX_FILE": "index", "GIT_CONFIG_NOSYSTEM": "1"}
        settings = [word for setting in _SETTINGS for word in ("-c", setting)]
        return contain.run(["git", *settings, *words], self._directory, _LIMITS, env)


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

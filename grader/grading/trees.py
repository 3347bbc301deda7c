# SPDX-License-Identifier: BSD-3-Clause
"""The trees that a submission is held against: the handout it started from, and the reference.

In a repository made by `make handout` the handout is what the tag lab-N names. In the staff's
checkout it is cut from src/ (grader/staff/cut.py), and so is the reference. Each is made once and
kept below build/grade, by a key of all that it is made of:

    build/grade/trees/KEY/tree        the files
    build/grade/trees/KEY/repo.git    the same as git objects: HEAD is the tree
    build/grade/objects/KEY           what the compiler made of such a tree; see build.py

Nothing here is written to after it was made, and nothing that a student sent is run here.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib
import os
import re
import shutil
import subprocess
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Iterator, Mapping

from common import BUILD, ROOT, CasitaError

CACHE = BUILD / "grade"
STAFF = (ROOT / "grader" / "staff").is_dir()
_KEPT = 24  # entries of a cache; of the others, those that nobody used for a day go
_DAY = 86400.0


@dataclass(frozen=True)
class Basis:
    """A tree in the cache."""

    stage: int
    folder: Path

    @property
    def tree(self) -> Path:
        """Its files."""
        return self.folder / "tree"

    @property
    def repo(self) -> Path:
        """A bare repository whose HEAD is the tree."""
        return self.folder / "repo.git"


def handout(stage: int) -> Basis:
    """What a student of that lab starts from."""
    if STAFF:
        return _cut(stage, stage - 1)
    tag = f"lab-{stage}"
    commit = _git_root("rev-parse", "--verify", "-q", f"refs/tags/{tag}^{{commit}}").decode().strip()
    return make_basis(f"{tag}-{commit[:20]}", stage, lambda tree: _unpack(commit, tree))


def reference(stage: int) -> Basis | None:
    """The lab solved; None where that is not to be had."""
    return _cut(stage, stage) if STAFF else None


def stage_for(lab: int) -> int:
    """The lab whose handout this checkout is: lab's own, or in a later handout, that one."""
    if STAFF:
        return lab
    try:
        tags = _git_root("tag", "--list", "lab-*").decode().split()
    except CasitaError:
        tags = []
    stages = sorted(int(m[1]) for tag in tags if (m := re.fullmatch(r"lab-(\d+)", tag)))
    later = [stage for stage in stages if stage >= lab]
    if not later:
        raise CasitaError(
            f"this is not the git repository of lab {lab}'s handout: it has no tag lab-{lab}. Take "
            "your files to the repository that `make handout` made, or say TREE= there"
        )
    return later[0]


def hash_files(root: Path, names: list[str]) -> str:
    """A hash of these files' names, kinds and contents."""
    total = hashlib.sha256()
    for name in sorted(names):
        path = root / name
        if path.is_symlink():
            content = b"link " + os.readlink(path).encode()
        elif path.is_file():
            content = path.read_bytes()
        else:
            continue
        executable = os.access(path, os.X_OK)
        total.update(f"{name}\0{executable}\0{len(content)}\0".encode() + content)
    return total.hexdigest()


def git(
    repo: Path, *words: str | Path, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run git on a repository of the cache, without anybody's settings."""
    environment = {
        **{"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C.UTF-8", "HOME": "/"},
        **{"GIT_DIR": str(repo), "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null"},
        **(env or {}),
    }
    argv = ["git", "-c", "core.autocrlf=false", "-c", "safe.directory=*", *map(str, words)]
    try:
        return subprocess.run(
            argv, cwd=cwd or repo, env=environment, stdin=subprocess.DEVNULL, capture_output=True,
            check=False,
        )
    except FileNotFoundError:
        raise CasitaError("git is not installed; run `make setup`") from None


def git_ok(
    repo: Path, *words: str | Path, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> bytes:
    """The same, for what must work."""
    done = git(repo, *words, env=env, cwd=cwd)
    if done.returncode:
        raise CasitaError(f"git {words[0]} failed: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


def cached(cache: str, key: str, make: Callable[[Path], None]) -> Path:
    """The folder of that key; make() fills an empty one if it is not there yet. Other graders wait."""
    folder = CACHE / cache / key
    with locked(CACHE / f"{cache}.lock"):
        if folder.is_dir():
            os.utime(folder)  # used: see prune()
            return folder
        folder.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(dir=CACHE, prefix="new-"))
        try:
            make(fresh)
            fresh.rename(folder)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
        prune(folder.parent, _KEPT)
    return folder


def make_basis(key: str, stage: int, fill: Callable[[Path], None]) -> Basis:
    """The tree of that key; fill() makes it in an empty folder if it is not there yet."""

    def make(folder: Path) -> None:
        (folder / "tree").mkdir()
        fill(folder / "tree")
        _commit(folder)

    return Basis(stage, cached("trees", key, make))


def _commit(folder: Path) -> None:
    """Make folder/repo.git of folder/tree."""
    repo = folder / "repo.git"
    repo.mkdir()
    who = {f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER")
           for what, value in (("NAME", "casita"), ("EMAIL", "casita"), ("DATE", "@0 +0000"))}
    git_ok(repo, "init", "-q", "--bare", "--template=", repo)
    git_ok(repo, "--work-tree", folder / "tree", "add", "-A", "-f", ".", cwd=folder / "tree")
    tree = git_ok(repo, "write-tree").decode().strip()
    commit = git_ok(repo, "commit-tree", "-m", "tree", tree, env=who).decode().strip()
    git_ok(repo, "update-ref", "HEAD", commit)


def _cut(stage: int, solved: int) -> Basis:
    """A tree cut from this checkout, anew whenever a file of it has changed."""
    listing = _git_root("ls-files", "-co", "-z", "--exclude-standard").decode().split("\0")
    key = f"{stage}-{solved}-{hash_files(ROOT, [name for name in listing if name])[:20]}"

    def fill(tree: Path) -> None:
        importlib.import_module("staff.cut").cut_tree(stage, solved, tree)

    return make_basis(key, stage, fill)


def _unpack(commit: str, tree: Path) -> None:
    """The files of a commit of this repository."""
    index = {"GIT_INDEX_FILE": str(tree.parent / "index")}
    repo = Path(_git_root("rev-parse", "--absolute-git-dir").decode().strip())
    git_ok(repo, "read-tree", commit, env=index)
    git_ok(repo, "--work-tree", tree, "checkout-index", "-a", env=index, cwd=tree)


def _git_root(*words: str) -> bytes:
    """git in this checkout; only to read."""
    done = subprocess.run(
        ["git", *words], cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip() or f"git {words[0]} failed"
        raise CasitaError(f"{ROOT} is not the repository that the grader needs: {said}")
    return done.stdout


def prune(folder: Path, kept: int) -> None:
    """Let go of what nobody needed for long, but for the last so many."""
    entries = sorted(folder.glob("*/"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in entries[kept:]:
        if time.time() - path.stat().st_mtime > _DAY:
            shutil.rmtree(path, ignore_errors=True)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Alone, among all graders that use the file as a lock."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield

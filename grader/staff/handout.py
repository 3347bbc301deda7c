#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""`make handout`: a student's tree, what is new since a lab, or the whole story for staff.

    make handout LAB=2 OUT=dir            a repository of one root commit, tagged lab-2
    make handout LAB=2 SINCE=1 OUT=dir    a patch for a student's own lab 1, and how to apply it
    make handout STAFF=1 OUT=dir          every stage a commit: tags lab-N (with its holes), stage-N

A handout holds the answers to the labs before it, so it is released after their deadlines. A patch
holds no answers at all: the holes of lab 1 are in it neither before nor after.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

# pylint: disable=wrong-import-position
from common import ROOT, CasitaError, run_main  # noqa: E402
from staff.cut import cut_tree, lab_folders, last_stage  # noqa: E402

_WHO = {
    f"GIT_{role}_{what}": value
    for role in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "Casita"), ("EMAIL", "casita@localhost"))
}
_SINCE_README = """\
# Lab {lab}: what is new since lab {since}

In your own repository, with your work on lab {since} committed:

    git apply --3way {patch}
{remove}    git add -A && git commit -m 'Lab {lab}' && git tag lab-{lab}

It adds lab {lab}'s files and holes and leaves your code as it is. Where it touches a line that you have
changed, git marks the conflict as it does for a merge.
"""


def _git(folder: Path, *words: str, when: str = "@0 +0000") -> str:
    env = {"PATH": os.environ.get("PATH", ""), "GIT_CONFIG_NOSYSTEM": "1", "HOME": str(folder), **_WHO,
           "GIT_AUTHOR_DATE": when, "GIT_COMMITTER_DATE": when}
    done = subprocess.run(["git", *words], cwd=folder, env=env, capture_output=True, check=False)
    if done.returncode > 1 or (done.returncode and words[0] != "diff"):
        raise CasitaError(f"git {words[0]} failed: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout.decode(errors="surrogateescape")


def _when() -> str:
    """The date of the commit that is cut: the same checkout gives the same repository."""
    words = ["git", "log", "-1", "--format=@%ct +0000"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "@0 +0000"


def _begin(folder: Path) -> None:
    _git(folder, "init", "-q", "--template=", "-b", "main", ".")


def _commit(folder: Path, message: str, tag: str) -> None:
    _git(folder, "add", "-A", "-f", ".")
    _git(folder, "commit", "-q", "--allow-empty", "-m", message, when=_when())
    _git(folder, "tag", tag)


def _lab_name(lab: int) -> str:
    folder = lab_folders().get(lab)
    if not folder:
        return f"stage {lab}"
    with open(folder / "lab.toml", "rb") as file:
        return str(tomllib.load(file)["name"])


def _lab_files(lab: int) -> list[str]:
    """What that lab's students may change."""
    with open(lab_folders()[lab] / "lab.toml", "rb") as file:
        return list(tomllib.load(file)["files"])


def student(lab: int, out: Path) -> None:
    """Lab's handout as a repository of one commit."""
    cut_tree(lab, lab - 1, out)
    _begin(out)
    _commit(out, f"Lab {lab}: {_lab_name(lab)}", f"lab-{lab}")
    _git(out, "repack", "-a", "-d", "-q")


def since(lab: int, own: int, out: Path) -> None:
    """What leads from lab `own`'s handout to lab `lab`'s, with the holes of `own` open in both."""
    if not 0 <= own < lab:
        raise CasitaError(f"SINCE={own}: a lab before lab {lab} is wanted")
    out.mkdir(parents=True, exist_ok=True)
    patch = f"lab-{lab}-since-{own}.patch"
    with tempfile.TemporaryDirectory() as scratch:
        repo = Path(scratch) / "repo"
        cut_tree(own, own - 1, repo)
        _begin(repo)
        _commit(repo, "own", "own")
        _empty(repo)
        with tempfile.TemporaryDirectory() as fresh:
            cut_tree(lab, own - 1, Path(fresh) / "tree")
            shutil.copytree(Path(fresh) / "tree", repo, dirs_exist_ok=True)
        _git(repo, "add", "-A", "-f", ".")
        gone = [name for name in _lab_files(own) if not (repo / name).exists()]
        if gone:  # changed by the student: git cannot delete them by a patch
            _git(repo, "reset", "-q", "own", "--", *gone)
        text = _git(repo, "diff", "--cached", "--binary", "--full-index", "own")
    (out / patch).write_text(text, errors="surrogateescape")
    remove = f"    git rm {' '.join(gone)}\n" if gone else ""
    (out / "README.md").write_text(
        _SINCE_README.format(lab=lab, since=own, patch=patch, remove=remove)
    )


def staff(out: Path) -> None:
    """The story: for each stage the handout's commit, and the one that solves it."""
    with open(ROOT / "grader/staff/story.toml", "rb") as file:
        story = tomllib.load(file)
    out.mkdir(parents=True, exist_ok=True)
    if any(out.iterdir()):
        raise CasitaError(f"{out} is not empty")
    _begin(out)
    for stage in range(last_stage() + 1):
        steps = [(stage, f"stage-{stage}", story[f"stage-{stage}"])]
        if stage in lab_folders():
            title = f"Lab {stage}: {_lab_name(stage)}, as a student finds it\n"
            steps.insert(0, (stage - 1, f"lab-{stage}", title))
        for solved, tag, message in steps:
            _empty(out)
            with tempfile.TemporaryDirectory() as scratch:
                cut_tree(stage, solved, Path(scratch) / "tree")
                shutil.copytree(Path(scratch) / "tree", out, dirs_exist_ok=True)
            _commit(out, message, tag)


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.name == ".git":
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _number(name: str) -> int:
    text = os.environ.get(f"CASITA_{name}", "")
    if not text.isdigit():
        raise CasitaError(f"{name}={text}: a lab's number is wanted, such as {name}=1")
    return int(text)


def main() -> int:
    """What `make handout` was told is in the environment."""
    out_name = os.environ.get("CASITA_OUT", "")
    if not out_name:
        raise CasitaError("OUT= is missing: make handout LAB=1 OUT=folder")
    out = Path(out_name).absolute()
    if os.environ.get("CASITA_STAFF"):
        staff(out)
        print(f"{out}: the stages, a commit each; git log --oneline --decorate")
        return 0
    lab = _number("LAB")
    if lab not in lab_folders():
        labs = " ".join(str(number) for number in sorted(lab_folders()))
        raise CasitaError(f"LAB={lab}: there is no such lab; there are {labs}")
    if os.environ.get("CASITA_SINCE"):
        since(lab, _number("SINCE"), out)
        print(f"{out}: a patch for one's own lab {_number('SINCE')}, and a README.md")
    else:
        student(lab, out)
        print(f"{out}: lab {lab}'s handout, tagged lab-{lab}")
    return 0


if __name__ == "__main__":
    run_main(main)

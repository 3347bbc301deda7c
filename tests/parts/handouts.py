# SPDX-License-Identifier: BSD-3-Clause
"""The handouts: cut, looked through for what must not be in them, built, booted and graded by
themselves, outside this checkout."""

from __future__ import annotations

import re
import shutil
import tempfile
from functools import partial
from pathlib import Path

from common import ROOT
from staff.cut import cut_tree, lab_folders
from .harness import Test, expect, expect_in, scratch, shell

_LABS = sorted(lab_folders())


def _make(folder: Path, *words: str) -> tuple[int, str]:
    result = shell(["make", "-s", *words], cwd=folder, env={"CASITA_BUILD": ""})
    return result.returncode, result.stdout


def _cut(lab: int, name: str, *words: str) -> Path:
    """A handout, by the command that staff use."""
    out = scratch("handouts") / name
    shutil.rmtree(out, ignore_errors=True)
    result = shell(["make", "-s", "handout", f"LAB={lab}", f"OUT={out}", *words])
    expect(result.returncode == 0, f"make handout LAB={lab} failed", result.stdout)
    return out


def _git(folder: Path, *words: str) -> str:
    result = shell(["git", *words], cwd=folder)
    expect(result.returncode == 0, f"git {words[0]} failed", result.stdout)
    return result.stdout


def _later_words(lab: int) -> set[str]:
    """Lines that stand in solutions of this lab and of later ones only: none may be in the handout."""
    with tempfile.TemporaryDirectory() as folder:
        cut_tree(lab, lab - 1, Path(folder) / "handout")
        cut_tree(lab, lab, Path(folder) / "solved")
        return _lines(Path(folder) / "solved") - _lines(Path(folder) / "handout")


def _lines(tree: Path) -> set[str]:
    return {
        line.strip()
        for path in (tree / "src").rglob("*")
        if path.is_file()
        for line in path.read_text().splitlines()
        if len(line.strip()) > 20
    }


def _holds_no_secret(lab: int) -> None:
    """Every object of the repository, reachable or not."""
    out = _cut(lab, f"secret-{lab}")
    listing = _git(out, "cat-file", "--batch-all-objects", "--batch-check").splitlines()
    kinds = [line.split()[1] for line in listing]
    expect(kinds.count("commit") == 1, f"{kinds.count('commit')} commits", _git(out, "log"))
    expect(_git(out, "tag").split() == [f"lab-{lab}"], "its tags", _git(out, "tag"))
    contents = "\n".join(_git(out, "cat-file", "-p", line.split()[0]) for line in listing
                         if line.split()[1] == "blob")
    secrets = _later_words(lab)
    expect(len(secrets) > 10, f"only {len(secrets)} lines make up the solution of lab {lab}")
    found = sorted(secrets.intersection(line.strip() for line in contents.splitlines()))
    expect(not found, "lines of the solution are in the handout", "\n".join(found))
    later = re.findall(r'LAB\((\d+), "([\d.]+)"', contents)
    expect({number for number, _ in later} == {str(lab)}, "its holes", str(later))
    conditions = re.findall(r"^#\s*(?:el)?if.*\b(?:STAGE|SOLVED)\b.*$", contents, re.MULTILINE)
    expect(not conditions, "conditions are left", "\n".join(conditions))
    for name in _git(out, "ls-files").splitlines():
        expect(not name.startswith(("solutions", "tests", "grader/staff")), f"{name} is in it")
        number = re.match(r"labs/(\d+)", name)
        expect(not number or int(number[1]) <= lab, f"{name} is in it")


def _works_by_itself(lab: int) -> None:
    """Built, booted and graded as a student would, in a place of its own."""
    with tempfile.TemporaryDirectory(prefix="casita-handout-") as folder:
        tree = Path(folder) / "tree"
        shutil.copytree(_cut(lab, f"work-{lab}"), tree)
        status, said = _make(tree, "all")
        expect(status == 0, "it does not build", said)
        _, said = _make(tree, "run", "GUEST=hello" if lab else "GUEST=none")
        expect_in(f"casita: lab {lab}, exercise {lab}.", said)
        status, said = _make(tree, "grade", f"LAB={lab}")
        score = re.search(r"^Score: (\d+)/(\d+)$", said, re.MULTILINE)
        expect(score is not None and status != 0, "make grade", said)
        assert score
        expect(int(score[1]) * 5 <= int(score[2]), "more than a fifth of the marks, untouched", said)
        for earlier in range(lab):
            status, said = _make(tree, "grade", f"LAB={earlier}")
            # Lab 1's exits are dealt with in exit.c from lab 2 on, and that has a hole now.
            if earlier == 0:
                expect(status == 0, f"lab {earlier} is not full in lab {lab}'s handout", said)


def _reference_completes_it(lab: int) -> None:
    """Handout and reference make the stage, byte for byte."""
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        cut_tree(lab, lab - 1, base / "handout")
        cut_tree(lab, lab, base / "stage")
        diff = shell(["git", "diff", "--no-index", "--binary", "handout", "stage"], cwd=base).stdout
        patch = base / "reference.patch"
        patch.write_text(diff.replace("a/handout/", "a/").replace("b/stage/", "b/"))
        touched = set(re.findall(r"^\+\+\+ b/(.*)$", patch.read_text(), re.MULTILINE))
        allowed = set(re.findall(r'"(src/[^"]+)"', (lab_folders()[lab] / "lab.toml").read_text()))
        expect(touched == allowed, f"the reference touches {sorted(touched ^ allowed)} or lab.toml does")
        _git(base / "handout", "init", "-q", ".")
        _git(base / "handout", "apply", str(patch))
        shutil.rmtree(base / "handout" / ".git")
        result = shell(["diff", "-r", "handout", "stage"], cwd=base)
        expect(result.returncode == 0, "handout and reference are not the stage", result.stdout)


def _carries_own_work(lab: int) -> None:
    """SINCE: a student's own lab, and the patch, make the next lab with that work in it."""
    own = _cut(lab - 1, f"own-{lab - 1}")
    patches = _cut(lab, f"since-{lab}", f"SINCE={lab - 1}")
    with tempfile.TemporaryDirectory() as folder:
        cut_tree(lab - 1, lab - 1, Path(folder) / "done")
        shutil.copytree(Path(folder) / "done", own, dirs_exist_ok=True)
        _git(own, "add", "-A")
        _git(own, "-c", "user.name=s", "-c", "user.email=s", "commit", "-qm", "my work")
        text = (patches / "README.md").read_text()
        expect_in("git apply --3way", text)
        _git(own, "apply", "--3way", str(patches / f"lab-{lab}-since-{lab - 1}.patch"))
        for words in re.findall(r"^    git rm (.*)$", text, re.MULTILINE):
            _git(own, "rm", "-q", "-f", *words.split())
        cut_tree(lab, lab - 1, Path(folder) / "next")
        result = shell(["diff", "-r", "-x", ".git", str(own), str(Path(folder) / "next")])
        expect(result.returncode == 0, "it is not the next handout with that work", result.stdout)


def _staff_story() -> None:
    """STAFF=1: a commit a stage, with a message worth reading."""
    out = _cut(0, "staff", "STAFF=1")
    tags = set(_git(out, "tag").split())
    for lab in _LABS:
        expect({f"lab-{lab}", f"stage-{lab}"} <= tags, f"tags of lab {lab}", str(tags))
        body = _git(out, "log", "-1", "--format=%B", f"stage-{lab}")
        expect(len(body.split()) > 20, "a message worth reading", body)


def _refused() -> None:
    """What cannot be cut is one sentence."""
    for words, text in (
        (["LAB=99", "OUT=build/x"], "LAB=99"),
        (["LAB=1"], "OUT="),
        (["LAB=1", "SINCE=1", "OUT=build/x"], "SINCE=1"),
        (["LAB=1", f"OUT={ROOT / 'src'}"], "not empty"),
    ):
        result = shell(["make", "-s", "handout", *words])
        expect(result.returncode != 0 and text in result.stdout, f"{words}", result.stdout)


def tests() -> list[Test]:
    """A few tests a lab."""
    return [
        Test("refused", _refused),
        Test("staff", _staff_story, weight=10),
        *(Test(f"secrets-{lab}", partial(_holds_no_secret, lab), weight=5) for lab in _LABS),
        *(Test(f"works-{lab}", partial(_works_by_itself, lab), weight=20) for lab in _LABS),
        *(Test(f"reference-{lab}", partial(_reference_completes_it, lab), weight=4) for lab in _LABS),
        *(Test(f"since-{lab}", partial(_carries_own_work, lab), weight=5) for lab in _LABS[1:]),
    ]

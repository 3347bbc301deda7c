# SPDX-License-Identifier: BSD-3-Clause
"""What the grader's unit tests share: a little house of three files that compiles in a moment, its
lab, and a runner that looks for words in the image instead of booting it."""

from __future__ import annotations

import io
import subprocess
import sys
import tempfile
import unittest
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Mapping, Sequence
from unittest import mock

ROOT = Path(__file__).resolve().parent.parent.parent
if str(ROOT / "grader") not in sys.path:
    sys.path.insert(0, str(ROOT / "grader"))

from common import CasitaError  # noqa: E402
from grading import one, trees  # noqa: E402
from grading.model import Lab, Test, TestResult, Verdict  # noqa: E402

MAKEFILE = """\
O ?= ../build
objs := $(O)/main.o $(O)/vcpu.o
all: $(O)/casita.elf
$(O)/%.o: %.c
\t@mkdir -p $(O)
\t@echo $< >>$(O)/compiled
\t@$(CC) -Wall -Wextra -Werror -ffreestanding -fno-pic -MMD -MP -g -c -o $@ $<
$(O)/casita.elf: $(objs)
\t@ld -Ttext=0x100000 -o $(O)/casita.elf64 $(objs)
\t@cp $(O)/casita.elf64 $@
-include $(objs:.o=.d)
"""
MAIN = '#include "house.h"\nvoid _start(void) { vcpu_run(ROOMS); }\n'
HOUSE = "#define ROOMS 1\nvoid vcpu_run(int rooms);\n"
HOLE = '#include "house.h"\n\nvoid vcpu_run(int rooms)\n{\n\t(void)rooms; /* LAB 1 */\n}\n'
SOLVED = HOLE.replace(
    "\t(void)rooms; /* LAB 1 */\n",
    '\tstatic const volatile char words[] = "does-enter does-exits";\n\t(void)words[rooms];\n',
)
FILES = {"src/Makefile": MAKEFILE, "src/main.c": MAIN, "src/house.h": HOUSE, "README.md": "A house.\n"}
LAB_TOML = """\
lab = 1
name = "world switch"
hours = "6-8"
files = ["src/vcpu.c"]
[[test]]
name = "enter"
title = "the guest is entered"
points = 5
exercise = "1.1"
hint = "Look at VMRUN."
kind = "program"
run = "enter"
[[test]]
name = "exits"
title = "all registers survive exits"
points = 10
exercise = "1.2"
hint = "Look at what is pushed."
kind = "program"
run = "exits"
options = { exits = 3 }
"""


def make_test(name: str, points: int = 10, **more: Any) -> Test:
    """A test of lab 1."""
    words = {"title": f"{name} works", "exercise": "1.1", "hint": "Think.", "kind": "program"}
    return Test(**{**words, "name": name, "points": points, "run": name, "lab": 1, **more})


LAB = Lab(1, "world switch", ROOT / "labs" / "1-world-switch", ("src/vcpu.c",),
          (make_test("enter", 5), make_test("exits", 10)))


def write(root: Path, files: Mapping[str, str | bytes]) -> Path:
    """Write files below a folder."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


def diff(old: Mapping[str, str], new: Mapping[str, str], *options: str) -> bytes:
    """What `git diff` says of two sets of files."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        git(root, "init", "-q")
        write(root, old)
        git(root, "add", "-A", "-f")
        git(root, "commit", "-q", "--allow-empty", "-m", "old")
        git(root, "rm", "-rqf", "--ignore-unmatch", ".")
        write(root, new)
        git(root, "add", "-A", "-f")
        return git(root, "diff", "--cached", "--no-renames", *options, "HEAD")


def git(root: Path, *words: str) -> bytes:
    """git, with nobody's settings."""
    who = ("-c", "user.name=t", "-c", "user.email=t", "-c", "init.defaultBranch=main")
    env = {"PATH": "/usr/bin:/bin", "HOME": str(root), "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(["git", *who, *words], cwd=root, env=env, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


class FakeRunner:
    """A test passes if the image has the words does-NAME; some words bring it to other ends."""

    def __init__(self) -> None:
        self.prepared = 0

    def prepare(self, lab: Lab, tests: Sequence[Test], seed: int, directory: Path) -> Any:
        """Nothing to prepare."""
        assert directory.is_dir() and tests and lab.number
        self.prepared += 1
        return seed

    def run_test(self, test: Test, image: Path, prepared: Any, directory: Path) -> TestResult:
        """Look for the words."""
        assert directory.is_dir() and not list(directory.iterdir())
        content = image.read_bytes()
        if f"upsets-{test.run}".encode() in content:
            raise CasitaError("QEMU was killed from outside")
        if f"bug-{test.run}".encode() in content:
            raise ValueError("a bug of the grader")
        if f"loops-{test.run}".encode() in content:
            return TestResult(test, Verdict.LIMIT, 0, "too many exits", {"exits": 5001})
        if f"does-{test.run}".encode() in content:
            return TestResult(test, Verdict.PASS, test.points, "", {"exits": prepared}, 0.25)
        message = f"expected does-{test.run}\nseen nothing"
        return TestResult(test, Verdict.FAIL, 0, message, {"exits": 0}, 0.25, ["cpuid at 0x1000"])

    def commands(self, test: Test, image: Path, prepared: Any, directory: Path) -> dict[str, Any]:
        """As runner.py's."""
        return {"gdb": ["true", "-gdb", "tcp::1234"]}


class HouseCase(unittest.TestCase):
    """A test with the little house as handout and reference, and folders of its own."""

    cache: Path

    @classmethod
    def setUpClass(cls) -> None:
        folder = tempfile.TemporaryDirectory()  # pylint: disable=consider-using-with
        cls.addClassCleanup(folder.cleanup)
        cls.cache = Path(folder.name)

    def setUp(self) -> None:
        self.stack = ExitStack()
        self.addCleanup(self.stack.close)
        self.root = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        self.patch(trees, "CACHE", self.cache)
        self.handout = self.basis("handout", {**FILES, "src/vcpu.c": HOLE})
        self.reference = self.basis("reference", {**FILES, "src/vcpu.c": SOLVED})
        self.patch(trees, "handout", lambda stage: self.handout)
        self.patch(trees, "reference", lambda stage: self.reference)
        self.runner = FakeRunner()
        self._folders = 0

    def patch(self, owner: Any, name: str, value: Any) -> None:
        """Put something in another's place for this test."""
        self.stack.enter_context(mock.patch.object(owner, name, value))

    def basis(self, key: str, files: Mapping[str, str], stage: int = 1) -> trees.Basis:
        """A tree in the cache."""
        return trees.make_basis(key, stage, lambda tree: write(tree, files) and None)

    def folder(self) -> Path:
        """A new, empty folder."""
        self._folders += 1
        path = self.root / f"folder-{self._folders}"
        path.mkdir()
        return path

    def vcpu_patch(self, content: str) -> bytes:
        """A student's patch that puts this into src/vcpu.c."""
        return diff({"src/vcpu.c": HOLE}, {"src/vcpu.c": content})

    def order(self, submission: one.Submission, **more: Any) -> one.Order:
        """An order to grade that."""
        words = {"lab": LAB, "tests": LAB.tests, "seed": 7, "stage": 1, "files": LAB.files, "jobs": 2}
        return one.Order(submission=submission, **{**words, **more})


class Text(io.StringIO):
    """What a person would read."""

# SPDX-License-Identifier: BSD-3-Clause
"""The same patch and seed give the same result, byte for byte but for the times: beside other work on
all processors, and out of a regrade bundle."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import unittest
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from support import ROOT
from grading import trees

_TESTS = ("answers", "many", "interrupted")  # arithmetic, two thousand exits, the host's own interrupts
_WRONG = ("\tif (!(vmcb->rflags & RFLAGS_IF))\n", "\tvcpu->gpr[7] ^= vcpu->gpr[0] & 1;\n\tif (!(vmcb->rflags & RFLAGS_IF))\n")
_BUSY = "import time; end = time.monotonic() + 60\nwhile time.monotonic() < end: pass"


class Reproduce(unittest.TestCase):
    """Lab 1's reference, made wrong a little, handed in as a tree."""

    def setUp(self) -> None:
        self.stack = ExitStack()
        self.addCleanup(self.stack.close)
        self.folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        self.tree = self.folder / "tree"
        reference = trees.reference(1)
        assert reference
        shutil.copytree(reference.tree, self.tree)
        path = self.tree / "src" / "svm" / "run.c"
        text = path.read_text()
        self.assertIn(_WRONG[0], text)
        path.write_text(text.replace(*_WRONG))

    def run_grader(self, *words: str) -> tuple[int, str]:
        """Its status, and what it says."""
        done = subprocess.run(
            ["grader/grade", *words], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout

    def grade(self, number: int, test: str, *words: str) -> dict[str, Any]:
        """The result of one test, without the times."""
        out = self.folder / f"{number}.json"
        said = self.run_grader("one", "--lab", "1", "--tree", str(self.tree), "--seed", "77", "--test", test,
                               "--out", str(out), *words)[1]
        self.assertTrue(out.is_file(), said)
        document: dict[str, Any] = json.loads(out.read_text())
        del document["times"]
        return document

    def test_under_load(self) -> None:
        idle = [self.grade(0, test) for test in _TESTS]
        for _ in range(len(os.sched_getaffinity(0))):
            busy = self.stack.enter_context(subprocess.Popen([sys.executable, "-c", _BUSY]))
            self.stack.callback(busy.kill)
        loaded = [self.grade(1, test) for test in _TESTS]
        self.assertEqual(json.dumps(idle, indent=1), json.dumps(loaded, indent=1))
        self.assertGreater(idle[1]["tests"][0]["evidence"]["exits"], 5)

    def test_bundle(self) -> None:
        bundle = self.folder / "bundle.tar"
        self.grade(0, "answers", "--bundle", str(bundle))
        status, said = self.run_grader("regrade", str(bundle))
        self.assertEqual((status, said.splitlines()[-1]), (0, "FAIL, 0/10: the same result as in the bundle"), said)
        with tarfile.open(bundle) as archive:
            archive.extractall(self.folder / "all")
        for name in ("tests/answers/qemu.log", "tests/answers/count.txt", "casita.elf", "README"):
            self.assertTrue((self.folder / "all" / name).is_file(), name)
        result = self.folder / "all" / "result.json"
        result.write_text(result.read_text().replace('"score": 0', '"score": 10'))
        with tarfile.open(bundle, "w") as archive:
            archive.add(self.folder / "all", "")
        status, said = self.run_grader("regrade", str(bundle))
        self.assertEqual(status, 1, said)
        self.assertIn("score: it was 10, and is 0", said)

    def test_no_bundle(self) -> None:
        for content in (b"", b"x" * 2000):
            (self.folder / "no.tar").write_bytes(content)
            status, said = self.run_grader("regrade", str(self.folder / "no.tar"))
            self.assertEqual(status, 2, said)
            self.assertIn("no regrade bundle", said)


if __name__ == "__main__":
    unittest.main()

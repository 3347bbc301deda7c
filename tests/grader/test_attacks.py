# SPDX-License-Identifier: BSD-3-Clause
"""Attacks on the grader. None gains a point, none ends as INFRA, and the next submission is as before."""

from __future__ import annotations

import json
import os
import socket
import tempfile
import unittest
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable
from unittest import mock

from support import ROOT
from attacks.escapes import ESCAPES, Escape
from attacks.patches import PATCHES, TOP, Refused
from attacks.sources import CHEATS, Cheat
from common import scratch_directory
from grading import build, contain, one, report, sandbox, trees
from grading.lab import read_lab
from grading.model import Result, Verdict

SEED = 20_261_122
SECRET = "S3CRET"
_SMALL = replace(build._LIMITS, cpu_seconds=4, file_bytes=8 << 20, memory_bytes=512 << 20)  # pylint: disable=protected-access


class Attack(unittest.TestCase):
    """Attacks on lab 1."""

    prepared: Any
    runner: one.Runner

    @classmethod
    def setUpClass(cls) -> None:
        cls.enterClassContext(mock.patch.dict(os.environ, {"CASITA_SECRET": SECRET}))
        cls.enterClassContext(mock.patch.object(build, "_LIMITS", _SMALL))
        cls.lab = read_lab(1)
        tests = [test for test in cls.lab.tests if test.name in ("answers", "registers64")]
        cls.tests = {test.name: replace(test, instructions=12_000_000, exits=2500) for test in tests}
        cls.lab = replace(cls.lab, tests=tuple(cls.tests.values()))
        cls.runner = one.the_runner()
        folder = tempfile.TemporaryDirectory()  # pylint: disable=consider-using-with
        cls.addClassCleanup(folder.cleanup)
        cls.prepared = cls.runner.prepare(cls.lab, tests, SEED, Path(folder.name))
        cls.handout, reference = trees.handout(1), trees.reference(1)
        assert reference
        cls.reference = reference

    def grade(self, submission: one.Submission, test: str = "answers") -> Result:
        """Grade it by one test."""
        order = one.Order(self.lab, (self.tests[test],), submission, SEED, 1, self.lab.files)
        with scratch_directory() as folder:
            result = one.grade(order, folder, runner=self.runner, prepared=self.prepared)
        self.assertFalse(folder.exists())
        text = json.dumps(report.as_json(result), ensure_ascii=False)
        self.assertNotRegex(text, r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")
        self.assertNotIn(SECRET, text)
        return result

    def refused(self, attack: Refused) -> None:
        """The gate does not let it in, and says so in a line that is not git's."""
        patch, mark, path = attack.patch.partition(TOP)
        if mark:
            top = (self.handout.tree / path.decode()).read_bytes().splitlines()[:3]
            patch += b"".join(b" %s\n" % line for line in top)
        result = self.grade(one.Submission(patch=patch))
        self.assertEqual((result.verdict, result.score), (Verdict.REJECTED, 0), result.message)
        said = report.clean(result.message)
        self.assertIn(attack.said, said)
        self.assertIn("git diff lab-1", said)

    def cheats(self, attack: Cheat) -> None:
        """It ends as it must."""
        subjects = self.prepared.subjects
        edits = attack.edits(subjects["answers"][0], subjects["registers64"][0])
        with tempfile.TemporaryDirectory() as name:
            tree = Path(name)
            for path in self.lab.files:
                (tree / path).parent.mkdir(parents=True, exist_ok=True)
                text = (self.reference.tree / path).read_text()
                old, new = edits.get(path, ("", ""))
                self.assertIn(old, text)
                new = new.replace("@ROOT@", str(ROOT))
                text = text.replace(old, new, 1) if old else text
                (tree / path).write_bytes(text.encode(errors="surrogateescape"))
            result = self.grade(one.Submission(tree=tree), attack.test)
        said = report.clean(f"{result.message}{result.results[0].message}")
        self.assertEqual(result.results[0].verdict, attack.verdict, said)
        self.assertEqual(result.score, 10 if attack.verdict is Verdict.PASS and attack.test == "answers" else 0)
        self.assertIn(attack.said, said)
        self.assertNotIn(attack.unsaid, said)
        if attack.counted:
            self.assertGreater(result.results[0].evidence[attack.counted], 0)

    def escapes(self, attack: Escape) -> None:
        """It gets nowhere, and leaves nothing."""
        seconds = 1.5 if attack.exceeded == "seconds" else 60.0  # who runs into another limit may take its time
        limits = contain.Limits(seconds=seconds, cpu_seconds=20, file_bytes=48 << 20, processes=24,
                                memory_bytes=1024 << 20, memory_sum=512 << 20, disk_bytes=160 << 20)
        with socket.create_server(("127.0.0.1", 0)) as server, tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            port = str(server.getsockname()[1])
            script = attack.script.replace("@ROOT@", str(ROOT)).replace("@PORT@", port)
            ended = contain.run(["sh", "-c", script], folder, limits)
            self.assertEqual(ended.exceeded, attack.exceeded, ended.text[:500])
            if not attack.exceeded and attack.name != "kill-all":
                self.assertEqual(ended.text, "ok\n")
            for path in folder.rglob("*"):
                self.assertTrue(path.is_dir() or path.is_file() and not path.is_symlink(), path)
                if path.is_file() and path.stat().st_size < 100:
                    path.read_bytes()
        self.assertFalse(folder.exists())
        self.assertEqual(_strangers(), [])

    def test_the_reference_is_as_before(self) -> None:
        """Graded again, it gives the same result; and there is a sandbox to speak of."""
        documents = []
        for _ in range(2):
            result = self.grade(one.Submission())
            documents.append(report.as_json(result))
            documents[-1].pop("times")
        self.assertEqual(documents[0], documents[1])
        self.assertEqual((documents[0]["verdict"], documents[0]["score"]), ("PASS", 10))
        self.assertEqual(documents[0]["sandbox"], sandbox.BOTH if os.geteuid() == 0 else sandbox.BWRAP)

    def test_there_are_enough(self) -> None:
        """Forty is what was promised."""
        names = [attack.name for attack in (*PATCHES, *CHEATS, *ESCAPES)]
        self.assertGreaterEqual(len(set(names)), 40)


def _strangers() -> list[str]:
    """Processes of the sandbox's users, or of the scripts above."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if b"987654321" in (path / "cmdline").read_bytes():
                found.append(path.name)
    return found


def _add(group: str, name: str, check: Callable[[Attack], None]) -> None:
    setattr(Attack, f"test_{group}_{name.replace('-', '_')}", check)


for _patch in PATCHES:
    _add("refused", _patch.name, lambda self, attack=_patch: self.refused(attack))
for _cheat in CHEATS:
    _add("cheat", _cheat.name, lambda self, attack=_cheat: self.cheats(attack))
for _escape in ESCAPES:
    _add("escape", _escape.name, lambda self, attack=_escape: self.escapes(attack))


if __name__ == "__main__":
    unittest.main()

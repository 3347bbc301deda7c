# SPDX-License-Identifier: BSD-3-Clause
"""A class of the little house: grading it, stopping and going on."""

from __future__ import annotations

import csv
import json
import threading
import unittest
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

from support import LAB, SOLVED, HouseCase, Text, one, trees, write
from common import CasitaError
from grading import contain
from grading.model import Test, TestResult

if trees.STAFF:
    from staff.course import folder as folders, run, similar, work

WRONG = SOLVED.replace("does-exits", "no")


class House(HouseCase):
    """A class of the little house, and a folder for its results."""

    def setUp(self) -> None:
        super().setUp()
        self.patch(run, "read_lab", lambda number: LAB)
        self.patch(folders, "BUILD", self.root / "build")
        self.patch(work, "scratch_directory", self.scratch)
        self.patch(similar, "scratch_directory", self.scratch)
        self.subs, self.out = self.root / "subs", self.root / "out"
        self.subs.mkdir()

    def scratch(self) -> Any:
        """An own folder in place of one below build/."""
        return mock.MagicMock(__enter__=lambda _: self.folder(), __exit__=lambda *_: None)

    def hand_in(self, **submissions: Any) -> None:
        """A student each: the contents of src/vcpu.c, or bytes as they are."""
        for name, content in submissions.items():
            data = content if isinstance(content, bytes) else self.vcpu_patch(content)
            (self.subs / f"{name}.patch").write_bytes(data)

    def grade(self, **more: Any) -> tuple[int, str]:
        """Grade the class: status and what was said."""
        wish = run.Wish(1, self.subs, self.out, 7, 2)
        said = Text()
        with mock.patch("sys.stdout", said):
            status = run.run(replace(wish, **more), self.runner)
        return status, said.getvalue()

    def rows(self) -> dict[str, dict[str, str]]:
        """results.csv by id."""
        with open(self.out / "results.csv", encoding="utf-8", newline="") as file:
            return {row["id"]: row for row in csv.DictReader(file)}


@unittest.skipUnless(trees.STAFF, "classes are the staff's")
class Class(House):
    """Grading."""

    def test_everybody(self) -> None:
        self.hand_in(ann=SOLVED, ben=WRONG, cyd=SOLVED.replace("static", "statik"), dan=b"no patch", eve=b"")
        status, said = self.grade()
        self.assertEqual(status, 0, said)
        self.assertEqual(self.runner.prepared, 1)
        rows = self.rows()
        scores = {name: (row["score"], row["verdict"]) for name, row in rows.items()}
        self.assertEqual(scores, {"ann": ("15", "PASS"), "ben": ("5", "FAIL"), "cyd": ("0", "BUILD"),
                                  "dan": ("0", "REJECTED"), "eve": ("0", "REJECTED")})
        self.assertEqual(list(rows["ben"]), ["id", "score", "max_score", "verdict", "enter", "exits"])
        self.assertEqual((rows["ben"]["enter"], rows["ben"]["exits"]), ("PASS", "FAIL"))
        document = json.loads((self.out / "students" / "ben" / "result.json").read_text())
        self.assertEqual((document["schema"], document["score"], document["seed"]), ("casita/result/v1", 5, 7))
        self.assertIn("5/5", said)
        self.assertEqual(list((self.root / "build").glob("run/*")), [])

    def test_goes_on(self) -> None:
        self.hand_in(ann=SOLVED, ben=WRONG)
        self.grade()
        before = {path: path.stat().st_mtime_ns for path in self.out.glob("students/*/result.json")}
        self.hand_in(cyd=SOLVED)
        self.hand_in(ben=SOLVED)  # handed in again
        (self.out / "students" / "ann" / "index.html").unlink()
        status, said = self.grade()
        self.assertEqual(status, 0)
        self.assertIn("1 of them before", said)
        after = {path.parent.name: path.stat().st_mtime_ns for path in before}
        self.assertEqual(after["ann"], before[self.out / "students" / "ann" / "result.json"])
        self.assertEqual({name: row["score"] for name, row in self.rows().items()},
                         {"ann": "15", "ben": "15", "cyd": "15"})
        self.assertTrue((self.out / "students" / "ann" / "index.html").is_file())

    def test_half_done_is_redone(self) -> None:
        self.hand_in(ann=SOLVED, ben=SOLVED, cyd=SOLVED)
        self.grade()
        students = self.out / "students"
        (students / "ann" / "entry.json").unlink()
        (students / "ben" / "result.json").write_text('{"verdict": "PA')
        (students / "cyd" / "result.json.new").write_text("half")
        leftover = folders.Folder(self.out.absolute()).work(99)
        write(leftover, {"big": b"x"})
        _, said = self.grade()
        self.assertIn("1 of them before", said)
        self.assertEqual({row["score"] for row in self.rows().values()}, {"15"})
        self.assertFalse(leftover.exists())

    def test_infra_is_no_mark_and_is_graded_again(self) -> None:
        self.hand_in(ann=SOLVED, ben=SOLVED.replace("does-exits", "upsets-exits"))
        status, said = self.grade()
        self.assertEqual(status, 3)
        self.assertIn("ben: INFRA no mark", said)
        self.assertEqual((self.rows()["ben"]["score"], self.rows()["ben"]["verdict"]), ("", "INFRA"))
        self.assertIn("1 without a mark", said)
        _, said = self.grade()
        self.assertIn("1 of them before", said)

    def test_a_bug_stops_nobody_else(self) -> None:
        self.hand_in(ann=SOLVED, ben=SOLVED, cyd=SOLVED)
        grade = one.grade

        def sometimes(order: one.Order, *rest: Any, **more: Any) -> Any:
            if order.submission.patch and b"BUG" in order.submission.patch:
                raise MemoryError("a bug")
            return grade(order, *rest, **more)

        self.hand_in(ben=SOLVED + "/* BUG */\n")
        self.patch(one, "grade", sometimes)
        status, said = self.grade()
        self.assertEqual(status, 3, said)
        self.assertEqual({name: row["verdict"] for name, row in self.rows().items()},
                         {"ann": "PASS", "ben": "INFRA", "cyd": "PASS"})

    def test_control_c(self) -> None:
        self.hand_in(ann=SOLVED, ben=SOLVED.replace("does-exits", "no"), cyd=SOLVED)
        run_test, seen = self.runner.run_test, threading.Event()

        def slow(test: Test, image: Path, *rest: Any) -> TestResult:
            if b"does-exits" not in image.read_bytes():
                seen.set()
                stopped.wait(10)  # killed under it: what comes out now is nobody's mark
            return run_test(test, image, *rest)

        def interrupted(*_: Any) -> None:
            seen.wait(10)
            raise KeyboardInterrupt

        stopped = threading.Event()
        self.patch(self.runner, "run_test", slow)
        with mock.patch.object(contain, "stop_all", stopped.set), \
             mock.patch.object(run.Progress, "ended", interrupted), self.assertRaises(KeyboardInterrupt):
            self.grade()
        self.assertEqual(self.rows()["ben"]["verdict"], "")
        self.assertFalse((self.out / "students" / "ben" / "result.json").exists())
        self.patch(self.runner, "run_test", run_test)
        self.assertEqual(self.grade()[0], 0)
        self.assertEqual(self.rows()["ben"]["verdict"], "FAIL")

    def test_marks_of_two_kinds_are_not_mixed(self) -> None:
        self.hand_in(ann=SOLVED)
        self.grade()
        with self.assertRaisesRegex(CasitaError, "another lab, seed or grader .*seed 7"):
            self.grade(seed=8)
        self.assertEqual(self.grade(seed=8, again=("all",))[0], 0)
        self.assertEqual(json.loads((self.out / "students/ann/result.json").read_text())["seed"], 8)

    def test_again(self) -> None:
        self.hand_in(ann=SOLVED, ben=SOLVED)
        self.grade()
        self.assertIn("1 of them before", self.grade(again=("ben",))[1])
        with self.assertRaisesRegex(CasitaError, "--again bob: nobody"):
            self.grade(again=("bob",))

    def test_two_at_once(self) -> None:
        self.hand_in(ann=SOLVED)
        with folders.Folder(self.out.absolute()).alone():
            with self.assertRaisesRegex(CasitaError, "another grader works"):
                self.grade()

    def test_asked_wrongly(self) -> None:
        with self.assertRaisesRegex(CasitaError, "is empty"):
            self.grade()
        self.hand_in(ann=SOLVED)
        with self.assertRaisesRegex(CasitaError, "inside"):
            self.grade(out=self.subs / "results")
        with self.assertRaisesRegex(CasitaError, "not a folder"):
            self.grade(submissions=self.root / "none")


if __name__ == "__main__":
    unittest.main()

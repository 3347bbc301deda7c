# SPDX-License-Identifier: BSD-3-Clause
"""Grading one submission: every verdict, and that nothing but the submission and the seed matters."""

from __future__ import annotations

import shutil
import threading
import unittest
from dataclasses import replace
from pathlib import Path
from typing import Any, Sequence
from unittest import mock

from support import LAB, FakeRunner, HouseCase, SOLVED
from common import CasitaError
from grading import by_hand, one, trees
from grading.model import Lab, Result, Test, TestResult, Verdict
from grading.report import as_json

INFRA_CONTROL = "Control run: "


class One(HouseCase):
    """Submissions to the little house."""

    def grade(self, submission: one.Submission, **more: Any) -> Result:
        """Grade it."""
        return one.grade(self.order(submission, **more), self.folder(), runner=self.runner)

    def grade_source(self, content: str) -> Result:
        """Grade the patch that makes this of src/vcpu.c."""
        return self.grade(one.Submission(patch=self.vcpu_patch(content)))

    def test_full_marks(self) -> None:
        result = self.grade_source(SOLVED)
        self.assertEqual((result.verdict, result.score, one.exit_status(result)), (Verdict.PASS, 15, 0))
        self.assertEqual([each.test.name for each in result.results], ["enter", "exits"])
        self.assertEqual(result.results[0].evidence, {"exits": 7})
        self.assertEqual((len(result.image_sha256), len(result.submission_sha256)), (64, 64))
        for phase in ("gate", "build", "prepare", "run", "first_verdict", "total"):
            self.assertIn(phase, result.seconds)

    def test_some_marks(self) -> None:
        result = self.grade_source(SOLVED.replace("does-exits", "loops-exits"))
        self.assertEqual((result.verdict, result.score, one.exit_status(result)), (Verdict.FAIL, 5, 1))
        self.assertEqual(result.results[1].verdict, Verdict.LIMIT)

    def test_does_not_build(self) -> None:
        result = self.grade_source(SOLVED.replace("static", "statik"))
        self.assertEqual((result.verdict, result.score, one.exit_status(result)), (Verdict.BUILD, 0, 1))
        self.assertIn("src/vcpu.c:5:", result.message)
        self.assertEqual([each.verdict for each in result.results], [Verdict.BUILD, Verdict.BUILD])

    def test_rejected(self) -> None:
        result = self.grade(one.Submission(patch=b""))
        self.assertEqual((result.verdict, result.score, one.exit_status(result)), (Verdict.REJECTED, 0, 1))
        self.assertIn("empty", result.message)
        self.assertEqual(self.runner.prepared, 0)

    def test_infra_and_its_control_run(self) -> None:
        result = self.grade_source(SOLVED.replace("does-exits", "upsets-exits"))
        self.assertEqual((result.verdict, one.exit_status(result)), (Verdict.INFRA, 3))
        self.assertEqual(result.results[0].verdict, Verdict.PASS)
        self.assertIn("killed from outside", result.results[1].message)
        self.assertIn(INFRA_CONTROL + "the reference ends with PASS", result.results[1].message)
        self.assertIsNone(as_json(result)["score"])

    def test_infra_of_a_bug(self) -> None:
        result = self.grade_source(SOLVED.replace("does-exits", "bug-exits"))
        self.assertEqual(result.verdict, Verdict.INFRA)
        self.assertIn("ValueError: a bug of the grader", result.results[1].message)

    def test_infra_with_the_reference_too(self) -> None:
        self.reference = self.basis("upset", {**_files(self.reference.tree),
                                              "src/vcpu.c": SOLVED.replace("does-exits", "upsets-exits")})
        result = self.grade(one.Submission())
        self.assertIn(INFRA_CONTROL + "the reference has trouble too", result.results[1].message)

    def test_infra_without_a_reference(self) -> None:
        self.patch(trees, "reference", lambda stage: None)
        result = self.grade_source(SOLVED.replace("does-exits", "upsets-exits"))
        self.assertIn(INFRA_CONTROL + "none", result.results[1].message)

    def test_infra_of_preparation(self) -> None:
        def fails(*_: Any) -> Any:
            raise CasitaError("no room on the disk")

        self.patch(self.runner, "prepare", fails)
        result = self.grade_source(SOLVED)
        self.assertEqual((result.verdict, result.message), (Verdict.INFRA, "no room on the disk"))
        self.assertEqual({each.verdict for each in result.results}, {Verdict.INFRA})

    def test_nothing_given_is_the_reference(self) -> None:
        self.assertEqual(self.grade(one.Submission()).score, 15)

    def test_tree_and_patch_are_the_same(self) -> None:
        tree = self.folder() / "student"
        shutil.copytree(self.handout.tree, tree)
        (tree / "src" / "vcpu.c").write_text(SOLVED)
        by_tree, by_patch = self.grade(one.Submission(tree=tree)), self.grade_source(SOLVED)
        self.assertEqual(_without_times(by_tree), _without_times(by_patch))

    def test_same_again(self) -> None:
        wrong = SOLVED.replace("does-exits", "loops-exits")
        self.assertEqual(_without_times(self.grade_source(wrong)), _without_times(self.grade_source(wrong)))

    def test_one_test_only(self) -> None:
        result = self.grade(one.Submission(), tests=LAB.tests[1:])
        self.assertEqual((result.score, as_json(result)["max_score"]), (10, 10))

    def test_prepared_before(self) -> None:
        order = self.order(one.Submission())
        result = one.grade(order, self.folder(), runner=self.runner, prepared=9)
        self.assertEqual((result.results[0].evidence, self.runner.prepared), ({"exits": 9}, 0))

    def test_side_by_side_and_in_order(self) -> None:
        meeting = threading.Barrier(2, timeout=10)
        last = threading.Event()
        run_test = self.runner.run_test
        heard: list[str] = []

        def slow_first(test: Test, *rest: Any) -> TestResult:
            meeting.wait()
            if test.name == "enter":
                last.wait(10)
            return run_test(test, *rest)

        def hear(result: TestResult) -> None:
            heard.append(result.test.name)
            last.set()

        self.patch(self.runner, "run_test", slow_first)
        listener = one.Listener(ended=hear)
        result = one.grade(self.order(one.Submission()), self.folder(), listener, self.runner)
        self.assertEqual(heard, ["exits", "enter"])
        self.assertEqual([each.test.name for each in result.results], ["enter", "exits"])

    def test_control_c_stops(self) -> None:
        def interrupted(_: TestResult) -> None:
            raise KeyboardInterrupt

        with mock.patch.object(one.contain, "stop_all") as stop_all:
            with self.assertRaises(KeyboardInterrupt):
                one.grade(self.order(one.Submission()), self.folder(), one.Listener(ended=interrupted),
                          self.runner)
        stop_all.assert_called_once()

    def test_by_hand(self) -> None:
        order = replace(self.order(one.Submission()), tests=LAB.tests[:1])
        folder = self.folder()
        with mock.patch("builtins.print") as said:
            self.assertEqual(by_hand.under_gdb(order, folder, self.runner), 0)
        self.assertIn("gdb -x", str(said.mock_calls))
        script = (folder / "gdbinit").read_text()
        self.assertIn("target remote 127.0.0.1:1234", script)
        self.assertTrue(Path(script.split()[1]).is_file())


class AnotherRunner(FakeRunner):
    """Sees what it is given."""

    def prepare(self, lab: Lab, tests: Sequence[Test], seed: int, directory: Path) -> Any:
        """Only the tests that will run."""
        assert [test.name for test in tests] == ["exits"]
        return seed


class Prepare(HouseCase):
    """prepare() is asked for what is needed."""

    def test_only_what_is_needed(self) -> None:
        order = self.order(one.Submission(), tests=LAB.tests[1:])
        self.assertEqual(one.grade(order, self.folder(), runner=AnotherRunner()).verdict, Verdict.PASS)


def _files(tree: Path) -> dict[str, str]:
    return {str(path.relative_to(tree)): path.read_text() for path in tree.rglob("*") if path.is_file()}


def _without_times(result: Result) -> dict[str, Any]:
    document = as_json(result)
    del document["times"]
    return document


if __name__ == "__main__":
    unittest.main()

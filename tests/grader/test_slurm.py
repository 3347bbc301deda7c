# SPDX-License-Identifier: BSD-3-Clause
"""A class on a cluster whose commands are stand-ins; tests/parts/slurm.py has a real one."""

from __future__ import annotations

import json
import re
import subprocess
import unittest
from typing import Callable, Sequence

from support import LAB, SOLVED, trees
import test_class
from common import CasitaError

if trees.STAFF:
    from staff.course import slurm


@unittest.skipUnless(trees.STAFF, "classes are the staff's")
class Slurm(test_class.House):
    """What is submitted, and what becomes of it."""

    def setUp(self) -> None:
        super().setUp()
        self.patch(slurm, "read_lab", lambda number: LAB)
        self.patch(slurm, "_slurm", self.slurm)
        self.patch(slurm, "_POLL", 0.0)
        self.said: list[list[str]] = []
        self.run_task: Callable[[int], bool] = lambda _: True  # does this task come to its end?
        self.queue: list[tuple[int, str]] = []  # squeue's answers

    def slurm(self, words: Sequence[str], stdin: str = "") -> subprocess.CompletedProcess[str]:
        """sbatch runs the tasks at once."""
        self.said.append(list(words))
        if words[0] == "sbatch":
            first = int(re.findall(r"\$\(\((\d+) \+", stdin)[0])
            size = int(re.findall(r"--array=0-(\d+)", " ".join(words))[0]) + 1
            for number in range(first, first + size):
                if self.run_task(number):
                    slurm.task(self.out, number, self.runner)
            return subprocess.CompletedProcess(words, 0, "17;casita\n", "")
        if words[0] == "squeue" and self.queue:
            code, text = self.queue.pop(0)
            return subprocess.CompletedProcess(words, code, "" if code else text, text if code else "")
        gone = "slurm_load_jobs error: Invalid job id specified"
        return subprocess.CompletedProcess(words, int(words[0] == "squeue"), "", gone)

    def submitted(self) -> int:
        """How often."""
        return sum(words[0] == "sbatch" for words in self.said)

    def test_the_same_results(self) -> None:
        self.hand_in(ann=SOLVED, ben=SOLVED.replace("does-exits", "no"))
        self.queue = [(0, "RUNNING\n"), (1, "Unable to contact slurm controller"), (0, "")]
        status, said = self.grade(cluster=slurm.Cluster(3, "teaching"))
        self.assertEqual(status, 0, said)
        self.assertEqual({name: row["score"] for name, row in self.rows().items()}, {"ann": "15", "ben": "5"})
        words = self.said[0]
        self.assertIn("--array=0-1%3", words)
        self.assertIn("--partition=teaching", words)
        self.assertEqual(self.queue, [])
        self.assertFalse((self.out / "slurm" / "job").exists())
        self.assertIn("2 of them before", self.grade(cluster=slurm.Cluster())[1])
        self.assertEqual(self.submitted(), 1)

    def test_lost_tasks_are_submitted_again(self) -> None:
        self.hand_in(ann=SOLVED, ben=SOLVED, cyd=SOLVED)
        self.run_task = lambda number: number == 0 or self.submitted() > 1
        status, said = self.grade(cluster=slurm.Cluster())
        self.assertEqual((status, self.submitted()), (0, 2), said)
        self.assertIn("2 tasks ended without a result", said)

    def test_never_for_ever(self) -> None:
        self.hand_in(ann=SOLVED)
        self.run_task = lambda _: False
        status, said = self.grade(cluster=slurm.Cluster())
        self.assertEqual((status, self.submitted()), (3, 3), said)
        self.assertIn("1 without a mark", said)

    def test_big_classes_are_several_jobs(self) -> None:
        self.patch(slurm, "_ARRAY", 2)
        self.hand_in(ann=SOLVED, ben=SOLVED, cyd=SOLVED)
        self.assertEqual(self.grade(cluster=slurm.Cluster())[0], 0)
        self.assertEqual(self.submitted(), 2)
        self.assertEqual({row["score"] for row in self.rows().values()}, {"15"})

    def test_a_job_left_behind_is_ended_first(self) -> None:
        self.hand_in(ann=SOLVED)
        (self.out / "slurm").mkdir(parents=True)
        (self.out / "slurm" / "job").write_text("41\n42\n; reboot\n")
        self.queue = [(0, "COMPLETING\n"), (0, "")]
        self.assertEqual(self.grade()[0], 0)
        self.assertEqual(self.said[0], ["scancel", "41", "42"])
        self.assertEqual([words[0] for words in self.said], ["scancel", "squeue", "squeue"])

    def test_refused(self) -> None:
        self.hand_in(ann=SOLVED)
        refusal = subprocess.CompletedProcess([], 1, "", "sbatch: error: invalid partition")
        self.patch(slurm, "_slurm", lambda *_: refusal)
        with self.assertRaisesRegex(CasitaError, "sbatch refused: .*invalid partition"):
            self.grade(cluster=slurm.Cluster())

    def test_another_node_does_not_mark_otherwise(self) -> None:
        self.hand_in(ann=SOLVED)
        self.grade(cluster=slurm.Cluster())
        plan = json.loads((self.out / "class.json").read_text())
        (self.out / "class.json").write_text(json.dumps({**plan, "grader": "another"}))
        with self.assertRaisesRegex(CasitaError, "would mark otherwise"):
            slurm.task(self.out, 0, self.runner)
        with self.assertRaisesRegex(CasitaError, "no task 5"):
            slurm.task(self.out, 5, self.runner)


if __name__ == "__main__":
    unittest.main()

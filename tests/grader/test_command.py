# SPDX-License-Identifier: BSD-3-Clause
"""The command line as a student has it: in a handout's repository of its own, from end to end. Only
runner.py is a stand-in, which looks for words in the image."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

from support import FILES, HOLE, LAB_TOML, ROOT, SOLVED, diff, git, write

RUNNER = '''
import time
from grading import contain
from grading.model import TestResult, Verdict

def prepare(lab, tests, seed, directory):
    return seed

def run_test(test, image, prepared, directory):
    content = image.read_bytes()
    if b"sleeps" in content:
        contain.run(["sleep", "60"], directory)
    good = ("does-" + test.run).encode() in content
    return TestResult(test, Verdict.PASS if good else Verdict.FAIL, good * test.points, "seen nothing")

def commands(test, image, prepared, directory):
    return {"gdb": ["echo", "this is QEMU", "-gdb", "tcp::1234"]}
'''


class Command(unittest.TestCase):
    """grader/grade in a handout of the little house."""

    @classmethod
    def setUpClass(cls) -> None:
        folder = tempfile.TemporaryDirectory()  # pylint: disable=consider-using-with
        cls.addClassCleanup(folder.cleanup)
        cls.pristine = Path(folder.name) / "pristine"
        (cls.pristine / "grader").mkdir(parents=True)
        for name in ("grade", "common.py"):
            shutil.copy(ROOT / "grader" / name, cls.pristine / "grader" / name)
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "grader" / "grading", cls.pristine / "grader" / "grading", ignore=ignored)
        write(cls.pristine, {**FILES, "src/vcpu.c": HOLE, "labs/1-world-switch/lab.toml": LAB_TOML,
                             "grader/grading/runner.py": RUNNER, ".gitignore": "/build/\n__pycache__/\n"})
        git(cls.pristine, "init", "-q")
        git(cls.pristine, "add", "-A")
        git(cls.pristine, "commit", "-q", "-m", "lab 1")
        git(cls.pristine, "tag", "lab-1")

    def setUp(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self.addCleanup(self._folder.cleanup)
        self.root = Path(self._folder.name) / "handout"
        shutil.copytree(self.pristine, self.root)

    def grade(self, *words: str, env: dict[str, str] | None = None) -> tuple[int, str]:
        """Its status, and what it says."""
        done = subprocess.run(
            ["grader/grade", *words], cwd=self.root, env=self._environment(env), text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        )
        self.assertNotIn("Traceback", done.stdout)
        return done.returncode, done.stdout

    def _environment(self, more: dict[str, str] | None = None) -> dict[str, str]:
        words = {key: value for key, value in os.environ.items() if not key.startswith("CASITA_")}
        return {**words, "PYTHONDONTWRITEBYTECODE": "1", **(more or {})}

    def test_untouched_and_solved(self) -> None:
        status, said = self.grade("one", "--lab", "1")
        self.assertEqual(status, 1, said)
        self.assertIn("nothing differs from lab 1's handout", said)
        self.assertIn("again: make grade LAB=1 TEST=exits", said)
        self.assertTrue(said.endswith("Score: 0/15\n"), said)
        write(self.root, {"src/vcpu.c": SOLVED, "src/main.c": "broken, but not taken\n"})
        status, said = self.grade("one", "--lab", "1")
        self.assertEqual(status, 0, said)
        self.assertIn("src/main.c", said)
        self.assertTrue(said.endswith("Score: 15/15\n"), said)
        git(self.root, "commit", "-qam", "my work")  # the tag is what counts
        shutil.rmtree(self.root / "build")
        self.assertEqual(self.grade("one", "--lab", "1")[0], 0)

    def test_patch_and_result(self) -> None:
        write(self.root, {"my.patch": diff({"src/vcpu.c": HOLE}, {"src/vcpu.c": SOLVED})})
        status, said = self.grade("one", "--lab", "1", "--patch", "my.patch", "--out", "result.json",
                                  "--seed", "5")
        self.assertEqual(status, 0, said)
        result = json.loads((self.root / "result.json").read_text())
        self.assertEqual((result["score"], result["seed"], result["verdict"]), (15, 5, "PASS"))
        self.assertEqual(list((self.root / "build" / "run").iterdir()), [])

    def test_no_sandbox(self) -> None:
        write(self.root, {"src/vcpu.c": SOLVED})
        words = ("one", "--lab", "1", "--out", "result.json")
        for more, expected in (((), "bwrap"), (("--no-sandbox",), "none")):
            self.assertEqual(self.grade(*words, *more)[0], 0)
            self.assertTrue(json.loads((self.root / "result.json").read_text())["sandbox"].startswith(expected))
        status, said = self.grade("make", env={"CASITA_LAB": "1", "CASITA_NO_SANDBOX": "yes"})
        self.assertEqual(status, 2, said)

    def test_from_make(self) -> None:
        write(self.root, {"src/vcpu.c": SOLVED})
        status, said = self.grade("make", env={"CASITA_LAB": "1", "CASITA_TEST": "exits"})
        self.assertEqual((status, said.splitlines()[-1]), (0, "Score: 10/10"), said)
        words = {"CASITA_LAB": "1", "CASITA_TEST": "exits", "CASITA_GDB": "1"}
        status, said = self.grade("make", env=words)
        self.assertEqual(status, 0, said)
        self.assertIn("gdb -x", said)
        self.assertIn("this is QEMU", said)

    def test_bad_usage(self) -> None:
        for words, message in (
            (("one", "--lab", "x"), "LAB=x is not a number"),
            (("one", "--lab", "7"), "there is no lab 7"),
            (("one", "--lab", "1", "--test", "x"), "no test named x; there are: enter exits"),
            (("one", "--lab", "1", "--seed", "-1"), "SEED=-1"),
            (("one", "--lab", "1", "--patch", "none"), "No such file"),
            (("one", "--lab", "1", "--tree", "none"), "not a folder"),
            (("one", "--lab", "1", "--gdb"), "TEST="),
            (("one",), "--lab"),
            (("bank",), "staff"),
            (("make",), "LAB=1"),
        ):
            status, said = self.grade(*words)
            self.assertEqual(status, 2, said)
            self.assertIn(message, said)

    def test_no_repository(self) -> None:
        shutil.rmtree(self.root / ".git")
        status, said = self.grade("one", "--lab", "1")
        self.assertEqual(status, 2, said)
        self.assertIn("not the git repository of lab 1's handout", said)

    def test_a_later_handout(self) -> None:
        lab_2 = LAB_TOML.replace("lab = 1", "lab = 2").replace("src/vcpu.c", "src/main.c")
        write(self.root, {"labs/2-traps/lab.toml": lab_2, "src/vcpu.c": SOLVED})
        git(self.root, "add", "-A")
        git(self.root, "commit", "-q", "-m", "lab 2")
        git(self.root, "tag", "-d", "lab-1")
        git(self.root, "tag", "lab-2")
        self.assertEqual(self.grade("one", "--lab", "1")[0], 0)
        write(self.root, {"src/main.c": "broken\n"})  # lab 2's own file counts in lab 1's tests too
        self.assertIn("BUILD", self.grade("one", "--lab", "1")[1])
        self.assertIn("BUILD", self.grade("one", "--lab", "2")[1])

    def test_build_failure(self) -> None:
        write(self.root, {"src/vcpu.c": HOLE + "int x\n"})
        status, said = self.grade("one", "--lab", "1")
        self.assertEqual(status, 1, said)
        self.assertIn("BUILD: does not build\n     src/vcpu.c:7:", said)
        self.assertTrue(said.endswith("Score: 0/15\n"), said)

    def test_control_c(self) -> None:
        write(self.root, {"src/vcpu.c": SOLVED.replace("does-enter", "sleeps")})
        for number, status in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
            process = subprocess.Popen(
                ["grader/grade", "one", "--lab", "1"], cwd=self.root, env=self._environment(),
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                # what runs in a shell's background has Ctrl-C switched off, and hands that on
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )
            with process:
                for _ in range(2400):
                    if list((self.root / "build").glob("run/*/tests/enter")):
                        break
                    time.sleep(0.05)
                process.send_signal(number)
                self.assertEqual(process.wait(120), status)
            self.assertEqual(list((self.root / "build" / "run").iterdir()), [])


if __name__ == "__main__":
    unittest.main()

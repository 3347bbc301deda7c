# SPDX-License-Identifier: BSD-3-Clause
"""The sandbox as such: with root and without, where there is none, and when the grader is killed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path
from unittest import mock

from support import ROOT
from test_contain import running
from common import CasitaError
from grading import contain, sandbox

_NOBODY = 2_000_000_999
_SCRIPT = """
import sys; from pathlib import Path
sys.path.insert(0, sys.argv[1])
from grading import contain, sandbox
ended = contain.run(["sh", "-c", sys.argv[3]], Path(sys.argv[2]), contain.Limits(seconds=20))
print(sandbox.mode(), ended.code, ended.text.strip())
"""


class Sandbox(unittest.TestCase):
    """Commands in a folder of the test's own."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name) / "folder"
        self.folder.mkdir()
        self.folder.parent.chmod(0o711)

    def script(self, text: str) -> list[str]:
        """A grader of its own that runs a shell script; its code is a copy that all may read."""
        copy = self.folder.parent / "grader"
        for name in ("common.py", "grading/__init__.py", "grading/contain.py", "grading/sandbox.py",
                     "grading/usage.py"):
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / "grader" / name, copy / name)
        return [sys.executable, "-B", "-c", _SCRIPT, str(copy), str(self.folder), text]

    def test_its_user(self) -> None:
        uid = int(contain.run(["id", "-u"], self.folder).text)
        if os.geteuid() == 0:
            self.assertEqual(sandbox.mode(), sandbox.BOTH)
            self.assertGreaterEqual(uid, 2_000_000_000)
        else:
            self.assertEqual((sandbox.mode(), uid), (sandbox.BWRAP, os.geteuid()))

    def test_two_at_a_time_are_two_users(self) -> None:
        if os.geteuid() != 0:
            self.skipTest("not root")
        other = self.folder.parent / "other"
        other.mkdir()
        with sandbox.handed_over(other, sandbox.BOTH, ()) as (_, uid):
            self.assertNotEqual(int(contain.run(["id", "-u"], self.folder).text), uid)
        self.assertEqual(other.stat().st_uid, 0)

    def test_files_come_back(self) -> None:
        (self.folder / "mine").write_text("mine\n")
        contain.run(["sh", "-c", "cat mine >copy; mkdir d; echo x >d/x"], self.folder)
        self.assertEqual((self.folder / "copy").read_text(), "mine\n")
        for path in (self.folder, *self.folder.rglob("*")):
            self.assertEqual(path.stat().st_uid, os.geteuid())

    def test_a_folder_that_nobody_else_reaches(self) -> None:
        self.folder.parent.chmod(0o700)
        (self.folder / "mine").write_text("mine\n")
        out = self.folder / "out"
        contain.run(["sh", "-c", "cat mine; echo more >made"], self.folder, files=(out, out))
        self.assertEqual((out.read_text(), (self.folder / "made").read_text()), ("mine\n", "more\n"))

    def test_without_root(self) -> None:
        if os.geteuid() != 0:
            self.skipTest("not root: all other tests show it")
        words = self.script("id -u; cat /etc/passwd 2>&1; echo x >made")
        os.chmod(self.folder.parent, 0o755)
        os.chown(self.folder, _NOBODY, _NOBODY)
        as_nobody = ["setpriv", f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups"]
        done = subprocess.run([*as_nobody, *words], capture_output=True, text=True, cwd="/", check=False)
        self.assertTrue(done.stdout.startswith(f"{sandbox.BWRAP} 0 {_NOBODY}\n"), done.stdout + done.stderr)
        self.assertIn("No such file", done.stdout)
        self.assertEqual((self.folder / "made").stat().st_uid, _NOBODY)

    def test_where_there_is_none(self) -> None:
        view = ("--ro-bind", "/no/such/folder", "/usr")
        with mock.patch.object(sandbox, "_mode", None), mock.patch.object(sandbox, "_VIEW", view):
            with self.assertRaisesRegex(CasitaError, "no sandbox can be had .*no/such/folder.*NO_SANDBOX=1"):
                contain.run(["true"], self.folder)
            sandbox.switch_off()
            self.assertEqual(contain.run(["sh", "-c", "echo $(id -u)"], self.folder).text, f"{os.geteuid()}\n")
            self.assertEqual(sandbox.mode(), sandbox.NONE)
            begin = time.monotonic()
            self.assertEqual(contain.run(["sleep", "9"], self.folder, contain.Limits(seconds=0.2)).exceeded, "seconds")
            self.assertLess(time.monotonic() - begin, 5)

    def test_no_program(self) -> None:
        with self.assertRaisesRegex(CasitaError, "cannot start no-such-program"):
            contain.run(["no-such-program"], self.folder)

    def test_the_grader_is_killed(self) -> None:
        seconds = f"3{time.monotonic_ns()}"
        with subprocess.Popen(self.script(f"sleep {seconds} & setsid sleep {seconds}")) as grader:
            for _ in range(200):
                if len(running(seconds)) >= 2:
                    break
                time.sleep(0.05)
            self.assertGreaterEqual(len(running(seconds)), 2)
            grader.send_signal(signal.SIGKILL)
        for _ in range(100):
            if not running(seconds):
                break
            time.sleep(0.05)
        self.assertEqual(running(seconds), [])


if __name__ == "__main__":
    unittest.main()

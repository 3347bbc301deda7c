# SPDX-License-Identifier: BSD-3-Clause
"""The one door for commands: limits hold, and nothing stays behind."""

from __future__ import annotations

import os
import tempfile
import threading
import time
import unittest
from contextlib import suppress
from pathlib import Path
from unittest import mock

from support import ROOT
from common import CasitaError
from grading import contain
from grading.contain import Limits


class Contain(unittest.TestCase):
    """Commands in a folder of the test's own."""

    def setUp(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self.addCleanup(self._folder.cleanup)
        self.folder = Path(self._folder.name)

    def shell(self, script: str, limits: Limits = Limits()) -> contain.Ended:
        """Run a shell script."""
        return contain.run(["sh", "-c", script], self.folder, limits)

    def test_output_and_status(self) -> None:
        ended = self.shell("echo out; echo err >&2; pwd; exit 3")
        self.assertEqual((ended.code, ended.exceeded), (3, ""))
        self.assertEqual(ended.output.split(), [b"out", b"err", contain.INSIDE.encode()])

    def test_output_to_files(self) -> None:
        files = self.folder / "out", self.folder / "err"
        ended = contain.run(["sh", "-c", "echo out; echo err >&2; exit 4"], self.folder, files=files)
        self.assertEqual((ended.code, ended.output), (4, b""))
        self.assertEqual([path.read_bytes() for path in files], [b"out\n", b"err\n"])
        ended = contain.run(["sleep", "30"], self.folder, Limits(seconds=0.2), files=files)
        self.assertEqual(ended.exceeded, "seconds")

    def test_output_to_descriptors(self) -> None:
        with open(self.folder / "out", "wb") as out:
            contain.run(["echo", "out"], self.folder, files=(out.fileno(), out.fileno()))
            out.write(b"more")  # it is still open
        self.assertEqual((self.folder / "out").read_bytes(), b"out\nmore")

    def test_environment_is_its_own(self) -> None:
        with mock.patch.dict(os.environ, {"SECRET": "1", "MAKEFLAGS": "-n"}):
            self.assertNotRegex(self.shell("env").text, "SECRET|MAKEFLAGS")

    def test_seconds(self) -> None:
        begin = time.monotonic()
        ended = self.shell("echo begun; sleep 30", Limits(seconds=0.3))
        self.assertEqual((ended.exceeded, ended.output), ("seconds", b"begun\n"))
        self.assertLess(time.monotonic() - begin, 5)

    def test_closed_output_is_no_way_out(self) -> None:
        ended = self.shell("exec >&- 2>&-; sleep 30", Limits(seconds=0.3))
        self.assertEqual(ended.exceeded, "seconds")

    def test_output_flood(self) -> None:
        ended = self.shell("yes", Limits(output_bytes=10_000))
        self.assertEqual((ended.exceeded, len(ended.output)), ("output", 10_000))

    def test_file_size(self) -> None:
        ended = contain.run(["dd", "if=/dev/zero", "of=big", "bs=1k", "count=99", "status=none"],
                            self.folder, Limits(file_bytes=9000))
        self.assertEqual(ended.exceeded, "file")
        self.assertLessEqual((self.folder / "big").stat().st_size, 9000)

    def test_memory_of_all(self) -> None:
        one = "python3 -c 'import time; x = bytearray(b\"x\") * (80 << 20); time.sleep(30)'"
        ended = self.shell(f"{one} & setsid {one} & {one}", Limits(seconds=20, memory_sum=160 << 20))
        self.assertEqual(ended.exceeded, "memory")
        self.assertEqual(self.shell(f"({one}) & sleep 1", Limits(memory_sum=160 << 20)).exceeded, "")

    def test_disk(self) -> None:
        files = "for n in 1 2 3 4; do dd if=/dev/zero of=$n bs=1M count=4 status=none; done; sleep 20"
        ended = self.shell(files, Limits(seconds=15, disk_bytes=10 << 20))
        self.assertEqual(ended.exceeded, "disk")

    def test_many_files(self) -> None:
        many = "import os\nfor n in range(60000): os.close(os.open(str(n), os.O_CREAT))\nos.system('sleep 30')"
        ended = contain.run(["python3", "-c", many], self.folder, Limits(seconds=25))
        self.assertEqual(ended.exceeded, "disk")

    def test_cpu(self) -> None:
        ended = contain.run(["sh", "-c", "while :; do :; done"], self.folder, Limits(cpu_seconds=1))
        self.assertEqual(ended.exceeded, "cpu")

    def test_nothing_stays_behind(self) -> None:
        seconds = f"3{time.monotonic_ns()}"
        self.shell(f"sleep {seconds} & exec >&- 2>&-")
        self.shell(f"sleep {seconds} & sleep {seconds}", Limits(seconds=0.3))
        self.assertEqual(running(seconds), [])

    def test_stop_all(self) -> None:
        timer = threading.Timer(0.3, contain.stop_all)
        timer.start()
        try:
            ended = self.shell("sleep 30")
            self.assertEqual(ended.code, 128 + 9)
            with self.assertRaisesRegex(CasitaError, "told to stop"):
                self.shell("true")
        finally:
            timer.join()
            contain._stopping.clear()  # pylint: disable=protected-access

    def test_no_such_folder(self) -> None:
        with self.assertRaisesRegex(CasitaError, "cannot start true"):
            contain.run(["true"], ROOT / "no-such-folder")


def running(word: str) -> list[str]:
    """The processes with this word in their command line."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if word.encode() in path.read_bytes().split(b"\0"):
                found.append(str(path))
    return found


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: BSD-3-Clause
"""lab.toml: what is read, and that each mistake is named."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path

from support import LAB_TOML, write
from common import CasitaError
from grading.lab import choose, folders, read_lab

HIDDEN = """\
[[test]]
name = "exits-hidden"
title = "and they do it again"
points = 15
exercise = "1.2"
hint = "Think again."
kind = "program"
run = "secret"
engine = "bochs"
"""


class ReadLab(unittest.TestCase):
    """Labs in a folder of the test's own."""

    def setUp(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self.addCleanup(self._folder.cleanup)
        self.root = Path(self._folder.name)

    def write(self, text: str, hidden: str = "") -> None:
        """The lab, and perhaps its hidden tests."""
        write(self.root, {"labs/1-world-switch/lab.toml": text})
        if hidden:
            write(self.root, {"solutions/1-world-switch/hidden.toml": hidden})

    def refused(self, old: str, new: str, *said: str) -> None:
        """The lab with this change is refused, and the message has these words."""
        self.assertIn(old, LAB_TOML)
        self.write(LAB_TOML.replace(old, new, 1))
        with self.assertRaises(CasitaError) as caught:
            read_lab(1, self.root)
        for text in ("lab.toml", *said):
            self.assertIn(text, str(caught.exception))

    def test_reads_everything(self) -> None:
        self.write(LAB_TOML)
        lab = read_lab(1, self.root)
        self.assertEqual((lab.number, lab.name, lab.hours), (1, "world switch", "6-8"))
        self.assertEqual(lab.files, ("src/vcpu.c",))
        self.assertEqual([test.name for test in lab.tests], ["enter", "exits"])
        self.assertEqual(lab.points, 15)
        self.assertEqual(lab.tests[1].options, {"exits": 3})
        self.assertEqual((lab.tests[0].engine, lab.tests[0].mem, lab.tests[0].hidden), ("qemu", 64, False))
        self.assertEqual(lab.tests[0].lab, 1)

    def test_hidden_tests_come_last(self) -> None:
        self.write(LAB_TOML, HIDDEN)
        lab = read_lab(1, self.root)
        self.assertEqual([test.hidden for test in lab.tests], [False, False, True])
        self.assertEqual(lab.points, 30)

    def test_hidden_test_of_a_public_name(self) -> None:
        self.write(LAB_TOML, HIDDEN.replace("exits-hidden", "enter"))
        with self.assertRaisesRegex(CasitaError, "two tests are named enter"):
            read_lab(1, self.root)

    def test_mistakes_in_keys(self) -> None:
        self.refused('hint = "Look at VMRUN."\n', "", "test enter", "hint is missing")
        self.refused("points = 5", "pionts = 5", "test enter", "unknown key pionts")
        self.refused("points = 5", 'points = "5"', "test enter", "not a number")
        self.refused("points = 5", "points = true", "test enter", "not a number")
        self.refused("points = 5", "points = 0", "1 or more")
        self.refused("points = 5", "points = 5\nexits = -1", "exits = -1")
        self.refused('kind = "program"', 'kind = "magic"', "magic", "program guest tour")
        self.refused('kind = "program"', 'kind = "program"\nengine = "xen"', "xen", "qemu bochs")
        self.refused('name = "enter"', 'name = "../enter"', "letters, digits")
        self.refused('name = "exits"', 'name = "enter"', "two tests are named enter")
        self.refused('hint = "Look at VMRUN."', 'hint = " "', "hint must be one line")
        self.refused("lab = 1", "lab = 2", "the folder says")
        self.refused("lab = 1", "lab = = 1", "line 1")

    def test_mistakes_in_files(self) -> None:
        for name in ("/etc/passwd", "src/../Makefile", "grader/common.py", "grader/grade", "src/", "src/a b.c", "src//a.c"):
            self.refused('"src/vcpu.c"', f'"{name}"', "files", name)
        self.refused('["src/vcpu.c"]', "[]", "files is empty")
        self.refused('["src/vcpu.c"]', '["src/vcpu.c", "src/vcpu.c"]', "two files are named")
        self.refused('["src/vcpu.c"]', "[5]", "files")

    def test_no_such_lab(self) -> None:
        self.write(LAB_TOML)
        self.assertEqual(list(folders(self.root)), [1])
        with self.assertRaisesRegex(CasitaError, "no lab 4 here; there are: 1"):
            read_lab(4, self.root)

    def test_choose(self) -> None:
        self.write(LAB_TOML)
        lab = read_lab(1, self.root)
        self.assertEqual(choose(lab, ""), lab.tests)
        self.assertEqual(choose(lab, "exits"), lab.tests[1:])
        with self.assertRaisesRegex(CasitaError, "no test named many; there are: enter exits"):
            choose(lab, "many")


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: BSD-3-Clause
"""The bank of wrong solutions: its headers, and what is a fault of it."""

from __future__ import annotations

import contextlib
import unittest
from pathlib import Path
from unittest import mock

from support import FILES, HOLE, LAB, HouseCase, SOLVED, diff, trees, write
from common import CasitaError

if trees.STAFF:
    from staff import bank

PATCH = diff({"src/vcpu.c": SOLVED}, {"src/vcpu.c": SOLVED.replace("does-exits", "no")})
HEADER = b"Title: registers\n  are lost\nFails: exits\nMay-fail: enter\n\n"


@unittest.skipUnless(trees.STAFF, "the bank is the staff's")
class Bank(HouseCase):
    """Wrong solutions of the little house."""

    def wrong(self, name: str, content: str, fails: str, may_fail: str = "") -> None:
        """Another wrong solution."""
        header = f"Title: {name}\nFails: {fails}\nMay-fail: {may_fail}\n\n"
        patch = diff({"src/vcpu.c": SOLVED}, {"src/vcpu.c": content})
        write(self.root / "solutions" / LAB.folder.name / "wrong", {f"{name}.patch": header.encode() + patch})

    def run_bank(self) -> tuple[int, str]:
        """The bank's status, and what it says."""
        self.patch(bank, "ROOT", self.root)
        self.patch(bank, "read_lab", lambda number: LAB)
        self.patch(bank, "scratch_directory", lambda: contextlib.nullcontext(self.folder()))
        with mock.patch("builtins.print") as said:
            status = bank.run(1, 1, 2, self.runner)
        return status, "\n".join(str(call.args[0]) if call.args else "" for call in said.mock_calls)

    def two_wrong_ones(self) -> None:
        """A bank as it should be."""
        self.wrong("01-lost", SOLVED.replace("does-exits", "no"), "exits")
        self.wrong("02-loops", SOLVED.replace("does-enter", "loops-enter"), "enter")

    def test_all_well(self) -> None:
        self.two_wrong_ones()
        status, said = self.run_bank()
        self.assertEqual(status, 0, said)
        self.assertRegex(said, r"01-lost +\.  F  5/15")
        self.assertRegex(said, r"02-loops +F  \.  10/15")
        self.assertRegex(said, r"\(reference\) +\.  \.  15/15")
        self.assertRegex(said, r"\(handout\) +f  f  0/15")
        self.assertIn("0 faults", said)
        self.assertEqual(self.runner.prepared, 1)

    def test_planted_correct_solution(self) -> None:
        self.two_wrong_ones()
        self.wrong("03-right", SOLVED + "/* right */\n", "exits")
        status, said = self.run_bank()
        self.assertEqual(status, 1)
        self.assertIn("FAULT 03-right: loses nothing", said)

    def test_passes_what_it_must_fail(self) -> None:
        self.two_wrong_ones()
        self.wrong("03-half", SOLVED.replace("does-exits", "no"), "exits enter")
        status, said = self.run_bank()
        self.assertEqual(status, 1)
        self.assertIn("FAULT 03-half: must fail enter, and passes", said)
        self.assertRegex(said, r"03-half +!  F")

    def test_fails_what_it_must_pass(self) -> None:
        self.two_wrong_ones()
        self.wrong("03-more", HOLE.replace("LAB 1", "no"), "exits")
        status, said = self.run_bank()
        self.assertEqual(status, 1)
        self.assertIn("FAULT 03-more: fails enter, which it must pass", said)
        self.assertRegex(said, r"03-more +X  F")

    def test_may_fail(self) -> None:
        self.two_wrong_ones()
        self.wrong("03-more", HOLE.replace("LAB 1", "no"), "exits", "enter")
        status, said = self.run_bank()
        self.assertEqual(status, 0, said)
        self.assertRegex(said, r"03-more +f  F")

    def test_test_that_nobody_fails(self) -> None:
        self.wrong("01-lost", SOLVED.replace("does-exits", "no"), "exits")
        status, said = self.run_bank()
        self.assertEqual(status, 1)
        self.assertIn("FAULT test enter: no wrong solution fails it", said)

    def test_one_that_does_not_build(self) -> None:
        self.two_wrong_ones()
        self.wrong("03-broken", SOLVED.replace("static", "statik"), "enter exits")
        status, said = self.run_bank()
        self.assertEqual(status, 1)
        self.assertIn("FAULT 03-broken: BUILD", said)
        self.assertIn("statik", said)

    def test_one_that_does_not_apply(self) -> None:
        self.two_wrong_ones()
        header = b"Title: old\nFails: exits\n\n"
        patch = diff({"src/vcpu.c": HOLE}, {"src/vcpu.c": HOLE.replace("LAB 1", "no")})
        write(self.root / "solutions" / LAB.folder.name / "wrong", {"03-old.patch": header + patch})
        status, said = self.run_bank()
        self.assertEqual(status, 3)
        self.assertIn("FAULT 03-old: INFRA\n     does not apply to the reference", said)

    def test_handout_with_marks(self) -> None:
        self.two_wrong_ones()
        generous = HOLE.replace("LAB 1", "") + '\nconst char w[] = "does-enter";\n'
        self.handout = self.basis("generous", {**FILES, "src/vcpu.c": generous})
        status, said = self.run_bank()
        self.assertEqual(status, 1)
        self.assertIn("FAULT (handout): has 5 of 15 marks, untouched", said)

    def test_reference_without_full_marks(self) -> None:
        self.two_wrong_ones()
        poor = SOLVED.replace("does-enter", "does-nt   ")
        self.reference = self.basis("poor", {**FILES, "src/vcpu.c": poor})
        self.assertIn("FAULT (reference): fails enter, which it must pass", self.run_bank()[1])


@unittest.skipUnless(trees.STAFF, "the bank is the staff's")
class Header(HouseCase):
    """The lines above the diff."""

    def read(self, content: bytes) -> bank.Wrong:
        """Read such a file."""
        path: Path = write(self.folder(), {"01-x.patch": content}) / "01-x.patch"
        return bank.read_wrong(path, LAB)

    def test_reads(self) -> None:
        wrong = self.read(HEADER + PATCH)
        self.assertEqual((wrong.name, wrong.title), ("01-x", "registers are lost"))
        self.assertEqual((wrong.fails, wrong.may_fail), (("exits",), ("enter",)))
        self.assertEqual(wrong.diff, PATCH)

    def test_mistakes(self) -> None:
        for header, said in (
            (b"Title: x\n", "must have"),
            (b"Fails: exits\n", "must have"),
            (b"Title: x\nFails: many\n", "no test named many"),
            (b"Title: x\nFails: exits\nWhy: so\n", "Why"),
            (b"Title: x\nFails: exits\nEngine: bochs\n", "runs in qemu, not in bochs"),
        ):
            with self.assertRaisesRegex(CasitaError, said):
                self.read(header + PATCH)
        with self.assertRaisesRegex(CasitaError, "no diff"):
            self.read(b"Title: x\nFails: exits\n")


if __name__ == "__main__":
    unittest.main()

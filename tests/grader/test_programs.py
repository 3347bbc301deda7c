# SPDX-License-Identifier: BSD-3-Clause
"""Seeded guests: the same for the same seed, others for another; counted as they are executed."""

from __future__ import annotations

import random
import tempfile
import unittest
from dataclasses import replace
from pathlib import Path
from unittest import mock

from support import CasitaError, make_test
from grading import generate, runner, tour
from grading.model import Lab
from grading.programs import lab1, lab2, lab3, lab4
from grading.subject import fill_in
from grading.programs.asm import Answer, Asm, Guest

FOLDER = Path("labs/1-world-switch")


class Programs(unittest.TestCase):
    """The programs' text."""

    def test_seeds(self) -> None:
        labs = ((1, lab1.PROGRAMS), (2, lab2.PROGRAMS), (3, lab3.PROGRAMS), (4, lab4.PROGRAMS))
        for lab, programs in labs:
            for name in programs:
                test = make_test(name, kind="program", run=name, lab=lab)
                one, same, other = (generate.generate(test, seed, FOLDER) for seed in (1, 1, 2))
                self.assertEqual(one, same)
                self.assertNotEqual(one, other)

    def test_ordered_values_are_no_constants(self) -> None:
        guest = lab2.values(random.Random(1), {})[0]
        group = r"0x\w+(:0x\w+){4}"
        self.assertRegex(guest.words, rf"^cpuid={group}(\+{group})+ msr=\S+ io=\S+$")
        self.assertTrue(all(answer.expected is not None for answer in guest.answers))

    def test_unknown_program(self) -> None:
        with self.assertRaisesRegex(CasitaError, "no program nothing; there are: answers"):
            generate.generate(make_test("x", kind="program", run="nothing", lab=1), 1, FOLDER)

    def test_counting(self) -> None:
        asm = Asm(long=False)
        asm("nop", "nop")
        asm("nop", times=10)
        asm.answer("x", "%ebx", 1, 7)
        self.assertEqual(asm.finish().instructions, 12 + 2 + 5 + 2)

    def test_answers_are_filled_in(self) -> None:
        filled = fill_in((Answer("a", 2), Answer("b", 1, 5)), (1, 2, 5), "x")
        self.assertEqual([answer.expected for answer in filled], [0x12, 5])
        with self.assertRaisesRegex(CasitaError, "bare it is 9, not 5"):
            fill_in((Answer("b", 1, 5),), (9,), "x")
        with self.assertRaises(CasitaError):
            fill_in((Answer("a", 2),), (1,), "x")
        with self.assertRaises(CasitaError):
            fill_in((Answer("a", 2),), (1, 2, 3), "x")


class Bare(unittest.TestCase):
    """Each mode once, in QEMU."""

    def test_prepare(self) -> None:
        tests = [
            make_test("r64", kind="program", run="registers64", lab=1, options={"exits": 5}),
            make_test("flags", kind="program", run="flags", lab=1, options={"exits": 2}),
        ]
        with tempfile.TemporaryDirectory() as name:
            lab = Lab(1, "x", FOLDER, (), tuple(tests))
            prepared = runner.prepare(lab, tests, 7, Path(name))
        (guest,) = prepared.subjects["r64"]
        self.assertEqual(guest.answers[0].name, "rax after exit 1")
        # The first value that the guest loads, and that nothing but a broken exit changes.
        first = lab1.registers64(random.Random("casita 7 1 r64"), {"exits": 5})[0].source
        self.assertIn(f"movabs ${guest.answers[0].expected:#x}, %rax", first)

    def test_a_program_that_counts_wrongly(self) -> None:
        def liar(_rng: random.Random, _options: object) -> list[Guest]:
            asm = Asm(long=False)
            asm("nop", times=2)
            asm.answer("x", "%ebx")
            return [asm.finish()]

        test = make_test("x", kind="program", run="liar", lab=1)
        lab = Lab(1, "x", FOLDER, (), (test,))
        with tempfile.TemporaryDirectory() as name, mock.patch.dict(lab1.PROGRAMS, liar=liar):
            with self.assertRaisesRegex(CasitaError, "executes 44 instructions bare, and says 45"):
                runner.prepare(lab, [test], 1, Path(name))


class Tour(unittest.TestCase):
    """Lab 0's comparison of lines."""

    def test_compare(self) -> None:
        line = b"casita: AMD SVM revision 1, 16 ASIDs"
        self.assertEqual(tour.compare([line], b"SeaBIOS\r\n" + line + b"\r\ncasita: no VM\r\n"), "")
        self.assertIn("seen", tour.compare([line], line + b", nested paging\n"))
        self.assertIn("seen", tour.compare([line], line + b"\n" + line + b"\n"))
        self.assertIn("no such line", tour.compare([line], b"x" + line + b"\n"))
        self.assertIn("nothing at all", tour.compare([line], b""))

    def test_choose(self) -> None:
        case = {"cpu": "max,-svm", "lines": ["a"]}
        test = make_test("t", kind="tour", options={"cases": [case]})
        chosen = tour.choose(test, 1)
        self.assertRegex(chosen.cpu, r"^max,-svm,phys-bits=\d\d")
        self.assertEqual(chosen, tour.choose(test, 1))
        self.assertNotEqual({tour.choose(test, seed).cpu for seed in range(9)}, {chosen.cpu})
        bochs = replace(test, engine="bochs", cpu="ryzen", options={"lines": ["a"]})
        self.assertEqual(tour.choose(bochs, 1).cpu, "ryzen")


if __name__ == "__main__":
    unittest.main()

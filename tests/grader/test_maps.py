# SPDX-License-Identifier: BSD-3-Clause
"""The permission maps, and svm_pass_msr() called: maps.py, with a monitor in Python that is right, or wrong."""

from __future__ import annotations

import unittest
from typing import Callable

from fake_cpu import HERE, Cpu, Frame, Names
from test_watch import registers
from grading import maps
from grading.vmcb import Vmcb
from grading.watch import Entry

FUNCTION, VM, VMCB, IOPM, MSRPM = 0x101000, 0x7000, 0x1000, 0x4000, 0x8000
TSC_AUX = 0xC0000103
PASSED = (*range(0x174, 0x177), *range(0xC0000081, 0xC0000085), *range(0xC0000100, 0xC0000103))


def bit_of(msr: int) -> int | None:
    """The number of its bit for reading. APM vol. 2 §15.11."""
    starts = {0: 0, 0xC000: 0x2000, 0xC001: 0x4000}
    if msr >> 16 not in starts or msr & 0xFFFF > 0x1FFF:
        return None
    return 2 * (starts[msr >> 16] + (msr & 0x1FFF))


class MapsCase(unittest.TestCase):
    """From the first call of svm_pass_msr() to the first VMRUN."""

    def setUp(self) -> None:
        self.cpu = Cpu({FUNCTION: self.pass_msr})
        self.cpu.write(IOPM, b"\xff" * 0x3000)
        self.cpu.write(MSRPM, b"\xff" * 0x2000)
        self.cpu.write(VMCB + 0x40, IOPM.to_bytes(8, "little") + MSRPM.to_bytes(8, "little"))
        self.check = maps.Maps({})
        self.monitor = Names(self.cpu, svm_pass_msr=FUNCTION)
        self.place: Callable[[int], int | None] = bit_of
        self.also: Callable[[int], None] = lambda msr: None  # what it does besides
        self.clears = True  # what an MSR was allowed before
        self.heard: list[tuple[int, int, int]] = []

    def change(self, bit: int, exits: int) -> None:
        """One bit of the map."""
        (old,) = self.cpu.read(MSRPM + bit // 8, 1)
        self.cpu.write(MSRPM + bit // 8, bytes([old & ~(1 << bit % 8) | exits << bit % 8]))

    def pass_msr(self, cpu: Cpu) -> Frame:
        """svm_pass_msr(vm, msr, read, write)."""
        _, msr, read, write = cpu.arguments(4)
        self.heard.append((msr, read, write))
        if (bit := self.place(msr)) is not None:
            for at, may in ((bit, read), (bit + 1, write)):
                if may or self.clears:
                    self.change(at, 0 if may else 1)
        self.also(msr)
        return 1
        yield  # pylint: disable=unreachable

    def run_to_vmrun(self) -> str:
        """As Casita does."""
        self.check.begin(self.monitor)
        for msr in (*PASSED, TSC_AUX | 5 << 32):  # the upper half of a register says nothing
            self.cpu.set(rip=HERE)
            self.cpu.enter(FUNCTION, HERE, VM, msr, 1, 1)
            if FUNCTION in self.monitor.stops:
                self.assertEqual(self.monitor.stopped(self.cpu.registers()), "")
            frame = self.pass_msr(self.cpu) if msr in PASSED else None
            self.assertRaises(StopIteration, next, frame) if frame else self.pass_tsc_aux()
            self.cpu.set(rsp=self.cpu["rsp"] + 8, rip=HERE)
        self.heard.clear()
        if HERE in self.monitor.stops:
            if complaint := self.monitor.stopped(self.cpu.registers()):
                return complaint
        return self.enter()

    def pass_tsc_aux(self) -> None:
        """Its two bits."""
        for bit in range(2):
            self.change((bit_of(TSC_AUX) or 0) + bit, 0)

    def enter(self) -> str:
        """A VMRUN."""
        return self.check.entering(Entry(1, Vmcb.read(self.cpu, VMCB), registers(), self.cpu))

    def test_right(self) -> None:
        self.assertNotEqual(self.check.unasked(), "")
        self.assertEqual(self.run_to_vmrun(), "")
        self.assertEqual((self.check.unasked(), self.monitor.stops), ("", {}))
        asked = {msr for msr, _, _ in self.heard}
        ends = {0, 0x1FFF, 0xC0000000, 0xC0001FFF, 0xC0010000, 0xC0011FFF}
        outside = {0x2000, 0x10000, 0xC0002000, 0xC000FFFF, 0xC0012000, 0xC0020005}
        self.assertLessEqual(ends | outside, asked)
        self.assertEqual(asked & {*PASSED, TSC_AUX}, set())
        self.assertEqual({(read, write) for _, read, write in self.heard}, {(0, 0), (0, 1), (1, 0), (1, 1)})
        again = [msr for msr, _, _ in self.heard if [other for other, _, _ in self.heard].count(msr) > 1]
        self.assertTrue(again)

    def test_mistakes(self) -> None:
        """Of svm_pass_msr(): each is told by the first MSR that shows it."""

        def no_end(msr: int) -> int | None:
            return bit_of(msr & ~0xE000)

        def third_is_second(msr: int) -> int | None:
            return bit_of(msr & ~0x10000 if msr >> 16 == 0xC001 else msr)

        def others_in_the_first(msr: int) -> int | None:
            return bit_of(msr) if bit_of(msr) is not None else bit_of(msr & 0x1FFF)

        for place in (no_end, third_is_second, others_in_the_first, lambda msr: (bit_of(msr) or 0) ^ 2):
            self.setUp()
            self.place = place
            self.assertRegex(self.run_to_vmrun(), r"^(reading|writing) (MSR 0x\w+|no MSR .*) makes (an|no) exit: ")

    def test_rights_are_not_taken_back(self) -> None:
        self.clears = False
        self.assertRegex(self.run_to_vmrun(), "^reading MSR 0x9c6 makes no exit: .* are 0b0.$")

    def test_a_neighbour(self) -> None:
        self.also = lambda msr: self.change((bit_of(0x2A4) or 0) + 1, 0)
        found = self.run_to_vmrun()
        self.assertEqual(found, "writing MSR 0x2a4 makes no exit: its two bits in the permission map are 0b1.")

    def test_each_bit_of_those_asked(self) -> None:
        self.assertEqual(self.run_to_vmrun(), "")
        for msr in sorted({msr for msr, _, _ in self.heard if bit_of(msr) is not None}):
            for bit, what in enumerate(("reading", "writing")):
                at = (bit_of(msr) or 0) + bit
                now = self.cpu.read(MSRPM + at // 8, 1)[0] >> at % 8 & 1
                self.change(at, 1 - now)
                self.check._seen.clear()  # pylint: disable=protected-access
                how = "makes no exit" if now else "makes an exit"
                self.assertIn(f"{what} MSR {msr:#x} {how}:", self.enter())
                self.change(at, now)

    def test_it_is_never_called(self) -> None:
        self.check.begin(self.monitor)
        self.assertIn("never called svm_pass_msr", self.check.unasked())

    def test_a_vm_is_looked_at_once(self) -> None:
        self.assertEqual(self.run_to_vmrun(), "")
        self.change(0, 0)
        self.assertEqual(self.enter(), "")


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: BSD-3-Clause
"""A new virtual CPU, and svm_enable() without memory: beginnings.py."""

from __future__ import annotations

import itertools
import unittest

from fake_cpu import HERE, Cpu, Frame, Names, returns
from test_watch import MIB, registers
from grading.beginnings import Enable, Fresh
from grading.vmcb import Vmcb
from grading.watch import Entry

CREATE, ENABLE, ALLOCATE = 0x201000, 0x202000, 0x203000
VCPU, CPU_STATE, VMCB, HOST, PLACE = 0x10000, 0x11000, 0x12000, 0x13000, 0x14000
SEGMENTS = ("es", "cs", "ss", "ds", "fs", "gs", "gdtr", "ldtr", "idtr", "tr")
CS, DATA, TABLE = (0xF000, 0x9B, 0xFFFF, 0xFFFF0000), (0, 0x93, 0xFFFF, 0), (0, 0, 0xFFFF, 0)
LDTR, TR = (0, 0x82, 0xFFFF, 0), (0, 0x83, 0xFFFF, 0)
REGISTERS = {
    **{"rip": 0xFFF0, "rflags": 2, "cr0": 0x10, "dr6": 0xFFFF0FF0, "dr7": 0x400, "efer": 0x1000},
    "g_pat": 0x0007_0406_0007_0406,
}


def put(cpu: Cpu, at: int, value: int, size: int = 8) -> None:
    """Write a number to memory."""
    cpu.write(at, value.to_bytes(size, "little"))


class FreshCase(unittest.TestCase):
    """svm_vcpu_create(), and the first VMRUN."""

    def setUp(self) -> None:
        self.cpu = Cpu({CREATE: returns(0)}, size=4 * MIB)
        self.monitor = Names(self.cpu, svm_vcpu_create=CREATE)
        self.check = Fresh({})
        self.check.begin(self.monitor)
        put(self.cpu, VCPU + 136, CPU_STATE)
        put(self.cpu, CPU_STATE, VMCB)
        for name in SEGMENTS:
            self.segment(name, {"cs": CS, "gdtr": TABLE, "idtr": TABLE, "ldtr": LDTR, "tr": TR}.get(name, DATA))
        for name, value in REGISTERS.items():
            self.register(name, value)

    def segment(self, name: str, values: tuple[int, int, int, int]) -> None:
        """Selector, attributes, limit, base."""
        at = VMCB + 0x400 + 16 * SEGMENTS.index(name)
        for offset, size, value in zip((0, 2, 4, 8), (2, 2, 4, 8), values):
            put(self.cpu, at + offset, value, size)

    def register(self, name: str, value: int) -> None:
        """One of the VMCB's."""
        at, size = Vmcb.place(name)
        put(self.cpu, VMCB + at, value, size)

    def created(self) -> str:
        """svm_vcpu_create() is called, and returns."""
        self.assertEqual(self.check.unasked(), "svm_vcpu_create was never called.")
        self.cpu.enter(CREATE, HERE, VCPU)
        self.assertEqual(self.monitor.stopped(self.cpu.registers()), "")
        self.cpu.set(rip=HERE, rsp=self.cpu["rsp"] + 8)
        return self.monitor.stopped(self.cpu.registers()) or self.check.unasked()

    def entered(self) -> str:
        """A VMRUN."""
        return self.check.entering(Entry(1, Vmcb.read(self.cpu, VMCB), registers(), self.cpu))

    def test_right(self) -> None:
        self.assertEqual((self.created(), self.entered()), ("", ""))

    def test_every_register(self) -> None:
        for name in (*REGISTERS, "cr2", "cr3", "cr4", "rsp", "cpl"):
            with self.subTest(name=name):
                self.setUp()
                self.register(name, 0x77)
                self.assertRegex(self.created(), rf"^in a new virtual CPU {name.upper()} is 0x77; after reset it is 0x")

    def test_every_segment(self) -> None:
        for name, part in itertools.product(SEGMENTS, range(4)):
            with self.subTest(name=name, part=part):
                self.setUp()
                right = {"cs": CS, "gdtr": TABLE, "idtr": TABLE, "ldtr": LDTR, "tr": TR}.get(name, DATA)
                values = [value ^ (0x10 if place == part else 0) for place, value in enumerate(right)]
                self.segment(name, (values[0], values[1], values[2], values[3]))
                self.assertRegex(self.created(), rf"^in a new virtual CPU {name.upper()} is selector")

    def test_what_no_loader_writes(self) -> None:
        self.assertEqual(self.entered(), "")
        self.segment("ldtr", DATA)
        self.assertEqual(self.entered(), "")  # not its first VMRUN
        for name, said in (("ldtr", "LDTR is selector"), ("g_pat", "the guest's PAT is 0x0")):
            self.setUp()
            if name == "ldtr":
                self.segment("ldtr", DATA)
            else:
                self.register(name, 0)
            self.assertIn(said, self.entered())


class EnableCase(unittest.TestCase):
    """svm_enable(), called once more."""

    def setUp(self) -> None:
        self.pages = itertools.count(0x100000, 0x1000)
        self.mistakes: tuple[str, ...] = ()
        self.cpu = Cpu({ENABLE: self.enable, ALLOCATE: self.allocate}, size=4 * MIB)
        self.monitor = Names(self.cpu, svm_enable=ENABLE, svm_host_vmcb=PLACE, pages_alloc_zero=ALLOCATE)
        self.check = Enable({})
        self.check.begin(self.monitor)
        put(self.cpu, PLACE, HOST)
        put(self.cpu, HOST + 0x490, 0x28, 2)

    def allocate(self, _: Cpu) -> Frame:
        """A page."""
        return next(self.pages)
        yield  # pylint: disable=unreachable

    def enable(self, cpu: Cpu) -> Frame:
        """Two pages; the second is svm_host_vmcb."""
        first = yield ALLOCATE, 0
        if not first and "first" not in self.mistakes:
            return 2**32 - 12
        second = yield ALLOCATE, 0
        put(cpu, PLACE, second)
        return 0 if second or "second" in self.mistakes else 2**32 - 12

    def ask(self, *mistakes: str) -> str:
        """It has been called, and has returned."""
        self.mistakes = mistakes
        self.assertIn("was never called", self.check.unasked())
        self.cpu.enter(ENABLE, HERE)
        self.assertEqual(self.monitor.stopped(self.cpu.registers()), "")
        self.cpu.set(rip=HERE, rsp=self.cpu["rsp"] + 8)
        found = self.monitor.stopped(self.cpu.registers())
        self.assertEqual(self.check.unasked(), "")
        self.assertEqual(self.cpu.read(PLACE, 8), HOST.to_bytes(8, "little"))
        return found

    def test_right(self) -> None:
        self.assertEqual(self.ask(), "")

    def test_mistakes(self) -> None:
        for mistake, page in (("first", 1), ("second", 2)):
            self.setUp()
            self.assertRegex(self.ask(mistake), rf"^svm_enable\(\) returned 0, not -12, .* for page {page}\.$")

    def test_nothing_saved(self) -> None:
        put(self.cpu, HOST + 0x490, 0, 2)
        self.assertIn("the host's TR is not in svm_host_vmcb", self.ask())


if __name__ == "__main__":
    unittest.main()

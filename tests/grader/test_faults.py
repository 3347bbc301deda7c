# SPDX-License-Identifier: BSD-3-Clause
"""Lab 4's nested_fault() and svm_set_nested_root(), called: faults.py, with functions in Python that are right, or
have one mistake."""

from __future__ import annotations

import unittest

from fake_cpu import HERE, Cpu, Frame, Names
from test_watch import MIB, registers
from grading.faults import Faults
from grading.vmcb import Vmcb
from grading.watch import Entry

CREATE, SET_ROOT, DISPATCH, LOG_END, FAULT = 0x201000, 0x202000, 0x203000, 0x204000, 0x205000
OPS, VCPU, VM, VMCB, EXIT, ROOT = 0x2000, 0x10000, 0x20000, 0x70000, 0x3000, 0x55000
WRITE, USER = 2, 4
END = 18 * MIB
WATCHED = range(0x5000, 0x9000)


class FaultsCase(unittest.TestCase):
    """A run from vm_create to the log's end."""

    def begin(self, *mistakes: str) -> None:
        """Up to the first VMRUN."""
        self.mistakes = mistakes
        self.log = True
        self.cpu = Cpu({SET_ROOT: self.set_root, FAULT: self.fault}, size=4 * MIB)
        self.monitor = Names(
            self.cpu, nested_ops=OPS, vm_create=CREATE, svm_set_nested_root=SET_ROOT, exit_dispatch=DISPATCH,
            vm_dirty_end=LOG_END,
        )  # fmt: skip
        self.check = Faults({"mem": 18})
        self.check.begin(self.monitor)
        for index in range(9):
            self.put(OPS + 8 * index, FAULT if index == 7 else 0)
        self.put(VCPU + 128, VM)
        self.put(VMCB + 0x58, 1, 4)
        self.assertIn("svm_set_nested_root was never called", self.check.unasked())
        self.stop(CREATE)
        self.stop(SET_ROOT, VCPU, ROOT)
        self.run_set_root(ROOT)
        self.assertEqual(self.enter(), "")

    def put(self, at: int, value: int, size: int = 8) -> None:
        """Write a number to memory."""
        self.cpu.write(at, value.to_bytes(size, "little"))

    def stop(self, function: int, *arguments: int) -> str:
        """The machine stops where a function begins; and where it returns, if anybody wants that."""
        self.cpu.set(rip=HERE)
        self.cpu.enter(function, HERE, *arguments)
        found = self.monitor.stopped(self.cpu.registers())
        self.cpu.set(rip=HERE, rsp=self.cpu["rsp"] + 8)
        if not found and HERE in self.monitor.stops:
            found = self.monitor.stopped(self.cpu.registers())
        return found

    def enter(self) -> str:
        """A VMRUN."""
        return self.check.entering(Entry(1, Vmcb.read(self.cpu, VMCB), registers(), self.cpu))

    # ---- the monitor's -----------------------------------------------------------------------------

    def run_set_root(self, root: int) -> None:
        """What it does."""
        self.put(VMCB + 0x90, int(bool(root) or "stays on" in self.mistakes))
        self.put(VMCB + 0xB0, 0x66000 if "another root" in self.mistakes else root)
        if "no flush" not in self.mistakes:
            self.put(VMCB + 0x5C, 1, 1)

    def set_root(self, cpu: Cpu) -> Frame:
        """svm_set_nested_root()."""
        self.run_set_root(cpu["rsi"])
        return 0
        yield  # pylint: disable=unreachable

    def fault(self, cpu: Cpu) -> Frame:
        """nested_fault(), which writes to its VM."""
        gpa = int.from_bytes(cpu.read(cpu["rsi"] + 80, 8), "little")
        error = int.from_bytes(cpu.read(cpu["rsi"] + 88, 4), "little")
        self.put(VM + 0x100, 0x77)
        if gpa >= END:
            return 0 if "maps what is not there" in self.mistakes else 2**32 - 2
        if not error & WRITE:
            return 0 if "any fault" in self.mistakes else 2**32 - 5
        watched = self.log and gpa in WATCHED
        return 0 if watched or "any write" in self.mistakes else 2**32 - 5
        yield  # pylint: disable=unreachable

    def run_all(self, *mistakes: str) -> str:
        """What the check finds."""
        self.begin(*mistakes)
        self.put(VMCB + 0x5C, 0, 1)
        found = self.stop(DISPATCH, VCPU, EXIT) or self.enter()
        self.put(VMCB + 0x5C, 0, 1)
        self.put(EXIT + 80, 0x6000)
        for error in (USER, USER | WRITE):  # the first is no write
            self.put(EXIT + 88, error, 4)
            found = found or self.stop(FAULT, VCPU, EXIT)
        self.assertEqual(self.cpu.read(VM + 0x100, 8), bytes(8))  # what it did has been put back
        self.log = False
        found = found or self.stop(LOG_END, VM)
        return found or self.enter() or self.check.unasked()

    def test_right(self) -> None:
        self.assertEqual(self.run_all(), "")
        self.assertEqual(self.monitor.stops, {})

    def test_mistakes(self) -> None:
        for mistake, said in {
            "stays on": r"^svm_set_nested_root\(…, 0x0\): np_control is 0x1, .*; np_control should be 0",
            "another root": r"^svm_set_nested_root\(…, 0x55000\): .* nCR3 0x66000",
            "no flush": r"^svm_set_nested_root\(\) was called, and the processor was not told to forget",
            "any fault": r"^nested_fault, for a fault on RAM that is no write, .*, gives 0, not -5",
            "maps what is not there": r"^nested_fault, for a write where no RAM is, gives 0, not -2",
            "any write": r"^nested_fault, for a write to RAM that nobody watches, gives 0, not -5",
        }.items():
            with self.subTest(mistake=mistake):
                self.assertRegex(self.run_all(mistake), said)

    def test_no_fault(self) -> None:
        self.begin()
        self.assertIn("nested_fault was never called for a write", self.check.unasked())
        self.assertIn("there was no nested fault for a write", self.stop(LOG_END, VM))

    def test_no_vmrun(self) -> None:
        self.begin()
        self.check._vmcb = None  # pylint: disable=protected-access
        self.assertIn("before there was a VMRUN", self.stop(DISPATCH, VCPU, EXIT))


if __name__ == "__main__":
    unittest.main()

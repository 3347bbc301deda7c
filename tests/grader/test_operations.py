# SPDX-License-Identifier: BSD-3-Clause
"""Lab 4's functions, called: operations.py, with a nested.c in Python that is right, or has one mistake."""

from __future__ import annotations

import itertools
import unittest
from typing import Generator

from fake_cpu import HERE, Cpu, Frame, Names
from test_watch import GUEST, MIB, registers
from grading.operations import NoMemory, Operations
from grading.vmcb import Vmcb
from grading.watch import Entry

PAGE, LARGE, ENOMEM = 0x1000, 2 * MIB, 2**32 - 12
P, W, PS, LINK, LEAF, ADDRESS = 1, 2, 0x80, 7, 0x67, 0xF_FFFF_FFFF_F000
OPS, VM, VMCB, TABLES, RAM = 0x2000, 0x10000, 0x1000, 0x100000, 0x40000000
ROOT = VM + 0x100  # where the VM has it
CREATE, ADD_RAM, HOOK, ALLOCATE, VM_CREATE, REMAP, FAULT, PROTECT = range(0x201000, 0x209000, 0x1000)
FROM, END = 4, 18  # MiB

Step = Generator[tuple[int, ...], int, "int | None"]
Found = Generator[tuple[int, ...], int, int]


class Nested:
    """The monitor. `mistakes`: of which kinds."""

    def __init__(self, *mistakes: str) -> None:
        self.mistakes = mistakes
        functions = {ADD_RAM: self.add_ram, HOOK: self.hook, ALLOCATE: self.allocate, VM_CREATE: self.vm_create,
                     REMAP: self.remap, PROTECT: self.protect, FAULT: self.fault}  # fmt: skip
        self.cpu = Cpu(functions, size=4 * MIB)
        self.pages = itertools.count(TABLES, PAGE)
        self.regions = [(0, RAM, END * MIB)]
        self.holes: list[range] = []
        pointers = [0, 0, 0, VM_CREATE, 0, 0, REMAP, FAULT, PROTECT]
        for index, pointer in enumerate(pointers):
            self.put(OPS + 8 * index, pointer)

    def wrong(self, mistake: str) -> bool:
        """Is this one made?"""
        return mistake in self.mistakes

    def get(self, at: int) -> int:
        """Eight bytes of memory."""
        return int.from_bytes(self.cpu.read(at, 8), "little")

    def put(self, at: int, value: int) -> None:
        """Write them."""
        self.cpu.write(at, value.to_bytes(8, "little"))

    def host(self, gpa: int) -> int | None:
        """The RAM at a guest's address."""
        if any(gpa in hole for hole in self.holes):
            return None
        return next((hpa + gpa - at for at, hpa, size in self.regions if at <= gpa < at + size), None)

    def allocate(self, _: Cpu) -> Frame:
        """pages_alloc_zero()."""
        return next(self.pages)
        yield  # pylint: disable=unreachable

    def add_ram(self, cpu: Cpu) -> Frame:
        """vm_add_ram()."""
        _, gpa, size, hpa = cpu.arguments(4)
        self.regions.append((gpa, hpa, size))
        return 0
        yield  # pylint: disable=unreachable

    def hook(self, cpu: Cpu) -> Frame:
        """vm_hook_mem()."""
        _, start, size, _ = cpu.arguments(4)
        self.holes.append(range(start, start + size))
        return (yield from self.remap_range(start, size))

    def entry_at(self, gpa: int, level: int) -> Found:
        """Where the entry is; 0: there is no memory."""
        table = self.get(ROOT)
        for above in range(4, level, -1):
            at = table + 8 * (gpa >> 12 + 9 * (above - 1) & 511)
            entry = self.get(at)
            if not entry & P or entry & PS:
                new = yield ALLOCATE, PAGE
                if not new:
                    return 0
                for index in range(512 if entry & P else 0):
                    self.put(new + 8 * index, (entry & ~PS) + index * PAGE)
                self.put(at, new | LINK)
            table = self.get(at) & ADDRESS
        return table + 8 * (gpa >> 12 + 9 * (level - 1) & 511)

    def find(self, gpa: int) -> tuple[int, int]:
        """The entry that maps it, or 0; and how much it maps."""
        table = self.get(ROOT)
        for level in range(4, 0, -1):
            at, step = table + 8 * (gpa >> 12 + 9 * (level - 1) & 511), PAGE << 9 * (level - 1)
            if level == 1 or self.get(at) & PS:
                return at, step
            if not self.get(at) & P:
                break
            table = self.get(at) & ADDRESS
        return 0, step

    def map_ram(self, gpa: int, hpa: int, size: int) -> Step:
        """A region."""
        while size > 0:
            both = gpa if self.wrong("guest's alignment") else hpa if self.wrong("host's alignment") else gpa | hpa
            large = not both % LARGE and (size >= LARGE or self.wrong("to the end"))
            large = large and not (self.wrong("no last one") and size == LARGE and gpa >= 4096 * MIB)
            at = yield from self.entry_at(gpa, 2 if large else 1)
            if not at:
                return ENOMEM
            step = LARGE if large else PAGE
            self.put(at, hpa & -step | LEAF | (PS if large else 0))
            gpa, hpa, size = gpa + step, hpa + step, size - step
        return 0

    def vm_create(self, _: Cpu) -> Frame:
        """Of nested_ops."""
        root = yield ALLOCATE, PAGE
        if not root:
            return ENOMEM
        self.put(ROOT, root)
        for at, hpa, size in self.regions:
            start = at
            for end in [*sorted(hole.start for hole in self.holes if at < hole.start < at + size), at + size]:
                got = yield from self.map_ram(start, hpa + start - at, end - start)
                if got and not self.wrong("creates without memory"):
                    return got
                start = next((hole.stop for hole in self.holes if hole.start == end), end)
        return 0

    def remap_range(self, start: int, size: int) -> Step:
        """Page by page."""
        for gpa in range(start, start + size, PAGE):
            at = yield from self.entry_at(gpa, 1)
            if not at:
                return 0 if self.wrong("remaps without memory") else ENOMEM
            host = self.host(gpa)
            self.put(at, 0 if host is None or self.wrong("only holes") else host | LEAF)
        return 0

    def remap(self, cpu: Cpu) -> Frame:
        """Of nested_ops."""
        return (yield from self.remap_range(*cpu.arguments(3)[1:]))

    def protect(self, cpu: Cpu) -> Frame:
        """Of nested_ops."""
        _, gpa, size, read_only = cpu.arguments(4)
        end = gpa + size
        while gpa < end:
            at, step = self.find(gpa)
            part = gpa % step != 0 or end - gpa < step
            part = size < step if self.wrong("asks the size only") else part and not self.wrong("whole pages only")
            if at and part:
                at, step = (yield from self.entry_at(gpa, 1)), PAGE
                if not at:
                    return 0 if self.wrong("protects without memory") else ENOMEM
            if self.wrong("ends at a hole") and not (at and self.get(at) & P):
                return 0
            if at and self.get(at) & P:
                self.put(at, self.get(at) & ~W if read_only else self.get(at) | W)
            gpa = (gpa & -step) + step
        return 0

    def fault(self, cpu: Cpu) -> Frame:
        """Of nested_ops: a write to a page that is watched."""
        at = yield from self.entry_at(cpu.arguments(2)[1], 1)
        return 0 if at else ENOMEM

    def run(self, function: int, *arguments: int) -> None:
        """Casita calls it, to its end; whoever watches is asked on the way."""
        cpu = self.cpu
        cpu.steps = 0
        cpu.set(rip=HERE)
        cpu.enter(function, HERE, *arguments)
        while cpu["rip"] != HERE:
            cpu.step()


class OperationsCase(unittest.TestCase):
    """From vm_create to the log's begin."""

    def ask(self, *mistakes: str) -> str:
        """What is said of a monitor with these."""
        nested = Nested(*mistakes)
        cpu = nested.cpu
        monitor = Names(cpu, nested_ops=OPS, vm_create=CREATE, vm_hook_mem=HOOK, vm_add_ram=ADD_RAM,
                        pages_alloc_zero=ALLOCATE)  # fmt: skip
        check = Operations({"from": FROM, "mem": END})
        check.begin(monitor)
        self.assertNotEqual(check.unasked(), "")
        cpu.set(rip=CREATE)
        self.assertEqual(monitor.stopped(cpu.registers()), "")
        nested.run(VM_CREATE, VM)
        root = nested.get(ROOT)
        cpu.write(VMCB + 0xB0, root.to_bytes(8, "little"))
        check.entering(Entry(1, Vmcb.read(cpu, VMCB), registers(), cpu))
        cpu.enter(PROTECT, HERE, VM, 0, END * MIB, 1)
        self.assertEqual(monitor.stopped(cpu.registers()), "")
        cpu.set(rsp=cpu["rsp"] + 8)
        nested.run(PROTECT, VM, 0, END * MIB, 1)
        before = cpu.registers().raw
        found = monitor.stopped(cpu.registers())
        self.assertEqual((cpu.registers().raw, check.unasked()), (before, ""))
        if not found:
            self.assertEqual((nested.get(ROOT), monitor.stops, cpu.stops), (root, {}, set()))
        return found

    def test_right(self) -> None:
        self.assertEqual(self.ask(), "")

    def test_mistakes(self) -> None:
        for mistake, said in {
            "asks the size only": r"^protect\(.*, writable\): 0x\w+ is writable, .*; it should be read-only",
            "whole pages only": r"^protect\(.*, 0x1000, writable\) without memory for a table returned 0, not -12",
            "protects without memory": r"^protect\(.*\) without memory for a table returned 0, not -12",
            "ends at a hole": r"^protect\(0x408000, 0x3000, writable\): 0x40a000 is read-only, .*; it should be writable",
            "remaps without memory": r"^remap\(.*\) without memory for a table returned 0, not -12",
            "only holes": r"^remap\(.*\): 0x\w+ is not mapped; it should be writable",
            "creates without memory": r"^vm_create without memory for table \d returned 0, not -12",
            "guest's alignment": r"^map_ram: 0x100000000 is .*; it should be at host 0x\w+1000\.$",
            "host's alignment": r"^map_ram: 0x\w+ is .*; it should be",
            "to the end": r"^map_ram: 0x\w+, in 0x1ff000 bytes at 0x\w+ from host 0x\w+: not small pages",
            "no last one": r"^map_ram: 0x\w+, in 0x200000 bytes at 0x\w+ from host 0x\w+: not a large page",
        }.items():  # fmt: skip
            with self.subTest(mistake=mistake):
                self.assertRegex(self.ask(mistake), said)


class NoMemoryCase(unittest.TestCase):
    """The first write that is watched."""

    def setUp(self) -> None:
        self.nested = Nested()
        self.cpu = self.nested.cpu
        self.monitor = Names(self.cpu, nested_ops=OPS, vm_create=CREATE, pages_alloc_zero=ALLOCATE)
        self.check = NoMemory({})
        self.check.begin(self.monitor)
        self.cpu.set(rip=CREATE)
        self.assertEqual(self.monitor.stopped(self.cpu.registers()), "")
        self.nested.run(VM_CREATE, VM)

    def enter(self, vmcb: int) -> str:
        """A VMRUN."""
        return self.check.entering(Entry(1, Vmcb.read(self.cpu, vmcb), registers(), self.cpu))

    def fault(self) -> None:
        """A write is watched, and a table asked for."""
        self.cpu.enter(FAULT, HERE, 0, GUEST)
        self.assertEqual(self.monitor.stopped(self.cpu.registers()), "")
        self.cpu.enter(ALLOCATE, HERE, PAGE)
        self.assertEqual(self.monitor.stopped(self.cpu.registers()), "")

    def test_the_vm_ends(self) -> None:
        self.assertEqual(self.enter(VMCB), "")
        self.assertIn("no memory was asked for", self.check.unasked())
        self.fault()
        self.assertEqual((self.cpu["rax"], self.cpu["rip"], self.check.unasked()), (0, HERE, ""))
        self.assertTrue(self.monitor.meddled)
        self.assertEqual(self.enter(VMCB + PAGE), "")  # another VM, which has memory
        self.assertNotIn(ALLOCATE, self.monitor.stops)

    def test_it_goes_on(self) -> None:
        for vmcb in (VMCB, 0):
            self.setUp()
            self.assertEqual(self.enter(vmcb), "")
            self.fault()
            self.assertIn("the VM was entered again", self.enter(vmcb))


if __name__ == "__main__":
    unittest.main()

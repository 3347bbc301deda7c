# SPDX-License-Identifier: BSD-3-Clause
"""Functions of the monitor are stopped at, and called: monitor.py, in a machine of ours."""

from __future__ import annotations

import itertools
import random
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from fake_cpu import HERE, STACK, Cpu, Frame, Names, keep, returns
from test_watch import MIB, VMRUN, Notes, Qemu, elf, registers
from grading import symbols, watch
from grading.gdbstub import Registers
from grading.monitor import Monitor, Unreturned

FUNCTION, ALLOCATE, INNER = 0x101000, 0x102000, 0x103000


class Call(unittest.TestCase):
    """Monitor.call()."""

    def setUp(self) -> None:
        self.pages = itertools.count(0x5000, 0x1000)
        self.cpu = Cpu({ALLOCATE: self.allocate})
        self.monitor = Names(self.cpu, pages_alloc_zero=ALLOCATE)
        self.heard: list[int] = []

    def allocate(self, cpu: Cpu) -> Frame:
        """Give a page."""
        self.heard.append(cpu["rdi"])
        return next(self.pages)
        yield  # pylint: disable=unreachable

    def call(self, function: object, *arguments: int, fail: int = 0) -> int:
        """A call of this one."""
        self.cpu.functions[FUNCTION] = function  # type: ignore[assignment]
        return self.monitor.call("it(1)", FUNCTION, *arguments, fail=fail)

    def test_a_result_has_32_bits_and_a_sign(self) -> None:
        for value, wanted in (
            (0, 0), (5, 5), (0x7FFFFFFF, 0x7FFFFFFF), (0xFFFFFFF4, -12), (2**64 - 12, -12), (0x80000000, -(2**31)),
            (0x1234567800000003, 3),
        ):  # fmt: skip
            self.assertEqual(self.call(returns(value)), wanted)

    def test_arguments_and_stack(self) -> None:
        seen = []

        def function(cpu: Cpu) -> Frame:
            seen.extend(cpu.arguments(6))
            self.assertEqual(cpu["rsp"] % 16, 8)  # as behind a CALL
            self.assertLess(cpu["rsp"], STACK - 0x100)  # below what a leaf function may use
            self.assertEqual(cpu.read(cpu["rsp"], 8), HERE.to_bytes(8, "little"))
            return 0
            yield  # pylint: disable=unreachable

        self.cpu.set(r8=8, r9=9)
        for stack in (STACK, STACK + 8, STACK - 24):
            self.cpu.set(rsp=stack)
            self.call(function, 1, -2, 3, 4)
        self.assertEqual(seen, [1, 2**64 - 2, 3, 4, 8, 9] * 3)

    def test_registers_are_as_they_were(self) -> None:
        before = self.cpu.registers().raw
        self.assertEqual(self.call(returns(3), 1, 2, 3), 3)
        self.assertEqual(self.cpu.registers().raw, before)
        self.assertEqual(self.cpu.stops, set())

    def test_stops_are_as_they_were(self) -> None:
        for place in (ALLOCATE, HERE, INNER):
            self.monitor.stop_at(place, keep)
        self.call(returns(3), fail=1)
        self.assertEqual(self.cpu.stops, {ALLOCATE, HERE, INNER})

    def test_the_same_address_on_the_way(self) -> None:
        """What it calls stands where the machine is stopped: that is not yet its return."""
        self.cpu.functions[HERE] = returns(7)

        def function(_: Cpu) -> Frame:
            first = yield (HERE,)
            return first + (yield (HERE,))

        self.assertEqual(self.call(function), 14)

    def test_memory_is_refused(self) -> None:
        def function(_: Cpu) -> Frame:
            got = 0
            for number in range(4):
                got = got << 1 | bool((yield ALLOCATE, number))
            return got

        for fail, wanted, given in ((0, 15, 4), (1, 0, 0), (2, 8, 1), (4, 14, 3), (5, 15, 4)):
            self.heard.clear()
            self.assertEqual(self.call(function, fail=fail), wanted)
            self.assertEqual(self.heard, list(range(given)))
        for fail, wanted in ((1, 7), (2, 11), (4, 14), (5, 15)):
            self.assertEqual(self.monitor.call("it", FUNCTION, fail=fail, only=True), wanted)

    def test_other_stops_are_passed(self) -> None:
        """Nobody's handler is asked within a call."""
        handler = mock.Mock()
        self.cpu.functions[INNER] = returns(2)
        self.monitor.stop_at(INNER, handler)

        def function(_: Cpu) -> Frame:
            return 40 + (yield (INNER,))

        self.assertEqual(self.call(function), 42)
        handler.assert_not_called()

    def test_who_does_not_return(self) -> None:
        def ends(_: Cpu) -> Frame:
            return None
            yield  # pylint: disable=unreachable

        def loops(_: Cpu) -> Frame:
            while True:
                yield ALLOCATE, 1

        def recurs(_: Cpu) -> Frame:
            return (yield (FUNCTION,))

        def another_stack(cpu: Cpu) -> Frame:
            cpu.set(rsp=cpu["rsp"] - 0x800)
            cpu.write(cpu["rsp"], HERE.to_bytes(8, "little"))
            return 0
            yield  # pylint: disable=unreachable

        def nowhere(cpu: Cpu) -> Frame:
            cpu.set(rsp=2**64 - 1)
            return (yield ALLOCATE, 1)

        for function in (ends, loops, recurs, another_stack, nowhere):
            for fail in (0, 1):
                self.cpu.steps = 0
                self.cpu.set(rip=HERE, rsp=STACK)
                with self.assertRaisesRegex(Unreturned, r"^it\(1\) was called, and never returned\.$"):
                    self.call(function, fail=fail)

    def test_a_stack_that_is_nowhere(self) -> None:
        for stack in (0, 1, 0x3FF, MIB, 2**63, 2**64 - 1, 0xA0800):
            self.cpu.set(rip=HERE, rsp=stack)
            self.assertRaises(Unreturned, self.call, returns(0))


class Stops(unittest.TestCase):
    """Monitor's other functions."""

    def test_names_are_looked_up_once(self) -> None:
        monitor = Monitor(Cpu({}), Path("image"))
        with mock.patch.object(symbols, "address_of", side_effect=lambda _, name: len(name)) as look:
            self.assertEqual([monitor.address(name) for name in ("vm", "vcpu", "vm")], [2, 4, 2])
        self.assertEqual(look.call_count, 2)

    def test_pointers(self) -> None:
        cpu = Cpu({})
        cpu.write(0x2000, bytes(range(16)))
        monitor = Names(cpu)
        self.assertEqual(monitor.pointers(0x2000, 2), [0x0706050403020100, 0x0F0E0D0C0B0A0908])
        for place in (MIB - 8, 2**64 - 1, 1 << 40):
            self.assertEqual(monitor.pointers(place, 2), [2**64 - 1] * 2)

    def test_refuse(self) -> None:
        cpu = Cpu({})
        cpu.enter(ALLOCATE, 0x1234)
        Names(cpu).refuse(cpu.registers())
        self.assertEqual((cpu["rax"], cpu["rip"], cpu["rsp"]), (0, 0x1234, STACK))

    def test_when_returned(self) -> None:
        cpu = Cpu({})
        monitor = Names(cpu)
        said = mock.Mock(return_value="no.")
        cpu.enter(FUNCTION, 0x1234)
        monitor.when_returned(cpu.registers(), said)
        self.assertEqual((set(monitor.stops), cpu.stops), ({0x1234}, {0x1234}))
        cpu.set(rip=0x1234)
        self.assertEqual(monitor.stopped(cpu.registers()), "no.")
        self.assertEqual((monitor.stops, cpu.stops, said.call_count), ({}, set(), 1))

    def test_several_at_one_place(self) -> None:
        cpu = Cpu({})
        monitor = Names(cpu)
        first, second = mock.Mock(return_value=""), mock.Mock(return_value="no.")
        monitor.stop_once(HERE, first)
        monitor.stop_at(HERE, second)
        monitor.forget(HERE, keep)  # nobody's
        self.assertEqual([monitor.stopped(cpu.registers()) for _ in range(2)], ["no.", "no."])
        self.assertEqual((first.call_count, second.call_count, cpu.stops), (1, 2, {HERE}))
        monitor.forget(HERE, second)
        monitor.forget(HERE, second)
        self.assertEqual((monitor.stops, cpu.stops), ({}, set()))


class Meddles(Notes):
    """Stops at FUNCTION, with a handler of the test's."""

    def __init__(self, handler: object = keep, unasked: str = "") -> None:
        super().__init__()
        self.handler = handler
        self.missing = unasked
        self.monitor: Monitor

    def begin(self, monitor: Monitor) -> None:
        self.monitor = monitor
        monitor.stop_at(FUNCTION, self.handler)  # type: ignore[arg-type]

    def unasked(self) -> str:
        return self.missing


class Follow(unittest.TestCase):
    """watch.py, with a check that stops in functions."""

    RUN = [(FUNCTION, {}), (FUNCTION + 1, {}), (VMRUN, {"rax": 0x5000}), (VMRUN + 3, {}),
           (FUNCTION, {"cr3": 1}), (FUNCTION, {}), (VMRUN, {"rax": 0x5000}), (VMRUN + 3, {})]  # fmt: skip

    def follow(self, check: watch.Check, image: bytes = b"") -> watch.Watched:
        """Watch it."""
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        path = folder / "image"
        path.write_bytes(image or elf((VMRUN, b"\x0f\x01\xd8")))
        watched = watch.Watch(path, [check])
        self.qemu = Qemu(self.RUN)
        watched.follow(self.qemu.ours, memoryview(bytearray(MIB)))
        self.qemu.join(20)
        self.assertIsNone(watched.trouble)
        return watched.result

    def test_a_handler_that_stays(self) -> None:
        """It is stepped over, each time; where other tables are, it is not asked."""
        handler = mock.Mock(return_value="")
        check = Meddles(handler)
        self.assertEqual(self.follow(check), watch.Watched(2))
        self.assertEqual((handler.call_count, self.qemu.heard.count("s")), (2, 3))
        self.assertEqual(self.qemu.stops, {VMRUN, FUNCTION})

    def test_a_handler_that_goes(self) -> None:
        def once(_: Registers) -> str:
            check.monitor.forget(FUNCTION, once)
            return ""

        check = Meddles(once)
        self.assertEqual(self.follow(check), watch.Watched(2))
        self.assertEqual(self.qemu.heard.count("s"), 0)

    def test_a_handler_that_moves_the_machine(self) -> None:
        """Where it has put it, nothing is stepped over."""

        def moves(now: Registers) -> str:
            self.assertEqual(now["rip"], FUNCTION)
            self.qemu._next += 1  # pylint: disable=protected-access
            return ""

        self.assertEqual(self.follow(Meddles(moves)), watch.Watched(2))
        self.assertEqual(self.qemu.heard.count("s"), 1)

    def test_a_handler_that_complains(self) -> None:
        found = self.follow(Meddles(lambda _: "it is wrong."))
        self.assertEqual(found, watch.Watched(0, "it is wrong.", 0, meddled=True))
        self.assertEqual((self.qemu.stops, self.qemu.heard[-1]), (set(), "D"))

    def test_what_is_found_at_a_vmrun_afterwards(self) -> None:
        """Of a machine that a check has left otherwise than it was."""
        check = Meddles(lambda _: setattr(check.monitor, "meddled", True) or "")
        check.wrong = 1
        self.assertEqual(self.follow(check), watch.Watched(1, "it is wrong.", 1, meddled=True))

    def test_a_function_that_does_not_return(self) -> None:
        check = Meddles(lambda _: str(check.monitor.call("protect(1, 2)", 0x999)))
        said = "protect(1, 2) was called, and never returned."
        self.assertEqual(self.follow(check), watch.Watched(0, said, 0, meddled=True, unreturned=True))

    def test_a_name_that_is_missing(self) -> None:
        check = Meddles(lambda _: str(check.monitor.address("vm_create")))
        found = self.follow(check)
        self.assertTrue(found.meddled and not found.unreturned)
        self.assertIn("symbols cannot be read", found.complaint)

    def test_what_never_came(self) -> None:
        found = self.follow(Meddles(unasked="it was never called."))
        self.assertEqual(found, watch.Watched(2, "it was never called."))
        found = self.follow(Meddles(lambda _: "it is wrong.", "it was never called."))
        self.assertEqual(found.complaint, "it is wrong.")


class Hostile(unittest.TestCase):
    """Whatever the registers are: no exception but those that are an image's fault."""

    def test_registers(self) -> None:
        rng = random.Random(3)
        edges = (0, 1, 7, 0xA0000 - 4, MIB - 1, MIB, 2**31, 2**32 - 1, 2**63, 2**64 - 8, 2**64 - 1)
        for _ in range(300):
            values = {name: rng.choice(edges) for name in ("rax", "rsp", "rip", "rdi", "rsi", "cr3")}
            cpu = Cpu({ALLOCATE: returns(0), FUNCTION: returns(rng.choice(edges))})
            cpu.set(**values)
            monitor = Names(cpu, pages_alloc_zero=rng.choice((ALLOCATE, *edges)))
            monitor.when_returned(registers(**values), keep)
            monitor.refuse(registers(**values))
            try:
                function = rng.choice((FUNCTION, *edges))
                monitor.call("it", function, *values.values(), fail=rng.randrange(3))
            except Unreturned:
                pass


if __name__ == "__main__":
    unittest.main()

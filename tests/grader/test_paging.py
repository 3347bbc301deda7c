# SPDX-License-Identifier: BSD-3-Clause
"""Labs 3 and 4: the slow walker, what exits tell of paging, and Bochs's log."""

from __future__ import annotations

import random
import unittest
from dataclasses import replace
from typing import Any

from support import make_test
from test_judge import ALL, LOW, out, seen, subject
from grading import bochs, paging
from grading.evidence import NOWHERE, Exit, Run, Trace
from grading.judge import judge
from grading.model import Verdict
from grading.programs.asm import HOLE
from grading.programs.tables import (
    FETCH, KINDS, NX, PRESENT, RSVD, USER, WRITE, A, D, G, Memory, Modes, P, PS, Space, U, W, walk,
)  # fmt: skip

MIB = 1 << 20
FAR = 0x8000_0000


class Walk(unittest.TestCase):
    """walk()."""

    def setUp(self) -> None:
        self.memory = Memory(random.Random(1), 0x2400000, 0x2500000, 64 * MIB)
        self.modes = Modes(wp=True, nxe=True)

    def space(self, kind: str) -> Space:
        """A new one."""
        return Space(KINDS[kind], self.memory)

    def go(self, space: Space, gva: int, how: str = "", **modes: bool) -> tuple[int | None, int]:
        """w: write, x: fetch, u: user."""
        return walk(space, replace(self.modes, **modes), gva, "w" in how, "x" in how, "u" in how)

    def test_each_kind(self) -> None:
        for kind in KINDS:
            space = self.space(kind)
            at = space.map(FAR, 0x3000000, P | W)
            self.assertEqual(self.go(space, FAR + 5), (0x3000005, 0))
            self.assertEqual(self.memory.get(at) & (A | D), A)
            self.assertEqual(self.go(space, FAR + 5, "w"), (0x3000005, 0))
            self.assertEqual(self.memory.get(at) & (A | D), A | D)
            self.assertEqual(self.go(space, FAR + 4096, "w"), (None, WRITE))

    def test_large_pages(self) -> None:
        for kind, size in (("32", 4 * MIB), ("pae", 2 * MIB), ("64", 2 * MIB)):
            space = self.space(kind)
            at = space.map(FAR, 0x3000000, P | W, level=2)
            self.assertEqual(self.go(space, FAR + size - 4), (0x3000000 + size - 4, 0))
            self.memory.put(at, self.memory.get(at) | 1 << (21 if kind == "32" else 20))
            if kind == "32":
                self.assertEqual(self.go(space, FAR), (None, PRESENT | RSVD))
            else:
                self.assertEqual(self.go(space, FAR), (None, PRESENT | RSVD))

    def test_rights(self) -> None:
        space = self.space("64")
        space.map(FAR, 0x3000000, P | U | NX)
        self.assertEqual(self.go(space, FAR, "u"), (0x3000000, 0))
        self.assertEqual(self.go(space, FAR, "uw"), (None, PRESENT | USER | WRITE))
        self.assertEqual(self.go(space, FAR, "w"), (None, PRESENT | WRITE))
        self.assertEqual(self.go(space, FAR, "w", wp=False), (0x3000000, 0))
        self.assertEqual(self.go(space, FAR, "x"), (None, PRESENT | FETCH))
        self.assertEqual(self.go(space, FAR, "x", nxe=False), (None, PRESENT | RSVD))
        self.assertEqual(self.go(space, FAR, "", smap=True), (None, PRESENT))
        self.assertEqual(self.go(space, FAR, "", smap=True, ac=True), (0x3000000, 0))
        other = FAR + (1 << 39)
        space.map(other, 0x3001000, P | U | W, upper=P | W)
        self.assertEqual(self.go(space, other, "u"), (None, PRESENT | USER))

    def test_holes_read_ones(self) -> None:
        self.assertEqual(self.memory.get(64 * MIB, 8), (1 << 64) - 1)
        self.memory.put(64 * MIB, 5)
        self.assertEqual(self.memory.get(64 * MIB), 0xFFFFFFFF)
        space = self.space("pae")
        self.memory.put(space.entry(FAR, 2), 64 * MIB | P, 8)
        self.assertEqual(self.go(space, FAR), (None, PRESENT | RSVD))

    def test_global_and_ps_do_not_matter_below(self) -> None:
        space = self.space("32")
        space.map(FAR, 0x3000000, P | G | PS)
        self.assertEqual(self.go(space, FAR), (0x3000000, 0))


def page_fault(gva: int) -> Exit:
    """A #PF exit."""
    return Exit(0x4E, 0, gva, LOW)


def nested_fault(gpa: int) -> Exit:
    """A nested page fault."""
    return Exit(0x400, 6, gpa, LOW)


class Evidence(unittest.TestCase):
    """What the exits tell."""

    def judge(self, options: dict[str, Any], exits: tuple[Exit, ...], **more: Any) -> str:
        """The message; the answers are all right."""
        counts = replace(seen(exits).counts, image=50)
        found = judge(
            make_test("t", options=options), (subject(**more),), seen(exits, counts=counts)
        )
        self.assertEqual(found.verdict is Verdict.PASS, not found.message)
        return found.message

    def test_shadow(self) -> None:
        wanted, touches = {"shadow": True}, (0x80000010, 0x90000FFC)
        exits = (page_fault(0x1000), page_fault(0x80000010), page_fault(0x90000000), *ALL)
        self.assertEqual(self.judge(wanted, exits, touches=touches), "")
        swapped = (exits[2], exits[1], *ALL)
        self.assertIn("0x90000ffc was used", self.judge(wanted, swapped, touches=touches))
        self.assertIn("0x80000010 was used", self.judge(wanted, ALL, touches=touches))
        nested = (*exits[:3], nested_fault(0x1000), *ALL)
        self.assertIn("nested page fault", self.judge(wanted, nested, touches=touches))

    def test_nested(self) -> None:
        wanted, holes = {"nested": True}, (0x5000000,)
        self.assertEqual(self.judge(wanted, ALL), "")
        self.assertEqual(self.judge(wanted, (nested_fault(0x5000123), *ALL), holes=holes), "")
        self.assertIn("no nested page fault at 0x5", self.judge(wanted, ALL, holes=holes))
        self.assertIn("where it has RAM", self.judge(wanted, (nested_fault(0x3000000), *ALL)))
        self.assertIn("#PF", self.judge(wanted, (page_fault(0x3000000), *ALL)))

    def test_stopped_at_a_hole(self) -> None:
        more: dict[str, Any] = {
            "end": HOLE, "holes": (0x5000000,), "touches": (0x80000000,), "sure_nibbles": 2,
            "exact": False,
        }  # fmt: skip
        for last in (nested_fault(0x5000000), page_fault(0x80000004)):
            self.assertEqual(self.judge({}, (*ALL[:2], last), **more), "")
            self.assertIn("Answer 1", self.judge({}, (ALL[0], last), **more))
        self.assertIn("Answer 2", self.judge({}, (*ALL[:2], page_fault(0x5000000)), **more))
        self.assertIn("Answer 2", self.judge({}, ALL[:2], **more))
        self.assertEqual(self.judge({}, ALL, **more), "")

    def test_turns(self) -> None:
        test = make_test("t", options={"turns": 2})
        runs = [Run(vmcb, out(0x80)) for vmcb in (1, 1, 2, 2)]
        self.assertIn("1 times only", paging.machine_problem(test, Trace(tuple(runs))))
        self.assertEqual(paging.machine_problem(test, Trace((*runs, runs[0]))), "")

    def test_nested_paging_seen(self) -> None:
        on, off = (Trace((Run(1, out(0x80), nested),)) for nested in (True, False))
        shadow, nested = (make_test("t", options={name: True}) for name in ("shadow", "nested"))
        self.assertIn("on", paging.machine_problem(shadow, on))
        self.assertEqual(paging.machine_problem(shadow, off), "")
        self.assertIn("off", paging.machine_problem(nested, off))
        self.assertEqual(paging.machine_problem(nested, on), "")

    def test_two_with_the_same_addresses(self) -> None:
        exits = (*ALL, *ALL)
        runs = tuple(Run(1 + i // 4, event) for i, event in enumerate(exits))
        counts = replace(seen(exits).counts, image=100)
        machine = replace(seen(exits, counts=counts), trace=Trace(runs))
        found = judge(make_test("t"), (subject(name="a"), subject(name="b")), machine)
        self.assertEqual(found.message, "")
        one = replace(machine, trace=Trace(runs[:4]))
        self.assertIn("b: The guest", judge(make_test("t"), (subject(name="a"), subject(name="b")), one).message)


ENTRY = b"00156792193d[CPU0  ] VMRUN VMCB ptr: 0x000000000016b000\n"
NESTED = b"00156792193d[CPU0  ] VMRUN: Starting Nested Paging Mode !\n"
OUT = (
    b"00156792206e[CPU0  ] SVM VMEXIT: I/O port 0xca07\n"
    b"00156792206d[CPU0  ] SVM VMEXIT reason=123 exitinfo1=00000000ca070110 exitinfo2=0000000002000085\n"
)
REFUSED = b"00156792206d[CPU0  ] SVM VMEXIT reason=-1 exitinfo1=0000000000000000 exitinfo2=0000000000000000\n"


class Bochs(unittest.TestCase):
    """Its log."""

    def test_pairs(self) -> None:
        trace = bochs.parse(ENTRY + NESTED + OUT + ENTRY + REFUSED + ENTRY)
        self.assertEqual([run.nested for run in trace.runs], [True, False, False])
        self.assertEqual([run.vmcb for run in trace.runs], [0x16B000] * 3)
        first, second = trace.exits
        self.assertEqual((first.nibble, first.rip), (7, 0x2000084))
        self.assertEqual((second.code, second.rip), (0xFFFFFFFF, NOWHERE))
        self.assertEqual(str(second), "VMRUN refused the VMCB")

    def test_small_ports_have_an_immediate(self) -> None:
        line = OUT.replace(b"ca070110", b"00f40110")
        self.assertEqual(bochs.parse(ENTRY + line).exits[0].rip, 0x2000083)

    def test_what_only_looks_like_it(self) -> None:
        exit_line = OUT.split(b"\n")[1]
        for line in (
            b"00156792206i[BIOS  ] " + exit_line,  # what software says through port 0x402
            b"x" + exit_line,
            b"00156792206i[BIOS  ] \r" + exit_line,
            exit_line + b"\r",
            exit_line.replace(b"CPU0", b"CPU1"),
        ):
            self.assertEqual(bochs.parse(ENTRY + line + b"\n").exits, [], line)

    def test_ticks(self) -> None:
        self.assertEqual(bochs.ticks(ENTRY + OUT), 13)
        self.assertEqual(bochs.ticks(b""), 0)

    def test_instructions_are_not_counted(self) -> None:
        exits = tuple(replace(event) for event in ALL)
        machine = replace(seen(exits), ticks=77, counts=replace(seen(exits).counts, image=1))
        found = judge(make_test("t"), (subject(),), machine)
        self.assertEqual((found.verdict, found.message), (Verdict.PASS, ""))
        self.assertEqual((found.evidence["ticks"], found.evidence["engine"]), (77, "bochs"))
        self.assertNotIn("instructions", found.evidence)

    def test_limits(self) -> None:
        machine = replace(seen(ALL), ticks=77, exceeded="ticks")
        found = judge(make_test("t"), (subject(),), machine)
        self.assertEqual(found.verdict, Verdict.LIMIT)
        self.assertIn("ticks", found.message)


if __name__ == "__main__":
    unittest.main()

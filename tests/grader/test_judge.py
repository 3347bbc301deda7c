# SPDX-License-Identifier: BSD-3-Clause
"""The judge: each way in which a guest's run can be wrong, and the one in which it is right."""

from __future__ import annotations

import unittest
from dataclasses import replace
from pathlib import Path
from typing import Any, Sequence

from support import make_test
from grading.evidence import Counts, Exit, Run, Trace
from grading import telling
from grading.judge import Judgement, judge
from grading.machine import Seen
from grading.model import Verdict
from grading.programs.asm import ANY, HALT, Answer
from grading.subject import Subject

LOW = 0x2000000
HLT = 0x78


def out(port: int, at: int = LOW) -> Exit:
    """An exit for OUT of a byte."""
    return Exit(0x7B, port << 16 | 0x10, at + 1, at)


def subject(**more: Any) -> Subject:
    """A guest that answers 0xab and then 0xc, and is all OUTs."""
    answers = (Answer("first", 2, 0xAB), Answer("second", 1, 0xC))
    base = Subject("guest", Path("x"), "", LOW, LOW + 16, b"\xee" * 16, answers, 50, True, "exit")
    return replace(base, **more)


ALL = (out(0xCA0A), out(0xCA0B), out(0xCA0C), out(0xF4))


def seen(exits: Sequence[Exit | None], **more: Any) -> Seen:
    """A run with these exits."""
    trace = Trace(tuple(Run(0x1000, exit) for exit in exits))
    counts = Counts("exit", 1000, len(exits), 60, 50, 0, 3)
    base = Seen(code=1, log=b"", counts=counts, serial=b"", stderr=b"", seconds=0.1, trace=trace)
    return replace(base, **more)


class Judge(unittest.TestCase):
    """judge()."""

    def judge(self, run: Seen, *subjects: Subject) -> Judgement:
        """Judge it."""
        return judge(make_test("t"), subjects or (subject(),), run)

    def fails(self, words: str, run: Seen, *subjects: Subject) -> Judgement:
        """It must fail, and say this."""
        found = self.judge(run, *subjects)
        self.assertEqual(found.verdict, Verdict.FAIL)
        self.assertIn(words, found.message)
        return found

    def test_right(self) -> None:
        found = self.judge(seen(ALL))
        self.assertEqual((found.verdict, found.message), (Verdict.PASS, ""))

    def test_wrong_answer(self) -> None:
        wrong = (out(0xCA0A), out(0xCA0D), out(0xCA0C), out(0xF4))
        found = self.fails("Answer 1 of 2, first: expected 0xab, seen 0xad.", seen(wrong))
        self.assertEqual(found.last_exits[-1], "exit 2: OUT, 8 bits, port 0xca0d at 0x2000000")

    def test_answers_are_one_line(self) -> None:
        fault = Exit(0x4E, 0x15, 0x4000, LOW)
        shown = telling.last_exits([ALL[0], ALL[1], fault, ALL[2], out(0xCA0D)])
        self.assertEqual(shown, [
            "exits 1-2: OUT, 2 times: the guest answers ab",
            "exit 3: #PF, error 0x15, address 0x4000 at 0x2000000 (present, user, fetch)",
            "exit 4: OUT, 8 bits, port 0xca0c at 0x2000000",
            "exit 5: OUT, 8 bits, port 0xca0d at 0x2000000",
        ])  # fmt: skip
        prints = [out(0xE9, LOW + at) for at in range(3)]
        self.assertEqual(telling.last_exits([*prints, fault])[0], "exits 1-3: OUT, 3 times: the guest prints")

    def test_stuck(self) -> None:
        fault = Exit(0x400, 1 << 33 | 7, 0x4000, LOW)
        found = self.judge(seen([*ALL[:2], *[fault] * 60], counts=Counts("entries")))
        self.assertEqual(found.verdict, Verdict.LIMIT)
        self.assertIn("The last 60 exits were one and the same", found.message)
        self.assertEqual(found.last_exits[-1], "exits 3-62: nested page fault, error 0x200000007, guest physical "
                         "0x4000 at 0x2000000 (write, on the way through the guest's tables), 60 times")
        self.assertEqual(telling.stuck([ALL[0]] * 99), "")
        self.assertEqual(telling.stuck([fault] * 9), "")

    def test_last_words_of_the_one(self) -> None:
        said = b"casita: one: stopped: this\r\n  at 1\r\ncasita: two: stopped: that\r\n"
        self.assertIn("that", telling.last_words(seen((), serial=said, code=3), "two"))
        self.assertNotIn("this", telling.last_words(seen((), serial=said, code=3), "two"))
        self.assertIn("this", telling.last_words(seen((), serial=said, code=3)))

    def test_says(self) -> None:
        wanted = make_test("t", options={"says": ["one: stopped: .*CPUID"]})
        told = b"casita: one: stopped: an exit of kind cpuid\r\n"
        who = (subject(says=("hello",)),)
        self.assertEqual(judge(wanted, who, seen(ALL, serial=told + b"Hello\n")).verdict, Verdict.PASS)
        for serial in (b"", told, b"hello\n"):
            found = judge(wanted, who, seen(ALL, serial=serial))
            self.assertEqual(found.verdict, Verdict.FAIL)
            self.assertIn("output has nothing like: ", found.message)
        found = judge(wanted, who, seen(ALL[:1], serial=told + b"hello\n"))
        self.assertIn("Answer 1 of 2", found.message)  # it makes nothing right

    def test_ended_by_a_string(self) -> None:
        outs = Exit(0x7B, 0xF4 << 16 | 0x1C, LOW + 1, LOW)
        self.assertEqual(self.judge(seen((*ALL[:3], outs))).verdict, Verdict.PASS)
        ins = replace(outs, info1=outs.info1 | 1)
        self.fails("OUT to port 0xf4 was not seen", seen((*ALL[:3], ins)))

    def test_missing_answer(self) -> None:
        self.fails("Answer 2 of 2, second: expected 0xc, seen nothing.", seen((*ALL[:2], ALL[3])))
        self.fails("seen 0xa…, then none.", seen(ALL[:1]))

    def test_too_many_answers(self) -> None:
        self.fails("went on", seen((*ALL[:3], out(0xCA01), ALL[3])))

    def test_answer_from_elsewhere(self) -> None:
        self.fails("no OUT", seen((out(0xCA0A, LOW + 16), *ALL[1:])))
        self.fails("no OUT", seen(ALL), subject(code=b"\x90" * 16))

    def test_answer_behind_a_prefix(self) -> None:
        found = self.judge(seen(ALL), subject(code=b"\x66\x2e\xee" + b"\x90" * 13))
        self.assertEqual(found.verdict, Verdict.PASS)

    def test_no_guest(self) -> None:
        self.fails("no VMRUN", seen(()))

    def test_no_end(self) -> None:
        self.fails("0xf4 was not seen", seen(ALL[:3]))
        self.fails("without an exit", seen((*ALL[:3], None)))

    def test_goes_on_after_its_end(self) -> None:
        self.fails("entered again", seen((*ALL, out(0x80))))

    def test_status(self) -> None:
        self.fails("status 3", seen(ALL, code=7))
        self.fails("triple fault in Casita", seen(ALL, code=0))

    def test_counts(self) -> None:
        for image in (49, 51):
            counts = replace(seen(ALL).counts, image=image)
            self.fails(f"executed {image} instructions", seen(ALL, counts=counts))
        self.fails("outside of any VM", seen(ALL, counts=replace(seen(ALL).counts, outside=1)))
        self.fails("VMRUNs", seen(ALL, counts=replace(seen(ALL).counts, entries=9)))

    def test_foreign_code(self) -> None:
        self.fails("not its own", seen(ALL, counts=replace(seen(ALL).counts, foreign=1)))

    def test_a_copy(self) -> None:
        self.fails("a copy of it", seen(ALL, counts=replace(seen(ALL).counts, strays=12)))
        self.assertEqual(self.judge(seen(ALL, counts=replace(seen(ALL).counts, strays=2))).verdict, Verdict.PASS)

    def test_the_way_from_out_to_out(self) -> None:
        bare = tuple((LOW, 10 + 5 * n) for n in range(4))
        guest = subject(flat=True, io=bare)
        counts = replace(seen(ALL).counts, io=tuple((at, n + 7) for at, n in bare))
        self.assertEqual(self.judge(seen(ALL, counts=counts), guest).verdict, Verdict.PASS)
        shorter = replace(counts, io=(*bare[:3], (LOW, 24)))
        self.fails("as it does bare", seen(ALL, counts=shorter), guest)
        more = replace(counts, io=(*counts.io, (LOW, 99)))
        self.fails("executed 5 IN and OUT, and 4 of them", seen(ALL, counts=more), guest)

    def test_an_end_from_elsewhere(self) -> None:
        guest = subject(end=HALT, last_code=HLT, flat=True)
        self.fails("not come from its own", seen((*ALL[:3], Exit(HLT, 0, 0, LOW - 1)), code=1), guest)

    def test_a_restart_may_count_twice(self) -> None:
        exits = (Exit(0x400, 6, 0x5000, LOW), *ALL)
        counts = replace(seen(exits).counts, image=51)
        self.assertEqual(self.judge(seen(exits, counts=counts)).verdict, Verdict.PASS)

    def test_limits(self) -> None:
        limits = {"instructions": "instructions", "entries": "exited more", "asleep": "sleep"}
        for why, words in limits.items():
            found = self.judge(seen(ALL[:1], code=9, counts=Counts(why)))
            self.assertEqual(found.verdict, Verdict.LIMIT)
            self.assertIn(words, found.message)
        self.assertEqual(self.judge(seen(ALL, code=None)).verdict, Verdict.LIMIT)
        self.assertEqual(self.judge(seen(ALL, too_much=True)).verdict, Verdict.LIMIT)

    def test_status_that_looks_like_a_limit(self) -> None:
        self.fails("status 4", seen(ALL, code=9))

    def test_crash(self) -> None:
        self.fails("QEMU itself died", seen(ALL, code=139, counts=Counts("")))

    def test_refused(self) -> None:
        self.fails("refused", seen((Exit(0xFFFFFFFF, 0, 0, LOW),)))

    def test_halt(self) -> None:
        guest = subject(end=HALT, last_code=HLT)
        halted = (*ALL[:3], Exit(HLT, 0, 0, LOW))
        self.assertEqual(self.judge(seen(halted, code=1), guest).verdict, Verdict.PASS)
        self.fails("entered again", seen((*halted, out(0x80))), guest)
        self.fails("no such exit", seen(ALL[:3]), guest)

    def test_first_exit_only(self) -> None:
        guest = subject(end=ANY, answers=(), first_port=0x22)
        run = seen((out(0x22),), code=9, counts=Counts("entries"))
        self.assertEqual(self.judge(run, guest).verdict, Verdict.PASS)
        self.fails("first exit", seen((out(0x22, LOW + 1),)), guest)
        self.fails("first exit", seen((out(0x23),)), guest)

    def test_two(self) -> None:
        other = subject(name="other", low=LOW + 0x100, high=LOW + 0x110)
        more = tuple(replace(exit, rip=exit.rip + 0x100) for exit in ALL)
        run = seen((*ALL[:2], *more, *ALL[2:]), counts=Counts("exit", 1000, 8, 100, 100, 0, 3))
        self.assertEqual(self.judge(run, subject(), other).verdict, Verdict.PASS)
        self.fails("other: ", seen(ALL), subject(), other)

    def test_last_words(self) -> None:
        said = b"casita: AMD\r\ncasita: x: stopped: because\x1b[2J\r\n  RAX 0\r\n"
        found = self.fails("stopped: because[2J", seen(ALL[:1], code=203, serial=said))
        self.assertNotIn("RAX", found.message)


if __name__ == "__main__":
    unittest.main()

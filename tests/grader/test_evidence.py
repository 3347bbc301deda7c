# SPDX-License-Identifier: BSD-3-Clause
"""Evidence: QEMU's log, the trace of a bare run, count.c's file; and what only looks like it."""

from __future__ import annotations

import unittest

import support  # noqa: F401
from grading import evidence

ENTRY = b"vmrun! 000000000017b000\n"
ANSWER = b"vmexit(0000007b, 00000000ca050010, 000000000200864a, 0000000002008649)!\n"
CPUID = b"vmexit(00000072, 0000000000000000, 0000000000000000, 0000000002001000)!\n"


class Trace(unittest.TestCase):
    """The log of entries and exits."""

    def test_pairs(self) -> None:
        trace = evidence.parse_trace(ENTRY + CPUID + ENTRY + ANSWER)
        self.assertEqual([exit.code for exit in trace.exits], [0x72, 0x7B])
        self.assertEqual(trace.exits[1].rip, 0x2008649)
        self.assertEqual(evidence.nibbles_of(trace.exits), (5,))
        self.assertEqual(trace.vmcbs, [0x17B000])

    def test_injected_event_stands_in_front(self) -> None:
        trace = evidence.parse_trace(ENTRY + b"Injecting(0x800): EXEPT" + CPUID)
        self.assertEqual(len(trace.exits), 1)

    def test_only_whole_lines_count(self) -> None:
        cut = (ANSWER[1:], ANSWER[:-2] + b"\n")
        for line in (b"IN: " + ANSWER, ANSWER[:-1] + b" \n", b"\r" + ANSWER, *cut):
            trace = evidence.parse_trace(ENTRY + line)
            self.assertEqual(trace.exits, [], line)

    def test_exit_without_entry_is_none(self) -> None:
        self.assertEqual(evidence.parse_trace(ANSWER).runs, ())

    def test_machine_ended_inside(self) -> None:
        trace = evidence.parse_trace(ENTRY + ANSWER + ENTRY)
        self.assertIsNone(trace.runs[-1].exit)

    def test_nibbles(self) -> None:
        base = {"code": 0x7B, "info2": 0, "rip": 0}
        wanted: dict[int, int | None] = {0xCA0F0010: 15, 0xCA000010: 0}
        wanted.update(dict.fromkeys((0xCA000011, 0xCA000014, 0xCA100010, 0xC9FF0010)))
        for info1, nibble in wanted.items():
            self.assertEqual(evidence.Exit(info1=info1, **base).nibble, nibble, hex(info1))
        self.assertIsNone(evidence.Exit(0x72, 0xCA050010, 0, 0).nibble)

    def test_names(self) -> None:
        self.assertEqual(str(evidence.parse_trace(ENTRY + CPUID).exits[0]), "CPUID at 0x2001000")
        out = evidence.parse_trace(ENTRY + ANSWER).exits[0]
        self.assertEqual(str(out), "OUT, 8 bits, port 0xca05 at 0x2008649")


class Bare(unittest.TestCase):
    """The trace of writes to ports."""

    def test_answers_and_status(self) -> None:
        line = b"memory_region_ops_write cpu 0 mr 0x56 addr 0x%x value 0x%x size 1 name '%s'\n"
        log = line % (0xCA07, 0, b"io") + line % (0xCA03, 9, b"ram") + line % (0xE9, 65, b"x")
        bare = evidence.parse_bare(log + line % (0xF4, 3, b"isa-debug-exit"))
        self.assertEqual(bare, evidence.BareRun((7,), 3))
        self.assertIsNone(evidence.parse_bare(log).status)


class Counts(unittest.TestCase):
    """count.c's file."""

    def test_last_line(self) -> None:
        counts = evidence.parse_counts(b"run 1 1 5\nio 2000010 4\nend exit 100 1 7 6 0 3 2 5\n")
        self.assertEqual(counts, evidence.Counts("exit", 100, 1, 7, 6, 0, 3, 2, 5, ((0x2000010, 4),)))

    def test_cut_off(self) -> None:
        for text in (b"", b"run 1 1 5\n", b"run 1 1 5\nend exit 100 1 7 6 0 3 0 0", b"run 1 1 5\nend exit 100 1 7 6 0 3 0\n", b"end exit 1 2\n"):
            self.assertEqual(evidence.parse_counts(text).why, "", text)


if __name__ == "__main__":
    unittest.main()

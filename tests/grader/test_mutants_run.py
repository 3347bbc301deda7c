# SPDX-License-Identifier: BSD-3-Clause
"""A run of mutants: their fates, what is kept of them, and the status."""

from __future__ import annotations

import contextlib
import json
import re
import unittest
from pathlib import Path
from typing import Any
from unittest import mock

from support import FILES, LAB, FakeRunner, HouseCase, trees, write
from common import CasitaError
from grading import contain

if trees.STAFF:
    from staff.mutants import run

VCPU = """\
#include "house.h"

static void say(const char *word, int times)
{
	__asm__ volatile("" ::"r"(word), "r"(times));
}

void vcpu_run(int rooms)
{
#if SOLVED >= 1
	say("does-exits", rooms);
	if (5 > 4) {
		say("does-enter", rooms);
	}
#else
	say("LAB", rooms);
#endif
}
"""


class _Interrupted(FakeRunner):
    """Ctrl-C comes after so many tests."""

    def __init__(self, left: int) -> None:
        super().__init__()
        self._left = left

    def run_test(self, *words: Any) -> Any:
        self._left -= 1
        if self._left < 0:
            raise KeyboardInterrupt
        return super().run_test(*words)


@unittest.skipUnless(trees.STAFF, "mutants are the staff's")
class Run(HouseCase):
    """Mutants of the little house."""

    def setUp(self) -> None:
        super().setUp()
        self.write(VCPU)
        self.patch(run, "ROOT", self.root)
        self.patch(run, "read_lab", lambda number: LAB)
        self.patch(run, "scratch_directory", lambda: contextlib.nullcontext(self.folder()))
        self.patch(contain, "stop_all", lambda: None)
        self.out = self.root / "report.json"

    def write(self, vcpu: str) -> None:
        """Put this into the house; the reference is what is left of it."""
        write(self.root, {"src/vcpu.c": vcpu})
        solved = re.sub(r"#if SOLVED.*\n|#else\n.*\n#endif\n", "", vcpu)
        self.reference = self.basis(f"mutated-{hash(vcpu)}", {**FILES, "src/vcpu.c": solved})

    def list_it(self, kind: str, line: str, mutant: str) -> None:
        """A list with this one entry."""
        entry = f"[[{kind}]]\nfile = 'src/vcpu.c'\nfunction = 'vcpu_run'\nline = '''{line}'''\n"
        entry += f"mutant = '''{mutant}'''\nreason = 'so'\n"
        write(self.root / "solutions" / LAB.folder.name, {"mutants.toml": entry})

    def mutate(self, runner: Any = None, **wish: Any) -> tuple[int, str]:
        """The status, and what was said."""
        with mock.patch("builtins.print") as said:
            try:
                status = run.run(run.Wish(1, out=self.out, **wish), runner or self.runner)
            except KeyboardInterrupt:
                status = 130
        return status, "\n".join(str(call.args[0]) if call.args else "" for call in said.mock_calls)

    def fates(self) -> dict[str, str]:
        """By what changed."""
        entries = json.loads(self.out.read_text())["mutants"]
        return {key.split(": ", 1)[1]: entry["fate"] for key, entry in entries.items()}

    def test_fates(self) -> None:
        status, said = self.mutate(jobs=2)
        fates = self.fates()
        self.assertEqual(fates.pop('say("does-exits", rooms); => ;'), "killed", said)
        for line in ("if (5 >= 4) {", "if (6 > 4) {", "if (5 > 3) {"):
            self.assertEqual(fates.pop(f"if (5 > 4) {{ => {line}"), "identical")
        # The second say() goes in four ways, and all are one image.
        self.assertEqual(sorted(fates.values()), ["duplicate"] * 3 + ["killed"], said)
        self.assertEqual(status, 0, said)
        self.assertIn("lab 1: 2 of 2 killed (100.0 %), 0 survivors", said)

    def survivor(self) -> None:
        """A house with a line that no test looks at."""
        self.write(VCPU.replace("\tif (5", '\tsay("nothing", 3);\n\tif (5'))

    def test_survivor(self) -> None:
        self.survivor()
        status, said = self.mutate()
        self.assertEqual(status, 1)
        self.assertIn("SURVIVOR: src/vcpu.c:12 (constant)", said)
        self.assertIn('mutant = \'say("nothing", 4);\'', said)
        self.assertIn("3 survivors, 3 of them not listed", said)

    def test_list(self) -> None:
        self.write(VCPU.replace('exits", rooms', 'exits", 3'))
        status, said = self.mutate(only="vcpu.c:11")
        self.assertEqual((status, said.count("SURVIVOR")), (1, 2), said)
        self.list_it("equivalent", 'say("does-exits", 3);', 'say("does-exits", 4);')
        status, said = self.mutate(only="vcpu.c:11")
        self.assertEqual((status, said.count("SURVIVOR")), (1, 1), said)
        self.assertIn("1 equivalent, as listed", said)
        self.assertIn("1 of 2 killed", said)
        self.list_it("unseen", 'say("does-exits", 3);', 'say("does-exits", 4);')
        said = self.mutate(only="vcpu.c:11")[1]
        self.assertIn("1 of 3 killed (33.3 %), 2 survivors, 1 of them not listed", said)

    def test_list_that_is_wrong(self) -> None:
        self.list_it("equivalent", 'say("does-exits", rooms);', ";")
        status, said = self.mutate()
        self.assertEqual(status, 1)
        self.assertIn("FAULT listed as equivalent, but killed exits", said)
        self.list_it("equivalent", "gone();", ";")
        status, said = self.mutate()
        self.assertEqual(status, 1)
        self.assertIn("FAULT no mutant fits the list's src/vcpu.c vcpu_run: gone(); => ;", said)

    def test_what_does_not_compile(self) -> None:
        self.write(VCPU.replace('say("does-exits"', 'say(!rooms ? 0 : "does-exits"'))
        self.mutate(only="vcpu.c:11")
        news = {key.split(" => ")[1]: fate for key, fate in self.fates().items()}
        self.assertEqual(news['say(rooms, !rooms ? 0 : "does-exits");'], "uncompiled")

    def test_goes_on(self) -> None:
        status, _ = self.mutate(_Interrupted(4))
        before = self.fates()
        self.assertEqual(status, 130)
        self.assertTrue(0 < len(before) < 7, before)
        status, said = self.mutate()
        self.assertEqual(status, 0, said)
        counts = re.findall(r"^ +\d+/(\d+) ", said, re.M)
        self.assertEqual(len(counts) + len(before), len(self.fates()))
        self.assertEqual(re.findall(r"^ +\d+/\d+ ", self.mutate()[1], re.M), [])

    def test_other_tests(self) -> None:
        self.survivor()
        self.mutate()
        write(self.root / "solutions" / LAB.folder.name, {"hidden.toml": "# new\n"})
        said = self.mutate()[1]
        self.assertIn("survivors are graded again", said)
        self.assertEqual(len(re.findall(r"^ +\d+/\d+ .* survived", said, re.M)), 3, said)
        self.assertEqual(len(re.findall(r"^ +\d+/\d+ .* killed", said, re.M)), 0, said)

    def test_other_reference(self) -> None:
        self.mutate()
        self.survivor()
        self.assertIn("it begins anew", self.mutate()[1])

    def test_trouble(self) -> None:
        self.write(VCPU.replace("\tif (5", '\tif (0)\n\t\tsay("upsets-exits", 1);\n\tif (5'))
        status, said = self.mutate(only="vcpu.c:12")
        self.assertEqual(status, 3, said)
        self.assertIn("QEMU was killed from outside", said)
        self.assertRegex(self.mutate(only="vcpu.c:12")[1], r"\d+/\d+ .* trouble")

    def test_reference_that_fails(self) -> None:
        self.write(VCPU.replace("does-enter", "nothing"))
        with self.assertRaisesRegex(CasitaError, "the reference fails enter"):
            self.mutate()

    def test_choice(self) -> None:
        mutants = run.all_mutants(run.read_sources(self.root, LAB))
        some = run.chosen(mutants, run.Wish(1, sample=3))
        more = run.chosen(mutants, run.Wish(1, sample=5))
        self.assertEqual((len(some), len(more)), (3, 5))
        self.assertTrue(set(some) <= set(more))
        self.assertEqual(some, run.chosen(mutants, run.Wish(1, sample=3)))
        self.assertNotEqual(some, run.chosen(mutants, run.Wish(1, sample=3, seed=4)))
        self.assertEqual({m.line for m in run.chosen(mutants, run.Wish(1, only="vcpu.c:12"))}, {12})
        with self.assertRaisesRegex(CasitaError, "no mutant is there"):
            run.chosen(mutants, run.Wish(1, only="cpu.c:12"))

    def test_report_of_another_kind(self) -> None:
        for text in ("[]", '{"lab": 1}', "{"):
            self.out.write_text(text)
            with self.assertRaisesRegex(CasitaError, "not a report of mutants"):
                self.mutate()
        self.assertTrue(Path(self.out).is_file())


if __name__ == "__main__":
    unittest.main()

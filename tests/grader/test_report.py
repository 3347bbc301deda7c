# SPDX-License-Identifier: BSD-3-Clause
"""What people read, and result.json against the schema in grader/RESULT.md."""

from __future__ import annotations

import json
import re
import tempfile
import unittest
from dataclasses import replace
from pathlib import Path
from typing import Any

from support import LAB, ROOT, Text, make_test
from grading.model import Result, TestResult, Verdict
from grading.report import Progress, Request, as_json, clean, command, write_json

ENTER, EXITS = LAB.tests
PASSED = TestResult(ENTER, Verdict.PASS, 5, evidence={"exits": 1}, seconds=0.5)
FAILED = TestResult(EXITS, Verdict.FAIL, 0, "expected 1\nseen 2", {"exits": 9}, 0.25, ["cpuid at 0x10"])
RESULT = Result(LAB, 7, Verdict.FAIL, (PASSED, FAILED), seconds={"total": 1.0})


class ForPeople(unittest.TestCase):
    """The text."""

    def run_it(self, *results: TestResult, request: Request = Request(1)) -> str:
        """The text of a run whose tests end in this order."""
        out = Text()
        progress = Progress(LAB, LAB.tests, request, out)
        progress.begin()
        for result in results:
            progress.ended(result)
        ordered = tuple(sorted(results, key=lambda each: LAB.tests.index(each.test)))
        progress.finish(replace(RESULT, results=ordered))
        return out.getvalue()

    def test_text(self) -> None:
        self.assertEqual(self.run_it(PASSED, FAILED), """\
== Test  1  enter: enter works (5 points) == OK
== Test  2  exits: exits works (10 points) == FAIL
     expected 1
     seen 2
     last exits:
         cpuid at 0x10
     hint: Think.
     see: exercise 1.1, labs/1-world-switch/README.md
     again: make grade LAB=1 TEST=exits
     under GDB: make grade LAB=1 TEST=exits GDB=1
Score: 5/15
""")

    def test_order_is_the_labs(self) -> None:
        self.assertEqual(self.run_it(FAILED, PASSED), self.run_it(PASSED, FAILED))

    def test_live(self) -> None:
        out = Text()
        progress = Progress(LAB, LAB.tests, Request(1), out)
        progress.begin()
        self.assertEqual(out.getvalue(), "== Test  1  enter: enter works (5 points) == ")
        progress.ended(PASSED)
        self.assertIn("== OK\n== Test  2", out.getvalue())
        self.assertFalse(out.getvalue().endswith("\n"))

    def test_again(self) -> None:
        request = Request(1, 42, patch="my work.patch")
        self.assertEqual(command(request, "exits"),
                         "make grade LAB=1 'PATCH=my work.patch' TEST=exits SEED=42")
        self.assertEqual(command(Request(2, tree="../x")), "make grade LAB=2 TREE=../x")

    def test_bochs_has_no_gdb(self) -> None:
        test = make_test("strict", engine="bochs", hidden=True)
        lab = replace(LAB, tests=(test,))
        out = Text()
        progress = Progress(lab, lab.tests, Request(1), out)
        progress.begin()
        progress.ended(TestResult(test, Verdict.LIMIT, 0, "too many exits"))
        self.assertIn("(10 points, hidden) == LIMIT\n", out.getvalue())
        self.assertNotIn("GDB", out.getvalue())

    def test_nothing_run(self) -> None:
        for verdict, score in ((Verdict.BUILD, "0/15"), (Verdict.REJECTED, "0/15"), (Verdict.INFRA, "none (of 15)")):
            out = Text()
            Progress(LAB, LAB.tests, Request(1), out).finish(Result(LAB, 1, verdict, message="why\nso"))
            self.assertRegex(out.getvalue(), rf"^{verdict.value}: .*\n     why\n     so\nScore: {re.escape(score)}\n$")

    def test_clean(self) -> None:
        self.assertEqual(clean("a\x1b[2Jb\r\x00\x9b\n\tc\u202e\ud800\r\n"),
                         "a\\x1b[2Jb\\x0d\\x00\\x9b\n        c\\u202e\\ud800")
        hostile = replace(FAILED, message="\x1b]0;x\x07", last_exits=["\x1b[H"])
        self.assertNotIn("\x1b", self.run_it(PASSED, hostile))


class ForPrograms(unittest.TestCase):
    """result.json."""

    def test_schema(self) -> None:
        text = (ROOT / "grader" / "RESULT.md").read_text(encoding="utf-8")
        schema = json.loads(re.search(r"```json\n(.*?)```", text, re.DOTALL)[1])  # type: ignore[index]
        for verdict in Verdict:
            ended = tuple(TestResult(test, verdict, 0) for test in LAB.tests)
            for results in (RESULT.results, ended, ()):
                document = as_json(replace(RESULT, verdict=verdict, results=results))
                self.assertEqual(_check(document, schema), [])
        self.assertNotEqual(_check({**as_json(RESULT), "more": 1}, schema), [])

    def test_fields(self) -> None:
        document = as_json(RESULT)
        self.assertEqual((document["score"], document["max_score"], document["seed"]), (5, 15, 7))
        self.assertEqual([test["verdict"] for test in document["tests"]], ["PASS", "FAIL"])
        self.assertEqual(document["times"], {"total": 1.0, "tests": {"enter": 0.5, "exits": 0.25}})

    def test_no_marks_for_infra(self) -> None:
        self.assertIsNone(as_json(replace(RESULT, verdict=Verdict.INFRA))["score"])

    def test_times_stand_apart(self) -> None:
        slow = replace(RESULT, results=tuple(replace(each, seconds=9.0) for each in RESULT.results),
                       seconds={"total": 99.0})
        fast, slow_too = as_json(RESULT), as_json(slow)
        self.assertNotEqual(fast.pop("times"), slow_too.pop("times"))
        self.assertEqual(fast, slow_too)

    def test_file(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            path = Path(name) / "result.json"
            write_json(RESULT, path)
            self.assertEqual(json.loads(path.read_text(encoding="utf-8")), as_json(RESULT))
            self.assertEqual([each.name for each in Path(name).iterdir()], ["result.json"])


def _check(value: Any, schema: dict[str, Any], where: str = "result") -> list[str]:
    """The few words of JSON Schema that RESULT.md uses."""
    kinds = {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float),
             "boolean": bool, "null": type(None)}
    names = schema.get("type", [])
    allowed = [names] if isinstance(names, str) else names
    if allowed and not any(isinstance(value, kinds[name]) for name in allowed):
        return [f"{where}: {value!r} is not {allowed}"]
    faults = []
    if "enum" in schema and value not in schema["enum"]:
        faults.append(f"{where}: {value!r} is not one of {schema['enum']}")
    if isinstance(value, dict):
        known = schema.get("properties", {})
        faults += [f"{where}: lacks {name}" for name in schema.get("required", []) if name not in value]
        more = schema.get("additionalProperties", {})
        for name, item in value.items():
            if name not in known and more is False:
                faults.append(f"{where}: {name} is unknown")
            else:
                faults += _check(item, known.get(name, more), f"{where}.{name}")
    if isinstance(value, list):
        faults += [f for item in value for f in _check(item, schema.get("items", {}), f"{where}[]")]
    return faults


if __name__ == "__main__":
    unittest.main()

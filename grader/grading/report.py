# SPDX-License-Identifier: BSD-3-Clause
"""Says how it goes and how it ended: for people while it runs, in xv6's shape, and as result.json.

grader/RESULT.md describes result.json. Other formats are to be made of it, not of this text.
All that a submission has a part in (compilers quote its source) is shown without control characters.
"""

from __future__ import annotations

import json
import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Mapping, Sequence, TextIO

from common import ROOT
from .model import Lab, Result, Test, TestResult, Verdict

SCHEMA = "casita/result/v1"
_DEFAULT_SEED = 1
_WORDS = {Verdict.PASS: "OK"}
_TITLES = {
    Verdict.BUILD: "does not build",
    Verdict.REJECTED: "not accepted",
    Verdict.INFRA: "trouble of the grader's own: no marks",
}


@dataclass(frozen=True)
class Request:
    """What was asked for, to say how it is asked for again."""

    lab: int
    seed: int = _DEFAULT_SEED
    patch: str = ""
    tree: str = ""


class Progress:
    """Writes a line a test, in the lab's order, in whatever order they end."""

    def __init__(self, lab: Lab, tests: Sequence[Test], request: Request, out: TextIO) -> None:
        self._lab = lab
        self._tests = list(tests)
        self._request = request
        self._out = out
        self._ended: dict[str, TestResult] = {}
        self._next = 0
        self._open = False  # the next test's line is begun

    def begin(self) -> None:
        """The tests are about to run."""
        self._advance()

    def ended(self, result: TestResult) -> None:
        """A test has ended."""
        self._ended[result.test.name] = result
        self._advance()

    def note(self, text: str) -> None:
        """Something that a person should know, said before the tests."""
        self._write(f"Note: {clean(text)}\n")

    def finish(self, result: Result) -> None:
        """All is over: the last line is the score."""
        if self._open:
            self._write("\n")
        if result.verdict in _TITLES:
            self._write(f"{result.verdict.value}: {_TITLES[result.verdict]}\n")
            if result.message:
                self._write(indent(clean(result.message)) + "\n")
        if result.verdict is Verdict.INFRA:
            self._write(f"Score: none (of {maximum(result)})\n")
        else:
            self._write(f"Score: {result.score}/{maximum(result)}\n")

    def _advance(self) -> None:
        """Write what can be written in order, and begin the line of the test waited for."""
        while self._next < len(self._tests):
            test = self._tests[self._next]
            if not self._open:
                self._write(self._heading(test))
                self._open = True
            result = self._ended.get(test.name)
            if result is None:
                return
            self._write(_WORDS.get(result.verdict, result.verdict.value) + "\n")
            self._open = False
            self._next += 1
            if result.verdict is not Verdict.PASS:
                self._write(indent(explain(result, self._lab, self._request)) + "\n")

    def _heading(self, test: Test) -> str:
        number = self._lab.tests.index(test) + 1
        hidden = ", hidden" if test.hidden else ""
        points = f"{test.points} point{'' if test.points == 1 else 's'}{hidden}"
        return f"== Test {number:2}  {test.name}: {test.title} ({points}) == "

    def _write(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()


def explain(result: TestResult, lab: Lab, request: Request) -> str:
    """What a person needs to go on after a test that failed."""
    test = result.test
    text = [clean(result.message) or "no more is known"]
    if result.last_exits:
        text += ["last exits:", *(f"    {clean(line)}" for line in result.last_exits)]
    if result.verdict is not Verdict.INFRA:
        text += [f"hint: {test.hint}"]
        text += [f"see: exercise {test.exercise}, {_shown(lab.folder / 'README.md')}"]
    text += [f"again: {command(request, test.name)}"]
    if test.engine == "qemu":
        text += [f"under GDB: {command(request, test.name)} GDB=1"]
    return "\n".join(text)


def command(request: Request, test: str = "") -> str:
    """How to run this again by hand."""
    words = ["make", "grade", f"LAB={request.lab}"]
    words += [f"PATCH={request.patch}"] if request.patch else []
    words += [f"TREE={request.tree}"] if request.tree else []
    words += [f"TEST={test}"] if test else []
    words += [f"SEED={request.seed}"] if request.seed != _DEFAULT_SEED else []
    return shlex.join(words)


def maximum(result: Result) -> int:
    """The marks that could be had in this run, of those tests that were to be run."""
    return sum(each.test.points for each in result.results) or result.lab.points


def as_json(result: Result) -> dict[str, Any]:
    """result.json; grader/RESULT.md says what each field means."""
    infra = result.verdict is Verdict.INFRA
    return {
        "schema": SCHEMA,
        "lab": {"number": result.lab.number, "name": result.lab.name},
        "seed": result.seed,
        "sandbox": result.sandbox,
        "verdict": result.verdict.value,
        "score": None if infra else result.score,
        "max_score": maximum(result),
        "message": clean(result.message),
        "notes": [clean(note) for note in result.notes],
        "submission_sha256": result.submission_sha256,
        "image_sha256": result.image_sha256,
        "tests": [_test_json(each, result.lab) for each in result.results],
        "times": {
            **{name: round(seconds, 3) for name, seconds in result.seconds.items()},
            "tests": {each.test.name: round(each.seconds, 3) for each in result.results},
        },
    }


def write_json(result: Result, path: Path) -> None:
    """Write result.json whole, or not at all."""
    text = json.dumps(as_json(result), indent=2, ensure_ascii=False) + "\n"
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)


def clean(text: str) -> str:
    """The text without anything that a terminal would obey."""
    shown = text.replace("\r\n", "\n").expandtabs()
    shown = shown.encode("utf-8", "backslashreplace").decode("utf-8")
    return re.sub(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]", _escaped,
                  shown).rstrip()


def indent(text: str, by: str = "     ") -> str:
    """Every line of it, moved to the right."""
    return "\n".join(f"{by}{line}".rstrip() for line in text.split("\n"))


def stdout() -> TextIO:
    """Where a person reads; what his terminal cannot show does not stop the grader."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")
    return sys.stdout


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def _test_json(result: TestResult, lab: Lab) -> Mapping[str, Any]:
    test = result.test
    return {
        "number": lab.tests.index(test) + 1,
        "name": test.name,
        "title": test.title,
        "hidden": test.hidden,
        "verdict": result.verdict.value,
        "score": result.points,
        "max_score": test.points,
        "message": clean(result.message),
        "last_exits": [clean(line) for line in result.last_exits],
        "hint": test.hint,
        "exercise": test.exercise,
        "evidence": dict(result.evidence),
    }


def _shown(path: Path) -> str:
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)

# SPDX-License-Identifier: BSD-3-Clause
"""Writes a format's file while the tests run, so that one who is stopped has marks for what ended."""

from __future__ import annotations

from pathlib import Path
from typing import Sequence

from grading import report
from grading.model import Lab, Result, Test, TestResult, Verdict
from . import Settings, convert, heading, output, title

_PARTIAL = ("gradescope",)
_WAITING = "It had not ended when the grader was stopped."


class Live:
    """The file of one submission."""

    def __init__(self, name: str, path: Path | None, lab: Lab, seed: int, tests: Sequence[Test]) -> None:
        self._name = name
        self._path = path
        self._lab = lab
        self._seed = seed
        self._tests = tests
        self._ended: dict[str, TestResult] = {}

    def ended(self, result: TestResult) -> None:
        """A test has ended: if the format wants it, write what there is."""
        self._ended[result.test.name] = result
        if self._name in _PARTIAL and self._path:
            waiting = [TestResult(test, Verdict.FAIL, 0, _WAITING) for test in self._tests]
            results = tuple(self._ended.get(each.test.name, each) for each in waiting)
            infra = any(each.verdict is Verdict.INFRA for each in results)
            so_far = Result(self._lab, self._seed, Verdict.INFRA if infra else Verdict.FAIL, results)
            self._write(convert(self._name, report.as_json(so_far), Settings(finished=False)) or "")

    def finish(self, result: Result) -> str:
        """All is over. What a student may read of it, and what a site reads from the last line."""
        document = report.as_json(result)
        text = convert(self._name, document)
        if self._path and text is not None:
            self._write(text)
        elif self._path:
            self._path.unlink(missing_ok=True)
        said = [heading(document)]
        said += [f"{title(test)}: {output(test, document['message'])}" for test in document["tests"]]
        score = "none" if document["score"] is None else document["score"]
        said.append(f"Score: {score}/{document['max_score']}\n")
        return "\n".join(said) + (text or "" if self._name == "autolab" else "")

    def _write(self, text: str) -> None:
        assert self._path is not None
        fresh = self._path.with_name(f"{self._path.name}.new")
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(self._path)

# SPDX-License-Identifier: BSD-3-Clause
"""results.csv, for the gradebook: a line a student."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import Any, Mapping, Sequence

from grading.model import Lab
from .entries import Entry

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class Row:
    """One student, graded or not yet."""

    entry: Entry
    result: Mapping[str, Any] | None  # result.json

    @property
    def verdict(self) -> str:
        """Of the whole; empty: not graded yet."""
        return str(self.result["verdict"]) if self.result else ""

    @property
    def score(self) -> int | None:
        """The marks; None: there are none (yet)."""
        score = self.result["score"] if self.result else None
        return None if score is None else int(score)

    @property
    def verdicts(self) -> dict[str, str]:
        """Of each test, by its name."""
        tests = self.result["tests"] if self.result else []
        return {test["name"]: test["verdict"] for test in tests}


def as_csv(rows: Sequence[Row], lab: Lab) -> str:
    """The whole file. Empty score: no mark (INFRA, or not graded yet)."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = [test.name for test in lab.tests]
    writer.writerow(["id", "score", "max_score", "verdict", *names])
    for row in rows:
        score = "" if row.score is None else row.score
        verdicts = [row.verdicts.get(name, "") for name in names]
        writer.writerow([_harmless(row.entry.name), score, lab.points, row.verdict, *verdicts])
    return text.getvalue()


def _harmless(name: str) -> str:
    """A spreadsheet computes what begins like a formula; an apostrophe keeps it a text."""
    return f"'{name}" if name.startswith(_FORMULA) else name

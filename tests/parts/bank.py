# SPDX-License-Identifier: BSD-3-Clause
"""The grader is graded: every wrong solution loses the points that it must, the reference none, the
untouched handout nearly all; and a right solution among the wrong ones is noticed."""

from __future__ import annotations

import re
from functools import partial

from common import ROOT
from staff.cut import lab_folders
from .harness import Failure, Result, Test, expect, shell

_BACKSTOP = 3600.0  # seconds: sixty submissions and more, on a machine that may be busy
_ROW = re.compile(r"^  (\S+)\s.*\s(\d+|none)(?:/\d+)?\s{1,}\S")


def _bank(lab: int) -> list[Result]:
    """A result a row of the matrix."""
    run = shell(["grader/grade", "bank", "--lab", str(lab), "--jobs", "1"], backstop=_BACKSTOP)
    faults = re.findall(r"^FAULT (\S+?):? (.*(?:\n    .*)*)", run.stdout, re.MULTILINE)
    rows = [row[1] for line in run.stdout.splitlines() if (row := _ROW.match(line))]
    wrong = list((ROOT / "solutions" / lab_folders()[lab].name / "wrong").glob("*.patch"))
    if len(rows) < len(wrong) + 2 or (run.returncode and not faults):
        raise Failure(f"grader/grade bank --lab {lab}: status {run.returncode}:\n{run.stdout[-3000:]}")
    blamed = {name: text for name, text in faults}
    results = [Result(f"{lab}.{row}", blamed.pop(row, None)) for row in rows]
    return results + [Result(f"{lab}.{name}", text) for name, text in blamed.items()]


def _planted() -> None:
    """A correct solution among the wrong ones makes the bank fail."""
    folder = ROOT / "solutions" / lab_folders()[0].name / "wrong"
    planted = folder / "99-planted.patch"
    planted.write_text(
        "Title: nothing is wrong with this one\nFails: amd\n\n"
        "--- a/src/svm/detect.c\n+++ b/src/svm/detect.c\n@@ -1,2 +1,3 @@\n"
        " /* SPDX-License-Identifier: BSD-3-Clause */\n+/* a comment */\n /*\n"
    )
    try:
        run = shell(["grader/grade", "bank", "--lab", "0", "--jobs", "1"])
    finally:
        planted.unlink()
    expect(run.returncode == 1, "the bank does not notice a right solution", run.stdout)
    expect(re.search(r"^FAULT 99-planted.*", run.stdout, re.M) is not None, "its fault", run.stdout)


def tests() -> list[Test]:
    """One test a lab, with a result for each wrong solution."""
    return [
        Test("planted", _planted, weight=15),
        *(Test(f"lab-{lab}", partial(_bank, lab), weight=60) for lab in sorted(lab_folders())),
    ]

# SPDX-License-Identifier: BSD-3-Clause
"""Attacks on the grader (tests/grader/attacks): each ends as it must, and the next submission as before."""

from __future__ import annotations

from functools import partial

from common import ROOT
from .grader import run_file
from .harness import Test


def tests() -> list[Test]:
    """One test, with a result for each attack."""
    path = ROOT / "tests" / "grader" / "test_attacks.py"
    return [Test("attacks", partial(run_file, path), weight=120)]

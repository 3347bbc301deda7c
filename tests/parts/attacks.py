# SPDX-License-Identifier: BSD-3-Clause
"""Attacks on the grader (tests/grader/attacks): each ends as it must, and the next submission as before."""

from __future__ import annotations

from functools import partial

from common import ROOT
from .grader import run_file
from .harness import Test


def tests() -> list[Test]:
    """A test for each kind of attack, with a result for each attack."""
    path = ROOT / "tests" / "grader" / "test_attacks.py"
    kinds = {"refused": 40, "cheat": 90, "escape": 10, "the": 10}
    found = [Test(kind, partial(run_file, path, "-k", f"test_{kind}"), weight) for kind, weight in kinds.items()]
    memory = path.with_name("test_attacks_memory.py")
    return [*found, Test("memory", partial(run_file, memory), 40)]

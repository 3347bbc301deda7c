#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""`make check-slurm`: a class on a real Slurm cluster of this machine's own, whose node dies and comes
back. Ends with `N passed, N failed`, and leaves no daemon running."""

from __future__ import annotations

import os
import sys
from pathlib import Path

_HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(_HERE), str(_HERE.parent / "grader")]

from common import run_main  # noqa: E402
from parts import slurm  # noqa: E402
from parts.harness import Failure, build_all, kill_all, run_environment  # noqa: E402


def main() -> int:
    """Both tests."""
    os.environ.update(run_environment())
    passed, tests = 0, (slurm.short, slurm.whole)
    failure = build_all()
    try:
        for test in tests if not failure else ():
            try:
                test()
                passed += 1
            except (Failure, RuntimeError) as error:
                print(f"FAIL slurm.{test.__name__}: {error}", flush=True)
    finally:
        kill_all()
    if failure:
        print(f"FAIL make: {failure}")
    print(f"{passed} passed, {len(tests) - passed} failed")
    return 0 if passed == len(tests) else 1


if __name__ == "__main__":
    run_main(main)

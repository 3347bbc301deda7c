#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""`make bench`: figures, side by side. It prints tables and finds nothing wrong or right.

    tests/bench.py                   all of them
    tests/bench.py growth roundtrip  two

Each is a module in tests/benches/, and is explained there. Figures are instructions and exits, of an
emulator that counts them, so they are the same in every run, whatever else the machine does meanwhile.
"""

from __future__ import annotations

import importlib
import os
import sys
import time
from pathlib import Path

_HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(_HERE), str(_HERE.parent / "grader")]

from benches import BENCHES  # noqa: E402
from common import CasitaError, run_main  # noqa: E402
from parts.harness import build_all, kill_all, run_environment  # noqa: E402


def main() -> int:
    """Print what is asked for."""
    words = sys.argv[1:] or BENCHES
    unknown = [word for word in words if word not in BENCHES]
    if unknown:
        raise CasitaError(f"{unknown[0]} is not measured; there are: {' '.join(BENCHES)}")
    os.environ.update(run_environment())
    failure = build_all()
    if failure:
        raise CasitaError(f"make failed: {failure}")
    start = time.monotonic()
    try:
        for word in words:
            importlib.import_module(f"benches.{word.replace('-', '_')}").report()
    finally:
        kill_all()
    print(f"\n{time.monotonic() - start:.0f} seconds")
    return 0


if __name__ == "__main__":
    run_main(main)

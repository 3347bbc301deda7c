#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Grades the references again and again on a machine that is busy, and compares the results byte for byte.

    tests/repeat.py              200 gradings: 80 of lab 1, 60 of lab 2, 30 of lab 3, 30 of lab 4
    tests/repeat.py 20           so many in all, in the same proportion
    tests/repeat.py 20 --idle    without the busy loops

Beside the gradings a loop on each processor does nothing but take time, at the same priority. Everything but
`times` must be what the first grading of that lab said, and that must be full marks. At every fifth
the guests are made, and run bare, anew. The labs take turns, so that a run that is stopped has seen all.
Ends with status 0 if no result differs.
"""

from __future__ import annotations

import argparse
import difflib
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

_HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(_HERE), str(_HERE.parent / "grader")]

from common import ROOT, CasitaError, run_main  # noqa: E402

_SHARES = {1: 80, 2: 60, 3: 30, 4: 30}
_ANEW = 5  # the guests are prepared anew so often
_LOOP = "import os\nparent = os.getppid()\nwhile os.getppid() == parent:\n    sum(range(100000))"
_FRESH = """import importlib, runpy
from grading import one
one.the_runner = lambda: importlib.import_module("grading.runner")
runpy.run_path("grader/grade", run_name="__main__")"""
_TIMES = b'\n  "times": {'  # the last field; within a text, a newline is written \n


def main() -> int:
    """Grade and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("count", nargs="?", type=int, default=sum(_SHARES.values()))
    parser.add_argument("--idle", action="store_true", help="without the busy loops")
    words = parser.parse_args()
    begin = time.monotonic()
    first: dict[int, bytes] = {}
    done, different = dict.fromkeys(_SHARES, 0), 0
    with tempfile.TemporaryDirectory() as name, _busy(not words.idle):
        for number, lab in enumerate(_turns(words.count), 1):
            found = _grade(lab, Path(name) / "result.json", number % _ANEW == 0)
            done[lab] += 1
            if lab not in first:
                first[lab] = found
            elif found != first[lab]:
                different += 1
                print(f"grading {number}, lab {lab}, differs:")
                print("\n".join(_difference(first[lab], found)), flush=True)
            if number % 10 == 0:
                print(f"{number} done, {different} different, {time.monotonic() - begin:.0f} s", flush=True)
    each = ", ".join(f"{count} of lab {lab}" for lab, count in done.items())
    print(f"{sum(done.values())} gradings ({each}), {different} different, {time.monotonic() - begin:.0f} s")
    return 1 if different else 0


def _turns(count: int) -> Iterator[int]:
    """Labs, so that at any time each has had its share, as near as can be."""
    had, total = dict.fromkeys(_SHARES, 0), sum(_SHARES.values())
    for number in range(1, count + 1):
        lab = max(had, key=lambda lab: _SHARES[lab] * number / total - had[lab])  # pylint: disable=cell-var-from-loop
        had[lab] += 1
        yield lab


@contextmanager
def _busy(wanted: bool) -> Iterator[None]:
    """Every processor has something to do. A loop ends when we do, however that is."""
    count = len(os.sched_getaffinity(0)) if wanted else 0
    running = [subprocess.Popen([sys.executable, "-c", _LOOP]) for _ in range(count)]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


def _grade(lab: int, out: Path, anew: bool) -> bytes:
    """The result of the reference, without the times. `anew`: with nothing that was prepared before."""
    out.unlink(missing_ok=True)
    argv = [sys.executable, "-c", _FRESH] if anew else [str(ROOT / "grader" / "grade")]
    argv += ["one", "--lab", str(lab), "--out", str(out)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "grader")}
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=ROOT, env=environment)
    if not out.is_file():
        raise CasitaError(f"lab {lab}: no result: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    text, _, times = out.read_bytes().partition(_TIMES)
    verdict = json.loads(text.rstrip(b",") + b"}")["verdict"]
    if verdict != "PASS" or not times:
        raise CasitaError(f"lab {lab}: the reference ends with {verdict}: {done.stdout[-4000:]}")
    return text


def _difference(before: bytes, after: bytes) -> Iterator[str]:
    old, new = (text.decode().splitlines() for text in (before, after))
    return difflib.unified_diff(old, new, "first", "now", lineterm="", n=1)


if __name__ == "__main__":
    run_main(main)

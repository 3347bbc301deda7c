#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""`make check`: runs every test of the project, or the parts named on the command line.

    tests/check.py              all of them
    tests/check.py unit linux   two parts
    tests/check.py linux.sleep  one test
    tests/check.py --list       what there is

Each part is a module in tests/parts/ with a function tests(), and is explained there. Tests run side
by side, one a processor. A test that fails prints what it saw; when all is well there is one line a
part. The last line is `N passed, N failed`.
"""

from __future__ import annotations

import importlib
import os
import sys
import time
import traceback
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path

_HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(_HERE), str(_HERE.parent / "grader")]

from common import CasitaError, run_main  # noqa: E402
from parts import PARTS  # noqa: E402
from parts.harness import Failure, Result, Test, build_all, kill_all, run_environment  # noqa: E402


def _load(part: str) -> list[Test]:
    tests: list[Test] = importlib.import_module(f"parts.{part.replace('-', '_')}").tests()
    return tests


def _choose(words: list[str]) -> list[tuple[str, Test]]:
    """The tests that the command line means, longest first."""
    chosen: list[tuple[str, Test]] = []
    for word in words or PARTS:
        part, _, name = word.partition(".")
        if part not in PARTS:
            raise CasitaError(f"no part of the tests is named {part}; there are: {' '.join(PARTS)}")
        tests = [test for test in _load(part) if not name or test.name == name]
        if not tests:
            raise CasitaError(f"part {part} has no test named {name}; see tests/check.py --list")
        chosen += [(part, test) for test in tests]
    return sorted(chosen, key=lambda item: -item[1].weight)


def _run(part: str, test: Test) -> list[Result]:
    """Run one test; whatever goes wrong in it is its result."""
    try:
        results = test.run()
    except Failure as failure:
        results = [Result(test.name, str(failure))]
    except CasitaError as error:
        results = [Result(test.name, str(error))]
    except Exception:  # pylint: disable=broad-except
        results = [Result(test.name, traceback.format_exc())]
    results = results if results is not None else [Result(test.name)]
    return [Result(f"{part}.{result.name}", result.failure) for result in results]


class _Progress:
    """Says how far it is: on a terminal one line that changes, else a line when a part is done."""

    def __init__(self, chosen: list[tuple[str, Test]]) -> None:
        self._left = {part: sum(p == part for p, _ in chosen) for part, _ in chosen}
        self._seen = {part: [0, 0] for part in self._left}
        self._live = os.isatty(1)

    def report(self, part: str, results: list[Result]) -> None:
        """A test of this part has ended."""
        for result in results:
            self._seen[part][result.failure is not None] += 1
            if result.failure is not None:
                detail = result.failure.strip().replace("\n", "\n    ")
                self._print(f"FAIL {result.name}: {detail}")
        self._left[part] -= 1
        if not self._left[part]:
            passed, failed = self._seen[part]
            self._print(f"{part}: {passed} passed" + (f", {failed} failed" if failed else ""))
        if self._live:
            waiting = " ".join(part for part, left in self._left.items() if left)
            print(f"\r\033[K{sum(self._left.values())} to go: {waiting}"[:100], end="", flush=True)

    def _print(self, line: str) -> None:
        print(f"\r\033[K{line}" if self._live else line, flush=True)

    def total(self) -> tuple[int, int]:
        """All that passed, all that failed."""
        if self._live:
            print("\r\033[K", end="")
        return sum(seen[0] for seen in self._seen.values()), sum(s[1] for s in self._seen.values())


def main() -> int:
    """Run what is asked for."""
    words = sys.argv[1:]
    if words == ["--list"]:
        for part in PARTS:
            print("\n".join(f"{part}.{test.name}" for test in _load(part)))
        return 0
    chosen = _choose(words)
    os.environ.update(run_environment())
    failure = build_all()
    if failure:
        print(f"FAIL make: {failure}\n0 passed, 1 failed")
        return 1
    progress = _Progress(chosen)
    start = time.monotonic()
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        futures: dict[Future[list[Result]], str] = {
            pool.submit(_run, part, test): part for part, test in chosen
        }
        try:
            for future in as_completed(futures):
                progress.report(futures[future], future.result())
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            kill_all()
            raise
    passed, failed = progress.total()
    print(f"{time.monotonic() - start:.0f} seconds")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    run_main(main)

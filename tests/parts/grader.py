# SPDX-License-Identifier: BSD-3-Clause
"""The grader's own tests: the unit tests of tests/grader, a result each. The attacks are a part by itself."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

from common import ROOT
from .harness import Failure, Result, Test, shell

_LINE = re.compile(r"^(test_\w+) \(.*?\.(\w+)\.test_\w+\).*?\.\.\. (ok|FAIL|ERROR|skipped.*)$", re.M | re.S)


def run_file(path: Path, *more: str) -> list[Result]:
    """The results of a file of unit tests; `more`: words for unittest."""
    words = ["/usr/bin/python3", "-m", "unittest", "-v", *more, path.stem]
    places = [ROOT / "tests" / "grader", ROOT / "grader"]
    run = shell(words, cwd=places[0], env={"PYTHONPATH": ":".join(map(str, places))})
    found = {f"{m[2]}.{m[1]}": m[3] for m in _LINE.finditer(run.stdout)}
    ran = re.search(r"^Ran (\d+) tests?", run.stdout, re.M)
    if not ran or int(ran[1]) == 0 or (run.returncode and not {"FAIL", "ERROR"} & set(found.values())):
        raise Failure(f"{path.name}: status {run.returncode}:\n{run.stdout[-3000:]}")
    results = [
        Result(f"{path.stem}.{name}", None if how == "ok" else f"{how}\n{run.stdout[-3000:]}")
        for name, how in found.items()
    ]
    if len(results) != int(ran[1]):
        raise Failure(f"{path.name}: {ran[1]} tests ran, {len(results)} were understood:\n{run.stdout}")
    return results


def tests() -> list[Test]:
    """One test a file, with many results."""
    paths = sorted((ROOT / "tests" / "grader").glob("test_*.py"))
    return [Test(path.stem, partial(run_file, path), weight=10) for path in paths if not path.stem.startswith("test_attacks")]

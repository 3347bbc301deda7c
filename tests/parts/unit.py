# SPDX-License-Identifier: BSD-3-Clause
"""The unit tests of src/ (tests/unit), built for this machine under ASan and UBSan. Each Check test
counts as one."""

from __future__ import annotations

import re

from .harness import Failure, Result, Test, scratch, shell

_TAP_LINE = re.compile(
    r"^(?P<ok>not ok|ok) \d+ - [^:]*:(?P<name>[^:]*:[^: ]*): (?P<message>.*)$"
)


def _run() -> list[Result]:
    log = scratch("unit") / "log.tap"
    log.unlink(missing_ok=True)
    run = shell(["make", "-s", "-C", "tests/unit", "run"], env={"CK_TAP_LOG_FILE_NAME": str(log)})
    if not log.is_file():
        raise Failure(f"the unit tests did not build or start:\n{run.stdout[-3000:]}")
    text = log.read_text(errors="replace")
    results = []
    for line in text.splitlines():
        match = _TAP_LINE.match(line)
        if match:
            failure = f"{match['message']}\n{run.stdout[-2000:]}"
            name = match["name"].replace(":", ".").replace(" ", "-")
            results.append(Result(name, None if match["ok"] == "ok" else failure))
    planned = re.search(r"^1\.\.(\d+)$", text, re.MULTILINE)
    if not results or (planned and int(planned[1]) != len(results)):
        raise Failure(f"{len(results)} results in Check's log:\n{text}\n{run.stdout[-2000:]}")
    if run.returncode and all(result.failure is None for result in results):
        raise Failure(f"every test passed, and yet the program failed:\n{run.stdout[-3000:]}")
    return results


def tests() -> list[Test]:
    """One test with many results."""
    return [Test("unit", _run, weight=30)]

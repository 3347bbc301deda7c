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
    lines = [match for line in text.splitlines() if (match := _TAP_LINE.match(line))]
    # A loop test is run many times under one name: it counts as one, and fails if it once did.
    failures: dict[str, str | None] = {}
    for line in lines:
        name = line["name"].replace(" ", "-").replace(":", ".")
        if line["ok"] == "ok":
            failures.setdefault(name, None)
        else:
            more = "" if any(failures.values()) else f"\n{run.stdout[-3000:]}"
            failures[name] = line["message"] + more
    results = [Result(name, failure) for name, failure in failures.items()]
    planned = re.search(r"^1\.\.(\d+)$", text, re.MULTILINE)
    if not planned or int(planned[1]) != len(lines):
        raise Failure(f"{len(lines)} results in Check's log:\n{text}\n{run.stdout[-2000:]}")
    if run.returncode and all(result.failure is None for result in results):
        raise Failure(f"every test passed, and yet the program failed:\n{run.stdout[-3000:]}")
    return results


def tests() -> list[Test]:
    """One test with many results."""
    return [Test("unit", _run, weight=30)]

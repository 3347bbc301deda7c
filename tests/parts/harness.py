# SPDX-License-Identifier: BSD-3-Clause
"""What the parts of `make check` share: a test, its result, and ways to run things.

Tests compare text and statuses. Wall time is only a backstop, and a generous one: a test that runs
into BACKSTOP has hung.
"""

from __future__ import annotations

import os
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Mapping, Sequence

from common import BUILD, ROOT

BACKSTOP = 1200.0


class Failure(Exception):
    """A test failed; the text says what was expected and what was seen."""


@dataclass(frozen=True)
class Result:
    """One result; `failure` is None if it passed."""

    name: str
    failure: str | None = None


@dataclass(frozen=True)
class Test:
    """One test: run() returns, raises Failure, or returns several results of its own."""

    name: str
    run: Callable[[], list[Result] | None]
    weight: int = 1  # about how many seconds it takes: the long ones start first


def run_environment() -> Mapping[str, str]:
    """What every program that a test starts finds in its environment."""
    return {"LC_ALL": "C.UTF-8", "MAKEFLAGS": "", "MAKELEVEL": "0"}


def build_all() -> str | None:
    """`make`, so that the tests find what they run; what it said if it failed."""
    result = shell(["make", "-s", "all"])
    return result.stdout if result.returncode else None


_running: set[subprocess.Popen[bytes]] = set()


def track(process: subprocess.Popen[bytes]) -> None:
    """Remember a process that runs in a session of its own, so that it does not outlive us."""
    _running.add(process)


def untrack(process: subprocess.Popen[bytes]) -> None:
    """A test has done with the process: end it if it still runs."""
    _kill_group(process)
    _running.discard(process)


def kill_all() -> None:
    """End everything that tests have started and that still runs."""
    for process in list(_running):
        _kill_group(process)


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(5)
    except (ProcessLookupError, subprocess.TimeoutExpired):
        pass
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def shell(
    command: Sequence[str | Path],
    cwd: Path = ROOT,
    env: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    backstop: float = BACKSTOP,
) -> subprocess.CompletedProcess[str]:
    """Run a program; what it says on stdout and stderr comes together, as `stdout`."""
    try:
        process = subprocess.Popen(
            [str(word) for word in command],
            cwd=cwd,
            env={**os.environ, **(env or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except FileNotFoundError:
        raise Failure(f"{command[0]} is not installed; run `make setup`") from None
    track(process)
    try:
        output, _ = process.communicate(stdin, timeout=backstop)
    except subprocess.TimeoutExpired:
        _kill_group(process)
        output, _ = process.communicate()
        seen = output.decode(errors="replace")
        raise Failure(f"{command[0]} hung; it said:\n{seen[-3000:]}") from None
    finally:
        untrack(process)
    text = output.decode(errors="replace")
    return subprocess.CompletedProcess(command, process.returncode, text)


def make_run(**variables: str) -> subprocess.CompletedProcess[str]:
    """`make run` with these variables."""
    return shell(["make", "-s", "run", *(f"{name}={value}" for name, value in variables.items())])


def expect(condition: bool, what: str, seen: str = "") -> None:
    """Fail with `what`, and the end of what was seen."""
    if not condition:
        raise Failure(f"{what}; seen:\n{seen[-3000:]}" if seen else what)


def expect_in(text: str, seen: str) -> None:
    """Fail unless the text is there."""
    expect(text in seen, f"expected {text!r}", seen)


def scratch(name: str) -> Path:
    """A folder of a test's own, kept for those who want to look."""
    path = BUILD / "check" / name
    path.mkdir(parents=True, exist_ok=True)
    return path

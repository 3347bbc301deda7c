# SPDX-License-Identifier: BSD-3-Clause
"""A program on a pseudo terminal, as a person at a keyboard sees it: type, and wait for answers."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import time
from types import TracebackType
from typing import Mapping, Sequence

from common import ROOT
from .harness import BACKSTOP, Failure, track, untrack


class Terminal:
    """Runs a command on a terminal of its own; use it as a context."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str] | None = None) -> None:
        self.seen = ""
        self._read_to = 0
        self._fd, slave = pty.openpty()
        self._process = subprocess.Popen(
            ["setsid", "--ctty", *command],
            cwd=ROOT,
            env={**os.environ, **(env or {})},
            stdin=slave,
            stdout=slave,
            stderr=slave,
        )
        os.close(slave)
        track(self._process)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None
    ) -> None:
        untrack(self._process)
        if self._fd >= 0:
            os.close(self._fd)

    def type(self, text: str) -> None:
        """Press these keys."""
        os.write(self._fd, text.encode())

    def wait_for(self, text: str) -> None:
        """Read on until this text comes, behind what was waited for before."""
        deadline = time.monotonic() + BACKSTOP
        while (at := self.seen.find(text, self._read_to)) < 0:
            if time.monotonic() > deadline or not self._read():
                raise Failure(f"{text!r} did not come; seen:\n{self.seen[-3000:]}")
        self._read_to = at + len(text)

    def _read(self) -> bool:
        """More of what the program says; False at its end."""
        ready, _, _ = select.select([self._fd], [], [], 1.0)
        if ready:
            try:
                data = os.read(self._fd, 65536)
            except OSError:
                return False
            self.seen += data.decode(errors="replace")
            return bool(data)
        return True

    @property
    def session(self) -> int:
        """The session's number: everything on this terminal is in it."""
        return self._process.pid

    def hang_up(self) -> None:
        """Pull the plug: the terminal goes away, and what ran on it gets the signal for that."""
        os.close(self._fd)
        self._fd = -1
        self._process.wait(BACKSTOP)

    def wait_for_end(self) -> int:
        """Read to the end; the program's exit status."""
        deadline = time.monotonic() + BACKSTOP
        while self._read():
            if time.monotonic() > deadline:
                raise Failure(f"no end; seen:\n{self.seen[-3000:]}")
        return self._process.wait(BACKSTOP)

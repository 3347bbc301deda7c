# SPDX-License-Identifier: BSD-3-Clause
"""grader/engines/session.py: nothing is lost that an engine says just before it ends."""

from __future__ import annotations

import os
import select
import subprocess
import unittest
from pathlib import Path
from typing import Any
from unittest import mock

from engines import session
from engines.machine import Boot, End, Machine


class _Speaker(session.Session):
    """An "engine" that says two words on a terminal whose other side stays open, and ends."""

    def start(self) -> tuple[subprocess.Popen[bytes], int, int]:
        ours, self._theirs = os.openpty()
        self.process = subprocess.Popen(["echo", "last words"], stdout=self._theirs)
        return self.process, ours, ours

    def close(self) -> None:
        os.close(self._theirs)

    def judge(self, code: int) -> tuple[End, int | None]:
        return End.EXITED, code

    def logs(self) -> tuple[bytes, bytes]:
        return b"", b""


class LastWords(unittest.TestCase):
    """The engine speaks and ends while we are not looking."""

    def test_between_looking_and_asking(self) -> None:
        speaker = _Speaker(Boot(Machine(), Path(), "", [], Path()), keyboard=False)
        really, calls = select.select, []

        def slow(*arguments: Any) -> Any:
            """Nothing is there the first time; when that is said, the engine has ended."""
            calls.append(arguments)
            if len(calls) > 1:
                return really(*arguments)
            speaker.process.wait()
            return [], [], []

        with mock.patch.object(session.select, "select", slow):
            outcome = speaker.run(None, 60)
        self.assertIs(outcome.end, End.EXITED)
        self.assertIn(b"last words", outcome.serial)


if __name__ == "__main__":
    unittest.main()

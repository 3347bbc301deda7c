# SPDX-License-Identifier: BSD-3-Clause
"""Says how far a class is: a bar on a terminal, else a line a student."""

from __future__ import annotations

import time
from typing import TextIO

from grading.model import Result, Verdict
from grading.report import clean

_BAR = 24
_TOO_EARLY = 0.05  # minutes; before, a rate says nothing
_CLEAR = "\r\033[K"


class Progress:
    """Rate and time left are of this run; what was finished before does not flatter them."""

    def __init__(self, total: int, kept: int, out: TextIO) -> None:
        self._total = total
        self._kept = kept
        self._ended = 0
        self._out = out
        self._live = out.isatty()
        self._begin = time.monotonic()

    def say(self, text: str) -> None:
        """A line of its own."""
        self._out.write(f"{_CLEAR if self._live else ''}{text}\n")
        self._draw()

    def ended(self, name: str, result: Result, points: int) -> None:
        """A student is finished."""
        self._ended += 1
        infra = result.verdict is Verdict.INFRA
        mark = "no mark" if infra else f"{result.score}/{points}"
        where = f"{self._kept + self._ended}/{self._total}"
        line = f"{clean(name)}: {result.verdict.value} {mark}"
        if infra:
            self.say(f"{line}: {clean(_why(result)).splitlines()[-1]}")
        elif not self._live:
            self.say(f"{where}  {line}  ({self.pace()})")
        else:
            self._draw()

    def count(self, ended: int) -> None:
        """So many are finished, elsewhere."""
        if ended != self._ended:
            self._ended = ended
            if not self._live:
                self._out.write(f"{self._kept + ended}/{self._total}  ({self.pace()})\n")
        self._draw()

    def pace(self) -> str:
        """How fast, and how long still."""
        left = self._total - self._kept - self._ended
        minutes = (time.monotonic() - self._begin) / 60
        if minutes < _TOO_EARLY or not self._ended:
            return "just begun"
        rate = self._ended / minutes
        text = f"{rate:.1f} a minute"
        return f"{text}, {_duration(left / rate)} left" if left else text

    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self._begin

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._live:
            self._out.write(_CLEAR)
        self._out.flush()

    def _draw(self) -> None:
        if self._live:
            ended = self._kept + self._ended
            full = _BAR * ended // max(self._total, 1)
            bar = "#" * full + "." * (_BAR - full)
            self._out.write(f"{_CLEAR}[{bar}] {ended}/{self._total}  {self.pace()}")
        self._out.flush()


def _why(result: Result) -> str:
    found = [result.message, *(each.message for each in result.results)]
    return next((text for text in found if text.strip()), "no more is known")


def _duration(minutes: float) -> str:
    seconds = round(minutes * 60)
    if seconds < 90:
        return f"{seconds} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"

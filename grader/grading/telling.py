# SPDX-License-Identifier: BSD-3-Clause
"""Tells people what led to a verdict: the last exits, and what Casita said last. None of it is evidence."""

from __future__ import annotations

import re
from typing import Sequence

from .evidence import Exit
from .machine import Seen

_LAST_EXITS = 8
_SERIAL_LINES, _SERIAL_COLUMNS = 4, 160
# The line that says why Casita stopped, and those behind it that say where.
_WHY = re.compile(r"casita.*(stopped|triple fault|broke|exercise)", re.I)
_WHERE = re.compile(r"  (at|by) |casita: ")


def last_exits(exits: Sequence[Exit]) -> list[str]:
    """The last of these exits, a line each."""
    first = max(0, len(exits) - _LAST_EXITS)
    return [f"exit {first + i + 1}: {event}" for i, event in enumerate(exits[first:])]


def last_words(seen: Seen) -> str:
    """Casita's last words, if they may explain something. They are no evidence."""
    if seen.status == 0:
        return ""
    text = seen.serial[-4096:].decode("ascii", "replace")
    clean = "".join(c if c.isprintable() or c == "\n" else "" for c in text.replace("\r", ""))
    lines = [line[:_SERIAL_COLUMNS] for line in clean.split("\n") if line.strip()]
    why = [i for i, line in enumerate(lines) if _WHY.match(line)]
    if why:
        while why[0] and lines[why[0] - 1].startswith("casita:   "):
            why[0] -= 1  # which rules a VMCB breaks
        lines = [lines[why[0]], *filter(_WHERE.match, lines[why[0] + 1 :])][:_SERIAL_LINES]
    lines = lines[-_SERIAL_LINES:]
    return "\nCasita's last words:\n" + "\n".join("  " + line for line in lines) if lines else ""

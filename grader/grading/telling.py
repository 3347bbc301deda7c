# SPDX-License-Identifier: BSD-3-Clause
"""Tells people what led to a verdict: the last exits, and what Casita said last. None of it is evidence."""

from __future__ import annotations

import re
from typing import Sequence

from .evidence import EXIT_NPF, EXIT_PF, Exit
from .machine import Seen

_LAST_LINES = 8
_MANY, _STUCK = 3, 50  # of the same exit: told in one line; told in a sentence
_PORT_TEXT = 0xE9
_SERIAL_LINES, _SERIAL_COLUMNS = 4, 160
# The line that says why Casita stopped, and those behind it that say where.
_WHY = re.compile(r"casita.*(stopped|triple fault|broke|exercise)", re.I)
_WHERE = re.compile(r"  (at|by) |casita: ")


def last_exits(exits: Sequence[Exit]) -> list[str]:
    """The last of these exits, a line each, but for an answer and for what comes again and again."""
    lines: list[str] = []
    end = len(exits)
    while end > 0 and len(lines) < _LAST_LINES:
        begin = _begin(exits, end)
        lines.append(_line(exits, begin, end))
        end = begin
    return lines[::-1]


def stuck(exits: Sequence[Exit]) -> str:
    """A sentence for who does not get on from a page fault; empty if that is not so."""
    if not exits or exits[-1].code not in (EXIT_PF, EXIT_NPF):
        return ""
    count = len(exits) - _same(exits, len(exits))
    if count < _STUCK:
        return ""
    return (
        f"\nThe last {count} exits were one and the same: what was done at it did not give the guest what "
        "it tried to use.\nDid you change the entry of that page? Does every level allow it?"
    )


def _same(exits: Sequence[Exit], end: int) -> int:
    """Where the last run of equal exits begins."""
    begin = end - 1
    while begin > 0 and exits[begin - 1] == exits[end - 1]:
        begin -= 1
    return begin


def _begin(exits: Sequence[Exit], end: int) -> int:
    """Where the exits begin that are told together with the last before `end`."""
    begin = _same(exits, end)
    if end - begin >= _MANY and not (end < len(exits) and _text(exits[end - 1])):
        return begin
    begin = end - 1
    if end < len(exits) and (kind := _text(exits[begin])):  # the very last is shown as it was
        while begin > 0 and _text(exits[begin - 1]) == kind:
            begin -= 1
    return begin


def _text(event: Exit) -> str:
    """What the guest does by it, where many belong together."""
    if event.nibble is not None:
        return "answers"
    return "prints" if event.is_out and event.port == _PORT_TEXT else ""


def _line(exits: Sequence[Exit], begin: int, end: int) -> str:
    last = exits[end - 1]
    if end - begin == 1:
        return f"exit {end}: {last}"
    kind = _text(last) if end < len(exits) else ""
    if not kind:
        return f"exits {begin + 1}-{end}: {last}, {end - begin} times"
    said = "".join(f"{event.nibble or 0:x}" for event in exits[begin:end] if kind == "answers")
    return f"exits {begin + 1}-{end}: OUT, {end - begin} times: the guest {kind} {said}".rstrip()


def output(seen: Seen) -> list[str]:
    """The last lines on the serial line, fit to be shown."""
    text = seen.serial[-16384:].decode("ascii", "replace")
    clean = "".join(c if c.isprintable() or c == "\n" else "" for c in text.replace("\r", ""))
    return [line[:_SERIAL_COLUMNS] for line in clean.split("\n") if line.strip()]


def last_words(seen: Seen, who: str = "") -> str:
    """Casita's last words, about this VM if there are such, if they may explain something. They are no
    evidence."""
    if seen.status == 0:
        return ""
    lines = output(seen)
    why = [i for i, line in enumerate(lines) if _WHY.match(line)]
    if own := [i for i in why if who and f" {who}: " in lines[i]]:
        why, lines = own[:1], lines[: own[0] + 1]
    if why:
        while why[0] and lines[why[0] - 1].startswith("casita:   "):
            why[0] -= 1  # which rules a VMCB breaks
        lines = [lines[why[0]], *filter(_WHERE.match, lines[why[0] + 1 :])][:_SERIAL_LINES]
    lines = lines[-_SERIAL_LINES:]
    return "\nCasita's last words:\n" + "\n".join("  " + line for line in lines) if lines else ""

# SPDX-License-Identifier: BSD-3-Clause
"""Pictures, as inline SVG: the last exits of a test, and the histogram of a class."""

from __future__ import annotations

import re
from typing import Sequence

from .page import esc

_ROW, _GUEST, _HOST, _WIDTH, _LABEL = 30, 60, 620, 700, 66
_EXIT = re.compile(r"exits? ([0-9-]+): (.*)")


def exits(lines: Sequence[str], name: str) -> str:
    """Guest and Casita as two lines, downwards in time: an arrow an exit, and one back into the guest.

    The last exit is where the test went wrong or where it ended.
    """
    if not lines:
        return ""
    height = _ROW * len(lines) + 50
    title = esc(f"The last {len(lines)} exits of {name}: from the guest to Casita, in time downwards")
    parts = [
        f'<svg role="img" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}" '
        f'style="max-width:100%;height:auto"><title>{title}</title>',
        f'<text x="{_GUEST}" y="16" text-anchor="middle">guest</text>',
        f'<text x="{_HOST}" y="16" text-anchor="middle">Casita</text>',
        *(f'<line class="line" x1="{x}" x2="{x}" y1="24" y2="{height - 6}"/>' for x in (_GUEST, _HOST)),
    ]
    for index, line in enumerate(lines):
        last = index == len(lines) - 1
        parts += _arrow(line, 24 + _ROW * (index + 1), last)
    return "".join(parts) + "</svg>"


def _arrow(line: str, y: int, last: bool) -> list[str]:
    match = _EXIT.fullmatch(line)
    number, what = (match[1].partition("-")[0], match[2]) if match else ("", line)
    what = what if len(what) <= _LABEL else what[: _LABEL - 1] + "…"
    kind = "last" if last else "ink"
    head = f"M{_HOST - 8} {y - 4}L{_HOST} {y}L{_HOST - 8} {y + 4}"
    parts = [
        f'<text class="soft" x="{_GUEST - 8}" y="{y + 4}" text-anchor="end">{esc(number)}</text>',
        f'<text{" class=" + chr(34) + "last" + chr(34) if last else ""} x="{_GUEST + 14}" y="{y - 5}">{esc(what)}</text>',
        f'<path class="{kind}" fill="none" stroke-width="{2 if last else 1}" d="M{_GUEST} {y}L{_HOST} {y}{head}"/>',
    ]
    if last:
        cross = f"M{_HOST + 10} {y - 6}l12 12m0 -12l-12 12"
        parts.append(f'<path class="last" fill="none" stroke-width="2.5" d="{cross}"/>')
    else:  # back into the guest
        back = f"M{_HOST} {y + 8}L{_GUEST} {y + 12}M{_GUEST + 7} {y + 8}L{_GUEST} {y + 12}L{_GUEST + 7} {y + 15}"
        parts.append(f'<path class="line" fill="none" stroke-dasharray="3 3" d="{back}"/>')
    return parts


def histogram(scores: Sequence[int], most: int) -> tuple[str, list[tuple[str, int]]]:
    """How many students have how many marks: the picture, and the same as ranges and numbers."""
    bins = 10 if most >= 10 else max(most, 1)
    counts = [0] * bins
    for score in scores:
        counts[min(score * bins // max(most, 1), bins - 1)] += 1
    edges = [-(-most * i // bins) for i in range(bins + 1)]  # the least score of each range
    ranges = [
        f"{edges[i]}–{edges[i + 1] - 1 if i < bins - 1 else most}" for i in range(bins)
    ]
    tallest = max(counts) or 1
    parts = [
        '<svg role="img" viewBox="0 0 700 230" width="700" height="230" style="max-width:100%;height:auto">'
        "<title>How many students have how many marks; the numbers are in the table below</title>"
    ]
    for i, count in enumerate(counts):
        x, high = 10 + i * 680 // bins, count * 170 // tallest
        wide = 680 // bins - 8
        parts.append(f'<rect class="fill" x="{x}" y="{195 - high}" width="{wide}" height="{high}"/>')
        middle = x + wide // 2
        if count:
            parts.append(f'<text x="{middle}" y="{190 - high}" text-anchor="middle">{count}</text>')
        parts.append(f'<text class="soft" x="{middle}" y="215" text-anchor="middle">{ranges[i]}</text>')
    parts.append('<line class="line" x1="5" x2="695" y1="195" y2="195"/></svg>')
    return "".join(parts), list(zip(ranges, counts))

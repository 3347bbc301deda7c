# SPDX-License-Identifier: BSD-3-Clause
"""Judges what count.c counted: whether the guests themselves were executed, all of them, on their way.

See grader/THREATS.md for what each rule refutes. Only QEMU counts; and what it counts of a guest that
goes another way under Casita than bare, or that need not come to its end, is compared as far as it can.
"""

from __future__ import annotations

from typing import Sequence

from .machine import Seen
from .subject import Subject

_STRAYS = 12  # instructions of the guest elsewhere: by chance there may be one or two


def problem(subjects: Sequence[Subject], seen: Seen) -> str:
    """What is wrong, after all answers were right; empty: nothing."""
    counts = seen.counts
    wanted = sum(subject.instructions for subject in subjects)
    most = wanted + seen.trace.restarts
    exact = all(subject.exact for subject in subjects)
    if counts.entries != len(seen.trace.runs):
        return f"There were {counts.entries} VMRUNs, and QEMU's log has {len(seen.trace.runs)}."
    if counts.outside:
        return f"{counts.outside} instructions of the guest were executed outside of any VM."
    if (exact and not wanted <= counts.image <= most) or counts.image < wanted // 2:
        return (
            f"The answers are right, but the guest executed {counts.image} instructions; "
            f"without Casita it executes {wanted}. Were some skipped, or executed twice?"
        )
    if counts.foreign:
        return f"{counts.foreign} instructions were executed in the guest's place that are not its own."
    if counts.strays >= _STRAYS:
        return "The guest's code was executed at other addresses as well: a copy of it."
    for subject in subjects:
        if subject.flat and (message := _path_problem(subject, seen)):
            return f"{subject.name}: {message}" if len(subjects) > 1 else message
    return ""


def _path_problem(subject: Subject, seen: Seen) -> str:
    """Did it really go its way, from one IN or OUT to the next?"""
    here = [event for event in seen.counts.io if subject.low <= event[0] < subject.high]
    own = [e for e in seen.trace.exits if subject.has(e) and e.is_io and not e.is_string]
    if [event.rip for event in own] != [address for address, _ in here]:
        return (
            f"The guest executed {len(here)} IN and OUT, and {len(own)} of them made it exit. "
            "Each should: which ports does its permission map let through to the machine?"
        )
    if subject.io is not None and not seen.trace.restarts and _steps(here) != _steps(subject.io):
        return "The answers are right, but the guest did not come to its OUTs as it does bare."
    return ""


def _steps(io: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Addresses, and the instructions from each to the next."""
    return [(at, count - before) for (at, count), (_, before) in zip(io, [*io[:1], *io])]

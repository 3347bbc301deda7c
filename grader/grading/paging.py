# SPDX-License-Identifier: BSD-3-Clause
"""What the exits tell of how a guest's memory was virtualized; a test's options ask for it.

    shadow = true	every page that the guest comes to for the first time is a #PF exit with its
			address, in that order, and there is no nested page fault at all
    nested = true	no #PF is an exit; nested page faults are where there is no RAM, and only there
    turns = N		two VMs or more, and the processor goes from one to another so many times

A page that has not been accessed must be a #PF under shadow paging, whatever is cached: nobody but
the monitor can set the guest's accessed bit then.
"""

from __future__ import annotations

from typing import Sequence

from .evidence import EXIT_NPF, EXIT_PF, Exit, Trace
from .model import Test
from .programs.asm import HOLE
from .subject import Subject

MEMORY = (EXIT_PF, EXIT_NPF)
_PAGE = 12  # bits

Said = tuple[str, Sequence[Exit]]  # what is wrong, and the exits up to it


def problem(test: Test, subject: Subject, exits: Sequence[Exit]) -> Said | None:
    """What is wrong with one guest's exits."""
    if test.options.get("shadow"):
        return _first(exits, EXIT_NPF, _NESTED) or _untouched(subject, exits)
    if test.options.get("nested"):
        return _first(exits, EXIT_PF, _SHADOW) or _not_a_hole(subject, exits)
    return None


_NESTED = "The answers are right, but there was a {0}: this is the lab on shadow paging."
_SHADOW = "The answers are right, but there was an exit for {0}: nested paging needs none."


def _first(exits: Sequence[Exit], code: int, message: str) -> Said | None:
    for index, event in enumerate(exits):
        if event.code == code:
            return message.format(event.name), exits[: index + 1]
    return None


def _untouched(subject: Subject, exits: Sequence[Exit]) -> Said | None:
    """Is there a #PF for each first touch, in their order?"""
    faults = iter(event.info2 >> _PAGE for event in exits if event.code == EXIT_PF)
    for number, gva in enumerate(subject.touches, 1):
        if gva >> _PAGE not in faults:  # goes on where it was
            return (
                f"The answers are right, but address {gva:#x} was used (page {number} of "
                f"{len(subject.touches)} for the first time) without a #PF exit: who set the "
                "accessed bit in the guest's table? Is it really shadow paging?",
                exits,
            )
    return None


def _not_a_hole(subject: Subject, exits: Sequence[Exit]) -> Said | None:
    holes = {gpa >> _PAGE for gpa in subject.holes}
    seen = set()
    for index, event in enumerate(exits):
        if event.code != EXIT_NPF:
            continue
        if event.info2 >> _PAGE not in holes:
            message = f"The answers are right, but there was a {event.name}, where it has RAM."
            return message, exits[: index + 1]
        seen.add(event.info2 >> _PAGE)
    if subject.holes and subject.holes[0] >> _PAGE not in seen:
        return f"There was no nested page fault at {subject.holes[0]:#x}, where no RAM is.", exits
    return None


def stopped_at_hole(subject: Subject, exits: Sequence[Exit], nibbles: int) -> bool:
    """Was the guest stopped where it touched memory that it has not got, and no earlier?"""
    if subject.end != HOLE or nibbles != subject.sure_nibbles:
        return False
    last, place = exits[-1], subject.holes[0]
    if last.code == EXIT_PF:
        place = subject.touches[-1]
    return last.code in MEMORY and last.info2 >> _PAGE == place >> _PAGE


def machine_problem(test: Test, trace: Trace) -> str:
    """What concerns all guests: was nested paging on, and did the VMs take turns?"""
    nested = [run.nested for run in trace.runs]
    if test.options.get("shadow") and True in nested:
        return "The answers are right, but VMRUN had nested paging on: this is the lab on shadow paging."
    if test.options.get("nested") and False in nested:
        return "The answers are right, but VMRUN had nested paging off."
    wanted, order = test.options.get("turns", 0), [run.vmcb for run in trace.runs]
    found = sum(a != b for a, b in zip(order, order[1:]))
    if found >= wanted:
        return ""
    return f"The answers are right, but the VMs took turns {found} times only, not {wanted} times."


def numbers(exits: Sequence[Exit]) -> dict[str, int]:
    """For the evidence."""
    return {
        "page_faults": sum(event.code == EXIT_PF for event in exits),
        "nested_faults": sum(event.code == EXIT_NPF for event in exits),
    }

# SPDX-License-Identifier: BSD-3-Clause
"""Judges what was seen of guests that ran under Casita, against what they do when they run bare.

Every guest must

- give the right answers, in order, each by an OUT that stands in its own code;
- end as it should, and not be entered again after that;
- have been executed: as many instructions of its image as bare, all of them inside VMs (see
  evidence.py), none that somebody put in their place; and each IN and OUT where it is when bare, after
  as many instructions, with an exit for each. Who has exits only where there are answers need not keep
  what a guest has in its registers.

The first thing that is wrong is what the student is told, with the exits that led to it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Sequence

from . import counted, paging
from .evidence import NOWHERE, PORT_EXIT, Exit, Trace
from .machine import Seen
from .model import Test, Verdict
from .programs.asm import ANY, HALT, HOLE, SHUTDOWN, STOPPED
from .subject import Subject
from .telling import last_exits, last_words, output, stuck

_LIMITS = {
    "exits": "it exited more often than the {exits} times that it may",
    "instructions": "the whole run took more than the {instructions} instructions that it may",
    "ticks": "the whole run took more than the {instructions} ticks of the machine's clock that it may",
    "blocks": "so much code was executed for the first time that it must have run wild",
    "asleep": "the machine went to sleep (HLT), and there was nothing to wake it",
    "vmruns": "there were more places with a VMRUN than any monitor needs",
    "log": "there was so much output that the run was ended",
    "time": "it did not end, and was stopped by the clock on the wall",
}
_ENDS = {
    HALT: "HLT with interrupts off should end its VM",
    SHUTDOWN: "a triple fault should end its VM",
    STOPPED: "an exit that the monitor does not know should stop its VM",
}


@dataclass(frozen=True)
class Judgement:
    """What came out."""

    verdict: Verdict
    message: str
    evidence: dict[str, Any]
    last_exits: list[str]


@dataclass(frozen=True)
class _Problem:
    message: str
    exits: Sequence[Exit]  # the last of them are worth showing
    who: str = ""  # of several guests


def judge(test: Test, subjects: Sequence[Subject], seen: Seen) -> Judgement:
    """Judge one run."""
    problem = _first_problem(test, subjects, seen)
    wants_first_exit_only = all(subject.end == ANY for subject in subjects)
    watched = seen.watched
    meddled = watched is not None and watched.meddled and not watched.unreturned
    if seen.limit and not wants_first_exit_only and not meddled:
        said = _LIMITS[seen.limit].format(exits=test.exits, instructions=test.instructions)
        message = f"Stopped: {said}." + (f"\n{problem.message}" if problem else "")
        message += stuck(seen.trace.exits)
        # The exits before the first wrong answer, or else the last: where it hangs.
        shown = problem.exits if problem else seen.trace.exits
        return Judgement(Verdict.LIMIT, message, _evidence(subjects, seen), last_exits(shown))
    if problem is None:
        return Judgement(Verdict.PASS, "", _evidence(subjects, seen), [])
    message = problem.message + last_words(seen, problem.who)
    return Judgement(Verdict.FAIL, message, _evidence(subjects, seen), last_exits(problem.exits))


def _first_problem(test: Test, subjects: Sequence[Subject], seen: Seen) -> _Problem | None:
    exits = seen.trace.exits
    if seen.crashed:
        engine = "QEMU" if seen.ticks is None else "Bochs"
        died = f"{engine} itself died (signal {(seen.code or 0) - 128}) of what happened in it."
        return _Problem(died, exits)
    if seen.watched and seen.watched.meddled:
        return _watched_problem(seen)
    if not seen.trace.runs:
        return _Problem("No guest was entered: there was no VMRUN." + _how_it_ended(seen), [])
    for subject, own in zip(subjects, _shares(subjects, seen.trace)):
        problem = _problem_of(subject, own, seen, alone=len(subjects) == 1)
        if problem is None and (said := paging.problem(test, subject, own)):
            problem = _Problem(*said)
        if problem:
            if len(subjects) == 1:
                return problem
            return _Problem(f"{subject.name}: {problem.message}", problem.exits, subject.name)
    if message := paging.machine_problem(test, seen.trace):
        return _Problem(message, exits)
    return (
        _machine_problem(subjects, seen)
        or _watched_problem(seen)
        or _silence_problem(test, subjects, seen)
    )


def _shares(subjects: Sequence[Subject], trace: Trace) -> list[list[Exit]]:
    """Each guest's exits: by their addresses, or, if the guests have the same, by the VMCB."""
    if len(subjects) == 1:
        return [trace.exits]
    if len({s.low for s in subjects}) == len(subjects) and all(e.rip != NOWHERE for e in trace.exits):
        return [[event for event in trace.exits if subject.has(event)] for subject in subjects]
    own = [trace.of(vmcb).exits for vmcb in trace.vmcbs]
    return own + [[] for _ in subjects[len(own) :]]


def _problem_of(
    subject: Subject, exits: Sequence[Exit], seen: Seen, alone: bool
) -> _Problem | None:
    if not exits:
        return _Problem("The guest was entered, but never came to an exit in its own code.", exits)
    if subject.end == ANY:
        return _first_exit_problem(subject, exits[0])
    return (
        _refusal(exits)
        or _answer_problem(subject, exits)
        or _end_problem(subject, exits, seen, alone)
    )


def _refusal(exits: Sequence[Exit]) -> _Problem | None:
    for index, event in enumerate(exits):
        if event.code & 0xFFFFFFFF == 0xFFFFFFFF:
            message = "VMRUN refused the VMCB (exit code -1): it breaks a rule of the manual."
            return _Problem(message, exits[: index + 1])
    return None


def _first_exit_problem(subject: Subject, first: Exit) -> _Problem | None:
    if first.is_out and first.port == subject.first_port and first.rip == subject.low:
        return None
    wanted = f"OUT, port {subject.first_port:#x} at {subject.low:#x}"
    return _Problem(f"The first exit should be {wanted}; it was {first}.", [first])


# ---- answers ------------------------------------------------------------------------------------


def _answer_problem(subject: Subject, exits: Sequence[Exit]) -> _Problem | None:
    wanted = subject.nibbles
    at = [index for index, event in enumerate(exits) if event.nibble is not None]
    said = [exits[index].nibble or 0 for index in at]
    for number, index in enumerate(at):
        until = exits[: index + 1]
        if not subject.has_out_at(exits[index].rip):
            message = f"An answer came from {exits[index].rip:#x}, where this guest has no OUT."
            return _Problem(message, until)
        if number >= len(wanted):
            message = f"The guest had given all {len(wanted)} nibbles of its answers, and went on."
            return _Problem(message, until)
        if said[number] != wanted[number]:
            return _Problem(_difference(subject, said, number), until)
    if len(said) < len(wanted) and not paging.stopped_at_hole(subject, exits, len(said)):
        return _Problem(_difference(subject, said, len(said)), exits)
    return None


def _difference(subject: Subject, said: Sequence[int], index: int) -> str:
    """A sentence about the answer to which nibble number `index` belongs."""
    found = subject.answer_at(index)
    assert found
    answer, first = found
    number = subject.answers.index(answer) + 1
    heard = "".join(f"{nibble:x}" for nibble in said[first : first + answer.nibbles])
    seen = f"0x{heard}" if heard else "nothing"
    if heard and len(heard) < answer.nibbles:
        seen += "…, then none"
    return (
        f"Answer {number} of {len(subject.answers)}, {answer.name}: "
        f"expected {answer.expected:#0{answer.nibbles + 2}x}, seen {seen}."
    )


# ---- the end ------------------------------------------------------------------------------------


def _end_problem(
    subject: Subject, exits: Sequence[Exit], seen: Seen, alone: bool
) -> _Problem | None:
    last = exits[-1]
    if subject.end == HOLE and last.code in paging.MEMORY:
        return None  # stopped where it may be
    if subject.end in ("exit", HOLE):
        ends = [i for i, event in enumerate(exits) if event.ends]
        if not ends:
            inside = alone and seen.trace.runs[-1].exit is None
            why = ": it went to the machine itself, without an exit" if inside else ""
            message = f"the guest's OUT to port {PORT_EXIT:#x} was not seen{why}."
            return _Problem("All answers are right, but " + message + _how_it_ended(seen), exits)
        after = exits[ends[0] + 1 :]
    else:
        if all(event.code != subject.last_code for event in exits):
            return _Problem(f"{_ENDS[subject.end]}, but no such exit was seen.", exits)
        codes = [event.code for event in exits]
        end = exits[codes.index(subject.last_code or 0)]
        if subject.flat and end.rip != NOWHERE and not subject.has(end):
            message = f"The exit that should end the guest ({end}) did not come from its own code."
            return _Problem(message, exits[: codes.index(end.code) + 1])
        after = exits[codes.index(subject.last_code or 0) + 1 :]
    if after or (alone and seen.trace.runs[-1].exit is None):
        message = f"The guest had come to its end, and was entered again; then: {last}."
        return _Problem(message, exits)
    return None


def _machine_problem(subjects: Sequence[Subject], seen: Seen) -> _Problem | None:
    """What concerns the whole machine, after all guests have done what they should."""
    exits = seen.trace.exits
    if all(subject.end == ANY for subject in subjects):
        return None
    if seen.limit:
        return None
    if seen.status is None:
        return _Problem("All answers are right, but then:" + _how_it_ended(seen), exits)
    if seen.status != 0 and all(subject.end == "exit" for subject in subjects):
        message = f"All answers are right, but Casita ended with status {seen.status}."
        return _Problem(message, exits)
    message = counted.problem(subjects, seen) if seen.ticks is None else ""  # Bochs does not count
    return _Problem(message, exits) if message else None


def _watched_problem(seen: Seen) -> _Problem | None:
    """What the processor was told at a VMRUN that it should not have been."""
    watched, runs = seen.watched, seen.trace.runs
    if watched is None:
        return None
    if watched.complaint:
        before = [run.exit for run in runs[: watched.at - 1] if run.exit is not None]
        said = f"at VMRUN {watched.at} of {len(runs)}: " if watched.at else ""
        said += watched.complaint
        if not watched.meddled:
            said = f"The answers are right, but {said}"
        elif "_" not in said.split()[0]:  # a function keeps its name
            said = said[0].upper() + said[1:]
        return _Problem(said, before)
    if watched.entries != len(runs):
        said = f"{len(runs)} VMRUNs were executed, {watched.entries} of them where the image has one."
        return _Problem(said, seen.trace.exits)
    return None


def _silence_problem(test: Test, subjects: Sequence[Subject], seen: Seen) -> _Problem | None:
    """What people should have been told, and were not. It proves nothing, so it is asked for last."""
    lines = "\n".join(output(seen))
    wanted = [*test.options.get("says", []), *(line for subject in subjects for line in subject.says)]
    for pattern in wanted:
        if not re.search(pattern, lines, re.IGNORECASE):
            message = f"All that was done is right, but Casita's output has nothing like: {pattern}"
            return _Problem(message, seen.trace.exits)
    return None


def _how_it_ended(seen: Seen) -> str:
    if seen.code == 0:
        return " The machine was reset: a triple fault in Casita itself."
    if seen.status is not None and seen.status != 0:
        return f" Casita ended with status {seen.status}."
    return ""


def _evidence(subjects: Sequence[Subject], seen: Seen) -> dict[str, Any]:
    counts = seen.counts
    found = {
        "exits": len(seen.trace.exits),
        "answers": sum(len(subject.answers) for subject in subjects),
        "status": seen.status,
        "limit": seen.limit,
        **paging.numbers(seen.trace.exits),
    }
    if seen.ticks is not None:
        return {**found, "entries": len(seen.trace.runs), "ticks": seen.ticks, "engine": "bochs"}
    return {
        **found,
        "entries": counts.entries,
        "instructions": counts.total,
        "guest_instructions": counts.guest,
        "image_instructions": counts.image,
        "image_instructions_bare": sum(subject.instructions for subject in subjects),
        "image_instructions_outside": counts.outside,
        "blocks": counts.blocks,
    }

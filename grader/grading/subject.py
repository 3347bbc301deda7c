# SPDX-License-Identifier: BSD-3-Clause
"""A guest that is about to run under Casita, with everything that is expected of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from common import CasitaError
from .evidence import Exit
from .programs.asm import Answer

# OUT with any prefixes, and its forms with an immediate port (APM vol. 3 OUT, §1.2)
_OUT = re.compile(
    rb"[\x66\x67\x26\x2e\x36\x3e\x64\x65\xf0\xf2\xf3\x40-\x4f]*[\xe6\xe7\xee\xef]", re.S
)


@dataclass(frozen=True)
class Subject:
    """One guest: its file, its words, and what it must be seen to do."""

    name: str  # of its VM
    path: Path  # what Casita loads
    words: str
    low: int  # addresses of its image
    high: int
    code: bytes  # what is there, from `low` on
    answers: tuple[Answer, ...]  # all with their expected values
    instructions: int  # of the image, executed bare
    exact: bool  # or at least so many
    end: str  # as in programs.asm.Guest
    first_port: int | None = None
    last_code: int | None = None
    flat: bool = False  # `code` is all that may ever be executed of it, and each IN and OUT exits
    # Where it executes IN and OUT when it runs bare, as in Counts.io; None: that is not known.
    io: tuple[tuple[int, int], ...] | None = None
    touches: tuple[int, ...] = ()  # as in programs.asm.Guest
    holes: tuple[int, ...] | None = ()
    sure_nibbles: int | None = None
    says: tuple[str, ...] = ()

    @property
    def nibbles(self) -> tuple[int, ...]:
        """The answers, as they leave the guest."""
        return tuple(
            answer.expected >> shift & 15
            for answer in self.answers
            if answer.expected is not None
            for shift in range(4 * answer.nibbles - 4, -1, -4)
        )

    def answer_at(self, index: int) -> tuple[Answer, int] | None:
        """The answer to which a nibble belongs, and the index of its own first nibble."""
        first = 0
        for answer in self.answers:
            if index < first + answer.nibbles:
                return answer, first
            first += answer.nibbles
        return None

    def has(self, event: Exit) -> bool:
        """Did it come from this image?"""
        return self.low <= event.rip < self.high

    def has_out_at(self, address: int) -> bool:
        """Does an OUT stand there?"""
        return self.low <= address < self.high and bool(_OUT.match(self.code, address - self.low))


def fill_in(answers: tuple[Answer, ...], nibbles: tuple[int, ...], who: str) -> tuple[Answer, ...]:
    """The answers with their expected values: their own, or else those of the bare run."""
    filled, at = [], 0
    for answer in answers:
        said = nibbles[at : at + answer.nibbles]
        at += answer.nibbles
        expected = answer.expected
        if expected is None:
            if len(said) < answer.nibbles:
                raise CasitaError(f"{who} did not answer {answer.name} when it ran bare")
            expected = int("".join(f"{nibble:x}" for nibble in said), 16)
        elif said and said != tuple(expected >> 4 * i & 15 for i in reversed(range(answer.nibbles))):
            heard = "".join(f"{nibble:x}" for nibble in said)
            raise CasitaError(f"{who}, {answer.name}: bare it is {heard}, not {expected:x}")
        filled.append(Answer(answer.name, answer.nibbles, expected))
    if nibbles and at != len(nibbles):
        raise CasitaError(f"{who} answered {len(nibbles)} nibbles when it ran bare, not {at}")
    return tuple(filled)

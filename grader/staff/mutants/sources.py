# SPDX-License-Identifier: BSD-3-Clause
"""Where a lab's reference may be mutated: the lines of its holes, and the functions they are in.

A hole is `#if SOLVED >= n` … `#else`. The text is what unifdef leaves with blank lines for what it
takes away, so that a line has the same number here, in src/ and in a message of the compiler.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from common import CasitaError
from grading.model import Lab

_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)


@dataclass(frozen=True)
class Source:
    """One file of the reference."""

    name: str  # src/svm/run.c
    text: str
    lines: frozenset[int]  # that are in a hole, from 1
    functions: dict[int, str] = field(default_factory=dict, hash=False)  # the function of a line

    @property
    def assembly(self) -> bool:
        """Is it one for the assembler?"""
        return self.name.endswith(".S")


@dataclass(frozen=True)
class Mutation:
    """One mutation: text[start:end] of a source becomes `new`."""

    start: int
    end: int
    new: str
    operator: str  # "drop", "compare", …


@dataclass(frozen=True)
class Mutant:
    """A mutation and what it is called: by the text around it, not by line numbers."""

    source: Source = field(repr=False)
    mutation: Mutation
    line: int
    function: str
    old: str  # the lines that it changes, without comments and with single blanks
    new: str  # and what becomes of them
    which: int = 1  # of the mutants of this function that would be called the same

    @property
    def key(self) -> str:
        """Its name in a report."""
        more = f" #{self.which}" if self.which > 1 else ""
        return f"{self.source.name} {self.function}: {self.old} => {self.new}{more}"

    @property
    def content(self) -> str:
        """The whole file, mutated."""
        text, cut = self.source.text, self.mutation
        return text[: cut.start] + cut.new + text[cut.end :]

    @property
    def place(self) -> str:
        """For a person."""
        return f"{self.source.name}:{self.line}"


def read_sources(root: Path, lab: Lab) -> list[Source]:
    """The files of the lab that have a hole of its own."""
    found = []
    for name in lab.files:
        path = root / name
        if not path.is_file():
            continue
        lines = hole_lines(path.read_text(encoding="utf-8"), lab.number)
        if lines:
            text = _solved(path, lab.number)
            found.append(Source(name, text, frozenset(lines), functions(text, name)))
    return found


def hole_lines(text: str, number: int) -> set[int]:
    """The lines between `#if SOLVED >= number` and its #else or #endif."""
    lines: set[int] = set()
    depth, inside = 0, 0  # inside: the depth at which the hole began
    for at, line in enumerate(text.splitlines(), 1):
        directive = re.match(r"\s*#\s*(if|ifdef|ifndef|else|elif|endif)\b(.*)", line)
        if not directive:
            if inside:
                lines.add(at)
        elif directive[1].startswith("if"):
            depth += 1
            if not inside and re.fullmatch(rf"\s*SOLVED\s*>=\s*{number}\s*", directive[2]):
                inside = depth
        else:
            if inside == depth:
                inside = 0
            depth -= directive[1] == "endif"
    return lines


def _solved(path: Path, number: int) -> str:
    words = ["unifdef", "-b", f"-DSTAGE={number}", f"-DSOLVED={number}", str(path)]
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise CasitaError("unifdef is not installed; run `make setup`") from None
    if done.returncode > 1:
        raise CasitaError(f"unifdef failed: {done.stderr.strip()}")
    return done.stdout


def functions(text: str, name: str) -> dict[int, str]:
    """The function that each line is in; lines outside of any are not there."""
    found: dict[int, str] = {}
    current, header = "", ""
    for at, line in enumerate(without_comments(text).splitlines(), 1):
        if name.endswith(".S"):
            label = re.match(r"(\w+):", line)
            current = label[1] if label else current
        elif line.startswith("{"):
            named = re.search(r"(\w+)\s*\(", re.sub(r"__attribute__\s*\(\(.*?\)\)", "", header))
            current = named[1] if named else ""
        elif line.startswith("}") or (not line.strip() and not current):
            current, header = "", ""
        elif not current and not line.startswith("#"):
            header += line + " "
        if current:
            found[at] = current
    return found


def without_comments(text: str) -> str:
    """The text with every comment blanked and every line where it was."""
    return _COMMENT.sub(lambda m: re.sub(r"[^\n]", " ", m[0]), text)


def normal(text: str) -> str:
    """Text as it is compared: no comments, single blanks."""
    return " ".join(_COMMENT.sub(" ", text).split())


def named(source: Source, mutations: list[Mutation]) -> list[Mutant]:
    """The mutants of a source, each with its name, in the order of the text."""
    counts: dict[tuple[str, str, str], int] = {}
    mutants = []
    for cut in sorted(set(mutations), key=lambda m: (m.start, m.end, m.new)):
        begin = source.text.rfind("\n", 0, cut.start) + 1
        end = source.text.find("\n", max(cut.end - 1, begin))
        end = len(source.text) if end < 0 else end
        old = normal(source.text[begin:end])
        new = normal(source.text[begin : cut.start] + cut.new + source.text[cut.end : end])
        if old == new:
            continue
        line = source.text.count("\n", 0, cut.start) + 1
        function = source.functions.get(line, "")
        which = counts[function, old, new] = counts.get((function, old, new), 0) + 1
        mutants.append(Mutant(source, cut, line, function, old, new, which))
    return mutants

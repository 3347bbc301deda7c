# SPDX-License-Identifier: BSD-3-Clause
"""Mutants that no test catches, and why: solutions/N-name/mutants.toml.

    [[equivalent]]                      it does the same; or what differs, nobody is told to do
    file = "src/svm/run.c"
    function = "svm_run"
    line = "do {"                       the lines that it changes, as `mutate` prints them
    mutant = "do ;"                     and what becomes of them; or a list, of the same reason
    which = 2                           the second such one in this function; left out: the first
    reason = "one sentence"

    [[unseen]]                          it is wrong, and cannot be seen yet: a gap of the tests

A mutant is found by these words, not by its line's number. An entry that nothing fits is a fault,
and so is one that a test catches.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Sequence

from common import CasitaError
from .sources import Mutant

KINDS = ("equivalent", "unseen")
_NEEDED = ("file", "function", "line", "mutant", "reason")


@dataclass(frozen=True)
class Known:
    """One entry of the list."""

    kind: str  # "equivalent" or "unseen"
    file: str
    function: str
    line: str
    mutant: str
    reason: str
    which: int = 1

    def fits(self, mutant: Mutant) -> bool:
        """Is it this one?"""
        texts = _squeezed(mutant.old), _squeezed(mutant.new)
        return self._words() == (mutant.source.name, mutant.function, *texts, mutant.which)

    def _words(self) -> tuple[str, str, str, str, int]:
        return self.file, self.function, _squeezed(self.line), _squeezed(self.mutant), self.which

    def __str__(self) -> str:
        return f"{self.file} {self.function}: {self.line} => {self.mutant}"


def _squeezed(text: str) -> str:
    """Blanks do not matter: clang-format may move them."""
    return "".join(text.split())


def read_known(path: Path) -> list[Known]:
    """The list; CasitaError if it is not as it should be. Where there is no file, it is empty."""
    if not path.is_file():
        return []
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CasitaError(f"{path}: {error}") from None
    found: list[Known] = []
    for kind, entries in table.items():
        if kind not in KINDS or not isinstance(entries, list):
            raise CasitaError(f"{path}: {kind} is unknown; there are [[equivalent]] and [[unseen]]")
        for index, entry in enumerate(entries, 1):
            mutants = entry.get("mutant") if isinstance(entry.get("mutant"), list) else None
            each = [{**entry, "mutant": m} for m in mutants] if mutants else [entry]
            found += [_known(kind, one, f"{path}: {kind} {index}") for one in each]
    return found


def _known(kind: str, entry: dict[str, Any], where: str) -> Known:
    for key in _NEEDED:
        text = entry.get(key)
        if not isinstance(text, str) or not (text.strip() or key in ("mutant", "function")):
            raise CasitaError(f"{where}: {key} must be there, a text")
    which = entry.get("which", 1)
    more = set(entry) - {*_NEEDED, "which"}
    if more or not isinstance(which, int) or which < 1:
        what = f"unknown: {' '.join(more)}" if more else f"which = {which}"
        raise CasitaError(f"{where}: {what}")
    return Known(kind=kind, **entry)


def find(mutant: Mutant, known: Sequence[Known]) -> Known | None:
    """The entry for a mutant, if there is one."""
    return next((each for each in known if each.fits(mutant)), None)


def as_entry(mutant: Mutant) -> str:
    """What to put into the list for a mutant, but for the reason."""
    words = {"file": mutant.source.name, "function": mutant.function}
    words |= {"line": mutant.old, "mutant": mutant.new}
    lines = [f"{name} = {_quoted(text)}" for name, text in words.items()]
    if mutant.which > 1:
        lines.append(f"which = {mutant.which}")
    return "\n".join(lines)


def _quoted(text: str) -> str:
    if "'" not in text:
        return f"'{text}'" if '"' in text or "\\" in text else f'"{text}"'
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'

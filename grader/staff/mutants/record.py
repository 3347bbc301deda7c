# SPDX-License-Identifier: BSD-3-Clause
"""What became of each mutant, in a file that a later run goes on with.

    {"lab": 1, "seed": 1, "sources": HASH, "tests": HASH,
     "mutants": {KEY: {"line": 36, "operator": "drop", "fate": "killed", "by": "enter",
                       "image": HASH}}}

Other sources: all begins anew. Other tests: what survived is graded again, and what was killed
stays so.
"""

from __future__ import annotations

import json
import threading
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from common import CasitaError


class Fate(Enum):
    """What became of a mutant."""

    UNCOMPILED = "uncompiled"  # the compiler refuses it: not a mutant
    IDENTICAL = "identical"  # the same image as the reference's: equivalent, by proof
    DUPLICATE = "duplicate"  # the same image as another mutant's: counted there
    KILLED = "killed"
    SURVIVED = "survived"
    TROUBLE = "trouble"  # of the grader's own: to be graded again


@dataclass(frozen=True)
class Outcome:
    """Of one mutant."""

    fate: Fate
    by: str = ""  # the test that killed it; whose duplicate it is; what the trouble was
    image: str = ""  # hash of its image


@dataclass(frozen=True)
class Basis:
    """What the outcomes depend on."""

    lab: int
    seed: int
    sources: str
    tests: str


class Record:
    """The outcomes so far; may be used from several threads."""

    def __init__(self, path: Path, basis: Basis) -> None:
        self._path = path
        self._basis = basis
        self._lock = threading.Lock()
        self.outcomes: dict[str, Outcome] = {}
        self._facts: dict[str, dict[str, Any]] = {}
        self.note = ""
        if path.exists():
            self._read()

    def _read(self) -> None:
        try:
            table = json.loads(self._path.read_text(encoding="utf-8"))
            before = Basis(**{name: table[name] for name in asdict(self._basis)})
            entries = dict(table["mutants"])
            outcomes = {
                key: Outcome(Fate(entry["fate"]), entry["by"], entry["image"])
                for key, entry in entries.items()
            }
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CasitaError(f"{self._path} is not a report of mutants: {error!r}") from None
        if before.lab != self._basis.lab:
            raise CasitaError(f"{self._path} is lab {before.lab}'s report; name another with --out")
        if before.sources != self._basis.sources or before.seed != self._basis.seed:
            self.note = "the reference or the seed is another than in the report: it begins anew"
            return
        gone = {Fate.TROUBLE}
        if before.tests != self._basis.tests:
            self.note = "the tests are others than in the report: its survivors are graded again"
            gone.add(Fate.SURVIVED)
        self.outcomes = {key: each for key, each in outcomes.items() if each.fate not in gone}
        self._facts = {key: entries[key] for key in self.outcomes}

    def put(self, key: str, outcome: Outcome, **facts: Any) -> None:
        """One more; the file is whole at every moment."""
        with self._lock:
            self.outcomes[key] = outcome
            told = {"fate": outcome.fate.value, "by": outcome.by, "image": outcome.image}
            self._facts[key] = {**facts, **told}
            table = {**asdict(self._basis), "mutants": self._facts}
            fresh = self._path.with_name(self._path.name + ".new")
            text = json.dumps(table, indent=1, ensure_ascii=False) + "\n"
            fresh.write_text(text, encoding="utf-8")
            fresh.replace(self._path)

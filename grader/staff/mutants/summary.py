# SPDX-License-Identifier: BSD-3-Clause
"""What a run of mutants comes to, for a person; and its status."""

from __future__ import annotations

from collections import Counter
from typing import Sequence

from grading.model import Lab
from .known import Known, as_entry, find
from .record import Fate, Outcome, Record
from .sources import Mutant


class Summary:
    """Of the mutants that were asked for."""

    def __init__(
        self,
        lab: Lab,
        mutants: Sequence[Mutant],
        record: Record,
        known: Sequence[Known],
        whole: bool,
    ) -> None:
        self._lab = lab
        self._mutants = mutants
        self._record = record
        self._known = known
        self._whole = whole  # all mutants of the lab: then each entry of the list must fit one

    def _outcome(self, mutant: Mutant) -> Outcome | None:
        return self._record.outcomes.get(mutant.key)

    def _survivors(self) -> dict[str, list[Mutant]]:
        """By how they are listed: equivalent, unseen, or (empty) not at all."""
        found: dict[str, list[Mutant]] = {"equivalent": [], "unseen": [], "": []}
        for mutant in self._mutants:
            outcome = self._outcome(mutant)
            if outcome and outcome.fate is Fate.SURVIVED:
                entry = find(mutant, self._known)
                found[entry.kind if entry else ""].append(mutant)
        return found

    def _faults(self) -> list[str]:
        """What is wrong with the list."""
        found = []
        for entry in self._known:
            fitting = [mutant for mutant in self._mutants if entry.fits(mutant)]
            if not fitting and self._whole:
                found.append(f"no mutant fits the list's {entry}")
            for mutant in fitting:
                outcome = self._outcome(mutant)
                if outcome and outcome.fate not in (Fate.SURVIVED, Fate.TROUBLE):
                    how = f"{outcome.fate.value} {outcome.by}".strip()
                    found.append(f"listed as {entry.kind}, but {how}: {entry}")
        return found

    def show(self) -> int:
        """Print it; the program's status."""
        survivors, faults = self._survivors(), self._faults()
        outcomes = [outcome for mutant in self._mutants if (outcome := self._outcome(mutant))]
        fates = Counter(outcome.fate for outcome in outcomes)
        for kind, title in (("unseen", "unseen, as listed"), ("", "SURVIVOR")):
            for mutant in survivors[kind]:
                print(f"\n{title}: {mutant.place} ({mutant.mutation.operator})")
                if kind:
                    print(f"- {mutant.old}\n+ {mutant.new}")
                else:
                    print(as_entry(mutant))
        for fault in faults:
            print(f"FAULT {fault}")
        killed, equivalent = fates[Fate.KILLED], len(survivors["equivalent"])
        left = fates[Fate.SURVIVED] - equivalent
        judged = killed + left
        print(
            f"\nMutants: lab {self._lab.number}: {len(self._mutants)} made; "
            f"{fates[Fate.UNCOMPILED]} do not compile, {fates[Fate.IDENTICAL]} identical, "
            f"{fates[Fate.DUPLICATE]} duplicates; "
            f"{equivalent} equivalent, as listed\n"
            f"Mutants: lab {self._lab.number}: {killed} of {judged} killed"
            f" ({100 * killed / judged if judged else 100:.1f} %), {left} survivors, "
            f"{len(survivors[''])} of them not listed"
        )
        waiting = len(self._mutants) - len(outcomes)
        if waiting or fates[Fate.TROUBLE]:
            print(f"{waiting} not graded yet, {fates[Fate.TROUBLE]} in trouble of the grader's own")
        if fates[Fate.TROUBLE]:
            return 3
        return 1 if survivors[""] or faults or waiting else 0

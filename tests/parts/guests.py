# SPDX-License-Identifier: BSD-3-Clause
"""The test guests of guests/guests.toml: bare and under Casita, in QEMU and in Bochs.

What a guest says bare in QEMU is right; everywhere else it must say the same. Some may exit only so
often.
"""

from __future__ import annotations

import sys
from functools import partial

from common import ROOT
from engines import Machine
from .harness import Failure, Result, Test

sys.path.append(str(ROOT / "guests"))
import compare  # noqa: E402

_ENGINES = ("qemu", "bochs")


def _bare(guest: compare.Guest, engine: str) -> list[str] | None:
    """What it says without Casita; None if it cannot be asked there."""
    extra = guest.qemu if engine == "qemu" else guest.bochs
    said = compare.run_bare(guest, Machine(engine, mem=guest.mem, extra=extra))
    if isinstance(said, str):
        if said.startswith("FAILED"):
            raise Failure(said)
        return None
    return said


def _compare(said: list[str], right: list[str] | None) -> None:
    problem = compare._failures(said) or compare._difference(said if right is None else right, said)
    if problem:
        raise Failure(problem)


def _in_vm(guest: compare.Guest, engine: str, words: str, right: list[str] | None) -> None:
    machine = Machine(engine, mem=guest.mem + compare._CASITA_MEM)
    said, verdict = compare.run_vm(guest, machine, words)
    if not verdict.startswith(compare._ENDS[guest.end]):
        raise Failure(f"ended otherwise: {verdict}; it said: {said[-10:]}")
    _compare(said, right)


def _guest(guest: compare.Guest) -> list[Result]:
    """All runs of one guest."""
    results: list[Result] = []
    right: list[str] | None = None
    for engine in _ENGINES:
        name = f"{guest.name}.bare-{engine}"
        try:
            said = _bare(guest, engine)
            if said is None:
                continue
            right = right or said
            _compare(said, right)
        except Failure as failure:
            results.append(Result(name, str(failure)))
        else:
            results.append(Result(name))
    for engine in _ENGINES:
        for words in guest.vm:
            name = ".".join(filter(None, (guest.name, f"casita-{engine}", words)))
            try:
                _in_vm(guest, engine, words, right)
            except Failure as failure:
                results.append(Result(name, str(failure)))
            else:
                results.append(Result(name))
    for words, most in guest.exits.items():
        exits = compare.count_exits(guest, words)
        failure = f"{exits} exits, at most {most} are allowed" if exits > most else None
        results.append(Result(f"{guest.name}.exits.{words}", failure))
    return results


def tests() -> list[Test]:
    """One test a guest, with a result for each place where it runs."""
    return [Test(guest.name, partial(_guest, guest), weight=5) for guest in compare.load()]

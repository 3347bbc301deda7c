#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Run test guests bare and in a VM under Casita, and compare what they say.

    guests/compare.py                     all of guests.toml, in QEMU
    guests/compare.py cpuid io32          some of them
    guests/compare.py -e bochs -c intel   in Bochs, on its Intel CPU (-m MODEL: another)
    guests/compare.py -b                  bare only
    guests/compare.py -v cpuid            and show the answers

A guest's words are compared as a whole, line by line. One line a run: "same", or what differs.
The status is 0 if nothing differed.
"""
from __future__ import annotations

import argparse
import re
import sys
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "grader"))

# pylint: disable=wrong-import-position
from common import BUILD, CasitaError, run_main, scratch_directory  # noqa: E402
from engines import End, Machine, Module, Outcome, boot  # noqa: E402

_TIMEOUT = 600.0  # seconds; a backstop, no guest needs a hundredth of it
_CASITA_MEM = 128  # MiB for Casita and its tables, beside the guest's
_VERDICT = re.compile(r"^casita: [\w-]+: (.*)$")
_ENDS = {
    "exit": "exited with status 0",
    "shutdown": "triple fault",
    "halt": "powered off",
    "stop": "stopped: its page tables are at",
}
# What Bochs itself writes between the guest's lines.
_BOCHS = re.compile(r"^(\(\d+\)|<bochs|Next at|=====|\[|0{6,}|Bochs |Please visit| )")


@dataclass(frozen=True)
class Guest:
    """An entry of guests.toml; the names are explained there."""

    name: str
    purpose: str
    stage: int
    bits: int
    form: str = "elf"
    mem: int = 64
    bare: list[str] = field(default_factory=lambda: ["qemu", "bochs"])
    end: str = "exit"
    vm: list[str] = field(default_factory=lambda: [""])
    qemu: list[str] = field(default_factory=list)
    bochs: list[str] = field(default_factory=list)
    exits: dict[str, int] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        """The built file."""
        return BUILD / "guests" / f"{self.name}.{self.form}"


def load() -> list[Guest]:
    """All guests of the table."""
    with open(HERE / "guests.toml", "rb") as file:
        return [Guest(**entry) for entry in tomllib.load(file)["guest"]]


def _lines(raw: bytes) -> list[str]:
    """The lines, without carriage returns and without empty ones."""
    text = raw.decode(errors="replace").replace("\r", "")
    return [line for line in text.split("\n") if line.strip()]


def run_bare(guest: Guest, machine: Machine) -> list[str] | str:
    """What the guest says without Casita; a sentence if it cannot be asked or goes wrong."""
    if machine.engine not in guest.bare:
        return "not for bare " + machine.engine
    if guest.form != "elf" or (guest.end != "exit" and machine.engine == "bochs"):
        return f"a {guest.form} that ends by {guest.end} needs a start by hand here"
    try:
        with scratch_directory() as scratch:
            outcome = boot(machine, guest.path, "", [], scratch, timeout=_TIMEOUT)
    except CasitaError as error:
        return f"FAILED: {error}"
    if outcome.end is End.TIMEOUT:
        return "FAILED: timeout"
    if machine.engine == "qemu" and guest.end == "exit" and outcome.status != 0:
        return f"FAILED: status {outcome.status}: {_failures(_lines(outcome.debugcon))}"
    lines = [line for line in _lines(outcome.debugcon) if not _BOCHS.match(line)]
    return lines if not _failures(lines) else f"FAILED: {_failures(lines)}"


def run_vm(guest: Guest, machine: Machine, words: str) -> tuple[list[str], str]:
    """What the guest says under Casita, and Casita's verdict on the VM."""
    module = Module(guest.path, f"vm=guest mem={guest.mem}M {words}".rstrip())
    try:
        with scratch_directory() as scratch:
            outcome = boot(machine, BUILD / "casita.elf", "", [module], scratch, timeout=_TIMEOUT)
    except CasitaError as error:
        return [], str(error)
    return _split(outcome)


def count_exits(guest: Guest, words: str) -> int:
    """How often it exits, in QEMU with instructions for a clock: the same number each time."""
    module = Module(guest.path, f"vm=guest mem={guest.mem}M {words}".rstrip())
    machine = Machine(mem=guest.mem + _CASITA_MEM, icount=True)
    with scratch_directory() as scratch:
        outcome = boot(machine, BUILD / "casita.elf", "exits", [module], scratch, timeout=_TIMEOUT)
    total = re.search(rb"^  total +(\d+)", outcome.serial, re.MULTILINE)
    if not total:
        raise CasitaError(f"{guest.name} {words}: Casita has not counted its exits")
    return int(total[1])


def _split(outcome: Outcome) -> tuple[list[str], str]:
    said, verdict = [], "timeout" if outcome.end is End.TIMEOUT else "no verdict"
    started = False
    for line in _lines(outcome.serial):
        if match := _VERDICT.match(line):
            return said, match[1]  # what may follow explains it, for people
        if "casita: " in line:
            started = True  # what the firmware said before it is not the guest's
        elif started:
            said.append(line)
    return said, verdict


def _failures(lines: list[str]) -> str:
    return "; ".join(line for line in lines if line.startswith("FAIL"))


def _difference(bare: list[str], vm: list[str]) -> str:
    for i in range(max(len(bare), len(vm))):
        here = bare[i] if i < len(bare) else "nothing"
        there = vm[i] if i < len(vm) else "nothing"
        if here != there:
            return f"DIFFERS: bare says {here}, the VM {there}"
    return ""


def compare(guest: Guest, options: argparse.Namespace) -> bool:
    """All runs of one guest, a line for each. Is all well?"""
    model = options.model if options.engine == "bochs" else ""
    machine = Machine(options.engine, options.cpu, guest.mem, model=model,
                      extra=guest.qemu if options.engine == "qemu" else guest.bochs)
    bare = run_bare(guest, machine)
    good = not (isinstance(bare, str) and bare.startswith("FAILED"))
    _report(guest.name, "bare", bare if isinstance(bare, str) else f"{len(bare)} lines")
    if options.verbose and not isinstance(bare, str):
        print("\n".join("    " + line for line in bare))
    if options.bare:
        return good
    host = Machine(options.engine, options.cpu, guest.mem + _CASITA_MEM, model=model)
    for words in guest.vm:
        said, verdict = run_vm(guest, host, words)
        problem = _failures(said) or _difference(bare if isinstance(bare, list) else said, said)
        if not verdict.startswith(_ENDS[guest.end]):
            problem = f"ENDED otherwise: {verdict} {problem}"
        good = good and not problem
        _report(guest.name, f"vm {words}".strip(), problem or "same")
        if options.verbose:
            print("\n".join("    " + line for line in said))
    return good


def _report(name: str, run: str, result: str) -> None:
    print(f"{name:14} {run:12} {result}", flush=True)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="guests (all)")
    parser.add_argument("-e", "--engine", choices=["qemu", "bochs"], default="qemu")
    parser.add_argument("-c", "--cpu", choices=["amd", "intel"], default="amd")
    parser.add_argument("-m", "--model", default="", help="Bochs's CPU model")
    parser.add_argument("-b", "--bare", action="store_true", help="without Casita only")
    parser.add_argument("-v", "--verbose", action="store_true", help="show what the guests say")
    options = parser.parse_args()
    guests = {guest.name: guest for guest in load()}
    for name in options.names:
        if name not in guests:
            raise CasitaError(f"guests.toml has no guest named {name}")
    chosen = [guests[name] for name in options.names or guests]
    bad = [guest.name for guest in chosen if not compare(guest, options)]
    if bad:
        print(f"{len(bad)} of {len(chosen)} guests: {' '.join(bad)}")
    return 1 if bad else 0


if __name__ == "__main__":
    run_main(main)

# SPDX-License-Identifier: BSD-3-Clause
"""Runs a test on an image of Casita: prepares its guests, starts the machine, has it judged.

    prepared = prepare(lab, lab.tests, seed, directory)
    result = run_test(test, image, prepared, folder)

prepare() makes the guests for a seed and runs each bare, which says what is right. All of it
depends on lab and seed only. run_test() may be called from several threads. A run takes 0.11
to 0.22 seconds on an idle machine with two processors; lab 1 is prepared in one second.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Sequence

from common import ROOT, CasitaError
from engines.machine import Module
from . import bochs, guests, tour
from .evidence import parse_bare, read
from .generate import assemble, build_bare_loader, generate, run_tool, tool
from .judge import judge
from .machine import Seen, Start, arguments, hand_over, run
from .model import Lab, Test, TestResult, Verdict
from .programs.asm import HOLE, Guest
from .rules import checks
from .subject import Subject, fill_in
from .watch import Watch

# Backstops; a run takes a second.
_BARE_SECONDS, _SECONDS, _WATCHED_SECONDS, _BOCHS_SECONDS = 30.0, 20.0, 60.0, 40.0
_BARE_INSTRUCTIONS = 400_000_000
_HOST_MEM = 128  # MiB for Casita, beside the guests' memory
# Without memory virtualization, and with several guests, each has what lies before the next.
_SHARED_MEM = 4


@dataclass(frozen=True)
class Prepared:
    """All that the tests of a lab need, for one seed."""

    seed: int
    plugin: Path
    subjects: dict[str, tuple[Subject, ...]] = field(default_factory=dict)  # by the test's name


def prepare(lab: Lab, tests: Sequence[Test], seed: int, directory: Path) -> Prepared:
    """Make the guests that these tests need, and find out what they do bare."""
    for test in tests:
        if checks(test.options) and test.engine != "qemu":
            raise CasitaError(f"test {test.name}: its VMRUNs can be watched in QEMU only")
    directory.mkdir(parents=True, exist_ok=True)
    plugin = directory / "count.so"
    options = ["-O2", "-shared", "-fPIC", "-Wall", "-Wextra"]
    run_tool(["gcc", *options, "-o", str(plugin), str(ROOT / "grader" / "count.c")])
    fixed = guests.build((t.run for t in tests if t.kind == "guest"), seed, directory)
    prepared = Prepared(seed, plugin.resolve(), {})

    def one(test: Test) -> tuple[Subject, ...]:
        folder = directory / test.name
        folder.mkdir()
        if test.kind == "program":
            made = generate(test, seed, lab.folder)
            count = len(made)
            return tuple(_program(test, g, i, count, folder, plugin) for i, g in enumerate(made))
        if test.kind == "guest":
            return (_fixed(test, fixed[test.run], folder, plugin),)
        if test.kind == "tour":
            return ()
        there_are = "there are program, guest and tour"
        raise CasitaError(f"test {test.name}: kind {test.kind} is unknown; {there_are}")

    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        for test, subjects in zip(tests, pool.map(one, tests)):
            prepared.subjects[test.name] = subjects
    return prepared


def _program(
    test: Test, guest: Guest, index: int, count: int, folder: Path, plugin: Path
) -> Subject:
    name = f"{test.run}{index + 1 if count > 1 else ''}"
    path = (folder / f"{name}.bin").resolve()
    assemble(guest, path, bare=False)
    code = path.read_bytes()
    low, high = guest.address, guest.address + len(code)
    nibbles: tuple[int, ...] = ()
    io = None
    if guest.bare and guest.answers:
        nibbles, io = _run_program_bare(guest, name, folder, plugin)
    shared = count > 1 and "paging=none" in f"{test.words} {guest.words}"
    words = [
        f"vm={name} mem={_SHARED_MEM if shared else test.mem}M loader=flat at={low:#x}",
        f"mode={'long' if guest.long else 'protected'}",
        test.words,
        guest.words,
    ]
    return Subject(
        name=name,
        path=path,
        words=" ".join(word for word in words if word),
        low=low,
        high=high,
        code=code,
        answers=fill_in(guest.answers, nibbles, name),
        instructions=guest.instructions,
        exact=guest.end != HOLE,
        end=guest.end,
        first_port=guest.first_port,
        last_code=guest.last_code,
        flat=True,
        io=io,
        touches=guest.touches,
        holes=guest.holes,
        sure_nibbles=guest.sure_nibbles,
        says=guest.says,
    )


def _run_program_bare(
    guest: Guest, name: str, folder: Path, plugin: Path
) -> tuple[tuple[int, ...], tuple[tuple[int, int], ...] | None]:
    """What it answers, and where it executes IN and OUT: without what it only does to end bare."""
    kernel, module = folder / f"{name}-bare.elf", folder / f"{name}-bare.bin"
    build_bare_loader(guest, kernel)
    assemble(guest, module, bare=True)
    low, high = guest.address, guest.address + module.stat().st_size
    start = Start(kernel, [Module(module)], 128, plugin=plugin, low=low, high=high, bare=True)
    seen = _bare(start, name, folder)
    if "BARE" not in guest.source and seen.counts.outside != guest.instructions:
        found, said = seen.counts.outside, guest.instructions
        raise CasitaError(f"program {name} executes {found} instructions bare, and says {said}")
    nibbles = parse_bare(seen.log).nibbles
    if ".if !BARE" in guest.source:
        return nibbles, None  # it goes another way under Casita: it yields
    return nibbles, seen.counts.io[:-1] if "BARE" in guest.source else seen.counts.io


def _bare(start: Start, name: str, folder: Path) -> Seen:
    machine = folder / f"{name}-bare"
    machine.mkdir()
    start = Start(**{**start.__dict__, "instructions": _BARE_INSTRUCTIONS})
    seen = run(start, machine, _BARE_SECONDS)
    ended_well = parse_bare(seen.log).status == 0 or seen.code == 0  # code 0: a triple fault
    if seen.limit or seen.crashed or not ended_well:
        how = seen.limit or f"status {seen.code}"
        raise CasitaError(f"guest {name} did not end well when it ran bare ({how}); see {machine}")
    return seen


def _fixed(test: Test, elf: Path, folder: Path, plugin: Path) -> Subject:
    guest = guests.find(test.run)
    if not guest.bare:
        raise CasitaError(f"test {test.name}: guest {test.run} does not run bare in QEMU")
    elf = elf.resolve()
    low, high, code = guests.image_of(elf)
    start = Start(
        elf, [], guest.mem, plugin=plugin, low=low, high=high, bare=True, options=guest.qemu
    )
    seen = _bare(start, test.run, folder)
    names = guests.answers_said(read(folder / f"{test.run}-bare" / "debugcon"))
    return Subject(
        name=test.run,
        path=elf,
        words=" ".join(word for word in (f"vm={test.run} mem={test.mem}M", test.words) if word),
        low=low,
        high=high,
        code=code,
        answers=fill_in(names, parse_bare(seen.log).nibbles, test.run),
        instructions=seen.counts.outside,
        exact=guest.exact,
        end=guest.end,
        last_code=guests.last_code(guest.end),
    )


def _start(test: Test, image: Path, prepared: Prepared) -> Start:
    subjects = prepared.subjects[test.name]
    shared = any("paging=none" in subject.words for subject in subjects)
    return Start(
        image=image,
        modules=[Module(subject.path, subject.words) for subject in subjects],
        mem=_HOST_MEM + test.mem * (1 if shared else len(subjects)),
        model=test.cpu,
        plugin=prepared.plugin,
        low=min(subject.low for subject in subjects),
        high=max(subject.high for subject in subjects),
        codes=[(subject.low, subject.path) for subject in subjects if subject.flat],
        exits=test.exits,
        instructions=test.instructions,
    )


def run_test(test: Test, image: Path, prepared: Prepared, directory: Path) -> TestResult:
    """Run one test on an image (stripped). `directory` is there, empty, and for this run alone."""
    if test.kind == "tour":
        return tour.run_tour(test, image, prepared.seed, prepared.plugin, directory)
    start = _start(test, image, prepared)
    if test.engine == "bochs":
        seen = bochs.run(start, directory, _BOCHS_SECONDS)
    elif wanted := checks(test.options):
        watch = Watch(image, wanted, image.parent / "build" / "casita.elf64")
        seen = run(start, directory, _WATCHED_SECONDS, watch)
    else:
        seen = run(start, directory, _SECONDS)
    found = judge(test, prepared.subjects[test.name], seen)
    return TestResult(
        test=test,
        verdict=found.verdict,
        points=test.points if found.verdict is Verdict.PASS else 0,
        message=found.message,
        evidence=found.evidence,
        seconds=seen.seconds,
        last_exits=found.last_exits,
    )


def commands(test: Test, image: Path, prepared: Prepared, directory: Path) -> dict[str, list[str]]:
    """How a person runs just this in the directory: as it is graded, and waiting for GDB at port 1234."""
    if test.kind == "tour":
        start = tour.start_of(test, image, prepared.seed)
    else:
        start = _start(test, image, prepared)
        if test.engine == "bochs":
            return {"bochs": bochs.prepare(start, directory)}
    hand_over(start, directory)
    return {"qemu": arguments(start), "gdb": arguments(start, gdb=True)}

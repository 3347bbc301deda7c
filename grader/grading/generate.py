# SPDX-License-Identifier: BSD-3-Clause
"""Makes the seeded guests of a test: text from a program, bytes from the assembler.

A program is found by its name: in programs/lab1.py, programs/lab2.py and so on for the lab's
number, or, where there are solutions, in solutions/LAB/hidden.py, which has a dictionary PROGRAMS
as well. The same seed, lab and test give the same bytes.
"""

from __future__ import annotations

import importlib
import importlib.util
import random
import shutil
import subprocess
from pathlib import Path
from typing import Sequence

from common import ROOT, CasitaError
from .model import Test
from .programs.asm import Guest, Program

_HERE = Path(__file__).resolve().parent
_SECONDS = 60


def generate(test: Test, seed: int, lab_folder: Path) -> list[Guest]:
    """The guests of a test whose kind is "program"."""
    rng = random.Random(f"casita {seed} {test.lab} {test.name}")
    return _find(test, lab_folder)(rng, test.options)


def _find(test: Test, lab_folder: Path) -> Program:
    programs: dict[str, Program] = {}
    name = f"grading.programs.lab{test.lab}"
    if importlib.util.find_spec(name):
        programs.update(importlib.import_module(name).PROGRAMS)
    hidden = ROOT / "solutions" / lab_folder.name / "hidden.py"
    if hidden.is_file():
        spec = importlib.util.spec_from_file_location(f"hidden_{test.lab}", hidden)
        assert spec and spec.loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        programs.update(module.PROGRAMS)
    if test.run not in programs:
        known = " ".join(sorted(programs))
        what = f"lab {test.lab}, test {test.name}"
        raise CasitaError(f"{what}: no program {test.run}; there are: {known}")
    return programs[test.run]


def assemble(guest: Guest, out: Path, bare: bool) -> None:
    """A flat image at guest.address, as it is run under Casita, or bare."""
    source = out.with_suffix(".s")
    source.write_text(guest.source)
    symbols = ["--defsym", f"BARE={int(bare)}"]
    options = ["--oformat", "binary", "-e", "start"]
    _link(source, out, guest.long, guest.address, symbols, options)


def build_bare_loader(guest: Guest, out: Path) -> None:
    """bare.S for this guest's mode and address: a Multiboot kernel."""
    symbols = ["--defsym", f"ADDRESS={guest.address:#x}", "--defsym", f"LONG={int(guest.long)}"]
    options = ["-e", "_start", "-T", str(_script(out))]
    _link(_HERE / "bare.S", out, False, 0x100000, symbols, options)


def _script(out: Path) -> Path:
    """The Multiboot header must come first."""
    script = out.with_suffix(".lds")
    script.write_text(
        "PHDRS { all PT_LOAD FLAGS(7); }\n"
        "SECTIONS { . = 1M; .text : { *(.multiboot) *(.text) *(.data) *(.bss) } :all }\n"
    )
    return script


def _link(
    source: Path,
    out: Path,
    long: bool,
    address: int,
    symbols: Sequence[str],
    options: Sequence[str],
) -> None:
    obj = out.with_suffix(".o")
    run_tool(["as", "--64" if long else "--32", *symbols, "-o", str(obj), str(source)])
    emulation = "elf_x86_64" if long else "elf_i386"
    warnings = ["--no-warn-rwx-segments", "-z", "noexecstack", "--build-id=none"]
    place = [] if "-T" in options else [f"-Ttext={address:#x}"]
    run_tool(["ld", "-m", emulation, *warnings, *place, *options, "-o", str(out), str(obj)])


def run_tool(words: Sequence[str]) -> None:
    """Run an assembler, a compiler or make; what goes wrong is the grader's trouble."""
    program = tool(words[0])
    try:
        done = subprocess.run(
            [program, *words[1:]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CasitaError(f"{words[0]} did not run: {error}") from None
    if done.returncode:
        said = done.stdout.decode(errors="replace").strip()
        raise CasitaError(f"{' '.join(words[:3])} … failed: {said[-800:]}")


def tool(name: str) -> str:
    """A tool for x86, on other machines too."""
    cross = f"x86_64-linux-gnu-{name}"
    return cross if shutil.which(cross) and name != "make" else name

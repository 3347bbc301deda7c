# SPDX-License-Identifier: BSD-3-Clause
"""The test guests of guests/, built anew for a seed.

GUEST_SEED changes the registers that their probes start with, and mixes a stream into their answers
(guests/lib/answer.c), so that the answers of one seed are worth nothing for another.
"""

from __future__ import annotations

import re
import struct
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterable

from common import ROOT, CasitaError
from .evidence import EXIT_HLT, EXIT_SHUTDOWN
from .generate import run_tool, tool
from .programs.asm import HALT, SHUTDOWN, Answer

_NIBBLES = 16  # of an answer
_SAID = re.compile(r"^([A-Za-z0-9-]+)=([0-9a-f]+)$")
_PT_LOAD = 1


@dataclass(frozen=True)
class FixedGuest:
    """An entry of guests.toml, as far as it matters here."""

    name: str
    end: str  # as in programs.asm.Guest
    mem: int
    qemu: tuple[str, ...]
    bare: bool  # can run bare in QEMU
    exact: bool  # no interrupts: it executes the same instructions wherever it runs


def find(name: str) -> FixedGuest:
    """The guest of this name."""
    with open(ROOT / "guests" / "guests.toml", "rb") as file:
        entries: list[dict[str, Any]] = tomllib.load(file)["guest"]
    for entry in entries:
        if entry["name"] == name:
            end = entry.get("end", "exit")
            bare = "qemu" in entry.get("bare", ["qemu"]) and entry.get("form", "elf") == "elf"
            options = tuple(entry.get("qemu", []))
            return FixedGuest(name, end, entry.get("mem", 64), options, bare, entry["stage"] < 5)
    raise CasitaError(f"guests.toml has no guest named {name}")


def build(names: Iterable[str], seed: int, directory: Path) -> dict[str, Path]:
    """Build them for a seed, below the directory."""
    wanted = sorted(set(names))
    if wanted:
        compiler = f"CC={tool('gcc')} -DGUEST_SEED={seed & 0xFFFFFFFF:#x}u"
        run_tool(
            ["make", "-s", "-C", str(ROOT / "guests"), f"O={directory}", compiler,
             "MAKEFLAGS=", *wanted]
        )  # fmt: skip
    return {name: directory / "guests" / f"{name}.elf" for name in wanted}


def image_of(elf: Path) -> tuple[int, int, bytes]:
    """Where it lies, zeroes behind the file's bytes included, and the bytes."""
    data = elf.read_bytes()
    (offset,) = struct.unpack_from("<I", data, 28)
    size, count = struct.unpack_from("<HH", data, 42)
    for i in range(count):
        kind, at, _, low, in_file, in_memory = struct.unpack_from("<6I", data, offset + i * size)
        if kind == _PT_LOAD:
            return low, low + in_memory, data[at : at + in_file]
    raise CasitaError(f"{elf} has nothing to load in it")


def last_code(end: str) -> int | None:
    """The exit that ends a guest which ends in this way."""
    return {SHUTDOWN: EXIT_SHUTDOWN, HALT: EXIT_HLT}.get(end)


def answers_said(debugcon: bytes) -> tuple[Answer, ...]:
    """The names of the answers, from what the guest says to people when it runs bare."""
    lines = debugcon.decode("ascii", "replace").split("\n")
    return tuple(Answer(match[1], _NIBBLES) for match in map(_SAID.match, lines) if match)

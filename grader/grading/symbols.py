# SPDX-License-Identifier: BSD-3-Clause
"""Where a name of the monitor's stands in its image: from the ELF file with symbols that was built beside it.

The file was made of a student's sources, so nothing in it is relied on: a name that is missing, or there
twice, or a table that leads nowhere, is a fault of the image (NoSymbol), never the grader's.
"""

from __future__ import annotations

import struct
from pathlib import Path

_SYMTAB = 2
_HEADER = struct.Struct("<16x2HI3QI6H")
_SECTION = struct.Struct("<2I4Q2I2Q")
_SYMBOL = struct.Struct("<I2BH2Q")
_UNDEFINED = 0


class NoSymbol(Exception):
    """What is wrong, for a student."""


def address_of(image: Path, name: str) -> int:
    """Of a function or an object of this name."""
    try:
        found = _find(image.read_bytes(), name.encode())
    except (OSError, OverflowError, struct.error) as error:
        raise NoSymbol(f"the image's symbols cannot be read: {error}") from None
    if len(found) != 1:
        there = "is no" if not found else f"are {len(found)}"
        raise NoSymbol(f"there {there} {name} in the image, and this test asks for it.")
    return found.pop()


def _find(elf: bytes, name: bytes) -> set[int]:
    _, _, _, _, _, at, _, _, _, _, size, count, _ = _HEADER.unpack_from(elf)
    sections = [_SECTION.unpack_from(elf, at + size * index) for index in range(count)]
    found = set()
    for _, kind, _, _, offset, length, link, _, _, _ in sections:
        if kind != _SYMTAB or link >= len(sections):
            continue
        names = sections[link][4]
        for place in range(offset, offset + length, _SYMBOL.size):
            text, _, _, section, value, _ = _SYMBOL.unpack_from(elf, place)
            start = names + text
            if section != _UNDEFINED and elf[start : start + len(name) + 1] == name + b"\0":
                found.add(value)
    return found

# SPDX-License-Identifier: BSD-3-Clause
"""The mutations of assembly, a line an instruction.

    drop       the line left out
    order      two neighbouring lines of different instructions exchanged
    registers  two neighbouring lines of the same instruction: their registers exchanged
    operands   source for destination
    width      the lower half of a 64-bit register only
    constant   an offset of one quadword more or less; another number, one more or less
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Iterator

from .sources import Mutation, Source, without_comments

_LINE = re.compile(r"[ \t]+([a-z]\w*)(?:[ \t]+(\S.*?))?[ \t]*")
_WHOLE = ("rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi")
_HALVES = {**{name: "e" + name[1:] for name in _WHOLE}, **{f"r{n}": f"r{n}d" for n in range(8, 16)}}


@dataclass(frozen=True)
class _Instruction:
    """One line; places are in the whole text."""

    number: int
    start: int
    end: int
    name: str
    operands: tuple[str, ...]
    at: tuple[int, ...]  # of the operands

    @property
    def register(self) -> int | None:
        """Which operand is a plain register, if just one is."""
        plain = [i for i, text in enumerate(self.operands) if text.startswith("%")]
        return plain[0] if len(plain) == 1 else None


def mutations(source: Source) -> list[Mutation]:
    """All mutations of the lines in the holes."""
    instructions = [each for each in _instructions(source) if each.number in source.lines]
    found: list[Mutation] = []
    for each in instructions:
        found.append(Mutation(each.start, each.end, "", "drop"))
        found += _operands(each, source.text)
    for one, other in zip(instructions, instructions[1:]):
        found += _neighbours(one, other, source.text)
    return found


def _instructions(source: Source) -> Iterator[_Instruction]:
    place = 0
    for number, line in enumerate(without_comments(source.text).splitlines(keepends=True), 1):
        match = _LINE.fullmatch(line.rstrip("\n"))
        if match:
            pieces = list(re.finditer(r"[^,()\s](?:[^,()]|\([^)]*\))*|\([^)]*\)", match[2] or ""))
            shift, end = place + match.start(2), place + len(match[0].rstrip())
            operands = tuple(piece[0].strip() for piece in pieces)
            at = tuple(shift + piece.start() for piece in pieces)
            yield _Instruction(number, place + match.start(1), end, match[1], operands, at)
        place += len(line)


def _operands(each: _Instruction, text: str) -> Iterator[Mutation]:
    for operand, place in zip(each.operands, each.at):
        for match in re.finditer(r"\b(?:0x[0-9a-f]+|\d+)\b", operand):
            value = int(match[0], 0)
            step = 8 if "(" in operand else 1
            for other in (value + step, value - step):
                if other >= 0:
                    new = f"{other:#x}" if match[0].startswith("0x") else str(other)
                    yield Mutation(place + match.start(), place + match.end(), new, "constant")
        if operand[1:] in _HALVES and operand[0] == "%":
            yield Mutation(place, place + len(operand), f"%{_HALVES[operand[1:]]}", "width")
    if len(each.operands) == 2:
        one, other = each.operands
        between = text[each.at[0] + len(one) : each.at[1]]
        yield Mutation(each.at[0], each.end, f"{other}{between}{one}", "operands")


def _neighbours(one: _Instruction, other: _Instruction, text: str) -> Iterator[Mutation]:
    first, second = text[one.start : one.end], text[other.start : other.end]
    between = text[one.end : other.start]
    if first == second:
        return
    if one.name != other.name:
        yield Mutation(one.start, other.end, f"{second}{between}{first}", "order")
    elif one.register is not None and one.register == other.register:
        i = one.register
        mine, theirs = one.operands[i], other.operands[i]
        if mine != theirs:
            put = _with(one, first, i, theirs) + between + _with(other, second, i, mine)
            yield Mutation(one.start, other.end, put, "registers")


def _with(each: _Instruction, text: str, index: int, register: str) -> str:
    """The line with another register."""
    begin = each.at[index] - each.start
    return text[:begin] + register + text[begin + len(each.operands[index]) :]

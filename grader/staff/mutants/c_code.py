# SPDX-License-Identifier: BSD-3-Clause
"""The mutations of C.

    compare    == for !=, < for <=, > for >=, and back
    logic      && for ||, and back
    negate     a condition of if, while or ?: the other way round; a ! left out
    drop       a simple statement left out: a call, an assignment, a return, a break
    return     another value: true for false, 0 for an error, 0 for what was computed
    constant   one more, one less; hexadecimal ones also shifted by a bit
    shift      << for >>, and back
    arithmetic + for -, ++ for --, += for -=; a - b the other way round
    bits       & for |, |= for &= and for =; a ~ left out
    term       one of two operands left out: of && || | & + -
    swap       two neighbouring arguments of a call
"""

from __future__ import annotations

import re
from typing import Iterator

from .c_tokens import STRENGTH, Tokens
from .sources import Mutation, Source

_EXCHANGED = {
    **{"==": ("compare", "!="), "!=": ("compare", "=="), "<": ("compare", "<=")},
    **{"<=": ("compare", "<"), ">": ("compare", ">="), ">=": ("compare", ">")},
    **{"&&": ("logic", "||"), "||": ("logic", "&&"), "<<": ("shift", ">>"), ">>": ("shift", "<<")},
    **{"+": ("arithmetic", "-"), "-": ("arithmetic", "+"), "&": ("bits", "|")},
}
_UNCONDITIONAL = {
    **{"|=": ("bits", ("&=", "=")), "&=": ("bits", ("|=", "="))},
    **{"+=": ("arithmetic", ("-=",)), "-=": ("arithmetic", ("+=",))},
    **{"++": ("arithmetic", ("--",)), "--": ("arithmetic", ("++",))},
}
_TERMS = {"&&", "||", "|", "&", "+", "-"}


def mutations(source: Source) -> list[Mutation]:
    """All mutations of the lines in the holes."""
    tokens = Tokens(source.text)
    line_of = _Lines(source.text)
    here = [i for i, token in enumerate(tokens.all) if line_of(token.start) in source.lines]
    inside = set(here)
    found: list[Mutation] = []
    for index in here:
        found += _operator(tokens, index)
        found += _number(tokens, index)
        found += _negations(tokens, index)
        found += _swapped(tokens, index)
    for first, end in tokens.statements():
        if first in inside:
            found += _statement(tokens, first, end)
    return found


class _Lines:
    """The line of a place in the text."""

    def __init__(self, text: str) -> None:
        self._numbers: list[int] = []
        for number, line in enumerate(text.splitlines(keepends=True), 1):
            self._numbers += [number] * len(line)

    def __call__(self, place: int) -> int:
        return self._numbers[place]


def _put(tokens: Tokens, first: int, behind: int, new: str, operator: str) -> Mutation:
    """Tokens, replaced."""
    return Mutation(tokens.all[first].start, tokens.all[behind - 1].end, new, operator)


def _operator(tokens: Tokens, index: int) -> Iterator[Mutation]:
    text = tokens[index]
    if tokens.all[index].kind != "sign":
        return
    if text in _UNCONDITIONAL:
        operator, others = _UNCONDITIONAL[text]
        for other in others:
            yield _put(tokens, index, index + 1, other, operator)
    if text == "~":
        yield _put(tokens, index, index + 1, "", "bits")
    if not tokens.is_binary(index):
        return
    if text in _EXCHANGED:
        operator, other = _EXCHANGED[text]
        yield _put(tokens, index, index + 1, other, operator)
    if text in _TERMS:
        yield from _terms(tokens, index)


def _terms(tokens: Tokens, index: int) -> Iterator[Mutation]:
    """a && b && c: without c; and where the operator is the first of its chain, without a."""
    strength = STRENGTH[tokens[index]]
    left, behind = tokens.left(index, strength), tokens.right(index, strength)
    if left >= index or behind <= index + 1:
        return
    yield Mutation(tokens.all[index - 1].end, tokens.all[behind - 1].end, "", "term")
    first = STRENGTH.get(tokens[left - 1], 0) != strength
    if first and tokens[index] != "-":
        yield Mutation(tokens.all[left].start, tokens.all[index + 1].start, "", "term")
    if first and tokens[index] == "-":
        other = f"{tokens.code(index + 1, behind)} - {tokens.code(left, index)}"
        yield _put(tokens, left, behind, other, "arithmetic")


def _number(tokens: Tokens, index: int) -> Iterator[Mutation]:
    if tokens.all[index].kind != "number":
        return
    match = re.fullmatch(r"(0[xX])?([0-9a-fA-F]+?)([uUlL]*)", tokens[index])
    if not match:
        return
    value = int(match[2], 16 if match[1] else 10)
    others = {value + 1, value - 1} | ({value << 1} if match[1] else set())
    for other in sorted(others - {value, -1}):
        text = f"{other:#x}" if match[1] else str(other)
        yield _put(tokens, index, index + 1, text + match[3], "constant")


def _negations(tokens: Tokens, index: int) -> Iterator[Mutation]:
    text = tokens[index]
    if text == "!" and not tokens.is_binary(index):
        yield _put(tokens, index, index + 1, "", "negate")
    if text in ("if", "while") and tokens[index + 1] == "(":
        first, behind = index + 2, tokens.match[index + 1]
        yield _put(tokens, first, behind, f"!({tokens.code(first, behind)})", "negate")
    if text == "?" and tokens[index + 1] != ":":
        first = tokens.left(index, 0)
        if first < index:
            yield _put(tokens, first, index, f"!({tokens.code(first, index)})", "negate")


def _swapped(tokens: Tokens, index: int) -> Iterator[Mutation]:
    arguments = tokens.arguments(index)
    for (first, behind), (second, end) in zip(arguments, arguments[1:]):
        one, other = tokens.code(first, behind), tokens.code(second, end)
        if one != other and not {one[:1], other[:1]} & {'"', ""}:
            yield _put(tokens, first, end, f"{other}, {one}", "swap")


def _statement(tokens: Tokens, first: int, end: int) -> Iterator[Mutation]:
    yield _put(tokens, first, end, "", "drop")
    if tokens[first] != "return" or end == first + 1:
        return
    value = tokens.code(first + 1, end)
    known = {"true": "false", "false": "true", "0": "-1", "NULL": None, "-1": "0"}
    other = known.get(value, "0")
    if other is not None:
        yield _put(tokens, first + 1, end, other, "return")

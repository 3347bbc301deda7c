# SPDX-License-Identifier: BSD-3-Clause
"""C as a list of tokens, with just as much of its grammar as mutations need."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

_TOKEN = re.compile(
    r"""(?P<skip>\s+|/\*.*?\*/|//[^\n]*|(?m:^[ \t]*\#(?:\\\n|[^\n])*))
    |(?P<text>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')
    |(?P<number>0[xX][0-9a-fA-F]+[uUlL]*|\d+[uUlL]*)
    |(?P<name>[A-Za-z_]\w*)
    |(?P<sign><<=|>>=|\.\.\.|->|\+\+|--|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%&|^]=|.)""",
    re.VERBOSE | re.DOTALL,
)
_PAIRS = {")": "(", "]": "[", "}": "{"}
_KEYWORDS = {"return", "case", "if", "while", "for", "switch", "else", "do", "sizeof", "goto"}
_HEADS = {"if", "while", "for", "switch"}
_TYPES = {
    *("struct", "union", "enum", "const", "static", "volatile", "unsigned", "signed", "void"),
    *("char", "short", "int", "long", "bool", "size_t"),
    *("u8", "u16", "u32", "u64", "s8", "s16", "s32", "s64"),
}
# How strongly a binary operator binds; what is not here ends an operand.
STRENGTH = {
    **{"||": 3, "&&": 4, "|": 5, "^": 6, "&": 7, "==": 8, "!=": 8},
    **{"<": 9, "<=": 9, ">": 9, ">=": 9, "<<": 10, ">>": 10},
    **{"+": 11, "-": 11, "*": 12, "/": 12, "%": 12},
}
_ENDS = {",", ";", "?", ":", "=", "{", "}", "(", "[", ")", "]"}


@dataclass(frozen=True)
class Token:
    """One token; `kind` is text, number, name or sign."""

    kind: str
    text: str
    start: int
    end: int


class Tokens:
    """The tokens of a file; indices are of these."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.all = [
            Token(str(m.lastgroup), m[0], m.start(), m.end())
            for m in _TOKEN.finditer(text)
            if m.lastgroup != "skip"
        ]

    def __getitem__(self, index: int) -> str:
        """The text of a token; empty beyond either end."""
        return self.all[index].text if 0 <= index < len(self.all) else ""

    @cached_property
    def match(self) -> dict[int, int]:
        """Of each bracket its partner."""
        found: dict[int, int] = {}
        waiting: list[int] = []
        for index, token in enumerate(self.all):
            if token.kind != "sign":
                continue
            if token.text in _PAIRS.values():
                waiting.append(index)
            elif token.text in _PAIRS and waiting:
                found[index] = waiting.pop()
                found[found[index]] = index
        return found

    @cached_property
    def depth(self) -> list[int]:
        """In how many ( and [ each token stands."""
        depths, depth = [], 0
        for token in self.all:
            if token.text in (")", "]"):
                depth -= 1
            depths.append(depth)
            if token.text in ("(", "["):
                depth += 1
        return depths

    def is_binary(self, index: int) -> bool:
        """Is the operator here one with two operands?"""
        if index == 0:
            return False
        before = self.all[index - 1]
        if before.kind == "name":
            return before.text not in _KEYWORDS
        return before.kind in ("number", "text") or before.text in (")", "]")

    def right(self, index: int, strength: int) -> int:
        """The index behind the right operand of a binary operator."""
        at = index + 1
        while at < len(self.all):
            text = self[at]
            if text in ("(", "[", "{"):
                at = self.match.get(at, at)
            elif text in _ENDS or (STRENGTH.get(text, 99) <= strength and self.is_binary(at)):
                break
            at += 1
        return at

    def left(self, index: int, strength: int) -> int:
        """The index of the left operand's first token."""
        at = index - 1
        while at >= 0:
            text = self[at]
            if text in (")", "]"):
                at = self.match.get(at, at)
                if self[at - 1] in _HEADS:  # if (…) HERE
                    return self.match[at] + 1
            elif text in _ENDS or text in ("return", "case", "else", "do"):
                break
            elif text.endswith("=") and text not in STRENGTH:
                break
            elif STRENGTH.get(text, 99) <= strength and self.is_binary(at):
                break
            at -= 1
        return at + 1

    def code(self, first: int, behind: int) -> str:
        """The text of tokens."""
        return self.text[self.all[first].start : self.all[behind - 1].end] if behind > first else ""

    def statements(self) -> list[tuple[int, int]]:
        """The simple statements: the index of the first token, and of the semicolon."""
        found = []
        for index, token in enumerate(self.all):
            if self.depth[index] or not self._begins(index) or token.text in _PAIRS.values():
                continue
            if token.text in {*_HEADS, *_PAIRS, "do", "else", "case", "default", ";"}:
                continue
            if self[index + 1] == ":" or self._declares(index):
                continue
            end = self._semicolon(index)
            if end is not None:
                found.append((index, end))
        return found

    def _begins(self, index: int) -> bool:
        before = self[index - 1]
        if before in ("{", "}", ";", "else", "do"):
            return True
        if before == ")":
            return self[self.match.get(index - 1, 0) - 1] in _HEADS
        if before != ":":
            return False
        at = index - 2
        while at >= 0 and self[at] not in ("case", "default", ";", "{", "}", "?"):
            at -= 1
        return self[at] in ("case", "default")

    def _declares(self, index: int) -> bool:
        if self[index] in _TYPES or self[index].endswith("_t"):
            return True
        names = self.all[index].kind == "name" and self[index] not in _KEYWORDS
        at = index + 1
        while self[at] == "*":
            at += 1
        return bool(names and at < len(self.all) and self.all[at].kind == "name" and (
            self[at + 1] in ("=", ";", ",", "[")))

    def _semicolon(self, index: int) -> int | None:
        at = index
        while at < len(self.all) and self[at] not in (";", "}"):
            at = self.match.get(at, at) + 1 if self[at] in ("(", "[", "{") else at + 1
        return at if self[at] == ";" else None

    def arguments(self, index: int) -> list[tuple[int, int]]:
        """Of a call whose name is here: first token and end of each argument. Empty: no call."""
        if self.all[index].kind != "name" or self[index] in _KEYWORDS or self[index + 1] != "(":
            return []
        if index and self.all[index - 1].kind == "name" and self[index - 1] not in _KEYWORDS:
            return []  # a declaration
        close = self.match.get(index + 1, index + 1)
        found, begin, at = [], index + 2, index + 2
        while at < close:
            if self[at] == ",":
                found.append((begin, at))
                begin = at + 1
            at = self.match.get(at, at) + 1 if self[at] in ("(", "[", "{") else at + 1
        return [*found, (begin, close)] if close > index + 2 else []

# SPDX-License-Identifier: BSD-3-Clause
"""Reads the labs: labs/N-name/lab.toml, and solutions/N-name/hidden.toml where staff have it.

A mistake in such a file is one sentence that names the file, the test and the key at fault.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Mapping

from common import ROOT, CasitaError
from .model import Lab, Test

_FOLDER = re.compile(r"(\d+)-[a-z0-9-]+")
_NAME = re.compile(r"[A-Za-z0-9]+(-[A-Za-z0-9]+)*")
_SOURCE = re.compile(r"[A-Za-z0-9_]+(/[A-Za-z0-9_]+)*\.[A-Za-z]+")
_KINDS = ("program", "guest", "tour")
_ENGINES = ("qemu", "bochs")


@dataclass(frozen=True)
class _Key:
    """One key of a table: its type, and whether it must be there."""

    kind: type
    needed: bool = False


_LAB_KEYS = {
    "lab": _Key(int, True),
    "name": _Key(str, True),
    "hours": _Key(str),
    "rubric": _Key(list),  # for people
    "files": _Key(list, True),
    "test": _Key(list, True),
}
_TEST_KEYS = {
    **{name: _Key(str, True) for name in ("name", "title", "exercise", "hint", "kind", "run")},
    "points": _Key(int, True),
    **{name: _Key(str) for name in ("words", "cpu", "engine")},
    **{name: _Key(int) for name in ("mem", "exits", "instructions")},
    "options": _Key(dict),
}


def folders(root: Path = ROOT) -> dict[int, Path]:
    """The labs that there are: the folder of each number."""
    found: dict[int, Path] = {}
    for path in sorted((root / "labs").glob("*/lab.toml")):
        match = _FOLDER.fullmatch(path.parent.name)
        if not match:
            raise CasitaError(f"{path.parent} is not named like 1-world-switch")
        if int(match[1]) in found:
            raise CasitaError(f"{path.parent}: lab {match[1]} is {found[int(match[1])]} already")
        found[int(match[1])] = path.parent
    return dict(sorted(found.items()))


def read_lab(number: int, root: Path = ROOT) -> Lab:
    """The lab of that number; CasitaError says what is wrong with it."""
    there = folders(root)
    if number not in there:
        names = ", ".join(map(str, there)) or "none"
        raise CasitaError(f"there is no lab {number} here; there are: {names}")
    folder = there[number]
    path = folder / "lab.toml"
    table = _parse(path)
    _check_keys(table, _LAB_KEYS, str(path))
    if table["lab"] != number:
        raise CasitaError(f"{path}: lab = {table['lab']}, but the folder says {number}")
    tests = _tests(table["test"], path, number, hidden=False)
    hidden = root / "solutions" / folder.name / "hidden.toml"
    if hidden.is_file():
        more = _parse(hidden)
        _check_keys(more, {"test": _Key(list, True)}, str(hidden))
        tests += _tests(more["test"], hidden, number, hidden=True)
    _check_unique(path, "tests are named", [test.name for test in tests])
    files = _files(table["files"], path)
    return Lab(number, table["name"], folder, files, tuple(tests), table.get("hours", ""))


def choose(lab: Lab, name: str) -> tuple[Test, ...]:
    """The tests to run: all, or the one of that name."""
    if not name:
        return lab.tests
    chosen = tuple(test for test in lab.tests if test.name == name)
    if not chosen:
        names = " ".join(test.name for test in lab.tests)
        raise CasitaError(f"lab {lab.number} has no test named {name}; there are: {names}")
    return chosen


def _parse(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CasitaError(f"{path}: {error}") from None


def _check_keys(table: Mapping[str, Any], keys: Mapping[str, _Key], where: str) -> None:
    for name, value in table.items():
        if name not in keys:
            raise CasitaError(f"{where}: unknown key {name}; there are: {' '.join(keys)}")
        kind = keys[name].kind
        if not isinstance(value, kind) or isinstance(value, bool):
            raise CasitaError(f"{where}: {name} = {value!r} is not {_called(kind)}")
    for name, key in keys.items():
        if key.needed and name not in table:
            raise CasitaError(f"{where}: the key {name} is missing")


def _called(kind: type) -> str:
    return {int: "a number", str: "a text", list: "a list", dict: "a table"}[kind]


def _files(names: list[Any], path: Path) -> tuple[str, ...]:
    """The allow-list: sources below src/, plainly written."""
    if not names:
        raise CasitaError(f"{path}: files is empty: nobody could hand in anything")
    for name in names:
        if not isinstance(name, str) or not _SOURCE.fullmatch(name) or not name.startswith("src/"):
            raise CasitaError(f"{path}: files: {name!r} is not the name of a file like src/main.c")
    _check_unique(path, "files are named", names)
    return tuple(names)


def _tests(tables: list[Any], path: Path, number: int, hidden: bool) -> list[Test]:
    tests = []
    for index, table in enumerate(tables, 1):
        if not isinstance(table, dict):
            raise CasitaError(f"{path}: test: write it as [[test]]")
        where = f"{path}: test {table.get('name', index)}"
        _check_keys(table, _TEST_KEYS, where)
        _check_test(table, where)
        tests.append(Test(**table, hidden=hidden, lab=number))
    return tests


def _check_test(table: Mapping[str, Any], where: str) -> None:
    if not _NAME.fullmatch(table["name"]):
        raise CasitaError(f"{where}: name = {table['name']!r} is more than letters, digits and -")
    for key in ("title", "exercise", "hint", "run"):
        if not table[key].strip() or "\n" in table[key].strip():
            raise CasitaError(f"{where}: {key} must be one line of text")
    for key, choices in (("kind", _KINDS), ("engine", _ENGINES)):
        if table.get(key, choices[0]) not in choices:
            raise CasitaError(f"{where}: {key} = {table[key]!r}; there are: {' '.join(choices)}")
    for key in ("points", "mem", "exits", "instructions"):
        if table.get(key, 1) < 1:
            raise CasitaError(f"{where}: {key} = {table[key]} must be 1 or more")


def _check_unique(path: Path, what: str, names: list[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise CasitaError(f"{path}: two {what} {twice[0]}")

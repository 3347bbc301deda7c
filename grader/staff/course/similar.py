# SPDX-License-Identifier: BSD-3-Clause
"""Who wrote the same: sim_c of Debian's similarity-tester, on what the students wrote themselves.

Of each submission only the lines that the handout has not are compared (own.c, see work.py), with each
other and with the reference: the handout's own code is the same with everybody. sim_c compares tokens:
other names, comments and blanks do not hide a copy. A high percentage is a reason to look, never a proof:
two short correct solutions are alike.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Sequence

from common import scratch_directory
from grading import trees
from grading.model import Lab
from .entries import Entry
from .folder import Folder
from .work import added_lines

REFERENCE = "(reference)"
_SHOWN = 30  # percent, from which a pair is listed
MOST = 300  # pairs, the most alike first
_RUN = 20  # tokens that must be alike in a row
_SECONDS = 600
_LINE = re.compile(r"^(\d+)\.c consists for (\d+) % of (\d+)\.c material$", re.MULTILINE)


@dataclass(frozen=True)
class Pair:
    """Two that are alike."""

    one: str
    other: str
    percent: int  # of one's lines that stand in the other's
    back: int  # and the other way round


@dataclass(frozen=True)
class Likeness:
    """What was found, or why nothing was looked for."""

    pairs: tuple[Pair, ...] = ()
    trouble: str = ""
    compared: tuple[str, ...] = field(default=())


def compare(lab: Lab, folder: Folder, entries: Sequence[Entry]) -> Likeness:
    """Compare everybody who has a mark."""
    if not shutil.which("sim_c"):
        return Likeness(trouble="sim_c is not installed: run grader/setup.sh class")
    texts: dict[str, str] = {}
    for entry in entries:
        path = folder.of(entry) / "own.c"
        if path.is_file() and (text := path.read_text(encoding="utf-8", errors="replace")).strip():
            texts[entry.name] = text
    texts[REFERENCE] = _reference(lab)
    with scratch_directory() as directory:
        return _sim(texts, directory)


def _reference(lab: Lab) -> str:
    reference, handout = trees.reference(lab.number), trees.handout(lab.number)
    if not reference:
        return ""
    return "".join(
        added_lines(_read(handout.tree / name), _read(reference.tree / name)) for name in lab.files
    )


def _read(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""


def _sim(texts: dict[str, str], directory: Path) -> Likeness:
    names = list(texts)
    for number, name in enumerate(names):
        text = re.sub(r"[^\n\t\x20-\x7e]", "?", texts[name])
        (directory / f"{number}.c").write_text(text, encoding="ascii")
    argv = ["sim_c", "-p", "-a", "-e", "-s", "-T", "-t", "1", "-r", str(_RUN), "-i"]
    listing = "".join(f"{number}.c\n" for number in range(len(names)))
    try:
        done = subprocess.run(
            argv, cwd=directory, input=listing, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Likeness(trouble=f"sim_c: {error}")
    if done.returncode:
        return Likeness(trouble=f"sim_c ended with status {done.returncode}: {done.stderr[-500:]}")
    share = {(int(m[1]), int(m[3])): int(m[2]) for m in _LINE.finditer(done.stdout)}
    pairs = []
    for (a, b), percent in share.items():
        back = share.get((b, a), 0)
        if percent >= _SHOWN and (percent, -a) > (back, -b):
            pairs.append(Pair(names[a], names[b], percent, back))
    pairs.sort(key=lambda pair: (-pair.percent, -pair.back, pair.one, pair.other))
    return Likeness(tuple(pairs[:MOST]), compared=tuple(names))

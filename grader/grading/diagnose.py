# SPDX-License-Identifier: BSD-3-Clause
"""Why a patch does not apply, told so that its author can put it right.

git's own complaint is one line. Here the patch is tried in the ways that it may have been meant: with
other line ends, another strip level, backwards, against other labs' handouts. None of these is ever
graded; each only makes the message better.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Callable, Iterable

from . import patches, trees

_SHOWN_LINES = 24
_STRIPS = (0, 2, 3)
_HUNK = re.compile(rb"^@@ -(\d+)(?:,\d+)? \+\d+(?:,\d+)? @@", re.MULTILINE)


def no_patch(patch: bytes) -> str:
    """Why these bytes are no patch at all; empty: they may be one."""
    if not patch.strip():
        return "the patch is empty: the file holds nothing."
    if patch.startswith((b"\xff\xfe", b"\xfe\xff")):
        return (
            "the patch is UTF-16 text, as PowerShell's > writes it. Use git diff --output=my.patch, "
            "which writes the file itself."
        )
    if b"\0" in patch:
        return "the patch is no text: it may be an archive or a program."
    if not re.search(rb"^(diff --git |--- |@@ -)", patch, re.MULTILINE):
        if re.search(rb"^(\*\*\* |\d+(,\d+)?[acd]\d+)", patch, re.MULTILINE):
            return "the patch is a diff of another kind. It must be a unified one: diff -u, git diff."
        return "the file is not a patch: there is no diff in it."
    return ""


def does_not_apply(
    patch: bytes,
    complaint: str,
    basis: trees.Basis,
    others: Callable[[], Iterable[trees.Basis]],
    directory: Path,
) -> str:
    """What to tell the author of a patch that git does not apply to the basis."""
    attempt = patches.Applied(basis, directory)

    def applies(text: bytes, *options: str) -> bool:
        if attempt.apply(text, *options) is not None:
            return False
        entries = attempt.entries()  # a new file applies in any way: that tells nothing
        return bool(entries) and all(entry.old_mode != "000000" for entry in entries)

    where = f"lab {basis.stage}'s handout"
    if b"\r\n" in patch and applies(patch.replace(b"\r\n", b"\n")):
        return (
            f"the patch does not apply to {where} because its lines end in CR LF, as on Windows. "
            "Make it anew with git diff, and send it as a file, not as pasted text."
        )
    for strip in _STRIPS:
        if applies(patch, f"-p{strip}"):
            named = b" and ".join(patches.names(patch)[0]).decode(errors="replace")
            return (
                f"the patch does not apply to {where}: its paths ({named}) have the wrong strip "
                f"level. It would apply with -p{strip}; it must with -p1, as a/src/main.c does."
            )
    if applies(patch, "-R"):
        return f"the patch is the wrong way round: it leads from your work to {where}."
    for other in others():
        if patches.Applied(other, directory).apply(patch) is None:
            return f"the patch is against another handout: it applies to lab {other.stage}'s, not to {where}."
    return _complaint(patch, complaint, basis)


def _complaint(patch: bytes, complaint: str, basis: trees.Basis) -> str:
    """git's complaint in our words, with the place that it is about."""
    where = f"lab {basis.stage}'s handout"
    if match := re.search(r"corrupt patch at line (\d+)", complaint):
        shown = _lines(patch.split(b"\n"), int(match[1]) - 3)
        return f"the patch is damaged at its line {match[1]} (cut short, or edited by hand):\n{shown}"
    if match := re.search(r"invalid path '(.*)'", complaint):
        return f"the patch has a path that leads out of the tree: {match[1]}"
    if "binary patch" in complaint:
        return "the patch changes a binary file; only source text can be handed in."
    if match := re.search(r"patch failed: (.*):(\d+)", complaint):
        return _failed_hunk(patch, match[1], int(match[2]), basis)
    if match := re.search(r"error: (.*): (?:does not exist in index|No such file)", complaint):
        return (
            f"the patch does not apply to {where}: it changes {match[1]}, and there is no such file. "
            "It is against another handout."
        )
    if match := re.search(r"error: (.*): already exists in index", complaint):
        return (
            f"the patch does not apply to {where}: it makes {match[1]} anew, but the handout has it. "
            "Compare with the handout, not with nothing."
        )
    return f"the patch does not apply to {where}; git says: {complaint.strip()}"


def _failed_hunk(patch: bytes, path: str, line: int, basis: trees.Basis) -> str:
    """The hunk that does not fit, beside what is there instead."""
    other = _is_of_another_file(patch, path, basis)
    text = [
        f"the patch does not apply to lab {basis.stage}'s handout: a hunk of {path} does not fit. "
        + ("It was made against another version of that file: another lab's handout, or your own "
           "earlier commit." if other else "Was it edited, or is it against another handout?"),
        f"The hunk, at line {line} of the file:",
        _hunk(patch, path, line),
    ]
    ours = basis.tree / path
    if ours.is_file():
        there = ours.read_bytes().splitlines()
        text += ["The handout has there:", _lines(there, line - 1, 8) or "    (the file's end)"]
    return "\n".join(text)


def _hunk(patch: bytes, path: str, line: int) -> str:
    for section in _sections(patch, path):
        for match in _HUNK.finditer(section):
            if int(match[1]) == line:
                rest = section[match.start() :].split(b"\n")
                end = next((i for i, text in enumerate(rest[1:], 1) if not _in_hunk(text)), len(rest))
                return _lines(rest[:end], 0)
    return "    (not found)"


def _in_hunk(line: bytes) -> bool:
    return line[:1] in (b" ", b"+", b"-", b"\\") and not line.startswith((b"--- ", b"-- "))


def _sections(patch: bytes, path: str) -> Iterable[bytes]:
    """The parts of a patch that are about one file."""
    for section in re.split(rb"^(?=diff --git |--- (?!$))", patch, flags=re.MULTILINE):
        if re.search(rb"^\+\+\+ [^/\n]+/" + re.escape(path.encode()) + rb"\s*$", section, re.MULTILINE):
            yield section


def _is_of_another_file(patch: bytes, path: str, basis: trees.Basis) -> bool:
    """Whether the patch's `index` line names another file than the handout's, when it has one."""
    header = rb"^diff --git \S+/" + re.escape(path.encode()) + rb" .*\n(?:.*\n)??index ([0-9a-f]{7,40})\.\."
    match = re.search(header, patch, re.MULTILINE)
    if not match:
        return False
    ours = trees.git(basis.repo, "rev-parse", f"HEAD:{path}").stdout.strip()
    return not ours.startswith(match[1])


def _lines(lines: list[bytes], start: int, count: int = _SHOWN_LINES) -> str:
    start = max(start, 0)
    shown = [f"    {text.decode(errors='replace')}" for text in lines[start : start + count]]
    more = len(lines) - start - count
    return "\n".join([*shown, *(["    …"] if more > 0 and count == _SHOWN_LINES else [])])

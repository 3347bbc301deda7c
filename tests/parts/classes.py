# SPDX-License-Identifier: BSD-3-Clause
"""Makes a class to be graded: references, plausible wrong solutions, broken patches, attacks."""

from __future__ import annotations

import difflib
import io
import itertools
import tarfile
import tempfile
from pathlib import Path
from typing import Callable, Mapping

from common import ROOT
from grading import trees
from grading.lab import read_lab
from staff import bank

# Of each lab: a file of the reference, what stands in it, and what a wrong solution has instead.
_MISTAKES = {
    1: [
        ("src/svm/switch.S", "\tmov\t%r15, 0x78(%rdi)\n", ""),
        ("src/svm/switch.S", "\tmov\t%rbx, 0x18(%rdi)\n", ""),
        ("src/svm/permission.c", "memset(s->iopm, 0xff, IOPM_SIZE)", "memset(s->iopm, 0, IOPM_SIZE)"),
        ("src/svm/switch.S", "\tvmsave\t%rax\n", ""),
    ],
}
_ATTACKS = [
    "--- a/Makefile\n+++ b/Makefile\n@@ -1,1 +1,2 @@\n # SPDX-License-Identifier: BSD-3-Clause\n+all: ; reboot\n",
    "--- /dev/null\n+++ b/../../escape\n@@ -0,0 +1 @@\n+out\n",
    "<script>alert(1)</script>\n",
]


def patch(lab: int, changes: Mapping[str, bytes]) -> bytes:
    """A student's patch: from the handout to these files."""
    before = trees.handout(lab).tree
    parts = []
    for name, content in sorted(changes.items()):
        old = (before / name).read_text().splitlines(keepends=True) if (before / name).is_file() else []
        new = content.decode().splitlines(keepends=True)
        parts += difflib.unified_diff(old, new, f"a/{name}" if old else "/dev/null", f"b/{name}")
    return "".join(parts).encode()


def solved(lab: int) -> dict[str, bytes]:
    """The reference's files."""
    reference = trees.reference(lab)
    assert reference is not None
    return {name: (reference.tree / name).read_bytes() for name in read_lab(lab).files}


def wrong(lab: int, number: int) -> dict[str, bytes]:
    """The reference with one mistake."""
    name, old, new = _MISTAKES[lab][number % len(_MISTAKES[lab])]
    files = solved(lab)
    text = files[name].decode()
    assert old in text, f"{name} has no {old!r} any more"
    files[name] = (text.replace(old, new, 1) if old else text + new).encode()
    return files


def bank_patches(lab: int, scratch: Path, most: int = 1 << 16) -> list[bytes]:
    """The bank's wrong solutions as students would send them; at most so many, from all over it."""
    reference, handout = trees.reference(lab), trees.handout(lab)
    assert reference is not None
    made = []
    paths = sorted((ROOT / "solutions" / read_lab(lab).folder.name / "wrong").glob("*.patch"))
    for path in paths[:: max(len(paths) // most, 1)][:most]:
        work = scratch / path.stem
        work.mkdir()
        made.append(bank.student_patch(bank.read_wrong(path, read_lab(lab)), handout, reference, work))
    return made


def tarball(files: Mapping[str, bytes]) -> bytes:
    """A .tar.gz of a tree."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"lab/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def make_class(lab: int, count: int, folder: Path) -> None:
    """So many students: of eight, three references, two or three wrong solutions, and the rest broken."""
    numbers = itertools.count()
    with tempfile.TemporaryDirectory() as scratch:
        wrongs = bank_patches(lab, Path(scratch))

    def reference() -> tuple[str, bytes]:
        return "patch", patch(lab, solved(lab))

    def tree() -> tuple[str, bytes]:
        return "tar.gz", tarball(solved(lab))

    def mistaken() -> tuple[str, bytes]:
        return "patch", wrongs[next(numbers) % len(wrongs)]

    def attack() -> tuple[str, bytes]:
        return "diff", _ATTACKS[next(numbers) % len(_ATTACKS)].encode()

    def broken() -> tuple[str, bytes]:
        files = solved(lab)
        name = min(name for name in files if name.endswith(".c"))
        return "patch", patch(lab, {**files, name: files[name] + b"\nint broken(\n"})

    kinds: list[Callable[[], tuple[str, bytes]]] = [reference, mistaken, attack, mistaken]
    kinds += [tree, broken, mistaken, reference]
    folder.mkdir(parents=True)
    for number, make in zip(range(count), itertools.cycle(kinds)):
        ending, content = make()
        (folder / f"student{number:03}.{ending}").write_bytes(content)


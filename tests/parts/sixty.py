# SPDX-License-Identifier: BSD-3-Clause
"""A class of sixty, as tests/classes60.py grades it: right, wrong, broken, and hostile submissions.

An attack is what a student hands in who has solved nothing: the handout, and in it the one thing that
shall bring marks or do harm. So it has no more than the handout has, or else it gained.
"""

from __future__ import annotations

import io
import os
import re
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Callable, Mapping

from common import ROOT, scratch_directory
from grading import trees
from .classes import bank_patches, patch, solved, tarball

sys.path.insert(0, str(ROOT / "tests" / "grader"))

from attacks.patches import PATCHES, TOP  # noqa: E402
from attacks.sources import CHEATS, FIRST, LOOP, RUN  # noqa: E402

KINDS = ("right", "handout", "wrong", "broken", "attack")
# Of each lab that a class can be made for: a source, and the hole in it that the first exit comes by.
_HOLES = {2: ("src/vmm/exit.c", '\tLAB(2, "2.1", "deal with every kind of exit");\n', "static int handle(")}
_OWN_WORDS = """
static inline void attack_outb(unsigned short port, unsigned char value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}
static inline void attack_outw(unsigned short port, unsigned short value)
{
	__asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port));
}
#define outb attack_outb
#define outw attack_outw
"""
_SOURCES = (
    *("prints-pass", "prints-to-0xe9", "exit-port", "native", "spin", "flood", "halt-for-ever", "run-wild"),
    *("incbin-solutions", "include-shell", "ten-gigabytes"),
)
_REFUSED = ("makefile", "grader", "git-hook", "symlink", "raw-bytes")


def make(lab: int, folder: Path, count: int = 60) -> None:
    """Write them into a folder that is not there yet. Of fewer than sixty there is a part of each kind."""
    makers = {**_broken(lab), **_hostile(lab), **_right(lab)}
    makers["handout-tree"] = lambda place: _tree(place, lab, {})
    with scratch_directory() as scratch:
        for number, content in enumerate(bank_patches(lab, scratch, max(60, count) - len(makers))):
            makers[f"wrong-{number:02}.patch"] = lambda place, content=content: place.write_bytes(content)
    names = sorted(makers)
    folder.mkdir(parents=True)
    for number in range(min(count, len(names))):
        name = names[number * len(names) // count] if count < len(names) else names[number]
        makers[name](folder / name)


def kinds(folder: Path) -> dict[str, str]:
    """The kind of each, by id."""
    names = sorted(path.name for path in folder.iterdir())
    return {re.sub(r"\.(patch|tar\.gz|tar|txt|zip)$", "", name): name.partition("-")[0] for name in names}


_Makers = dict[str, Callable[[Path], object]]


def _tree(place: Path, lab: int, changes: Mapping[str, bytes]) -> None:
    handout = trees.handout(lab).tree
    for path in handout.rglob("*"):
        name = str(path.relative_to(handout))
        if path.is_file():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_bytes(changes.get(name) or path.read_bytes())


def _zipped(changes: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in changes.items():
            archive.writestr(f"lab/{name}", content)
        archive.writestr("lab/.git/objects/pack", os.urandom(2 << 20))
    return packed.getvalue()


def _right(lab: int) -> _Makers:
    """The reference, in each form that may be handed in."""
    files = solved(lab)
    diff = patch(lab, files)

    def inside(name: str, content: bytes) -> Callable[[Path], object]:
        return lambda place: (place.mkdir(), (place / name).write_bytes(content))

    return {
        "right-patch.patch": lambda place: place.write_bytes(diff),
        "right-text.txt": lambda place: place.write_bytes(diff),
        "right-tarball.tar.gz": lambda place: place.write_bytes(tarball(files)),
        "right-zip.zip": lambda place: place.write_bytes(_zipped(files)),
        "right-tree": lambda place: _tree(place, lab, files),
        "right-folder-of-patch": inside("some name", diff),
        "right-folder-of-tarball": inside("lab.tgz", tarball(files)),
        "right-with space & <b>.patch": lambda place: place.write_bytes(diff),
        "right-commented.patch": lambda place: place.write_bytes(
            patch(lab, {name: b"/* mine */\n" + content for name, content in files.items()})
        ),
    }


def _broken(lab: int) -> _Makers:
    files = solved(lab)
    diff = patch(lab, files)
    name = min(name for name in files if name.endswith(".c"))
    mistyped = patch(lab, {**files, name: files[name] + b"\nint broken(\n"})

    def written(content: bytes) -> Callable[[Path], object]:
        return lambda place: place.write_bytes(content)

    def two(place: Path) -> None:
        place.mkdir()
        for each in ("one.patch", "other.patch"):
            (place / each).write_bytes(diff)

    return {
        "broken-cut.patch": written(diff[:-200]),
        "broken-no-c.patch": written(mistyped),
        "broken-other-lab.patch": written(patch(lab - 1, solved(lab - 1))),
        "broken-empty.patch": written(b""),
        "broken-windows.patch": written(diff.replace(b"\n", b"\r\n")),
        "broken-page.patch": written(b"<!DOCTYPE html>\n<html><script>alert(1)</script></html>\n"),
        "broken-noise.patch": written(bytes(range(256)) * 64),
        "broken-tarball.tar.gz": written(tarball(files)[:900]),
        "broken-nothing": lambda place: place.mkdir(),
        "broken-two": two,
    }


def _hostile(lab: int) -> _Makers:
    made: _Makers = {}
    handout = trees.handout(lab).tree
    for attack in PATCHES:
        if attack.name in _REFUSED:
            content, mark, path = attack.patch.partition(TOP)
            if mark:
                top = (handout / path.decode()).read_bytes().splitlines()[:3]
                content += b"".join(b" %s\n" % line for line in top)
            made[f"attack-{attack.name}.patch"] = lambda place, content=content: place.write_bytes(content)
    for name, change in _sources(lab).items():
        made[f"attack-{name}.patch"] = lambda place, change=change: place.write_bytes(patch(lab, change))
    made["attack-leads-out.tar"] = lambda place: place.write_bytes(_tar("../../escape", tarfile.REGTYPE))
    made["attack-link.tar"] = lambda place: place.write_bytes(_tar("src", tarfile.SYMTYPE, "/etc"))
    made["attack-pipe"] = os.mkfifo
    made["attack-solutions"] = lambda place: place.symlink_to(ROOT)
    return made


def _sources(lab: int) -> dict[str, dict[str, bytes]]:
    """Those cheats that need not know lab 1's guests, in the hole of this lab's handout."""
    path, hole, function = _HOLES[lab]
    text = (trees.handout(lab).tree / path).read_text()
    assert hole in text and function in text, f"{path} is no longer as this needs it"
    found = {}
    for cheat in CHEATS:
        if cheat.name not in _SOURCES:
            continue
        [(where, (old, new))] = cheat.edits(None, None).items()  # type: ignore[arg-type]
        assert where in (RUN, FIRST)
        added = new.replace(old, "").replace("@ROOT@", str(ROOT)).replace("\t(void)exit, (void)vmcb;\n", "")
        assert "vmcb" not in added
        if old == LOOP:
            fresh = text.replace(function, _OWN_WORDS + function).replace(hole, added + hole)
        else:
            fresh = text.replace(function, f"{added}\n{function}")
        found[cheat.name] = {path: fresh.encode()}
    assert len(found) == len(_SOURCES), set(_SOURCES) - set(found)
    return found


def _tar(name: str, kind: bytes, target: str = "") -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, target
        archive.addfile(member)
    return packed.getvalue()

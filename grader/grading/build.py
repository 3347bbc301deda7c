# SPDX-License-Identifier: BSD-3-Clause
"""From a handout and a submission's changes to the image that is booted, or what the compiler said.

The handout is compiled once and its objects are kept (trees.py). A submission gets a copy of them,
and make then compiles what its changes touch, headers' users included: a copied object is as old as
the handout's sources, and a changed file is newer than any. Nothing is ever written back.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Mapping

from common import CasitaError
from . import contain, trees

SECONDS = 60.0
_MAX_IMAGE = 32 << 20  # bytes
_MAX_END = 32 << 20  # guests without memory virtualization begin there
_PT_LOAD = 1
_OTHER_SOURCES = ("grader/bootdisk.S",)  # what src/Makefile compiles besides src/
_OLD = 1_577_836_800.0  # a time before any object is made: the start of 2020
_SHOWN_ERRORS = 3
_SHOWN_LINES = 30
_MAX_LINE = 300
_LIMITS = contain.Limits(
    seconds=SECONDS, cpu_seconds=int(SECONDS), file_bytes=64 << 20, memory_bytes=2048 << 20, processes=64,
    memory_sum=3072 << 20, disk_bytes=512 << 20,
)  # fmt: skip
_ENVIRONMENT = {"SOURCE_DATE_EPOCH": f"{_OLD:.0f}"}  # for __DATE__ and __TIME__: the same image each day
_MESSAGE = re.compile(r"^(\S+?):(\d+):(?:\d+:)? (?:fatal )?(?:error|Error): |^\S*ld: |^make: \*\*\* ")


class BuildFailed(Exception):
    """The submission does not compile; the text is what the compiler said first."""


@dataclass(frozen=True)
class Built:
    """A built submission."""

    image: Path  # what is graded: without any symbol, as QEMU prints those into its log
    symbols: Path  # the same with symbols, for GDB

    @property
    def sha256(self) -> str:
        """Of the graded image; the same for the same sources, wherever they were built."""
        return hashlib.sha256(self.image.read_bytes()).hexdigest()


def build(
    basis: trees.Basis, changes: Mapping[str, bytes], directory: Path, jobs: int = 1
) -> Built:
    """Build the basis with these changes in an empty directory; raises BuildFailed."""
    objects = _objects(basis, jobs)
    _copy_sources(basis.tree, directory)
    shutil.copytree(objects, directory / "build")
    lay_over(changes, directory)
    _make(directory, jobs)
    return _strip(directory)


def lay_over(changes: Mapping[str, bytes], directory: Path) -> None:
    """Write the changed files over a tree, newer than all that was compiled of it."""
    for name, content in changes.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_bytes(content)


def _objects(basis: trees.Basis, jobs: int) -> Path:
    """What the compiler makes of the basis, made once for all that have the same sources."""
    sources = [str(path.relative_to(basis.tree)) for path in (basis.tree / "src").rglob("*")]
    key = trees.hash_files(basis.tree, [*sources, *_OTHER_SOURCES])[:24]

    def make(folder: Path) -> None:
        work = folder / "work"
        work.mkdir()
        _copy_sources(basis.tree, work)
        try:
            _make(work, jobs)
        except BuildFailed as failure:
            raise CasitaError(f"lab {basis.stage}'s own tree does not build:\n{failure}") from None
        (work / "build").rename(folder / "build")
        shutil.rmtree(work)

    return trees.cached("objects", f"{key}-{_compiler()}", make) / "build"


def _compiler() -> str:
    """Which compiler it is, told quickly: an upgrade changes its size or its time."""
    path = shutil.which("gcc")
    if path is None:
        raise CasitaError("gcc is not installed; run `make setup`")
    facts = os.stat(path)
    return hashlib.sha256(f"{path} {facts.st_size} {facts.st_mtime_ns}".encode()).hexdigest()[:8]


def _copy_sources(tree: Path, directory: Path) -> None:
    """Copy what is compiled. It gets one old time, so that only changes are newer than objects."""
    shutil.copytree(tree / "src", directory / "src", symlinks=True)
    for name in _OTHER_SOURCES:
        if (tree / name).is_file():
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(tree / name, directory / name)
    for path in directory.rglob("*"):
        if path.is_file():
            os.utime(path, (_OLD, _OLD))


def _make(directory: Path, jobs: int) -> None:
    """Run make. O is relative: the objects and what make knows of them can be copied elsewhere."""
    argv = ["make", "-s", f"-j{max(jobs, 1)}", "--output-sync", "-C", "src", "O=../build", "CC=gcc"]
    ended = contain.run(argv, directory, _LIMITS, _ENVIRONMENT)
    said = _without_places(ended.text, directory)
    if ended.exceeded == "seconds" or ended.exceeded == "cpu":
        raise BuildFailed(f"the build had not ended after {SECONDS:.0f} seconds")
    if ended.exceeded:
        raise BuildFailed(f"the build was stopped: too much {ended.exceeded}\n{_tail(said)}")
    if ended.code:
        raise BuildFailed(first_errors(said))
    if not (directory / "build" / "casita.elf").is_file():
        raise CasitaError(f"make ended well, but there is no image; it said:\n{_tail(said)}")


def _strip(directory: Path) -> Built:
    image, symbols = directory / "casita.elf", directory / "build" / "casita.elf64"
    argv = ["objcopy", "--strip-all", "build/casita.elf", image.name]
    ended = contain.run(argv, directory, _LIMITS)
    if ended.code or ended.exceeded:
        raise BuildFailed(f"the image could not be stripped of its symbols:\n{_tail(ended.text)}")
    if image.stat().st_size > _MAX_IMAGE:
        raise BuildFailed(f"the image has {image.stat().st_size} bytes; {_MAX_IMAGE} are allowed")
    if (end := _end_of(image.read_bytes())) > _MAX_END:
        raise BuildFailed(f"the image takes memory up to {end:#x}, zeroes included; {_MAX_END:#x} is the most")
    return Built(image, symbols)


def _end_of(elf: bytes) -> int:
    """Where in memory the image ends."""
    wide = elf[4:5] == b"\2"  # ELF64
    header, entry = ("<Q14xHH", "<I20xQ8xQ8x") if wide else ("<I10xHH", "<I8xI4xI8x")
    try:
        offset, size, count = struct.unpack_from(header, elf, 32 if wide else 28)
        loaded = [struct.unpack_from(entry, elf, offset + size * i) for i in range(count)]
    except struct.error:
        raise BuildFailed("the image is no ELF file that can be loaded") from None
    return max((at + length for kind, at, length in loaded if kind == _PT_LOAD), default=0)


def _without_places(text: str, directory: Path) -> str:
    """The linker names a source by where it was compiled: here, or where the cache was filled. The
    assembler names what GCC gave it, which has another name each time."""
    cache = re.escape(str(trees.CACHE)) + r"/new-[^/\s]*/work/"
    text = re.sub(r"/tmp/cc\w{6}(?=\.\w)", "/tmp/compiled", text)
    return re.sub(cache, "", text.replace(f"{directory}/", "").replace(f"{contain.INSIDE}/", ""))


def first_errors(text: str) -> str:
    """The first errors of a compiler's output, with paths as a student knows them."""
    lines = text.splitlines()
    starts = [i for i, line in enumerate(lines) if _MESSAGE.match(line)]
    errors = [i for i in starts if not lines[i].startswith("make: ")] or starts
    if not errors:
        return _tail(text)
    first = errors[0]
    last = errors[_SHOWN_ERRORS] if len(errors) > _SHOWN_ERRORS else len(lines)
    shown = [line for line in lines[first:last] if not line.startswith(("make: ", "cc1: "))]
    shown = [_with_folder(line)[:_MAX_LINE] for line in shown[:_SHOWN_LINES]]
    left = len(errors) - _SHOWN_ERRORS
    if left > 0:
        shown.append(f"… and {left} more {'error' if left == 1 else 'errors'}")
    return "\n".join(shown or lines[first : first + 1])


def _with_folder(line: str) -> str:
    """svm/vcpu.c:12: … is in src/."""
    path = r"^((?:In file included from |\s+from )?)(?!src/|/)([\w./-]+\.[chS])(?=:)"
    return re.sub(path, r"\1src/\2", line)


def _tail(text: str) -> str:
    return "\n".join(line[:_MAX_LINE] for line in text.splitlines()[-_SHOWN_LINES:])

# SPDX-License-Identifier: BSD-3-Clause
"""Unpacks a student's tarball, which may be made to do harm.

It is decompressed to a limit first, so that nothing in it can grow in memory. Of its members only
plain files and folders are taken, below the folder that is given; links, devices, absolute names and
names with .. are refused, and modes, owners and times are ours.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import tarfile
from pathlib import Path
from typing import IO

from grading.gate import Rejected

MAX_PACKED = 32 << 20  # bytes of the file as it was handed in
MAX_UNPACKED = 128 << 20  # bytes of all that is in it
MAX_MEMBERS = 20_000
_CHUNK = 1 << 20
_MAGIC = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\0": lzma.open}


def is_tarball(path: Path) -> bool:
    """Does the file look like one, compressed or not? Its name does not matter."""
    with open(path, "rb") as file:
        start = file.read(512)
    return start[257:262] == b"ustar" or start.startswith(tuple(_MAGIC))


def unpack(path: Path, directory: Path) -> None:
    """Unpack it into an empty folder, or raise Rejected."""
    if path.stat().st_size > MAX_PACKED:
        raise Rejected(f"the tarball has {path.stat().st_size} bytes; {MAX_PACKED} are allowed")
    plain = directory.with_name(directory.name + ".tar")
    try:
        _decompress(path, plain)
        with tarfile.open(plain, "r:") as archive:
            for number, member in enumerate(archive):
                if number >= MAX_MEMBERS:
                    raise Rejected(f"the tarball has more than {MAX_MEMBERS} members")
                _take(archive, member, directory)
    except (tarfile.TarError, OSError, EOFError, lzma.LZMAError, ValueError, OverflowError) as error:
        raise Rejected(f"the tarball cannot be unpacked: {error}") from None
    finally:
        plain.unlink(missing_ok=True)


def _decompress(path: Path, plain: Path) -> None:
    with open(path, "rb") as file:
        start = file.read(8)
    openers = [opener for magic, opener in _MAGIC.items() if start.startswith(magic)]
    source: IO[bytes] = openers[0](path, "rb") if openers else open(path, "rb")  # type: ignore[operator]
    total = 0
    with source, open(plain, "wb") as target:
        while data := source.read(_CHUNK):
            total += len(data)
            if total > MAX_UNPACKED:
                raise Rejected(f"the tarball holds more than the {MAX_UNPACKED} bytes that are allowed")
            target.write(data)


def _take(archive: tarfile.TarFile, member: tarfile.TarInfo, directory: Path) -> None:
    parts = [part for part in member.name.split("/") if part not in ("", ".")]
    if member.name.startswith("/") or ".." in parts or "\0" in member.name:
        raise Rejected(f"the tarball names a place outside itself: {member.name!r}")
    path = directory.joinpath(*parts)
    if member.isdir():
        path.mkdir(parents=True, exist_ok=True)
        return
    if not member.isreg():
        raise Rejected(f"the tarball has more than plain files: {member.name!r} is a link or a device")
    if member.size > MAX_UNPACKED:  # a sparse file is longer than what is stored of it
        raise Rejected(f"{member.name!r} in the tarball has {member.size} bytes")
    path.parent.mkdir(parents=True, exist_ok=True)
    content = archive.extractfile(member)
    assert content is not None
    with content, open(path, "wb") as target:
        while data := content.read(_CHUNK):
            target.write(data)

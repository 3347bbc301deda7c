# SPDX-License-Identifier: BSD-3-Clause
"""Unpacks a student's tarball or .zip, which may be made to do harm.

It is decompressed to a limit first, so that nothing in it can grow in memory. Of its members only
plain files and folders are taken, below the folder that is given; links, devices, absolute names and
names with .. are refused, and modes, owners and times are ours.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import stat
import tarfile
import zipfile
import zlib
from pathlib import Path
from typing import IO

from grading.gate import Rejected

MAX_PACKED = 32 << 20  # bytes of the file as it was handed in
MAX_UNPACKED = 128 << 20  # bytes of all that is in it
MAX_MEMBERS = 20_000
_CHUNK = 1 << 20
_DAMAGED = (
    *(tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, OSError, EOFError, ValueError),
    *(OverflowError, RuntimeError, NotImplementedError, KeyError, IndexError),
)  # RuntimeError: a .zip with a password
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_MAGIC = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\0": lzma.open}


def is_tarball(path: Path) -> bool:
    """Does the file look like one, compressed or not? Its name does not matter."""
    with open(path, "rb") as file:
        start = file.read(512)
    return start[257:262] == b"ustar" or start.startswith((*_MAGIC, *_ZIP))


def unpack(path: Path, directory: Path) -> None:
    """Unpack it into an empty folder, or raise Rejected."""
    if path.stat().st_size > MAX_PACKED:
        raise Rejected(f"the tarball has {path.stat().st_size} bytes; {MAX_PACKED} are allowed")
    plain = directory.with_name(directory.name + ".tar")
    try:
        if _is_zip(path):
            _unzip(path, directory)
            return
        _decompress(path, plain)
        with tarfile.open(plain, "r:") as archive:
            for number, member in enumerate(archive):
                if number >= MAX_MEMBERS:
                    raise Rejected(f"the tarball has more than {MAX_MEMBERS} members")
                _take(archive, member, directory)
    except _DAMAGED as error:
        raise Rejected(f"the tarball cannot be unpacked: {error}") from None
    finally:
        plain.unlink(missing_ok=True)


def _is_zip(path: Path) -> bool:
    with open(path, "rb") as file:
        return file.read(4) in _ZIP


def _unzip(path: Path, directory: Path) -> None:
    left = MAX_UNPACKED
    with zipfile.ZipFile(path) as archive:
        if len(archive.infolist()) > MAX_MEMBERS:
            raise Rejected(f"the archive has more than {MAX_MEMBERS} members")
        for info in archive.infolist():
            place = _place(info.filename, directory)
            if info.is_dir():
                place.mkdir(parents=True, exist_ok=True)
                continue
            if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG):
                raise Rejected(f"the archive has more than plain files: {info.filename!r}")
            place.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(info) as content, open(place, "wb") as target:
                while data := content.read(_CHUNK):
                    left -= len(data)
                    if left < 0:
                        raise Rejected(f"the archive holds more than the {MAX_UNPACKED} bytes that are allowed")
                    target.write(data)


def _place(name: str, directory: Path) -> Path:
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or ".." in parts or "\0" in name:
        raise Rejected(f"the tarball names a place outside itself: {name!r}")
    return directory.joinpath(*parts)


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
    path = _place(member.name, directory)
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

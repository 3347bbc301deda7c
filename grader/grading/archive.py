# SPDX-License-Identifier: BSD-3-Clause
"""A tree that was handed in as one file: .tar, .tar.gz or .zip.

Nothing is extracted by the archive's own word: we make plain files and folders, in a fresh folder, by
names that we have looked at, and read no more than a tree of Casita may have. What is no plain file is
left out, and noted if it matters (gate.py then finds that a file is missing); a name that leads out of
the tree has the whole archive refused.
"""

from __future__ import annotations

import gzip
import io
import stat
import tarfile
import zipfile
import zlib
from pathlib import Path
from typing import BinaryIO, Callable, Iterator, NamedTuple

MAX_ARCHIVE = 16 << 20  # bytes, as it is handed in
_MAX_UNPACKED = 64 << 20
_MAX_ENTRIES = 10_000
_MAX_FILE = 4 << 20
_MAX_DEPTH = 16
_SKIPPED = (".git", "build")
_OTHERS = {b"BZh": "bzip2", b"\xfd7zXZ\0": "xz", b"7z\xbc\xaf": "7z", b"Rar!": "rar", b"\x28\xb5\x2f\xfd": "zstd"}


class BadArchive(Exception):
    """It is not taken; the text says why."""


class _Entry(NamedTuple):
    """One file or folder in an archive."""

    name: str
    size: int
    kind: str  # "file", "folder", or what else it is, for people
    read: Callable[[], bytes]


class _Counted(io.RawIOBase):
    """A stream that ends in an exception when more comes out of it than should."""

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__()
        self._stream = stream
        self._left = _MAX_UNPACKED + (1 << 20)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        data = self._stream.read(len(buffer))
        self._left -= len(data)
        if self._left < 0:
            raise BadArchive(f"it unpacks to more than {_MAX_UNPACKED} bytes")
        buffer[: len(data)] = data
        return len(data)


def is_archive(data: bytes) -> bool:
    """Does it look like one, of whatever kind?"""
    return _is_tar(data) or data.startswith((b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b", *_OTHERS))


def _is_tar(data: bytes) -> bool:
    return data[257:262] == b"ustar"


def unpack(data: bytes, folder: Path) -> Path:
    """Unpack it into an empty folder; the tree's root in there, or BadArchive."""
    if len(data) > MAX_ARCHIVE:
        raise BadArchive(f"it has more than the {MAX_ARCHIVE} bytes that are allowed")
    for magic, name in _OTHERS.items():
        if data.startswith(magic):
            raise BadArchive(f"it is packed by {name}; send a .tar, .tar.gz or .zip, or a patch")
    try:
        if data.startswith(b"PK"):
            _write(_zip_entries(data), folder)
        elif _is_tar(data):
            _write(_tar_entries(io.BytesIO(data)), folder)
        else:
            _write(_tar_entries(gzip.GzipFile(fileobj=io.BytesIO(data))), folder)  # type: ignore[arg-type]
    except tarfile.ReadError as error:
        raise BadArchive(f"it is no tar archive, or damaged: {error}") from None
    except (
        *(tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError),
        *(RuntimeError, NotImplementedError, OverflowError, KeyError, IndexError),
    ) as error:
        raise BadArchive(f"it is damaged, or of a kind that is not taken: {error}") from None
    return _root(folder)


def _tar_entries(stream: BinaryIO) -> Iterator[_Entry]:
    counted = io.BufferedReader(_Counted(stream))
    with tarfile.open(fileobj=counted, mode="r|") as archive:
        for member in archive:
            kind = "file" if member.isreg() and not member.issparse() else "a special file"
            if member.isdir():
                kind = "folder"
            elif member.issym() or member.islnk():
                kind = f"a link to {member.linkname}"

            def read(member: tarfile.TarInfo = member) -> bytes:
                file = archive.extractfile(member)
                return file.read(_MAX_FILE + 1) if file else b""

            yield _Entry(member.name, member.size, kind, read)


def _zip_entries(data: bytes) -> Iterator[_Entry]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for info in archive.infolist():
            mode = info.external_attr >> 16
            kind = "folder" if info.is_dir() else "file"
            if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
                kind = "a link or a special file"

            def read(info: zipfile.ZipInfo = info) -> bytes:
                with archive.open(info) as file:
                    return file.read(_MAX_FILE + 1)

            yield _Entry(info.filename, info.file_size, kind, read)


def _write(entries: Iterator[_Entry], folder: Path) -> None:
    left, files = _MAX_UNPACKED, 0
    for number, entry in enumerate(entries):
        if number >= _MAX_ENTRIES:
            raise BadArchive(f"it has more than {_MAX_ENTRIES} entries")
        parts = _parts(entry.name)
        if not parts or entry.kind != "file" or set(parts[:2]) & set(_SKIPPED):
            continue
        if entry.size > _MAX_FILE:
            raise BadArchive(f"{entry.name} has {entry.size} bytes; {_MAX_FILE} are allowed")
        content = entry.read()
        left -= len(content)
        if left < 0 or len(content) > _MAX_FILE:
            raise BadArchive(f"it unpacks to more than {_MAX_UNPACKED} bytes")
        path = folder.joinpath(*parts)
        if path.exists():
            raise BadArchive(f"{entry.name} is in it twice")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        files += 1
    if not files:
        raise BadArchive("there is no file in it")


def _parts(name: str) -> list[str]:
    """The parts of an entry's name, which may not lead out of the archive's tree."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or ".." in parts or "\\" in name or (len(name) > 1 and name[1] == ":"):
        raise BadArchive(f"an entry's path leads out of the tree: {name}")
    if len(parts) > _MAX_DEPTH or any(not _is_plain(part) for part in parts):
        raise BadArchive(f"an entry's name is none that a tree of Casita has: {name!a}")
    return parts


def _is_plain(part: str) -> bool:
    return len(part) < 200 and part.isprintable() and part.isascii()


def _root(folder: Path) -> Path:
    """The tree itself, or the one folder around it."""
    for root in (folder, *(path for path in sorted(folder.iterdir()) if path.is_dir())):
        if (root / "src").is_dir():
            return root
    raise BadArchive("it is not a tree of Casita: there is no folder src/ in it")

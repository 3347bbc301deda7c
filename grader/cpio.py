# SPDX-License-Identifier: BSD-3-Clause
"""Writes initramfs archives: cpio's "newc" format, the one that Linux unpacks at boot.

The same input gives the same bytes: times are zero and inode numbers count up from one. Several
archives may simply follow one another in a file; Linux unpacks them in turn.
"""

from __future__ import annotations

import stat

_HEADER_MAGIC = b"070701"
_ALIGN = 4
_ARCHIVE_ALIGN = 512


class Archive:
    """A cpio archive in the making: add entries, then take bytes()."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._inode = 0

    def _entry(self, name: str, mode: int, data: bytes = b"", device: tuple[int, int] = (0, 0)) -> None:
        self._inode += 1
        path = name.encode() + b"\0"
        # inode, mode, uid, gid, links, mtime, size, device, special device, name's length, check
        fields = (self._inode, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(path), 0)
        head = _HEADER_MAGIC + b"".join(b"%08X" % field for field in fields) + path
        self._parts.append(_pad(head, _ALIGN) + _pad(data, _ALIGN))

    def directory(self, name: str, mode: int = 0o755) -> None:
        """Add a directory; those above it must have been added before."""
        self._entry(name, stat.S_IFDIR | mode)

    def file(self, name: str, data: bytes, mode: int = 0o644) -> None:
        """Add a file with these contents."""
        self._entry(name, stat.S_IFREG | mode, data)

    def link(self, name: str, target: str) -> None:
        """Add a symbolic link."""
        self._entry(name, stat.S_IFLNK | 0o777, target.encode())

    def character_device(self, name: str, major: int, minor: int, mode: int = 0o600) -> None:
        """Add a character device node."""
        self._entry(name, stat.S_IFCHR | mode, device=(major, minor))

    def bytes(self) -> bytes:
        """The finished archive."""
        self._entry("TRAILER!!!", 0)
        return _pad(b"".join(self._parts), _ARCHIVE_ALIGN)


def _pad(data: bytes, align: int) -> bytes:
    return data + b"\0" * (-len(data) % align)

# SPDX-License-Identifier: BSD-3-Clause
"""What all processes of a command use together: memory, and room on the disk.

The kernel's limits are for each process and each file. Their sums it would keep by cgroups, which are
not to be had everywhere; so they are looked at ten times a second, and who is over the limit is ended.
What can be taken between two looks is left: some hundred megabytes.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import Callable, Iterator

_SECONDS = 0.1
_DISK_EVERY = 5  # looks
_MAX_ENTRIES = 50_000  # files and folders
_PAGE = os.sysconf("SC_PAGESIZE")


class Watch:
    """Looks at a process, all below it, and its folder, until it is closed; `exceeded` says what was."""

    def __init__(self, pid: int, folder: Path, memory: int, disk: int, end: Callable[[], None]) -> None:
        self.exceeded = ""
        self._facts = pid, folder, memory, disk
        self._end = end
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        self._thread.join()

    def _look(self) -> None:
        pid, folder, memory, disk = self._facts
        looks = 0
        while not self._closed.wait(_SECONDS):
            looks += 1
            if resident(pid) > memory:
                self.exceeded = "memory"
            elif looks % _DISK_EVERY == 0 and on_disk(str(folder)) > disk:
                self.exceeded = "disk"
            if self.exceeded:
                self._end()
                return


def resident(pid: int) -> int:
    """Bytes that a process and all below it have in memory; what they share counts for each."""
    total, found = 0, [pid]
    while found:
        each = found.pop()
        with suppress(OSError, ValueError, IndexError):  # it has ended
            total += int(Path(f"/proc/{each}/statm").read_bytes().split()[1]) * _PAGE
            found += _children(each)
    return total


def _children(pid: int) -> Iterator[int]:
    """In a sandbox whoever loses his parent gets its first process for one: none is missed."""
    for task in os.listdir(f"/proc/{pid}/task"):
        with suppress(OSError):
            yield from map(int, Path(f"/proc/{pid}/task/{task}/children").read_bytes().split())


def on_disk(folder: str) -> int:
    """Bytes that a folder takes; a great many files count as more than any limit."""
    total, entries, folders = 0, 0, [folder]
    while folders:
        with suppress(OSError), os.scandir(folders.pop()) as found:
            for entry in found:
                entries += 1
                if entries > _MAX_ENTRIES:
                    return 1 << 63
                with suppress(OSError):
                    total += entry.stat(follow_symlinks=False).st_blocks * 512
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
    return total

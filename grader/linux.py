# SPDX-License-Identifier: BSD-3-Clause
"""Linux as a guest: Debian's own cloud kernel, and an initramfs made of Debian's busybox.

Both come from Debian's packages as they are, fetched and unpacked, never installed. What is fetched
stays in build/linux/, a folder a version.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
import tarfile
import time
from fnmatch import fnmatch
from pathlib import Path
from typing import Sequence

import cpio
from common import BUILD, ROOT, CasitaError, scratch_directory

# loglevel=3: Linux counts a PC without PCI as an error worth telling. acpi=off … nolapic: interrupts
# by the 8259 alone. reboot=p: restart by port 0xcf9. panic=-1: at once. cryptomgr.notests: a
# billion instructions less.
KERNEL_CMDLINE = (
    "console=ttyS0,115200 loglevel=3 acpi=off noapic nolapic nokaslr reboot=p panic=-1 tsc=reliable"
    " cryptomgr.notests 8250.nr_uarts=1"
)

_CACHE = BUILD / "linux"
_SOURCES = ROOT / "guests" / "linux"
_KERNEL_META_PACKAGE = "linux-image-cloud-amd64"
_BUSYBOX_PACKAGE = "busybox-static"
# How long a kernel version counts as Debian's newest before the package lists are asked again.
_LOOK_AGAIN_AFTER = 12 * 3600.0


def kernel() -> Path:
    """Debian's newest cloud kernel, a bzImage."""
    _CACHE.mkdir(parents=True, exist_ok=True)
    return _file_of_package(_newest_kernel_package(), "boot/vmlinuz-*", "vmlinuz")


def initramfs() -> Path:
    """The userland: Debian's busybox, and what guests/linux adds."""
    _CACHE.mkdir(parents=True, exist_ok=True)
    return _pack(_file_of_package(_BUSYBOX_PACKAGE, "bin/busybox", "busybox"))


def with_commands(userland: bytes, commands: str, terminal: os.terminal_size | None) -> bytes:
    """The initramfs, and behind it a second archive: what is to be run, and the terminal's size."""
    archive = cpio.Archive()
    if commands:
        archive.file("run.sh", commands.encode(errors="surrogateescape") + b"\n")
    if terminal is not None:
        archive.file("etc/winsize", f"rows {terminal.lines} cols {terminal.columns}\n".encode())
    return userland + archive.bytes()


# ---- the initramfs -----------------------------------------------------------------------------


def _pack(busybox: Path) -> Path:
    archive = cpio.Archive()
    for name in ("bin", "dev", "etc", "proc", "root", "sbin", "sys", "tmp"):
        archive.directory(name)
    # The kernel opens the console before the first process can mount anything.
    archive.character_device("dev/console", 5, 1)
    archive.character_device("dev/null", 1, 3, 0o666)
    archive.file("bin/busybox", busybox.read_bytes(), 0o755)
    for name in ("leave", "session"):
        archive.file(f"sbin/{name}", _built(name), 0o755)
    for name in ("halt", "poweroff", "reboot"):
        archive.link(f"sbin/{name}", "leave")
    archive.file("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n")
    archive.file("etc/group", b"root:x:0:\n")
    for name in ("motd", "profile"):
        archive.file(f"etc/{name}", (_SOURCES / name).read_bytes())
    archive.file("init", (_SOURCES / "init").read_bytes(), 0o755)
    path = _CACHE / "initramfs.cpio"
    _replace(path, archive.bytes())
    return path


def _built(name: str) -> bytes:
    path = _CACHE / name
    if not path.is_file():
        raise CasitaError(f"{path.relative_to(ROOT)} has not been built; run `make`")
    return path.read_bytes()


def _replace(path: Path, data: bytes) -> None:
    """Write a file so that others see the old one or the whole new one."""
    if path.is_file() and path.read_bytes() == data:
        return
    with scratch_directory() as scratch:
        new = scratch / path.name
        new.write_bytes(data)
        new.rename(path)


# ---- Debian's packages ---------------------------------------------------------------------------


def _newest_kernel_package() -> str:
    known = _CACHE / "kernel-package"
    if known.is_file() and time.time() - known.stat().st_mtime < _LOOK_AGAIN_AFTER:
        return known.read_text().strip()
    for apt in _APTS:
        depends = apt.run("apt-cache", "depends", _KERNEL_META_PACKAGE).stdout
        match = re.search(r"Depends: (linux-image-\S+-cloud-amd64)$", depends, re.MULTILINE)
        if match:
            _replace(known, f"{match[1]}\n".encode())
            os.utime(known)
            return match[1]
    if known.is_file():
        return known.read_text().strip()
    raise CasitaError(
        f"Debian's package lists name no {_KERNEL_META_PACKAGE}; is this machine online?"
        " Or give a kernel of your own: KERNEL=path"
    )


def _file_of_package(package: str, pattern: str, name: str) -> Path:
    """One file out of a package, in a folder of the package's name; fetched if not there yet."""
    path = _CACHE / package / name
    if path.is_file():
        return path
    print(f"fetching Debian's {package}", file=sys.stderr, flush=True)
    with scratch_directory() as scratch:
        deb = _fetch(package, scratch)
        data = _extract(deb, pattern)
    path.parent.mkdir(exist_ok=True)
    _replace(path, data)
    return path


def _fetch(package: str, directory: Path) -> Path:
    errors = []
    for apt in _APTS:
        result = apt.run("apt-get", "download", package, cwd=directory)
        debs = list(directory.glob("*.deb"))
        if result.returncode == 0 and debs:
            return debs[0]
        errors.append(result.stderr.strip())
    raise CasitaError(f"apt-get cannot download {package}: {' '.join(errors[-1].split())}")


def _extract(deb: Path, pattern: str) -> bytes:
    unpack = ["dpkg-deb", "--fsys-tarfile", deb.name]
    with subprocess.Popen(unpack, cwd=deb.parent, stdout=subprocess.PIPE) as process:
        with tarfile.open(fileobj=process.stdout, mode="r|") as archive:
            for member in archive:
                if member.isfile() and fnmatch(member.name, f"./{pattern}"):
                    file = archive.extractfile(member)
                    assert file is not None
                    data = file.read()
                    process.kill()
                    return data
    raise CasitaError(f"{deb.name} holds no {pattern}")


class _Apt:
    """apt-get and apt-cache, with the machine's own package lists."""

    def run(
        self, *words: str, cwd: Path | None = None, options: Sequence[str] = ()
    ) -> subprocess.CompletedProcess[str]:
        """One apt command. It may run as root: packages are only fetched."""
        command = [words[0], "-q", "-o", "APT::Sandbox::User=root", *options, *words[1:]]
        environment = {**os.environ, "LC_ALL": "C"}
        try:
            return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
        except FileNotFoundError:
            raise CasitaError(
                f"this system has no {words[0]}, with which Debian's kernel is fetched;"
                " give one of your own: KERNEL=path INITRD=path"
            ) from None


class _PrivateApt(_Apt):
    """The same with lists of its own, for where the machine's are missing, old or not for amd64."""

    def __init__(self) -> None:
        self._options: list[str] | None = None

    def run(
        self, *words: str, cwd: Path | None = None, options: Sequence[str] = ()
    ) -> subprocess.CompletedProcess[str]:
        if self._options is None:
            self._options = self._update()
        return super().run(*words, cwd=cwd, options=self._options)

    def _update(self) -> list[str]:
        print("fetching Debian's package lists", file=sys.stderr, flush=True)
        state = _CACHE / "apt"
        for folder in ("lists/partial", "cache/archives/partial"):
            (state / folder).mkdir(parents=True, exist_ok=True)
        (state / "status").touch()
        settings = {
            "APT::Architecture": "amd64",
            "APT::Architectures": "amd64",
            "Dir::State::Lists": f"{state}/lists",
            "Dir::State::Status": f"{state}/status",
            "Dir::Cache": f"{state}/cache",
        }
        options = [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]
        super().run("apt-get", "update", options=options)
        return options


_APTS = [_PrivateApt()] if platform.machine() != "x86_64" else [_Apt(), _PrivateApt()]

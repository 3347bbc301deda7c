#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""`make doctor`: what is on this machine, what is missing and how to get it, and what it will use."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass

from common import BUILD, run_main
from engines.accel import choose as choose_accel

_CROSS = "" if platform.machine() == "x86_64" else "x86_64-linux-gnu-"


@dataclass(frozen=True)
class Tool:
    """A program, the Debian package that brings it, and what does not work without it."""

    name: str
    package: str
    needed_for: str
    version_option: str = "--version"


_TOOLS = [
    Tool("make", "make", "make"),
    Tool(f"{_CROSS}gcc", "gcc" if not _CROSS else "gcc-x86-64-linux-gnu", "make"),
    Tool(f"{_CROSS}ld", "binutils" if not _CROSS else "binutils-x86-64-linux-gnu", "make"),
    Tool("qemu-system-x86_64", "qemu-system-x86", "make run"),
    Tool("apt-get", "apt", "make run (Debian's kernel)"),
    Tool("bochs-bin", "bochs", "make check, ENGINE=bochs", "--help"),
    Tool("clang", "clang", "make check, CC=clang"),
    Tool("clang-format", "clang-format", "make check"),
    Tool("pkg-config", "pkg-config", "make check"),
    Tool("bwrap", "bubblewrap", "make grade"),
    Tool("git", "git", "make check"),
    Tool("lz4", "lz4", "make check"),
    Tool("gdb", "gdb", "make gdb"),
    Tool("doxygen", "doxygen", "make docs"),
]
_LIBRARIES = [
    Tool("check", "check", "make check"),
    Tool("capstone", "libcapstone-dev", "make check"),
]
_FILES = [
    Tool("/usr/include/Zydis/Zydis.h", "libzydis-dev", "make check"),
    Tool("/usr/share/bochs/BIOS-bochs-latest", "bochsbios", "ENGINE=bochs"),
    Tool("/usr/share/vgabios/vgabios.bin", "vgabios", "ENGINE=bochs"),
]


def _output(*command: str) -> str | None:
    """What a command prints; None if it is not there or fails."""
    try:
        result = subprocess.run(
            command, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL
        )
    except OSError:
        return None
    return result.stdout + result.stderr if result.returncode == 0 else None


def _version(text: str) -> str:
    match = re.search(r"\d+\.\d+(?:[.+~-]?\w+)*", text)
    return match[0] if match else "there"


def _find_all() -> list[tuple[Tool, str | None]]:
    """Every tool, and its version or None."""
    found: list[tuple[Tool, str | None]] = []
    for tool in _TOOLS:
        there = shutil.which(tool.name) is not None
        found.append((tool, _version(_output(tool.name, tool.version_option) or "") if there else None))
    kconfiglib = _output(sys.executable, "-c", "import kconfiglib as k; print(k.VERSION)")
    version = ".".join(re.findall(r"\d+", kconfiglib)) if kconfiglib else None
    found.append((Tool("kconfiglib", "python3-kconfiglib", "make"), version))
    for library in _LIBRARIES:
        text = _output("pkg-config", "--modversion", library.name)
        found.append((library, text.strip() if text else None))
    for file in _FILES:
        found.append((file, "there" if os.path.isfile(file.name) else None))
    return found


def main() -> int:
    """Print the report; status 1 if something that `make run` needs is missing."""
    print(f"machine                             {platform.machine()}, {os.cpu_count()} processors, {_system()}")
    print(f"python                              {platform.python_version()}")
    found = _find_all()
    for tool, version in found:
        print(f"{tool.name:<35} {version or f'missing; for: {tool.needed_for}'}")
    for cpu in ("amd", "intel"):
        accel, why = choose_accel(cpu)
        if accel == "kvm":
            print(f"CPU={cpu:<31} make run uses KVM: {why}")
        elif cpu == "amd":
            print(f"CPU={cpu:<31} make run uses TCG, QEMU's emulation, not KVM: {why}")
        else:
            print(f"CPU={cpu:<31} make run needs ENGINE=bochs: QEMU's emulation has no VMX, and {why}")
    kernels = sorted(path.parent.name for path in BUILD.glob("linux/linux-image-*/vmlinuz"))
    print(f"Linux guest                         {', '.join(kernels) or 'not fetched yet; make run does it'}")
    missing = [tool for tool, version in found if version is None]
    if not missing:
        print("nothing is missing")
        return 0
    packages = " ".join(sorted({tool.package for tool in missing}))
    print(f"to get what is missing: make setup, or as root: apt-get install {packages}")
    return 1 if any(tool.needed_for in ("make", "make run") for tool in missing) else 0


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.system()


if __name__ == "__main__":
    run_main(main)

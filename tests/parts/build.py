# SPDX-License-Identifier: BSD-3-Clause
"""Builds Casita, the guests and the Linux guest's program from clean, with each compiler."""

from __future__ import annotations

import shutil
from functools import partial

from common import BUILD
from .harness import Test, expect, shell

_WHAT_IS_BUILT = ["casita.elf", "casita.elf64", "bootdisk.bin", "guests/hello.elf", "linux/leave"]


def _build_with(compiler: str) -> None:
    out = BUILD / "check" / f"build-{compiler}"
    shutil.rmtree(out, ignore_errors=True)
    for folder in ("src", "guests", "guests/linux"):
        result = shell(["make", "-s", "-C", folder, f"O={out}", f"CC={compiler}"])
        expect(result.returncode == 0, f"{folder} does not build with {compiler}", result.stdout)
        expect(not result.stdout.strip(), f"a build that goes well is quiet; {folder}", result.stdout)
    for name in _WHAT_IS_BUILT:
        expect((out / name).is_file(), f"{name} was not built with {compiler}")


def _incremental() -> None:
    """A second make has nothing to do."""
    result = shell(["make", "-C", "src", "-q", f"O={BUILD}", "all"])
    expect(result.returncode == 0, "make builds again what is built already", result.stdout)


def tests() -> list[Test]:
    """One test a compiler, and one of make itself."""
    return [
        Test("gcc", partial(_build_with, "gcc"), weight=15),
        Test("clang", partial(_build_with, "clang"), weight=15),
        Test("incremental", _incremental),
    ]

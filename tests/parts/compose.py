# SPDX-License-Identifier: BSD-3-Clause
"""Casita with one module left out each: builds, boots, and says what it was built without.

tests/compose.toml says what must appear; an option of src/Kconfig that it forgets is a failure.
"""

from __future__ import annotations

import os
import re
import shutil
import tomllib
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import linux
from common import BUILD, ROOT, scratch_directory
from engines import End, Machine, Module, boot
from .harness import BACKSTOP, Test, expect, shell


@dataclass(frozen=True)
class Without:
    """An entry of compose.toml; the names are explained there."""

    option: str
    boot: str
    says: list[str]
    words: str = ""
    cmdline: str = ""
    verdict: str = ""


def _load() -> list[Without]:
    with open(ROOT / "tests" / "compose.toml", "rb") as file:
        return [Without(**entry) for entry in tomllib.load(file)["without"]]


def _build(option: str) -> Path:
    """Casita without this option, from clean."""
    out = BUILD / "compose" / option.lower()
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    config = out / "config"
    config.write_text(f"# CONFIG_{option} is not set\n")
    os.utime(config, (0, 0))  # older than Kconfig, so make fills in the rest
    result = shell(["make", "-s", "-C", "src", f"O={out}"])
    expect(result.returncode == 0, f"does not build without {option}", result.stdout)
    text = config.read_text()
    expect(f"# CONFIG_{option} is not set" in text, f"{option} cannot be left out", text)
    return out / "casita.elf"


def _modules(without: Without, directory: Path) -> list[Module]:
    if without.boot != "linux":
        words = f"vm=guest {without.words}".rstrip()
        return [Module(BUILD / "guests" / f"{without.boot}.elf", words)]
    initramfs = directory / "initramfs"
    userland = linux.initramfs().read_bytes()
    initramfs.write_bytes(linux.with_commands(userland, "echo com''posed; exit 0", None))
    words = f"vm=guest mem=192M {without.words}".rstrip()
    return [
        Module(linux.kernel(), f"{words} -- {linux.KERNEL_CMDLINE}"),
        Module(initramfs, "for=guest as=initrd"),
    ]


def _run(without: Without) -> None:
    image = _build(without.option)
    with scratch_directory() as directory:
        modules = _modules(without, directory)
        outcome = boot(
            Machine(mem=320), image, without.cmdline, modules, directory, timeout=BACKSTOP
        )
    seen = outcome.serial.decode(errors="replace").replace("\r\n", "\n")
    expect(outcome.end is End.EXITED, f"without {without.option}: {outcome.end}", seen)
    for text in without.says:
        expect(text in seen, f"without {without.option}, not said: {text!r}", seen)
    verdict = re.findall(r"^casita: guest: (exited.*|reset|powered off|triple fault)", seen, re.M)
    expect(verdict == ([without.verdict] if without.verdict else []), f"verdict {verdict}", seen)


def _complete() -> None:
    """Every module of src/Kconfig has its entry."""
    kconfig = (ROOT / "src" / "Kconfig").read_text()
    options = set(re.findall(r'^config (\w+)\n\tbool "', kconfig, re.MULTILINE))
    listed = {without.option for without in _load()}
    expect(options == listed, f"compose.toml and src/Kconfig differ: {sorted(options ^ listed)}")


def tests() -> list[Test]:
    """One test a module."""
    return [
        Test("complete", _complete),
        *(Test(w.option.lower(), partial(_run, w), weight=15) for w in _load()),
    ]

# SPDX-License-Identifier: BSD-3-Clause
"""What cannot work is refused, with a sentence that names the thing: by the runner, and by Casita."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

from common import BUILD, scratch_directory
from engines import End, Machine, Module, boot
from .harness import Test, expect, expect_in, make_run, scratch

_HELLO = BUILD / "guests" / "hello.elf"

# Variables of `make run`, and what the answer must say. None of these starts a machine.
_REFUSED_BY_THE_RUNNER: list[tuple[dict[str, str], list[str]]] = [
    ({"ENGINE": "vmware"}, ["ENGINE=vmware", "qemu", "bochs"]),
    ({"CPU": "arm"}, ["CPU=arm", "amd", "intel"]),
    ({"CPU": "intel"}, ["VMX", "ENGINE=bochs"]),
    ({"PAGING": "magic"}, ["PAGING=magic", "nested", "shadow"]),
    ({"EXITS": "yes"}, ["EXITS=yes"]),
    ({"ACCEL": "xen"}, ["ACCEL=xen", "tcg"]),
    ({"MEM": "lots"}, ["MEM=lots", "256M"]),
    ({"TIMEOUT": "soon"}, ["TIMEOUT=soon"]),
    ({"GUEST": "nobody"}, ["GUEST=nobody", "hello"]),
    ({"GUEST": "no/such.elf"}, ["GUEST=no/such.elf", "not there"]),
    ({"KERNEL": "no/such/kernel"}, ["KERNEL=no/such/kernel", "not there"]),
    ({"KERNEL": "src"}, ["KERNEL=src", "folder"]),
    ({"INITRD": "no/such/initrd"}, ["INITRD=no/such/initrd", "not there"]),
    ({"GUEST": "hello", "RUN": "true"}, ["RUN=", "GUEST="]),
    ({"GUEST": "hello", "KERNEL": "README.md"}, ["GUEST=", "KERNEL="]),
    ({"INITRD": "README.md", "RUN": "true"}, ["RUN=", "INITRD="]),
    ({"DISK": "disk.img"}, ["DISK="]),
]

# Words behind the kernel's name, for Casita to refuse: src/vmm/config.h.
_REFUSED_WORDS: list[tuple[str, list[str]]] = [
    ("vm=a mem=12X", ["hello.elf", "mem=12X"]),
    ("vm=a mem=", ["mem="]),
    ("vm=a colour=blue", ["colour=blue"]),
    ("vm=a vm=b", ["vm="]),
    ("vm=a/b", ["vm=a/b"]),
    ("vm=a-name-that-is-too-long", ["a-name-that-is-too-long"]),
    ("vm=a loader=grub", ["loader=grub"]),
    ("vm=a paging=magic", ["paging=magic"]),
    ("vm=a loader=flat mode=virtual", ["mode=virtual"]),
    ("vm=a loader=flat at=here", ["at=here"]),
    ("for=nobody", ["for=nobody"]),
]


def _by_the_runner() -> None:
    for variables, names in _REFUSED_BY_THE_RUNNER:
        run = make_run(**variables)
        expect(run.returncode != 0, f"{variables} is not refused", run.stdout)
        lines = [line for line in run.stdout.splitlines() if line.startswith("casita: ")]
        expect(len(lines) == 1, f"{variables}: not one sentence", run.stdout)
        for name in names:
            expect(name in lines[0], f"{variables}: the answer does not name {name}", run.stdout)


def _boot(cmdline: str, modules: list[Module], mem: int = 128, engine: str = "qemu") -> str:
    """Casita's console; it must end by itself, and not well."""
    with scratch_directory() as directory:
        outcome = boot(
            Machine(engine=engine, mem=mem), BUILD / "casita.elf", cmdline, modules, directory,
            timeout=600,
        )
    text = outcome.serial.decode(errors="replace").replace("\r\n", "\n")
    expect(outcome.end is End.EXITED, f"no end: {outcome.end}", text)
    expect(outcome.status != 0, "the status is 0", text)
    expect("panic" not in text, "Casita panicked", text)
    return text


def _sentence(text: str, names: list[str], about: str) -> None:
    """One of Casita's lines names all of these."""
    lines = [line for line in text.splitlines() if line.startswith("casita: ")]
    expect(any(all(name in line for name in names) for line in lines), f"{about}: {names}", text)


def _words(engine: str) -> None:
    for words, names in _REFUSED_WORDS:
        text = _boot("", [Module(_HELLO, words)], engine=engine)
        _sentence(text, names, words)
        expect("Hello from a guest" not in text, f"{words}: ran all the same", text)


def _casitas_own_words() -> None:
    _sentence(_boot("exists", [Module(_HELLO)]), ["exists"], "an unknown word for Casita")
    _sentence(_boot("", []), ["no VM to run"], "no modules")


def _two_vms_of_a_name() -> None:
    other = scratch("bad-input") / "other.elf"
    other.write_bytes(_HELLO.read_bytes())
    text = _boot("", [Module(_HELLO, "vm=twin"), Module(other, "vm=twin")])
    _sentence(text, ["twin", "other.elf"], "two VMs of the same name")


def _kernel() -> Path:
    return next(BUILD.glob("linux/linux-image-*/vmlinuz"))


def _damaged(name: str, data: bytes) -> Path:
    path = scratch("bad-input") / name
    path.write_bytes(data)
    return path


def _files() -> None:
    """Kernels that are cut short, damaged, or none."""
    linux, hello = _kernel().read_bytes(), _HELLO.read_bytes()
    cases = [
        ("cut.bzImage", linux[:1_000_000], "", ["cut.bzImage", "cut short", "1000000"]),
        ("header.bzImage", linux[:600], "loader=linux", ["header.bzImage"]),
        ("old.bzImage", linux[:0x206] + b"\x01\x02" + linux[0x208:], "", ["old.bzImage", "2.01"]),
        ("cut.elf", hello[:0x1100], "loader=multiboot", ["cut.elf", "segment"]),
        ("text.elf", b"This is not a kernel.\n" * 100, "loader=multiboot", ["text.elf"]),
        ("text.bzImage", b"This is not a kernel.\n" * 100, "loader=linux", ["text.bzImage"]),
        ("high.bin", b"\xf4" * 4096, "loader=flat at=0x7ffffff000", ["high.bin", "0x7ffffff000"]),
        ("big.bin", b"\xf4" * (5 << 20), "loader=flat mem=4M", ["big.bin"]),
    ]
    for name, data, words, names in cases:
        path = _damaged(name, data)
        text = _boot("", [Module(path, f"vm=bad {words}".strip())])
        _sentence(text, names, name)


def _by_make_run() -> None:
    """The same through make run: the reason is on the screen, and make's status is not zero."""
    run = make_run(KERNEL="LICENSE", RUN="true")
    expect(run.returncode != 0, "LICENSE booted", run.stdout)
    expect_in("LICENSE", run.stdout)


def _memory() -> None:
    """Too little: for the kernel, for the initrd, for the VM in the machine, for the modules."""
    kernel = _kernel()
    text = _boot("", [Module(kernel, "vm=small mem=16M")])
    _sentence(text, ["vmlinuz"], "16 MiB for Linux")
    expect(bool(re.search(r"\d{4,}|\d+ ?M", text)), "no numbers", text)
    text = _boot("", [Module(_HELLO, "vm=large mem=1G")], mem=128)
    _sentence(text, ["large"], "1 GiB for a VM in a machine of 128 MiB")
    expect(bool(re.search(r"\d+", text)), "no numbers", text)
    huge = _damaged("huge.img", b"\0" * (40 << 20))
    text = _boot("", [Module(_HELLO, "vm=a"), Module(huge, "for=a")], mem=32)
    _sentence(text, ["huge.img"], "a module of 40 MiB in a machine of 32 MiB")
    text = _boot("", [Module(kernel, "vm=linux mem=128M"),
                      Module(_damaged("large.img", b"\0" * (80 << 20)), "for=linux as=initrd")],
                 mem=384)
    _sentence(text, ["large.img"], "an initrd that does not fit")


def tests() -> list[Test]:
    """The runner's refusals, and Casita's."""
    return [
        Test("runner", _by_the_runner, weight=20),
        *(Test(f"words-{engine}", partial(_words, engine), weight=5) for engine in ("qemu", "bochs")),
        Test("casitas-own-words", _casitas_own_words),
        Test("two-vms-of-a-name", _two_vms_of_a_name),
        Test("files", _files, weight=3),
        Test("make-run", _by_make_run, weight=3),
        Test("memory", _memory, weight=5),
    ]

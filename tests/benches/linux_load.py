# SPDX-License-Identifier: BSD-3-Clause
"""A fixed load in Debian's Linux: bare, under Casita, and, as quoted, under Linux KVM.

guests/linux/init.bench is the load. It starts 200 programs, copies 64 MiB and looks at all files, and
prints the time stamp counter between: in QEMU with -icount shift=0, instructions since the machine was
switched on. KVM's figures were measured once, with the same load, kernel version and command line, in
the same emulator: Debian's kernel with kvm-amd below, and Debian's QEMU there.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import cpio
import linux
from common import BUILD, ROOT, CasitaError, scratch_directory
from .measured import MODES, Exits, bare, in_vm, print_exits, print_table

_MEM = 256
_CMDLINE = (
    "console=ttyS0 panic=-1 quiet nokaslr acpi=off noapic nolapic reboot=t tsc=reliable"
    " cryptomgr.notests"
)
_ROWS = {
    "READY: to the first process": ("", "READY"),
    "W1: 200 times fork and exec": ("W1-begin", "W1-end"),
    "W2: 64 MiB of dd": ("W2-begin", "W2-end"),
    "W3: find /": ("W3-begin", "W3-end"),
    "END: all of it": ("", "END"),
}
# Linux KVM, Debian's 6.1.0-56-cloud-amd64, 2026-11-22; in the order of _ROWS, and then exits.
_QUOTED = {
    "KVM npt=1 *": ("914.8", "233.6", "73.3", "7.3", "1235.1", "13,207"),
    "KVM npt=0 *": ("1132.2", "681.0", "79.4", "13.4", "1918.0", "92,959"),
}
_NOTE = """  * quoted, not measured now: another build of the same load, on kernel 6.1.0-56. KVM's figures count from
    where its QEMU starts, not from where the machine is switched on; all others from the latter.
    Bare, the same load took 543.5, 209.9, 71.7, 5.7 and 833.2 then.
  39.8 of what Casita shows at READY and END are no instructions: at its start it sleeps so long, to
    measure its clock, and HLT moves the counter on."""


def _initramfs() -> bytes:
    """As few files as the load needs, and busybox's names, which it counts."""
    linux.initramfs()  # fetches busybox
    busybox = BUILD / "linux" / "busybox-static" / "busybox"
    with scratch_directory() as scratch:
        program = scratch / "busybox"
        program.write_bytes(busybox.read_bytes())
        program.chmod(0o755)
        try:
            names = subprocess.run([program, "--list"], capture_output=True, text=True, check=True)
        except OSError as error:
            raise CasitaError(f"Debian's busybox does not run here: {error}") from None
    archive = cpio.Archive()
    for folder in ("bin", "dev", "proc", "sys", "tmp"):
        archive.directory(folder)
    archive.file("bin/busybox", busybox.read_bytes(), 0o755)
    archive.file("bin/mark", (BUILD / "linux" / "mark").read_bytes(), 0o755)
    for name in sorted(set(names.stdout.split()) - {"busybox"}):
        archive.link(f"bin/{name}", "busybox")
    archive.file("init", (ROOT / "guests" / "linux" / "init.bench").read_bytes(), 0o755)
    archive.character_device("dev/console", 5, 1)
    archive.character_device("dev/null", 1, 3, 0o666)
    archive.character_device("dev/zero", 1, 5, 0o666)
    return archive.bytes()


def _millions(text: str) -> list[str]:
    marks = {m[1]: int(m[2]) for m in re.finditer(r"MARK (\S+) tsc=(\d+)", text)}
    if "END" not in marks:
        raise CasitaError(f"the load did not come to its end: {text[-800:]}")
    return [f"{(marks[end] - marks.get(begin, 0)) / 1e6:.1f}" for begin, end in _ROWS.values()]


def report() -> None:
    """The load's parts in millions of instructions, and its exits."""
    kernel = linux.kernel()
    with scratch_directory() as scratch:
        initrd = scratch / "initramfs"
        initrd.write_bytes(_initramfs())
        native, _ = bare(kernel, _CMDLINE, initrd, _MEM)
        columns = {"bare": [*_millions(native), "-"]}
        exits: dict[str, Exits] = {}
        for mode in MODES:
            text = in_vm(kernel, _CMDLINE, initrd, _MEM, mode)
            exits[mode] = Exits.parse(text)
            columns[mode] = [*_millions(text), f"{exits[mode].total:,}"]
    _print(kernel, columns, exits)


def _print(kernel: Path, columns: dict[str, list[str]], exits: dict[str, Exits]) -> None:
    columns = {**columns, **{name: list(cells) for name, cells in _QUOTED.items()}}
    version = kernel.parent.name.removeprefix("linux-image-")
    rows = [[name, *(c[i] for c in columns.values())] for i, name in enumerate([*_ROWS, "exits"])]
    title = f"Linux {version} with a fixed load, {_MEM} MiB, millions of instructions"
    print_table(title, ["", *columns], rows)
    print(_NOTE)
    print_exits("The same load, from power-on to its end", exits)
    if pool := exits["shadow"].pool:
        print(f"  shadow pages at the end: {pool[0]:,} of a pool of {pool[1]:,}")

# SPDX-License-Identifier: BSD-3-Clause
"""QEMU: boots Multiboot images by itself, modules and all.

The serial line is QEMU's standard input and output. On a terminal QEMU's monitor shares them:
Ctrl-A x leaves, Ctrl-A c talks to the monitor.
"""

from __future__ import annotations

import os
import shutil
import subprocess

from common import CasitaError
from .machine import Boot, End, Machine
from .session import Session, start_process

EXIT_PORT = 0xF4
_PROGRAM = "qemu-system-x86_64"
_IMAGE = "casita.elf"
_STDERR = "qemu.stderr"
_DEBUGCON = "debugcon"
# The time of day that software finds in every run that is to be like the one before.
_FIXED_DATE = "2026-01-01"


def command(boot: Boot, interactive: bool) -> list[str]:
    """QEMU's command line, to be run in the boot's directory."""
    machine = boot.machine
    words = [
        *(_PROGRAM, "-accel", machine.accel, "-cpu", _model(machine), "-m", str(machine.mem)),
        *("-nodefaults", "-no-user-config", "-display", "none"),
        *("-device", f"isa-debug-exit,iobase={EXIT_PORT:#x},iosize=1"),
        *("-debugcon", f"file:{_DEBUGCON}"),
        *("-chardev", f"stdio,id=line,signal=off,mux={'on' if interactive else 'off'}"),
        *("-serial", "chardev:line"),
        *("-kernel", _IMAGE, "-append", boot.cmdline),
    ]
    if interactive:
        words += ["-mon", "chardev=line"]
    if boot.modules:
        words += ["-initrd", ",".join(m.boot_entry.replace(",", ",,") for m in boot.modules)]
    if machine.icount:
        words += ["-icount", "shift=0,sleep=off", "-rtc", f"base={_FIXED_DATE},clock=vm"]
    if machine.gdb_port:
        words += ["-S", "-gdb", f"tcp:127.0.0.1:{machine.gdb_port}"]
    return [*words, *machine.extra]


def _model(machine: Machine) -> str:
    if machine.model:
        return machine.model
    if machine.accel == "kvm":
        return "host"
    if machine.cpu == "intel":
        raise CasitaError("QEMU does not emulate Intel's VMX; add ENGINE=bochs")
    return "max"


class QemuSession(Session):
    """One run of QEMU."""

    def start(self) -> tuple[subprocess.Popen[bytes], int, int]:
        if not shutil.which(_PROGRAM):
            raise CasitaError(f"{_PROGRAM} is not installed; run `make setup`")
        directory = self.boot.directory
        words = command(self.boot, self.interactive)
        self.boot.link_files(_IMAGE)
        line_in, its_stdout = os.pipe()
        its_stdin, line_out = os.pipe()
        with open(directory / _STDERR, "wb") as stderr:
            process = start_process(words, directory, its_stdin, its_stdout, stderr)
        os.close(its_stdin)
        os.close(its_stdout)
        return process, line_in, line_out

    def judge(self, code: int) -> tuple[End, int | None]:
        said = (self.boot.directory / _STDERR).read_text(errors="replace").splitlines()
        errors = [line for line in said if "warning:" not in line]
        if code < 0 or (code == 1 and errors):  # 1 alone is the exit port's way to say 0
            raise CasitaError(f"QEMU failed: {' '.join(errors) or f'signal {-code}'}")
        return (End.EXITED, code >> 1) if code & 1 else (End.LEFT, None)

    def logs(self) -> tuple[bytes, bytes]:
        directory = self.boot.directory
        return (directory / _DEBUGCON).read_bytes(), (directory / _STDERR).read_bytes()

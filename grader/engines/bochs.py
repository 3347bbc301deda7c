# SPDX-License-Identifier: BSD-3-Clause
"""Bochs: boots a disk image that grader/bootdisk.py makes of the Multiboot image and its modules.

Its serial line is a pseudo terminal. It has no display (its VNC server waits for nobody), and its
debugger, always part of Debian's build, is told to continue.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Callable, Iterator

import bootdisk
from common import BUILD, CasitaError
from .machine import Boot, End, Machine
from .session import Session, start_process

_PROGRAM = "bochs-bin"
_MODELS = {"amd": "ryzen", "intel": "corei7_haswell_4770"}
_IMAGE = "casita.elf"
_LOG = "bochs.log"
_STDOUT = "bochs.stdout"
_SHUTDOWN = b"Shutdown port: shutdown requested"
_FAREWELL = b"=" * 72 + b"\nBochs is exiting with the following message:\n"
_LISTENING = b"listening for connections on port"
_DISPLAY_SECONDS = 10.0
_LOG_HEAD = 65536  # its beginning, where that is
_CTRL_A = 0x01
# Instructions a second of the machine's time: about what Bochs reaches; for people, more than that,
# so that the machine's time does not hold it up while it is busy.
_IPS, _IPS_REAL_TIME = 50_000_000, 100_000_000
_FIXED_DATE = 1767225600  # 2026-01-01
# A guest's triple fault is a panic to Bochs before it is an exit to the guest's monitor. Its debugger
# stops then, and is told to continue; this often, so that a machine that is dead comes to an end.
_CONTINUES = 10
_DISK_SECTORS_PER_CYLINDER = 16 * 63

_BOCHSRC = """\
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/vgabios/vgabios.bin
display_library: rfb, options="timeout=0, hideIPS"
megs: {mem}
cpu: model={model}, count=1, ips={ips}, reset_on_triple_fault=0
clock: sync={sync}, time0={time0}
ata0-master: type=disk, path=disk.img, mode=volatile, cylinders={cylinders}, heads=16, spt=63
boot: disk
com1: enabled=1, {line}
port_e9_hack: enabled=1
log: {log}
panic: action=fatal, cpu0=report
speaker: enabled=0
sound: waveoutdrv=dummy, waveindrv=dummy, midioutdrv=dummy
"""


def bochsrc(machine: Machine, disk_bytes: int, line: str) -> str:
    """The configuration file for this machine; `line` is where its serial line leads."""
    text = _BOCHSRC.format(
        mem=machine.mem,
        model=_model(machine),
        ips=_ips(machine),
        sync="slowdown" if machine.real_time else "none",
        time0="utc" if machine.real_time else _FIXED_DATE,
        cylinders=disk_bytes // 512 // _DISK_SECTORS_PER_CYLINDER,
        line=line,
        log=_LOG,
    )
    return text + "".join(f"{line}\n" for line in machine.extra)


def _ips(machine: Machine) -> int:
    return _IPS_REAL_TIME if machine.real_time else _IPS


def _model(machine: Machine) -> str:
    if machine.model:
        return machine.model
    if machine.cpu not in _MODELS:
        raise CasitaError(f"CPU={machine.cpu} is unknown; there are amd and intel")
    return _MODELS[machine.cpu]


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Two Bochs that look for a free port at the same moment may both take the same one and fail."""
    path = Path(tempfile.gettempdir()) / f"casita-bochs-{os.getuid()}.lock"
    lock = os.open(path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def wait_for_display(has_ended: Callable[[], bool], directory: Path) -> None:
    """Until its display has its port, or it has failed."""
    deadline, log = time.monotonic() + _DISPLAY_SECONDS, directory / _LOG
    while not has_ended() and time.monotonic() < deadline:
        if log.exists():
            with open(log, "rb") as file:
                if _LISTENING in file.read(_LOG_HEAD):
                    return
        time.sleep(0.005)


def write_files(boot: Boot, line: str) -> list[str]:
    """Write all that Bochs reads into the boot's directory, and give its command line."""
    if not shutil.which(_PROGRAM):
        raise CasitaError(f"{_PROGRAM} is not installed; run `make setup`")
    directory = boot.directory
    disk = directory / "disk.img"
    _build_disk(boot, disk)
    (directory / "bochsrc").write_text(bochsrc(boot.machine, disk.stat().st_size, line))
    (directory / "commands").write_text("continue\n" * _CONTINUES + "quit\n")
    return [_PROGRAM, "-q", "-f", "bochsrc", "-rc", "commands"]


def _build_disk(boot: Boot, disk: Path) -> None:
    boot.link_files(_IMAGE)
    modules = [(boot.directory / m.boot_name, m.boot_entry) for m in boot.modules]
    loader = BUILD / "bootdisk.bin"
    try:
        bootdisk.build_disk(disk, boot.directory / _IMAGE, boot.cmdline, modules, loader)
    except (bootdisk.BootdiskError, OSError) as error:
        raise CasitaError(f"no disk for Bochs to boot from: {error}") from None


def ended_itself(code: int | None, stdout: bytes) -> bool:
    """Did the software in the machine end its run?"""
    return code == 1 and _SHUTDOWN in stdout


class BochsSession(Session):
    """One run of Bochs."""

    def __init__(self, boot: Boot, keyboard: bool) -> None:
        super().__init__(boot, keyboard)
        self._escape = False

    def start(self) -> tuple[subprocess.Popen[bytes], int, int]:
        directory = self.boot.directory
        # Our copy of its side stays open, so that ours has an other side before Bochs opens it.
        ours, self._theirs = os.openpty()
        words = write_files(self.boot, f"mode=term, dev={os.ttyname(self._theirs)}")
        with open(directory / _STDOUT, "wb") as stdout, open(os.devnull, "rb") as stdin:
            with one_at_a_time():
                process = start_process(words, directory, stdin, stdout, stdout)
                wait_for_display(lambda: process.poll() is not None, directory)
        return process, ours, ours

    def close(self) -> None:
        os.close(self._theirs)

    def judge(self, code: int) -> tuple[End, int | None]:
        stdout = (self.boot.directory / _STDOUT).read_bytes()
        if ended_itself(code, stdout):
            return End.EXITED, None
        said = stdout.decode(errors="replace").splitlines()
        reasons = [line for line in said if line.startswith("[") and "]" in line]
        raise CasitaError(f"Bochs failed: {' '.join(reasons) or f'exit status {code}'}")

    def logs(self) -> tuple[bytes, bytes]:
        directory = self.boot.directory
        log = directory / _LOG
        stdout = (directory / _STDOUT).read_bytes()
        return _debugcon(stdout), log.read_bytes() if log.exists() else b""

    def machine_seconds(self) -> float | None:
        """From the last place where the debugger stopped: "(0).[ticks] …"."""
        stops = re.findall(rb"^\(0\)\.\[(\d+)\]", (self.boot.directory / _STDOUT).read_bytes(), re.M)
        return int(stops[-1]) / _ips(self.boot.machine) if stops else None

    def translate(self, typed: bytes) -> bytes | None:
        """Ctrl-A x leaves, as in QEMU; Ctrl-A twice sends one."""
        if not self.interactive:
            return typed
        out = bytearray()
        for byte in typed:
            if self._escape:
                self._escape = False
                if byte in b"xX":
                    return None
                if byte == _CTRL_A:
                    out.append(byte)
            elif byte == _CTRL_A:
                self._escape = True
            else:
                out.append(byte)
        return bytes(out)


def _debugcon(stdout: bytes) -> bytes:
    """What the machine wrote to port 0xe9: between the debugger's first prompt and the farewell."""
    _, _, text = stdout.partition(b"\nNext at t=0\n")
    _, _, text = text.partition(b"\n")
    return text.rpartition(_FAREWELL)[0]

#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""`make run`: boots a guest in a VM in Casita in QEMU or Bochs.

What to boot and how comes in the environment, each variable of `make run` under the prefix CASITA_,
so that no quoting can change it: CASITA_RUN, CASITA_GUEST, and so on. The Makefile sees to that.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import sys
from dataclasses import dataclass, fields
from pathlib import Path

import linux
from common import BUILD, ROOT, CasitaError, parse_size, run_main, scratch_directory
from engines import Echo, End, Machine, Module, Outcome, boot, echo_to_stdout
from engines.accel import choose as choose_accel

_CASITA = BUILD / "casita.elf"
_GUESTS = BUILD / "guests"
_GDB_COMMANDS = ROOT / "grader" / "gdb" / "load.py"
_MIB = 1 << 20
_DEFAULT_MEM = {"linux": "256M", "guest": "64M"}
# Memory for Casita itself, its tables and the firmware, beside the guest's and the files.
_HOST_SLACK = 64 * _MIB
# From here on QEMU's PC leaves a hole below 4 GiB, and memory is in two pieces.
_LOW_MEMORY = 3072 * _MIB

# Casita's last word about a VM.
_VERDICT = re.compile(
    rb"^casita: (?P<vm>[\w-]+): (?:exited with status (?P<status>\d+)|(?P<other>"
    rb"powered off[^\r\n]*|reset|triple fault[^\r\n]*|stopped: [^\r\n]*))\r?$",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Options:
    """The variables of `make run`, as they were typed."""

    run: str = ""
    guest: str = ""
    kernel: str = ""
    initrd: str = ""
    append: str = ""
    mem: str = ""
    cpu: str = ""
    engine: str = ""
    paging: str = ""
    accel: str = ""
    bochs_cpu: str = ""
    exits: str = ""
    gdb: str = ""
    timeout: str = ""
    disk: str = ""

    @classmethod
    def from_environment(cls) -> Options:
        """Read them; a variable that is not set is empty."""
        names = [field.name for field in fields(cls)]
        return cls(**{name: os.environ.get(f"CASITA_{name.upper()}", "") for name in names})

    def check(self) -> None:
        """Refuse what cannot be meant."""
        _one_of("ENGINE", self.engine, ("qemu", "bochs"))
        _one_of("CPU", self.cpu, ("amd", "intel"))
        _one_of("PAGING", self.paging, ("nested", "shadow", "vtlb", "none"))
        _one_of("ACCEL", self.accel, ("tcg", "kvm"))
        _one_of("EXITS", self.exits, ("0", "1"))
        if self.timeout and not re.fullmatch(r"[1-9][0-9]*", self.timeout):
            raise CasitaError(f"TIMEOUT={self.timeout} is not a number of seconds")
        if self.guest and self.run:
            raise CasitaError("RUN= gives Linux commands to run; leave out GUEST=")
        if self.guest and self.kernel:
            raise CasitaError("GUEST= and KERNEL= both name what to boot; leave one out")
        if self.run and self.initrd:
            raise CasitaError("RUN= needs Casita's own initramfs; leave out INITRD=")
        if self.disk:
            raise CasitaError("DISK= needs a disk, and this Casita has no disk device yet")


def _one_of(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value and value not in choices:
        raise CasitaError(f"{name}={value} is unknown; there are {' and '.join(choices)}")


def _file(name: str, value: str) -> Path:
    path = Path(value).expanduser()
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "is not there"
        raise CasitaError(f"{name}={value}: the file {what}")
    return path


# ---- the guest -----------------------------------------------------------------------------------


def _modules(options: Options, scratch: Path) -> tuple[str, list[Module]]:
    """The VM's name, and the boot modules that describe it; see src/vmm/config.h."""
    if options.guest == "none":
        return "", []
    if options.guest:
        path = _guest_path(options.guest)
        default_mem, kernel_words, initrd, initrd_as = "guest", options.append, None, "module"
    else:
        default_mem, initrd_as = "linux", "initrd"
        path, initrd = _linux_files(options, scratch)
        kernel_words = f"{linux.KERNEL_CMDLINE} {options.append}".rstrip()
    if options.initrd:
        initrd = _file("INITRD", options.initrd)
    name = _vm_name(path) if options.guest else "linux"
    words = [f"vm={name}", f"mem={options.mem or _DEFAULT_MEM[default_mem]}"]
    if options.paging:
        words.append(f"paging={options.paging}")
    modules = [Module(path, " ".join([*words, "--", kernel_words]).rstrip())]
    if initrd:
        modules.append(Module(initrd, f"for={name} as={initrd_as}"))
    return name, modules


def _vm_name(path: Path) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "_", path.stem)[:15] or "guest"


def _guest_path(guest: str) -> Path:
    built = _GUESTS / f"{guest}.elf"
    if built.is_file():
        return built
    path = Path(guest).expanduser()
    if path.is_file():
        return path
    if "/" in guest:
        raise CasitaError(f"GUEST={guest}: the file is not there")
    names = " ".join(sorted(p.stem for p in _GUESTS.glob("*.elf"))) or "none"
    raise CasitaError(f"GUEST={guest}: no guest of that name is built; there are: {names}")


def _linux_files(options: Options, scratch: Path) -> tuple[Path, Path | None]:
    kernel = _file("KERNEL", options.kernel) if options.kernel else linux.kernel()
    if options.initrd:
        return kernel, None
    terminal = shutil.get_terminal_size() if os.isatty(0) and os.isatty(1) else None
    userland = linux.initramfs().read_bytes()
    initrd = scratch / "initramfs"
    initrd.write_bytes(linux.with_commands(userland, options.run, terminal))
    return kernel, initrd


# ---- the machine ---------------------------------------------------------------------------------


def _machine(options: Options, modules: list[Module]) -> Machine:
    engine, cpu = options.engine or "qemu", options.cpu or "amd"
    accel = options.accel or choose_accel(cpu)[0]
    return Machine(
        engine=engine,
        cpu=cpu,
        mem=-(-_host_memory(modules) // _MIB),
        accel="tcg" if options.gdb else accel,
        model=options.bochs_cpu if engine == "bochs" else "",
        gdb_port=_free_port() if options.gdb else 0,
        real_time=os.isatty(0),
    )


def _host_memory(modules: list[Module]) -> int:
    """Bytes of memory for a machine in which Casita can give its VMs what they ask for."""
    sizes = re.findall(r"(?:^| )mem=(\S+)", " ".join(m.words.partition(" --")[0] for m in modules))
    guests = sum(parse_size(size, "MEM") for size in sizes)
    total = guests + sum(m.path.stat().st_size for m in modules) + _HOST_SLACK
    return total if total <= _LOW_MEMORY else _LOW_MEMORY + guests + _HOST_SLACK


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _invite_gdb(port: int) -> None:
    script = BUILD / "gdbinit"
    lines = [f"file {BUILD}/casita.elf64", f"source {_GDB_COMMANDS}", f"target remote 127.0.0.1:{port}"]
    script.write_text("\n".join(lines) + "\n")
    print(f"waiting for GDB; in another terminal: gdb -x {script}", flush=True)


# ---- the end -------------------------------------------------------------------------------------


def _plain_newlines() -> Echo:
    """An Echo for files and pipes: the serial line's CR LF becomes LF."""
    held = b""

    def echo(data: bytes) -> None:
        nonlocal held
        data = held + data
        held = b"\r" if data.endswith(b"\r") else b""
        echo_to_stdout(data[: len(data) - len(held)].replace(b"\r\n", b"\n"))

    return echo


def _guest_status(name: str, outcome: Outcome, commands: bool) -> int | None:
    """The N of `guest exit status N`; None if Casita ended without a word about the VM."""
    verdict = None
    for match in _VERDICT.finditer(outcome.serial):
        if match["vm"] == name.encode():
            verdict = match
    if verdict is None:
        return None
    if verdict["status"] is not None:
        return int(verdict["status"])
    if verdict["other"].startswith(b"powered off"):
        return 0
    if verdict["other"] == b"reset" and not commands:  # with commands, it may have been a panic
        return 0
    return outcome.status or 1


def main() -> int:
    """Boot it, and report how the guest ended."""
    options = Options.from_environment()
    options.check()
    if not _CASITA.is_file():
        raise CasitaError(f"{_CASITA.relative_to(ROOT)} has not been built; run `make`")
    with scratch_directory() as scratch:
        name, modules = _modules(options, scratch)
        machine = _machine(options, modules)
        if machine.gdb_port:
            _invite_gdb(machine.gdb_port)
        outcome = boot(
            machine,
            _CASITA,
            "exits" if options.exits == "1" else "",
            modules,
            scratch,
            keyboard=True,
            echo=echo_to_stdout if os.isatty(1) else _plain_newlines(),
            timeout=float(options.timeout) if options.timeout else None,
        )
    if outcome.serial and not outcome.serial.endswith(b"\n"):
        print(flush=True)
    if outcome.end is End.LEFT:
        return 1 if options.run else 0
    if outcome.end is End.TIMEOUT:
        raise CasitaError(f"the guest had not ended after TIMEOUT={options.timeout} seconds")
    if not modules:
        return 0  # Casita alone: it has said what it had to say
    status = _guest_status(name, outcome, commands=bool(options.run))
    if status is None:
        raise CasitaError("the guest did not run to its end; Casita's last lines say why")
    print(f"guest exit status {status}", flush=True)
    return status


if __name__ == "__main__":
    run_main(main)

# SPDX-License-Identifier: BSD-3-Clause
"""What was seen from outside: QEMU's log of entries and exits, and what count.c counted.

Nothing that runs in the machine can write either file. Both are read as bytes and split at \\n
only.

**Under Casita**, `-d in_asm` lets QEMU 7.2 log one line at each VMRUN and one at each exit:

    vmrun! 000000000017b000
    vmexit(0000007b, 00000000ca010010, 000000000200864a, 0000000002008649)!

`-dfilter` with a range where there is no code keeps everything else out that in_asm would print,
the listing of the code with its symbol names above all. So a log holds nothing but these two kinds
of line, and `Injecting(0x800): EXEPT`, without a line's end, in front of the exit that follows an
injected event.

**Bare**, an OUT is seen through `-d trace:memory_region_ops_write`. (There is an event `cpu_out`,
but TCG does not go through it.) QEMU has a region for floating ports too, named io:

    memory_region_ops_write cpu 0 mr 0x563b6d7046e0 addr 0xca01 value 0x0 size 1 name 'io'

**Counts.** count.c counts the instructions of the guest's image. Their number in a VM is exactly
their number bare: an instruction that exits is counted once, though it did not complete, because
the monitor steps over it. (Measured: 185,208 and 185,208 for guests/cpuid.c with 1,941 exits.) The
exceptions are string I/O, where bare QEMU counts each element: count.c leaves those instructions
out; and an instruction that faults and is then run again, as for a page fault that the monitor
mends, which `Trace.restarts` counts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Iterable

from common import CasitaError

NOWHERE = -1  # in place of a RIP that is not known
PORT_NIBBLE = 0xCA00
PORT_EXIT = 0xF4

EXIT_PF, EXIT_HLT, EXIT_IOIO, EXIT_SHUTDOWN, EXIT_NPF = 0x4E, 0x78, 0x7B, 0x7F, 0x400
_IOIO_IN, _IOIO_STRING, _IOIO_REP = 0x1, 0x4, 0x8
_INVALID = 0xFFFFFFFF

_EVENT = re.compile(
    rb"^(?:vmrun! ([0-9a-f]{16})"
    rb"|(?:Injecting\((?:0|0x[0-9a-f]+)\): (?:NMI|EXEPT|SOFT))?"
    rb"vmexit\(([0-9a-f]{8}), ([0-9a-f]{16}), ([0-9a-f]{16}), ([0-9a-f]{16})\)!)$",
    re.M,
)
_WRITE = re.compile(
    rb"^memory_region_ops_write cpu \d+ mr 0x[0-9a-f]+ "
    rb"addr 0x([0-9a-f]+) value 0x([0-9a-f]+) size \d name '(.*)'$",
    re.M,
)

_IO = re.compile(rb"^io ([0-9a-f]+) ([0-9]+)$", re.M)

# Names of exit codes: APM vol. 2, appendix C.
_NAMES = {
    0x60: "interrupt", 0x61: "NMI", 0x62: "SMI", 0x63: "INIT", 0x64: "interrupt window",
    0x6E: "RDTSC", 0x6F: "RDPMC", 0x70: "PUSHF", 0x71: "POPF", 0x72: "CPUID", 0x73: "RSM",
    0x74: "IRET", 0x75: "INT n", 0x76: "INVD", 0x77: "PAUSE", 0x78: "HLT", 0x79: "INVLPG",
    0x7A: "INVLPGA",
    0x7B: "port", 0x7C: "MSR", 0x7D: "task switch", 0x7E: "FERR", 0x7F: "shutdown (triple fault)",
    0x80: "VMRUN", 0x81: "VMMCALL", 0x82: "VMLOAD", 0x83: "VMSAVE", 0x84: "STGI", 0x85: "CLGI",
    0x86: "SKINIT", 0x87: "RDTSCP", 0x88: "ICEBP", 0x89: "WBINVD", 0x8A: "MONITOR", 0x8B: "MWAIT",
    0x8D: "XSETBV", 0x8E: "RDPRU", 0x400: "nested page fault", _INVALID: "VMRUN refused the VMCB",
}  # fmt: skip


# APM vol. 2 §8.4.2, §15.25.6
_PF_BITS = {0: "present", 1: "write", 2: "user", 3: "reserved bit", 4: "fetch"}
_NPF_BITS = {1: "write", 3: "reserved bit", 4: "fetch", 33: "on the way through the guest's tables"}


@dataclass(frozen=True)
class Exit:
    """One exit, as the log has it."""

    code: int
    info1: int
    info2: int
    rip: int

    @property
    def is_io(self) -> bool:
        """Is it IN, OUT, INS or OUTS?"""
        return self.code == EXIT_IOIO

    @property
    def is_string(self) -> bool:
        """Is it INS or OUTS, if it is I/O?"""
        return bool(self.info1 & _IOIO_STRING)

    @property
    def port(self) -> int:
        """The port, if it is I/O."""
        return self.info1 >> 16 & 0xFFFF

    @property
    def is_out(self) -> bool:
        """A plain OUT?"""
        return self.is_io and not self.info1 & (_IOIO_IN | _IOIO_STRING)

    @property
    def ends(self) -> bool:
        """Does it write to the exit port, by OUT or OUTS?"""
        return self.is_io and not self.info1 & _IOIO_IN and self.port == PORT_EXIT

    @property
    def nibble(self) -> int | None:
        """What the guest says by it, if it is part of an answer."""
        return self.port & 15 if self.is_out and self.port >> 4 == PORT_NIBBLE >> 4 else None

    def __str__(self) -> str:
        said = self.name if self.rip == NOWHERE else f"{self.name} at {self.rip:#x}"
        return f"{said} ({', '.join(self._why)})" if self._why else said

    @property
    def _why(self) -> list[str]:
        """The error code of a fault in words. Of a nested one QEMU's "present" bit is not right."""
        bits = {EXIT_PF: _PF_BITS, EXIT_NPF: _NPF_BITS}.get(self.code, {})
        return [word for bit, word in bits.items() if self.info1 >> bit & 1]

    @property
    def name(self) -> str:
        """What happened, for a person."""
        code = self.code
        if self.is_io:
            what = "IN" if self.info1 & _IOIO_IN else "OUT"
            if self.info1 & _IOIO_STRING:
                what = ("REP " if self.info1 & _IOIO_REP else "") + what + "S"
            return f"{what}, {(self.info1 >> 4 & 7) * 8} bits, port {self.port:#x}"
        if code < 0x20:
            return f"{'write to' if code & 0x10 else 'read of'} CR{code & 0xf}"
        if code < 0x40:
            return f"{'write to' if code & 0x10 else 'read of'} DR{code & 0xf}"
        if code == EXIT_PF:
            return f"#PF, error {self.info1:#x}, address {self.info2:#x}"
        if 0x40 <= code < 0x60:
            return f"exception {code - 0x40}"
        if code == 0x7C:
            return "WRMSR" if self.info1 else "RDMSR"
        if code == EXIT_NPF:
            return f"nested page fault, error {self.info1:#x}, guest physical {self.info2:#x}"
        return _NAMES.get(code, f"exit code {code:#x}")


@dataclass(frozen=True)
class Run:
    """From one VMRUN to its exit."""

    vmcb: int  # host physical
    exit: Exit | None  # None: the machine's run ended while the guest ran
    nested: bool | None = None  # with nested paging? None: the engine does not tell


@dataclass(frozen=True)
class Trace:
    """All entries and exits of a machine's run, in order."""

    runs: tuple[Run, ...]

    @property
    def exits(self) -> list[Exit]:
        """All exits."""
        return [run.exit for run in self.runs if run.exit is not None]

    @property
    def vmcbs(self) -> list[int]:
        """The control blocks, in the order of their first use."""
        return list(dict.fromkeys(run.vmcb for run in self.runs))

    def of(self, vmcb: int) -> "Trace":
        """What belongs to one control block."""
        return Trace(tuple(run for run in self.runs if run.vmcb == vmcb))

    @property
    def restarts(self) -> int:
        """How many exits there were that may have let an instruction start over."""
        return sum(exit.code in (EXIT_PF, EXIT_NPF) for exit in self.exits)


def parse_trace(log: bytes) -> Trace:
    """Read QEMU's log; of a log that was cut off, as far as it goes."""
    runs: list[Run] = []
    vmcb: int | None = None
    for match in _EVENT.finditer(log):
        entry, *fields = match.groups()
        if entry is not None:
            if vmcb is not None:
                runs.append(Run(vmcb, None))
            vmcb = int(entry, 16)
        elif vmcb is not None:
            runs.append(Run(vmcb, Exit(*(int(field, 16) for field in fields))))
            vmcb = None
    if vmcb is not None:
        runs.append(Run(vmcb, None))
    return Trace(tuple(runs))


@dataclass(frozen=True)
class BareRun:
    """What a guest that ran bare wrote to ports that matter here."""

    nibbles: tuple[int, ...]
    status: int | None  # what it wrote to the exit port


def parse_bare(log: bytes) -> BareRun:
    """Read the trace of a guest that ran without a monitor."""
    nibbles, status = [], None
    for address, value, name in _WRITE.findall(log):
        port = int(address, 16)
        if name == b"io" and port >> 4 == PORT_NIBBLE >> 4:
            nibbles.append(port & 15)
        elif name == b"isa-debug-exit":
            status = int(value, 16)
    return BareRun(tuple(nibbles), status)


@dataclass(frozen=True)
class Counts:
    """What count.c wrote."""

    why: str  # "exit", or the limit: "instructions", "entries", …; empty: QEMU was killed
    total: int = 0
    entries: int = 0
    guest: int = 0  # instructions while a guest ran
    image: int = 0  # those of them in the guest's image
    outside: int = 0  # instructions of the image while no guest ran
    blocks: int = 0  # that QEMU translated
    foreign: int = 0  # instructions in the image's place that are not the image's
    strays: int = 0  # instructions of the image that were translated elsewhere
    # Each IN and OUT of the image: its address, and the instructions of the image up to it.
    io: tuple[tuple[int, int], ...] = ()


def parse_counts(text: bytes) -> Counts:
    """Read count.c's file; without its last line there is nothing to rely on."""
    last = text.rstrip(b"\n").rpartition(b"\n")[2].split(b" ")
    if len(last) != 10 or last[0] != b"end" or not text.endswith(b"\n"):
        return Counts("")
    io = tuple((int(address, 16), int(count)) for address, count in _IO.findall(text))
    return Counts(last[1].decode("ascii", "replace"), *(int(word) for word in last[2:]), io=io)


def read(path: Path) -> bytes:
    """A file's bytes; none if there is no such file."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise CasitaError(f"{path} cannot be read: {error.strerror}") from None


def nibbles_of(exits: Iterable[Exit]) -> tuple[int, ...]:
    """The nibbles that these exits answer."""
    found = (exit.nibble for exit in exits)
    return tuple(nibble for nibble in found if nibble is not None)

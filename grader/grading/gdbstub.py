# SPDX-License-Identifier: BSD-3-Clause
"""Talks to QEMU as a debugger does: stops the machine's processor, and reads registers.

The remote serial protocol of GDB, as far as QEMU 7.2 speaks it: `$packet#checksum`, each acknowledged by
`+`. A breakpoint stands at a virtual address. Nothing of this is to be seen from inside the machine, and
while it is stopped no time passes there (-icount).

The line is one end of a socket pair whose other end QEMU has from its start: there is no name, and no
port, that anybody else could connect to. The machine's memory is not asked for over it: it is a file
without a name that QEMU and we have mapped, both (machine.py).
"""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass

from common import CasitaError

_PACKET = re.compile(rb"\$([^#]*)#[0-9a-fA-F]{2}")
_GPRS = ("rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", *(f"r{n}" for n in range(8, 16)))
# What "g" answers for x86-64, as far as it is of use here: offset and size.
_PLACES = {
    **{name: (8 * index, 8) for index, name in enumerate((*_GPRS, "rip"))},
    **{"eflags": (136, 4), "cs": (140, 4)},
    **{"fs_base": (164, 8), "gs_base": (172, 8), "kernel_gs_base": (180, 8)},
    **{"cr0": (188, 8), "cr2": (196, 8), "cr3": (204, 8), "cr4": (212, 8), "efer": (228, 8)},
}

_LEGACY = range(0xA0000, 0x100000)  # where the processor finds the display's memory and the firmware
_MOST = 1 << 20  # bytes that may be under way; an answer has a thousand

_NUMBERS = {name: number for number, name in enumerate((*_GPRS, "rip", "eflags"))}  # GDB's


class Ended(Exception):
    """The machine has come to its end, and QEMU with it."""


@dataclass(frozen=True)
class Registers:
    """The processor's, at a stop."""

    raw: bytes  # as QEMU wants them back

    def __getitem__(self, name: str) -> int:
        at, size = _PLACES[name]
        return int.from_bytes(self.raw[at : at + size], "little")


class Stub:
    """QEMU's side of the line. It waits for us (-S) until the first go()."""

    def __init__(self, line: socket.socket, memory: memoryview) -> None:
        self._line = line
        self._memory = memory
        self._heard = b""
        self._asked_for_names = False
        self._stops: set[int] = set()  # QEMU would have one twice

    def _ask(self, packet: str) -> str:
        """Send a packet; what is answered."""
        data = packet.encode("ascii")
        try:
            self._line.sendall(b"$%b#%02x" % (data, sum(data) & 0xFF))
            while not (match := _PACKET.search(self._heard)):
                more = self._line.recv(1 << 16)
                if not more:
                    raise Ended
                self._heard += more
                if len(self._heard) > _MOST:
                    raise ValueError("what QEMU's stub says has no end")
            self._heard = self._heard[match.end() :]
            self._line.sendall(b"+")
        except OSError:
            raise Ended from None
        return match[1].decode("ascii", "replace")

    def read(self, address: int, size: int) -> bytes:
        """Physical memory; where there is none, ones."""
        if not self.has(address, size):
            return b"\xff" * size
        return bytes(self._memory[address : address + size])

    def has(self, address: int, size: int) -> bool:
        """Is there memory, and the processor finds the same there as we do?"""
        end = address + size
        there = 0 <= address and end <= len(self._memory)
        return there and (end <= _LEGACY.start or _LEGACY.stop <= address)

    def write(self, address: int, data: bytes) -> None:
        """To physical memory; where there is none, it is lost."""
        if self.has(address, len(data)):
            self._memory[address : address + len(data)] = data

    def registers(self) -> Registers:
        """All of them."""
        return Registers(bytes.fromhex(self._ask("g")))

    def set(self, **values: int) -> None:
        """Change some registers, to values modulo their size."""
        if not self._asked_for_names:  # QEMU refuses before
            self._asked_for_names = bool(self._ask("qXfer:features:read:target.xml:0,ffb"))
        for name, value in values.items():
            at, size = _PLACES[name]
            raw = (value % 256**size).to_bytes(size, "little")
            if self._ask(f"P{_NUMBERS[name]:x}={raw.hex()}") != "OK":
                raise CasitaError(f"QEMU's stub does not set {name}")

    def restore(self, registers: Registers) -> None:
        """General registers, RIP and flags are as they were."""
        self.set(**{name: registers[name] for name in _NUMBERS})

    def stop_at(self, address: int) -> None:
        """From now on the processor stops in front of the instruction there."""
        if address not in self._stops:
            self._stops.add(address)
            self._ask(f"Z1,{address:x},1")

    def pass_by(self, address: int) -> None:
        """It does not stop there any more."""
        if address in self._stops:
            self._stops.remove(address)
            self._ask(f"z1,{address:x},1")

    def step(self) -> None:
        """Let it execute one instruction."""
        self._until_stop("s")

    def go(self) -> None:
        """Let it run until it stops. Raises Ended."""
        self._until_stop("c")

    def _until_stop(self, packet: str) -> None:
        if self._ask(packet)[:1] not in "TS":
            raise Ended  # W: QEMU exits

    def let_go(self) -> None:
        """Let it run on, and stop it no more; return when the machine has come to its end."""
        try:
            self._ask("D")
            while self._line.recv(1 << 16):
                pass
        except (Ended, OSError):
            pass

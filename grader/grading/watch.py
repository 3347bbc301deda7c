# SPDX-License-Identifier: BSD-3-Clause
"""Looks at every VMRUN of a run in QEMU: at what the processor is told there, which no log has.

An emulator forgives: QEMU forgets its TLB at every exit, raises no #MC, reads no attributes of LDTR. What
a real processor would hold against a monitor is there to be read all the same, in the VMCB and in the page
tables that it names, at the moment of the VMRUN. So the machine is stopped at each, by its debugger's stub
(gdbstub.py), and again behind it, after the exit:

    VMRUN in the image ──stop──> entering(): the VMCB, the host's registers, memory
    the next instruction ──stop──> left(): the VMCB after the exit

What is looked for is said by a test's option `watch`, a list of names in CHECKS. The first thing that is
wrong is kept; the machine then runs on to its end, unwatched, so that its log is whole.

VMRUNs are found in the image as it is handed to QEMU. Who executes one elsewhere is not stopped there; so
the judge compares their number with the log's.
"""

from __future__ import annotations

import re
import socket
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Mapping, Sequence

from common import CasitaError
from .gdbstub import Ended, Registers, Stub
from .vmcb import Vmcb

_PAGE = 0x1000
_VMRUN = b"\x0f\x01\xd8"
_ELF32 = b"\x7fELF\x01"
_PT_LOAD = 1
_MOST_PLACES = 64  # as count.c


@dataclass(frozen=True)
class Entry:
    """One VMRUN; the machine is stopped in front of it."""

    number: int  # from 1
    vmcb: Vmcb
    host: Registers
    stub: Stub  # for memory


class Check:
    """Something that is to be so at every VMRUN. A new one for each run."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        """`options`: the test's."""

    def entering(self, entry: Entry) -> str:
        """What is wrong in front of a VMRUN; empty: nothing."""
        del entry
        return ""


@dataclass(frozen=True)
class Watched:
    """What came of it."""

    entries: int  # at which the machine was stopped; all of them, if nothing was wrong
    complaint: str = ""  # the first thing that was wrong
    at: int = 0  # and the number of the VMRUN


class Watch:
    """Watches one run. follow() is for a thread of its own; the result is there when it has ended."""

    def __init__(self, image: Path, checks: Sequence[Check]) -> None:
        self._places = vmruns(image.read_bytes())
        self._checks = checks
        self._host_cr3: int | None = None
        self._entries = 0
        self.result = Watched(0)
        self.trouble: BaseException | None = None  # of ours

    def follow(self, line: socket.socket, memory: memoryview) -> None:
        """From the machine's start to its end."""
        with line, memory:
            try:
                self._follow(Stub(line, memory))
            except Ended:
                pass
            except BaseException as error:  # pylint: disable=broad-except
                self.trouble = error
        if not self.result.complaint:
            self.result = Watched(self._entries)

    def _follow(self, stub: Stub) -> None:
        if len(self._places) > _MOST_PLACES:
            self.result = Watched(0, f"the bytes of a VMRUN are in {len(self._places)} places of the image.")
            stub.let_go()
            return
        self._stop_at_vmruns(stub, True)
        while True:
            host = self._next_vmrun(stub)
            self._entries += 1
            entry = Entry(self._entries, Vmcb.read(stub, host["rax"]), host, stub)
            self._stop_at_vmruns(stub, False)
            if self._is_wrong(entry):
                stub.let_go()
                return
            behind = host["rip"] + len(_VMRUN)
            stub.stop_at(behind)
            stub.go()
            stub.pass_by(behind)
            self._stop_at_vmruns(stub, True)

    def _next_vmrun(self, stub: Stub) -> Registers:
        """Run up to one. A guest may have other code at such an address: it has other tables."""
        while True:
            stub.go()
            host = stub.registers()
            if self._host_cr3 is None:
                self._host_cr3 = host["cr3"]
            if host["cr3"] == self._host_cr3 and host["rip"] in self._places:
                return host
            self._stop_at_vmruns(stub, False)
            stub.step()
            self._stop_at_vmruns(stub, True)

    def _stop_at_vmruns(self, stub: Stub, stop: bool) -> None:
        for place in self._places:
            (stub.stop_at if stop else stub.pass_by)(place)

    def _is_wrong(self, entry: Entry) -> bool:
        if entry.stub.has(entry.vmcb.address, _PAGE):
            complaint = next(filter(None, (check.entering(entry) for check in self._checks)), "")
        else:
            complaint = f"RAX, the address of the VMCB, is {entry.vmcb.address:#x}: there is no memory."
        if complaint:
            self.result = Watched(self._entries, complaint, entry.number)
        return bool(complaint)


def vmruns(image: bytes) -> list[int]:
    """Where VMRUN, or something with its bytes, stands in an image (ELF, 32 bits)."""
    if not image.startswith(_ELF32):
        raise CasitaError("the image is no ELF file of 32 bits")
    try:
        offset, count = struct.unpack_from("<I", image, 28)[0], struct.unpack_from("<H", image, 44)[0]
        found = []
        for index in range(count):
            kind, at, address, _, size = struct.unpack_from("<5I", image, offset + 32 * index)
            if kind == _PT_LOAD:
                part = image[at : at + size]
                found += [address + match.start() for match in re.finditer(re.escape(_VMRUN), part)]
    except struct.error:
        raise CasitaError("the image is an ELF file that has been cut off") from None
    return sorted(set(found))

# SPDX-License-Identifier: BSD-3-Clause
"""Looks at every VMRUN of a run in QEMU: at what the processor is told there, which no log has.

An emulator forgives: QEMU forgets its TLB at every exit, raises no #MC, reads no attributes of LDTR. What
a real processor would hold against a monitor is there to be read all the same, in the VMCB and in the page
tables that it names, at the moment of the VMRUN. So the machine is stopped at each, by its debugger's
stub (gdbstub.py), and again where the exit ends, to put the breakpoint back:

    VMRUN in the image          Check.entering(): the VMCB, the host's registers, memory
    the next instruction        on with it

A check can also stop in functions of the monitor's, and call them (monitor.py).

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
from .monitor import Monitor, Unreturned
from .symbols import NoSymbol
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

    def begin(self, monitor: Monitor) -> None:
        """Before the machine starts: stops in the monitor's functions may be asked for."""
        del monitor

    def entering(self, entry: Entry) -> str:
        """What is wrong in front of a VMRUN; empty: nothing."""
        del entry
        return ""

    def unasked(self) -> str:
        """At the machine's end: what never came, so that it could not be looked at; empty: nothing."""
        return ""


@dataclass(frozen=True)
class Watched:
    """What came of it."""

    entries: int  # at which the machine was stopped; all of them, if nothing was wrong
    complaint: str = ""  # the first thing that was wrong
    at: int = 0  # and the number of the VMRUN, or of the one before
    meddled: bool = False  # a function was called for it: what came afterwards counts for nothing
    unreturned: bool = False  # and the machine ended in it


class Watch:
    """Watches one run. follow() is for a thread of its own; the result is there when it has ended."""

    def __init__(self, image: Path, checks: Sequence[Check], symbols: Path | None = None) -> None:
        """`symbols`: the image with its symbols, for checks that ask for names."""
        self._places = vmruns(image.read_bytes())
        self._checks = checks
        self._symbols = symbols or image
        self._host_cr3: int | None = None
        self._entries = 0
        self.result = Watched(0)
        self.trouble: BaseException | None = None  # of ours

    def follow(self, line: socket.socket, memory: memoryview) -> None:
        """From the machine's start to its end."""
        with line, memory:
            stub = Stub(line, memory)
            try:
                self._follow(stub)
            except Ended:
                pass
            except NoSymbol as error:
                self._complain(str(error), meddled=True)
            except Unreturned as error:
                self.result = Watched(self._entries, str(error), self._entries, True, True)
            except BaseException as error:  # pylint: disable=broad-except
                self.trouble = error
            if not self.result.complaint:
                unasked = next(filter(None, (check.unasked() for check in self._checks)), "")
                self.result = Watched(self._entries, unasked)
            stub.let_go()

    def _complain(self, complaint: str, meddled: bool = False) -> None:
        self.result = Watched(self._entries, complaint, self._entries, meddled)

    def _follow(self, stub: Stub) -> None:
        """Until the end, or until something is wrong."""
        if len(self._places) > _MOST_PLACES:
            self._complain(f"the bytes of a VMRUN are in {len(self._places)} places of the image.")
            return
        monitor = Monitor(stub, self._symbols)
        for check in self._checks:
            check.begin(monitor)
        self._stop_at_vmruns(stub, True)
        while not self.result.complaint:
            stub.go()
            self._look(monitor, stub.registers())
        self._stop_at_vmruns(stub, False)
        for place in monitor.stops:
            stub.pass_by(place)

    def _look(self, monitor: Monitor, now: Registers) -> None:
        """It has stopped, for a reason of ours or because a guest has other code at such an address."""
        place = now["rip"]
        if self._host_cr3 is None:
            self._host_cr3 = now["cr3"]
        if now["cr3"] != self._host_cr3:
            monitor.step_over(place)
        elif place in self._places:
            self._entries += 1
            self._enter(monitor, now)
        elif place in monitor.stops:
            if complaint := monitor.stopped(now):
                self._complain(complaint, meddled=True)
            elif place in monitor.stops and monitor.stub.registers()["rip"] == place:
                monitor.step_over(place)
        else:
            monitor.stub.pass_by(place)

    def _enter(self, monitor: Monitor, host: Registers) -> None:
        """A VMRUN: look at everything, and let the guest run to its exit."""
        stub = monitor.stub
        entry = Entry(self._entries, Vmcb.read(stub, host["rax"]), host, stub)
        if not stub.has(entry.vmcb.address, _PAGE):
            self._complain(f"RAX, the address of the VMCB, is {entry.vmcb.address:#x}: there is no memory.")
            return
        if complaint := next(filter(None, (check.entering(entry) for check in self._checks)), ""):
            self._complain(complaint, monitor.meddled)
            return
        behind = host["rip"] + len(_VMRUN)
        self._stop_at_vmruns(stub, False)
        if behind not in monitor.stops:
            stub.stop_at(behind)
        stub.go()
        if behind in monitor.stops and stub.registers()["rip"] == behind:
            if complaint := monitor.stopped(stub.registers()):
                self._complain(complaint, meddled=True)
        stub.pass_by(behind)
        self._stop_at_vmruns(stub, True)

    def _stop_at_vmruns(self, stub: Stub, stop: bool) -> None:
        for place in self._places:
            (stub.stop_at if stop else stub.pass_by)(place)


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

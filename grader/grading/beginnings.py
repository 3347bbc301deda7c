# SPDX-License-Identifier: BSD-3-Clause
"""What lab 1's functions make before a guest runs: a test's option `watch` calls them `fresh` and `enable`.

A loader writes most registers anew before the first VMRUN, so whoever wants to see what
svm_vcpu_create() has left in the VMCB looks when it returns. svm_enable() is called once more, without memory.
"""

from __future__ import annotations

from typing import Any, Mapping

from .gdbstub import Registers
from .layout import VCPU_CPU_STATE
from .monitor import Monitor
from .vmcb import Segment, Vmcb
from .watch import Check, Entry

_ENOMEM = -12
_PAT = 0x0007_0406_0007_0406

# APM vol. 2 table 14-1; CR0 without CD and NW, EFER with SVME (exercise 1.4)
_DATA, _TABLE = Segment(0, 0x93, 0xFFFF, 0), Segment(0, 0, 0xFFFF, 0)
_SEGMENTS = {
    **{name: _DATA for name in ("es", "ss", "ds", "fs", "gs")},
    "cs": Segment(0xF000, 0x9B, 0xFFFF, 0xFFFF0000),
    **{"gdtr": _TABLE, "idtr": _TABLE},
    **{"ldtr": Segment(0, 0x82, 0xFFFF, 0), "tr": Segment(0, 0x83, 0xFFFF, 0)},
}
_REGISTERS = {
    **{"rip": 0xFFF0, "rflags": 2, "cr0": 0x10, "cr2": 0, "cr3": 0, "cr4": 0, "rsp": 0, "cpl": 0},
    **{"dr6": 0xFFFF0FF0, "dr7": 0x400, "g_pat": _PAT, "efer": 0x1000},
}


class Fresh(Check):
    """A new virtual CPU's VMCB; and at its first VMRUN what no loader writes."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__(options)
        self._seen: set[int] = set()
        self._created = False

    def begin(self, monitor: Monitor) -> None:
        def created(registers: Registers) -> str:
            vcpu, self._created = registers["rdi"], True
            monitor.when_returned(registers, lambda _: _wrong(monitor, vcpu))
            return ""

        monitor.stop_at(monitor.address("svm_vcpu_create"), created)

    def entering(self, entry: Entry) -> str:
        vmcb = entry.vmcb
        if vmcb.address in self._seen:
            return ""
        self._seen.add(vmcb.address)
        if (ldtr := vmcb.segment("ldtr")) != _SEGMENTS["ldtr"]:
            return f"LDTR is {ldtr}; after reset it is {_SEGMENTS['ldtr']}."
        if vmcb["g_pat"] != _PAT:
            return f"the guest's PAT is {vmcb['g_pat']:#x}; after reset it is {_PAT:#x}."
        return ""

    def unasked(self) -> str:
        return "" if self._created else "svm_vcpu_create was never called."


def _wrong(monitor: Monitor, vcpu: int) -> str:
    """What is not as after reset when svm_vcpu_create() returns."""
    vmcb = Vmcb.read(monitor.stub, monitor.pointers(monitor.pointers(vcpu + VCPU_CPU_STATE, 1)[0], 1)[0])
    for name, segment in _SEGMENTS.items():
        if (found := vmcb.segment(name)) != segment:
            return f"in a new virtual CPU {name.upper()} is {found}; after reset it is {segment}."
    for name, value in _REGISTERS.items():
        if vmcb[name] != value:
            return f"in a new virtual CPU {name.upper()} is {vmcb[name]:#x}; after reset it is {value:#x}."
    return ""


class Enable(Check):
    """svm_enable(), without memory for the first page, and for the second one; and what it had saved."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__(options)
        self._monitor: Monitor
        self._asked = False

    def begin(self, monitor: Monitor) -> None:
        self._monitor = monitor
        monitor.stop_once(monitor.address("svm_enable"), self._called)

    def _called(self, registers: Registers) -> str:
        self._monitor.when_returned(registers, self._again)
        return ""

    def _again(self, registers: Registers) -> str:
        self._asked = True
        monitor, place = self._monitor, self._monitor.address("svm_host_vmcb")
        host = monitor.pointers(place, 1)[0]
        if not Vmcb.read(monitor.stub, host).segment("tr").selector:
            return "svm_enable() returned, and the host's TR is not in svm_host_vmcb: VMSAVE."
        for fail in (1, 2):
            what = f"svm_enable without memory for page {fail}"
            got = monitor.call(what, monitor.address("svm_enable"), fail=fail, only=True)
            monitor.stub.write(place, host.to_bytes(8, "little"))
            if got != _ENOMEM:
                return f"svm_enable() returned {got}, not {_ENOMEM}, when there was no memory for page {fail}."
        return ""

    def unasked(self) -> str:
        return "" if self._asked else "svm_enable was never called, so it could not be asked anything."

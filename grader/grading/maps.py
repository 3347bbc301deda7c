# SPDX-License-Identifier: BSD-3-Clause
"""The permission maps, looked at whole at a VM's first VMRUN: APM vol. 2 §15.10.1, §15.11.

Before that, svm_pass_msr() is called for MSRs that nobody else passes: at the ends of the three ranges, in
the middle of a byte, reading or writing only, twice with other rights, and outside of all ranges, where
there is nothing to change. Each may change the two bits of its MSR and nothing else.
"""

from __future__ import annotations

from typing import Any, Mapping

from .gdbstub import Registers
from .monitor import Monitor
from .watch import Check, Entry

_IO_BYTES, _MSR_BYTES = 0x2001, 0x2000
_BANKS = {0x0000: 0, 0xC000: 0x800, 0xC001: 0x1000}
_BANK_SIZE = 0x2000  # MSRs
# STAR to SFMASK, the three bases, SYSENTER; TSC_AUX, which Casita exchanges itself
_TSC_AUX = 0xC0000103
_PASSED = (*range(0xC0000081, 0xC0000085), *range(0xC0000100, 0xC0000104), *range(0x174, 0x177))
_READ, _WRITE = 1, 2
# What is asked of svm_pass_msr(): an MSR, and what a guest may do with it. In this order.
_ASKED = (
    *((0x0, _READ), (0x1FFF, _WRITE), (0x2A1, _READ), (0x2A2, _WRITE), (0x2A3, _READ | _WRITE)),
    *((0xC0000000, _WRITE), (0xC0001FFF, _READ), (0xC0001235, _READ)),
    *((0xC0010000, _READ | _WRITE), (0xC0011FFF, _WRITE), (0xC001002A, _READ), (0xC0010031, _WRITE)),
    *((0xC0000F01, _READ | _WRITE), (0xC0000F01, _READ), (0x9C6, _READ), (0x9C6, _WRITE), (0x9CB, 0)),
    # in none of the ranges
    *((0x2000, _READ), (0x3FFF, _WRITE), (0x10000, _READ | _WRITE), (0x40000021, _READ | _WRITE)),
    *((0xC0002000, _READ), (0xC000FFFF, _READ | _WRITE), (0xC0012000, _WRITE), (0xC0020005, _READ | _WRITE)),
)


def _place(msr: int) -> tuple[int, int] | None:
    """The byte of the map, and the lowest of the two bits; None: it has none."""
    bank, number = msr >> 16, msr & 0xFFFF
    if bank not in _BANKS or number >= _BANK_SIZE:
        return None
    return _BANKS[bank] + number // 4, number % 4 * 2


def _pass(wanted: bytearray, msr: int, rights: int) -> None:
    """Do what svm_pass_msr() should."""
    if place := _place(msr):
        byte, shift = place
        wanted[byte] = wanted[byte] & ~(3 << shift) | (3 & ~rights) << shift


class Maps(Check):
    """Every port and every MSR makes an exit, but for those that were let through."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__(options)
        self._seen: set[int] = set()
        self._asked = False
        self._wanted = bytearray(b"\xff" * _MSR_BYTES)
        for msr in _PASSED:
            _pass(self._wanted, msr, _READ | _WRITE)

    def begin(self, monitor: Monitor) -> None:
        function = monitor.address("svm_pass_msr")

        def called(registers: Registers) -> str:
            if registers["rsi"] & 0xFFFFFFFF == _TSC_AUX:  # the last that Casita itself passes: the map is complete
                monitor.forget(function, called)
                vm = registers["rdi"]
                monitor.when_returned(registers, lambda _: self._ask(monitor, function, vm))
            return ""

        monitor.stop_at(function, called)

    def _ask(self, monitor: Monitor, function: int, vm: int) -> str:
        for msr, rights in _ASKED:
            what = f"svm_pass_msr for MSR {msr:#x}"
            monitor.call(what, function, vm, msr, rights & _READ, rights >> 1)
            _pass(self._wanted, msr, rights)
        self._asked = True
        return ""

    def unasked(self) -> str:
        return "" if self._asked else "Casita never called svm_pass_msr for TSC_AUX, so it was not asked anything."

    def entering(self, entry: Entry) -> str:
        vmcb = entry.vmcb
        if vmcb.address in self._seen:
            return ""
        self._seen.add(vmcb.address)
        for name, size in (("iopm", _IO_BYTES), ("msrpm", _MSR_BYTES)):
            if not entry.stub.has(vmcb[name] & ~0xFFF, size):
                return f"the permission map {name} is at {vmcb[name]:#x}: there is no memory."
        ports = entry.stub.read(vmcb["iopm"] & ~0xFFF, _IO_BYTES)
        if (at := next((i for i, byte in enumerate(ports[:-1]) if byte != 0xFF), -1)) >= 0:
            return f"the permission map lets one of the ports {8 * at:#x} to {8 * at + 7:#x} through."
        if ports[-1] & 7 != 7:
            return "the permission map lets a wide access at port 0xffff through."
        return self._wrong_msr(entry.stub.read(vmcb["msrpm"] & ~0xFFF, _MSR_BYTES))

    def _wrong_msr(self, found: bytes) -> str:
        for at in range(_MSR_BYTES):
            if found[at] == self._wanted[at]:
                continue
            for shift in range(0, 8, 2):
                bits, wanted = found[at] >> shift & 3, self._wanted[at] >> shift & 3
                if bits != wanted:
                    what = "reading" if (bits ^ wanted) & 1 else "writing"
                    how = "makes an exit" if bits & (1 if what == "reading" else 2) else "makes no exit"
                    return f"{what} {_name(at, shift)} {how}: its two bits in the permission map are {bits:#b}."
        return ""


def _name(byte: int, shift: int) -> str:
    for bank, offset in sorted(_BANKS.items(), key=lambda item: -item[1]):
        if offset <= byte < offset + _BANK_SIZE // 4:
            return f"MSR {bank << 16 | (byte - offset) * 4 + shift // 2:#x}"
    return f"no MSR (byte {byte:#x}, which has no meaning)"

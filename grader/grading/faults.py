# SPDX-License-Identifier: BSD-3-Clause
"""Asks lab 4's nested_fault() and svm_set_nested_root() what no guest of a right monitor asks them.

    at the first exit               nested paging off and on again; then the processor must forget
    at the first watched write      a fault on RAM that is no write; a write where no RAM is
    when the log has ended          a write to RAM, which nobody watches

A VM that nested_fault() stops is what it was before: its struct is put back.
"""

from __future__ import annotations

from typing import Any, Mapping

from .gdbstub import Registers
from .layout import EXIT_BYTES, EXIT_ERROR, EXIT_GPA, VCPU_BYTES, VCPU_VM, VM_BYTES
from .monitor import Monitor
from .operations import Ops
from .vmcb import NP_ENABLE, Vmcb
from .watch import Check, Entry

_ENOENT, _EIO = -2, -5
_WRITE, _USER = 2, 4  # of a #PF's error code
_SCRATCH = 0x200  # below the stack's top, above where a call begins


class Faults(Check):
    """Both functions, called."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__(options)
        self._end = options.get("mem", 80) << 20
        self._monitor: Monitor
        self._ops: Ops
        self._vcpu = self._root = 0
        self._vmcb: Vmcb | None = None
        self._asid_before = 0  # of the VMRUN before the root was set anew
        self._exit = b""  # a struct exit

    def begin(self, monitor: Monitor) -> None:
        self._monitor = monitor
        set_root = monitor.address("svm_set_nested_root")

        def created(_: Registers) -> str:
            self._ops = Ops(monitor)
            monitor.stop_at(self._ops.fault, self._faulted)
            return ""

        def root_set(registers: Registers) -> str:
            self._vcpu, self._root = registers["rdi"], registers["rsi"]
            return ""

        def log_ended(registers: Registers) -> str:
            monitor.when_returned(registers, lambda _: self._ask_unwatched())
            return ""

        monitor.stop_once(monitor.address("vm_create"), created)
        monitor.stop_once(set_root, root_set)
        monitor.stop_once(monitor.address("exit_dispatch"), lambda _: self._ask_root(set_root))
        monitor.stop_once(monitor.address("vm_dirty_end"), log_ended)

    def entering(self, entry: Entry) -> str:
        before, self._asid_before = self._asid_before, 0
        if before == entry.vmcb["asid"] and not entry.vmcb["tlb_control"]:
            return "svm_set_nested_root() was called, and the processor was not told to forget: svm_flush()."
        self._vmcb = entry.vmcb
        return ""

    def _ask_root(self, function: int) -> str:
        """Off, and on again."""
        if self._vmcb is None:
            return "exit_dispatch was called before there was a VMRUN."
        for root, wanted in ((0, 0), (self._root, NP_ENABLE)):
            self._monitor.call(f"svm_set_nested_root(…, {root:#x})", function, self._vcpu, root)
            now = Vmcb.read(self._monitor.stub, self._vmcb.address)
            if now["np_control"] != wanted or (wanted and now["ncr3"] != root):
                found = f"np_control is {now['np_control']:#x}, nCR3 {now['ncr3']:#x}"
                return f"svm_set_nested_root(…, {root:#x}): {found}; np_control should be {wanted}."
        self._asid_before = self._vmcb["asid"]
        return ""

    def _faulted(self, registers: Registers) -> str:
        """The first nested fault while the log goes on."""
        found = self._monitor.stub.read(registers["rsi"], EXIT_BYTES)
        if not int.from_bytes(found[EXIT_ERROR : EXIT_ERROR + 4], "little") & _WRITE:
            return ""
        self._monitor.forget(self._ops.fault, self._faulted)
        self._exit = found
        self._monitor.when_returned(registers, lambda _: self._ask_watched())
        return ""

    def _fault(self, what: str, wanted: int, error: int, gpa: int | None = None) -> str:
        stub, monitor = self._monitor.stub, self._monitor
        vm = monitor.pointers(self._vcpu + VCPU_VM, 1)[0]
        kept = stub.read(self._vcpu, VCPU_BYTES), stub.read(vm, VM_BYTES)
        fault = bytearray(self._exit)
        fault[EXIT_ERROR : EXIT_ERROR + 4] = error.to_bytes(4, "little")
        if gpa is not None:
            fault[EXIT_GPA : EXIT_GPA + 8] = gpa.to_bytes(8, "little")
        scratch = stub.registers()["rsp"] - _SCRATCH
        stub.write(scratch, bytes(fault))
        got = monitor.call(f"nested_fault, for {what},", self._ops.fault, self._vcpu, scratch)
        stub.write(self._vcpu, kept[0])
        stub.write(vm, kept[1])
        return "" if got == wanted else f"nested_fault, for {what}, gives {got}, not {wanted}."

    def _ask_watched(self) -> str:
        return self._fault(
            "a fault on RAM that is no write, while writes are watched", _EIO, _USER
        ) or self._fault("a write where no RAM is", _ENOENT, _USER | _WRITE, self._end + 0x1000)

    def _ask_unwatched(self) -> str:
        if not self._exit:
            return "the log has ended, and there was no nested fault for a write."
        return self._fault("a write to RAM that nobody watches", _EIO, _USER | _WRITE)

    def unasked(self) -> str:
        if not self._vcpu:
            return "svm_set_nested_root was never called, so it could not be asked anything."
        return "" if self._exit else "nested_fault was never called for a write, so it could not be asked anything."

# SPDX-License-Identifier: BSD-3-Clause
"""Functions that are called when the first exit is about to be dealt with, one after the other.

What a call has done to the virtual CPU, its VM and its VMCB is read, and then put back, so that each call
finds what the first did, and the guest goes on as if there had been none.
"""

from __future__ import annotations

from typing import Any, Mapping

from .gdbstub import Registers
from .layout import VCPU_BYTES, VCPU_HALTED, VCPU_REQUESTS, VCPU_VM, VM_BYTES, VMCB_BYTES
from .monitor import Answers, Monitor
from .vmcb import Vmcb
from .watch import Check

_SCRATCH = 0x300  # below the stack's top, above where a call begins
_WORD = 4

RUNNING, SHUTDOWN, FAILED = 0, 4, 5  # enum vm_state
RAX, RCX, RDX, RBX, RSI = 0, 1, 2, 3, 6  # enum gpr


class AtFirstExit(Check):
    """Who asks says what in ask()."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__(options)
        self.monitor: Monitor
        self.first: Vmcb  # as it was before the first call
        self.vcpu = self.vm = self.vmcb = self.scratch = 0
        self._state = 0  # where struct vm has its state
        self._kept: list[tuple[int, bytes]] = []
        self._asked = False

    def begin(self, monitor: Monitor) -> None:
        self.monitor = monitor
        monitor.stop_once(monitor.address("exit_dispatch"), self._dispatched)

    def _dispatched(self, registers: Registers) -> str:
        self._asked = True
        pointers = self.monitor.pointers
        self.vcpu = registers["rdi"]
        self.vm, cpu_state = pointers(self.vcpu + VCPU_VM, 2)
        self.vmcb = pointers(cpu_state, 1)[0]
        self.scratch = registers["rsp"] - _SCRATCH
        for place, size in ((self.vcpu, VCPU_BYTES), (self.vm, VM_BYTES), (self.vmcb, VMCB_BYTES)):
            if not self.monitor.stub.has(place, size):
                return f"exit_dispatch was called with a virtual CPU whose parts are at {place:#x}: there is no memory."
            self._kept.append((place, self.monitor.stub.read(place, size)))
        self.first = self.now
        return self._find_state() or self.ask()

    def ask(self) -> str:
        """The calls; the first thing that is wrong."""
        raise NotImplementedError

    def unasked(self) -> str:
        return "" if self._asked else "exit_dispatch was never called, so nothing could be asked."

    def _find_state(self) -> str:
        """vm_stop() shows where the VM has its state."""
        found = []
        for state in (SHUTDOWN, FAILED):
            self.call("vm_stop", self.monitor.address("vm_stop"), self.vm, state)
            now = self.monitor.stub.read(self.vm, VM_BYTES)
            value = state.to_bytes(_WORD, "little")
            found.append({at for at in range(0, VM_BYTES, _WORD) if now[at : at + _WORD] == value})
            self.put_back()
        places = found[0] & found[1]
        if len(places) != 1:
            return "vm_stop() does not give a VM the state that it is told."
        self._state = self.vm + places.pop()
        return ""

    # ---- for ask() ---------------------------------------------------------------------------------

    def call(self, what: str, function: int, *arguments: int, answers: Answers | None = None) -> int:
        """As Monitor.call()."""
        return self.monitor.call(what, function, *arguments, answers=answers)

    def put_back(self) -> None:
        """As it was before the first call."""
        for place, data in self._kept:
            self.monitor.stub.write(place, data)

    @property
    def now(self) -> Vmcb:
        """The VMCB."""
        return Vmcb.read(self.monitor.stub, self.vmcb)

    def change(self, **fields: int) -> None:
        """Fields of the VMCB."""
        for name, value in fields.items():
            at, size = Vmcb.place(name)
            self.put(self.vmcb + at, value, size)

    def get(self, place: int, size: int) -> int:
        """A number in memory."""
        return int.from_bytes(self.monitor.stub.read(place, size), "little")

    def put(self, place: int, value: int, size: int) -> None:
        """A number in memory."""
        self.monitor.stub.write(place, value.to_bytes(size, "little"))

    @property
    def state(self) -> int:
        """The VM's."""
        return self.get(self._state, _WORD)

    def gpr(self, number: int) -> int:
        """A general register of the guest's, but RSP."""
        return self.get(self.vcpu + 8 * number, 8)

    def set_gpr(self, number: int, value: int) -> None:
        """A general register of the guest's, but RSP."""
        self.put(self.vcpu + 8 * number, value, 8)

    @property
    def requests(self) -> int:
        """vcpu->requests."""
        return self.get(self.vcpu + VCPU_REQUESTS, 4)

    @requests.setter
    def requests(self, value: int) -> None:
        self.put(self.vcpu + VCPU_REQUESTS, value, 4)

    @property
    def halted(self) -> bool:
        """vcpu->halted."""
        return bool(self.get(self.vcpu + VCPU_HALTED, 1))

    @halted.setter
    def halted(self, value: bool) -> None:
        self.put(self.vcpu + VCPU_HALTED, value, 1)

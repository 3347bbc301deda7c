# SPDX-License-Identifier: BSD-3-Clause
"""Lab 1's world switch, step by step: a test's option `watch` calls it `switch`.

At one exit the processor is led through svm_switch(), an instruction at a time, up to VMRUN, and behind the
exit to its end. What must be so on the way (APM vol. 2 §15.5, §15.17; the six steps in switch.S):

    from the guest's VMLOAD to the host's     no interrupt may come: the gate is closed (GIF = 0)
    at VMRUN                                  IF = 1, so that one ends the guest's run
    when the gate opens again                 IF = 0, so that none comes before it is asked for
    the guest's state                         VMLOAD, VMRUN, VMSAVE, then the host's VMLOAD; each once
    the guest's registers                     all 64 bits of them are in the processor at VMRUN

For the last the array of registers is filled with random numbers; the guest gets its own back before it
is entered.
"""

from __future__ import annotations

import random
from typing import Any, Mapping

from .gdbstub import Registers
from .monitor import Monitor
from .watch import Check, Entry

_NAMES = ("rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", *(f"r{n}" for n in range(8, 16)))
_MOST_STEPS = 200  # the reference takes 30 in front of VMRUN and 35 behind it
_AT_ENTRY = 5  # which time: the first ones may do more
_IF = 1 << 9
_VMCB_RAX = 0x5F8
_SVM = {0xD8: "VMRUN", 0xDA: "VMLOAD", 0xDB: "VMSAVE", 0xDC: "STGI", 0xDD: "CLGI"}
_RET = 0xC3


class Switch(Check):
    """One switch, there and back."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__(options)
        self._monitor: Monitor
        self._times = 0
        self._gate_open = True
        self._done: list[str] = []  # VMLOAD, VMRUN and the like
        self._finished = False

    def begin(self, monitor: Monitor) -> None:
        self._monitor = monitor
        function = monitor.address("svm_switch")

        def entered(registers: Registers) -> str:
            self._times += 1
            if self._times < _AT_ENTRY:
                return ""
            monitor.forget(function, entered)
            return self._there(registers)

        monitor.stop_at(function, entered)

    def entering(self, entry: Entry) -> str:
        if self._times >= _AT_ENTRY and not self._finished and entry.number > 2 * _AT_ENTRY:
            return "svm_switch() was left in another way than behind its VMRUN."
        return ""

    def unasked(self) -> str:
        if self._finished:
            return ""
        return f"svm_switch was called {self._times} times, and never followed from its beginning to its end."

    def _there(self, registers: Registers) -> str:
        """Up to VMRUN."""
        stub = self._monitor.stub
        array, vmcb = registers["rdi"], registers["rsi"]
        own = self._monitor.pointers(array, len(_NAMES))
        rng = random.Random(array)
        made = {name: rng.getrandbits(64) | 1 << 63 for name in _NAMES if name != "rsp"}
        for place, name in enumerate(_NAMES):
            if name in made:
                stub.write(array + 8 * place, made[name].to_bytes(8, "little"))
        for _ in range(_MOST_STEPS):
            now = stub.registers()
            what = self._next(now)
            if what == "VMRUN":
                complaint = self._wrong_at_vmrun(now, vmcb, made)
                self._give_back(array, vmcb, own)
                self._monitor.stop_once(now["rip"] + 3, self._back)
                return complaint
            if complaint := self._wrong_on_the_way(what, now):
                return complaint
            stub.step()
        return f"svm_switch() has not come to VMRUN after {_MOST_STEPS} instructions."

    def _give_back(self, array: int, vmcb: int, own: Any) -> None:
        """The guest's own values, in all places from which they are taken."""
        stub = self._monitor.stub
        for place, name in enumerate(_NAMES):
            stub.write(array + 8 * place, own[place].to_bytes(8, "little"))
            if name not in ("rax", "rsp"):
                stub.set(**{name: own[place]})
        stub.write(vmcb + _VMCB_RAX, own[0].to_bytes(8, "little"))

    def _next(self, now: Registers) -> str:
        """The instruction that comes next, if it matters here."""
        code = self._monitor.stub.read(now["rip"], 3)
        if code[:2] == b"\x0f\x01":
            return _SVM.get(code[2], "")
        return "RET" if code[0] == _RET else ""

    def _wrong_on_the_way(self, what: str, now: Registers) -> str:
        if what == "STGI" and now["eflags"] & _IF:
            return "svm_switch() opens the gate (STGI) while IF is set: an interrupt comes at once."
        if what in ("STGI", "CLGI"):
            self._gate_open = what == "STGI"
        if what in ("VMLOAD", "VMSAVE"):
            if self._gate_open:
                return f"svm_switch(): {what} with the gate open: an interrupt could come between the worlds."
            self._done.append(what)
        if self._gate_open and self._done and self._done[-1] != "VMLOAD":
            return "svm_switch() opens the gate before the host's VMLOAD."
        return ""

    def _wrong_at_vmrun(self, now: Registers, vmcb: int, made: Mapping[str, int]) -> str:
        if self._gate_open:
            return "svm_switch(): VMRUN with the gate open, and no CLGI before."
        if not now["eflags"] & _IF:
            return "svm_switch(): IF is clear at VMRUN, so no interrupt ends the guest's run."
        if self._done != ["VMLOAD"]:
            return f"svm_switch(): before VMRUN came {', '.join(self._done) or 'no VMLOAD'}."
        rax = self._monitor.pointers(vmcb + _VMCB_RAX, 1)[0]
        for name, wanted in made.items():
            found = rax if name == "rax" else now[name]
            if found != wanted:
                return f"svm_switch(): the guest's {name} is {found:#x} at VMRUN; it should be {wanted:#x}."
        self._done.append("VMRUN")
        return ""

    def _back(self, registers: Registers) -> str:
        """From behind VMRUN to the end."""
        del registers
        self._gate_open = False  # an exit closes it
        for _ in range(_MOST_STEPS):
            now = self._monitor.stub.registers()
            what = self._next(now)
            if what == "RET":
                break
            if complaint := self._wrong_on_the_way(what, now):
                return complaint
            self._monitor.stub.step()
        self._finished = True
        if self._done != ["VMLOAD", "VMRUN", "VMSAVE", "VMLOAD"]:
            return f"svm_switch(): {', '.join(self._done)}; it should be VMLOAD, VMRUN, VMSAVE, VMLOAD."
        return "" if self._gate_open else "svm_switch() ends with the gate closed."

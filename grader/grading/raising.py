# SPDX-License-Identifier: BSD-3-Clause
"""Lab 2's exceptions, when another event waits already: vcpu_exception(), vcpu_page_fault(), svm_inject().

Before lab 3 no guest brings that about. What EVENTINJ must say is APM vol. 2 §15.20, table 8-2 and §8.2.9.
"""

from __future__ import annotations

from dataclasses import dataclass

from .asking import RUNNING, SHUTDOWN, AtFirstExit
from .vmcb import EVENT_ERROR_VALID, EVENT_VALID

_EBUSY = -16
_EXCEPTION, _NMI, _SOFT = 3, 2, 4  # EVENTINJ's types
_KIND_EXCEPTION, _KIND_NMI, _KIND_SOFT = 0, 1, 2  # struct event's
_EVENT_BYTES = 24
_DF, _GP, _PF = 8, 13, 14
_CONTRIBUTORY = (0, 10, 11, 12, 13)
_WITH_ERROR = (8, 10, 11, 12, 13, 14, 17)
_WAITING = (0, 1, 6, 8, 10, 11, 12, 13, 14, 17)
_NEW = (0, 6, 10, 11, 12, 13, 14, 17)
_FIRST_ERROR, _ERROR = 0x0120, 0x9AB8
_OLD_CR2, _ADDRESS = 0x12345000, 0x87654ABC
_NAMES = {
    **{0: "#DE", 1: "#DB", 2: "NMI", 6: "#UD", 8: "#DF", 10: "#TS", 11: "#NP", 12: "#SS", 13: "#GP"},
    **{14: "#PF", 17: "#AC"},
}


@dataclass(frozen=True)
class _Event:
    """As EVENTINJ has it."""

    type: int
    vector: int
    error: int = 0

    @property
    def word(self) -> int:
        """EVENTINJ."""
        has_error = self.type == _EXCEPTION and self.vector in _WITH_ERROR
        more = EVENT_ERROR_VALID | self.error << 32 if has_error else 0
        return EVENT_VALID | more | self.type << 8 | self.vector

    def __str__(self) -> str:
        return f"INT {self.vector}" if self.type == _SOFT else _NAMES[self.vector]


class Exceptions(AtFirstExit):
    """The three functions, called."""

    def ask(self) -> str:
        waiting = [None, _Event(_NMI, 2), _Event(_SOFT, _PF)]
        waiting += [_Event(_EXCEPTION, vector, 0 if vector == _DF else _FIRST_ERROR) for vector in _WAITING]
        for first in waiting:
            for vector in _NEW:
                complaint = self._raise(first, _Event(_EXCEPTION, vector, _ERROR))
                self.put_back()
                if complaint:
                    return complaint
        return self._ask_inject()

    def _raise(self, first: _Event | None, second: _Event) -> str:
        """One raised while another waits."""
        self.change(event_inj=first.word if first else 0, cr2=_OLD_CR2)
        self.halted = True
        if second.vector == _PF:
            what, arguments = "vcpu_page_fault", (_ADDRESS, second.error)
        else:
            what, arguments = "vcpu_exception", (second.vector, second.error)
        self.call(what, self.monitor.address(what), self.vcpu, *arguments)
        case = f"{what} raises {second} while " + (f"{first} waits" if first else "nothing waits")
        wanted = _together(first, second)
        if self.halted:
            return f"{case}: vcpu->halted is still true."
        state = RUNNING if wanted else SHUTDOWN
        if self.state != state:
            return f"{case}: the VM {'has stopped' if wanted else 'goes on, and that is a shutdown'} (§8.2.9)."
        if not wanted:
            return ""
        return self._wrong(case, wanted, _ADDRESS if wanted.vector == _PF else _OLD_CR2)

    def _wrong(self, case: str, wanted: _Event, cr2: int) -> str:
        now = self.now
        if now["event_inj"] != wanted.word:
            return f"{case}: EVENTINJ is {now['event_inj']:#x}; it should be {wanted.word:#x}, {wanted}."
        if now["cr2"] != cr2:
            return f"{case}: the VMCB's CR2 is {now['cr2']:#x}; it should be {cr2:#x}."
        real = self.monitor.stub.registers()["cr2"]
        if wanted.vector == _PF and wanted.type == _EXCEPTION and real != cr2:
            return f"{case}: svm_set_cr2() was not called with {cr2:#x}."
        return ""

    def _ask_inject(self) -> str:
        for kind, wanted, cr2 in (
            (_KIND_EXCEPTION, _Event(_EXCEPTION, _PF, 0xFFFF_0007), _ADDRESS),
            (_KIND_EXCEPTION, _Event(_EXCEPTION, _GP, 0x8000_1234), _OLD_CR2),
            (_KIND_EXCEPTION, _Event(_EXCEPTION, 6), _OLD_CR2),
            (_KIND_NMI, _Event(_NMI, 2), _OLD_CR2),
            (_KIND_SOFT, _Event(_SOFT, _PF), _OLD_CR2),
        ):
            self.change(event_inj=0, cr2=_OLD_CR2)
            got = self._inject(kind, wanted)
            case = f"svm_inject of {wanted}"
            if got:
                return f"{case} returned {got}, not 0."
            if complaint := self._wrong(case, wanted, cr2):
                return complaint
            if (got := self._inject(kind, _Event(_EXCEPTION, 6))) != _EBUSY:
                return f"svm_inject returned {got}, not {_EBUSY} (-EBUSY), when an event was waiting."
            if complaint := self._wrong(f"{case}, and then of another, which had to wait", wanted, cr2):
                return complaint
            self.put_back()
        return ""

    def _inject(self, kind: int, event: _Event) -> int:
        self.monitor.stub.write(self.scratch, bytes(_EVENT_BYTES))
        self.put(self.scratch, kind, 4)
        self.put(self.scratch + 4, event.vector, 1)
        self.put(self.scratch + 5, bool(event.word & EVENT_ERROR_VALID), 1)
        self.put(self.scratch + 8, event.error, 4)
        self.put(self.scratch + 16, _ADDRESS, 8)
        return self.call("svm_inject", self.monitor.address("svm_inject"), self.vcpu, self.scratch)


def _together(first: _Event | None, second: _Event) -> _Event | None:
    """What is to be delivered; None: the machine shuts down."""
    if first is None or first.type != _EXCEPTION:
        return second
    serious = second.vector in _CONTRIBUTORY
    if first.vector == _DF:
        return None if serious or second.vector == _PF else second
    double = (serious and first.vector in (*_CONTRIBUTORY, _PF)) or first.vector == second.vector == _PF
    return _Event(_EXCEPTION, _DF) if double else second

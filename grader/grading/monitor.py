# SPDX-License-Identifier: BSD-3-Clause
"""Stops in the monitor's own functions, and calls them, as a debugger can.

What a function of the lab must do for arguments that no guest of the lab brings about, or when there is no
memory, is asked of the function itself, inside the machine. While the machine is stopped in host code, with
interrupts off, its registers are set as a caller would, the return address is the place where it stands,
and afterwards all registers are as they were.

    monitor = Monitor(stub, symbols)
    monitor.stop_at(monitor.address("vm_create"), handler)      handler(registers) says what is wrong
    monitor.call("protect", function, vm, 0x200000, 4096, fail=1)   RAX; the first page asked for is refused
    monitor.call("exit_dispatch", function, vcpu, exit, answers={other: lambda registers: -11})
                                                                    other() is not run: -11 is what it returns
"""

from __future__ import annotations

from pathlib import Path
from typing import Callable, Mapping, Sequence

from . import symbols
from .gdbstub import Ended, Registers, Stub

Handler = Callable[[Registers], str]
Answers = Mapping[int, Callable[[Registers], int]]

_ARGUMENTS = ("rdi", "rsi", "rdx", "rcx", "r8", "r9")  # System V ABI for x86-64
_BELOW = 0x400  # so much of the stack is left alone
_ALLOCATE = "pages_alloc_zero"
_WORD = 8


class Unreturned(Exception):
    """The machine ended inside a call: a sentence that says of what."""


class Monitor:
    """The monitor in a stopped machine."""

    def __init__(self, stub: Stub, image: Path) -> None:
        self.stub = stub
        self.stops: dict[int, list[Handler]] = {}
        self._image = image
        self._addresses: dict[str, int] = {}
        self.meddled = False  # a check says so if what it did is not put right again

    def address(self, name: str) -> int:
        """Of one of its functions or objects; raises NoSymbol."""
        if name not in self._addresses:
            self._addresses[name] = symbols.address_of(self._image, name)
        return self._addresses[name]

    def pointers(self, place: int, count: int) -> Sequence[int]:
        """A table of addresses. Casita's own memory is at the same virtual and physical addresses."""
        raw = self.stub.read(place, count * _WORD)
        return [int.from_bytes(raw[at : at + _WORD], "little") for at in range(0, len(raw), _WORD)]

    def stop_at(self, address: int, handler: Handler) -> None:
        """Stop there each time, until forget(). Several may want to."""
        if address not in self.stops:  # QEMU would have a second breakpoint there
            self.stub.stop_at(address)
        self.stops.setdefault(address, []).append(handler)

    def stop_once(self, address: int, handler: Handler) -> None:
        """Stop there the next time only."""

        def once(registers: Registers) -> str:
            self.forget(address, once)
            return handler(registers)

        self.stop_at(address, once)

    def forget(self, address: int, handler: Handler) -> None:
        """Stop there no more, for this one."""
        handlers = self.stops.get(address, [])
        if handler in handlers:
            handlers.remove(handler)
            if not handlers:
                del self.stops[address]
                self.stub.pass_by(address)

    def stopped(self, registers: Registers) -> str:
        """It has stopped where somebody wanted it to; what is wrong."""
        handlers = list(self.stops[registers["rip"]])
        return next(filter(None, (handler(registers) for handler in handlers)), "")

    def when_returned(self, entered: Registers, handler: Handler) -> None:
        """At a function's first instruction: stop once where it returns to."""
        self.stop_once(self.pointers(entered["rsp"], 1)[0], handler)

    def call(
        self, what: str, function: int, *arguments: int, fail: int = 0, only: bool = False, answers: Answers | None = None
    ) -> int:
        """What a function returns, as a number of 32 bits with a sign; raises Unreturned.

        `what`: the call, for a student.
        `fail`: from its so manieth request on it gets no page, or `only` then; 0: it gets what it asks for.
        `answers`: functions that are not run; they return what is answered to their registers.
        """
        answers = answers or {}
        before = self.stub.registers()
        here, top = before["rip"], (before["rsp"] - _BELOW & ~15) - _WORD
        self.stub.write(top, here.to_bytes(_WORD, "little"))
        self.stub.set(**dict(zip(_ARGUMENTS, arguments)), rsp=top, rip=function)
        allocate = self.address(_ALLOCATE) if fail else 0
        places = {here, *([allocate] if fail else []), *answers} - set(self.stops)
        for place in places:
            self.stub.stop_at(place)
        requests = 0
        try:
            while True:
                self.stub.go()
                now = self.stub.registers()
                if now["rip"] == here and now["rsp"] == top + _WORD:
                    break
                requests += now["rip"] == allocate
                if now["rip"] in answers:
                    self.leave(now, answers[now["rip"]](now))
                elif now["rip"] == allocate and (requests == fail if only else requests >= fail):
                    self.refuse(now)
                else:
                    self.step_over(now["rip"])
        except Ended:
            raise Unreturned(f"{what} was called, and never returned.") from None
        for place in places:
            self.stub.pass_by(place)
        self.stub.restore(before)
        return (now["rax"] + 2**31) % 2**32 - 2**31

    def refuse(self, entered: Registers) -> None:
        """At a function's first instruction: return NULL at once."""
        self.leave(entered, 0)

    def leave(self, entered: Registers, value: int) -> None:
        """At a function's first instruction: return at once."""
        behind = self.pointers(entered["rsp"], 1)[0]
        self.stub.set(rax=value, rsp=entered["rsp"] + _WORD, rip=behind)

    def step_over(self, address: int) -> None:
        """Execute the one instruction at which it has stopped."""
        self.stub.pass_by(address)
        self.stub.step()
        self.stub.stop_at(address)

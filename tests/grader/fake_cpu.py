# SPDX-License-Identifier: BSD-3-Clause
"""A machine of a stub's that executes functions written in Python, each of them a generator.

A function is one instruction long; it begins to run when the processor is at its address. It calls another
by `result = yield address, argument, …`: a return address is pushed, and whoever watches may stop at the
callee's first instruction. What it returns is in RAX; None: the machine comes to its end.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Generator, Mapping
from unittest import mock

from test_watch import MIB, registers
from grading.gdbstub import Ended, Registers, Stub
from grading.monitor import Monitor
from grading.symbols import NoSymbol

Frame = Generator[tuple[int, ...], int, "int | None"]
Function = Callable[["Cpu"], Frame]

ARGUMENTS = ("rdi", "rsi", "rdx", "rcx", "r8", "r9")
HERE, STACK = 0x100100, 0x80000  # where it is stopped at first
_FRAMES = 0x7000_0000
_MOST_STEPS = 2000
_MOVED = ("rax", "rip", "rsp", *ARGUMENTS)


class Cpu(Stub):
    """The processor, stopped."""

    def __init__(self, functions: Mapping[int, Function], size: int = MIB) -> None:
        super().__init__(mock.Mock(), memoryview(bytearray(size)))
        self.functions = dict(functions)
        self.values = {"rip": HERE, "rsp": STACK, "rax": 0x1111, "rbx": 0x2222, "eflags": 0x46}
        self.stops: set[int] = set()
        self.steps = 0
        self._frames: dict[int, Frame] = {}

    def __getitem__(self, name: str) -> int:
        return self.values.get(name, 0)

    def arguments(self, count: int) -> list[int]:
        """Of the function that begins."""
        return [self[name] for name in ARGUMENTS[:count]]

    def registers(self) -> Registers:
        return registers(**self.values)

    def set(self, **values: int) -> None:
        self.values.update({name: value % 2**64 for name, value in values.items()})

    def stop_at(self, address: int) -> None:
        self.stops.add(address)

    def pass_by(self, address: int) -> None:
        self.stops.discard(address)

    def go(self) -> None:
        while self["rip"] not in self.stops:
            self.step()

    def step(self) -> None:
        self.steps += 1
        rip = self["rip"]
        if self.steps > _MOST_STEPS:
            raise Ended
        if rip in self._frames:
            self._resume(self._frames.pop(rip), self["rax"])
        elif rip in self.functions:
            self._resume(self.functions[rip](self), None)
        else:
            raise Ended

    def _resume(self, frame: Frame, value: int | None) -> None:
        try:
            function, *arguments = frame.send(value)  # type: ignore[arg-type]
        except StopIteration as done:
            if done.value is None:
                raise Ended from None
            behind = int.from_bytes(self.read(self["rsp"], 8), "little")
            self.set(rax=done.value, rsp=self["rsp"] + 8, rip=behind, rbx=7, eflags=2, rcx=9)
        else:
            place = _FRAMES + self.steps
            self._frames[place] = frame
            self.enter(function, place, *arguments)

    def enter(self, function: int, behind: int, *arguments: int) -> None:
        """It is at a function's first instruction, and will return to `behind`."""
        self.set(rsp=self["rsp"] - 8, rip=function, **dict(zip(ARGUMENTS, arguments)))
        self.write(self["rsp"], behind.to_bytes(8, "little"))


class Names(Monitor):
    """A monitor whose image has these names."""

    def __init__(self, stub: Stub, **names: int) -> None:
        super().__init__(stub, Path())
        self.names = names

    def address(self, name: str) -> int:
        if name not in self.names:
            raise NoSymbol(f"there is no {name} in the image.")
        return self.names[name]


def returns(value: int) -> Function:
    """A function that does nothing else."""

    def function(_: Cpu) -> Frame:
        return value
        yield  # pylint: disable=unreachable

    return function


def keep(*_: Any) -> str:
    """A handler that finds nothing wrong."""
    return ""

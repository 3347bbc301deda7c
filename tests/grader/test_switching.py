# SPDX-License-Identifier: BSD-3-Clause
"""Lab 1's world switch, followed step by step: switching.py, with programs that are right, or have one mistake."""

from __future__ import annotations

import unittest
from typing import Mapping, Sequence
from unittest import mock

from fake_cpu import Names
from test_watch import MIB, registers
from grading.gdbstub import Registers, Stub
from grading.switching import Switch
from grading.vmcb import Vmcb
from grading.watch import Entry

SWITCH, ARRAY, VMCB, STACK = 0x201000, 0x10000, 0x20000, 0x80000
NAMES = ("rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", *(f"r{n}" for n in range(8, 16)))
LOADED = [name for name in NAMES if name not in ("rax", "rsp", "rdi")]
CODES = {
    **{"vmrun": b"\x0f\x01\xd8", "vmload": b"\x0f\x01\xda", "vmsave": b"\x0f\x01\xdb"},
    **{"stgi": b"\x0f\x01\xdc", "clgi": b"\x0f\x01\xdd", "ret": b"\xc3", "sti": b"\xfb", "cli": b"\xfa"},
}
OTHER = b"\x90"
RIGHT = (
    *("store rax", *(f"load {name}" for name in LOADED), "load rdi"),
    *("clgi", "sti", "vmload", "vmrun", "vmsave", "vmload", "cli", "stgi", "ret"),
)


class Steps(Stub):
    """A processor that executes one function, an instruction at a time."""

    def __init__(self, program: Sequence[str]) -> None:
        super().__init__(mock.Mock(), memoryview(bytearray(4 * MIB)))
        self.values = {"rip": SWITCH, "rdi": ARRAY, "rsi": VMCB, "rsp": STACK, "eflags": 0x46}
        self.code: dict[int, str] = {}
        self.array = ARRAY
        at = SWITCH
        for word in program:
            self.code[at] = word
            self.write(at, CODES.get(word, OTHER))
            at += len(CODES.get(word, OTHER))
        for place in range(16):
            self.write(ARRAY + 8 * place, (0x100 + place).to_bytes(8, "little"))

    def registers(self) -> Registers:
        return registers(**self.values)

    def set(self, **values: int) -> None:
        self.values.update(values)

    def stop_at(self, address: int) -> None:
        """Nobody lets it run."""

    pass_by = stop_at

    def step(self) -> None:
        word = self.code.get(self.values["rip"], "")
        self.values["rip"] += len(CODES.get(word, OTHER))
        if word in ("sti", "cli"):
            self.values["eflags"] = 0x246 if word == "sti" else 0x46
        verb, _, name = word.partition(" ")
        if name:
            value = int.from_bytes(self.read(self.array + 8 * NAMES.index(name), 8), "little")
            value %= 2**32 if verb == "load32" else 2**64
            if verb == "store":
                self.write(VMCB + 0x5F8, value.to_bytes(8, "little"))
            else:
                self.values[name] = value


def follow(program: Sequence[str]) -> str:
    """What the check finds."""
    stub = Steps(program)
    check, monitor = Switch({}), Names(stub, svm_switch=SWITCH)
    check.begin(monitor)
    for _ in range(4):
        assert monitor.stopped(stub.registers()) == ""
    assert "was called 4 times, and never followed" in check.unasked()
    found = monitor.stopped(stub.registers())
    if found:
        return found
    own = [int.from_bytes(stub.read(ARRAY + 8 * place, 8), "little") for place in range(16)]
    assert own == [0x100 + place for place in range(16)]  # the guest has its own again
    assert [stub.values[name] for name in LOADED] == [0x100 + NAMES.index(name) for name in LOADED]
    stub.set(rip=stub.values["rip"] + 3, eflags=stub.values["eflags"])
    found = monitor.stopped(stub.registers())
    assert found or check.unasked() == ""
    return found


class Switching(unittest.TestCase):
    """There and back."""

    def without(self, word: str, which: int = 0) -> list[str]:
        """One of an instruction's occurrences is missing."""
        places = [place for place, other in enumerate(RIGHT) if other == word]
        return [other for place, other in enumerate(RIGHT) if place != places[which]]

    def instead(self, changes: Mapping[str, str]) -> list[str]:
        """Other instructions, each in its place."""
        return [changes.get(word, word) for word in RIGHT]

    def test_right(self) -> None:
        self.assertEqual(follow(RIGHT), "")

    def test_mistakes(self) -> None:
        for program, said in (
            (self.without("clgi"), "VMLOAD with the gate open"),
            (self.without("sti"), "IF is clear at VMRUN"),
            (self.without("vmload"), "before VMRUN came no VMLOAD"),
            (self.without("vmload", 1), "opens the gate before the host's VMLOAD"),
            (self.without("vmsave"), "VMLOAD, VMRUN, VMLOAD; it should be"),
            (self.without("cli"), "opens the gate .* while IF is set"),
            (self.without("stgi"), "ends with the gate closed"),
            (self.instead({"load r12": "nop"}), r"guest's r12 is 0x0 at VMRUN; it should be 0x[89a-f]\w{15}"),
            (self.instead({"load rdi": "load32 rdi"}), r"guest's rdi is 0x\w{8} at VMRUN"),
            (self.instead({"store rax": "nop"}), "guest's rax is 0x0 at VMRUN"),
            (self.instead({"vmrun": "nop"}), "has not come to VMRUN after 200"),
            (self.instead({"clgi": "vmload", "vmload": "clgi"}), "VMLOAD with the gate open"),
        ):
            with self.subTest(said=said):
                self.assertRegex(follow(program), said)

    def test_left_in_another_way(self) -> None:
        stub = Steps(RIGHT)
        check, monitor = Switch({}), Names(stub, svm_switch=SWITCH)
        check.begin(monitor)
        for number, wanted in ((3, ""), (9, ""), (11, "was left in another way")):
            for _ in range(5):
                if SWITCH in monitor.stops:
                    monitor.stopped(stub.registers())
            vmcb = Vmcb.read(stub, VMCB)
            self.assertIn(wanted, check.entering(Entry(number, vmcb, registers(), stub)))


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: BSD-3-Clause
"""Lab 2's functions, called: raising.py, decoding.py, dispatching.py, with functions in Python that are right, or
have one mistake."""

from __future__ import annotations

import unittest
from typing import Any, Iterator

from fake_cpu import HERE, Cpu, Frame, Function, Names
from grading.asking import AtFirstExit
from grading.decoding import Decoder
from grading.dispatching import Dispatch
from grading.monitor import Unreturned
from grading.raising import Exceptions

VCPU, VM, STATE_BLOCK, VMCB = 0x10000, 0x20000, 0x70000, 0x71000
STATE = VM + 0x23450
CODE = 0x90000
GENERAL, LONG = 1 << 10, 1 << 9
NAMES = (
    "exit_dispatch", "vm_stop", "vcpu_exception", "vcpu_page_fault", "svm_inject", "insn_decode", "svm_explain_refusal",
    "vcpu_insn", "vcpu_operand", "vcpu_access", "vm_create", "vm_destroy", "vm_hook_msr", "vm_hook_hypercall",
)  # fmt: skip
AT = {name: 0x201000 + 0x1000 * index for index, name in enumerate(NAMES)}
EAGAIN, EIO, EINVAL = 2**32 - 11, 2**32 - 5, 2**32 - 22
SERIOUS = (0, 10, 11, 12, 13)


class Fake:
    """A monitor that has come to its first exit. `mistakes`: of which kinds."""

    def __init__(self, *mistakes: str) -> None:
        self.mistakes = mistakes
        self.cpu = Cpu({AT[name]: function for name, function in self.functions()})
        self.put(VCPU + 128, VM)
        self.put(VCPU + 136, STATE_BLOCK)
        self.put(STATE_BLOCK, VMCB)
        self.put(VMCB + 0x578, CODE)  # RIP
        self.put(VMCB + 0x412, GENERAL | 0x9B, 2)
        self.put(VMCB + 0x4D0, 0x1000)  # EFER
        self.hooked: tuple[int, ...] = ()

    def functions(self) -> Iterator[tuple[str, Function]]:
        """By name."""
        for name in NAMES:
            if method := getattr(self, name, None):
                yield name, method

    def wrong(self, mistake: str) -> bool:
        """Is this one made?"""
        return mistake in self.mistakes

    def get(self, at: int, size: int = 8) -> int:
        """A number in memory."""
        return int.from_bytes(self.cpu.read(at, size), "little")

    def put(self, at: int, value: int, size: int = 8) -> None:
        """Write one."""
        self.cpu.write(at, (value % 256**size).to_bytes(size, "little"))

    def ask(self, check: AtFirstExit) -> str:
        """What the check finds."""
        monitor = Names(self.cpu, **AT)
        check.begin(monitor)
        assert "never called" in check.unasked()
        self.cpu.enter(AT["exit_dispatch"], HERE, VCPU, 0x3000)
        self.cpu.set(cr2=0)
        before = self.cpu.registers().raw, bytes(self.cpu.read(0, 0x73000))
        try:
            found = monitor.stopped(self.cpu.registers())
        except Unreturned as error:
            found = str(error)
        if not found:  # nothing is left of it, but in CR2, which is nobody's
            self.cpu.set(cr2=0)
            assert before == (self.cpu.registers().raw, bytes(self.cpu.read(0, 0x73000)))
            assert (monitor.stops, self.cpu.stops, check.unasked()) == ({}, set(), "")
        return found

    # ---- exceptions --------------------------------------------------------------------------------

    def vm_stop(self, cpu: Cpu) -> Frame:
        """Any VM is this one."""
        self.put(STATE, cpu["rsi"] if not self.wrong("does not stop") else 0, 4)
        self.put(VCPU + 160, self.get(VCPU + 160, 4) | 4, 4)
        return 0
        yield  # pylint: disable=unreachable

    def vcpu_exception(self, cpu: Cpu) -> Frame:
        """Raise one."""
        self.throw(cpu["rsi"], cpu["rdx"], self.get(VMCB + 0x640))
        return 0
        yield  # pylint: disable=unreachable

    def vcpu_page_fault(self, cpu: Cpu) -> Frame:
        """Raise this one."""
        self.throw(14, cpu["rdx"], cpu["rsi"])
        return 0
        yield  # pylint: disable=unreachable

    def svm_inject(self, cpu: Cpu) -> Frame:
        """One event."""
        at = cpu["rsi"]
        kind, vector = self.get(at, 4), self.get(at + 4, 1)
        if self.get(VMCB + 0xA8) >> 31 & 1 and not self.wrong("overwrites"):
            return 2**32 - 16
        self.deliver((3, 2, 4)[kind], vector, self.get(at + 5, 1), self.get(at + 8, 4), self.get(at + 16))
        return 0
        yield  # pylint: disable=unreachable

    def deliver(self, kind: int, vector: int, has_error: int, error: int, address: int) -> None:
        """Fill EVENTINJ."""
        if self.wrong("no error code"):
            error = 0
        word = 1 << 31 | kind << 8 | vector | (has_error << 11 | error << 32 if has_error else 0)
        self.put(VMCB + 0xA8, word)
        if vector == 14 and (kind == 3 or self.wrong("any 14")):
            self.put(VMCB + 0x640, address)
            if not self.wrong("no real CR2"):
                self.cpu.set(cr2=address)

    def throw(self, vector: int, error: int, address: int) -> None:
        """raise(), with vcpu->halted."""
        if not self.wrong("sleeps on"):
            self.put(VCPU + 164, 0, 1)
        first = self.get(VMCB + 0xA8)
        waits, kind, old = first >> 31 & 1, first >> 8 & 7, first & 0xFF
        double = (old in (*SERIOUS, 14) and vector in SERIOUS) or old == vector == 14
        if self.wrong("no table"):
            double = False
        if waits and kind == 3 and old == 8 and (vector in (*SERIOUS, 14) or self.wrong("any third")):
            if not self.wrong("no shutdown"):
                self.put(STATE, 4, 4)
        elif waits and (kind == 3 or self.wrong("of any kind")) and double:
            self.deliver(3, 8, 1, 0, 0)
        elif not waits or not self.wrong("first one stays"):
            self.deliver(3, vector, int(vector in (8, 10, 11, 12, 13, 14, 17)), error, address)

    # ---- exits -------------------------------------------------------------------------------------

    def exit_dispatch(self, cpu: Cpu) -> Frame:
        """One exit."""
        vcpu, at = cpu.arguments(2)
        kind, rip, behind = self.get(at, 4), self.get(at + 32), self.get(at + 40)
        base = self.get(VMCB + 0x418)
        code, union = self.cpu.read(base + rip, 3), self.cpu.read(at + 80, 16)
        if kind in (0, 12, 13, 14, 19) and not self.wrong("goes on"):
            self.put(STATE, 5, 4)
            text = {12: b"a memory fault at 0x1", 13: b"INVLPG at 0x1"}.get(kind, b"task switch")
            text = b"error 5 at an exit of kind" if self.wrong("says nothing") and kind == 14 else text
            if kind == 19 and not self.wrong("explains nothing"):
                yield AT["svm_explain_refusal"], vcpu
            self.cpu.write(STATE + 16, b"task switch" if self.wrong("falls through") else text)
        elif kind == 11 and not self.wrong("no reflection"):
            self.throw(union[0], self.get(at + 84, 4), 0)
        elif kind in (1, 4):
            requests = 0 if self.wrong("forgets requests") else self.get(VCPU + 160, 4)
            self.put(VCPU + 160, requests | (2 if kind == 1 else 4), 4)
            self.put(VMCB + 0x578, behind if kind == 4 else rip)
        elif kind == 15 and base:
            self.put(VMCB + 0x578, rip + 2 if self.wrong("never wraps") else (rip + 2) % 2**16)
        elif kind == 15 and not self.wrong("reads nothing"):
            self.put(STATE, 5, 4)
        elif kind == 5:
            err = (yield AT["vcpu_insn"], vcpu) or (yield AT["vcpu_access"], vcpu)
            self.failed(err)
        elif kind in (9, 10):
            err = (yield AT["vcpu_insn"], vcpu)
            if not err and code[:2] == b"\x0f\x01":
                err = yield AT["vcpu_operand"], vcpu
            self.failed(err)
            if not err:
                self.control(code, rip)
        elif kind in (7, 8):
            if self.hooked[0] or self.wrong("calls what is not there"):
                yield from self.register(vcpu, kind)
                self.put(VMCB + 0x578, behind)
            else:
                self.throw(13, 0, 0)
        elif kind == 16:
            yield from self.hypercall(vcpu)
            self.put(VMCB + 0x578, behind)
        return 0

    def failed(self, err: int) -> None:
        """What an error of others leads to."""
        if err and (err % 2**32 != EAGAIN or self.wrong("faults end it")):
            self.put(STATE, 5, 4)
        elif err and self.wrong("steps over faults"):
            self.put(VMCB + 0x578, CODE + 3)

    def control(self, code: bytes, rip: int) -> None:
        """A MOV from CR2, a MOV to CR0 that clears PG; anything else cannot be."""
        if code == b"\x0f\x20\xd0":
            wide = self.get(VMCB + 0x412, 2) & LONG or self.wrong("all of CR2")
            self.put(VCPU, self.get(VMCB + 0x640, 8 if wide else 4))
            self.put(VMCB + 0x578, rip + 3)
        elif code == b"\x0f\x22\xc0" and not self.wrong("PCIDs"):
            self.throw(13, 0, 0)
        elif code == b"\x0f\x20\xc0":
            self.put(VMCB + 0x578, rip + 3 if self.wrong("MOV CR never wraps") else (rip + 3) % 2**16)
        elif code[:2] == b"\x0f\xa2" and not self.wrong("any instruction"):
            self.put(STATE, 5, 4)

    def vcpu_insn(self, _: Cpu) -> Frame:
        """It can be read."""
        return 0
        yield  # pylint: disable=unreachable

    vcpu_access = vcpu_operand = vcpu_insn

    def vm_hook_msr(self, cpu: Cpu) -> Frame:
        """A hook."""
        self.hooked = tuple(self.get(cpu["rsi"] + at) for at in (8, 16, 24))
        return 0
        yield  # pylint: disable=unreachable

    def vm_hook_hypercall(self, cpu: Cpu) -> Frame:
        """A hook."""
        self.hooked = tuple(self.get(cpu["rsi"] + at) for at in (8, 16))
        return 0
        yield  # pylint: disable=unreachable

    def register(self, vcpu: int, kind: int) -> Any:
        """RDMSR, WRMSR."""
        read, write, opaque = self.hooked
        msr = self.get(VCPU + 8, 4)
        first = (msr, vcpu) if self.wrong("swapped") else (vcpu, msr)
        if kind == 7:
            yield read, *first, 0x4000, opaque
            self.put(VCPU, self.get(0x4000, 4))
            self.put(VCPU + 16, self.get(0x4004, 4))
            self.put(0x4000, 0)
        else:
            yield write, *first, self.get(VCPU, 4) | self.get(VCPU + 16) << 32, opaque

    def hypercall(self, vcpu: int) -> Any:
        """VMMCALL."""
        function, opaque = self.hooked
        size = 8 if self.get(VMCB + 0x412, 2) & LONG or self.wrong("upper halves") else 4
        for place, register in enumerate((3, 1, 2, 6)):
            self.put(0x4000 + 8 * place, self.get(VCPU + 8 * register, size))
        result = yield function, vcpu, 0x4000, opaque
        self.put(VCPU, result)
        self.cpu.write(0x4000, bytes(32))


class Raising(unittest.TestCase):
    """Exceptions."""

    def test_right(self) -> None:
        self.assertEqual(Fake().ask(Exceptions({})), "")

    def test_mistakes(self) -> None:
        for mistake, said in {
            "does not stop": r"^vm_stop\(\) does not give a VM the state",
            "sleeps on": r"nothing waits: vcpu->halted is still true",
            "no error code": r"^vcpu_exception raises #TS while nothing waits: EVENTINJ is 0x80000b0a",
            "no table": r"^vcpu_exception raises #DE while #DE waits: EVENTINJ is .*; it should be 0x80000b08, #DF",
            "no shutdown": r"while #DF waits: the VM goes on, and that is a shutdown",
            "any third": r"raises #UD while #DF waits: the VM has stopped",
            "of any kind": r"^vcpu_exception raises #DE while INT 14 waits: EVENTINJ is 0x80000b08; it should be 0x80000300, #DE",
            "first one stays": r"^vcpu_exception raises #DE while NMI waits: EVENTINJ is 0x80000202",
            "no real CR2": r"^vcpu_page_fault raises #PF while nothing waits: svm_set_cr2\(\) was not called",
            "any 14": r"^svm_inject of INT 14: the VMCB's CR2 is",
            "overwrites": r"^svm_inject returned 0, not -16",
        }.items():
            with self.subTest(mistake=mistake):
                self.assertRegex(Fake(mistake).ask(Exceptions({})), said)


class Dispatching(unittest.TestCase):
    """Exits, made up."""

    def test_right(self) -> None:
        self.assertEqual(Fake().ask(Dispatch({})), "")

    def test_mistakes(self) -> None:
        for mistake, said in {
            "goes on": r"^an exit that is not known: the VM goes on, and should not",
            "falls through": r"^a memory exit, .* the VM has been stopped, but not by the function for it, which says 'a mem",
            "says nothing": r"^a task switch: the VM has been stopped, but no function for it has said why",
            "explains nothing": r"^a VMCB that the processor refused: cpu->explain_refusal",
            "no reflection": r"^an exit for #AC: EVENTINJ is 0x0, not 0x80000b11",
            "forgets requests": r"^an interrupt, when 4 is requested already: requests is 2, not 6",
            "reads nothing": r"^an exit where the guest has no RAM, .*: the VM goes on, and should not",
            "faults end it": r"^0f 20 c0, when vcpu_insn\(\) returns -11: the VM has been stopped, and should not",
            "steps over faults": r"^0f 20 c0, when vcpu_insn\(\) returns -11: RIP has moved by 3, not by 0",
            "any instruction": r"^an exit for a control register, at an instruction that touches none,: the VM goes on",
            "all of CR2": r"^MOV EAX, CR2, in 32-bit code: CR2 is 0x123456789abcdef, and RAX 0x123456789abcdef",
            "PCIDs": r"^PG cleared while CR4.PCIDE is set: EVENTINJ is 0x0, not 0x80000b0d",
            "never wraps": r"^INVD at 0xfffe, in 16-bit code: RIP is 0x10000 then; it should be 0",
            "MOV CR never wraps": r"^MOV EAX, CR0 at 0xfffd, in 16-bit code: RIP is 0x10000 then",
            "calls what is not there": r"^exit_dispatch for RDMSR of an MSR whose hook has no such .* was called, and never",
            "swapped": r"^RDMSR: the hook's virtual CPU is 0x40000abc; it should be 0x10000",
            "upper halves": r"^VMMCALL in 32-bit code: the hook's RBX is 0x123456789ab\w+; it should be 0x89ab",
        }.items():
            with self.subTest(mistake=mistake):
                self.assertRegex(Fake(mistake).ask(Dispatch({})), said)


class Decoding(unittest.TestCase):
    """The decoder answers as it should, or but for one member."""

    def ask(self, member: str = "", code: str = "") -> str:
        """`member`: is wrong where the code contains these bytes."""
        fake, check = Fake(), Decoder({})
        answers: list[tuple[bytes, dict[str, int]]] = []
        twin = Decoder({})
        for bits in (16, 32, 64):
            answers += [*twin._plain(bits), *twin._locked(bits), *twin._lengths(bits)]  # pylint: disable=protected-access
        left = iter(answers)

        def decode(cpu: Cpu) -> Frame:
            given, wanted = next(left)
            place, count, _, insn = cpu.arguments(4)
            self.assertEqual(cpu.read(place, count), given[:15])
            values = {**wanted, "error": wanted.get("error", 0)}
            if member and bytes.fromhex(code) in given:
                values[member] = values.get(member, 0) ^ 1
            for name, at in {"len": 0, "opsize": 5, "addrsize": 7, "seg": 8, "lock": 9, "rep": 10, "repne": 11,
                             "rex": 12}.items():  # fmt: skip
                fake.put(insn + at, values.get(name, 0), 1)
            return values["error"] % 2**32
            yield  # pylint: disable=unreachable

        fake.cpu.functions[AT["insn_decode"]] = decode
        return fake.ask(check)

    def test_right(self) -> None:
        self.assertEqual(self.ask(), "")

    def test_mistakes(self) -> None:
        self.assertRegex(self.ask("error", "f20f38f1c1"), r"^insn_decode of f2 0f 38 f1 c1, 16-bit code, returned 1, not 0")
        self.assertRegex(self.ask("error", "66" * 14), r"returned -8, not -7")
        for member in ("len", "opsize", "addrsize", "rep", "repne", "lock", "rex"):
            with self.subTest(member=member):
                self.assertRegex(self.ask(member, "0fa2"), rf"^insn_decode of .*0f a2.*: {member} is \w+; it should be \w+\.$")
        self.assertRegex(self.ask("seg", "0fa2"), r": seg is \S+; it should be \S+\.$")


if __name__ == "__main__":
    unittest.main()

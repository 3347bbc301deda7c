# SPDX-License-Identifier: BSD-3-Clause
"""Lab 2's exits, made up: exit_dispatch() is called with exits that no guest of the lab makes.

    what nobody can do for a guest            stops the VM
    a fault while an instruction is read      the guest has the fault already; nothing else happens
    a control register, in odd circumstances  CR2 above 4 GiB, PCIDs, an instruction that touches none
    hooks                                     are told which virtual CPU it is, what is asked, and their pointer

vcpu_insn(), vcpu_access() and vcpu_operand(), which are not the students', are not run then: they say what
lab 3's page faults would make them say. The instruction is written to where the guest is; it has no paging
of its own, and its physical addresses are the machine's.
"""

from __future__ import annotations

from typing import Callable, Iterator, Sequence

from .asking import FAILED, RAX, RBX, RCX, RDX, RSI, RUNNING, AtFirstExit
from .gdbstub import Registers
from .layout import EXIT_BYTES, EXIT_NEXT_RIP, EXIT_RIP, EXIT_UNION, VM_BYTES
from .monitor import Answers
from .vmcb import EVENT_ERROR_VALID, EVENT_VALID

# enum exit_kind (src/vmm/exit.h)
_UNKNOWN, _INTERRUPT, _WINDOW, _HLT, _IO, _RDMSR, _WRMSR = 0, 1, 2, 4, 5, 7, 8
_CR_READ, _CR_WRITE, _EXCEPTION, _MEMORY, _INVLPG, _TASK_SWITCH = 9, 10, 11, 12, 13, 14
_INVD, _HYPERCALL, _REFUSED = 15, 16, 19
_HOST, _LEAVE = 2, 4  # REQUEST_…
_EAGAIN, _EIO = -11, -5
_NOWHERE = 0x7FFF_0000  # beyond the machine's memory
_AC, _GP = 17, 13
_FAULT = EVENT_VALID | EVENT_ERROR_VALID | 3 << 8  # an exception with an error code
_PG_PE, _PCIDE, _LMA_LME, _LONG, _BIG = 0x8000_0011, 1 << 17, 0x500, 1 << 9, 1 << 10
_WIDE = 0x0123_4567_89AB_CDEF
_OPAQUE, _MSR, _NUMBER = 0x5EED_0000, 0x4000_0ABC, 0x5EED
_NOBODY = "at an exit of kind"  # fail() in exit.c: when there is no reason yet
_SENTENCES = {FAILED: "has been stopped", RUNNING: "goes on"}


class Dispatch(AtFirstExit):
    """exit_dispatch(), called."""

    def ask(self) -> str:
        for question in self._questions():
            complaint = question()
            self.put_back()
            if complaint:
                return complaint
        return ""

    def _questions(self) -> Iterator[Callable[[], str]]:
        yield from (self._ends, self._exception, self._nothing, self._requests, self._no_code)
        yield from (self._unread, self._cr_of_none, self._cr2, self._pcids, self._wraps)
        yield from (self._msr_hook, self._msr_hook_of_none, self._hypercall_hook)

    def _exit(
        self, what: str, kind: int, rest: bytes = b"", code: str = "", length: int = 0, answers: Answers | None = None
    ) -> None:
        """One exit. `rest`: its union; `code`: the instruction; `length`: 0: nobody says how long that is."""
        rip = self.now["rip"]
        place = rip + self.now.segment("cs").base
        before = self.monitor.stub.read(place, 16)
        self.monitor.stub.write(place, bytes.fromhex(code))
        self.monitor.stub.write(self.scratch, bytes(EXIT_BYTES))
        self.put(self.scratch, kind, 4)
        self.put(self.scratch + EXIT_RIP, rip, 8)
        self.put(self.scratch + EXIT_NEXT_RIP, rip + length if length else 0, 8)
        self.monitor.stub.write(self.scratch + EXIT_UNION, rest)
        function = self.monitor.address("exit_dispatch")
        self.call(f"exit_dispatch for {what}", function, self.vcpu, self.scratch, answers=answers)
        self.monitor.stub.write(place, before)

    def _is(self, what: str, state: int, moved: int = 0, event: int = 0) -> str:
        """Is it so that the VM is in this state, RIP has moved so far, and this event waits?"""
        if self.state != state:
            return f"{what}: the VM {_SENTENCES.get(self.state, 'is in another state')}, and should not."
        if state != RUNNING:
            return ""
        far = self.now["rip"] - self.first["rip"]
        if far != moved:
            return f"{what}: RIP has moved by {far}, not by {moved}."
        if (now := self.now["event_inj"]) != event:
            return f"{what}: EVENTINJ is {now:#x}, not {event:#x}."
        return ""

    def _ends(self) -> str:
        explained = []

        def explain(registers: Registers) -> int:
            explained.append(registers["rdi"])
            return 0

        quiet: Answers = {self.monitor.address("svm_explain_refusal"): explain}
        for what, kind, said in (
            ("an exit that is not known", _UNKNOWN, ""),
            ("a memory exit, which lab 2 has none of,", _MEMORY, "a memory fault at"),
            ("INVLPG, which lab 2 does not ask to see,", _INVLPG, "INVLPG at"),
            ("a task switch", _TASK_SWITCH, ""),
            ("a VMCB that the processor refused", _REFUSED, ""),
        ):
            self._exit(what, kind, code="f4", answers=quiet)
            if complaint := self._is(what, FAILED):
                return complaint
            vm = self.monitor.stub.read(self.vm, VM_BYTES)  # vm->reason is in it
            if said.encode() not in vm:
                return f"{what}: the VM has been stopped, but not by the function for it, which says {said!r}."
            if _NOBODY.encode() in vm:
                return f"{what}: the VM has been stopped, but no function for it has said why: vm_fail()."
            self.put_back()
        if explained != [self.vcpu]:
            return "a VMCB that the processor refused: cpu->explain_refusal() is called then, once, by refused()."
        return ""

    def _exception(self) -> str:
        self._exit("#AC", _EXCEPTION, bytes([_AC, 1, 0, 0, 0, 0, 0, 0]))
        return self._is("an exit for #AC", RUNNING, 0, _FAULT | _AC)

    def _nothing(self) -> str:
        self._exit("an interrupt window", _WINDOW)
        return self._is("an interrupt window", RUNNING)

    def _requests(self) -> str:
        for what, kind, before in (("an interrupt", _INTERRUPT, _LEAVE), ("HLT", _HLT, _HOST)):
            self.requests = before
            self._exit(what, kind, code="f4", length=1)
            if self.requests & (_HOST | _LEAVE) != _HOST | _LEAVE:
                return f"{what}, when {before} is requested already: requests is {self.requests}, not {_HOST | _LEAVE}."
            if complaint := self._is(what, RUNNING, int(kind == _HLT)):
                return complaint
            self.put_back()
        return ""

    def _no_code(self) -> str:
        what = "an exit where the guest has no RAM, and its instruction must be read,"
        self.change(rip=_NOWHERE)
        self._exit(what, _INVD)
        return self._is(what, FAILED)

    # ---- faults ------------------------------------------------------------------------------------

    def _unread(self) -> str:
        write, ins, outs = bytes([0]), bytes([0x80, 0, 1, 1, 1, 0]), bytes([0x80, 0, 1, 0, 1, 0])
        for name, kind, rest, code in (
            ("vcpu_insn", _CR_READ, write, "0f20c0"),
            ("vcpu_insn", _CR_WRITE, write, "0f22c0"),
            ("vcpu_insn", _IO, ins, "6c"),
            ("vcpu_operand", _CR_WRITE, write, "0f0130"),
            ("vcpu_operand", _CR_READ, write, "0f0120"),
            ("vcpu_access", _IO, ins, "6c"),
            ("vcpu_access", _IO, outs, "6e"),
        ):
            for error, state in ((_EAGAIN, RUNNING), (_EIO, FAILED)):
                if complaint := self._unread_one(name, error, state, kind, rest, code):
                    return complaint
                self.put_back()
        return ""

    def _unread_one(self, name: str, error: int, state: int, kind: int, rest: bytes, code: str) -> str:
        called = []

        def answer(_: Registers) -> int:
            called.append(name)
            return error

        # Who reads instructions and memory in another way is not asked: it would prove nothing.
        what = f"{bytes.fromhex(code).hex(' ')}, when {name}() returns {error}"
        self._exit(what, kind, rest, code, 0, {self.monitor.address(name): answer})
        return self._is(what, state) if called else ""

    # ---- control registers -------------------------------------------------------------------------

    def _cr_of_none(self) -> str:
        what = "an exit for a control register, at an instruction that touches none,"
        self._exit(what, _CR_WRITE, b"\0", "0fa2")
        return self._is(what, FAILED)

    def _cr2(self) -> str:
        for bits in (32, 64):
            self._run_code_of(bits)
            self.change(cr2=_WIDE)
            self.set_gpr(RAX, 2**64 - 1)
            what = f"MOV EAX, CR2, in {bits}-bit code"
            self._exit(what, _CR_READ, bytes([2]), "0f20d0")
            wanted = _WIDE % 2**bits
            if complaint := self._is(what, RUNNING, 3):
                return complaint
            if (now := self.gpr(RAX)) != wanted:
                return f"{what}: CR2 is {_WIDE:#x}, and RAX {now:#x}; it should be {wanted:#x}."
            self.put_back()
        return ""

    def _run_code_of(self, bits: int) -> None:
        """The guest's mode; in lab 2 a virtual address is a physical one, paging or not."""
        attributes = self.first["cs_attributes"] & ~(_LONG | _BIG)
        self.change(cs_attributes=attributes | (_LONG if bits == 64 else _BIG), cpl=0)
        if bits == 64:
            self.change(cr0=_PG_PE, efer=self.first["efer"] | _LMA_LME)

    def _pcids(self) -> str:
        """PG may not be cleared while PCIDs are on (exercise 2.7)."""
        what = "PG cleared while CR4.PCIDE is set"
        self.change(cr0=_PG_PE, cr4=_PCIDE)
        self.set_gpr(RAX, 0x11)
        self._exit(what, _CR_WRITE, b"\0", "0f22c0")
        return self._is(what, RUNNING, 0, _FAULT | _GP)

    def _wraps(self) -> str:
        """An instruction at the end of a 16-bit segment: the next one is at its beginning."""
        linear = self.first["rip"] + self.first.segment("cs").base
        for what, kind, code in (("INVD", _INVD, "0f08"), ("MOV EAX, CR0", _CR_READ, "0f20c0")):
            length = len(code) // 2
            rip = 0x10000 - length
            self.change(rip=rip, cs_base=linear - rip, cs_attributes=self.first["cs_attributes"] & ~(_LONG | _BIG))
            self._exit(what, kind, b"\0", code)
            what = f"{what} at {rip:#x}, in 16-bit code"
            if self.state != RUNNING or self.now["rip"]:
                return f"{what}: RIP is {self.now['rip']:#x} then; it should be 0: vcpu_wrap()."
            self.put_back()
        return ""

    # ---- hooks -------------------------------------------------------------------------------------

    def _hook(self, function: str, hook: Sequence[tuple[int, int]]) -> str:
        at = self.scratch
        for value, size in hook:
            self.put(at, value, size)
            at += size
        if got := self.call(function, self.monitor.address(function), self.vm, self.scratch):
            return f"{function} returned {got}."
        return ""

    def _told(self, what: str, told: Sequence[int], names: Sequence[str], wanted: Sequence[int]) -> str:
        """What a hook was told, beside what it should have been."""
        if not told:
            return f"{what}: the hook was not called."
        for name, found, value in zip(names, told, wanted):
            if found != value:
                return f"{what}: the hook's {name} is {found:#x}; it should be {value:#x}."
        return ""

    def _msr_hook(self) -> str:
        read, write = self.monitor.address("vm_create"), self.monitor.address("vm_destroy")
        told: list[int] = []

        def answer(registers: Registers) -> int:
            told[:] = [registers["rdi"], registers["rsi"] % 2**32, registers["rcx"]]
            if registers["rip"] == read:  # RDX is where the value goes, else the value
                self.put(registers["rdx"], _WIDE, 8)
            else:
                told.append(registers["rdx"])
            return 0

        names = ("virtual CPU", "MSR", "opaque pointer", "value")
        wanted = (self.vcpu, _MSR, _OPAQUE, _WIDE)
        hook = ((_MSR, 4), (_MSR, 4), (read, 8), (write, 8), (_OPAQUE, 8))
        for what, kind, code in (("RDMSR", _RDMSR, "0f32"), ("WRMSR", _WRMSR, "0f30")):
            for register, value in ((RCX, _MSR), (RAX, _WIDE % 2**32), (RDX, _WIDE >> 32)):
                self.set_gpr(register, value)
            told.clear()
            if complaint := self._hook("vm_hook_msr", hook):
                return complaint
            self._exit(what, kind, b"", code, 2, {read: answer, write: answer})
            if complaint := self._told(what, told, names, wanted) or self._is(what, RUNNING, 2):
                return complaint
            found = self.gpr(RDX) << 32 | self.gpr(RAX)
            if kind == _RDMSR and found != _WIDE:
                return f"RDMSR: the hook gave {_WIDE:#x}, and EDX:EAX is {found:#x}."
            self.put_back()
        return ""

    def _msr_hook_of_none(self) -> str:
        """A hook without functions."""
        hook = ((_MSR, 4), (_MSR, 4), (0, 8), (0, 8), (_OPAQUE, 8))
        for what, kind, code in (("RDMSR", _RDMSR, "0f32"), ("WRMSR", _WRMSR, "0f30")):
            self.set_gpr(RCX, _MSR)
            if complaint := self._hook("vm_hook_msr", hook):
                return complaint
            what += " of an MSR whose hook has no such function"
            self._exit(what, kind, b"", code, 2)
            if complaint := self._is(what, RUNNING, 0, _FAULT | _GP):
                return complaint
            self.put_back()
        return ""

    def _hypercall_hook(self) -> str:
        function = self.monitor.address("vm_create")
        told: list[int] = []

        def answer(registers: Registers) -> int:
            args = self.monitor.pointers(registers["rsi"], 4)
            told[:] = [registers["rdi"], *args, registers["rdx"]]
            return _WIDE

        names = ("virtual CPU", "RBX", "RCX", "RDX", "RSI", "opaque pointer")
        for bits in (32, 64):
            what = f"VMMCALL in {bits}-bit code"
            self._run_code_of(bits)
            above = _WIDE & ~0xFFFF
            self.set_gpr(RAX, _NUMBER | (above if bits == 32 else 0) & ~0xFFFF_FFFF)
            values = [above + register for register in (RBX, RCX, RDX, RSI)]
            for register, value in zip((RBX, RCX, RDX, RSI), values):
                self.set_gpr(register, value)
            told.clear()
            if complaint := self._hook("vm_hook_hypercall", ((_NUMBER, 8), (function, 8), (_OPAQUE, 8))):
                return complaint
            self._exit(what, _HYPERCALL, b"", "0f01d9", 3, {function: answer})
            wanted = [self.vcpu, *(value % 2**bits for value in values), _OPAQUE]
            if complaint := self._told(what, told, names, wanted) or self._is(what, RUNNING, 3):
                return complaint
            if (now := self.gpr(RAX)) != _WIDE:
                return f"{what}: the hook returned {_WIDE:#x}, and RAX is {now:#x}."
            self.put_back()
        return ""

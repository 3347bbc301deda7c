# SPDX-License-Identifier: BSD-3-Clause
"""The VMs: the list that the run loop keeps, and the pieces that belong to one.

vmm/run.c has the list and the virtual CPU that runs (`vms`, `vm_count`, `running`). Before
vmm_run() there is none yet; then a variable `vm` or `vcpu` where the program stands will do, and a
VM may always be named by an expression: casita regs vcpu->vm.
"""

from __future__ import annotations

from dataclasses import dataclass

import gdb

import target
from target import Problem

_RUN = "vmm/run.c"
_MOST_VMS = 64


@dataclass(frozen=True)
class Vm:
    """One VM: where its struct vm is, and a copy of it."""

    number: int | None  # in the run loop's list
    address: int
    value: gdb.Value

    @property
    def name(self) -> str:
        """Its name, or something to call it."""
        name = target.member(self.value, "name")
        said = target.text(bytes(int(name[i]) & 0xFF for i in range(name.type.sizeof))) if name else ""
        return said or f"VM {self.number if self.number is not None else f'at {self.address:#x}'}"

    def get(self, path: str, what: str) -> gdb.Value:
        """A member that must be there; `what` is the thing's name in a sentence."""
        found = target.member(self.value, path)
        if found is None:
            raise Problem(f"this Casita's struct vm has no {what} (`{path}`): an earlier stage")
        return found

    def vcpu(self) -> gdb.Value:
        """A copy of its struct vcpu."""
        return target.struct_at("vcpu", self.vcpu_address())

    def vcpu_address(self) -> int:
        """Where its struct vcpu is."""
        pointer = self.get("vcpu", "virtual CPU")
        if pointer.type.strip_typedefs().code != gdb.TYPE_CODE_PTR:  # inside struct vm
            return self.address + int(pointer.address or 0)
        if not int(pointer):
            raise Problem(f"{self.name} has no virtual CPU yet, or no longer")
        return int(pointer)

    def svm_vcpu(self) -> gdb.Value:
        """A copy of what the AMD back end keeps of the virtual CPU."""
        state = target.number(self.vcpu(), "cpu_state")
        if not state:
            raise Problem(f"{self.name} has no VMCB yet: its virtual CPU is only half made")
        return target.struct_at("svm_vcpu", state)

    def vmcb_address(self) -> int:
        """Where its VMCB is."""
        address = target.number(self.svm_vcpu(), "vmcb")
        if not address:
            raise Problem(f"{self.name} has no VMCB yet: its virtual CPU is only half made")
        return address

    def vmcb(self) -> bytes:
        """A copy of its VMCB."""
        return target.read(self.vmcb_address(), 0x1000)

    @property
    def state(self) -> str:
        """How it is, in words."""
        state = target.enumerators("vm_state").get(target.number(self.value, "state", -1), "?")
        word = state.removeprefix("VM_").lower()
        if word == "running" and self._halted():
            return "halted"
        if word == "exited":
            return f"exited with status {target.number(self.value, 'status')}"
        return word

    def _halted(self) -> bool:
        try:
            return bool(target.number(self.vcpu(), "halted"))
        except Problem:
            return False

    @property
    def paging(self) -> str:
        """The name of its paging mode; empty if it has none."""
        operations = target.number(self.value, "paging")
        if not operations:
            return ""
        name = target.member(target.struct_at("paging_ops", operations), "name")
        return target.read_string(int(name)) if name is not None else ""


def running() -> int:
    """Address of the virtual CPU that was entered last; 0 if nobody says."""
    at = target.address_of("running", _RUN)
    return target.read_int(at, 8) if at else 0


def every() -> list[Vm]:
    """The run loop's VMs."""
    target.check_connected()
    at, count_at = target.address_of("vms", _RUN), target.address_of("vm_count", _RUN)
    if not at or not count_at:
        raise Problem("this Casita has no list of VMs (`vms` in vmm/run.c): name one by an "
                      "expression, as in `casita regs vm`")
    table, count = target.read_int(at, 8), target.read_int(count_at, 4)
    if not table or not count:
        raise Problem("Casita runs no VM yet: let it go on, for instance to a VM's first exit "
                      "(`break exit_dispatch`, `continue`)")
    if count > _MOST_VMS:
        raise Problem(f"the list of VMs makes no sense ({count} of them): is Casita in memory already?")
    pointers = [target.read_int(table + 8 * i, 8) for i in range(count)]
    return [_at(pointer, i) for i, pointer in enumerate(pointers) if pointer]


def _at(address: int, index: int | None = None) -> Vm:
    return Vm(index, address, target.struct_at("vm", address))


def choose(word: str = "") -> Vm:
    """The VM that an argument means: a name, a number, an expression; empty: the one that runs."""
    try:
        listed = every()
    except Problem:
        found = _by_expression(word) if word else _here()
        if found is None:
            raise
        return found
    if not word:
        now = running()
        for vm in listed:
            if now and target.number(vm.value, "vcpu") == now:
                return vm
        return listed[0]
    for vm in listed:
        if word in (vm.name, str(vm.number)):
            return vm
    if (by_expression := _by_expression(word)) is not None:
        return by_expression
    there = ", ".join(f"{vm.number} {vm.name}" for vm in listed)
    raise Problem(f"there is no VM {word}; there are: {there}")


def _here() -> Vm | None:
    """The VM of the function in which Casita stopped: its variable vm or vcpu."""
    for word in ("vm", "vcpu"):
        if (found := _by_expression(word)) is not None:
            return found
    return None


def _by_expression(word: str) -> Vm | None:
    """The VM that a GDB expression names: a struct vm or vcpu, or a pointer to one."""
    try:
        value = gdb.parse_and_eval(word)
        kind = value.type.strip_typedefs()
        address = int(value) if kind.code == gdb.TYPE_CODE_PTR else int(value.address or 0)
        kind = kind.target().strip_typedefs() if kind.code == gdb.TYPE_CODE_PTR else kind
    except (gdb.error, RuntimeError):
        return None
    name = (kind.unqualified().name or "").removeprefix("struct ")
    if not address or name not in ("vm", "vcpu"):
        return None
    if name == "vcpu":
        address = target.number(target.struct_at("vcpu", address), "vm")
    return _at(address) if address else None

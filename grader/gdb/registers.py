# SPDX-License-Identifier: BSD-3-Clause
"""A guest's registers, from wherever they are at this moment.

While the guest runs they are in the processor. While Casita runs, the general registers are in
struct vcpu and the rest in the VMCB. In between, inside svm_switch, some are neither here nor there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import gdb

import names
import svm
import target
import vms
from names import Segment
from target import Where

_LIVE_SEGMENTS = {"LDT": "LDTR"}
_SWITCH = "svm_switch"


@dataclass(frozen=True)
class Registers:
    """All of them, and a sentence that says where they were found."""

    found: str
    gprs: dict[str, int]
    special: dict[str, int]  # RIP RFLAGS CR0 CR2 CR3 CR4 EFER DR6 DR7
    segments: dict[str, Segment]  # GDTR and IDTR too: only base and limit
    cpl: int

    def __getitem__(self, name: str) -> int:
        return self.special[name] if name in self.special else self.gprs[name]

    @property
    def mode(self) -> str:
        """Real, protected, long."""
        return names.mode(self["CR0"], self["EFER"], self["RFLAGS"], self.segments["CS"])

    @property
    def pc(self) -> int:
        """The linear address of the next instruction: in 64-bit code CS has no base."""
        if "64-bit" in self.mode:
            return self["RIP"]
        return (self.segments["CS"].base + self["RIP"]) & 0xFFFFFFFF


def of(vm: vms.Vm) -> Registers:
    """The registers of a VM's guest."""
    said = target.monitor_registers()
    now = vms.running()
    inside = target.where(said) is Where.GUEST and now in (0, vm.vcpu_address())
    found = _live(said) if inside else _kept(vm, target.where(said))
    found.special.update(_own(vm))
    return found


def _own(vm: vms.Vm) -> dict[str, int]:
    """The registers that are not what the processor has, such as CR3 under shadow paging.

    `reg` of struct svm_vcpu points to each register as the guest sees it: in the VMCB, or elsewhere.
    """
    svm_vcpu = vm.svm_vcpu()
    pointers, vmcb = target.member(svm_vcpu, "reg"), vm.vmcb_address()
    if pointers is None:
        return {}
    places = {name.removeprefix("VREG_"): int(pointers[n])
              for n, name in target.enumerators("vreg").items() if name != "VREG_COUNT"}
    own = {name: target.read_int(at, 8) for name, at in places.items()
           if at and not vmcb <= at < vmcb + 0x1000}
    if "EFER" in own:  # LMA is what LME and CR0.PG make it
        active = own["EFER"] >> 8 & own.get("CR0", 0) >> 31 & 1
        own["EFER"] = own["EFER"] & ~(1 << 10) | active << 10
    return own


# ---- in the processor ----------------------------------------------------------------------------


def _live(said: str) -> Registers:
    """From QEMU's monitor: RAX=… or, outside of 64-bit code, EAX=…"""
    numbers = {name: int(value, 16) for name, value in re.findall(r"\b([A-Z0-9]+) *=([0-9a-f]+)", said)}

    def register(name: str) -> int:
        return numbers.get(name, numbers.get("E" + name[1:], 0))

    special = {name: register(name) for name in "RIP CR0 CR2 CR3 CR4 EFER DR6 DR7".split()}
    special["RFLAGS"] = register("RFL")
    segments = {}
    pattern = r"^(ES|CS|SS|DS|FS|GS|LDT|TR) *=([0-9a-f]+) ([0-9a-f]+) ([0-9a-f]+) ([0-9a-f]+)"
    for name, selector, base, limit, flags in re.findall(pattern, said, re.MULTILINE):
        word = int(flags, 16)
        attrib = word >> 8 & 0xFF | word >> 12 & 0xF00
        segments[_LIVE_SEGMENTS.get(name, name)] = Segment(
            int(selector, 16), attrib, int(limit, 16), int(base, 16))
    for name, base, limit in re.findall(r"^(GDT|IDT)= +([0-9a-f]+) ([0-9a-f]+)", said, re.MULTILINE):
        segments[f"{name}R"] = Segment(0, 0, int(limit, 16), int(base, 16))
    cpl = re.search(r"\bCPL=(\d)", said)
    gprs = {name: register(name) for name in names.GPRS}
    found = "inside the guest: QEMU is executing guest code, and the registers are in the processor"
    return Registers(found, gprs, special, segments, int(cpl[1]) if cpl else 0)


# ---- kept by Casita ------------------------------------------------------------------------------


def _kept(vm: vms.Vm, where: Where) -> Registers:
    """From struct vcpu and the VMCB."""
    vcpu, vmcb = vm.vcpu(), vm.vmcb()
    array = target.member(vcpu, "gpr")
    if array is None:
        raise target.Problem("this Casita's struct vcpu has no general registers (`gpr`): "
                             "an earlier stage")
    gprs = {name: int(array[i]) for i, name in enumerate(names.GPRS)}
    gprs["RSP"] = svm.word(vmcb, svm.SAVE_AT["rsp"])
    special = {name: svm.word(vmcb, svm.SAVE_AT[name.lower()])
               for name in "RIP RFLAGS CR0 CR2 CR3 CR4 EFER DR6 DR7".split()}
    segments = {name: svm.segment(vmcb, name) for name in (*names.SEGMENTS, "GDTR", "IDTR")}
    return Registers(_found(where), gprs, special, segments, vmcb[svm.SAVE_AT["cpl"]])


def _found(where: Where) -> str:
    if where is Where.GUEST:
        return "another VM's guest is running: this one's are in struct vcpu and its VMCB"
    frame = gdb.newest_frame()
    function = frame.name() or "?"
    if function == _SWITCH:
        return (f"in {_SWITCH}, between the worlds: the registers in struct vcpu and the VMCB are "
                "those of the last exit, and some may be in the processor already")
    return f"in Casita, {function}(): the registers are in struct vcpu and the VMCB"


# ---- as text -------------------------------------------------------------------------------------


def show(vm: vms.Vm) -> list[str]:
    """The lines of `casita regs`."""
    registers = of(vm)
    lines = [f"{vm.name}: {registers.found}",
             f"  mode    {registers.mode}, CPL {registers.cpl}, "
             f"paging {'on' if registers['CR0'] >> 31 & 1 else 'off'}"]
    gprs = [f"{name:<3} {registers.gprs[name]:016x}" for name in names.GPRS]
    lines += ["  " + "  ".join(gprs[i : i + 4]) for i in range(0, 16, 4)]
    lines += [
        f"  RIP     {registers['RIP']:#x} (linear {registers.pc:#x})",
        f"  RFLAGS  {registers['RFLAGS']:#x}: {names.rflags(registers['RFLAGS'])}",
        f"  CR0     {registers['CR0']:#x}: {names.bits(registers['CR0'], names.CR0)}",
        f"  CR2     {registers['CR2']:#x}",
        f"  CR3     {registers['CR3']:#x}",
        f"  CR4     {registers['CR4']:#x}: {names.bits(registers['CR4'], names.CR4)}",
        f"  EFER    {registers['EFER']:#x}: {_efer(registers['EFER'])}",
        f"  DR6     {registers['DR6']:#x}",
        f"  DR7     {registers['DR7']:#x}",
    ]
    for name in names.SEGMENTS:
        lines.append(f"  {name:<4}    {registers.segments[name].line()}")
    for name in ("GDTR", "IDTR"):
        lines.append(f"  {name:<4}    {registers.segments[name].place()}")
    return lines


def _efer(value: int) -> str:
    said = names.bits(value, names.EFER)
    return f"{said} (SVME is Casita's: the guest does not see it)" if value >> 12 & 1 else said

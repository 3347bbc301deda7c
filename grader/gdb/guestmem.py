# SPDX-License-Identifier: BSD-3-Clause
"""A VM's physical memory: its map, and the way from an address of the guest's to the machine's.

What the processor makes of it depends on how the VM's memory is virtualized. PROCESSOR has a function
for each paging mode, by the mode's name; a new mode adds its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable

import gdb

import names
import registers
import svm
import target
import vms
import walk
from target import Problem


@dataclass(frozen=True)
class Region:
    """A piece of the memory map; `host` is None for a device's."""

    start: int
    size: int
    host: int | None
    device: str = ""


def regions(vm: vms.Vm) -> list[Region] | None:
    """The memory map, sorted; None at a stage whose VMs have the machine's own memory."""
    memory = target.member(vm.value, "memory")
    if memory is None or (count := target.member(memory, "count")) is None:
        return None
    found = [_region(memory["regions"][i]) for i in range(int(count))]
    return sorted(found, key=lambda region: region.start)


def _region(value: gdb.Value) -> Region:
    start, size = target.number(value, "start.a"), target.number(value, "size")
    if "MMIO" in str(target.member(value, "kind")):
        hooks = [target.number(value, f"hook.{way}") for way in ("read", "write")]
        return Region(start, size, None, target.symbol_at(next(filter(None, hooks), 0)))
    return Region(start, size, target.number(value, "host.a"))


def to_host(vm: vms.Vm, gpa: int, size: int = 1) -> int | None:
    """Where guest RAM is in the machine, by the memory map; None: there is none."""
    mapped = regions(vm)
    if mapped is None:
        return gpa
    for region in mapped:
        if region.host is not None and region.start <= gpa and gpa + size <= region.start + region.size:
            return region.host + gpa - region.start
    return None


def _reader(vm: vms.Vm) -> walk.Reader:
    """Reads the guest's own page tables."""

    def read(gpa: int, size: int) -> int | None:
        host = to_host(vm, gpa, size)
        return None if host is None else target.read_int(host, size)

    return read


def show_map(vm: vms.Vm) -> list[str]:
    """The lines of `casita mem`."""
    mapped = regions(vm)
    if mapped is None:
        return [f"{vm.name}: this Casita has no memory map yet: guest physical is host physical"]
    total = target.number(vm.value, "memory.ram_size")
    lines = [f"{vm.name}: {names.size(total)} of RAM, paging mode {vm.paging or 'none'}"]
    if not mapped:
        return [*lines, "  no memory yet: every address is a hole"]
    end = 0
    for region in mapped:
        if region.start > end:
            lines.append(_line(end, region.start - end, "hole"))
        what = f"device, {region.device}()" if region.host is None else f"RAM at host {region.host:#x}"
        lines.append(_line(region.start, region.size, what))
        end = region.start + region.size
    return [*lines, f"  {end:#012x} and above           hole"]


def _line(start: int, size: int, what: str) -> str:
    return f"  {start:#012x}-{start + size - 1:#012x}  {what}, {names.size(size)}"


# ---- translation ---------------------------------------------------------------------------------


def guest_walk(vm: vms.Vm, address: int, cpu: registers.Registers) -> walk.Walk:
    """The walk through the guest's own page tables."""
    return walk.guest(_reader(vm), address, cpu.special, target.number(vm.value, "phys_bits"))


def _nested(vm: vms.Vm, _gva: int, gpa: int | None) -> list[str]:
    """The walk through the nested page tables, as the processor will do it."""
    if gpa is None:
        return []
    vmcb = vm.vmcb()
    root = svm.word(vmcb, 0xB0)
    if not svm.word(vmcb, 0x90) & 1:
        return ["nested paging is off in the VMCB (np_control): "
                "the processor will take it for host physical"]
    found = walk.entries8(target.read_int, gpa, root & 0x000FFFFFFFFFF000, 4, walk.Rules())
    lines = [f"nested page tables, root {root:#x}", *("  " + line for line in found.lines)]
    if found.address is None:
        why = found.why.split(":")[0]
        return [*lines, f"  ends here: a nested page fault: {why}", _by_map(vm, gpa)]
    if not found.anded & 4:
        lines.append("  an entry lacks U: a nested page fault, for every nested access is a user's")
    return [*lines, f"  => HPA {found.address:#x}", _by_map(vm, gpa, found.address)]


def _by_map(vm: vms.Vm, gpa: int, found: int | None = None) -> str:
    """What the memory map says, and whether the tables agree."""
    host = to_host(vm, gpa)
    if host is None:
        device = next((r.device for r in regions(vm) or [] if r.start <= gpa < r.start + r.size), "")
        said = f"memory map: {f'a device, {device}()' if device else 'a hole'}"
        return said if found is None else f"{said}: the tables should have nothing here"
    said = f"memory map: RAM at HPA {host:#x}"
    if found is None:
        return f"{said}, which the tables lack"
    return f"{said}: the tables agree" if found == host else f"{said}: THE TABLES DISAGREE"


def _shadow(vm: vms.Vm, gva: int, gpa: int | None) -> list[str]:
    """The walk through the shadow tables, guest virtual to host physical, by the VMCB's CR3."""
    vmcb = vm.vmcb()
    real = {name: svm.word(vmcb, svm.SAVE_AT[name.lower()]) for name in ("CR0", "CR3", "CR4", "EFER")}
    found = walk.guest(target.read_int, gva, real, 52)
    lines = [f"shadow page tables, {walk.kind(real)}, CR3 in the VMCB {real['CR3']:#x}"]
    lines += ["  " + line for line in found.lines]
    if found.address is None:
        lines.append("  ends here: the next access is a #PF for Casita: " + found.why.split(":")[0])
    else:
        lines.append(f"  => HPA {found.address:#x}")
    if gpa is None:
        stale = "" if found.address is None else ": the guest may use it until it flushes its TLB"
        return [*lines, f"the guest's tables have nothing there{stale}"]
    said = _by_map(vm, gpa, found.address)
    return [*lines, said.replace(", which the tables lack", ": the shadow may fill in later")]


def _map_only(vm: vms.Vm, _gva: int, gpa: int | None) -> list[str]:
    """No tables of Casita's between the guest's addresses and the machine's."""
    if gpa is None:
        return []
    if regions(vm) is None:
        return [f"no memory virtualization at this stage: => HPA {gpa:#x}"]
    return [_by_map(vm, gpa)]


# By paging mode: what the processor makes of an address; and its GPA, if the guest's tables have one.
PROCESSOR: dict[str, Callable[[vms.Vm, int, "int | None"], list[str]]] = {
    "nested": _nested,
    "shadow": _shadow,
    "vtlb": _shadow,
    "": _map_only,
}


def show_walk(vm: vms.Vm, address: int) -> list[str]:
    """The lines of `casita walk`."""
    cpu = registers.of(vm)
    found = guest_walk(vm, address, cpu)
    kind = walk.kind(cpu.special)
    tables = "" if kind == "none" else f", {kind} page tables, CR3 {cpu['CR3']:#x}"
    lines = [f"{vm.name}: GVA {address:#x}{tables}", *("  " + line for line in found.lines)]
    end = f"ends here: {found.why}" if found.address is None else f"=> GPA {found.address:#x}"
    lines.append(f"  {end}")
    if vm.paging not in PROCESSOR:
        return [*lines, f"paging mode {vm.paging}: its tables are not known to `casita walk`"]
    return lines + PROCESSOR[vm.paging](vm, address, found.address)


def translate(vm: vms.Vm, address: int) -> str:
    """The line of `casita translate`."""
    found = guest_walk(vm, address, registers.of(vm))
    if found.address is None:
        return f"GVA {address:#x}: {found.why}"
    host = to_host(vm, found.address)
    where = "no RAM there" if host is None else f"HPA {host:#x}"
    return f"GVA {address:#x} -> GPA {found.address:#x} -> {where}"


def read_virtual(vm: vms.Vm, address: int, size: int, cpu: registers.Registers) -> bytes:
    """Guest memory at a guest virtual address, as far as it is mapped."""
    data = b""
    while len(data) < size:
        found = guest_walk(vm, address + len(data), cpu)
        if found.address is None:
            why = found.why
        elif (host := to_host(vm, found.address)) is None:
            why = f"GPA {found.address:#x} is no RAM"
        else:
            data += target.read(host, min(size - len(data), 4096 - host % 4096))
            continue
        if data:
            break
        raise Problem(f"{vm.name} has nothing at {address:#x}: {why}")
    return data

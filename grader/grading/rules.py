# SPDX-License-Identifier: BSD-3-Clause
"""What must be so at each VMRUN whatever the guest does; a test's option `watch` names what it looks for.

    intercepts      all that a guest must not do by itself is intercepted
    enable          lab 1's svm_enable(), called without memory (beginnings.py)
    fresh           a new virtual CPU is as after reset (beginnings.py)
    switch          lab 1's svm_switch(), step by step (switching.py)
    host            the host goes on in the mode in which it was, with the registers that it had
    maps            every port and MSR exits but for those that were let through (maps.py)
    events          what is injected is an event that there is, and no interrupt shadow outlives its instruction
    modes           CR0, CR4 and EFER go together, and what changes addresses' meaning makes the TLB forget
    translations    the processor knows nothing that is no longer so (translations.py)
    operations      lab 4's functions, called (operations.py)
    faults          two more of them, called (faults.py)
    no-memory       lab 4's, without memory
    exceptions      lab 2's, when another event waits (raising.py)
    decoder         lab 2's insn_decode(), called (decoding.py)
    dispatch        lab 2's exits, made up (dispatching.py)
"""

from __future__ import annotations

from typing import Any, Mapping

from common import CasitaError
from .beginnings import Enable, Fresh
from .decoding import Decoder
from .dispatching import Dispatch
from .faults import Faults
from .gdbstub import Registers
from .maps import Maps
from .monitor import Monitor
from .operations import NoMemory, Operations
from .raising import Exceptions
from .switching import Switch
from .translations import Translations
from .vmcb import EVENT_ERROR_VALID, EVENT_VALID
from .watch import Check, Entry


def _bits(**names: int) -> dict[str, int]:
    return names


# APM vol. 2 appendix B: offsets 0x008, 0x00c and 0x010 of the VMCB
_INTERCEPTS = {
    "exceptions": _bits(AC=17, MC=18),
    "intercepts1": _bits(
        INTR=0, NMI=1, SMI=2, INIT=3, RDPMC=15, CPUID=18, INVD=22, HLT=24, INVLPGA=26, IOIO=27, MSR=28,
        SHUTDOWN=31,
    ),
    "intercepts2": _bits(
        VMRUN=0, VMMCALL=1, VMLOAD=2, VMSAVE=3, STGI=4, CLGI=5, SKINIT=6, WBINVD=9, MONITOR=10, MWAIT=11,
        RDPRU=14,
    ),
}  # fmt: skip


class Intercepts(Check):
    """In every VMCB, at every VMRUN."""

    def entering(self, entry: Entry) -> str:
        for field, bits in _INTERCEPTS.items():
            missing = [name for name, bit in bits.items() if not entry.vmcb[field] >> bit & 1]
            if missing:
                kind = "#" + missing[0] if field == "exceptions" else missing[0]
                return f"{kind} is not intercepted (bit {bits[missing[0]]} of {field})."
        return ""


class Host(Check):
    """The host's own registers: at each VMRUN, and those that VMLOAD brings back when an exit is dealt with."""

    _EFER = {"SVME": 12, "LMA": 10, "LME": 8}
    _SAME = ("cr0", "cr4", "efer")
    _BASES = ("fs_base", "gs_base", "kernel_gs_base")

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__(options)
        self._first: dict[str, int] = {}
        self._bases: dict[str, int] = {}

    def begin(self, monitor: Monitor) -> None:
        def created(registers: Registers) -> str:
            self._bases = {name: registers[name] for name in self._BASES}
            return ""

        monitor.stop_once(monitor.address("vm_create"), created)
        monitor.stop_at(monitor.address("exit_dispatch"), self._back)

    def _back(self, registers: Registers) -> str:
        for name, base in self._bases.items():
            if registers[name] != base:
                return f"after an exit the host's {name} is {registers[name]:#x}; before it was {base:#x}."
        return ""

    def entering(self, entry: Entry) -> str:
        missing = [name for name, bit in self._EFER.items() if not entry.host["efer"] >> bit & 1]
        if missing:
            return f"the host's EFER is {entry.host['efer']:#x}: {missing[0]} is clear."
        now = {name: entry.host[name] for name in self._SAME}
        first = self._first = self._first or now
        for name in self._SAME:
            if now[name] != first[name]:
                return f"the host's {name.upper()} is {now[name]:#x}; it was {first[name]:#x} before."
        return ""


class Events(Check):
    """EVENTINJ: APM vol. 2 §15.20."""

    _WITH_ERROR = (8, 10, 11, 12, 13, 14, 17)
    _TYPES = {0: "INTR", 2: "NMI", 3: "exception", 4: "INT n"}
    _RESERVED = 0x7FFF_F000
    # Exits behind which the instruction is over, if there is no event: CPUID, INVD, MSRs, VMMCALL, WBINVD
    _OVER = (0x72, 0x76, 0x7C, 0x81, 0x89)

    def entering(self, entry: Entry) -> str:
        event = entry.vmcb["event_inj"]
        if not event & EVENT_VALID:
            return self._shadow(entry)
        vector, kind = event & 0xFF, event >> 8 & 7
        if event & self._RESERVED or kind not in self._TYPES:
            return f"EVENTINJ is {event:#x}: there is no such event."
        if kind != 3:
            return ""
        if vector > 31 or vector == 2:
            return f"EVENTINJ is {event:#x}: there is no exception {vector}."
        if bool(event & EVENT_ERROR_VALID) != (vector in self._WITH_ERROR):
            has = "has an error code" if vector in self._WITH_ERROR else "has no error code"
            return f"EVENTINJ is {event:#x}: exception {vector} {has}, and bit 11 must say so."
        return ""

    def _shadow(self, entry: Entry) -> str:
        """§15.21.5: the shadow of STI or MOV SS ends with the instruction behind it."""
        if entry.vmcb["int_state"] & 1 and entry.vmcb["exit_code"] in self._OVER:
            return "the interrupt shadow is still there, and the instruction that was in it is over."
        return ""


class Modes(Check):
    """What a MOV to CR or a WRMSR to EFER brings with it; the flush only where each such MOV is an exit."""

    _PG, _LME, _LMA, _NXE, _ET = 1 << 31, 1 << 8, 1 << 10, 1 << 11, 1 << 4
    _CR0 = 1 << 31 | 1 << 16 | 1  # PG, WP, PE
    _CR4 = 1 << 4 | 1 << 5 | 1 << 7 | 1 << 17 | 1 << 20 | 1 << 21  # PSE, PAE, PGE, PCIDE, SMEP, SMAP
    _CR3_WRITTEN = 0x13
    _ALL_WRITES = 0x19  # CR0, CR3, CR4

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__(options)
        self._before: dict[int, tuple[tuple[int, ...], int]] = {}  # by VMCB: what matters, and its ASID

    def entering(self, entry: Entry) -> str:
        vmcb = entry.vmcb
        cr0, efer = vmcb["cr0"], vmcb["efer"]
        if not cr0 & self._ET:
            return f"CR0 is {cr0:#x}: ET is always set (APM vol. 2 §3.1.1)."
        if bool(efer & self._LMA) != bool(efer & self._LME and cr0 & self._PG):
            return f"EFER is {efer:#x}, CR0 {cr0:#x}: LMA is set if LME and PG are, and only then (§14.6)."
        now = (cr0 & self._CR0, vmcb["cr4"] & self._CR4, efer & self._NXE, vmcb["cr3"])
        before, asid = self._before.get(vmcb.address, (now, -1))
        self._before[vmcb.address] = now, vmcb["asid"]
        if vmcb["cr_writes"] & self._ALL_WRITES != self._ALL_WRITES:
            return ""
        written = now != before or vmcb["exit_code"] == self._CR3_WRITTEN and not vmcb["event_inj"]
        if written and vmcb["asid"] == asid and not vmcb["tlb_control"]:
            return (
                "CR0, CR3, CR4 or EFER has been written, which makes a processor forget its translations "
                f"(§5.5.2). ASID {asid} as before, TLB_CONTROL 0: this one does not."
            )
        return ""


CHECKS: dict[str, type[Check]] = {
    "intercepts": Intercepts,
    "enable": Enable,
    "fresh": Fresh,
    "switch": Switch,
    "host": Host,
    "maps": Maps,
    "events": Events,
    "modes": Modes,
    "translations": Translations,
    "operations": Operations,
    "faults": Faults,
    "no-memory": NoMemory,
    "exceptions": Exceptions,
    "decoder": Decoder,
    "dispatch": Dispatch,
}


def checks(options: Mapping[str, Any]) -> list[Check]:
    """Those that a test asks for."""
    names = options.get("watch", [])
    for name in names:
        if name not in CHECKS:
            raise CasitaError(f"watch = {names}: there is no {name}; there are: {' '.join(CHECKS)}")
    return [CHECKS[name](options) for name in names]

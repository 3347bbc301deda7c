# SPDX-License-Identifier: BSD-3-Clause
"""Registers and page-table entries in words: bits by the manual's names.

APM vol. 2 chapters 3 to 5 and 8; the names are those of src/x86/regs.h and src/x86/paging.h.
Plain Python, without GDB.
"""

from __future__ import annotations

from dataclasses import dataclass

Bits = dict[int, str]

GPRS = "RAX RCX RDX RBX RSP RBP RSI RDI R8 R9 R10 R11 R12 R13 R14 R15".split()
SEGMENTS = "ES CS SS DS FS GS LDTR TR".split()


def _bits(text: str) -> Bits:
    """Bits from "0 PE 1 MP": number and name in turns."""
    words = text.split()
    return {int(bit): name for bit, name in zip(words[::2], words[1::2])}


RFLAGS = _bits(
    "0 CF 2 PF 4 AF 6 ZF 7 SF 8 TF 9 IF 10 DF 11 OF 14 NT 16 RF 17 VM 18 AC 19 VIF 20 VIP 21 ID"
)
CR0 = _bits("0 PE 1 MP 2 EM 3 TS 4 ET 5 NE 16 WP 18 AM 29 NW 30 CD 31 PG")
CR4 = _bits(
    "0 VME 1 PVI 2 TSD 3 DE 4 PSE 5 PAE 6 MCE 7 PGE 8 PCE 9 OSFXSR 10 OSXMMEXCPT 11 UMIP 12 LA57"
    " 13 VMXE 16 FSGSBASE 17 PCIDE 18 OSXSAVE 20 SMEP 21 SMAP 22 PKE 23 CET"
)
EFER = _bits("0 SCE 8 LME 10 LMA 11 NXE 12 SVME 13 LMSLE 14 FFXSR 15 TCE")
PF_ERROR = _bits("0 present 1 write 2 user 3 reserved-bit 4 fetch 5 protection-key 6 shadow-stack")
PTE = _bits("0 P 1 W 2 U 3 PWT 4 PCD 5 A 6 D 8 G 63 NX")

EXCEPTIONS = _bits(
    "0 #DE 1 #DB 2 NMI 3 #BP 4 #OF 5 #BR 6 #UD 7 #NM 8 #DF 10 #TS 11 #NP 12 #SS 13 #GP 14 #PF 16 #MF"
    " 17 #AC 18 #MC 19 #XM 21 #CP 28 #HV 29 #VC 30 #SX"
)


def bits(value: int, names: Bits, none: str = "none") -> str:
    """The names of the bits that are set; one without a name is said by its number."""
    found = [names.get(bit, f"bit {bit}") for bit in range(value.bit_length()) if value >> bit & 1]
    return " ".join(found) or none


def rflags(value: int) -> str:
    """RFLAGS: names, and IOPL if it is not 0. Bit 1 always is set and says nothing."""
    iopl = value >> 12 & 3
    said = bits(value & ~0x3002, RFLAGS, "")
    return f"{said} IOPL={iopl}".strip() if iopl else said or "none"


def vector(number: int) -> str:
    """An interrupt vector."""
    return f"{EXCEPTIONS[number]} (vector {number})" if number in EXCEPTIONS else f"vector {number:#x}"


def page_fault(error: int) -> str:
    """The error code of #PF. Without bit 0 an entry was not present."""
    error &= 0xFFFFFFFF
    said = ["protection" if error & 1 else "not present", "write" if error & 2 else "read"]
    said.append("user" if error & 4 else "supervisor")
    said += [PF_ERROR.get(bit, f"bit {bit}") for bit in range(3, 32) if error >> bit & 1]
    return ", ".join(said)


def size(number: int) -> str:
    """Bytes, in the largest unit that leaves no rest."""
    for shift, unit in ((30, "GiB"), (20, "MiB"), (10, "KiB")):
        if number and number % (1 << shift) == 0:
            return f"{number >> shift} {unit}"
    return f"{number} bytes"


# ---- segments ------------------------------------------------------------------------------------

_DATA = {
    **{0: "data, read-only", 2: "data, read/write"},
    **{4: "data, read-only, down", 6: "data, read/write, down"},
}
_CODE = {8: "code", 10: "code, readable", 12: "code, conforming", 14: "code, readable, conforming"}
_SYSTEM = {1: "16-bit TSS", 2: "LDT", 3: "16-bit TSS, busy", 9: "TSS", 11: "TSS, busy"}


@dataclass(frozen=True)
class Segment:
    """A segment register with its hidden part; `attrib` as in the VMCB, see src/x86/regs.h."""

    selector: int
    attrib: int
    limit: int
    base: int

    @classmethod
    def from_bytes(cls, data: bytes) -> Segment:
        """The 16 bytes of a segment register in the VMCB."""
        parts = (data[0:2], data[2:4], data[4:8], data[8:16])
        return cls(*(int.from_bytes(part, "little") for part in parts))

    def bit(self, number: int) -> bool:
        """A bit of the attributes."""
        return bool(self.attrib >> number & 1)

    @property
    def dpl(self) -> int:
        """The descriptor's privilege level."""
        return self.attrib >> 5 & 3

    def meaning(self) -> str:
        """The attributes in words."""
        if not self.bit(7):
            return "not present"
        kind = self.attrib & 0xF
        if not self.bit(4):
            return _SYSTEM.get(kind, f"system type {kind:#x}")
        words = [(_CODE if kind & 8 else _DATA)[kind & 0xE]]
        if kind & 8:
            words.append("64-bit" if self.bit(9) else "32-bit" if self.bit(10) else "16-bit")
        elif self.bit(10):
            words.append("big")
        words += [f"DPL {self.dpl}"] + ["G"] * self.bit(11) + ["accessed"] * (kind & 1)
        return ", ".join(words)

    def place(self) -> str:
        """Base and limit."""
        return f"base {self.base:#x} limit {self.limit:#x}"

    def line(self) -> str:
        """Selector, base, limit, attributes and what they mean."""
        return f"{self.selector:04x} {self.place()} attrib {self.attrib:03x}: {self.meaning()}"


def mode(cr0: int, efer: int, flags: int, code: Segment) -> str:
    """What the processor is in, by CR0.PE, EFER.LMA, RFLAGS.VM and CS (APM vol. 2 §1.2, §1.3)."""
    width = "32-bit" if code.bit(10) else "16-bit"
    if not cr0 & 1:
        return "real mode, 16-bit"
    if efer & 1 << 10:
        return "long mode, 64-bit" if code.bit(9) else f"long mode, compatibility, {width}"
    if flags & 1 << 17:
        return "protected mode, virtual 8086"
    return f"protected mode, {width}"

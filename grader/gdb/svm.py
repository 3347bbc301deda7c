# SPDX-License-Identifier: BSD-3-Clause
"""AMD's VMCB in words: each field at the manual's offset, exit codes, what qualifies an exit.

The offsets are the processor's (APM vol. 2 appendix B), and not those of struct vmcb: so these
commands show what the processor will read, also while struct vmcb is still wrong. The names are
those of src/svm/vmcb.h. Plain Python, without GDB.
"""

from __future__ import annotations

from typing import Callable

import names

# Bit n of the two words, in order; their exit codes are 0x60 + n and 0x80 + n.
INTERCEPTS1 = (
    "INTR NMI SMI INIT VINTR CR0_SEL_WRITE IDTR_READ GDTR_READ LDTR_READ TR_READ IDTR_WRITE GDTR_WRITE"
    " LDTR_WRITE TR_WRITE RDTSC RDPMC PUSHF POPF CPUID RSM IRET SWINT INVD PAUSE HLT INVLPG INVLPGA"
    " IOIO MSR TASK_SWITCH FERR_FREEZE SHUTDOWN"
).split()
INTERCEPTS2 = (
    "VMRUN VMMCALL VMLOAD VMSAVE STGI CLGI SKINIT RDTSCP ICEBP WBINVD MONITOR MWAIT MWAIT_CONDITIONAL"
    " XSETBV RDPRU EFER_WRITE_TRAP"
).split() + [f"CR{n}_WRITE_TRAP" for n in range(16)]

_CODES = {
    **{n: f"CR{n}_READ" for n in range(16)},
    **{0x10 + n: f"CR{n}_WRITE" for n in range(16)},
    **{0x20 + n: f"DR{n}_READ" for n in range(16)},
    **{0x30 + n: f"DR{n}_WRITE" for n in range(16)},
    **{0x40 + n: f"EXCP{n}" for n in range(32)},
    **{0x60 + n: name for n, name in enumerate(INTERCEPTS1)},
    **{0x80 + n: name for n, name in enumerate(INTERCEPTS2)},
    **{0xA0: "INVLPGB", 0xA1: "ILLEGAL_INVLPGB", 0xA2: "INVPCID", 0xA3: "MCOMMIT"},
    **{0x400: "NPF", 0x401: "AVIC_INCOMPLETE_IPI", 0x402: "AVIC_NOACCEL", 0x403: "VMGEXIT"},
    0xFFFFFFFF: "INVALID",
}
IOIO, MSR, TASK_SWITCH, INVLPG, NPF, INVALID = 0x7B, 0x7C, 0x7D, 0x79, 0x400, 0xFFFFFFFF


def exit_name(code: int) -> str:
    """An exit code by the manual's name (APM vol. 2 appendix C)."""
    return "VMEXIT_" + _CODES.get(code & 0xFFFFFFFF, f"{code:#x}, which the manual does not have")


def exit_info(code: int, info1: int, info2: int) -> str:
    """What EXITINFO1 and 2 say for this exit code; empty if they say nothing."""
    code &= 0xFFFFFFFF
    if code == IOIO:
        return _ioio(info1, info2)
    if code == NPF:
        return f"GPA {info2:#x}: {_nested_fault(info1)}"
    if code == 0x40 + 14:
        return f"address {info2:#x}: {names.page_fault(info1)}"
    if 0x40 <= code < 0x60:
        return names.vector(code - 0x40) + (f", error code {info1:#x}" if info1 else "")
    if code == MSR:
        return "WRMSR" if info1 & 1 else "RDMSR"
    if code < 0x20 and info1 >> 63:
        return f"with {names.GPRS[info1 & 0xF]}"
    if code == INVLPG and info1:
        return f"address {info1:#x}"
    if code == TASK_SWITCH:
        return f"to selector {info1 & 0xFFFF:#x}"
    if code == INVALID:
        return "VMRUN was refused: the VMCB breaks a rule of APM vol. 2 §15.5.1"
    return ""


def _ioio(info1: int, info2: int) -> str:
    """APM vol. 2 §15.10.2."""
    width = {1: "1 byte", 2: "2 bytes", 4: "4 bytes"}.get(info1 >> 4 & 7, "size?")
    verb = ("INS" if info1 & 1 else "OUTS") if info1 & 4 else ("IN" if info1 & 1 else "OUT")
    rep = "REP " if info1 & 8 else ""
    where = "from" if info1 & 1 else "to"
    return f"{rep}{verb} {where} port {info1 >> 16 & 0xFFFF:#x}, {width}, next RIP {info2:#x}"


def _nested_fault(info1: int) -> str:
    """The error code of a nested page fault, with its two extra bits (APM vol. 2 §15.25.6)."""
    said = names.page_fault(info1)
    if info1 >> 33 & 1:
        return f"{said}, while the guest's page tables were walked"
    return f"{said}, at the final address" if info1 >> 32 & 1 else said


# ---- field by field ------------------------------------------------------------------------------

_EVENT_TYPES = {0: "external interrupt", 2: "NMI", 3: "exception", 4: "software interrupt"}


def event(word: int) -> str:
    """EVENTINJ and EXITINTINFO (APM vol. 2 §15.20)."""
    if not word >> 31 & 1:
        return "none"
    kind = _EVENT_TYPES.get(word >> 8 & 7, f"type {word >> 8 & 7}?")
    error = f", error code {word >> 32:#x}" if word >> 11 & 1 else ""
    return f"{kind}, {names.vector(word & 0xFF)}{error}"


def _numbered(prefix: str) -> Callable[[int], str]:
    return lambda word: names.bits(word, {n: f"{prefix}{n}" for n in range(16)})


def _listed(words: list[str]) -> Callable[[int], str]:
    return lambda word: names.bits(word, dict(enumerate(words)))


def _named(table: names.Bits) -> Callable[[int], str]:
    return lambda word: names.bits(word, table)


def _vintr(word: int) -> str:
    """The virtual interrupt (APM vol. 2 §15.21.1)."""
    said = [f"vector {word >> 32 & 0xFF:#x} is waiting"] if word >> 8 & 1 else ["no interrupt waiting"]
    said += [f"priority {word >> 16 & 0xF}"] if word >> 8 & 1 else []
    said += ["V_IGN_TPR"] * (word >> 20 & 1) + ["V_INTR_MASKING"] * (word >> 24 & 1)
    said += [f"V_TPR={word & 0xFF:#x}"] if word & 0xFF else []
    said += ["V_GIF"] * (word >> 9 & 1) + ["AVIC"] * (word >> 31 & 1)
    return ", ".join(said)


def _int_state(word: int) -> str:
    said = ["interrupt shadow: the next instruction takes none"] * (word & 1)
    return ", ".join(said + ["GUEST_INTERRUPT_MASK"] * (word >> 1 & 1)) or "no shadow"


_TLB = {0: "keep", 1: "flush all ASIDs", 3: "flush this ASID", 7: "flush this ASID, not global pages"}


def _nothing(_word: int) -> str:
    return ""


def _signed(word: int) -> str:
    return f"{word - (1 << 64) if word >> 63 else word:+d} ticks"


Field = tuple[int, int, str, Callable[[int], str]]  # offset, bytes, name, meaning

CONTROL: list[Field] = [
    (0x000, 2, "cr_read", _numbered("CR")),
    (0x002, 2, "cr_write", _numbered("CR")),
    (0x004, 2, "dr_read", _numbered("DR")),
    (0x006, 2, "dr_write", _numbered("DR")),
    (0x008, 4, "exceptions", _named(names.EXCEPTIONS)),
    (0x00C, 4, "intercepts1", _listed(INTERCEPTS1)),
    (0x010, 4, "intercepts2", _listed(INTERCEPTS2)),
    (0x03C, 2, "pause_threshold", _nothing),
    (0x03E, 2, "pause_count", _nothing),
    (0x040, 8, "iopm", lambda _: "address of the I/O permission map"),
    (0x048, 8, "msrpm", lambda _: "address of the MSR permission map"),
    (0x050, 8, "tsc_offset", _signed),
    (0x058, 4, "asid", lambda asid: "" if asid else "none yet (0 is the host's; VMRUN refuses it)"),
    (0x05C, 1, "tlb_control", lambda word: _TLB.get(word, "reserved")),
    (0x060, 8, "vintr", _vintr),
    (0x068, 8, "int_state", _int_state),
    (0x070, 8, "exit_code", exit_name),
    (0x078, 8, "exit_info1", _nothing),
    (0x080, 8, "exit_info2", _nothing),
    (0x088, 8, "exit_int_info", event),
    (0x090, 8, "np_control", lambda word: "nested paging on" if word & 1 else "nested paging off"),
    (0x0A8, 8, "event_inj", event),
    (0x0B0, 8, "ncr3", lambda _: "root of the nested page tables"),
    (0x0B8, 8, "lbr_control", _nothing),
    (0x0C0, 8, "clean", lambda word: "" if word else "nothing: VMRUN loads every field afresh"),
    (0x0C8, 8, "next_rip", _nothing),
    (0x0D0, 1, "fetched", lambda n: f"{n} instruction bytes follow" if n else "no instruction bytes"),
]

SAVE: list[Field] = [
    (0x4CB, 1, "cpl", _nothing),
    (0x4D0, 8, "efer", _named(names.EFER)),
    (0x548, 8, "cr4", _named(names.CR4)),
    (0x550, 8, "cr3", _nothing),
    (0x558, 8, "cr0", _named(names.CR0)),
    (0x560, 8, "dr7", _nothing),
    (0x568, 8, "dr6", _nothing),
    (0x570, 8, "rflags", names.rflags),
    (0x578, 8, "rip", _nothing),
    (0x5D8, 8, "rsp", _nothing),
    (0x5F8, 8, "rax", _nothing),
    *((0x600 + 8 * n, 8, name, _nothing) for n, name in enumerate(
        "star lstar cstar sfmask kernel_gs_base sysenter_cs sysenter_esp sysenter_eip cr2".split())),
    (0x668, 8, "g_pat", _nothing),
    (0x670, 8, "debugctl", _nothing),
]

SEGMENT_AT = {name: 0x400 + 0x10 * n for n, name in enumerate(
    "ES CS SS DS FS GS GDTR LDTR IDTR TR".split())}
SAVE_AT = {name: offset for offset, _size, name, _meaning in SAVE}


def word(vmcb: bytes, offset: int, size: int = 8) -> int:
    """A field of a VMCB."""
    return int.from_bytes(vmcb[offset : offset + size], "little")


def segment(vmcb: bytes, name: str) -> names.Segment:
    """A segment or descriptor table register of a VMCB."""
    at = SEGMENT_AT[name]
    return names.Segment.from_bytes(vmcb[at : at + 16])

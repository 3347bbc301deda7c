# SPDX-License-Identifier: BSD-3-Clause
"""Lab 2's insn_decode(), called: prefixes before instructions of which it is clear what each prefix says.

    every instruction below, with a few prefixes by lot in every order      sizes, flags, segment, length
    cut off before its end, and with too many prefixes                      -ENODATA, -E2BIG
    opcodes that 66, F2 and F3 make others                                  which there are, and how long

APM vol. 3 §1.2 and appendix A.
"""

from __future__ import annotations

import random
from typing import Any, Iterator, Mapping

from .asking import AtFirstExit

_ENODATA, _E2BIG, _EINVAL = -61, -7, -22
_MOST = 15
_INSN_BYTES = 40
# struct insn (src/x86/decode.h): one byte each
_PLACES = {"len": 0, "opsize": 5, "addrsize": 7, "seg": 8, "lock": 9, "rep": 10, "repne": 11, "rex": 12}
_NONE = 0xFF  # -1: no segment

_SEGMENTS = {0x26: 0, 0x2E: 1, 0x36: 2, 0x3E: 3, 0x64: 4, 0x65: 5}
_ADDRESS = {16: (2, 4), 32: (4, 2), 64: (8, 4)}  # without 67, and with it
_PREFIXES = (0x66, 0x67, 0xF2, 0xF3, *_SEGMENTS)
_EACH = 6  # prefixed forms of each instruction

# No prefix makes another instruction of these, and none but LOCK is forbidden. False: operands of one byte;
# None: ports have no 64 bits, whatever REX says
_PLAIN = (
    ("0fa2", True), ("f4", True), ("0f32", True), ("0f30", True), ("ec", False), ("ef", None), ("6c", False),
    ("6f", None), ("0f09", True), ("89c1", True), ("88c1", False),
)  # fmt: skip
_REGISTERS = ("0f20c1", "0f22c1")  # MOV from and to CR0, with LOCK CR8; as wide as the mode is, whatever 66 says
_LOCKED = ("0fb101", "ff01", "0fc101")  # a destination in memory: CMPXCHG, INC, XADD; in 16-bit code too
# Which of these exist, and their lengths: CRC32 has F2, POPCNT F3, EXTRQ with two immediates 66, INSERTQ F2.
_CHANGED = (
    ("0f38f1c1", _EINVAL), ("f20f38f1c1", 5), ("66f20f38f1c1", 6), ("f2660f38f1c1", 6), ("f3f20f38f1c1", 6),
    ("f2f30f38f1c1", _EINVAL), ("0fb8c1", _EINVAL), ("f30fb8c1", 4), ("66f30fb8c1", 5), ("f2f30fb8c1", 5),
    ("f3f20fb8c1", _EINVAL), ("660f78c10203", 6), ("0f78c1", 3), ("f20f78c10203", 6), ("66f20f78c10203", 7),
    ("660f388201", 5), ("0f388201", _EINVAL),
)  # fmt: skip


class Decoder(AtFirstExit):
    """The function, called. Which prefixes are before which instruction is a matter of lot, and always the same."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__(options)
        self._lot = random.Random("decoder")

    def ask(self) -> str:
        for bits in (16, 32, 64):
            questions = [*self._plain(bits), *self._locked(bits), *self._lengths(bits)]
            for code, wanted in questions:
                if complaint := self._wrong(bits, code, wanted):
                    return complaint
        return ""

    def _plain(self, bits: int) -> Iterator[tuple[bytes, dict[str, int]]]:
        """Each instruction alone, and with prefixes by lot."""
        for text, wide in (*_PLAIN, *((text, None) for text in _REGISTERS)):
            body = bytes.fromhex(text)
            for _ in range(_EACH):
                count = self._lot.choice((0, 1, 1, 2, 3, 5))
                prefixes = [self._lot.choice(_PREFIXES) for _ in range(count)]
                if bits == 64 and self._lot.random() < 0.6:
                    prefixes.append(self._lot.randrange(0x40, 0x50))
                    if self._lot.random() < 0.2:  # which makes it void
                        prefixes.append(self._lot.choice(_PREFIXES))
                yield bytes(prefixes) + body, _meaning(prefixes, len(body), bits, wide)
            yield b"\xf0" + body, {"error": 0 if text in _REGISTERS else _EINVAL, "lock": 1}

    def _locked(self, bits: int) -> Iterator[tuple[bytes, dict[str, int]]]:
        for text in _LOCKED:
            body = bytes.fromhex(text)
            yield b"\xf0" + body, {**_meaning([], len(body), bits, True), "len": len(body) + 1, "lock": 1}
            yield b"\x66\xf0" + body, {**_meaning([0x66], len(body) + 1, bits, True), "lock": 1}
            yield body, {**_meaning([], len(body), bits, True), "lock": 0}

    def _lengths(self, bits: int) -> Iterator[tuple[bytes, dict[str, int]]]:
        for text, wanted in _CHANGED:
            yield bytes.fromhex(text), {"error": wanted} if wanted < 0 else {"len": wanted}
        yield b"\x66" * 13 + b"\x0f\xa2", {"len": 15}
        yield b"\x66" * 14 + b"\x0f\xa2", {"error": _E2BIG}
        yield b"\x66\x66\x0f", {"error": _ENODATA}
        yield b"\xf3", {"error": _ENODATA}

    def _wrong(self, bits: int, code: bytes, wanted: Mapping[str, int]) -> str:
        """One question. Behind what may be read is something that would change the answer."""
        insn, place = self.scratch - 64, self.scratch
        self.monitor.stub.write(insn, b"\xaa" * _INSN_BYTES)
        self.monitor.stub.write(place, code + b"\xf4" * 8)
        known = min(len(code), _MOST)
        got = self.call("insn_decode", self.monitor.address("insn_decode"), place, known, bits // 8, insn)
        case = f"insn_decode of {code.hex(' ')}, {bits}-bit code"
        error = wanted.get("error", 0)
        if got != error:
            return f"{case}, returned {got}, not {error}."
        if error:
            return ""
        for name, value in wanted.items():
            if name in _PLACES and (found := self.get(insn + _PLACES[name], 1)) != value:
                return f"{case}: {name} is {_shown(found)}; it should be {_shown(value)}."
        return ""


def _shown(value: int) -> str:
    return "-1" if value == _NONE else f"{value:#x}" if value > 9 else str(value)


def _meaning(prefixes: list[int], body: int, bits: int, wide: bool | None) -> dict[str, int]:
    """What an instruction of so many bytes is behind these prefixes. `wide`: None: its size is not asked for."""
    rex = prefixes[-1] if bits == 64 and prefixes and prefixes[-1] & 0xF0 == 0x40 else 0
    segment, repeat, other = _NONE, 0, {16: 4, 32: 2, 64: 2}[bits]
    for prefix in prefixes:
        if prefix in _SEGMENTS and (bits != 64 or prefix >= 0x64):
            segment = _SEGMENTS[prefix]
        repeat = prefix if prefix in (0xF2, 0xF3) else repeat
    opsize = 8 if rex & 8 else other if 0x66 in prefixes else 2 if bits == 16 else 4
    sizes = {} if wide is None else {"opsize": opsize if wide else 1}
    return {
        **{"len": len(prefixes) + body, **sizes, "seg": segment, "rex": rex},
        **{"addrsize": _ADDRESS[bits][0x67 in prefixes], "rep": int(repeat == 0xF3), "repne": int(repeat == 0xF2)},
        "lock": 0,
    }

# SPDX-License-Identifier: BSD-3-Clause
"""Looking at every VMRUN: the stub's protocol, what each check says of a VMCB, and real runs."""

from __future__ import annotations

import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import unittest
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Iterable, Sequence
from unittest import mock

from support import ROOT, make_test
from test_judge import ALL, seen, subject
from common import CasitaError, scratch_directory
from grading import contain, gdbstub, judge, machine, one, report, rules, runner, sandbox, translations, trees
from grading import vmcb, watch
from grading.gdbstub import Ended, Registers, Stub
from grading.lab import choose, read_lab
from grading.model import Result, Verdict

MIB = 1 << 20
P, W, U, PS, NX = 1, 2, 4, 0x80, 1 << 63
HOST = {"cr0": 0x80010033, "cr3": 0x111000, "cr4": 0x660, "efer": 0x1500}
VMRUN, GUEST = 0x108B08, 0x2000000
_NOBODY = 2_000_000_999


def registers(**values: int) -> Registers:
    """The host's, but for these."""
    raw = bytearray(600)
    for name, value in {**HOST, **values}.items():
        at, size = gdbstub._PLACES[name]  # pylint: disable=protected-access
        raw[at : at + size] = value.to_bytes(size, "little")
    return Registers(bytes(raw))


def elf(*parts: tuple[int, bytes], kind: int = 1) -> bytes:
    """An image with these, each at its address."""
    at, heads, bodies = 52 + 32 * len(parts), b"", b""
    for address, body in parts:
        heads += struct.pack("<8I", kind, at + len(bodies), address, 0, len(body), len(body), 7, 0)
        bodies += body
    header = struct.pack("<4sB23xI12xH", b"\x7fELF", 1, 52, len(parts))
    return header.ljust(52, b"\0") + heads + bodies


class Qemu(threading.Thread):
    """The other end of a stub's line. What it executes is a list: where, and the processor's registers."""

    def __init__(
        self, program: Sequence[tuple[int, dict[str, int]]] = (), answers: Sequence[bytes] = ()
    ) -> None:
        super().__init__(daemon=True)
        self.ours, self.line = socket.socketpair()
        self._program, self._next = program, 0
        self.stops: set[int] = set()
        self._answers = list(answers)  # instead of what it would say
        self.heard: list[str] = []
        self.start()

    def run(self) -> None:
        with self.line, suppress(OSError):
            text = b""
            while len(self.heard) < 5000 and (more := self.line.recv(1 << 16)):
                text += more
                while match := re.match(rb"\+*\$([^#]*)#(..)", text):
                    text = text[match.end() :]
                    assert int(match[2], 16) == sum(match[1]) & 0xFF
                    self.heard.append(match[1].decode())
                    if self._answers:
                        self.line.sendall(self._answers.pop(0))
                        continue
                    said = self._says(match[1].decode())
                    self.line.sendall(b"+$%b#%02x" % (said, sum(said) & 0xFF))
                    if said[:1] == b"W" or match[1] == b"D":
                        return

    def _says(self, packet: str) -> bytes:
        if packet == "g":
            where, values = self._program[self._next]
            return registers(rip=where, **values).raw.hex().encode()
        if packet[0] in "Zz":
            address = int(packet.split(",")[1], 16)
            (self.stops.add if packet[0] == "Z" else self.stops.discard)(address)
            return b"OK"
        if packet == "s":
            self._next += 1
        rest = self._program[self._next :]
        if packet == "c":
            stop = next((i for i, (where, _) in enumerate(rest) if where in self.stops), len(rest))
            self._next, rest = self._next + stop, rest[stop:]
        return b"OK" if packet[0] in "DP" else b"T05thread:01;" if rest else b"W00"


class Protocol(unittest.TestCase):
    """gdbstub.py, with a QEMU that says what we want."""

    def stub(self, *answers: bytes, memory: bytes = b"") -> tuple[Stub, Qemu]:
        """One that is given these answers."""
        qemu = Qemu(answers=answers)
        self.addCleanup(qemu.join)
        self.addCleanup(qemu.ours.close)
        return Stub(qemu.ours, memoryview(bytearray(memory))), qemu

    def test_registers(self) -> None:
        raw = bytes(range(256))
        stub, qemu = self.stub(b"+$" + raw.hex().encode() + b"#00", *[b"+$OK#9a"] * 21)
        found = stub.registers()
        self.assertEqual(found["rax"], 0x0706050403020100)
        self.assertEqual((found["rip"], found["eflags"]), (0x8786858483828180, 0x8B8A8988))
        self.assertEqual(found["efer"], int.from_bytes(raw[228:236], "little"))
        stub.set(rax=1, rip=0x1234, eflags=2)
        named = "qXfer:features:read:target.xml:0,ffb"  # it is asked for the registers' names once
        wanted = [named, "P0=0100000000000000", "P10=3412000000000000", "P11=02000000"]
        self.assertEqual(qemu.heard[1:], wanted)
        stub.restore(found)
        wanted = [f"P{n:x}={raw[8 * n : 8 * n + 8].hex()}" for n in range(17)] + [f"P11={raw[136:140].hex()}"]
        self.assertEqual(qemu.heard[5:], wanted)

    def test_values_modulo_their_size(self) -> None:
        stub, qemu = self.stub(*[b"+$OK#9a"] * 4)
        stub.set(rax=-1, rsp=1 << 64, eflags=-2)
        wanted = ["P0=ffffffffffffffff", "P7=0000000000000000", "P11=feffffff"]
        self.assertEqual(qemu.heard[1:], wanted)

    def test_a_register_that_is_not_set(self) -> None:
        stub, _ = self.stub(b"+$l#6c", b"+$E22#a9")
        with self.assertRaisesRegex(CasitaError, "does not set rsp"):
            stub.set(rsp=1)

    def test_a_stop_is_there_once(self) -> None:
        stub, qemu = self.stub(*[b"+$OK#9a"] * 3)
        stub.pass_by(0x1234)
        for _ in range(2):
            stub.stop_at(0x1234)
        stub.stop_at(0x5678)
        for _ in range(2):
            stub.pass_by(0x1234)
        self.assertEqual(qemu.heard, ["Z1,1234,1", "Z1,5678,1", "z1,1234,1"])

    def test_an_answer_in_pieces_and_two_at_once(self) -> None:
        stub, qemu = self.stub(b"+", b"")
        threading.Timer(0.05, lambda: qemu.line.sendall(b"$O")).start()
        threading.Timer(0.1, lambda: qemu.line.sendall(b"K#9a$T05#b9")).start()
        stub.stop_at(0x1234)
        stub.step()
        self.assertEqual(qemu.heard[0], "Z1,1234,1")

    def test_its_end(self) -> None:
        stub, qemu = self.stub(b"+$W00#b7")
        self.assertRaises(Ended, stub.go)
        qemu.ours.shutdown(socket.SHUT_RDWR)
        self.assertRaises(Ended, stub.registers)
        stub.let_go()

    def test_an_answer_without_end(self) -> None:
        stub, _ = self.stub(b"+$" + b"a" * (3 * MIB))
        with self.assertRaisesRegex(ValueError, "no end"):
            stub.registers()

    def test_memory(self) -> None:
        memory = bytes(0xA0000) + b"L" * 0x60000 + b"x" * 0x1000
        stub, _ = self.stub(memory=memory)
        self.assertEqual(stub.read(0x100FFE, 2), b"xx")
        none = ((0x100FFE, 3), (0x9FFFF, 2), (0xA0000, 1), (0xFFFFF, 1), (1 << 63, 8), (0x101000, 4),
                (-8, 8), (-(1 << 63), 8))  # fmt: skip
        for address, size in none:
            self.assertEqual((stub.has(address, size), stub.read(address, size)), (False, b"\xff" * size))
            stub.write(address, bytes(size))
        self.assertEqual((stub.read(0x100000, 0x1000), stub.read(0x9FFF0, 16)), (b"x" * 0x1000, bytes(16)))
        stub.write(0x1000, b"new")
        self.assertEqual(stub.read(0xFFF, 5), b"\0new\0")


class Notes(watch.Check):
    """Writes down what it is shown, and may find one wrong."""

    def __init__(self, wrong: int = 0) -> None:
        super().__init__({})
        self.wrong = wrong
        self.seen: list[tuple[int, int]] = []

    def entering(self, entry: watch.Entry) -> str:
        self.seen.append((entry.number, entry.vmcb.address))
        return "it is wrong." if entry.number == self.wrong else ""


class Follow(unittest.TestCase):
    """watch.py, along a made-up run."""

    OTHERS = (VMRUN, {"cr3": 0x222000, "rax": 1})  # by other tables, other code
    RUN = [(1, {}), (VMRUN, {"rax": 0x5000}), (GUEST, {"cr3": 0}), (VMRUN + 3, {}), OTHERS, (2, {}),
           (VMRUN, {"rax": 0x7000}), OTHERS, (VMRUN + 3, {}),
           (VMRUN, {"rax": 0x5000}), (VMRUN + 3, {}), (3, {})]  # fmt: skip

    def follow(
        self, run: Sequence[tuple[int, Any]], *notes: Notes, image: bytes = b"", **more: Any
    ) -> watch.Watch:
        """Watch it."""
        with tempfile.TemporaryDirectory() as name:
            path = Path(name) / "image"
            path.write_bytes(image or elf((VMRUN - 2, b"\x90\x90\x0f\x01\xd8")))
            watched = watch.Watch(path, notes)
        self.qemu = Qemu(run, **more)
        watched.follow(self.qemu.ours, memoryview(bytearray(MIB)))
        self.qemu.join(20)
        self.assertFalse(self.qemu.is_alive())
        return watched

    def test_every_vmrun(self) -> None:
        notes = Notes()
        watched = self.follow(self.RUN, notes)
        self.assertEqual(notes.seen, [(1, 0x5000), (2, 0x7000), (3, 0x5000)])
        self.assertEqual((watched.result, watched.trouble), (watch.Watched(3), None))
        self.assertEqual(self.qemu.stops, {VMRUN})

    def test_the_first_that_is_wrong(self) -> None:
        first, second = Notes(), Notes(wrong=2)
        watched = self.follow(self.RUN, first, second)
        self.assertEqual(watched.result, watch.Watched(2, "it is wrong.", 2))
        self.assertEqual((len(first.seen), self.qemu.heard[-1]), (2, "D"))

    def test_one_that_is_not_where_the_image_has_one(self) -> None:
        run = [*self.RUN[:4], (0x777, {"rax": 0x5000}), *self.RUN[4:]]
        self.assertEqual(self.follow(run).result.entries, 3)

    def test_a_vmcb_that_is_nowhere(self) -> None:
        for address in (MIB, 0xA0000, 1 << 40, MIB - 0x800):
            notes = Notes()
            watched = self.follow([(VMRUN, {"rax": address})], notes)
            self.assertIn("no memory", watched.result.complaint)
            self.assertEqual((notes.seen, watched.result.at), ([], 1))

    def test_an_image_full_of_them(self) -> None:
        watched = self.follow(self.RUN, image=elf((0x100000, b"\x0f\x01\xd8" * 65)))
        self.assertIn("65 places", watched.result.complaint)
        self.assertEqual(self.qemu.heard, ["D"])
        found = judge.judge(make_test("t"), (subject(),), seen(ALL, watched=watched.result))
        self.assertEqual(found.message, f"The answers are right, but {watched.result.complaint}")

    def test_trouble_is_ours(self) -> None:
        watched = self.follow(self.RUN, answers=[b"+$OK#9a", b"+$T05#b9", b"+$zz#00"])
        self.assertIsInstance(watched.trouble, ValueError)
        self.assertEqual(watched.result, watch.Watched(0))

    def test_vmruns(self) -> None:
        one_of_two = elf((0x1000, b"\x0f\x01\xd8\x0f\x01\xd9\x0f\x01\xd8"), (0x9000, b"\x66\x0f\x01\xd8"))
        self.assertEqual(watch.vmruns(one_of_two), [0x1000, 0x1006, 0x9001])
        self.assertEqual(watch.vmruns(elf((0x1000, b"\x0f\x01\xd8"), kind=2)), [])
        self.assertEqual(watch.vmruns(elf()), [])
        self.assertEqual(watch.vmruns(elf((0x1000, b"\x0f\x01\xd8" * 2))[:-1]), [0x1000])
        for garbage in (b"", b"\x7fELF\x01", b"\x7fELF\x02" + bytes(99), bytes(99), elf((1, b""))[:70]):
            self.assertRaises(CasitaError, watch.vmruns, garbage)


class Machine:
    """Memory, and a VMCB in it."""

    VMCB, IOPM, MSRPM, ROOT = 0x1000, 0x4000, 0x8000, 0x10000

    def __init__(self, size: int = MIB) -> None:
        self.stub = Stub(mock.Mock(), memoryview(bytearray(size)))
        self.host = registers()
        self._tables = self.ROOT
        self.number = 0
        self.address = self.VMCB

    def set(self, **fields: int) -> None:
        """Write to the VMCB."""
        for name, value in fields.items():
            at, size = vmcb._FIELDS[name]  # pylint: disable=protected-access
            self.stub.write(self.address + at, value.to_bytes(size, "little"))

    def enter(self, *checks: watch.Check) -> str:
        """What they say of a VMRUN."""
        self.number += 1
        entry = watch.Entry(self.number, vmcb.Vmcb.read(self.stub, self.address), self.host, self.stub)
        return next(filter(None, (check.entering(entry) for check in checks)), "")

    def entry(self, table: int, index: int, value: int) -> None:
        """Write an entry of a table."""
        self.stub.write(table + 8 * index, value.to_bytes(8, "little"))

    def table(self) -> int:
        """A new one."""
        self._tables += 0x1000
        return self._tables - 0x1000


class TranslationsCase(unittest.TestCase):
    """translations.py: nested tables, in which the first 2 MiB are small pages and the next a large one."""

    RAM = 0x6000000

    def setUp(self) -> None:
        self.machine = Machine()
        self.check = translations.Translations({})
        self.root, self.l3, self.l2, self.l1 = (self.machine.table() for _ in range(4))
        self.machine.set(asid=1, np_control=1, ncr3=self.root)
        self.put(self.root, 0, self.l3 | P | W | U)
        self.put(self.l3, 0, self.l2 | P | W | U)
        self.put(self.l2, 0, self.l1 | P | W | U)
        self.put(self.l2, 1, self.RAM + 0x200000 | P | W | U | PS)
        for index in range(4):
            self.put(self.l1, index, self.RAM + 0x1000 * index | P | W | U)

    def put(self, table: int, index: int, value: int) -> None:
        """Write an entry."""
        self.machine.entry(table, index, value)

    def fine(self) -> None:
        """Nothing is wrong."""
        self.assertEqual(self.machine.enter(self.check), "")

    def wrong(self, *said: str) -> None:
        """Something is, and it is said so."""
        found = self.machine.enter(self.check)
        for words in said:
            self.assertIn(words, found)
        self.assertTrue(found)

    def test_nothing_changes(self) -> None:
        self.fine()
        self.fine()

    def test_what_needs_a_flush(self) -> None:
        """Each change of a small and of a large page by which less is true than before."""
        page, large = self.RAM | P | W | U, self.RAM + 0x200000 | P | W | U | PS
        link = self.l2 | P | W | U
        cases = [
            (self.l1, 0, page, (0, page & ~P, page + 0x1000, page & ~W, page & ~U, page | NX)),
            (self.l2, 1, large, (0, large + 0x200000, large & ~W, large & ~U, large | NX)),
            (self.l3, 0, link, (0, link & ~W, link & ~U, link | NX)),
        ]
        how = {"nothing": (1, 0), "all": (1, 1), "this": (1, 3), "local": (1, 7), "another ASID": (2, 0)}
        every = [(case[:3], new, name) for case in cases for new in case[3] for name in how]
        for (table, index, old), new, name in every:
            with self.subTest(table=hex(table), new=hex(new), how=name):
                self.check = translations.Translations({})
                self.put(table, index, old)
                self.machine.set(asid=1, tlb_control=0)
                self.fine()
                self.put(table, index, new)
                self.machine.set(asid=how[name][0], tlb_control=how[name][1])
                if name == "nothing":
                    self.wrong("ASID 1 as before", f"address {0x200000 * index:#x} was writable")
                else:
                    self.fine()
            self.put(table, index, old)

    def test_what_needs_none(self) -> None:
        page = self.RAM + 0x1000 | P | W | U
        self.put(self.l1, 1, page & ~(W | U) | NX)
        self.fine()
        for value in (page & ~(W | U), page & ~W, page, page | 0x60):  # more rights, A and D
            self.put(self.l1, 1, value)
            self.fine()
        self.put(self.l1, 9, page)  # was absent
        self.fine()

    def test_it_is_forgotten_only_once(self) -> None:
        self.fine()
        self.put(self.l1, 0, 0)
        self.machine.set(asid=2)
        self.fine()
        self.machine.set(asid=1)  # the old one again
        self.wrong("address 0x0", "not mapped", "ASID 1")

    def test_flush_all_is_of_all_asids(self) -> None:
        for flush, said in ((3, "ASID 1"), (1, "")):
            self.put(self.l1, 0, self.RAM | P | W | U)
            self.check = translations.Translations({})
            self.machine.set(asid=1, tlb_control=0)
            self.fine()
            self.put(self.l1, 0, 0)
            self.machine.set(asid=2, tlb_control=flush)
            self.fine()
            self.machine.set(asid=1, tlb_control=0)
            self.wrong(said) if said else self.fine()

    def test_asid_and_tlb_control(self) -> None:
        self.machine.set(asid=0)
        self.wrong("ASID is 0")
        for value in (2, 4, 5, 6, 8, 0xFF):
            self.machine.set(asid=1, tlb_control=value)
            self.wrong(f"TLB_CONTROL is {value}", "reserved")

    def splinter(self) -> int:
        """The large page, in small ones."""
        table = self.machine.table()
        for index in range(512):
            self.put(table, index, self.RAM + 0x200000 + 0x1000 * index | P | W | U)
        self.put(self.l2, 1, table | P | W | U)
        return table

    def test_a_large_page_is_splintered(self) -> None:
        self.fine()
        self.splinter()
        self.fine()
        self.put(self.l2, 1, self.RAM + 0x200000 | P | W | U | PS)
        self.fine()

    def test_a_large_page_is_splintered_and_a_piece_is_missing(self) -> None:
        for index, value in ((0, 0), (511, 0), (7, self.RAM + 0x207000 | P | U), (8, self.RAM | P | W | U)):
            self.check = translations.Translations({})
            self.put(self.l2, 1, self.RAM + 0x200000 | P | W | U | PS)
            self.fine()
            self.put(self.splinter(), index, value)
            at = 0x200000 + 0x1000 * index
            self.wrong(f"address {at:#x} was writable, at host {self.RAM + at:#x}")

    def test_shadow_tables(self) -> None:
        """Without nested paging: PAE, where the root has four entries and CR3 low bits; four levels; none."""
        top = self.machine.table() + 0x20
        self.put(top, 3, self.l2 | P)
        self.machine.set(np_control=0, cr0=1 << 31, cr4=1 << 5, cr3=top | 0x18)
        self.fine()
        self.put(self.l1, 3, 0)
        self.wrong("address 0xc0003000 was writable")
        self.check = translations.Translations({})
        self.machine.set(cr3=self.root | 0x18, efer=1 << 10)
        self.fine()
        self.put(self.l1, 2, 0)
        self.wrong("address 0x2000 was writable")
        self.check = translations.Translations({})
        self.machine.set(cr0=0, cr3=MIB)
        self.fine()

    def test_pat_and_alignment(self) -> None:
        self.put(self.l2, 1, self.RAM + 0x201000 | P | W | U | PS)  # bit 12 is PAT there
        self.fine()
        self.put(self.l2, 1, self.RAM + 0x202000 | P | W | U | PS)
        self.wrong("2 MiB at 0x200000", "not aligned")
        self.put(self.l2, 1, 0)
        self.machine.set(asid=2)
        self.put(self.l1, 5, self.RAM + 0x5000 | P | W | U | PS)
        self.wrong("4 KiB at 0x5000", "PAT")

    def test_a_gigabyte(self) -> None:
        self.put(self.l3, 1, 0x40000000 | P | W | U | PS)
        self.fine()
        pages = self.machine.table()
        for index in range(512):
            self.put(pages, index, 0x40000000 + 0x200000 * index | P | W | U | PS)
        self.put(self.l3, 1, pages | P | W | U)
        self.fine()
        self.put(pages, 5, 0)
        self.wrong("address 0x40a00000 was")

    def test_tables_that_lead_to_themselves(self) -> None:
        for index in range(512):
            self.put(self.root, index, self.root | P | W | U)
        with mock.patch.object(Stub, "read", autospec=True, side_effect=Stub.read) as read:
            self.wrong("1024", "lead back to themselves")
        self.assertLess(read.call_count, 1100)

    def test_a_table_in_a_circle_may_be_right(self) -> None:
        self.put(self.l2, 1, 0)
        self.put(self.root, 511, self.root | P | W | U)  # by it all tables can be reached as pages
        self.fine()
        self.fine()

    def test_gigabytes_without_end(self) -> None:
        for index in range(512):
            self.put(self.root, index, self.l3 | P | W | U)
            self.put(self.l3, index, index << 30 | P | W | U | PS)
        self.wrong("more than 1024")

    def test_another_asid_each_time(self) -> None:
        self.put(self.l3, 0, 0)
        for index in range(1, 512):
            self.put(self.l3, index, index << 30 | P | W | U | PS)
        self.fine()
        self.machine.set(asid=2)
        self.fine()
        self.machine.set(asid=3)
        self.wrong("more than 524288 translations")

    def test_tables_that_are_nowhere(self) -> None:
        for where in (MIB, 0xB8000, 0xF_FFFF_FFFF_F000):
            self.put(self.l2, 7, where | P | W | U)
            self.wrong(f"addresses from 0xe00000 on is at {where:#x}", "no memory")
            self.put(self.l2, 7, 0)
        self.machine.set(ncr3=MIB)
        self.wrong("no memory")
        self.machine.set(np_control=0, cr0=1 << 31, cr4=1 << 5, cr3=MIB)
        self.wrong("CR3 is 0x100000")


class Rules(unittest.TestCase):
    """rules.py."""

    def setUp(self) -> None:
        self.machine = Machine()

    def enter(self, name: str) -> str:
        """What a new check says."""
        return self.machine.enter(*rules.checks({"watch": [name]}))

    def test_names(self) -> None:
        found = rules.checks({"watch": ["maps", "host"]})
        self.assertEqual([type(check) for check in found], [rules.Maps, rules.Host])
        self.assertEqual(rules.checks({}), [])
        with self.assertRaisesRegex(CasitaError, "there is no mpas.*maps"):
            rules.checks({"watch": ["mpas"]})

    def test_intercepts(self) -> None:
        full = {"exceptions": 1 << 17 | 1 << 18, "intercepts1": 0x9D44800F, "intercepts2": 0x4E7F}
        self.machine.set(**full)
        self.assertEqual(self.enter("intercepts"), "")
        for field, value in full.items():
            for bit in (bit for bit in range(32) if value >> bit & 1):
                self.machine.set(**{**full, field: value & ~(1 << bit)})
                said = rf"^#?[A-Z]+ is not intercepted \(bit {bit} of {field}\)\.$"
                self.assertRegex(self.enter("intercepts"), said)
        self.machine.set(**{name: 0xFFFFFFFF for name in full})  # more is no mistake
        self.assertEqual(self.enter("intercepts"), "")
        self.machine.set(intercepts1=0x9D44800D)
        self.assertIn("NMI", self.enter("intercepts"))

    def fresh(self, selector: int = 0, attrib: int = 0x82, limit: int = 0xFFFF, base: int = 0) -> None:
        """LDTR."""
        found = struct.pack("<HHIQ", selector, attrib, limit, base)
        self.machine.stub.write(self.machine.address + 0x470, found)

    def test_fresh(self) -> None:
        self.fresh()
        self.machine.set(g_pat=0x0007040600070406)
        self.assertEqual(self.enter("fresh"), "")
        for change in ({"selector": 8}, {"attrib": 0}, {"limit": 0}, {"base": 1}):
            self.fresh(**change)
            self.assertIn("LDTR", self.enter("fresh"))
        self.fresh()
        self.machine.set(g_pat=0)
        self.assertIn("PAT is 0x0;", self.enter("fresh"))

    def test_fresh_is_asked_once(self) -> None:
        (check,) = rules.checks({"watch": ["fresh"]})
        self.fresh()
        self.machine.set(g_pat=0x0007040600070406)
        self.assertEqual(self.machine.enter(check), "")
        self.machine.set(g_pat=0)  # the guest's own
        self.assertEqual(self.machine.enter(check), "")
        self.machine.address = 0x2000  # another VM
        self.assertIn("LDTR", self.machine.enter(check))

    def test_host(self) -> None:
        (check,) = rules.checks({"watch": ["host"]})
        self.assertEqual(self.machine.enter(check), "")
        for name in ("cr0", "cr4", "efer"):
            self.machine.host = registers(**{name: HOST[name] ^ 1 << 11})
            self.assertIn(f"the host's {name.upper()} is", self.machine.enter(check))
        for bit, name in ((12, "SVME"), (10, "LMA"), (8, "LME")):
            self.machine.host = registers(efer=0x1500 & ~(1 << bit))
            self.assertIn(f"{name} is clear", self.enter("host"))
        self.machine.host = registers(cr3=0x999000)
        self.assertEqual(self.machine.enter(check), "")

    PASSED = (0xC0000081, 0xC0000082, 0xC0000083, 0xC0000084, 0xC0000100, 0xC0000101, 0xC0000102,
              0xC0000103, 0x174, 0x175, 0x176)  # fmt: skip

    @staticmethod
    def place(msr: int) -> tuple[int, int]:
        """Its byte in the map, and the bit for reading. APM vol. 2 §15.11."""
        number = {0: 0, 0xC000: 0x2000, 0xC001: 0x4000}[msr >> 16] + (msr & 0x1FFF)
        return number // 4, number % 4 * 2

    def maps(self, *changed: tuple[int, int]) -> str:
        """Right but for these bits of the MSRs' map: byte, bit."""
        found = bytearray(b"\xff" * 0x2000)
        for msr in self.PASSED:
            byte, bit = self.place(msr)
            found[byte] &= ~(3 << bit)
        for byte, bit in changed:
            found[byte] ^= 1 << bit
        self.machine.stub.write(Machine.MSRPM, found)
        self.machine.set(iopm=Machine.IOPM | 0x456, msrpm=Machine.MSRPM | 0x123)  # the low bits are ignored
        return self.enter("maps")

    def test_msr_map(self) -> None:
        self.machine.stub.write(Machine.IOPM, b"\xff" * 0x3000)
        self.assertEqual(self.maps(), "")
        others = (0, 3, 0x10, 0x173, 0x177, 0x1FFF, 0xC0000000, 0xC0000080, 0xC0000085, 0xC00000FF,
                  0xC0000104, 0xC0001FFF, 0xC0010000, 0xC0010117, 0xC0011FFF)  # fmt: skip
        for msr in (*self.PASSED, *others):
            byte, bit = self.place(msr)
            how = "makes an exit" if msr in self.PASSED else "makes no exit"
            self.assertIn(f"reading MSR {msr:#x} {how}", self.maps((byte, bit)))
            self.assertIn(f"writing MSR {msr:#x} {how}", self.maps((byte, bit + 1)))
        for byte, bit in ((0x1800, 0), (0x1FFF, 7)):
            self.assertIn("no MSR", self.maps((byte, bit)))

    def test_port_map(self) -> None:
        full = b"\xff" * 0x2000 + b"\7" + bytes(0xFFF)
        self.machine.stub.write(Machine.IOPM, full)
        self.assertEqual(self.maps(), "")
        for port in (0, 7, 8, 0x3F8, 0xCA00, 0xFFFF):
            changed = bytearray(full)
            changed[port // 8] ^= 1 << port % 8
            self.machine.stub.write(Machine.IOPM, changed)
            self.assertIn(f"the ports {port & ~7:#x} to {port | 7:#x} through", self.maps())
        for bit in range(3):
            self.machine.stub.write(Machine.IOPM, full[:0x2000] + bytes([7 ^ 1 << bit]))
            self.assertIn("wide access", self.maps())

    def test_maps_that_are_nowhere(self) -> None:
        self.machine.set(iopm=MIB - 0x2000, msrpm=Machine.MSRPM)
        self.assertIn("iopm is at 0xfe000", self.enter("maps"))
        self.machine.set(iopm=Machine.IOPM, msrpm=0xC0000)
        self.assertIn("msrpm is at 0xc0000", self.enter("maps"))

    def test_events(self) -> None:
        valid, error, kind = 1 << 31, 1 << 11, 3 << 8
        right: Iterable[int] = (
            0, 0x7FFFFFFF, valid | 0x20, valid | 2 << 8 | 2, valid | kind | 6, valid | 4 << 8 | 0x80,
            *(valid | kind | error | vector | 5 << 32 for vector in (8, 10, 11, 12, 13, 14, 17)),
        )  # fmt: skip
        for event in right:
            self.machine.set(event_inj=event)
            self.assertEqual(self.enter("events"), "", hex(event))
        for event, said in (
            *((valid | number << 8, "no such event") for number in (1, 5, 6, 7)),
            *((valid | kind | 6 | 1 << bit, "no such event") for bit in (12, 30)),
            (valid | kind | 32, "no exception 32"), (valid | kind | 2, "no exception 2"),
            (valid | kind | error | 6, "exception 6 has no error code"),
            (valid | kind | 13, "exception 13 has an error code"),
        ):  # fmt: skip
            self.machine.set(event_inj=event)
            self.assertIn(said, self.enter("events"), hex(event))


class Judge(unittest.TestCase):
    """What the judge makes of it."""

    def message(self, watched: watch.Watched, **more: Any) -> str:
        """Of a run whose answers are right, unless `more` says otherwise."""
        found = judge.judge(make_test("t"), (subject(),), seen(ALL, watched=watched, **more))
        self.assertEqual(found.verdict, Verdict.FAIL if found.message else Verdict.PASS)
        return found.message

    def test_judge(self) -> None:
        self.assertEqual(self.message(watch.Watched(4)), "")
        wrong = watch.Watched(3, "no.", 3)
        self.assertEqual(self.message(wrong), "The answers are right, but at VMRUN 3 of 4: no.")
        for entries in (3, 5, 0):
            self.assertIn(f"4 VMRUNs were executed, {entries} of them", self.message(watch.Watched(entries)))
        self.assertIn("status 3", self.message(wrong, code=7))  # answers and end come first

    def test_a_machine_that_was_meddled_with(self) -> None:
        """Its answers are not asked for, and nothing is said of them."""
        for watched, said in (
            (watch.Watched(3, "it is wrong.", 3, meddled=True), "At VMRUN 3 of 4: it is wrong."),
            (watch.Watched(0, "there is none.", meddled=True), "There is none."),
        ):
            self.assertEqual(self.message(watched, code=7), said)
            self.assertEqual(self.message(watched, code=None), said)  # nor of the clock that then ended it

    def test_a_function_that_did_not_return(self) -> None:
        watched = watch.Watched(3, "it was called.", 3, meddled=True, unreturned=True)
        self.assertEqual(self.message(watched), "At VMRUN 3 of 4: it was called.")
        found = judge.judge(make_test("t"), (subject(),), seen(ALL, watched=watched, code=None))
        self.assertEqual(found.verdict, Verdict.LIMIT)
        said = "Stopped: it did not end, and was stopped by the clock on the wall.\nAt VMRUN 3 of 4: it was called."
        self.assertEqual(found.message, said)

    def test_what_could_not_be_looked_at(self) -> None:
        """That counts, if all else is right."""
        watched = watch.Watched(4, "it was never called.")
        self.assertEqual(self.message(watched), "The answers are right, but it was never called.")
        self.assertIn("status 3", self.message(watched, code=7))


class Window(unittest.TestCase):
    """machine.py: what QEMU is given, and that it is taken away."""

    def start(self) -> machine.Start:
        """Of nothing."""
        path = Path(self.enterContext(tempfile.TemporaryDirectory())) / "image"
        path.write_bytes(elf((VMRUN, b"\x0f\x01\xd8")))
        return machine.Start(path, [], 4)

    def test_the_file_keeps_its_size(self) -> None:
        window = machine._Window(self.start())
        for size in (0, 8 * MIB):
            self.assertRaises(PermissionError, os.ftruncate, window.file, size)
        window.close_theirs()
        window.ours.close()
        window.close()

    def test_nothing_is_left(self) -> None:
        """Whatever came of it: QEMU could not be started, or the watcher has trouble."""
        start = self.start()
        open_before = len(os.listdir("/proc/self/fd"))

        def cannot(*_: Any, **__: Any) -> Any:
            raise CasitaError("cannot start it")

        def babbles(*_: Any, handles: tuple[int, int], **__: Any) -> Any:
            os.write(handles[0], b"+$OK#9a+$T05#b9+$zz#00")
            asked = b""
            while b"$g#67+" not in asked:
                asked += os.read(handles[0], 99)

        for run, said in ((cannot, "cannot start it"), (babbles, "could not be watched: ValueError")):
            watched = watch.Watch(start.image, [])
            with mock.patch.object(contain, "run", run), self.assertRaisesRegex(CasitaError, said):
                machine._run(start, start.image.parent, contain.Limits(), (Path(), Path()), watched)
            self.assertEqual(len(os.listdir("/proc/self/fd")), open_before)
            self.assertEqual([each.name for each in threading.enumerate() if "follow" in each.name], [])

    def test_by_hand_nobody_watches(self) -> None:
        start = self.start()
        test = make_test("t", options={"watch": ["host"]})
        guest = subject(path=start.image)
        folder = start.image.parent / "folder"
        folder.mkdir()
        words = runner.commands(test, start.image, runner.Prepared(1, start.image, {"t": (guest,)}), folder)
        self.assertEqual(words["gdb"].count("-gdb"), 1)
        for how in ("gdb", "qemu"):
            self.assertNotIn("watch", " ".join(words[how]))

    def test_in_bochs_nobody_can(self) -> None:
        test = make_test("t", options={"watch": ["host"]}, engine="bochs")
        with tempfile.TemporaryDirectory() as name, self.assertRaisesRegex(CasitaError, "test t: .*QEMU"):
            runner.prepare(read_lab(1), [test], 1, Path(name))


_INSIDE = """
import mmap, os, socket, sys
line, file = int(sys.argv[1]), os.open("/proc/self/fd/" + sys.argv[2], os.O_RDWR)
memory = mmap.mmap(file, 4 << 20)
memory[:4] = b"seen"
try:
    os.ftruncate(file, 0)
except OSError:
    socket.socket(fileno=line).sendall(b"as it was")
"""
_OUTSIDE = """
import sys; from pathlib import Path
sys.path.insert(0, sys.argv[1])
from grading import contain, machine, sandbox
window = machine._Window(machine.Start(Path(), [], 4))
words = ["python3", "-c", sys.argv[3], *map(str, window.handles)]
ended = contain.run(words, Path(sys.argv[2]), contain.Limits(seconds=20), handles=window.handles,
                    started=window.close_theirs)
said = window.ours.recv(99).decode(), bytes(window.memory[:4]).decode(), window.ours.recv(99)
print(sandbox.mode(), ended.code, *said, ended.text)
"""


class Sandboxed(unittest.TestCase):
    """What is handed into the sandbox: with root, and without."""

    def outside(self, *before: str) -> str:
        """A grader of its own, whose code all may read."""
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        folder.chmod(0o755)
        shutil.copytree(ROOT / "grader", folder / "grader", ignore=shutil.ignore_patterns("__pycache__"))
        (folder / "work").mkdir()
        if before:
            os.chown(folder / "work", _NOBODY, _NOBODY)
        words = [sys.executable, "-B", "-c", _OUTSIDE, str(folder / "grader"), str(folder / "work"), _INSIDE]
        done = subprocess.run([*before, *words], capture_output=True, text=True, cwd="/", check=False)
        return done.stdout + done.stderr

    def test_as_we_are(self) -> None:
        mode = sandbox.BOTH if os.geteuid() == 0 else sandbox.BWRAP
        self.assertEqual(self.outside().strip(), f"{mode} 0 as it was seen b''")

    def test_without_root(self) -> None:
        if os.geteuid() != 0:
            self.skipTest("not root: the other test shows it")
        found = self.outside("setpriv", f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups")
        self.assertEqual(found.strip(), f"{sandbox.BWRAP} 0 as it was seen b''")


class Real(unittest.TestCase):
    """Lab 4's reference in QEMU, and the same without a flush."""

    def grade(self, forgotten: bool) -> Result:
        """One round of the test."""
        lab = read_lab(4)
        (test,) = choose(lab, "flush")
        test = replace(test, options={**test.options, "rounds": 1})
        lab = replace(lab, tests=(test,))
        reference = trees.reference(4)
        assert reference
        with tempfile.TemporaryDirectory() as name, scratch_directory() as folder:
            for path in lab.files:
                (Path(name) / path).parent.mkdir(parents=True, exist_ok=True)
                text = (reference.tree / path).read_text()
                if forgotten and path == "src/paging/nested.c":
                    start = text.index("static int nested_protect(")
                    flush = text.index("\tif (vm->vcpu)\n\t\tcpu->flush(vm->vcpu);\n", start)
                    text = text[:flush] + text[text.index("\treturn 0;", flush) :]
                (Path(name) / path).write_text(text)
            order = one.Order(lab, (test,), one.Submission(tree=Path(name)), 5, 4, lab.files)
            return one.grade(order, folder, runner=one.the_runner())

    def test_right(self) -> None:
        result = self.grade(forgotten=False)
        self.assertEqual(result.verdict, Verdict.PASS, result.results[0].message)

    def test_wrong_and_the_same_again(self) -> None:
        documents = []
        for _ in range(2):
            documents.append(report.as_json(self.grade(forgotten=True)))
            del documents[-1]["times"]
        self.assertEqual(documents[0], documents[1])
        (test,) = documents[0]["tests"]
        self.assertEqual(test["verdict"], "FAIL")
        self.assertRegex(
            test["message"],
            r"^The answers are right, but at VMRUN \d+ of \d+: address 0x\w+ was writable, at host 0x\w+; "
            r"now it is read-only, at host 0x\w+\. ASID \d+ as before, TLB_CONTROL 0: "
            r"nothing makes the processor forget it\.",
        )


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: BSD-3-Clause
"""Asks functions of a lab what no guest asks them: calls them in the machine (monitor.py) and reads what
they have done from memory.

Lab 4, `operations`: the table nested_ops, when a guest begins to log its writes. RAM is read-only then.

    protect     one page of a large one; a range that begins and ends within large ones; a hole
    remap       pages that are there, and one that is not; without memory for a table
    vm_create   regions whose guest and host addresses are aligned in all ways; without memory

The guest's RAM above `from` MiB is the test's to use: the guest does not touch it. Afterwards all is
read-only again, as the guest's log wants it.

Lab 4, `no-memory`: the first write that is watched, when there is no memory for a table of small pages:
the VM cannot go on, so it is not entered again.
"""

from __future__ import annotations

from typing import Any, Mapping, Sequence

from .gdbstub import Registers
from .layout import VM_BYTES
from .monitor import Monitor
from .tables import Leaf, Tables, read_tables
from .watch import Check, Entry

_PAGE, _LARGE, _MIB, _GIB = 0x1000, 0x200000, 1 << 20, 1 << 30
_ENOMEM = -12
_WRITE = 2
# Members of struct paging_ops, eight bytes each.
_VM_CREATE, _REMAP, _FAULT, _PROTECT = 3, 6, 7, 8
_MEMBERS = 9

_ROUGH = "{0}: {1:#x} is {2}; it should be {3}."


class Ops:
    """The functions of nested_ops."""

    def __init__(self, monitor: Monitor) -> None:
        pointers = monitor.pointers(monitor.address("nested_ops"), _MEMBERS)
        self.vm_create, self.remap = pointers[_VM_CREATE], pointers[_REMAP]
        self.fault, self.protect = pointers[_FAULT], pointers[_PROTECT]


class Operations(Check):
    """protect, remap and vm_create, called."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__(options)
        self._from = options.get("from", 64) * _MIB
        self._end = options.get("mem", 80) * _MIB
        self._root = 0
        self._asked = False
        self._monitor: Monitor

    def begin(self, monitor: Monitor) -> None:
        self._monitor = monitor

        def created(_: Registers) -> str:
            """The image is in memory now."""
            self._ops = Ops(monitor)
            monitor.stop_once(self._ops.protect, self._entered)
            return ""

        monitor.stop_once(monitor.address("vm_create"), created)

    def entering(self, entry: Entry) -> str:
        self._root = entry.vmcb["ncr3"]
        return ""

    def _entered(self, registers: Registers) -> str:
        """The guest's log begins, and all of its RAM is about to be made read-only."""
        self._vm = registers["rdi"]
        self._monitor.when_returned(registers, lambda _: self._ask())
        return ""

    def _ask(self) -> str:
        self._wanted = self._now().pages(self._from, self._end)
        if len(self._wanted) != (self._end - self._from) // _PAGE:
            return "nested tables: RAM is missing when the log begins."
        self._asked = True
        return self._ask_protect() or self._ask_remap() or self._ask_create() or self._read_only_again()

    def unasked(self) -> str:
        return "" if self._asked else "protect of nested_ops was never called, so nothing could be asked of it."

    def _now(self) -> Tables:
        return read_tables(self._monitor.stub, self._root, 4)

    def _differs(self, what: str) -> str:
        """Is a page not as it should be?"""
        tables = self._now()
        if tables.odd:
            return f"{what}: {tables.odd}"
        found = tables.pages(self._from, self._end + 2 * _LARGE)
        for gpa in sorted(found.keys() | self._wanted.keys()):
            if found.get(gpa) != self._wanted.get(gpa):
                have, want = (str(leaf or "not mapped") for leaf in (found.get(gpa), self._wanted.get(gpa)))
                return _ROUGH.format(what, gpa, have, want)
        return ""

    def _set(self, start: int, size: int, writable: bool) -> None:
        for gpa in range(start, start + size, _PAGE):
            if leaf := self._wanted.get(gpa):
                rights = leaf.rights | _WRITE if writable else leaf.rights & ~_WRITE
                self._wanted[gpa] = Leaf(leaf.frame, rights)

    def _protect(self, start: int, size: int, read_only: bool, fail: int = 0) -> str:
        what = f"protect({start:#x}, {size:#x}, {'read-only' if read_only else 'writable'})"
        what += " without memory for a table" if fail else ""
        tables = self._now().where
        got = self._monitor.call(what, self._ops.protect, self._vm, start, size, int(read_only), fail=fail)
        for table in self._now().where - tables:
            last, behind = self._monitor.pointers(table + _PAGE - 8, 2)
            if behind == last + _PAGE:
                return f"{what}: the new table at {table:#x} has an entry too many, behind its end."
        if got != (_ENOMEM if fail else 0):
            return f"{what} returned {got}, not {_ENOMEM if fail else 0}."
        if not fail:
            self._set(start, size, not read_only)
        return self._differs(what)

    def _ask_protect(self) -> str:
        large = self._from + _LARGE
        inside, border = large + 0x5000, large + 2 * _LARGE
        across = border - 3 * _PAGE, 3 * _PAGE + _LARGE + 5 * _PAGE
        return (
            self._protect(inside, _PAGE, False, fail=1)
            or self._protect(inside, _PAGE, False)
            or self._protect(*across, False)
            or self._protect(*across, True)
            or self._protect(inside, _PAGE, True)
            or self._protect(self._end, 2 * _PAGE, False)
            or self._protect(self._end - _LARGE, _LARGE, False)
            or self._still_large(self._end - _LARGE)
        )

    def _still_large(self, gpa: int) -> str:
        if gpa >> 21 in self._now().large:
            return ""
        return f"protect of all of the large page at {gpa:#x} took it apart."

    def _hook(self, gpa: int, size: int = _PAGE) -> str:
        """A hole in the memory map."""
        nothing = self._monitor.stub.registers()["rsp"] - 0x200
        self._monitor.stub.write(nothing, bytes(64))
        hook = self._monitor.address("vm_hook_mem")
        got = self._monitor.call(f"vm_hook_mem({gpa:#x}, {size:#x})", hook, self._vm, gpa, size, nothing)
        for page in range(gpa, gpa + size, _PAGE):
            self._wanted.pop(page, None)
        return f"a hole at {gpa:#x}: {got} was returned." if got else ""

    def _remap(self, start: int, size: int, fail: int = 0) -> str:
        what = f"remap({start:#x}, {size:#x})" + (" without memory for a table" if fail else "")
        got = self._monitor.call(what, self._ops.remap, self._vm, start, size, fail=fail)
        if got != (_ENOMEM if fail else 0):
            return f"{what} returned {got}, not {_ENOMEM if fail else 0}."
        if not fail:
            self._set(start, size, True)
        return self._differs(what)

    def _ask_remap(self) -> str:
        hole, whole = self._from + 0x9000, self._end - 2 * _LARGE
        return (
            self._hook(hole)
            or self._differs(f"a hole at {hole:#x}")
            or self._protect(hole - _PAGE, 3 * _PAGE, False)
            or self._remap(hole - 2 * _PAGE, 5 * _PAGE)
            or self._remap(whole, _PAGE, fail=1)
            or self._remap(whole + _LARGE - 2 * _PAGE, 4 * _PAGE)
        )

    # ---- vm_create ---------------------------------------------------------------------------------

    def _ask_create(self) -> str:
        """New tables for the memory map as it is, and with regions that are aligned in all ways."""
        stub = self._monitor.stub
        root = stub.read(self._vm, VM_BYTES).find(self._root.to_bytes(8, "little"))
        if root < 0:
            return "the VM's paging_state is not the root of its nested tables."
        kept = stub.read(self._vm, root + 8)  # the memory map among it
        complaint = self._create(self._vm + root)
        stub.write(self._vm, kept)
        return complaint

    def _create(self, place: int) -> str:
        """`place`: where the VM has its root."""
        host = self._wanted[self._from].frame
        if complaint := self._hook(self._from + _LARGE, _LARGE):
            return complaint
        regions = []
        for gpa, hpa, size in (
            (4 * _GIB, host + _PAGE, _LARGE + 2 * _PAGE),  # aligned for the guest only
            (4 * _GIB + 4 * _LARGE + _PAGE, host, _LARGE + _PAGE),  # for the host only
            (4 * _GIB + 8 * _LARGE, host, _LARGE),  # for both, and no more than that
            (4 * _GIB + 12 * _LARGE + _PAGE, host + _PAGE, 2 * _LARGE - _PAGE),  # from its second page on
            (4 * _GIB + 16 * _LARGE, host, _LARGE - _PAGE),  # one page too few
        ):
            add = self._monitor.address("vm_add_ram")
            if got := self._monitor.call("vm_add_ram", add, self._vm, gpa, size, hpa):
                return f"more RAM at {gpa:#x}: {got} was returned."
            regions.append((gpa, hpa, size))
        for fail in (2, 3, 4, 5):
            what = f"vm_create without memory for table {fail}"
            got = self._monitor.call(what, self._ops.vm_create, self._vm, fail=fail)
            if got != _ENOMEM:
                return f"{what} returned {got}, not {_ENOMEM}."
        if got := self._monitor.call("vm_create", self._ops.vm_create, self._vm):
            return f"vm_create returned {got}, not 0."
        root = self._monitor.pointers(place, 1)[0]
        return self._regions_wrong(read_tables(self._monitor.stub, root, 4), regions)

    def _regions_wrong(self, tables: Tables, regions: Sequence[tuple[int, int, int]]) -> str:
        """Is each region mapped, whole and no more, with large pages wherever they can be?"""
        if tables.odd:
            return f"vm_create: {tables.odd}"
        for gpa, hpa, size in regions:
            found = tables.pages(gpa - _PAGE, gpa + size + _PAGE)
            for at in range(gpa - _PAGE, gpa + size + _PAGE, _PAGE):
                inside = gpa <= at < gpa + size
                leaf = found.get(at)
                if (leaf is not None) != inside or (leaf and leaf.frame != hpa + at - gpa):
                    want = f"at host {hpa + at - gpa:#x}" if inside else "not mapped"
                    return _ROUGH.format("map_ram", at, leaf or "not mapped", want)
                if not inside:
                    continue
                start = at & -_LARGE
                could = gpa <= start and start + _LARGE <= gpa + size and not (hpa + start - gpa) % _LARGE
                if could != (at >> 21 in tables.large):
                    sort = "a large page" if could else "small pages"
                    return f"map_ram: {at:#x}, in {size:#x} bytes at {gpa:#x} from host {hpa:#x}: not {sort}."
        return ""

    def _read_only_again(self) -> str:
        """As the guest's log left it, and beyond the RAM nothing."""
        got = self._monitor.call("protect of all RAM", self._ops.protect, self._vm, 0, self._end, 1)
        self._set(self._from, self._end - self._from, False)
        return f"protect of all RAM returned {got}." if got else self._differs("protect of all RAM")


class NoMemory(Check):
    """The first write that is watched finds no memory for a table of small pages."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__(options)
        self._monitor: Monitor
        self._vmcb = 0
        self._refused: int | None = None  # the VM that got none

    def begin(self, monitor: Monitor) -> None:
        self._monitor = monitor

        def faulted(_: Registers) -> str:
            monitor.stop_at(monitor.address("pages_alloc_zero"), self._refuse)
            return ""

        def created(_: Registers) -> str:
            monitor.stop_once(Ops(monitor).fault, faulted)
            return ""

        monitor.stop_once(monitor.address("vm_create"), created)

    def _refuse(self, registers: Registers) -> str:
        self._refused = self._vmcb
        self._monitor.meddled = True
        self._monitor.refuse(registers)
        return ""

    def entering(self, entry: Entry) -> str:
        if self._refused == entry.vmcb.address:
            return "there was no memory for a table of small pages, and the VM was entered again."
        self._vmcb = entry.vmcb.address
        self._monitor.forget(self._monitor.address("pages_alloc_zero"), self._refuse)
        return ""

    def unasked(self) -> str:
        return "no memory was asked for when a watched page was written." if self._refused is None else ""

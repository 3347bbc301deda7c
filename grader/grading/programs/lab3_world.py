# SPDX-License-Identifier: BSD-3-Clause
"""A guest with page tables of its own, while it is written.

    world = World(rng, "pae")
    gva = world.far(1)[0]
    world.space.map(gva, world.memory.frame(), P | W)
    world.begin()                       # builds the tables, turns paging on
    world.read(gva, "a page")
    return [world.finish()]

The guest keeps its own image and its frames mapped one to one, so it can change its tables, and puts
pages at addresses far away. Whatever it does is done to a model as well (lab3_tables.py), which says
what is expected.

    0x2000000-0x23fffff	the image: code, GDT, IDT, TSS, a stack
    0x2400000-0x2ffffff	frames: tables and small pages
    0x3000000-0x3bfffff	large pages
"""

from __future__ import annotations

import random
from typing import Any, Sequence

from .asm import ADDRESS, Guest
from .lab3_descriptors import TSS, USER_CODE, USER_DATA, handlers, tables
from .lab3_processor import Processor
from .lab3_tables import (
    D, KINDS, NX, PAGE, PRESENT, RSVD, A, G, Memory, Modes, P, PS, Space, U, W, walk,
)  # fmt: skip

FRAMES, FRAMES_END = 0x2400000, 0x3000000
LARGE, LARGE_END = 0x3000000, 0x3C00000
IDENTITY_END = 0x4000000
NO_FAULT = 0xFFF  # in place of an error code
# mov (%rbx), %eax; mov %eax, (%rbx); jmp *%rbx: the same bytes in 32-bit and 64-bit code
_USER_OPS = {"read": 0x80CD038B, "write": 0x80CD0389, "fetch": 0x80CDE3FF}


class World(Processor):
    """A guest while it is written, and the model of what it does."""

    def __init__(
        self, rng: random.Random, kind: str, pse: bool = True, wp: bool = False, mem: int = 64
    ) -> None:
        self.rng = rng
        super().__init__(KINDS[kind], Modes(pse=pse, wp=wp))
        self.memory = Memory(rng, FRAMES, FRAMES_END, mem << 20)
        self.touches: list[int] = []
        self.holes: list[int] = []
        self._large = list(range(LARGE, LARGE_END, self.kind.page(2)))
        rng.shuffle(self._large)
        self._spaces: list[Space] = []
        self._units: set[int] = set()
        self._user_page = 0
        self._touched: set[int] = set()
        self.space = self.new_space()

    # ---- before it begins --------------------------------------------------------------------

    def new_space(self) -> Space:
        """An address space in which the guest itself is mapped."""
        space = Space(self.kind, self.memory, 0 if self.modes.pse else PS)
        level = 2 if self.modes.pse else 1
        space.identity(ADDRESS, IDENTITY_END, level)
        self._spaces.append(space)
        return space

    def far(self, count: int) -> list[int]:
        """Addresses of pages, each in a table of its own, none near another."""
        found = []
        while len(found) < count:
            gva = self._far_address()
            unit = gva >> 22
            near = ADDRESS >> 22 <= unit < IDENTITY_END >> 22
            if near or self._units & {unit - 1, unit, unit + 1} or unit == 0:
                continue
            self._units.add(unit)
            found.append(gva)
        return found

    def _far_address(self) -> int:
        gva = self.rng.getrandbits(32 if not self.kind.long else 48) & ~(PAGE - 1)
        return gva | 0xFFFF << 48 if self.kind.long and gva >> 47 else gva

    def low_far(self) -> int:
        """One below 2 GiB, which an instruction can name."""
        while True:
            gva = self.rng.getrandbits(31) & ~(PAGE - 1)
            unit = gva >> 22
            if unit and not ADDRESS >> 22 <= unit < IDENTITY_END >> 22 and unit not in self._units:
                self._units.add(unit)
                return gva

    def large_frame(self) -> int:
        """Memory for a large page."""
        return self._large.pop()

    def fill(self, frame: int, offsets: Sequence[int]) -> None:
        """Something to read at these places of a frame, other than zero."""
        for offset in offsets:
            self.memory.put(frame + offset, self.rng.getrandbits(32) | 1)

    def put_code(self, frame: int, offset: int, value: int) -> None:
        """A function that returns a value: mov $value, %eax; ret."""
        self.memory.put(frame + offset, 0xB8 | value << 8)
        self.memory.put(frame + offset + 4, value >> 24 | 0x90C300)

    def use_rings(self) -> None:
        """Make a page with code for ring 3, with its stack; before begin()."""
        self._user_page = self.low_far()
        frame = self.memory.frame()
        for space in self._spaces:
            space.map(self._user_page, frame, P | W | U)
        for i, name in enumerate(_USER_OPS):
            self.memory.put(frame + 16 * i, _USER_OPS[name])

    # ---- starting ------------------------------------------------------------------------------

    def begin(self, nx: bool = False, on: bool = True) -> None:
        """Write all memory, and turn paging on. What is in the model now is what is written."""
        asm = self.asm
        stack = self.sp
        asm(f"mov $stack_end, {stack}", "lgdt gdtr", "lidt idtr")
        asm(f"mov ${TSS:#x}, %eax", "ltr %ax")
        # Data segments that ring 3 may keep: IRET takes away what is ring 0's.
        asm(f"mov ${USER_DATA:#x}, %eax", "mov %eax, %ds", "mov %eax, %es")
        tables = [table for space in self._spaces for table in space.tables]
        self._clear(tables)
        self._poke(dict(self.memory.words))
        if nx:
            self.set_nxe(True)
        if on:
            self.paging_on()
            self.see_tables()

    def _clear(self, frames: list[int]) -> None:
        one, two = self.asm.new_label(), self.asm.new_label()
        self.asm("mov $cleared, %esi", f"mov ${len(frames)}, %ecx", "xor %eax, %eax")
        self.asm.text(f"{one}:")
        self.asm("mov (%rsi), %edi" if self.kind.long else "mov (%esi), %edi", "mov $1024, %edx",
                 times=len(frames))
        self.asm.text(f"{two}:")
        store = "mov %eax, (%rdi)" if self.kind.long else "mov %eax, (%edi)"
        self.asm(store, "add $4, %edi", "dec %edx", f"jnz {two}", times=1024 * len(frames))
        self.asm("add $4, %esi", "dec %ecx", f"jnz {one}", times=len(frames))
        self.asm.data("\t.balign 4", "cleared:", *(f"\t.long {frame:#x}" for frame in frames))

    def _poke(self, words: dict[int, int]) -> None:
        label, n = self.asm.new_label(), len(words)
        r = "r" if self.kind.long else "e"
        self.asm("mov $poked, %esi", f"mov ${n}, %ecx")
        self.asm.text(f"{label}:")
        self.asm(f"mov (%{r}si), %edi", f"mov 4(%{r}si), %eax", f"mov %eax, (%{r}di)",
                 "add $8, %esi", "dec %ecx", f"jnz {label}", times=n)
        self.asm.data("\t.balign 4", "poked:",
                      *(f"\t.long {at:#x}, {value:#x}" for at, value in sorted(words.items())))

    def see_tables(self) -> None:
        """Answer a sum of the entries of the tables, but for accessed and dirty: they are the guest's.

        A monitor that marks entries absent, to be asked when they are used, makes another sum.
        """
        words = [at for space in self._spaces for at in space.words()]
        if not words:
            return
        label, r = self.asm.new_label(), "r" if self.kind.long else "e"
        name, total = f"entries{label.lstrip('.')}", 0
        self.asm(f"mov ${name}, %esi", f"mov ${len(words)}, %ecx", "xor %eax, %eax")
        self.asm.text(f"{label}:")
        self.asm(f"mov (%{r}si), %edi", f"mov (%{r}di), %edx", f"and ${~(A | D)}, %edx", "rol $1, %eax",
                 "add %edx, %eax", "add $4, %esi", "dec %ecx", f"jnz {label}", times=len(words))
        self.asm.data("\t.balign 4", f"{name}:", *(f"\t.long {at:#x}" for at in words))
        for at in words:
            total = (total << 1 | total >> 31) + (self.memory.get(at) & ~(A | D)) & 0xFFFFFFFF
        self.save("a sum of its page tables' entries, which are as it wrote them", total)

    # ---- memory ----------------------------------------------------------------------------------

    def _touch(self, gva: int) -> None:
        if not ADDRESS <= gva < IDENTITY_END and gva >> 12 not in self._touched:
            self._touched.add(gva >> 12)
            self.touches.append(gva)

    def save(self, name: str, expected: int) -> None:
        """Answer EAX, 32 bits, with what it must be."""
        self.asm("mov %eax, %ebp")  # an answer destroys EAX and EDX only
        self.asm.answer(name, "%rbp" if self.kind.long else "%ebp", 8, expected)

    def read(self, gva: int, name: str, touch: bool = True) -> None:
        """Read a word that can be read, and answer it."""
        gpa, error = walk(self.space, self.modes, gva, False, False, False)
        assert gpa is not None, (hex(gva), error)
        if touch:
            self._touch(gva)
        self.asm.load(self.bx[1:], gva)
        self.asm(f"mov ({self.bx}), %eax")
        self.save(name, self.memory.get(gpa))

    def write(self, gva: int, value: int | None = None) -> int:
        """Write a word that can be written."""
        value = self.rng.getrandbits(32) if value is None else value
        gpa, error = walk(self.space, self.modes, gva, True, False, False)
        assert gpa is not None, (hex(gva), error)
        self._touch(gva)
        self.memory.put(gpa, value)
        self.asm.load(self.bx[1:], gva)
        self.asm(f"movl ${value:#x}, ({self.bx})")
        return value

    def call(self, gva: int, name: str) -> None:
        """Call a function that put_code() made; its four instructions are not in the image."""
        gpa, error = walk(self.space, self.modes, gva, False, True, False)
        assert gpa is not None, (hex(gva), error)
        self._touch(gva)
        self.asm.load(self.bx[1:], gva)
        self.asm(f"call *{self.bx}")
        self.save(name, self.memory.get(gpa) >> 8 | (self.memory.get(gpa + 4) & 0xFF) << 24)

    def store(self, address: int, value: int, size: int = 4) -> None:
        """Write to its own tables or frames, where they are mapped one to one."""
        self.memory.put(address, value, size)
        self.asm(f"movl ${value & 0xFFFFFFFF:#x}, {address:#x}")
        if size == 8:
            self.asm(f"movl ${value >> 32:#x}, {address + 4:#x}")

    def look(self, address: int, mask: int, name: str) -> None:
        """Answer some bits of a word of its own memory."""
        self.asm(f"mov {address:#x}, %eax", f"and ${mask:#x}, %eax")
        self.save(name, self.memory.get(address) & mask)

    # ---- accesses that may fault -----------------------------------------------------------------

    def attempt(self, what: str, gva: int, name: str, user: bool = False, asked: bool = True) -> None:
        """Read, write or fetch in ring 0 or 3, and answer how it went: error code, place, CR2."""
        asm, write, fetch = self.asm, what == "write", what == "fetch"
        insn, resume = asm.new_label(), asm.new_label()
        value = self.rng.getrandbits(32)
        gpa, error = walk(self.space, self.modes, gva, write, fetch, user)
        asm(f"movl ${NO_FAULT:#x}, fault_error")
        asm(f"mov{'q' if self.kind.long else 'l'} ${resume}, resume")
        asm.load(self.bx[1:], gva)
        asm(f"mov ${value:#x}, %eax")
        if user:
            place = self._user_page + 16 * list(_USER_OPS).index(what)
            push = "pushq" if self.kind.long else "pushl"
            asm(f"{push} ${USER_DATA:#x}", f"{push} ${self._user_page + PAGE - 16:#x}")
            asm(f"{push} $2", f"{push} ${USER_CODE:#x}", f"{push} ${place:#x}")
            asm("iretq" if self.kind.long else "iret")
            walk(self.space, self.modes, place, False, True, True)
        else:
            asm.text(f"{insn}:")
            asm({"read": f"mov ({self.bx}), %eax", "write": f"mov %eax, ({self.bx})",
                 "fetch": f"jmp *{self.bx}"}[what])
            if what != "fetch" and gpa is not None:
                asm.count += 1
            if what != "fetch":
                asm.text("\tmov %eax, got")
        asm.text(f"{resume}:")
        if gpa is None:
            asm.count += 7  # the handler
        elif user or fetch:
            asm.count += 3
        if not asked:
            return
        if gpa is not None:
            asm("mov fault_error, %eax")
            self._answer3(f"{name}: error code", NO_FAULT)
            if what == "write":
                self.memory.put(gpa, value)
                asm(f"mov {gpa:#x}, %eax")
                self.save(f"{name}: what is there now", value)
            elif what == "read":
                asm("mov got, %eax")
                self.save(f"{name}: value", self.memory.get(gpa))
            return
        asm("mov fault_error, %eax")
        if error & RSVD:  # QEMU forgets the present bit then
            asm(f"and ${NO_FAULT - PRESENT:#x}, %eax")
            error &= ~PRESENT
        self._answer3(f"{name}: error code", error)
        asm(f"mov fault_cr2, {self.ax}", f"mov {self.ax}, %{'r' if self.kind.long else 'e'}bp")
        bp = "%rbp" if self.kind.long else "%ebp"
        asm.answer(f"{name}: CR2", bp, 16 if self.kind.long else 8, gva)
        asm("mov fault_ip, %eax")
        where = f"${gva & 0xFFFFFFFF:#x}" if fetch else f"${place:#x}" if user else f"${insn}"
        asm(f"sub {where}, %eax")
        self._answer3(f"{name}: its RIP, less where it should be", 0)

    def _answer3(self, name: str, expected: int) -> None:
        self.asm("mov %eax, %ebp")
        self.asm.answer(name, "%rbp" if self.kind.long else "%ebp", 3, expected)

    def take_turns(self) -> None:
        """Let another VM run: hypercall 3, when there is a monitor."""
        self.asm.text("\t.if !BARE")
        self.asm("mov $3, %eax", "vmmcall")
        self.asm.text("\t.endif")

    # ---- the end ---------------------------------------------------------------------------------

    def finish(self, **fields: Any) -> Guest:
        """End the guest, with its tables and handlers."""
        self.asm.data(*handlers(self.kind.long), *tables(self.kind.long))
        fields.setdefault("touches", tuple(self.touches))
        fields.setdefault("holes", tuple(self.holes))
        return self.asm.finish(**fields)


def random_offset(rng: random.Random, size: int = PAGE) -> int:
    """A place for a word in a page."""
    return rng.randrange(0, size, 4)


__all__ = ["A", "D", "G", "NX", "P", "PS", "U", "W", "PAGE", "World", "random_offset"]

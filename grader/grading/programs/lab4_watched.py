# SPDX-License-Identifier: BSD-3-Clause
"""Lab 4's seeded guests that ask their monitor: which pages were written, and to take pages back.

The hypercalls are Casita's (src/vmm/hypercall.h), so these guests do not run bare; what they must
answer is computed here. The nested page faults that they may make are in Guest.holes.
"""

from __future__ import annotations

import random
from typing import Any, Mapping, Sequence

from ..evidence import EXIT_NPF
from .asm import ADDRESS, HOLE, STOPPED, Guest
from .lab3_world import LARGE, LARGE_END, PAGE, World

CALL_LOG, CALL_DIRTY, CALL_GIVE_BACK = 4, 5, 6
PAGES = 32  # that one call tells of
_HOST_PAGE = 2 << 20
_FLOATS = 0x1234  # a port without a device reads ones
_IMAGE_PAGES = 64


def call(world: World, number: int, argument: int) -> None:
    """A hypercall; its result is in EAX."""
    world.asm(f"mov ${number}, %eax", f"mov ${argument:#x}, %ebx", "vmmcall")


def _ask(world: World, base: int, pages: set[int], name: str) -> None:
    call(world, CALL_DIRTY, base)
    world.save(f"written pages from {base:#x}, {name}", sum(1 << page for page in pages))


def _sum(world: World, base: int, offset: int, pages: Sequence[int], name: str) -> None:
    """A word of each page, all of them in one sum that knows their order."""
    world.asm("xor %eax, %eax")
    total = 0
    for page in pages:
        at = base + page * PAGE + offset
        world.asm("rol $3, %eax", f"add {at:#x}, %eax")
        total = (total << 3 | total >> 29) & 0xFFFFFFFF
        total = total + world.memory.get(at) & 0xFFFFFFFF
    world.save(name, total)


def _across(world: World, base: int, page: int, rng: random.Random) -> set[int]:
    """A word that lies in this page and in the next one."""
    value, at = rng.getrandbits(32), base + (page + 1) * PAGE - 2
    low, high = world.memory.get(at - 2), world.memory.get(at + 2)
    world.memory.put(at - 2, low & 0xFFFF | (value & 0xFFFF) << 16)
    world.memory.put(at + 2, high & 0xFFFF0000 | value >> 16)
    world.asm(f"movl ${value:#x}, {at:#x}")
    return {page, page + 1}


def _exchange(world: World, at: int, rng: random.Random) -> None:
    """An instruction that reads and writes at once, and must do it once only."""
    value = rng.getrandbits(32)
    world.memory.put(at, world.memory.get(at) + value & 0xFFFFFFFF)
    world.asm(f"mov ${value:#x}, %eax", f"lock add %eax, {at:#x}")


def _by_the_monitor(world: World, at: int) -> None:
    """INS, which the monitor carries out. count.c leaves string I/O out."""
    world.memory.put(at, world.memory.get(at) | 0xFF)
    world.asm(f"mov ${at:#x}, %edi", f"mov ${_FLOATS:#x}, %edx", "cld")
    world.asm.text("\tinsb")


def _begin(rng: random.Random, kind: str, options: Mapping[str, Any]) -> tuple[World, int, int]:
    """A guest with 32 pages on both sides of a border of 2 MiB, and a word in each of them."""
    world = World(rng, kind)
    border = rng.randrange(LARGE + _HOST_PAGE, LARGE_END - _HOST_PAGE, _HOST_PAGE)
    base = border - rng.randrange(6, PAGES - 6) * PAGE
    offset = rng.randrange(64, PAGE - 64, 4)
    for page in range(-8, PAGES + 8):
        world.fill(base + page * PAGE, [0, offset, PAGE - 4])
    world.begin(on=options.get("paged", True))
    return world, base, offset


def _may_fault(world: World, first: int, base: int) -> tuple[int, ...]:
    """Where a guest that is watched may write: its pages, its image, its tables."""
    own = [base + page * PAGE for page in range(-8, PAGES + 8)]
    own += [ADDRESS + page * PAGE for page in range(_IMAGE_PAGES)]
    return (first, *own, *world.space.tables)


def _begin_log(world: World) -> None:
    call(world, CALL_LOG, 1)
    world.save("to begin the log", 0)


def dirty(rng: random.Random, options: Mapping[str, Any]) -> list[Guest]:
    """Pages are written, in all sorts of ways; which ones the monitor has noted, is asked."""
    world, base, offset = _begin(rng, options.get("kind", "64"), options)
    everyone = range(PAGES)

    def at(page: int) -> int:
        return base + page * PAGE + offset

    world.store(at(rng.randrange(PAGES)), rng.getrandbits(32))
    _ask(world, base, set(), "before the log began")
    _begin_log(world)
    _ask(world, base, set(), "before a write")
    first = rng.choice(everyone)
    for turn in range(1, options.get("rounds", 5) + 1):
        some = [first] if turn == 1 else rng.sample(everyone, rng.randrange(3, 12))
        for page in some:
            for _ in range(rng.randrange(1, 3)):
                world.store(at(page), rng.getrandbits(32))
        wanted = set(some)
        if turn > 1:
            wanted |= _across(world, base, rng.randrange(PAGES - 1), rng)
            page = rng.choice(everyone)
            _exchange(world, at(page), rng)
            wanted.add(page)
        if options.get("monitor") and turn > 1:
            page = rng.choice(everyone)
            _by_the_monitor(world, at(page))
            wanted.add(page)
        _sum(world, base, offset, everyone, f"all pages, after writes {turn}")
        _ask(world, base, wanted, f"after writes {turn}")
        _ask(world, base, set(), f"once more after writes {turn}")
        _sum(world, base, offset, everyone, f"all pages, read after {turn}")
        _ask(world, base, set(), f"after reads {turn}")
        page = rng.choice(some)
        world.store(at(page), rng.getrandbits(32))
        _ask(world, base, {page}, f"after another write {turn}")
    for page in rng.sample(everyone, PAGES):
        world.store(at(page), rng.getrandbits(32))
    _ask(world, base, set(everyone), "when all had been written")
    call(world, CALL_LOG, 0)
    world.save("to end the log", 0)
    for page in rng.sample(everyone, 6):
        world.store(at(page), rng.getrandbits(32))
    _ask(world, base, set(), "after the log ended")
    _sum(world, base, offset, everyone, "all pages, at the end")
    if options.get("again"):
        call(world, CALL_LOG, 1)
        world.save("to begin the log again", 0)
        some = rng.sample(everyone, 5)
        for page in some:
            world.store(at(page), rng.getrandbits(32))
        _ask(world, base, set(some), "in the second log")
    return [world.finish(bare=False, touches=(), holes=_may_fault(world, at(first), base))]


def give_back(rng: random.Random, options: Mapping[str, Any]) -> list[Guest]:
    """A page of RAM becomes a hole. Its neighbours stay; a guest that then comes to it is stopped."""
    guests = []
    for way in options.get("ways", ("read", "write", "first", "last")):
        world, base, offset = _begin(rng, options.get("kind", "64"), options)
        border = (base + PAGES * PAGE) & -_HOST_PAGE
        page = (border - base) // PAGE + {"first": 0, "last": -1}.get(way, rng.choice((-3, 2, 4)))
        there = [each for each in range(PAGES) if each != page]
        hole = base + page * PAGE
        log = options.get("log", "")
        if log == "before":
            _begin_log(world)
        _sum(world, base, offset, range(PAGES), "all pages, before one is given back")
        call(world, CALL_GIVE_BACK, hole)
        world.save(f"to give back {hole:#x}", 0)
        _sum(world, base, offset, there, "the other pages")
        if log == "after":
            _begin_log(world)
        written = rng.sample(there, 8)
        for each in written:
            world.store(base + each * PAGE + offset, rng.getrandbits(32))
        if page - 1 in there and page - 1 not in written:
            written.append(page - 1)  # first by its last byte
            byte, before = rng.getrandbits(8), world.memory.get(hole - 4)
            world.memory.put(hole - 4, before & 0xFFFFFF | byte << 24)
            world.asm(f"movb ${byte:#x}, {hole - 1:#x}")
        if log:
            _ask(world, base, set(written), "with a hole among them")
        for at in (hole - 4, hole + PAGE):
            world.asm(f"mov {at:#x}, %eax")
            world.save("the word beside the hole", world.memory.get(at))
        _sum(world, base, offset, there, "the other pages, after writes")
        before = sum(answer.nibbles for answer in world.asm.answers)
        for word in range(0, PAGE, 4):
            world.memory.put(hole + word, 0xFFFFFFFF)
        if way == "write":
            world.asm(f"movl ${rng.getrandbits(32):#x}, {hole + offset:#x}")
        world.asm(f"mov {hole + offset:#x}, %eax")
        world.save(f"{hole + offset:#x}, where it has no memory any more", 0xFFFFFFFF)
        holes = (hole + offset,)
        if log:
            holes = _may_fault(world, hole + offset, base)
        guests.append(world.finish(end=HOLE, bare=False, touches=(), holes=holes, sure_nibbles=before))
    return guests


def no_memory(rng: random.Random, options: Mapping[str, Any]) -> list[Guest]:
    """A guest begins its log, and its next write stops it; then another runs.

    Where the first nested fault is, is the processor's choice: it may be the guest's own page tables, when
    an accessed bit is set for the next instruction. So nothing behind the hypercall is expected.
    """
    kind = options.get("kind", "64")
    world, base, offset = _begin(rng, kind, options)
    at = base + rng.randrange(PAGES) * PAGE + offset
    _sum(world, base, offset, range(PAGES), "all pages")
    call(world, CALL_LOG, 1)
    world.asm.text(f"\tmovl ${rng.getrandbits(32):#x}, {at:#x}")
    end = world.finish(end=STOPPED, last_code=EXIT_NPF, bare=False, touches=(), holes=None)
    other, base, offset = _begin(rng, kind, options)
    _sum(other, base, offset, range(PAGES), "all pages of the other VM")
    return [end, other.finish(bare=False, touches=())]

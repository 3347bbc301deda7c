# SPDX-License-Identifier: BSD-3-Clause
"""Seeded guests for lab 3, shadow paging; lab 4 runs the same under nested paging.

Each makes its own page tables, of the kind that its option `kind` says: "32", "pae" or "64".
"""

from __future__ import annotations

import random
from typing import Any, Mapping

from .asm import Guest, Program
from .neighbours import isolation, two
from .paged import NX, PAGE, A, D, G, P, PS, U, W, World
from .tables import HIGH_BITS


def _offset(rng: random.Random, size: int = PAGE) -> int:
    """A place for a word in a page."""
    return rng.randrange(0, size, 4)


def walk(rng: random.Random, options: Mapping[str, Any]) -> list[Guest]:
    """Far pages, small and large: read, written, read through other names, executed; A and D."""
    world = World(rng, options.get("kind", "32"), pse=options.get("pse", True))
    small, large = options.get("pages", 16), options.get("large", 3)
    names = world.far(2 * small + large + 3)
    pages = []  # address, another, frame, what is read where
    for _ in range(small):
        gva, alias, frame = names.pop(), names.pop(), world.memory.frame()
        offset = _offset(rng)
        world.fill(frame, [offset])
        world.space.map(gva, frame, P | W)
        world.space.map(alias, frame, P)
        pages.append((gva, alias, frame, offset))
    size = world.kind.page(2)
    for _ in range(large if world.modes.pse else 0):
        gva, frame = names.pop() & -size, world.large_frame()
        offset = _offset(rng, size)
        world.fill(frame, [offset])
        world.space.map(gva, frame, P | W, level=2)
        pages.append((gva, frame, frame, offset))
    code = []
    for _ in range(3):
        gva, frame, offset = names.pop(), world.memory.frame(), _offset(rng) & ~7
        world.put_code(frame, offset, rng.getrandbits(32))
        world.space.map(gva, frame, P)
        code.append(gva + offset)
    world.begin()

    rng.shuffle(pages)
    for gva, _, _, offset in pages:
        world.read(gva + offset, f"the word at {gva + offset:#x}")
    for gva in code:
        world.call(gva, f"what the function at {gva:#x} returns")
    written = rng.sample(pages, len(pages) * 2 // 3)
    for gva, alias, _, _ in written:
        offset = _offset(rng)
        world.write(gva + offset)
        world.read(alias + offset, f"{alias + offset:#x}, another name of {gva + offset:#x}")
    for gva, alias, frame, offset in pages:
        level = 2 if alias == frame else 1
        at = world.space.entry(gva, level)
        world.look(at, A | D, f"accessed and dirty of {gva:#x}")
    return [world.finish()]


def tlb(rng: random.Random, options: Mapping[str, Any]) -> list[Guest]:
    """Tables change, and what tells a TLB so must work: INVLPG, MOV CR3, CR4.PGE."""
    world = World(rng, options.get("kind", "32"))
    memory, size = world.memory, world.kind.size
    other = world.new_space()
    spaces, rounds = (world.space, other), options.get("rounds", 6)
    gvas = world.far(8)
    frames = [memory.frame() for _ in range(24)]
    offset = _offset(rng)
    for frame in frames:
        world.fill(frame, [offset])
    for space in spaces:
        for gva in gvas:
            glob = G if gva in gvas[:2] and space is world.space else 0
            space.map(gva, rng.choice(frames), P | W | glob)
    world.begin()

    def name(gva: int, after: str) -> str:
        return f"{gva + offset:#x} after {after}"

    def change(space: Any, gva: int, bits: int = P | W) -> None:
        world.store(space.entry(gva), rng.choice(frames) | bits, size)

    for gva in gvas[2:]:
        world.read(gva + offset, name(gva, "paging was turned on"))
    for turn in range(rounds):
        gva = rng.choice(gvas[2:])
        change(world.space, gva)
        world.invlpg(gva + _offset(rng))
        world.read(gva + offset, name(gva, "INVLPG"))
        some = rng.sample(gvas[2:], 3)
        for gva in some:
            change(world.space, gva)
        world.switch(world.space)
        for gva in some:
            world.read(gva + offset, name(gva, "MOV CR3 with the same root"))
        # The other space changes while nobody looks.
        there = spaces[(turn + 1) % 2]
        some = rng.sample(gvas[2:], 3)
        for gva in some[:2]:
            change(there, gva)
        world.switch(there)
        for gva in some:
            world.read(gva + offset, name(gva, "MOV CR3 with another root"))
        # A whole table at once.
        gva, table = rng.choice(gvas[2:]), memory.frame()
        if turn < 2:
            entry = there.entry(gva, 2)
            world.store(table + world.kind.index(gva, 1) * size, rng.choice(frames) | P | W, size)
            world.store(entry, table | P | W | U, size)
            world.invlpg(gva)
            world.read(gva + offset, name(gva, "INVLPG, with another table"))
        # From absent to present nothing need be told.
        gva = rng.choice(gvas[2:])
        world.store(there.entry(gva), 0, size)
        world.invlpg(gva)
        change(there, gva)
        world.read(gva + offset, name(gva, "it became present"))
        # Dirty again.
        at = there.entry(gva)
        world.write(gva + offset, rng.getrandbits(32))
        world.look(at, A | D, f"accessed and dirty of {gva:#x} after a write")
        world.store(at, memory.get(at, size) & ~(A | D), size)
        world.invlpg(gva)
        world.read(gva + offset, name(gva, "its bits were cleared"))
        world.look(at, A | D, f"accessed and dirty of {gva:#x} after a read")
        world.write(gva + offset, rng.getrandbits(32))
        world.look(at, A | D, f"accessed and dirty of {gva:#x} after a second write")
    # Global pages.
    world.switch(spaces[0])
    world.toggle_global()
    for gva in gvas[:2]:
        world.read(gva + offset, name(gva, "CR4.PGE was toggled"))
    change(spaces[0], gvas[0], P | W | G)
    world.invlpg(gvas[0])
    world.read(gvas[0] + offset, name(gvas[0], "INVLPG of a global page"))
    change(spaces[0], gvas[1], P | W | G)
    world.toggle_global()
    world.read(gvas[1] + offset, name(gvas[1], "CR4.PGE was toggled again"))
    return [world.finish()]


def _bits_of(rng: random.Random, kind: str) -> int:
    bits = P | rng.choice((0, W)) | rng.choice((0, U))
    return bits | (NX if kind != "32" and rng.random() < 0.3 else 0)


def _page_for(world: World, bits: int, upper: int = P | W | U) -> int:
    """A page with an INT $0x80 and something to read; its address."""
    gva, frame, offset = world.far(1)[0], world.memory.frame(), _offset(world.rng)
    world.memory.put(frame + offset, 0x80CD | world.rng.getrandbits(16) << 16)
    world.space.map(gva, frame, bits, upper=upper)
    return gva + offset


def faults(rng: random.Random, options: Mapping[str, Any]) -> list[Guest]:
    """#PF: pages that are not there, or only to be read, or not to be executed; reserved bits."""
    kind = options.get("kind", "32")
    world = World(rng, kind, wp=True)
    memory, size = world.memory, world.kind.size
    cases = []
    ways = ("read", "write", "fetch")
    for way in ways:
        cases.append((_page_for(world, 0), way, "absent"))
        cases.append((_page_for(world, P), way, "read-only"))
        cases.append((_page_for(world, P | W), way, "writable"))
    gva = world.far(1)[0]
    cases += [(gva + _offset(rng), way, "without a table") for way in ways]
    if size == 8:
        for _ in range(2):
            cases.append((_page_for(world, P | W | NX), rng.choice(ways[:2]), "no-execute"))
            cases.append((_page_for(world, P | W | NX), "fetch", "no-execute"))
        cases.append((_page_for(world, P | W, P | W | U | NX), "fetch", "no-execute above"))
        for bit in HIGH_BITS:
            gva = _page_for(world, P | W)
            at = world.space.entry(gva)
            memory.put(at, memory.get(at, 8) | bit, 8)
            cases.append((gva, rng.choice(ways), f"with reserved bit {bit.bit_length() - 1}"))
        if kind == "pae":
            gva = _page_for(world, P | W)
            at, bit = world.space.entry(gva), rng.randrange(52, 63)
            memory.put(at, memory.get(at, 8) | 1 << bit, 8)
            cases.append((gva, "read", f"with reserved bit {bit}"))
    bit = 21 if size == 4 else rng.randrange(13, 21)
    gva = world.far(1)[0] & -world.kind.page(2)
    at = world.space.map(gva, world.large_frame(), P | W, level=2)
    memory.put(at, memory.get(at, size) | 1 << bit, size)
    cases.append((gva + _offset(rng), "read", f"large, with reserved bit {bit}"))
    world.begin(nx=size == 8)

    rng.shuffle(cases)
    for gva, way, what in cases:
        world.attempt(way, gva, f"{way} of a page {what}")
    # What was mended is no fault any more.
    for gva, way, what in rng.sample([c for c in cases if c[2] in ("absent", "read-only")], 4):
        bits = memory.get(world.space.entry(gva), size) | P | W
        world.store(world.space.entry(gva), bits, size)
        world.invlpg(gva)
        world.attempt(way, gva, f"{way} of the page after it was mended")
    return [world.finish(touches=())]


def rights(rng: random.Random, options: Mapping[str, Any]) -> list[Guest]:
    """Ring 0 and ring 3, read-only and supervisor's pages and tables, CR0.WP, NX, off and on."""
    kind = options.get("kind", "32")
    world = World(rng, kind)
    world.use_rings()
    pages = []
    for _ in range(options.get("pages", 10)):
        upper = _bits_of(rng, kind) if rng.random() < 0.5 else P | W | U
        pages.append(_page_for(world, _bits_of(rng, kind), upper))
    pages += [_page_for(world, P | U), _page_for(world, P | W | U), _page_for(world, P | W)]
    world.begin(nx=kind != "32")
    for turn in range(options.get("turns", 3)):
        world.set_wp(turn % 2 == 0)
        wp = f"WP={int(world.modes.wp)}"
        for gva in rng.sample(pages, len(pages)):
            user = rng.random() < 0.5
            ring = "ring 3" if user else "ring 0"
            # Both kinds of access to each, one after the other: neither may spoil the other.
            for way in rng.sample(("read", "write", "fetch"), 2):
                if way == "write":
                    gva = gva & -PAGE | (gva + 64) % PAGE  # leave the code alone
                world.attempt(way, gva, f"{way} of {gva:#x} in {ring}, {wp}", user=user)
                if way == "write":
                    gva = gva & -PAGE | (gva - 64) % PAGE
    # The supervisor writes where nobody may, then the user looks: WP=0 opens nothing to him.
    world.set_wp(False)
    gva = pages[-3] & -PAGE | (pages[-3] + 64) % PAGE
    for user, way in ((True, "read"), (False, "write"), (True, "write"), (True, "read")):
        world.attempt(way, gva, f"{way} in ring {3 * user} of a read-only page, WP=0", user=user)
    world.set_wp(True)
    world.attempt("write", gva, "write in ring 0 of the same page, WP=1")
    world.attempt("read", gva, "read in ring 3 of the same page, WP=1", user=True)
    return [world.finish(touches=())]


def supervisor(rng: random.Random, options: Mapping[str, Any]) -> list[Guest]:
    """SMEP and SMAP, switched on and off, and RFLAGS.AC."""
    world = World(rng, options.get("kind", "64"), wp=True)
    world.use_rings()
    pages = [_page_for(world, P | W | U), _page_for(world, P | U), _page_for(world, P | W)]
    world.begin()
    for _ in range(options.get("turns", 5)):
        world.set_supervisor(rng.random() < 0.6, rng.random() < 0.6)
        cr4 = f"SMEP={int(world.modes.smep)} SMAP={int(world.modes.smap)}"
        for gva in pages:
            way = rng.choice(("read", "fetch"))
            world.set_ac(rng.random() < 0.4)
            world.attempt(way, gva, f"{way} of {gva:#x}, {cr4} AC={int(world.modes.ac)}")
            world.set_ac(False)
    world.set_supervisor(True, True)
    world.attempt("fetch", pages[0], "fetch in ring 0 of a user's page, SMEP=1")
    world.attempt("read", pages[0], "read in ring 0 of a user's page, SMAP=1")
    world.attempt("fetch", pages[0], "fetch in ring 3", user=True)
    world.attempt("read", pages[0], "read in ring 3", user=True)
    return [world.finish(touches=())]


def unpaged(rng: random.Random, options: Mapping[str, Any]) -> list[Guest]:
    """CR0.PG on and off: without paging an address is a physical one, whatever was mapped there."""
    world = World(rng, options.get("kind", "32"))
    frames = [world.memory.frame() for _ in range(6)]
    offset = _offset(rng)
    for frame in frames:
        world.fill(frame, [offset])
    far = world.far(3)
    for gva, frame in zip(far, frames):
        world.space.map(gva, frame, P | W)
    # Two pages of low memory are something else with paging than without.
    swapped = (0x300000, 0x301000)
    for gva, frame in zip(swapped, frames[3:]):
        world.space.map(gva, frame, P | W)
        world.fill(gva, [offset])
    world.begin(on=False)
    for turn in range(options.get("turns", 4)):
        for at in swapped:
            world.asm(f"mov {at + offset:#x}, %eax")
            world.save(f"{at + offset:#x} without paging, {turn + 1}", world.memory.get(at + offset))
        world.paging_on()
        for gva in (*far, *swapped):
            world.read(gva + offset, f"{gva + offset:#x} with paging, {turn + 1}")
        world.write(rng.choice(swapped) + offset)
        world.paging_off()
        at = rng.choice(swapped) + offset
        world.store(at, rng.getrandbits(32))
        world.store(world.space.entry(far[0]), rng.choice(frames) | P | W, world.kind.size)
    return [world.finish()]


_FACTOR, _ADDEND = 25173, 13849  # of random numbers with 16 bits


def churn(rng: random.Random, options: Mapping[str, Any]) -> list[Guest]:
    """A table is rewritten thousands of times, a page looked at each time; a checksum of it all."""
    world = World(rng, options.get("kind", "32"))
    times, count = options.get("times", 600), 64
    gva, offset = world.far(1)[0] & -world.kind.page(2), _offset(rng)
    frames = [world.memory.frame() for _ in range(count)]
    for frame in frames:
        world.fill(frame, [offset])
    at = world.space.map(gva, frames[0], P | W)
    base, size = at & -PAGE, world.kind.size
    asm, memory, label = world.asm, world.memory, world.asm.new_label()
    world.begin()
    r = "r" if world.kind.long else "e"
    asm.data("\t.balign 4", "churned:", *(f"\t.long {frame | P | W:#x}" for frame in frames))
    seed = rng.getrandbits(16)
    # ESI: a random number, whose upper six bits pick the frame; EDI: which page; EBP: the sum.
    asm(f"mov ${seed}, %esi", f"mov ${times}, %ecx", "xor %ebp, %ebp", "xor %edi, %edi")
    asm.load(world.bx[1:], gva)
    asm.text(f"{label}:")
    asm(f"imul ${_FACTOR}, %esi, %esi", f"add ${_ADDEND}, %esi", "and $0xffff, %esi",
        "mov %esi, %eax", "shr $10, %eax",
        f"mov churned(,%{r}ax,4), %eax", f"mov %eax, {base:#x}(,%{r}di,{size})",
        "mov %edi, %eax", "shl $12, %eax", f"add {world.bx}, {world.ax}",
        f"invlpg (%{r}ax)", f"add {offset:#x}(%{r}ax), %ebp", "rol $5, %ebp",
        "add $7, %edi", f"and ${count - 1}, %edi", "dec %ecx", f"jnz {label}", times=times)  # fmt: skip
    total, number = 0, seed
    for _ in range(times):
        number = number * _FACTOR + _ADDEND & 0xFFFF
        total = total + memory.get(frames[number >> 10] + offset) & 0xFFFFFFFF
        total = (total << 5 | total >> 27) & 0xFFFFFFFF
    asm("mov %ebp, %eax")
    world.save(f"the sum over {times} changes of a table", total)
    return [world.finish(touches=())]


def spaces(rng: random.Random, options: Mapping[str, Any]) -> list[Guest]:
    """Several address spaces in turn, hundreds of times, none changed: a cache makes this cheap."""
    world = World(rng, options.get("kind", "32"))
    turns, count, pages = options.get("turns", 200), options.get("spaces", 4), options.get("pages", 12)
    all_spaces = [world.space] + [world.new_space() for _ in range(count - 1)]
    gvas, offset = world.far(pages), _offset(rng)
    for space in all_spaces:
        for gva in gvas:
            frame = world.memory.frame()
            world.fill(frame, [offset])
            space.map(gva, frame, P | W)
    world.begin()
    asm, label = world.asm, world.asm.new_label()
    asm(f"mov ${turns}, %ecx", "xor %ebp, %ebp")
    asm.text(f"{label}:")
    total = 0
    for space in all_spaces:
        asm(f"mov ${space.root:#x}, %eax", f"mov {world.ax}, %cr3", times=turns)
        for gva in gvas:
            move = "movabs" if world.kind.long else "mov"
            asm(f"{move} ${gva + offset:#x}, {world.bx}", f"add ({world.bx}), %ebp", "rol $3, %ebp",
                times=turns)
    asm("dec %ecx", f"jnz {label}", times=turns)
    for _ in range(turns):
        for space in all_spaces:
            for gva in gvas:
                frame = world.memory.get(space.entry(gva), world.kind.size) & ~0xFFF
                total = total + world.memory.get(frame + offset) & 0xFFFFFFFF
                total = (total << 3 | total >> 29) & 0xFFFFFFFF
    asm("mov %ebp, %eax")
    world.save(f"the sum over {turns} turns of {count} address spaces", total)
    return [world.finish(touches=tuple(gva + offset for gva in gvas))]


PROGRAMS: dict[str, Program] = {
    program.__name__: program
    for program in (
        *(walk, tlb, faults, rights, supervisor, unpaged, churn, spaces),
        *(two, isolation),
    )
}

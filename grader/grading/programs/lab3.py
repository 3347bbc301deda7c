# SPDX-License-Identifier: BSD-3-Clause
"""Seeded guests for lab 3, shadow paging; lab 4 runs the same under nested paging.

Each makes its own page tables, of the kind that its option `kind` says: "32", "pae" or "64".
"""

from __future__ import annotations

import random
from typing import Any, Mapping

from .asm import Guest, Program
from .lab3_cache import churn, spaces
from .lab3_rights import faults, rights, supervisor
from .lab3_neighbours import isolation, two
from .lab3_world import PAGE, A, D, G, P, PS, U, W, World, random_offset


def walk(rng: random.Random, options: Mapping[str, Any]) -> list[Guest]:
    """Far pages, small and large: read, written, read through other names, executed; A and D."""
    world = World(rng, options.get("kind", "32"), pse=options.get("pse", True))
    small, large = options.get("pages", 16), options.get("large", 3)
    names = world.far(2 * small + large + 3)
    pages = []  # address, another, frame, what is read where
    for _ in range(small):
        gva, alias, frame = names.pop(), names.pop(), world.memory.frame()
        offset = random_offset(rng)
        world.fill(frame, [offset])
        world.space.map(gva, frame, P | W)
        world.space.map(alias, frame, P)
        pages.append((gva, alias, frame, offset))
    size = world.kind.page(2)
    for _ in range(large if world.modes.pse else 0):
        gva, frame = names.pop() & -size, world.large_frame()
        offset = random_offset(rng, size)
        world.fill(frame, [offset])
        world.space.map(gva, frame, P | W, level=2)
        pages.append((gva, frame, frame, offset))
    code = []
    for _ in range(3):
        gva, frame, offset = names.pop(), world.memory.frame(), random_offset(rng) & ~7
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
        offset = random_offset(rng)
        world.write(gva + offset)
        world.read(alias + offset, f"{alias + offset:#x}, another name of {gva + offset:#x}")
    for gva, alias, frame, offset in pages:
        level = 2 if alias == frame else 1
        at = world.space.entry(gva, level)
        world.look(at, A | D, f"accessed and dirty of {gva:#x}")
        if level == 1:
            table = world.space.entry(gva, 2)
            world.look(table, A, f"accessed, of the table for {gva:#x}")
    return [world.finish()]


def tlb(rng: random.Random, options: Mapping[str, Any]) -> list[Guest]:
    """Tables change, and what tells a TLB so must work: INVLPG, MOV CR3, CR4.PGE."""
    world = World(rng, options.get("kind", "32"))
    memory, size = world.memory, world.kind.size
    other = world.new_space()
    spaces, rounds = (world.space, other), options.get("rounds", 6)
    gvas = world.far(8)
    frames = [memory.frame() for _ in range(24)]
    offset = random_offset(rng)
    for frame in frames:
        world.fill(frame, [offset])
    # A large page is one translation, wherever it is looked at.
    large = world.far(1)[0] & -world.kind.page(2)
    first, second = world.large_frame(), world.large_frame()
    places = sorted(rng.sample(range(0, world.kind.page(2), PAGE), 4))
    for frame in (first, second):
        world.fill(frame, places)
    for space in spaces:
        space.map(large, first, P | W, level=2)
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
        world.invlpg(gva + random_offset(rng))
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
    for place in places:
        what = f"{large + place:#x} in a large page"
        world.read(large + place, what, touch=place == places[0])
    world.store(world.space.entry(large, 2), second | P | W | PS, size)
    world.invlpg(large + places[1])
    for place in places:
        what = f"{large + place:#x} after INVLPG somewhere in its large page"
        world.read(large + place, what, touch=False)
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


def unpaged(rng: random.Random, options: Mapping[str, Any]) -> list[Guest]:
    """CR0.PG on and off: without paging an address is a physical one, whatever was mapped there."""
    world = World(rng, options.get("kind", "32"))
    frames = [world.memory.frame() for _ in range(6)]
    offset = random_offset(rng)
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
    for turn in range(options.get("rounds", 4)):
        for at in swapped:
            world.asm(f"mov {at + offset:#x}, %eax")
            world.save(f"{at + offset:#x} without paging, {turn + 1}", world.memory.get(at + offset))
        world.paging_on()
        if turn == 0:
            world.see_tables()
        for gva in (*far, *swapped):
            world.read(gva + offset, f"{gva + offset:#x} with paging, {turn + 1}")
        world.write(rng.choice(swapped) + offset)
        world.paging_off()
        at = rng.choice(swapped) + offset
        world.store(at, rng.getrandbits(32))
        world.store(world.space.entry(far[0]), rng.choice(frames) | P | W, world.kind.size)
    return [world.finish()]


PROGRAMS: dict[str, Program] = {
    program.__name__: program
    for program in (
        *(walk, tlb, faults, rights, supervisor, unpaged, churn, spaces),
        *(two, isolation),
    )
}

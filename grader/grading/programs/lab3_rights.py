# SPDX-License-Identifier: BSD-3-Clause
"""Seeded guests for lab 3 that do what they may not: page faults, rights, SMEP and SMAP."""

from __future__ import annotations

import random
from typing import Any, Mapping

from .asm import ADDRESS, Guest
from .lab3_world import NX, PAGE, P, U, W, World, random_offset
from .lab3_tables import A, HIGH_BITS, PS

_PWT, _PCD = 8, 16  # how the root is cached (APM vol. 2 §3.1.2)


def _bits_of(rng: random.Random, kind: str) -> int:
    bits = P | rng.choice((0, W)) | rng.choice((0, U))
    return bits | (NX if kind != "32" and rng.random() < 0.3 else 0)


def _page_for(world: World, bits: int, upper: int = P | W | U) -> int:
    """A page with an INT $0x80 and something to read; its address."""
    gva, frame, offset = world.far(1)[0], world.memory.frame(), random_offset(world.rng)
    world.memory.put(frame + offset, 0x80CD | world.rng.getrandbits(16) << 16)
    world.space.map(gva, frame, bits, upper=upper)
    return gva + offset


def _stopped_above(world: World) -> list[tuple[int, str, str]]:
    """Pages whose walk ends above the last level, at an entry with everything but a right to go on: it
    is absent, or has a reserved bit; and it is accessed already, as if a walk had come by."""
    kind, memory, rng = world.kind, world.memory, world.rng
    cases = []
    for level in range(2, 3 if kind.name == "pae" else kind.levels + 1):
        changes = [("absent", P, 0)]
        if kind.size == 8:
            changes.append(("reserved", 0, rng.choice(HIGH_BITS)))
        if level == 4:
            changes.append(("large", 0, PS))
        for what, clear, set_ in changes:
            gva = _page_for(world, P | W)
            while world.space.entry(gva, level) == world.space.entry(ADDRESS, level):
                gva = _page_for(world, P | W)
            at = world.space.entry(gva, level)
            memory.put(at, memory.get(at, kind.size) & ~clear | set_ | A, kind.size)
            ways = rng.sample(("read", "write", "fetch"), 2)
            cases += [(gva, way, f"whose entry of level {level} is {what}") for way in ways]
    return cases


def faults(rng: random.Random, options: Mapping[str, Any]) -> list[Guest]:
    """#PF: pages that are not there, or only to be read, or not to be executed; reserved bits."""
    kind = options.get("kind", "32")
    world = World(rng, kind, wp=True)
    world.root_bits = _PWT | _PCD
    memory, size = world.memory, world.kind.size
    cases = []
    ways = ("read", "write", "fetch")
    for way in ways:
        cases.append((_page_for(world, 0), way, "absent"))
        cases.append((_page_for(world, P), way, "read-only"))
        cases.append((_page_for(world, P | W), way, "writable"))
    gva = world.far(1)[0]
    cases += [(gva + random_offset(rng), way, "without a table") for way in ways]
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
    cases.append((gva + random_offset(rng), "read", f"large, with reserved bit {bit}"))
    cases += _stopped_above(world)
    world.begin(nx=size == 8)

    rng.shuffle(cases)
    for gva, way, what in cases:
        world.attempt(way, gva, f"{way} of a page {what}")
    # What was mended is no fault any more.
    for gva, way, what in cases:
        if what not in ("absent", "read-only"):
            continue
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
    for turn in range(options.get("rounds", 3)):
        world.set_wp(turn % 2 == 0)
        wp = f"WP={int(world.modes.wp)}"
        for gva in rng.sample(pages, len(pages)):
            # Both rings, one after the other: neither access may spoil the other.
            first = rng.random() < 0.5
            for user, way in zip((first, not first), rng.sample(("read", "write", "fetch"), 2)):
                # A write leaves the code alone.
                at = gva & -PAGE | (gva + 64) % PAGE if way == "write" else gva
                world.attempt(way, at, f"{way} of {at:#x} in ring {3 * user}, {wp}", user=user)
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
    for _ in range(options.get("rounds", 5)):
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
    # What the supervisor may write for CR0.WP is clear, he still may not execute.
    world.set_supervisor(True, False)
    world.set_wp(False)
    write = pages[1] & -PAGE | (pages[1] + 64) % PAGE
    world.attempt("write", write, "write in ring 0 of a user's read-only page, WP=0")
    world.attempt("fetch", pages[1], "fetch in ring 0 of the same page, SMEP=1")
    world.attempt("fetch", pages[1], "fetch in ring 3 of the same page", user=True)
    return [world.finish(touches=())]

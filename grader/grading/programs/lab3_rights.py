# SPDX-License-Identifier: BSD-3-Clause
"""Seeded guests for lab 3 that do what they may not: page faults, rights, SMEP and SMAP."""

from __future__ import annotations

import random
from typing import Any, Mapping

from .asm import Guest
from .paged import NX, PAGE, P, U, W, World, random_offset
from .tables import HIGH_BITS


def _bits_of(rng: random.Random, kind: str) -> int:
    bits = P | rng.choice((0, W)) | rng.choice((0, U))
    return bits | (NX if kind != "32" and rng.random() < 0.3 else 0)


def _page_for(world: World, bits: int, upper: int = P | W | U) -> int:
    """A page with an INT $0x80 and something to read; its address."""
    gva, frame, offset = world.far(1)[0], world.memory.frame(), random_offset(world.rng)
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
    for turn in range(options.get("rounds", 3)):
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
    return [world.finish(touches=())]

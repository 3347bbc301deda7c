# SPDX-License-Identifier: BSD-3-Clause
"""Seeded guests that run side by side: two alike, and some that look where they have no memory."""

from __future__ import annotations

import random
from typing import Any, Mapping

from .asm import HOLE, Guest
from .paged import PAGE, P, U, W, World

_CANARY = 0xCA9A0000


def two(rng: random.Random, options: Mapping[str, Any]) -> list[Guest]:
    """Two VMs whose tables are alike to the last address, with other contents, in turns."""
    same, guests = rng.getrandbits(64), []
    for _ in range(2):
        own = random.Random(rng.getrandbits(64))
        world = World(random.Random(same), options.get("kind", "32"))
        gvas = world.far(8)
        frames = [world.memory.frame() for _ in gvas]
        offset = world.rng.randrange(0, PAGE, 4)
        world.rng = own
        for gva, frame in zip(gvas, frames):
            world.fill(frame, [offset])
            world.space.map(gva, frame, P | W)
        world.begin()
        for turn in range(1, options.get("turns", 6) + 1):
            for gva in gvas:
                world.read(gva + offset, f"{gva + offset:#x} in turn {turn}")
                world.write(gva + offset)
            world.take_turns()
        guests.append(world.finish())
    return guests


def isolation(rng: random.Random, options: Mapping[str, Any]) -> list[Guest]:
    """Guests whose tables name memory beyond their own, and one that has canaries in all of its."""
    kind, mem = options.get("kind", "32"), options.get("mem", 64)
    guests = [_victim(rng, kind, mem)]
    for way in ("end", "read", "write", "table"):
        guests.append(_intruder(rng, kind, mem, way))
    return guests


def _victim(rng: random.Random, kind: str, mem: int) -> Guest:
    world = World(rng, kind, mem=mem)
    frames = [world.memory.frame() for _ in range(12)]
    for frame in frames:
        for offset in range(0, PAGE, 256):
            world.memory.put(frame + offset, _CANARY | rng.getrandbits(16))
    gvas = world.far(len(frames))
    for gva, frame in zip(gvas, frames):
        world.space.map(gva, frame, P | W)
    world.begin()
    for _ in range(6):
        world.take_turns()
    for gva in gvas:
        at = gva + rng.randrange(0, PAGE, 256)
        world.read(at, f"the canary at {at:#x}, after others have run")
    return world.finish()


def _intruder(rng: random.Random, kind: str, mem: int, way: str) -> Guest:
    """`way`: how it touches what is not its own."""
    world = World(rng, kind, mem=mem)
    ram_end = mem << 20
    # Where other VMs' memory is, or Casita's, for a monitor that takes it for the machine's.
    beyond = ram_end + (rng.randrange(0, 3 * ram_end) & -PAGE)
    gva, inside = world.far(2)
    offset = rng.randrange(0, PAGE, 4)
    world.space.map(inside, ram_end - PAGE, P | W)
    world.memory.put(ram_end - 4, rng.getrandbits(32))
    if way == "table":
        entry = world.space.entry(gva, 2)
        world.memory.put(entry, beyond | P | W | U, world.kind.size)
        hole = beyond + world.kind.index(gva, 1) * world.kind.size
    else:
        hole = (ram_end if way == "end" else beyond) + offset
        world.space.map(gva, hole - offset, P | W)
    world.begin()
    world.read(inside + PAGE - 4, "the last word of its memory")
    world.holes.append(hole)
    touches = (*world.touches, gva + offset)
    before = sum(answer.nibbles for answer in world.asm.answers)
    if way == "write":
        world.write(gva + offset)
    world.attempt("read", gva + offset, f"read of {hole:#x}, where it has no memory")
    world.take_turns()
    return world.finish(end=HOLE, bare=False, touches=touches, sure_nibbles=before)

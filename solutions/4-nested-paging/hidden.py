# SPDX-License-Identifier: BSD-3-Clause
"""Lab 4's hidden guests: memory beyond the first gigabyte."""

from __future__ import annotations

import random
from typing import Any, Mapping

from grading.programs.asm import ADDRESS, Guest, Program
from grading.programs.lab4_watched import CALL_DIRTY, CALL_LOG, call
from grading.programs.lab3_world import PAGE, P, W, World

_IMAGE_PAGES = 64
_BEFORE = 5  # pages before the one that is asked about
_UNIT = 1 << 20


def wide(rng: random.Random, options: Mapping[str, Any]) -> list[Guest]:
    """Pages all over its memory are read, written and watched, up to the last one."""
    mem = options["mem"]
    world = World(rng, options.get("kind", "64"), mem=mem)
    units = rng.sample(range(80, 1000), 8) + rng.sample(range(1026, mem - 2), 8)
    frames = [unit * _UNIT + rng.randrange(64, 192) * PAGE for unit in units]
    frames.append((mem << 20) - PAGE)
    rng.shuffle(frames)
    offset = rng.randrange(0, PAGE, 4)
    gvas = world.far(len(frames))
    for gva, frame in zip(gvas, frames):
        world.fill(frame, [offset])
        world.space.map(gva, frame, P | W)
    tables = list(world.space.tables)
    world.begin()

    def read_all(when: str) -> None:
        for gva, frame in zip(gvas, frames):
            world.read(gva + offset, f"{frame + offset:#x}, {when}")

    def ask(frame: int, written: int, when: str) -> None:
        call(world, CALL_DIRTY, frame - _BEFORE * PAGE)
        world.save(f"was {frame:#x} written, {when}", written << _BEFORE)

    read_all("at first")
    call(world, CALL_LOG, 1)
    world.save("to begin the log", 0)
    written = rng.sample(range(len(frames)), len(frames) * 2 // 3)
    for index in written:
        world.write(gvas[index] + offset)
    for index, frame in enumerate(frames):
        ask(frame, int(index in written), "at first")
    read_all("after the writes")
    again = rng.sample(written, 3)
    for index in again:
        world.write(gvas[index] + offset)
    for index, frame in enumerate(frames):
        ask(frame, int(index in again), "then")
    call(world, CALL_LOG, 0)
    world.save("to end the log", 0)
    for gva in gvas:
        world.write(gva + offset)
    read_all("at the end")
    own = [ADDRESS + page * PAGE for page in range(_IMAGE_PAGES)]
    holes = (frames[written[0]], *frames, *own, *tables)
    return [world.finish(bare=False, touches=(), holes=holes)]


PROGRAMS: dict[str, Program] = {"wide": wide}

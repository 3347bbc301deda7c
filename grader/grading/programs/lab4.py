# SPDX-License-Identifier: BSD-3-Clause
"""Seeded guests for lab 4, nested paging: those of lab 3; for large pages; for the log of writes."""

from __future__ import annotations

import math
import random
from typing import Any, Mapping

from . import lab3
from .asm import Guest, Program
from .lab3_world import LARGE, LARGE_END, PAGE, P, W, World
from .lab4_watched import dirty, give_back, no_memory


def sweep(rng: random.Random, options: Mapping[str, Any]) -> list[Guest]:
    """A word in each of thousands of pages, read in an order of no use to a cache: no exit."""
    world = World(rng, options.get("kind", "64"), pse=options.get("pse", True))
    pages = (LARGE_END - LARGE) // 4096
    step = rng.choice([n for n in range(pages // 4, pages // 2) if math.gcd(n, pages) == 1])
    offset, times = rng.randrange(0, 4096, 4), options.get("times", pages)
    factor, fill = rng.getrandbits(32) | 1, world.asm.new_label()
    world.begin(on=False)
    asm, r = world.asm, "r" if world.kind.long else "e"
    asm(f"mov ${LARGE + offset:#x}, %edi", f"mov ${pages}, %ecx", "xor %eax, %eax")
    asm.text(f"{fill}:")
    asm(f"mov %eax, (%{r}di)", f"add ${factor:#x}, %eax", "add $4096, %edi", "dec %ecx",
        f"jnz {fill}", times=pages)  # fmt: skip
    world.paging_on()
    start, label, there = rng.randrange(pages), asm.new_label(), asm.new_label()
    asm(f"mov ${start}, %esi", f"mov ${times}, %ecx", "xor %ebp, %ebp")
    asm.text(f"{label}:")
    asm("mov %esi, %eax", "shl $12, %eax", f"add {LARGE + offset:#x}(%{r}ax), %ebp", "rol $1, %ebp",
        f"add ${step}, %esi", f"cmp ${pages}, %esi", f"jb {there}", times=times)  # fmt: skip
    asm.text(f"\tsub ${pages}, %esi", f"{there}:")
    asm("dec %ecx", f"jnz {label}", times=times)
    total, page = 0, start
    for _ in range(times):
        total = total + page * factor & 0xFFFFFFFF
        total = (total << 1 | total >> 31) & 0xFFFFFFFF
        page += step
        if page >= pages:
            page -= pages
            asm.count += 1
    asm("mov %ebp, %eax")
    world.save(f"the sum over {times} pages", total)
    return [world.finish()]


_LOG, _WRITTEN, _WINDOW = 4, 5, 32  # hypercalls (src/vmm/hypercall.h), and the pages of an answer


def dirty_names(rng: random.Random, options: Mapping[str, Any]) -> list[Guest]:
    """Which pages were written: asked again and again, of pages that are written under two names."""
    world = World(rng, options.get("kind", "64"))
    asm = world.asm

    def call(number: int, argument: int) -> None:
        asm(f"mov ${number}, %eax", f"mov ${argument:#x}, %ebx", "vmmcall")

    pages = (LARGE_END - LARGE) // PAGE
    starts = [LARGE + n * PAGE for n in rng.sample(range(0, pages - _WINDOW, _WINDOW), 3)]
    places = [start + i * PAGE for start in starts for i in range(_WINDOW)]
    names = dict(zip(rng.sample(places, 24), world.far(24)))
    for place, gva in names.items():
        world.space.map(gva, place, P | W)
        world.fill(place, [0])
    world.begin()
    call(_LOG, 1)
    world.save("the result of hypercall 4", 0)
    written: set[int] = set()
    for number in range(1, options.get("rounds", 5) + 1):
        for place in rng.sample(places, rng.randrange(8, 40)):
            written.add(place)
            if place in names and rng.random() < 0.7:
                world.write(names[place] + 4 * rng.randrange(1, 1024))
            else:
                world.store(place + 4 * rng.randrange(1, 1024), rng.getrandbits(32))
        for place in rng.sample(sorted(names), 4):
            world.read(names[place], f"{names[place]:#x}, which is read only")
        for start in rng.sample(starts, rng.randrange(1, 4)):
            bits = sum(1 << i for i in range(_WINDOW) if start + i * PAGE in written)
            written -= {start + i * PAGE for i in range(_WINDOW)}
            call(_WRITTEN, start)
            world.save(f"the pages written from {start:#x} on, question {number}", bits)
    call(_WRITTEN, starts[0])
    call(_WRITTEN, starts[0])
    world.save(f"the pages written from {starts[0]:#x} on, asked twice", 0)
    call(_LOG, 0)
    world.save("the result of hypercall 4 at the end", 0)
    world.write(next(iter(names.values())) + 8)
    return [world.finish(bare=False, holes=None)]


PROGRAMS: dict[str, Program] = {**lab3.PROGRAMS, "sweep": sweep, "dirty-names": dirty_names,
                                "dirty": dirty, "give-back": give_back, "no-memory": no_memory}

# SPDX-License-Identifier: BSD-3-Clause
"""Seeded guests for lab 3 that change their tables, or go from one to another, all the time."""

from __future__ import annotations

import random
from typing import Any, Mapping

from .asm import Guest
from .paged import PAGE, P, W, World, random_offset

_FACTOR, _ADDEND = 25173, 13849  # of random numbers with 16 bits


def churn(rng: random.Random, options: Mapping[str, Any]) -> list[Guest]:
    """A table is rewritten thousands of times, a page looked at each time; a checksum of it all."""
    world = World(rng, options.get("kind", "32"))
    times, count = options.get("times", 600), 64
    gva, offset = world.far(1)[0] & -world.kind.page(2), random_offset(rng)
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
    turns, count, pages = options.get("times", 200), options.get("spaces", 4), options.get("pages", 12)
    all_spaces = [world.space] + [world.new_space() for _ in range(count - 1)]
    gvas, offset = world.far(pages), random_offset(rng)
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

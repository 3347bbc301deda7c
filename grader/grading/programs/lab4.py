# SPDX-License-Identifier: BSD-3-Clause
"""Seeded guests for lab 4, nested paging: those of lab 3, and one for large pages."""

from __future__ import annotations

import math
import random
from typing import Any, Mapping

from . import lab3
from .asm import Guest, Program
from .paged import LARGE, LARGE_END, World


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


PROGRAMS: dict[str, Program] = {**lab3.PROGRAMS, "sweep": sweep}

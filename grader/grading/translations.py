# SPDX-License-Identifier: BSD-3-Clause
"""May the processor still know what is no longer so? A TLB that keeps all that it is allowed to keep.

A processor may remember every translation that its page tables had at a VMRUN, tagged with the ASID, used
or not, until it is told to forget (APM vol. 2 §5.5, §15.16). Emulators forget far more, so a flush that is
missing harms nothing there. Here is the processor that forgets nothing else: at each VMRUN all translations
of the tables that the VMCB names (nCR3, or CR3 under shadow paging) are compared with those that were there
at earlier VMRUNs with the same ASID. What was there must lead to the same memory with no fewer rights;
a translation that is new, or that allows more, needs no flush (§5.5.2).

    since the last VMRUN with this ASID …   so
    -------------------------------------   -------------------------------------------------------
    a page is absent now, or elsewhere      the ASID must be another one, or TLB_CONTROL flush it
    it lost the right to write, or to …     the same
    it came, or has more rights             nothing
"""

from __future__ import annotations

from typing import Any, Mapping

from .tables import LARGE, PAGE, Leaf, Tables, read_tables
from .vmcb import Vmcb
from .watch import Check, Entry

_CR0_PG, _CR4_PAE, _EFER_LMA = 1 << 31, 1 << 5, 1 << 10
_FLUSH_ALL, _FLUSH_THIS, _FLUSH_LOCAL = 1, 3, 7
# Every VMRUN may have another ASID: what we do has an end.
_MOST_KNOWN = 1 << 19  # translations, of all ASIDs


class Translations(Check):
    """That processor."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__(options)
        self._known: dict[int, Tables] = {}

    def entering(self, entry: Entry) -> str:
        vmcb = entry.vmcb
        asid, flush = vmcb["asid"], vmcb["tlb_control"]
        if asid == 0:
            return "its ASID is 0, which is the host's (APM vol. 2 §15.5.1)."
        if flush not in (0, _FLUSH_ALL, _FLUSH_THIS, _FLUSH_LOCAL):
            return f"TLB_CONTROL is {flush}, which is reserved (APM vol. 2 §15.16.1)."
        if flush == _FLUSH_ALL:
            self._known.clear()
        elif flush:
            self._known.pop(asid, None)
        now = read_tables(entry.stub, *_root(vmcb))
        before = self._known.get(asid, Tables())
        if now.odd:
            return now.odd
        if stale := _stale(before, now):
            return f"{stale} ASID {asid} as before, TLB_CONTROL 0: nothing makes the processor forget it."
        self._known[asid] = now  # all that was known before is in it, or it would have been stale
        if sum(map(len, self._known.values())) > _MOST_KNOWN:
            return f"the processor may know more than {_MOST_KNOWN} translations: too many to look at."
        return ""


def _stale(before: Tables, now: Tables) -> str:
    """A translation that may be remembered, and is no longer true."""
    for page, leaf in before.small.items():
        found = now.at(page)
        if found is None or not found.grants(leaf):
            return _told(page << PAGE, leaf, found)
    for number, leaf in before.large.items():
        found = now.large.get(number)
        if found and found.grants(leaf):
            continue
        for index in range(512):
            part, found = leaf.part(index << PAGE), now.at(number << 9 | index)
            if found is None or not found.grants(part):
                return _told(number << LARGE | index << PAGE, part, found)
    return ""


def _told(address: int, before: Leaf, found: Leaf | None) -> str:
    return f"address {address:#x} was {before}; now it is {found or 'not mapped'}."


def _root(vmcb: Vmcb) -> tuple[int, int]:
    """Of which tables; their levels: none where the guest runs without any."""
    if vmcb.nested:
        return vmcb["ncr3"], 4
    if not vmcb["cr0"] & _CR0_PG:
        return 0, 0
    if vmcb["efer"] & _EFER_LMA:
        return vmcb["cr3"], 4
    return vmcb["cr3"], 3 if vmcb["cr4"] & _CR4_PAE else 0

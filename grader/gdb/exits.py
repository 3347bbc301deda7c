# SPDX-License-Identifier: BSD-3-Clause
"""The exits: the trace ring's last ones, the counters, and stopping at the next one of a kind.

src/vmm/trace.h says how the ring works. Its newest entry is no exit yet while the guest runs: then
`inside` holds the time of the entry into the guest, which is later than the last exit (`left`).
"""

from __future__ import annotations

from typing import Iterator

import gdb

import svm
import target
import vms
from target import Problem, Where


def kinds() -> list[str]:
    """The kinds of exit by the names that the table of exits has, in the enum's order."""
    listed = {n: name for n, name in target.enumerators("exit_kind").items()
              if not name.endswith("_COUNT")}
    if not listed:
        raise Problem("this Casita has no `enum exit_kind`: a stage before the exit switch")
    plain = [listed.get(n, f"EXIT_{n}").removeprefix("EXIT_").replace("_", " ").lower()
             for n in range(max(listed) + 1)]
    table = target.address_of("exit_kind_name::names")
    if not table:
        return plain
    pointers = [target.read_int(table + 8 * n, 8) for n in range(len(plain))]
    return [target.read_string(at) if at else name for at, name in zip(pointers, plain)]


def kind_number(word: str) -> int:
    """The kind that a person means: `port i/o`, `io`, `cr_write` and `EXIT_CR_WRITE` all will do."""
    wanted = word.strip().lower().replace("_", " ").removeprefix("exit ")
    constants = {name.removeprefix("EXIT_").replace("_", " ").lower(): n
                 for n, name in target.enumerators("exit_kind").items()}
    said = kinds()
    if wanted in said:
        return said.index(wanted)
    if wanted in constants and constants[wanted] < len(said):
        return constants[wanted]
    asked = word.strip() or "(none given)"
    raise Problem(f"there is no exit of kind {asked}; there are: {', '.join(said)}")


# ---- the ring ------------------------------------------------------------------------------------


def _trace(vm: vms.Vm) -> tuple[int, gdb.Value] | None:
    """Where a VM's trace is, and a copy of it; None if this Casita keeps none."""
    at = target.number(vm.value, "trace")
    return (at, target.struct_at("trace", at)) if at else None


def count(vm: vms.Vm) -> int | None:
    """All exits so far; None if nobody counts."""
    trace = _trace(vm)
    return None if trace is None else sum(_counters(trace[1], "count"))


def _counters(trace: gdb.Value, name: str) -> list[int]:
    array = trace[name]
    return [int(array[i]) for i in range(array.type.range()[1] + 1)]


def _last(at: int, trace: gdb.Value, wanted: int) -> Iterator[tuple[int, gdb.Value, int | None]]:
    """The last exits, oldest first: number, entry, ticks outside (None: it is not over)."""
    ring = trace["ring"]
    size = ring.type.range()[1] + 1
    entry_size = ring.type.target().sizeof
    ring_at = at + next(f.bitpos // 8 for f in trace.type.fields() if f.name == "ring")
    newest = (int(trace["last"]) - ring_at) // entry_size
    if not 0 <= newest < size:
        raise Problem("the trace ring makes no sense: its `last` points outside of it")
    total = sum(_counters(trace, "count"))
    entered = int(ring[newest]["inside"]) >= int(trace["left"])  # the guest has been entered since
    if entered:
        newest -= 1
    n = min(wanted, total, size - entered)
    for back in range(n - 1, -1, -1):
        entry = ring[(newest - back) % size]
        yield total - back, entry, int(entry["outside"]) if back or entered else None


def show(vm: vms.Vm, wanted: int) -> list[str]:
    """The lines of `casita exits N`."""
    trace = _trace(vm)
    if trace is None:
        return _only_last(vm)
    words = kinds()
    lines = [f"{vm.name}: {count(vm)} exits so far, the last at the bottom; "
             "ticks inside and outside the guest"]
    for number, entry, outside in _last(*trace, wanted):
        spent = f"{int(entry['inside'])} in, {'not yet' if outside is None else outside} out"
        lines.append(f"  #{number:<6} {_exit(entry['exit'], words)}; {spent}")
    if len(lines) == 1:
        lines.append("  none yet")
    return lines


def _exit(value: gdb.Value, words: list[str]) -> str:
    """One struct exit as a line."""
    code, info1, info2 = (target.number(value, name) for name in ("code", "info1", "info2"))
    kind = target.number(value, "kind")
    name = words[kind] if kind < len(words) else f"kind {kind}?"
    said = svm.exit_info(code, info1, info2)
    rip = target.number(value, "rip")
    line = f"{name:<11} {svm.exit_name(code)} ({code & 0xFFFFFFFF:#x}) rip {rip:#x}"
    line += f" info {info1:#x}, {info2:#x}"
    return f"{line}: {said}" if said else line


def _only_last(vm: vms.Vm) -> list[str]:
    """Without a trace there is the last exit: in struct vm, or else in the VMCB."""
    value = target.member(vm.value, "exit")
    why = (f"{vm.name}: no trace ring (an earlier stage, or built without TRACE); "
           "only the last exit is known")
    if value is not None and target.number(value, "rip"):
        return [why, "  " + _exit(value, kinds())]
    vmcb = vm.vmcb()
    code, info1, info2 = (svm.word(vmcb, at) for at in (0x70, 0x78, 0x80))
    said = svm.exit_info(code, info1, info2)
    rip = svm.word(vmcb, svm.SAVE_AT["rip"])
    return [why, f"  by the VMCB: {svm.exit_name(code)}, rip {rip:#x} {said}".rstrip()]


def show_counts(vm: vms.Vm) -> list[str]:
    """The lines of `casita exits counts`."""
    trace = _trace(vm)
    if trace is None:
        raise Problem(f"{vm.name}: no exits are counted (an earlier stage, or built without TRACE)")
    counts, outside = (_counters(trace[1], name) for name in ("count", "outside"))
    lines = [f"{vm.name}: exits", f"  {'kind':<12} {'count':>12} {'ticks outside':>16} {'each':>10}"]
    for name, number, ticks in zip(kinds(), counts, outside):
        if number:
            lines.append(f"  {name:<12} {number:>12} {ticks:>16} {ticks // number:>10}")
    spent = sum(ticks for ticks, number in zip(outside, counts) if number)
    return [*lines, f"  {'total':<12} {sum(counts):>12} {spent:>16}"]


# ---- stopping ------------------------------------------------------------------------------------


class ExitBreakpoint(gdb.Breakpoint):
    """Stops in exit_dispatch() when the exit is of one kind.

    The processor compares addresses only, so while the guest executes at the same virtual address the
    breakpoint strikes too: then we go on.
    """

    def __init__(self, kind: int) -> None:
        if not target.address_of("exit_dispatch"):
            raise Problem("this Casita has no exit_dispatch(): a stage before the exit switch")
        super().__init__("exit_dispatch", internal=False)
        self.kind = kind
        self._tables = target.address_of("boot_pml4")

    def stop(self) -> bool:
        """Is it the one? Asked at every exit, so what costs little is asked first."""
        try:
            frame = gdb.newest_frame()
            if int(frame.read_register("cr3")) != self._tables:
                return False
            if int(frame.read_var("exit").dereference()["kind"]) != self.kind:
                return False
            return target.where() is Where.CASITA
        except (gdb.error, ValueError, Problem) as error:
            print(f"casita: stopping, for this exit's kind cannot be told: {error}")
            return True

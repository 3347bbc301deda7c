# SPDX-License-Identifier: BSD-3-Clause
"""GDB's commands of `make gdb` (grader/gdb/), driven as a person would, on guests that stand still.

What they say of a stopped guest is held against what is known otherwise: the processor's own registers
against those that Casita kept, a walk's result against the bytes that must be there, and the walk in
Python against the one in src/x86/walk.c.
"""

from __future__ import annotations

import ctypes
import random
import re
import subprocess
import sys
import threading

from common import BUILD, ROOT
from .harness import Test, expect, expect_in, scratch, shell
from .pty_run import Terminal

_COMMANDS = ROOT / "grader" / "gdb"
_NUMBER = r"0x([0-9a-f]+)"


_one_machine = threading.Lock()  # each `make gdb` writes the same gdbinit


def _gdb(*commands: str, guest: str = "pagefault") -> list[str]:
    """What GDB says to each of these commands, on the machine of `make gdb`."""
    with _one_machine, Terminal(["make", "-s", "gdb", f"GUEST={guest}"]) as terminal:
        terminal.wait_for("waiting for GDB")
        terminal.wait_for("gdbinit")
        script = BUILD / "gdbinit"
        said = _batch(["-x", str(script)], [*commands, "kill"])
        terminal.wait_for_end()
    return said[: len(commands)]


def _batch(arguments: list[str], commands: list[str]) -> list[str]:
    """Run GDB; what comes before the first command is dropped."""
    words = [word for command in commands for word in ("-ex", r"echo \n=====\n", "-ex", command)]
    result = shell(["gdb", "-nx", "-batch", *arguments, *words])
    output = result.stdout
    expect("Fatal signal" not in output, "GDB itself came to grief", output)
    expect("Traceback" not in output and "Python Exception" not in output, "a traceback", output)
    return [part.strip("\n") for part in output.split("\n=====\n")[1:]]


def _find(pattern: str, seen: str) -> str:
    match = re.search(pattern, seen, re.MULTILINE)
    expect(match is not None, f"expected {pattern!r}", seen)
    assert match is not None
    return match[1]


def _waits() -> None:
    """make gdb waits, and GDB finds Casita's own functions in the machine."""
    *_, backtrace = _gdb("hbreak casita_main", "continue", "backtrace 1", guest="hello")
    expect_in("casita_main () at main.c", backtrace)


# ---- a guest that stands still -------------------------------------------------------------------


def _at_an_exit() -> None:
    """At an exit and then inside the guest: the same registers, found in two places."""
    said = _gdb(
        *("casita break-exit port i/o", "continue", "casita vms", "casita regs", "casita vmcb"),
        *("casita exits", "casita exits counts", "casita walk pc", "casita disas", "casita mem"),
        *("tbreak *exit->next_rip", "continue", "casita vms", "casita regs", "casita exits 1"),
        *("casita walk pc", "casita walk 0x8000000000000000", "casita walk 0x7ffffffff000"),
    )
    _, _, listed, kept, vmcb, last, counts, walked, code, memory = said[:10]
    _, _, inside, live, last_inside, walked_inside, odd, far = said[10:]

    expect(bool(re.search(r"-> 0 pagefault +running +64 MiB nested", listed)), "vms", listed)
    expect_in("executing Casita", listed)
    expect_in("executing the guest", inside)

    expect_in("in Casita, exit_dispatch()", kept)
    expect_in("inside the guest", live)
    for fact in ("long mode, 64-bit, CPL 0, paging on", "CR0     0x80000031: PE ET NE PG",
                 "CR4     0x20: PAE", "EFER    0x1500: LME LMA SVME", "64-bit, DPL 0, G, accessed"):
        expect_in(fact, kept)
    rip = int(_find(rf"^  RIP +{_NUMBER}", kept), 16)
    expect(int(_find(rf"^  RIP +{_NUMBER}", live), 16) == rip + 2, "OUT is two bytes long", live)
    expect(_without_rip(kept) == _without_rip(live), "OUT changed registers", f"{kept}\n{live}")

    _vmcb(vmcb, rip)
    line = last.splitlines()[-1]
    expect_in(f"VMEXIT_IOIO (0x7b) rip {rip:#x}", line)
    expect_in(f"OUT to port 0xe9, 1 byte, next RIP {rip + 2:#x}", line)
    expect_in("not yet out", line)
    over = "not yet" not in last_inside and line.split(";")[0] in last_inside
    expect(over, "the exit is over", last_inside)
    total = int(_find(r"^  total +(\d+)", counts))
    expect_in(f"#{total} ", line)
    rows = re.findall(r"^  (?!total)[a-z/ ]+? +(\d+) +\d+ +\d+$", counts, re.MULTILINE)
    expect(sum(map(int, rows)) == total, "the rows do not make the total", counts)

    gpa = int(_find(rf"=> GPA {_NUMBER}", walked), 16)
    expect(gpa == rip, "the guest maps its code where it is", walked)
    host = int(_find(rf"RAM at host {_NUMBER}, 64 MiB", memory), 16)
    expect_in(f"=> HPA {host + gpa:#x}", walked)
    for fact in ("4-level page tables", "PDE[16]", "P W U A D PS", "the tables agree"):
        expect_in(fact, walked)
    expect_in(f"=> GPA {rip + 2:#x}", walked_inside)
    expect_in("not canonical", odd)
    expect_in("is not present: #PF", far)
    expect(bool(re.search(rf"{rip:x}:  e6 e9 +out +%al,\$0xe9", code)), "the OUT that exited", code)


def _without_rip(registers: str) -> list[str]:
    return [line for line in registers.splitlines()[1:] if not line.startswith("  RIP")]


def _vmcb(seen: str, rip: int) -> None:
    """The fields of the VMCB, with what they mean."""
    for pattern in (
        r"00c intercepts1 .* CPUID .* IOIO MSR ", r"010 intercepts2 .* VMRUN VMMCALL ",
        r"008 exceptions .* #AC #MC", r"058 asid +0x0000000[1-9a-f]", r"070 exit_code .* VMEXIT_IOIO",
        r"060 vintr .*V_INTR_MASKING", r"090 np_control .* nested paging on", r"0a8 event_inj .* none",
        r"05c tlb_control +0x0[01]  ", r"410 cs +0008 base 0x0 ", rf"578 rip +{rip:#018x}",
    ):
        expect(bool(re.search(pattern, seen)), f"expected {pattern!r}", seen)


def _real_mode() -> None:
    """16-bit code without paging: at its first CPUID but one."""
    said = _gdb("casita break-exit cpuid", "continue", "continue", "casita regs", "casita walk pc",
                "casita disas", "casita walk 0xfee00000", guest="realmode")
    registers, walked, code, hole = said[3:]
    expect_in("real mode, 16-bit, CPL 0, paging off", registers)
    pc = _find(rf"^  RIP .*linear {_NUMBER}", registers)
    expect_in(f"=> GPA 0x{pc}", walked)
    expect(bool(re.search(rf"{pc}:  0f a2 +cpuid", code)), "the CPUID that exited", code)
    expect_in("a nested page fault: PDPTE[3] is not present", hole)
    expect_in("memory map: a hole", hole)


# ---- nothing to look at --------------------------------------------------------------------------

_ALL = ("vms", "regs", "vmcb", "exits", "exits counts", "walk 0", "translate 0", "mem", "disas")


def _sentences(said: list[str], what: str) -> None:
    expect(len(said) == len(_ALL), f"{what}: {len(said)} answers")
    for command, answer in zip(_ALL, said):
        one = answer.startswith("casita: ") and "\n" not in answer.strip()
        expect(one, f"{what}: `casita {command}` owes one sentence", answer)


def _too_early() -> None:
    """No machine, a machine at reset, a VM half made, a VM that is not there, no types: a sentence."""
    commands = [f"casita {command}" for command in _ALL]
    _sentences(_batch(["-ex", f"source {_COMMANDS}/load.py"], commands), "no machine")
    bare = scratch("gdb") / "casita.bare"
    shell(["objcopy", "--strip-debug", BUILD / "casita.elf64", bare])
    said = _gdb(
        *commands,
        *("break vcpu_create", "continue", "casita regs", "casita vmcb", "casita exits", "casita mem"),
        *("casita break-exit io", "continue", "casita regs nobody", "casita walk", "casita nonsense"),
        *("casita break-exit nonsense", "casita walk nothing"),
        *(f"file {bare}", *commands),
    )
    n = len(commands)
    _sentences(said[:n], "at reset")
    _, _, *half, memory, _, _, nobody, nowhere, nonsense, kind, nothing = said[n : n + 13]
    for answer in half:
        expect_in("pagefault has no virtual CPU yet", answer)
    expect_in("RAM at host", memory)
    expect_in("there is no VM nobody; there are: 0 pagefault", nobody)
    expect_in("say which address", nowhere)
    expect_in("no command `casita nonsense`", nonsense)
    expect_in("there is no exit of kind nonsense; there are: unknown, interrupt,", kind)
    expect_in("nothing is no address", nothing)
    _sentences(said[n + 14 :], "without debugging information")


# ---- two walkers ---------------------------------------------------------------------------------

_SHIM = """
#include "x86/walk.h"
unsigned char memory[16 * 4096];
static void *entry(void *unused, gpa_t at)
{
	(void)unused;
	return at.a + 8 <= sizeof(memory) ? memory + at.a : (void *)0;
}
int shim(const u64 *r, u64 gva, u64 *out)
{
	struct walk_regs regs = {.cr0 = r[0], .cr3 = r[1], .cr4 = r[2], .efer = r[3], .phys_bits = r[4]};
	struct walk_mem mem = {entry, (void *)0};
	struct walk walk = {.error = 0};
	int err = walk_guest(&regs, &mem, GVA(gva), WALK_PEEK, &walk);

	out[0] = walk.gpa.a;
	out[1] = walk.error;
	out[2] = walk.writable | walk.user << 1 | walk.nx << 2;
	return err;
}
"""
_MEMORY = 16 * 4096
_WALKS = 6000


def _entry(dice: random.Random) -> int:
    """A table entry that is more often right than chance would have it."""
    word = dice.randrange(20) << 12 | dice.getrandbits(12) | (dice.random() < 0.9)
    if dice.random() < 0.6:
        word &= ~0x80
    if dice.random() < 0.1:
        word = dice.getrandbits(22) << 21 | 0x81 | word & 0x7E
    word |= (dice.random() < 0.1) << 63
    return word | (dice.random() < 0.05) << dice.randrange(64)


def _two_walkers() -> None:
    """Random tables: grader/gdb/walk.py and src/x86/walk.c come to the same end."""
    folder = scratch("gdb")
    (folder / "shim.c").write_text(_SHIM)
    library = folder / "walk.so"
    built = shell(["gcc", "-shared", "-fPIC", "-O1", "-DSTAGE=10", "-DSOLVED=10", f"-I{ROOT}/src",
                   "-o", library, folder / "shim.c", ROOT / "src" / "x86" / "walk.c"])
    expect(built.returncode == 0, "walk.c does not build here", built.stdout)
    program = [sys.executable, "-c", _IN_A_PROCESS_OF_ITS_OWN, str(_COMMANDS), str(ROOT / "tests"),
               str(ROOT / "grader"), str(library)]
    result = subprocess.run(program, capture_output=True, text=True, check=False)
    expect(result.returncode == 0, "the walkers differ", result.stdout + result.stderr)


# grader/gdb's modules have plain names, so they are not imported into the process of all tests.
_IN_A_PROCESS_OF_ITS_OWN = """
import sys
sys.path[:0] = sys.argv[1:4]
from parts.gdb import compare_walks
compare_walks(sys.argv[4])
"""


def compare_walks(library: str) -> None:
    """Walk random tables both ways; raises AssertionError where they differ."""
    import walk  # type: ignore[import-not-found]  # grader/gdb/walk.py

    shim = ctypes.CDLL(library)
    memory = (ctypes.c_ubyte * _MEMORY).in_dll(shim, "memory")
    dice = random.Random(1)

    def read(at: int, size: int) -> int | None:
        return None if at + 8 > _MEMORY else int.from_bytes(bytes(memory[at : at + size]), "little")

    for number in range(_WALKS):
        if number % 20 == 0:
            small = dice.random() < 0.3
            width = 4 if small else 8
            for at in range(0, _MEMORY, width):
                word = _entry(dice) & (1 << 8 * width) - 1
                memory[at : at + width] = word.to_bytes(width, "little")
        kind = dice.choice(((0x10, 0), (0, 0)) if small else ((0x20, 0x500), (0x20, 0)))
        gva = dice.getrandbits(48)
        if kind[1]:
            gva |= 0xFFFF << 48 if gva >> 47 and dice.random() < 0.9 else 0
        else:
            gva &= 0xFFFFFFFF
        registers = {"CR0": 0x80000001, "CR3": dice.randrange(16) << 12, "CR4": kind[0],
                     "EFER": kind[1] | dice.choice((0, 0x800))}
        bits = dice.choice((36, 40, 48))
        out = (ctypes.c_uint64 * 3)()
        given = [registers[name] for name in ("CR0", "CR3", "CR4", "EFER")] + [bits]
        error = shim.shim((ctypes.c_uint64 * 5)(*given), ctypes.c_uint64(gva), out)
        found = walk.guest(read, gva, registers, bits)
        what = f"walk {number}: {registers} {gva:#x}: {error} {list(out)} {found}"
        _same(error, list(out), found, what)


def _same(error: int, out: list[int], found: object, what: str) -> None:
    """One walk's two ends: address and rights, or why it failed."""
    address, why = getattr(found, "address"), getattr(found, "why")
    if not error:
        anded, ored = getattr(found, "anded"), getattr(found, "ored")
        assert address == out[0] and out[2] == anded >> 1 & 3 | ored >> 63 << 2, what
        return
    assert address is None, what
    if error != -14:
        assert "no RAM" in why, what
    elif out[1] >> 31:
        assert "canonical" in why, what
    else:
        assert ("reserved" in why, "not present" in why) == (bool(out[1] & 8), not out[1]), what


def tests() -> list[Test]:
    """One test a situation."""
    return [
        Test("waits", _waits, weight=3),
        Test("at-an-exit", _at_an_exit, weight=6),
        Test("real-mode", _real_mode, weight=5),
        Test("too-early", _too_early, weight=6),
        Test("two-walkers", _two_walkers, weight=4),
    ]

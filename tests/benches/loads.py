# SPDX-License-Identifier: BSD-3-Clause
"""Work in Debian's Linux: programs started, files built, data compressed, memory mapped and unmapped.

guests/linux/loads.sh says what. Its results must be the same bare and in a VM in both paging modes: `make
check` sees to that with a small size, in seconds. Here it is the whole, some minutes for each mode.
"""

from __future__ import annotations

import re

import cpio
import linux
from common import BUILD, ROOT, CasitaError, scratch_directory
from .measured import MODES, Exits, bare, in_vm, print_exits, print_table

SMALL = "FORKS=100 FILES=24 MIB=1 STEPS=1500"
WHOLE = "FORKS=2000 FILES=200 MIB=64 STEPS=20000"
_MEM = 256
_PARTS = {
    "fork": "2,000 times fork and exec",
    "build": "200 files, built twice",
    "data": "64 MiB made",
    "gzip": "and compressed, and back",
    "churn": "20,000 steps of mmap churn",
}
_MARK = re.compile(r"^MARK (\S+) tsc=(\d+)\n", re.MULTILINE)


def _initramfs(size: str) -> bytes:
    programs = cpio.Archive()
    for name in ("mark", "churn"):
        programs.file(f"sbin/{name}", (BUILD / "linux" / name).read_bytes(), 0o755)
    programs.file("loads.sh", (ROOT / "guests" / "linux" / "loads.sh").read_bytes())
    commands = f"{size}\n. /loads.sh\nexit 0"
    return linux.with_commands(linux.initramfs().read_bytes(), commands, None) + programs.bytes()


def run(size: str, icount: bool) -> dict[str, str]:
    """What is said on the serial line, bare and in each mode."""
    kernel, words = linux.kernel(), linux.KERNEL_CMDLINE
    with scratch_directory() as scratch:
        initrd = scratch / "initramfs"
        initrd.write_bytes(_initramfs(size))
        said = {"bare": bare(kernel, words, initrd, _MEM, icount)[0]}
        for mode in MODES:
            said[mode] = in_vm(kernel, words, initrd, _MEM, mode, icount)
    return said


def results(text: str) -> str:
    """What must be the same everywhere."""
    match = re.search(r"^-- begin\n(.*)^-- end\n", text, re.MULTILINE | re.DOTALL)
    if not match:
        raise CasitaError(f"the work was not finished; it said: {text[-1500:]}")
    return _MARK.sub("", match[1])


def _millions(text: str) -> list[str]:
    marks = {match[1]: int(match[2]) for match in _MARK.finditer(text)}
    return [f"{(marks[f'{part}-end'] - marks[f'{part}-begin']) / 1e6:,.0f}" for part in _PARTS]


def report() -> None:
    """Each part in millions of instructions, and whether all had the same results."""
    said = run(WHOLE, True)
    columns = {name: _millions(text) for name, text in said.items()}
    rows = [[part, *(c[i] for c in columns.values())] for i, part in enumerate(_PARTS.values())]
    print_table("Work in Linux, millions of instructions", ["", *columns], rows)
    for name, text in said.items():
        if results(text) != results(said["bare"]):
            print(f"  {name}: OTHER RESULTS than bare:\n{results(text)}")
    print(f"  Its results{' (bare)' if len({*map(results, said.values())}) > 1 else ', all the same'}:")
    print("".join(f"    {line}\n" for line in results(said["bare"]).splitlines()), end="")
    print_exits("The same", {mode: Exits.parse(said[mode]) for mode in MODES})

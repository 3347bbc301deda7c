#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Make a disk image that boots a Multiboot 1 kernel with modules, for Bochs (or any PC).

QEMU's -kernel does this without a disk; Bochs has nothing like it. Here, all that a boot loader
has to think about is done beforehand: the kernel's ELF segments, the Multiboot information with its
strings, and the modules are put where they will lie in memory, just as QEMU lays them out (tables
behind the kernel's bss, then the modules, each on a page of its own). What is left for the program
in the boot sector, bootdisk.S, is to follow a plan: these sectors to that address.

    sector 0-3   bootdisk.S, assembled
    sector 4-63  the plan: magic, entry, address of the Multiboot information, number of chunks;
                 each chunk: address, first sector (0: zeroes), number of sectors
    sector 64-   the data, padded to whole cylinders, as Bochs wants it

As a program:

    bootdisk.py -o hd.img build/casita.elf --append 'words' --module 'guest.elf vm=a mem=16M'
"""
from __future__ import annotations

import argparse
import struct
import sys
from dataclasses import dataclass, field
from pathlib import Path

SECTOR = 512
PAGE = 4096
CYLINDER = 16 * 63 * SECTOR  # heads * sectors a track: the geometry that Bochs assumes

LOADER_SECTORS = 4
PLAN_SECTORS = 60
FIRST_DATA_SECTOR = LOADER_SECTORS + PLAN_SECTORS
PLAN_MAGIC = 0x74736143  # "Cast"

# A run of empty pages this long is worth a chunk of its own; shorter ones are stored.
ZERO_RUN = 16

MULTIBOOT_MAGIC = 0x1BADB002
INFO_CMDLINE, INFO_MODULES, INFO_LOADER_NAME = 0x4, 0x8, 0x200
INFO_SIZE = 88

DEFAULT_LOADER = Path(__file__).resolve().parent.parent / "build" / "bootdisk.bin"


class BootdiskError(Exception):
    """The image cannot be made; the text says why."""


@dataclass
class Memory:
    """What will lie in physical memory: pages that somebody wrote to, by page number."""

    pages: dict[int, bytearray] = field(default_factory=dict)

    def claim(self, address: int, size: int) -> None:
        """Make the bytes part of the image, zero unless something is put there."""
        for number in range(address // PAGE, -(-(address + size) // PAGE)):
            self.pages.setdefault(number, bytearray(PAGE))

    def put(self, address: int, data: bytes) -> None:
        """Put data at an address."""
        self.claim(address, len(data))
        at = 0
        while at < len(data):
            number, offset = divmod(address + at, PAGE)
            part = data[at:at + PAGE - offset]
            self.pages[number][offset:offset + len(part)] = part
            at += len(part)

    def runs(self) -> list[tuple[int, int, bool]]:
        """The pages as runs of neighbours: first page, number of pages, all zero?"""
        runs: list[tuple[int, int, bool]] = []
        empty = bytes(PAGE)
        for number in sorted(self.pages):
            zero = self.pages[number] == empty
            if runs and sum(runs[-1][:2]) == number and runs[-1][2] == zero:
                runs[-1] = (runs[-1][0], runs[-1][1] + 1, zero)
            else:
                runs.append((number, 1, zero))
        return merge_short_zero_runs(runs)


def merge_short_zero_runs(runs: list[tuple[int, int, bool]]) -> list[tuple[int, int, bool]]:
    """Treat short runs of zeroes as data, and join what are neighbours then."""
    merged: list[tuple[int, int, bool]] = []
    for first, count, zero in runs:
        zero = zero and count >= ZERO_RUN
        if merged and sum(merged[-1][:2]) == first and merged[-1][2] == zero:
            merged[-1] = (merged[-1][0], merged[-1][1] + count, zero)
        else:
            merged.append((first, count, zero))
    return merged


def has_multiboot_header(elf: bytes) -> bool:
    """Is there a Multiboot header where it must be, in the first 8 KiB on a multiple of 4?"""
    for at in range(0, min(len(elf), 8192) - 11, 4):
        magic, flags, checksum = struct.unpack_from("<III", elf, at)
        if magic == MULTIBOOT_MAGIC and (magic + flags + checksum) & 0xFFFFFFFF == 0:
            return True
    return False


def load_elf(name: str, elf: bytes, memory: Memory) -> tuple[int, int]:
    """Put the segments of a 32-bit ELF executable into memory.

    Returns the physical address of its entry and the end of its last segment, bss included.
    """
    if elf[:6] != b"\x7fELF\x01\x01":
        raise BootdiskError(f"{name}: not a 32-bit little-endian ELF file")
    if not has_multiboot_header(elf):
        raise BootdiskError(f"{name}: no Multiboot 1 header in its first 8 KiB")
    entry, phoff = struct.unpack_from("<II", elf, 24)
    phentsize, phnum = struct.unpack_from("<HH", elf, 42)
    physical_entry, end = entry, 0
    for i in range(phnum):
        kind, offset, vaddr, paddr, filesz, memsz = struct.unpack_from(
            "<6I", elf, phoff + i * phentsize)
        if kind != 1 or memsz == 0:  # PT_LOAD
            continue
        if offset + filesz > len(elf):
            raise BootdiskError(f"{name}: cut short: a segment reaches past the file's end")
        memory.claim(paddr, memsz)
        memory.put(paddr, elf[offset:offset + filesz])
        end = max(end, paddr + memsz)
        if vaddr <= entry < vaddr + memsz:
            physical_entry = entry - vaddr + paddr
    if end == 0:
        raise BootdiskError(f"{name}: nothing to load in it")
    return physical_entry, end


def page_up(address: int) -> int:
    """The address, rounded up to a page."""
    return -(-address // PAGE) * PAGE


def place_modules(at: int, cmdline: str, modules: list[tuple[bytes, str]],
                  memory: Memory) -> int:
    """Put the Multiboot information and the modules into memory from page address at on.

    bootdisk.S adds the memory sizes and the memory map. Returns the information's address.
    """
    strings = bytearray()
    base = at + INFO_SIZE + 16 * len(modules)

    def string(text: str) -> int:
        address = base + len(strings)
        strings.extend(text.encode() + b"\0")
        return address

    info = bytearray(INFO_SIZE)
    struct.pack_into("<I", info, 0, INFO_CMDLINE | INFO_MODULES | INFO_LOADER_NAME)
    struct.pack_into("<III", info, 16, string(cmdline), len(modules), at + INFO_SIZE)
    struct.pack_into("<I", info, 64, string("bootdisk"))

    addresses = [string(text) for _, text in modules]
    module_list = bytearray()
    end = page_up(base + len(strings))
    for (data, _), text in zip(modules, addresses):
        module_list += struct.pack("<4I", end, end + len(data), text, 0)
        memory.put(end, data)
        end = page_up(end + len(data))
    if end > 1 << 32:
        raise BootdiskError("kernel and modules do not fit below 4 GiB")
    memory.put(at, bytes(info + module_list + strings))
    return at


def make_image(loader: bytes, memory: Memory, entry: int, info: int) -> bytes:
    """Loader, plan and data, in whole cylinders."""
    if len(loader) != LOADER_SECTORS * SECTOR or loader[510:512] != b"\x55\xaa":
        raise BootdiskError("the loader is not what bootdisk.S assembles to")
    chunks = bytearray()
    data = bytearray()
    runs = memory.runs()
    for first, count, zero in runs:
        sector = 0 if zero else FIRST_DATA_SECTOR + len(data) // SECTOR
        chunks += struct.pack("<III", first * PAGE, sector, count * PAGE // SECTOR)
        if not zero:
            data += b"".join(memory.pages[n] for n in range(first, first + count))
    plan = struct.pack("<IIII", PLAN_MAGIC, entry, info, len(runs)) + chunks
    if len(plan) > PLAN_SECTORS * SECTOR:
        raise BootdiskError(f"too scattered: {len(runs)} pieces do not fit into the plan")
    image = loader + plan.ljust(PLAN_SECTORS * SECTOR, b"\0") + data
    return image.ljust(-(-len(image) // CYLINDER) * CYLINDER, b"\0")


def build_disk(out: Path, kernel: Path, append: str = "",
               modules: list[tuple[Path, str]] | None = None,
               loader: Path = DEFAULT_LOADER) -> None:
    """Write a bootable disk image.

    out:      the image
    kernel:   a Multiboot 1 kernel, ELF32: Casita, or a guest to be run bare
    append:   the kernel's command line; its file name is put in front, as QEMU does
    modules:  for each module, the file and the string that the kernel sees with it
    loader:   bootdisk.S, assembled

    Raises BootdiskError if that cannot be done, OSError if a file cannot be read or written.
    """
    memory = Memory()
    entry, end = load_elf(str(kernel), kernel.read_bytes(), memory)
    loaded = [(path.read_bytes(), text) for path, text in modules or []]
    cmdline = f"{kernel.name} {append}" if append else kernel.name
    info = place_modules(page_up(end), cmdline, loaded, memory)
    out.write_bytes(make_image(loader.read_bytes(), memory, entry, info))


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Make a disk image that boots a Multiboot kernel.")
    parser.add_argument("kernel", type=Path, help="a Multiboot 1 kernel, ELF32")
    parser.add_argument("-o", "--out", type=Path, required=True, help="the disk image")
    parser.add_argument("--append", default="", help="the kernel's command line")
    parser.add_argument("--module", action="append", default=[], metavar="'FILE WORDS…'",
                        help="a module and its words; may be repeated")
    parser.add_argument("--loader", type=Path, default=DEFAULT_LOADER,
                        help="bootdisk.S, assembled (default: %(default)s)")
    args = parser.parse_args()
    modules = [(Path(text.split()[0]), text) for text in args.module]
    try:
        build_disk(args.out, args.kernel, args.append, modules, args.loader)
    except (BootdiskError, OSError) as error:
        print(f"bootdisk.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: BSD-3-Clause
"""The machine, as these commands reach it: its physical memory, its processor, Casita's symbols.

While a guest runs, the processor that GDB sees is the guest's, page tables and all: an address of
Casita's would be looked up there. So everything here reads *physical* memory, which QEMU's stub
offers, and Casita maps physical memory one to one. Symbols and types are looked up when a command
runs: what an early stage of the course does not have yet is a Problem with a sentence.
"""

from __future__ import annotations

import re
from enum import Enum

import gdb


class Problem(Exception):
    """A command cannot do what it was asked; the text is one sentence that says why."""


# ---- physical memory -----------------------------------------------------------------------------


def _remote() -> gdb.RemoteTargetConnection:
    """The connection to QEMU's stub."""
    inferior = gdb.selected_inferior()
    if not isinstance(inferior.connection, gdb.RemoteTargetConnection) or not inferior.threads():
        raise Problem("GDB is not connected to a machine: start one with `make gdb`, then use its "
                      "gdbinit")
    return inferior.connection


def check_connected() -> None:
    """Without a machine, and Casita's symbols, there is nothing to look at."""
    _remote()
    if not gdb.objfiles():
        raise Problem("GDB does not know Casita's symbols: use the gdbinit that `make gdb` writes")


def check_stopped() -> None:
    """Commands can look only into a machine that stands still."""
    thread = gdb.selected_thread()
    if thread is not None and thread.is_running():
        raise Problem("the machine is running: stop it first, with Ctrl-C or `interrupt`")


def read(address: int, size: int) -> bytes:
    """Physical memory of the machine."""
    if size == 0:
        return b""
    remote = _remote()
    if remote.send_packet("Qqemu.PhyMemMode:1") != b"OK":
        raise Problem("the machine does not let GDB read physical memory: is it QEMU, started by "
                      "`make gdb`?")
    try:
        return bytes(gdb.selected_inferior().read_memory(address, size))
    except gdb.MemoryError:
        raise Problem(f"the machine has no memory at {address:#x}") from None
    finally:
        remote.send_packet("Qqemu.PhyMemMode:0")


def read_int(address: int, size: int) -> int:
    """A number in physical memory."""
    return int.from_bytes(read(address, size), "little")


def read_string(address: int) -> str:
    """A C string in physical memory, of at most 64 bytes."""
    return text(read(address, 64))


def text(data: bytes) -> str:
    """A C string in a buffer."""
    return data.split(b"\0")[0].decode(errors="replace")


# ---- symbols and types ---------------------------------------------------------------------------


def address_of(symbol: str, file: str = "") -> int | None:
    """Where a function or variable is; None if this Casita has none of that name."""
    try:
        return int(gdb.parse_and_eval(f"&'{file}'::{symbol}" if file else f"&{symbol}"))
    except gdb.error:
        return None


def struct_type(name: str) -> gdb.Type:
    """`struct name`, as this Casita declares it."""
    try:
        found = gdb.lookup_type(f"struct {name}")
        found.fields()
        if found.sizeof:
            return found
    except (gdb.error, TypeError):
        pass
    raise Problem(f"this Casita has no struct {name} (an earlier stage, or built without it)")


def struct_at(name: str, address: int) -> gdb.Value:
    """A copy of the structure at a physical address."""
    kind = struct_type(name)
    return gdb.Value(read(address, kind.sizeof), kind)


def member(value: gdb.Value, path: str) -> gdb.Value | None:
    """value.a.b for the path "a.b"; None if a structure has no such member at this stage."""
    for name in path.split("."):
        try:
            value = value[name]
        except (gdb.error, KeyError):
            return None
    return value


def number(value: gdb.Value, path: str, default: int = 0) -> int:
    """member() as a number."""
    found = member(value, path)
    return default if found is None else int(found)


def enumerators(name: str) -> dict[int, str]:
    """The names of `enum name`; empty if there is no such enum."""
    try:
        return {field.enumval: field.name for field in gdb.lookup_type(f"enum {name}").fields()}
    except gdb.error:
        return {}


def symbol_at(address: int) -> str:
    """What Casita calls the thing at this address, or the address itself."""
    if not address:
        return "nobody"
    said = gdb.execute(f"info symbol {address:#x}", to_string=True)
    return said.split(" in section")[0] if " in section" in said else f"{address:#x}"


# ---- the processor -------------------------------------------------------------------------------


class Where(Enum):
    """What the processor is executing."""

    BOOT = "the machine has not come to Casita's 64-bit code, or is not set up yet"
    CASITA = "the processor is executing Casita"
    GUEST = "the processor is executing the guest"


_SVME = 1 << 12


def monitor_registers() -> str:
    """All registers, hidden parts included, as QEMU's monitor prints them."""
    _remote()
    try:
        return str(gdb.execute("monitor info registers", to_string=True))
    except gdb.error:
        raise Problem("the machine does not tell its registers: is it QEMU, started by "
                      "`make gdb`?") from None


def where(registers: str | None = None) -> Where:
    """Who is executing? Casita has its own page tables and GDT; a guest cannot run without SVME."""
    said = registers or monitor_registers()
    cr3, efer = (_register(said, name) for name in ("CR3", "EFER"))
    match = re.search(r"^GDT= +([0-9a-f]+)", said, re.MULTILINE)
    gdt = int(match[1], 16) if match else 0
    if cr3 == address_of("boot_pml4") and gdt == (address_of("host_gdt") or gdt):
        return Where.CASITA
    return Where.GUEST if efer & _SVME else Where.BOOT


def _register(said: str, name: str) -> int:
    match = re.search(rf"\b{name} *=([0-9a-f]+)", said)
    return int(match[1], 16) if match else 0

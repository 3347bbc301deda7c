# SPDX-License-Identifier: BSD-3-Clause
"""The subcommands of `casita`: what each takes, and who answers it.

Whatever goes wrong in one is a sentence to the person at the keyboard, never a traceback.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from typing import Callable

import gdb

import exits
import guestmem
import names
import registers
import svm
import target
import vms
from target import Problem, Where

Lines = list[str]


def _one(words: list[str], what: str = "VM") -> str:
    """At most one argument."""
    if len(words) > 1:
        raise Problem(f"too many words: {' '.join(words[1:])}; one {what} at a time")
    return words[0] if words else ""


def _vms(words: list[str]) -> Lines:
    """vms: the VMs, their state, memory, exits so far; -> has the processor"""
    if words:
        raise Problem("`casita vms` takes no arguments")
    listed, now = vms.every(), vms.running()
    lines = [f"     # {'name':<15} {'state':<22} {'memory':>9} {'paging':<8} {'exits':>10}"]
    for vm in listed:
        mark = "->" if now and target.number(vm.value, "vcpu") == now else "  "
        counted = exits.count(vm)
        ram = target.member(vm.value, "memory.ram_size")
        memory = "-" if ram is None else names.size(int(ram))
        lines.append(f"  {mark} {vm.number} {vm.name:<15} {vm.state:<22} {memory:>9} "
                     f"{vm.paging or '-':<8} {'-' if counted is None else counted:>10}")
        if reason := target.member(vm.value, "reason"):
            said = target.text(bytes(int(reason[i]) & 0xFF for i in range(reason.type.sizeof)))
            lines += [f"       {said}"] if said else []
    return [*lines, f"  {target.where().value}"]


def _regs(words: list[str]) -> Lines:
    """regs [VM]: the guest's registers, decoded"""
    return registers.show(vms.choose(_one(words)))


def _vmcb(words: list[str]) -> Lines:
    """vmcb [VM]: every field of the VMCB, with its meaning"""
    vm = vms.choose(_one(words))
    vmcb = vm.vmcb()
    inside = target.where() is Where.GUEST and vms.running() in (0, vm.vcpu_address())
    stale = " (the guest is running: exit and save area are as VMRUN found them)" if inside else ""
    lines = [f"{vm.name}: VMCB at {vm.vmcb_address():#x}{stale}", " control area"]
    for offset, size, name, meaning in svm.CONTROL:
        value = svm.word(vmcb, offset, size)
        lines.append(_field(offset, size, name, value, meaning(value)))
        if name == "exit_info2":
            infos = [svm.word(vmcb, at) for at in (0x70, 0x78, 0x80)]
            said = svm.exit_info(*infos)
            lines += [f"{'':>33}{said}"] if said else []
    lines.append(" save area")
    for name, offset in svm.SEGMENT_AT.items():
        found = svm.segment(vmcb, name)
        told = found.place() if name in ("GDTR", "IDTR") else found.line()
        lines.append(f"  {offset:03x} {name.lower():<15} {told}")
    for offset, size, name, meaning in svm.SAVE:
        value = svm.word(vmcb, offset, size)
        lines.append(_field(offset, size, name, value, meaning(value)))
    return lines


def _field(offset: int, size: int, name: str, value: int, meaning: str) -> str:
    return f"  {offset:03x} {name:<15} {value:#0{size * 2 + 2}x}  {meaning}".rstrip()


def _exits(words: list[str]) -> Lines:
    """exits [N] [VM]: the last N exits (16); exits counts [VM]: how many of each kind"""
    if words and words[0] == "counts":
        return exits.show_counts(vms.choose(_one(words[1:])))
    wanted = 16
    if words and words[0].isdigit():
        wanted, words = int(words[0]), words[1:]
    return exits.show(vms.choose(_one(words)), wanted)


def _address(word: str, vm: vms.Vm) -> int:
    """An address: a number, an expression of GDB's, or a register of the guest's by its name."""
    if word.upper() == "PC":
        return registers.of(vm).pc
    if word.upper() in {*names.GPRS, "RIP", "CR2", "CR3"}:
        return registers.of(vm)[word.upper()]
    try:
        return int(gdb.parse_and_eval(word)) & (1 << 64) - 1
    except gdb.error as error:
        raise Problem(f"{word} is no address: {error}") from None


def _walk(words: list[str]) -> Lines:
    """walk ADDRESS [VM]: a guest virtual address through all page tables; also pc, rsp, cr2, …"""
    if not words:
        raise Problem("say which address: casita walk 0x100000, or casita walk rip")
    vm = vms.choose(_one(words[1:]))
    return guestmem.show_walk(vm, _address(words[0], vm))


def _translate(words: list[str]) -> Lines:
    """translate ADDRESS [VM]: the same in one line"""
    if not words:
        raise Problem("say which address: casita translate 0x100000")
    vm = vms.choose(_one(words[1:]))
    return [guestmem.translate(vm, _address(words[0], vm))]


def _mem(words: list[str]) -> Lines:
    """mem [VM]: the VM's physical memory: RAM, devices, holes"""
    return guestmem.show_map(vms.choose(_one(words)))


_CODE_BYTES, _INSTRUCTIONS = 64, 8


def _disas(words: list[str]) -> Lines:
    """disas [VM]: the guest's code at RIP, as the mode it is in reads it"""
    vm = vms.choose(_one(words))
    cpu = registers.of(vm)
    code = guestmem.read_virtual(vm, cpu.pc, _CODE_BYTES, cpu)
    machine = "i386:x86-64" if "64-bit" in cpu.mode else "i386"
    machine = "i8086" if "16-bit" in cpu.mode or "8086" in cpu.mode else machine
    return [f"{vm.name}: {cpu.mode}, at {cpu.pc:#x}", *_objdump(code, cpu.pc, machine)]


def _objdump(code: bytes, address: int, machine: str) -> Lines:
    """By binutils: GDB would have to be told that the whole machine is of another architecture."""
    program = shutil.which("x86_64-linux-gnu-objdump") or shutil.which("objdump")
    if not program:
        raise Problem("objdump is not installed: run `make setup`")
    with tempfile.NamedTemporaryFile() as file:
        file.write(code)
        file.flush()
        result = subprocess.run(
            [program, "-D", "-b", "binary", "-m", machine, f"--adjust-vma={address:#x}", file.name],
            capture_output=True, text=True, check=False)
    lines = [line for line in result.stdout.splitlines() if ":\t" in line]
    # an instruction of more than seven bytes takes two lines, the second without text
    told = [line.rstrip() for line in lines if line.count("\t") > 1]
    if not told:
        raise Problem(f"objdump cannot read the code at {address:#x}: {result.stderr.strip()}")
    return ["  " + line.strip().replace("\t", "  ") for line in told[:_INSTRUCTIONS]]


def _break_exit(words: list[str]) -> Lines:
    """break-exit KIND: stop at the next exits of a kind, such as `cpuid`, `port i/o`, `cr write`"""
    number = exits.kind_number(" ".join(words))
    breakpoint_ = exits.ExitBreakpoint(number)
    kind = exits.kinds()[number]
    return [f"will stop at each exit of kind {kind}; `delete {breakpoint_.number}` ends that"]


def _help(_words: list[str]) -> Lines:
    """help: this list"""
    lines = ["casita: commands that know Casita",
             "  (VM: a name, a number, or an expression of GDB's; without it: the one that runs)"]
    for run in _COMMANDS.values():
        usage, _, what = (run.__doc__ or "").partition(": ")
        lines.append(f"  casita {usage:<24} {what}")
    return lines


_COMMANDS: dict[str, Callable[[list[str]], Lines]] = {
    "vms": _vms,
    "regs": _regs,
    "vmcb": _vmcb,
    "exits": _exits,
    "walk": _walk,
    "translate": _translate,
    "mem": _mem,
    "disas": _disas,
    "break-exit": _break_exit,
    "help": _help,
}


# ---- to GDB --------------------------------------------------------------------------------------


class _Command(gdb.Command):
    """One subcommand."""

    def __init__(self, name: str, run: Callable[[list[str]], Lines]) -> None:
        self.__doc__ = f"casita {run.__doc__}."
        super().__init__(f"casita {name}", gdb.COMMAND_DATA)
        self._name, self._run = name, run

    def invoke(self, argument: str, from_tty: bool) -> None:
        """Called by GDB."""
        try:
            target.check_stopped()
            for line in self._run(gdb.string_to_argv(argument)):
                print(line)
        except Problem as problem:
            raise gdb.GdbError(f"casita: {problem}") from None
        except gdb.MemoryError as error:
            raise gdb.GdbError(f"casita: {error}") from None
        except Exception as error:  # pylint: disable=broad-except
            raise gdb.GdbError(
                f"casita {self._name} cannot make sense of what it found "
                f"({type(error).__name__}: {error})"
            ) from None

    def complete(self, text: str, word: str) -> list[str]:
        """The TAB key: kinds of exits, or names of VMs."""
        try:
            there = exits.kinds() if self._name == "break-exit" else [vm.name for vm in vms.every()]
        except (Problem, gdb.error):
            return []
        return [name[len(text) - len(word):] for name in there if name.startswith(text)]


class _Prefix(gdb.Command):
    """Commands that know Casita: its VMs, VMCBs, exits, page tables. `casita help` lists them."""

    def __init__(self) -> None:
        super().__init__("casita", gdb.COMMAND_DATA, prefix=True)

    def invoke(self, argument: str, from_tty: bool) -> None:
        """`casita` alone, or with a word that is none of ours."""
        if argument:
            raise gdb.GdbError(f"casita: there is no command `casita {argument}`; see `casita help`")
        print("\n".join(_help([])))


def register() -> None:
    """Make the commands."""
    gdb.execute("set max-value-size unlimited")  # a struct vm has a table of all ports in it
    _Prefix()
    for name, run in _COMMANDS.items():
        _Command(name, run)

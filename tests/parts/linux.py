# SPDX-License-Identifier: BSD-3-Clause
"""Debian's Linux in a VM: boots, answers, keeps time, and says how it ended, in both engines."""

from __future__ import annotations

import re
from functools import partial

import linux
from benches import loads
from common import BUILD, scratch_directory
from engines import Machine, Module, boot
from .harness import BACKSTOP, Failure, Test, expect, expect_in, make_run

_SEQ_MD5 = "dea9193b768319cbb4ff1a137ac03113"  # of seq 1 100000

# One boot answers many questions. A line of `-- name` goes before each answer.
_QUESTIONS = {
    "kernel": "uname -sm",
    "user": "id -u; tty",
    "memory": "grep MemTotal /proc/meminfo",
    "interrupts": "cat /proc/interrupts",
    "processor": "grep -E '^(vendor_id|flags)' /proc/cpuinfo",
    "kernel-log": "dmesg | grep -E 'BUG|Firmware Bug|Oops|Call Trace|unchecked MSR|unstable|timed out|spurious'",
    "files": "seq 1 100000 > /tmp/f; md5sum < /tmp/f; wc -c < /tmp/f",
    "arithmetic": "echo $((6 * 7)); echo 'scale=20; 2/3' | bc",
    "processes": "for i in 1 2 3 4; do (sleep 0.1; echo $i) & done; wait; seq 1 9 | sort -nr | head -n 1",
    "time": "a=$(date +%s); sleep 5; b=$(date +%s); echo slept $((b - a))",
}


def _answers(engine: str) -> dict[str, str]:
    commands = "; ".join(f"echo '-- {name}'; {ask}" for name, ask in _QUESTIONS.items())
    run = make_run(ENGINE=engine, RUN=f"{commands}; echo '-- end'; exit 0")
    expect(run.stdout.rstrip().endswith("guest exit status 0"), "no good end", run.stdout)
    expect(run.returncode == 0, f"make's status is {run.returncode}", run.stdout)
    parts = re.split(r"^-- ([\w-]+)\n", run.stdout, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2]))


def _boot(engine: str) -> None:
    seen = _answers(engine)
    if not {*_QUESTIONS, "end"} <= seen.keys():
        raise Failure(f"no answer to {sorted(_QUESTIONS.keys() - seen.keys())}; seen: {seen}")
    expect(seen["kernel"] == "Linux x86_64\n", "kernel", seen["kernel"])
    expect(seen["user"] == "0\n/dev/ttyS0\n", "user and terminal", seen["user"])
    memory = int(re.findall(r"\d+", seen["memory"])[0])
    expect(200_000 < memory < 256 * 1024, "memory of a VM with 256M", seen["memory"])
    for line in (r"^ *0: +[1-9]\d* +XT-PIC +timer$", r"^ *4: +[1-9]\d* +XT-PIC +ttyS0$"):
        expect(bool(re.search(line, seen["interrupts"], re.MULTILINE)), line, seen["interrupts"])
    expect_in("AuthenticAMD", seen["processor"])
    expect_in(" hypervisor", seen["processor"])
    expect(" svm" not in seen["processor"], "the guest believes that it has SVM", seen["processor"])
    expect(not seen["kernel-log"], "Linux complains", seen["kernel-log"])
    expect(seen["files"] == f"{_SEQ_MD5}  -\n588895\n", "a file of 100000 lines", seen["files"])
    expect(seen["arithmetic"] == "42\n.66666666666666666666\n", "sums", seen["arithmetic"])
    expect(sorted(seen["processes"].split()) == ["1", "2", "3", "4", "9"], "processes", seen["processes"])
    expect(seen["time"] in ("slept 5\n", "slept 6\n"), "sleep 5 by the guest's own clock", seen["time"])


def _machine_time(commands: str) -> tuple[float, str]:
    """How long the commands take on the clock of a machine that never waits, and what they say."""
    with scratch_directory() as directory:
        initramfs = directory / "initramfs"
        userland = linux.initramfs().read_bytes()
        initramfs.write_bytes(linux.with_commands(userland, commands, None))
        modules = [
            Module(linux.kernel(), f"vm=linux mem=192M -- {linux.KERNEL_CMDLINE}"),
            Module(initramfs, "for=linux as=initrd"),
        ]
        outcome = boot(
            Machine("bochs", mem=320), BUILD / "casita.elf", "", modules, directory, timeout=BACKSTOP
        )
    text = outcome.serial.decode(errors="replace").replace("\r\n", "\n")
    expect(outcome.machine_seconds is not None, "no time of the machine's", text)
    assert outcome.machine_seconds is not None
    return outcome.machine_seconds, text


def _clock() -> None:
    """Two minutes are two minutes: for sleep, for date, and for the machine below Casita."""
    commands = "date +%s; sleep {}; date +%s"
    (before, _), (after, text) = (_machine_time(commands.format(n)) for n in (0, 120))
    elapsed = after - before
    expect(118.8 < elapsed < 121.2, f"sleep 120 took {elapsed:.2f} seconds of the machine's time")
    dates = [int(line) for line in text.splitlines() if line.isdigit()]
    expect(len(dates) == 2 and dates[1] - dates[0] in (120, 121), "the guest's own date", text)


def _status(engine: str, commands: str, status: int) -> None:
    """The guest's exit status comes out, by the last line and by make's status."""
    run = make_run(ENGINE=engine, RUN=commands)
    lines = [line for line in run.stdout.splitlines() if not line.startswith("make: ***")]
    expect(lines[-1:] == [f"guest exit status {status}"], f"no status {status}", run.stdout)
    expect((run.returncode == 0) == (status == 0), f"make's status {run.returncode}", run.stdout)


def _memory_size() -> None:
    """MEM= is what Linux finds."""
    for size, least, most in (("96M", 60_000, 98_304), ("1G", 950_000, 1_048_576)):
        run = make_run(MEM=size, RUN="grep MemTotal /proc/meminfo")
        expect(run.returncode == 0, f"MEM={size}", run.stdout)
        total = int(re.findall(r"MemTotal: +(\d+)", run.stdout)[0])
        expect(least < total < most, f"MEM={size}", run.stdout)


def _append() -> None:
    """APPEND= reaches the kernel's command line as it was typed."""
    words = "casita.one=a,b casita.two=$x;y 'casita.three=\"c d\"'"
    run = make_run(APPEND=words, RUN="cat /proc/cmdline")
    expect_in(f" {words}\n", run.stdout)


def _loads() -> None:
    """Work has the same results bare and in both paging modes; `make bench` does far more."""
    said = {name: loads.results(text) for name, text in loads.run(loads.SMALL, False).items()}
    expect_in("fork: 100 of 100\n", said["bare"])
    expect_in("gzip: there and back\n", said["bare"])
    expect_in("churn: 1500 steps", said["bare"])
    for name, seen in said.items():
        expect(seen == said["bare"], f"{name}: not what it is bare:\n{said['bare']}", seen)


def tests() -> list[Test]:
    """Both engines, and what make reports."""
    return [
        Test("qemu", partial(_boot, "qemu"), weight=40),
        Test("bochs", partial(_boot, "bochs"), weight=60),
        Test("clock", _clock, weight=40),
        Test("loads", _loads, weight=30),
        Test("status-3", partial(_status, "qemu", "echo before; exit 3", 3), weight=8),
        Test("status-255", partial(_status, "qemu", "sh -c 'exit 255'", 255), weight=8),
        Test("status-of-the-last", partial(_status, "qemu", "false; true", 0), weight=8),
        Test("status-127", partial(_status, "qemu", "no-such-program", 127), weight=8),
        Test("status-bochs", partial(_status, "bochs", "exit 200", 200), weight=15),
        Test("poweroff", partial(_status, "qemu", "poweroff; sleep 99", 0), weight=8),
        Test("memory-size", _memory_size, weight=15),
        Test("append", _append, weight=8),
    ]

# SPDX-License-Identifier: BSD-3-Clause
"""The commands' own promises: values survive, outputs are clean, nothing is left behind."""

from __future__ import annotations

import re
import subprocess
import threading
import time

from common import BUILD, ROOT
from .harness import Failure, Test, expect, expect_in, make_run, shell
from .pty_run import Terminal

# Everything that make, a shell, QEMU or Linux could take for something else.
_AWKWARD = """echo "a  b" $HOME; echo '$(HOME) $$x `y` #z \\n' "x,y,,z" a=b % ~ é | cat; exit 3"""
_AWKWARD_SAYS = "a  b /root\n$(HOME) $$x `y` #z \\n x,y,,z a=b % /root é\n"


def _quoting() -> None:
    """RUN= reaches the guest's shell exactly as it was typed."""
    run = make_run(RUN=_AWKWARD)
    expect_in(_AWKWARD_SAYS, run.stdout)
    expect_in("guest exit status 3", run.stdout)


def _environment() -> None:
    """RUN may also come from the environment, and have several lines."""
    run = shell(["make", "-s", "run"], env={"RUN": "x='one\ntwo'\necho \"$x\"\necho $((1 +\n1))"})
    expect_in("one\ntwo\n2\n", run.stdout)
    expect_in("guest exit status 0", run.stdout)


def _plain_output() -> None:
    """Without a terminal, lines end in a newline alone, and nothing but the guest is heard."""
    run = make_run(RUN="printf 'one\\ntwo'")
    expect("\r" not in run.stdout, "carriage returns", repr(run.stdout))
    expect_in("one\ntwo\n", run.stdout)


def _exits() -> None:
    """EXITS=1 prints the table of exits, and it is not printed otherwise."""
    with_table, without = make_run(EXITS="1", RUN="true"), make_run(RUN="true")
    expect(bool(re.search(r"^ *CPUID +[1-9]", with_table.stdout, re.MULTILINE | re.IGNORECASE)),
           "no CPUID in the table of exits", with_table.stdout)
    expect(not re.search(r"^ *CPUID +[1-9]", without.stdout, re.MULTILINE | re.IGNORECASE),
           "a table of exits that nobody wanted", without.stdout)
    expect(with_table.stdout.rstrip().endswith("guest exit status 0"), "last line", with_table.stdout)


def _own_kernel() -> None:
    """KERNEL= and INITRD= from paths that need care."""
    folder = BUILD / "check" / "own, kernel $x"
    folder.mkdir(parents=True, exist_ok=True)
    kernel = next(BUILD.glob("linux/linux-image-*/vmlinuz"))
    for name, target in (("my kernel", kernel), ("my,initrd", BUILD / "linux" / "initramfs.cpio")):
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(target)
    with Terminal(
        ["make", "-s", "run", f"KERNEL={folder}/my kernel", f"INITRD={folder}/my,initrd"]
    ) as terminal:
        terminal.wait_for("casita:~# ")
        terminal.type("poweroff\r")
        terminal.wait_for("guest exit status 0")


def _guest_by_path() -> None:
    """GUEST= takes a name and a path, and hands APPEND on."""
    by_name, by_path = make_run(GUEST="hello"), make_run(GUEST="build/guests/hello.elf", APPEND="x y")
    for run in (by_name, by_path):
        expect_in("Hello from a guest.", run.stdout)
        expect_in("guest exit status 0", run.stdout)


def _side_by_side() -> None:
    """Two runs at the same time do not disturb each other."""
    seen: dict[str, str] = {}

    def one(word: str) -> None:
        seen[word] = make_run(RUN=f"echo it is {word}").stdout

    threads = [threading.Thread(target=one, args=(word,)) for word in ("this", "that")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for word in ("this", "that"):
        expect_in(f"it is {word}\n", seen.get(word, ""))


def _hang_up() -> None:
    """When the terminal goes away in the middle, so do the engines."""
    for engine in ("qemu", "bochs"):
        terminal = Terminal(["make", "-s", "run", f"ENGINE={engine}", "RUN=echo up; sleep 10000"])
        terminal.wait_for("up\r")
        session = terminal.session
        expect(bool(_in_session(session)), f"{engine} runs outside of its terminal's session")
        terminal.hang_up()
        left = _in_session(session)
        for _ in range(100):  # make is gone at once; what it started cleans up
            if not left:
                break
            time.sleep(0.1)
            left = _in_session(session)
        expect(not left, f"left behind by {engine}: {left}")


def _in_session(session: int) -> str:
    return subprocess.run(
        ["ps", "-o", "pid=,args=", "--sid", str(session)], capture_output=True, text=True, check=False
    ).stdout


def _setup_is_quiet() -> None:
    """Nothing is missing here, so setup says nothing."""
    result = shell(["grader/setup.sh", "check"])
    expect(result.returncode == 0 and not result.stdout, "setup.sh is not quiet", result.stdout)
    result = shell(["grader/setup.sh", "nonsense"])
    expect(result.returncode == 2, "setup.sh takes any word", result.stdout)
    expect_in("nonsense", result.stdout)


def _doctor() -> None:
    """make doctor names versions and the accelerator, and why."""
    result = shell(["make", "-s", "doctor"])
    expect(result.returncode == 0, "doctor finds something missing", result.stdout)
    expect(bool(re.search(r"^qemu-system-x86_64 +\d+\.\d+", result.stdout, re.MULTILINE)),
           "no QEMU version", result.stdout)
    expect(bool(re.search(r"^CPU=amd +make run uses (KVM|TCG).*: \w+", result.stdout, re.MULTILINE)),
           "no accelerator and reason", result.stdout)


def _help() -> None:
    """make help lists the commands and the variables, and each command is there."""
    text = shell(["make", "-s", "help"]).stdout
    for command in ("run", "check", "gdb", "setup", "doctor", "menuconfig", "docs", "clean"):
        expect_in(f"make {command} ", text)
        dry = shell(["make", "-n", command])
        expect(dry.returncode == 0, f"make {command}: no such command", dry.stdout)
    makefile = (ROOT / "Makefile").read_text()
    match = re.search(r"^RUN_VARIABLES := ((?:.*\\\n)*.*)$", makefile, re.MULTILINE)
    if not match:
        raise Failure("the Makefile has no RUN_VARIABLES")
    for name in match[1].replace("\\\n", " ").split():
        if name != "DISK":
            expect_in(f"{name}=", text)


def tests() -> list[Test]:
    """One test a promise."""
    return [
        Test("quoting", _quoting, weight=8),
        Test("environment", _environment, weight=8),
        Test("plain-output", _plain_output, weight=8),
        Test("exits", _exits, weight=15),
        Test("own-kernel", _own_kernel, weight=8),
        Test("guest-by-path", _guest_by_path, weight=2),
        Test("side-by-side", _side_by_side, weight=15),
        Test("hang-up", _hang_up, weight=40),
        Test("setup-is-quiet", _setup_is_quiet),
        Test("doctor", _doctor, weight=3),
        Test("help", _help, weight=3),
    ]

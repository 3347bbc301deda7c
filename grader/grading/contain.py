# SPDX-License-Identifier: BSD-3-Clause
"""Runs what works on a student's bytes: git apply, the compiler, the linker, the machine that boots it.

Every such command goes through run(), and nothing else does. It is put into a sandbox (sandbox.py) with
limits that the kernel keeps and an environment of its own, and nothing outlives the call: when the first
process ends or is killed, so does its whole world of processes, and it dies with us however we end.
"""

from __future__ import annotations

import os
import re
import select
import shutil
import signal
import subprocess
import threading
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Callable, Mapping, Sequence

from common import CasitaError
from . import sandbox, usage

MIB = 1 << 20
INSIDE = sandbox.INSIDE  # what a command in a sandbox takes its folder for
_CHUNK = 65536
_GONE_SECONDS = 5.0


@dataclass(frozen=True)
class Limits:
    """What a command may use. Seconds are a backstop only: a verdict never hangs on them."""

    seconds: float = 60.0  # on the clock on the wall, all its processes
    cpu_seconds: int = 60  # each process
    file_bytes: int = 256 * MIB  # of each file that it writes
    output_bytes: int = 1 * MIB  # on stdout and stderr together
    memory_bytes: int = 4096 * MIB  # of addresses, each process
    memory_sum: int = 6144 * MIB  # in memory, all its processes
    disk_bytes: int = 1024 * MIB  # in its folder
    processes: int = 128  # and threads, at the same time
    network: bool = False  # the machine's own; for people with a debugger only


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int  # its exit status; 128 + n: signal n ended it, as shells say it
    output: bytes  # stdout and stderr, together
    exceeded: str = ""  # the limit that ended it: "seconds", "cpu", "file", "output", "memory" or "disk"
    seconds: float = 0.0

    @property
    def text(self) -> str:
        """The output for people to read."""
        return self.output.decode(errors="replace")


_lock = threading.Lock()
_running: set[subprocess.Popen[bytes]] = set()
_stopping = threading.Event()


def run(
    argv: Sequence[str | Path],
    cwd: Path,
    limits: Limits = Limits(),
    env: Mapping[str, str] | None = None,
    files: tuple[Path | int, Path | int] | None = None,
    handles: Sequence[int] = (),
    started: Callable[[], None] = lambda: None,
) -> Ended:
    """Run a command in a directory, the only one that it may write to, to its end.

    `files`: where its stdout and stderr go (files or open descriptors), instead of Ended.output.
    `handles`: open descriptors that it is to have, by the same numbers.
    `started`: is called when it has them.
    May be called from several threads. Raises CasitaError if it cannot be started.
    """
    begin = time.monotonic()
    words = [str(word) for word in argv]
    if not cwd.is_dir() or ("/" not in words[0] and not shutil.which(words[0], path=sandbox.PATH)):
        raise CasitaError(f"cannot start {words[0]} in {cwd}: there is no such program, or folder")
    how = sandbox.mode()
    paths = [file for file in files or () if isinstance(file, Path)]
    with ExitStack() as stack:
        out, err = [stack.enter_context(_sink(file)) for file in files or ()] or [None, None]
        room, uid = stack.enter_context(sandbox.handed_over(cwd, how, paths))
        status = stack.enter_context(_Status()) if how != sandbox.NONE else None
        process = _start(words, room, how, uid, limits, env or {}, out, err, status, handles)
        started()
        watch = usage.Watch(
            process.pid, room, limits.memory_sum, limits.disk_bytes, lambda: _signal(process)
        )
        try:
            with watch:
                output, exceeded = _collect(process, limits, begin + limits.seconds)
        finally:
            _kill(process, status)
            with _lock:
                _running.discard(process)
            if process.stdout:
                process.stdout.close()
        code = process.returncode if process.returncode >= 0 else 128 - process.returncode
        exceeded = watch.exceeded or exceeded
        if not exceeded and not _stopping.is_set() and status and not status.was_run:
            said = " ".join(output.decode(errors="replace").split())
            raise CasitaError(f"the sandbox for {words[0]} could not be set up: {said or code}")
    if not exceeded:
        exceeded = {128 + signal.SIGXCPU: "cpu", 128 + signal.SIGXFSZ: "file"}.get(code, "")
    return Ended(code, output, exceeded, time.monotonic() - begin)


class _Status:
    """What bwrap tells of its child: which process it is, and how it ended."""

    def __init__(self) -> None:
        self._ours, self.theirs = os.pipe()
        self._text = b""

    def __enter__(self) -> "_Status":
        return self

    def __exit__(self, *_: object) -> None:
        self.close_theirs()
        os.close(self._ours)

    def close_theirs(self) -> None:
        """It has been started."""
        if self.theirs >= 0:
            os.close(self.theirs)
        self.theirs = -1

    def _read(self) -> bytes:
        os.set_blocking(self._ours, False)
        while data := _read(self._ours):
            self._text += data
        return self._text

    @property
    def was_run(self) -> bool:
        """Did the command itself run, and end?"""
        return b'"exit-code"' in self._read()

    def await_end(self) -> None:
        """Wait until the first process of the sandbox, and with it all others, is gone."""
        match = re.search(rb'"child-pid": (\d+)', self._read())
        deadline = time.monotonic() + _GONE_SECONDS
        while match and _is_alive(int(match[1])) and time.monotonic() < deadline:
            time.sleep(0.001)


def _is_alive(pid: int) -> bool:
    """Does it run? One that has ended and waits for its parent does not: all of its world is gone."""
    try:
        facts = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False
    return facts.rpartition(b")")[2].split()[0] not in b"ZX"


def _sink(file: Path | int) -> BinaryIO:
    return open(file, "wb", closefd=not isinstance(file, int))


def stop_all() -> None:
    """End every command that runs, and start none any more: the grader is told to stop."""
    _stopping.set()
    with _lock:
        running = list(_running)
    for process in running:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _bounds(limits: Limits) -> list[str]:
    return [
        # At the soft limit comes SIGXCPU, which tells what it was; at the hard one SIGKILL.
        *("prlimit", f"--cpu={limits.cpu_seconds}:{limits.cpu_seconds + 5}"),
        *(f"--fsize={limits.file_bytes}", f"--as={limits.memory_bytes}", "--core=0", "--"),
    ]


def _start(
    argv: Sequence[str],
    room: Path,
    how: str,
    uid: int | None,
    limits: Limits,
    env: Mapping[str, str],
    out: BinaryIO | None,
    err: BinaryIO | None,
    status: _Status | None,
    handles: Sequence[int],
) -> subprocess.Popen[bytes]:
    bare = how == sandbox.NONE
    environment = {
        **{"PATH": sandbox.PATH, "LC_ALL": "C.UTF-8", "TMPDIR": str(room) if bare else "/tmp"},
        **{"HOME": str(room) if bare else INSIDE, **env},
    }
    words = sandbox.command(
        argv, room, how, uid, environment, processes=limits.processes, network=limits.network,
        status_fd=status.theirs if status else None,
    )  # fmt: skip
    with _lock:
        if _stopping.is_set():
            raise CasitaError("the grader was told to stop")
        try:
            process = subprocess.Popen(
                [*_bounds(limits), *words],
                cwd=room if bare else "/",
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out or subprocess.PIPE,
                stderr=err or subprocess.STDOUT,
                start_new_session=True,
                pass_fds=[*([status.theirs] if status else []), *handles],
            )
        except OSError as error:
            raise CasitaError(f"cannot start {argv[0]}: {error.strerror}") from None
        _running.add(process)
    if status:
        status.close_theirs()
    return process


def _collect(
    process: subprocess.Popen[bytes], limits: Limits, deadline: float
) -> tuple[bytes, str]:
    """What it says until it ends or must be ended, and the limit that it exceeded.

    It ends when its first process ends: what that left behind and still holds the pipe is not awaited.
    """
    if process.stdout is None:
        return b"", "" if _ends(process, deadline) else "seconds"
    pipe, output = process.stdout.fileno(), bytearray()
    os.set_blocking(pipe, False)
    with open(os.pidfd_open(process.pid), "rb", buffering=0) as ended:
        while (left := deadline - time.monotonic()) > 0:
            ready = select.select([pipe, ended], [], [], left)[0]
            data = _read(pipe)
            while data:
                output += data
                if len(output) > limits.output_bytes:
                    return bytes(output[: limits.output_bytes]), "output"
                data = _read(pipe)
            if ended in ready or (data == b"" and _ends(process, deadline)):
                return bytes(output), ""
    return bytes(output), "seconds"


def _read(pipe: int) -> bytes | None:
    """What is there: empty at the end, None if there is nothing now."""
    try:
        return os.read(pipe, _CHUNK)
    except BlockingIOError:
        return None


def _ends(process: subprocess.Popen[bytes], deadline: float) -> bool:
    try:
        process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return False
    return True


def _kill(process: subprocess.Popen[bytes], status: _Status | None) -> None:
    """End all of its processes, also those that it left behind, and wait until they are gone."""
    _signal(process)
    process.wait()
    if status:
        status.await_end()


def _signal(process: subprocess.Popen[bytes]) -> None:
    if process.returncode is None:  # or else its number may be another's by now
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

# SPDX-License-Identifier: BSD-3-Clause
"""Runs what works on a student's bytes: the compiler, the linker, the machine that boots the image.

Every such command goes through run(), and nothing else does, so that a sandbox has one place to be
put: _command(). Now it sets limits that the kernel keeps, gives an environment of its own, and lets
nothing outlive its call.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import threading
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Mapping, Sequence

from common import CasitaError

MIB = 1 << 20
_CHUNK = 65536
_PATH = "/usr/local/bin:/usr/bin:/bin"


@dataclass(frozen=True)
class Limits:
    """What a command may use. Seconds are a backstop only: a verdict never hangs on them."""

    seconds: float = 60.0  # on the clock on the wall, all its processes
    cpu_seconds: int = 60  # each process
    file_bytes: int = 256 * MIB  # of each file that it writes
    output_bytes: int = 1 * MIB  # on stdout and stderr together


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int  # its exit status; negative: the signal that ended it
    output: bytes  # stdout and stderr, together
    exceeded: str = ""  # the limit that ended it: "seconds", "cpu", "file" or "output"
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
) -> Ended:
    """Run a command in a directory, the only one that it may write to, to its end.

    `files`: where its stdout and stderr go (files or open descriptors), instead of Ended.output.
    May be called from several threads. Raises CasitaError if it cannot be started.
    """
    begin = time.monotonic()
    with ExitStack() as stack:
        out, err = [stack.enter_context(_sink(file)) for file in files or ()] or [None, None]
        process = _start([str(word) for word in argv], cwd, limits, env or {}, out, err)
    try:
        output, exceeded = _collect(process, limits, begin + limits.seconds)
    finally:
        _kill(process)
        with _lock:
            _running.discard(process)
        if process.stdout:
            process.stdout.close()
    code = process.returncode
    if not exceeded:
        exceeded = {-signal.SIGXCPU: "cpu", -signal.SIGXFSZ: "file"}.get(code, "")
    return Ended(code, output, exceeded, time.monotonic() - begin)


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


def _command(argv: Sequence[str], limits: Limits) -> list[str]:
    """The command with everything around it. A sandbox belongs here."""
    return [
        # At the soft limit comes SIGXCPU, which tells what it was; at the hard one SIGKILL.
        *("prlimit", f"--cpu={limits.cpu_seconds}:{limits.cpu_seconds + 5}"),
        *(f"--fsize={limits.file_bytes}", "--core=0", "--"),
        *("setpriv", "--pdeathsig", "KILL", *argv),
    ]


def _start(
    argv: Sequence[str],
    cwd: Path,
    limits: Limits,
    env: Mapping[str, str],
    out: BinaryIO | None,
    err: BinaryIO | None,
) -> subprocess.Popen[bytes]:
    environment = {"PATH": _PATH, "LC_ALL": "C.UTF-8", "TMPDIR": str(cwd), "HOME": str(cwd), **env}
    with _lock:
        if _stopping.is_set():
            raise CasitaError("the grader was told to stop")
        try:
            process = subprocess.Popen(
                _command(argv, limits),
                cwd=cwd,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out or subprocess.PIPE,
                stderr=err or subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise CasitaError(f"cannot start {argv[0]}: {error.strerror}") from None
        _running.add(process)
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


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End the whole session's processes, also those that it left behind."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()

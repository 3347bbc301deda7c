# SPDX-License-Identifier: BSD-3-Clause
"""Runs an engine's process: its serial line to us, our keyboard to it, and nothing left behind."""

from __future__ import annotations

import os
import select
import subprocess
import termios
import time
import tty
from abc import ABC, abstractmethod
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Callable, Iterator, Sequence, Union

from .machine import Boot, End, Outcome

# Takes what comes down the serial line, as it comes.
Echo = Callable[[bytes], None]
_File = Union[int, BinaryIO]

_STDIN, _STDOUT = 0, 1
_CHUNK = 65536
_KILL_AFTER = 3.0  # seconds that an engine has to end by itself, or to obey SIGTERM


class Session(ABC):
    """One start of one engine. The subclasses know how to start theirs and what its end means."""

    def __init__(self, boot: Boot, keyboard: bool) -> None:
        self.boot = boot
        self.keyboard = keyboard and _may_read_stdin()
        self.interactive = self.keyboard and os.isatty(_STDIN)

    @abstractmethod
    def start(self) -> tuple[subprocess.Popen[bytes], int, int]:
        """Start it: the process, where its serial line is read, where it is written to."""

    @abstractmethod
    def judge(self, code: int) -> tuple[End, int | None]:
        """What the process's exit status means; raises CasitaError if the engine itself failed."""

    @abstractmethod
    def logs(self) -> tuple[bytes, bytes]:
        """Outcome.debugcon and Outcome.log."""

    def machine_seconds(self) -> float | None:
        """Outcome.machine_seconds."""
        return None

    def close(self) -> None:
        """Called after the process has ended."""

    def translate(self, typed: bytes) -> bytes | None:
        """What to send for what was typed; None: leave."""
        return typed

    def run(self, echo: Echo | None, timeout: float | None) -> Outcome:
        """Run it to its end; see boot()."""
        begin = time.monotonic()
        deadline = begin + timeout if timeout is not None else None
        serial = bytearray()
        process, line_in, line_out = self.start()
        try:
            with _raw_terminal(self.interactive):
                end = self._pump(process, line_in, line_out, serial, echo, deadline)
        finally:
            _stop(process)
            for fd in {line_in, line_out}:
                os.close(fd)
            self.close()
        status = None
        if end is End.EXITED:
            end, status = self.judge(process.returncode)
        seconds = time.monotonic() - begin
        return Outcome(end, status, bytes(serial), *self.logs(), seconds, self.machine_seconds())

    def _pump(
        self,
        process: subprocess.Popen[bytes],
        line_in: int,
        line_out: int,
        serial: bytearray,
        echo: Echo | None,
        deadline: float | None,
    ) -> End:
        os.set_blocking(line_out, False)
        typing = self.keyboard
        pending = b""  # typed, and not yet taken by the engine
        while deadline is None or time.monotonic() < deadline:
            reads = [line_in] + ([_STDIN] if typing and not pending else [])
            ended = process.poll() is not None  # asked first: what it said at last is still there
            wait = 0.0 if ended else 0.1
            reads, writes, _ = select.select(reads, [line_out] if pending else [], [], wait)
            if _STDIN in reads:
                typed = _read(_STDIN)
                typing = bool(typed)
                sent = self.translate(typed)
                if sent is None or (self.interactive and not typing):  # the terminal is gone
                    return End.LEFT
                pending = sent
            if writes:
                pending = pending[_write(line_out, pending) :]
            if line_in in reads:
                data = _read(line_in)
                serial += data
                if echo is not None:
                    echo(data)
                if not data:  # closed: the process is about to end
                    _wait(process)
                    return End.EXITED
            elif ended:
                return End.EXITED
        return End.TIMEOUT


def start_process(
    words: Sequence[str], directory: Path, stdin: _File, stdout: _File, stderr: _File
) -> subprocess.Popen[bytes]:
    """Start an engine in its directory. It does not outlive this process, however that ends."""
    die_with_us = ["setpriv", "--pdeathsig", "KILL"]
    return subprocess.Popen(
        [*die_with_us, *words], cwd=directory, stdin=stdin, stdout=stdout, stderr=stderr
    )


def _may_read_stdin() -> bool:
    """False for a job in the background of a terminal, which would be stopped for trying."""
    try:
        return not os.isatty(_STDIN) or os.tcgetpgrp(_STDIN) == os.getpgrp()
    except OSError:
        return False


@contextmanager
def _raw_terminal(wanted: bool) -> Iterator[None]:
    """Every key goes to the machine as it is pressed; output is processed as before."""
    if not wanted:
        yield
        return
    saved = termios.tcgetattr(_STDIN)
    try:
        tty.setraw(_STDIN, termios.TCSADRAIN)
        raw = termios.tcgetattr(_STDIN)
        raw[1] = saved[1]
        termios.tcsetattr(_STDIN, termios.TCSADRAIN, raw)
        yield
    finally:
        with suppress(termios.error):  # the terminal may be gone
            termios.tcsetattr(_STDIN, termios.TCSADRAIN, saved)


def _wait(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(_KILL_AFTER)
    except subprocess.TimeoutExpired:
        return False
    return True


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        if not _wait(process):
            process.kill()
            process.wait()


def _read(fd: int) -> bytes:
    try:
        return os.read(fd, _CHUNK)
    except OSError:  # a terminal whose other side is closed
        return b""


def _write(fd: int, data: bytes) -> int:
    try:
        return os.write(fd, data)
    except BlockingIOError:
        return 0
    except OSError:  # the engine is ending: nobody wants it any more
        return len(data)


def echo_to_stdout(data: bytes) -> None:
    """An Echo: at once, past the stream's buffer, also where a terminal does not block."""
    while data:
        try:
            data = data[os.write(_STDOUT, data) :]
        except BlockingIOError:
            select.select([], [_STDOUT], [])

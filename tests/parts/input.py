# SPDX-License-Identifier: BSD-3-Clause
"""The interactive shell: keys go up the serial line, Ctrl-C and Ctrl-A x do what they should."""

from __future__ import annotations

from functools import partial

from .harness import Test, expect
from .pty_run import Terminal

_PROMPT = "casita:~# "
_CTRL_A, _CTRL_C, _CTRL_D = "\x01", "\x03", "\x04"


def _shell(engine: str) -> Terminal:
    terminal = Terminal(["make", "-s", "run", f"ENGINE={engine}"])
    terminal.wait_for(_PROMPT)
    return terminal


def _session(engine: str) -> None:
    """A short session, as a person would have it, to the shell's own end."""
    with _shell(engine) as terminal:
        terminal.type("echo $((6*7)) answers\r")
        terminal.wait_for("42 answers")
        terminal.wait_for(_PROMPT)
        long = "abcdefghij" * 40  # more than the UART's FIFO and Casita's buffers take at once
        terminal.type(f"echo {long} | wc -c\r")
        terminal.wait_for(f"{len(long) + 1}\r")
        terminal.wait_for(_PROMPT)
        terminal.type("sh -c 'echo start''ed; sleep 1000'\r")
        terminal.wait_for("started\r")  # before that, the shell's line editor has the terminal
        terminal.type(_CTRL_C)
        terminal.wait_for(_PROMPT)
        terminal.type("sh -c 'echo rea''dy; cat > /tmp/typed'\r")
        terminal.wait_for("ready\r")
        terminal.type("one\rtwo\r" + _CTRL_D)
        terminal.wait_for(_PROMPT)
        terminal.type("wc -l < /tmp/typed; stty size; jobs; exit 3\r")
        terminal.wait_for("2\r")
        terminal.wait_for("guest exit status 3")
        expect(terminal.wait_for_end() != 0, "make's status is 0 after exit 3", terminal.seen)


def _leave(engine: str) -> None:
    """Ctrl-A x ends everything at once and counts as well done."""
    with _shell(engine) as terminal:
        terminal.type(_CTRL_A + "x")
        expect(terminal.wait_for_end() == 0, "Ctrl-A x is not a good end", terminal.seen)
        expect("guest exit status" not in terminal.seen, "a status without an end", terminal.seen)


def tests() -> list[Test]:
    """Both in both engines."""
    return [
        Test(f"{name}-{engine}", partial(run, engine), weight=weight)
        for engine, weight in (("qemu", 10), ("bochs", 30))
        for name, run in (("session", _session), ("leave", _leave))
    ]

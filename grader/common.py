# SPDX-License-Identifier: BSD-3-Clause
"""What all of the grader's programs share: where things are, the one exception, its one handler."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Callable, Iterator, NoReturn

ROOT = Path(__file__).resolve().parent.parent
BUILD = Path(os.environ.get("CASITA_BUILD") or ROOT / "build")


class CasitaError(Exception):
    """Something is wrong that a person must put right; the text says what and how."""


def run_main(main: Callable[[], int]) -> NoReturn:
    """Call a program's main() and end with its status; an error is one sentence and status 2."""
    signal.signal(signal.SIGTERM, _terminated)
    signal.signal(signal.SIGHUP, _terminated)
    try:
        status = main()
    except CasitaError as error:
        print(f"casita: {error}", file=sys.stderr)
        status = 2
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # nobody reads any more: no second complaint
        status = 1
    except KeyboardInterrupt:
        status = 130
    sys.exit(status)


def _terminated(number: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(128 + number)  # as an exception, so that every `finally` cleans up


@contextmanager
def scratch_directory() -> Iterator[Path]:
    """A directory of one's own below the build directory, gone afterwards."""
    parent = BUILD / "run"
    parent.mkdir(parents=True, exist_ok=True)
    path = Path(tempfile.mkdtemp(dir=parent))
    path.chmod(0o711)  # a sandbox's user passes here to a folder that it is given, and sees no other
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def parse_size(text: str, name: str) -> int:
    """Bytes in a size like 256M; `name` is the variable at fault if it is none."""
    units = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
    digits, unit = text[:-1], text[-1:].upper()
    if not digits.isascii() or not digits.isdigit() or unit not in units:
        raise CasitaError(f"{name}={text} is not a size; write it like 256M or 1G")
    return int(digits) * units[unit]

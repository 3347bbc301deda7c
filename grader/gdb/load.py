# SPDX-License-Identifier: BSD-3-Clause
"""GDB sources this file: it gives GDB the command `casita` with its subcommands.

    (gdb) source grader/gdb/load.py

`make gdb` writes that line into build/gdbinit. README.md beside this file shows every command.
"""

from __future__ import annotations

import sys
from pathlib import Path

import gdb


def _load() -> None:
    """Find our modules, and let them make the commands."""
    if not hasattr(gdb, "RemoteTargetConnection"):
        print(f"casita: these commands need GDB 12 or newer, and this is GDB {gdb.VERSION}")
        return
    folder = str(Path(__file__).resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    import commands

    commands.register()


_load()

# SPDX-License-Identifier: BSD-3-Clause
"""The parts of `make check`, one module each."""

PARTS = [
    *("rules", "unit", "fuzz", "build", "stages", "compose", "guests", "linux", "input", "run"),
    *("gdb", "bad-input", "handouts", "grader", "attacks", "class", "slurm", "bank"),
]

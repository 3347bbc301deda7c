# SPDX-License-Identifier: BSD-3-Clause
"""What `make bench` measures, one module each: a function report() that prints its tables."""

BENCHES = ["linux-load", "growth", "roundtrip", "loads"]

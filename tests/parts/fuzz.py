# SPDX-License-Identifier: BSD-3-Clause
"""The instruction decoder against Zydis (tests/fuzz): made-up bytes, and all of Debian's kernel."""

from __future__ import annotations

import subprocess
from pathlib import Path

import linux
from .harness import Failure, Test, expect, scratch, shell

_ROUNDS = 20_000  # of the fuzzers of loaders and configuration
_RANDOM_STRINGS = 300_000
# bzImage: Documentation/arch/x86/boot.rst in Linux
_SETUP_SECTORS, _PAYLOAD_OFFSET, _PAYLOAD_LENGTH = 0x1F1, 0x248, 0x24C
_SECTOR = 512
_LZ4_LEGACY = bytes.fromhex("02214c18")


def _random() -> None:
    result = shell(["make", "-s", "-C", "tests/fuzz", "run", f"N={_RANDOM_STRINGS}"])
    expect(result.returncode == 0, "the decoders disagree", result.stdout)


def _kernel() -> None:
    result = shell(["make", "-s", "-C", "tests/fuzz", "run", "N=1000", f"ELF={_vmlinux()}", "SANITIZE="])
    expect(result.returncode == 0, "the decoders disagree", result.stdout)


def _vmlinux() -> Path:
    """Debian's kernel as the ELF file that its bzImage unpacks itself to."""
    image = linux.kernel().read_bytes()

    def field(at: int) -> int:
        return int.from_bytes(image[at : at + 4], "little")

    start = (image[_SETUP_SECTORS] + 1) * _SECTOR + field(_PAYLOAD_OFFSET)
    payload = image[start : start + field(_PAYLOAD_LENGTH) - 4]  # its last four bytes: the length
    if not payload.startswith(_LZ4_LEGACY):
        raise Failure(f"Debian's kernel is not compressed with LZ4 any more: {payload[:4].hex()}")
    unpacked = subprocess.run(["lz4", "-dc"], input=payload, capture_output=True, check=False).stdout
    expect(unpacked.startswith(b"\x7fELF"), "what lz4 unpacks from the kernel is not an ELF file")
    path = scratch("fuzz") / "vmlinux"
    path.write_bytes(unpacked)
    return path


def _loaders() -> None:
    words = ["make", "-s", "-C", "tests/fuzz", "-f", "loaders.mk", "run", f"ROUNDS={_ROUNDS}"]
    result = shell(words)
    expect(result.returncode == 0, "a damaged file, or a wrong word, was not refused", result.stdout)


def tests() -> list[Test]:
    """Both sources of bytes for the decoder; damaged files and words for loaders and configuration."""
    return [
        Test("random", _random, weight=60),
        Test("kernel", _kernel, weight=60),
        Test("loaders", _loaders, weight=10),
    ]

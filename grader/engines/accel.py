# SPDX-License-Identifier: BSD-3-Clause
"""Which accelerator QEMU should use: KVM only where a VMM inside a KVM guest really works."""

from __future__ import annotations

import os
import platform
from pathlib import Path

# CPU flag -> what it is called here, and KVM's module for it
_VENDORS = {"svm": ("amd", "kvm_amd"), "vmx": ("intel", "kvm_intel")}


def choose(cpu: str) -> tuple[str, str]:
    """The accelerator for a machine with this CPU ("amd" or "intel"), and why it is that one."""
    if platform.machine() != "x86_64":
        return "tcg", f"this is a {platform.machine()} machine"
    flag = next((flag for flag in _VENDORS if flag in _cpu_flags()), None)
    if flag is None:
        return "tcg", "the processor shows neither svm nor vmx"
    vendor, module = _VENDORS[flag]
    if vendor != cpu:
        return "tcg", f"the processor has {flag}, and CPU={cpu} is wanted"
    if _parameter(module, "nested") not in ("1", "Y"):
        return "tcg", f"{module} is not loaded with its `nested` parameter on"
    try:
        os.close(os.open("/dev/kvm", os.O_RDWR))
    except OSError as error:
        return "tcg", f"/dev/kvm does not open: {error.strerror}"
    return "kvm", f"{flag} is there, {module} has `nested` on, and /dev/kvm opens"


def _cpu_flags() -> set[str]:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("flags"):
            return set(line.partition(":")[2].split())
    return set()


def _parameter(module: str, name: str) -> str:
    try:
        return Path(f"/sys/module/{module}/parameters/{name}").read_text().strip()
    except OSError:
        return ""

# SPDX-License-Identifier: BSD-3-Clause
"""Where the monitor's structures have what checks look at: bytes from their beginning, or in all.

The numbers are those of src/vmm/vm.h and exit.h. Whoever moves something there sees the reference fail
the tests that call functions (lab 1's control-block, lab 2's odd-exits, lab 4's operations).
"""

from __future__ import annotations

# struct vcpu: 16 registers, then these; as many bytes as matter
VCPU_VM, VCPU_CPU_STATE, VCPU_REQUESTS, VCPU_HALTED, VCPU_BYTES = 128, 136, 160, 164, 0x100
VM_BYTES = 0x40000  # a struct vm is not as large
VMCB_BYTES = 0x1000
# struct exit: the union is the last of it
EXIT_RIP, EXIT_NEXT_RIP, EXIT_UNION, EXIT_BYTES = 32, 40, 80, 96
EXIT_GPA, EXIT_ERROR = EXIT_UNION, EXIT_UNION + 8  # of a memory exit

# SPDX-License-Identifier: BSD-3-Clause
"""Attacks on the grader: what a hostile student might hand in. grader/THREATS.md says why each is here.

    patches.py  what the gate must refuse: bytes that are handed in as a patch
    sources.py  what gets through the gate: changes of the reference's sources that cheat, or do harm
    escapes.py  what a process could try if one of the student's making ever ran in the sandbox

Each says how it must end. tests/grader/test_attacks.py tries them all.
"""

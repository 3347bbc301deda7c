# SPDX-License-Identifier: BSD-3-Clause
"""Names in an image: files with a symbol table that is right, and such as somebody has made up."""

from __future__ import annotations

import random
import struct
import tempfile
import unittest
from pathlib import Path
from typing import Sequence

import support  # noqa: F401
from grading import symbols
from grading.symbols import NoSymbol

TEXT, UNDEFINED, ABSOLUTE = 1, 0, 0xFFF1
Names = Sequence[tuple[str, int, int]]  # name, section, value


def elf64(names: Names, kind: int = 2, link: int = 2) -> bytes:
    """An image with a table of these symbols (section 1) and their names (section 2)."""
    texts, entries = b"\0", bytes(24)
    for name, section, value in names:
        entries += struct.pack("<IBBHQQ", len(texts), 0, 0, section, value, 0)
        texts += name.encode() + b"\0"
    at = 64 + 3 * 64
    sections = bytes(64)
    sections += struct.pack("<2I4Q2I2Q", 0, kind, 0, 0, at, len(entries), link, 0, 8, 24)
    sections += struct.pack("<2I4Q2I2Q", 0, 3, 0, 0, at + len(entries), len(texts), 0, 0, 1, 0)
    header = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    header += struct.pack("<2HI3QI6H", 2, 62, 1, 0, 0, 64, 0, 64, 0, 0, 64, 3, 2)
    return header + sections + entries + texts


class Symbols(unittest.TestCase):
    """symbols.py."""

    IMAGE: Names = (("vm_create", TEXT, 0x101000), ("nested_ops", TEXT, 0x120000))

    def find(self, image: bytes, name: str = "nested_ops") -> int:
        """Where it is."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "casita.elf64"
            path.write_bytes(image)
            return symbols.address_of(path, name)

    def refused(self, image: bytes, *said: str) -> None:
        """It is a fault of the image, and that is said in a sentence."""
        with self.assertRaises(NoSymbol) as raised:
            self.find(image)
        for words in said:
            self.assertIn(words, str(raised.exception))

    def test_found(self) -> None:
        image = elf64(self.IMAGE)
        self.assertEqual((self.find(image), self.find(image, "vm_create")), (0x120000, 0x101000))
        self.assertEqual(self.find(elf64([("nested_ops", ABSOLUTE, 2**64 - 1)])), 2**64 - 1)

    def test_twice(self) -> None:
        self.refused(elf64([*self.IMAGE, ("nested_ops", TEXT, 0x130000)]), "there are 2 nested_ops in")
        self.assertEqual(self.find(elf64([*self.IMAGE, *self.IMAGE])), 0x120000)  # one and the same

    def test_missing(self) -> None:
        none = "there is no nested_ops in the image, and this test asks for it."
        for names in (
            (), [("nested_ops", UNDEFINED, 0x120000)],
            [("xnested_ops", TEXT, 1), ("nested_ops.0", TEXT, 2), ("nested_op", TEXT, 3), ("", TEXT, 4)],
        ):  # fmt: skip
            self.refused(elf64(names), none)
        self.refused(elf64(self.IMAGE, kind=11), none)  # dynamic symbols are others
        self.refused(elf64(self.IMAGE, link=3), none)

    def test_the_end_of_a_longer_name(self) -> None:
        """A linker lets them share their bytes."""
        image = bytearray(elf64([("xnested_ops", TEXT, 1), ("", TEXT, 0x120000)]))
        self.refused(bytes(image), "there is no")
        entry = 64 + 3 * 64 + 2 * 24
        struct.pack_into("<I", image, entry, 2)
        self.assertEqual(self.find(bytes(image)), 0x120000)

    def test_cut_off(self) -> None:
        image = elf64(self.IMAGE)
        for size in (0, 1, 16, 63, 64, 127, 200, 64 + 3 * 64 + 3 * 24 - 1):
            self.refused(image[:size], "cannot be read")
        self.refused(image[:-1], "there is no")  # of the name the last byte

    def test_no_file(self) -> None:
        with self.assertRaisesRegex(NoSymbol, "cannot be read"):
            symbols.address_of(Path("/nonexistent/casita.elf64"), "nested_ops")

    def test_numbers_that_lead_nowhere(self) -> None:
        """Each number of the header and of the sections, one after the other, as large as can be."""
        image = elf64(self.IMAGE)
        for at in range(16, 64 + 3 * 64, 2):
            for size, value in ((2, 0xFFFF), (8, 2**64 - 1), (8, 2**63), (8, 2**62)):
                changed = bytearray(image)
                changed[at : at + size] = value.to_bytes(size, "little")
                self.finds_or_refuses(bytes(changed))

    def test_garbage(self) -> None:
        rng = random.Random(1)
        for _ in range(300):
            self.finds_or_refuses(rng.randbytes(rng.randrange(600)))
        self.refused(bytes(1000), "there is no")
        self.refused(b"\xff" * 1000, "cannot be read")

    def finds_or_refuses(self, image: bytes) -> None:
        """And nothing else."""
        try:
            self.assertIsInstance(self.find(image), int)
        except NoSymbol:
            pass


if __name__ == "__main__":
    unittest.main()

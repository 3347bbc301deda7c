# SPDX-License-Identifier: BSD-3-Clause
"""What is prepared is kept, for just the same lab, tests, seed and grader."""

from __future__ import annotations

import unittest
from dataclasses import replace

from support import LAB, HouseCase, write
from common import CasitaError
from grading import prepared


class Prepared(HouseCase):
    """The little house's runner, kept."""

    def setUp(self) -> None:
        super().setUp()
        self.patch(prepared.trees, "CACHE", self.folder())
        self.patch(prepared, "ROOT", self.root)
        self.keeper = prepared.Keeper(self.runner)
        write(self.root, {"grader/count.c": "", "guests/hello.c": ""})

    def prepare(self, seed: int = 1, tests: int = 2) -> int:
        """How often it was prepared, with this time."""
        self.assertEqual(self.keeper.prepare(LAB, LAB.tests[:tests], seed, self.folder()), seed)
        return self.runner.prepared

    def test_once(self) -> None:
        self.assertEqual([self.prepare(), self.prepare()], [1, 1])

    def test_anew_for_other_things(self) -> None:
        self.assertEqual([self.prepare(1), self.prepare(2), self.prepare(1, tests=1)], [1, 2, 3])
        write(self.root, {"guests/hello.c": "/* changed */"})
        self.assertEqual([self.prepare(), self.prepare()], [4, 4])
        write(self.root, {f"solutions/{LAB.folder.name}/hidden.py": "x = 1"})
        self.assertEqual(self.prepare(), 5)
        changed = [replace(LAB.tests[0], options={"exits": 9}), LAB.tests[1]]
        self.keeper.prepare(LAB, changed, 1, self.folder())
        self.assertEqual(self.runner.prepared, 6)

    def test_half_made_is_made_anew(self) -> None:
        with self.assertRaises(CasitaError):
            prepared.Keeper(_Broken()).prepare(LAB, LAB.tests, 1, self.folder())
        self.assertEqual([self.prepare(), self.prepare()], [1, 1])


class _Broken:
    """Leaves half of it behind."""

    def prepare(self, *words: object) -> object:
        """Fail."""
        (words[3] / "half").write_text("")  # type: ignore[operator]
        raise CasitaError("no")


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: BSD-3-Clause
"""Building: only what changed is compiled, the same sources give the same image, errors are readable."""

from __future__ import annotations

import os
import subprocess
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from support import FILES, HOLE, HOUSE, HouseCase, SOLVED
from common import CasitaError
from grading import bochs, trees
from grading.build import BuildFailed, Built, build, first_errors


class Build(HouseCase):
    """Builds of the little house."""

    def build(self, **changes: str) -> tuple[Built, list[str]]:
        """Build with these changes of src/NAME.c or .h; the image, and what was compiled for it."""
        files = {f"src/{name.replace('_', '.')}": text.encode() for name, text in changes.items()}
        folder = self.folder()
        built = build(self.handout, files, folder)
        compiled = (folder / "build" / "compiled").read_text().split()
        return built, sorted(compiled[2:])  # without the two of the cache

    def fails(self, **changes: str) -> str:
        """The build fails; what is said."""
        with self.assertRaises(BuildFailed) as caught:
            self.build(**changes)
        return str(caught.exception)

    def test_compiles_what_changed(self) -> None:
        self.assertEqual(self.build()[1], [])
        self.assertEqual(self.build(vcpu_c=SOLVED)[1], ["vcpu.c"])
        self.assertEqual(self.build(house_h=HOUSE.replace("1", "2"))[1], ["main.c", "vcpu.c"])

    def test_trees_with_the_same_sources_share_objects(self) -> None:
        self.build()
        self.handout = self.basis("later", {**FILES, "src/vcpu.c": HOLE, "README.md": "Another.\n"})
        for path in self.handout.tree.rglob("*"):
            os.utime(path)  # newer than the objects
        self.assertEqual(self.build()[1], [])

    def test_changes_reach_the_image(self) -> None:
        plain, solved = self.build()[0], self.build(vcpu_c=SOLVED)[0]
        self.assertNotIn(b"does-enter", plain.image.read_bytes())
        self.assertIn(b"does-enter", solved.image.read_bytes())
        self.assertNotEqual(plain.sha256, self.build(house_h=HOUSE.replace("1", "2"))[0].sha256)

    def test_same_sources_same_image(self) -> None:
        first, second = self.build(vcpu_c=SOLVED)[0], self.build(vcpu_c=SOLVED)[0]
        self.assertEqual(first.sha256, second.sha256)
        whole = build(self.reference, {}, self.folder())  # compiled whole, elsewhere
        self.assertEqual(first.sha256, whole.sha256)

    def test_no_symbols(self) -> None:
        built = self.build(vcpu_c=SOLVED)[0]
        for path, named in ((built.image, False), (built.symbols, True)):
            said = subprocess.run(["nm", str(path)], capture_output=True, text=True, check=False)
            self.assertEqual("vcpu_run" in said.stdout, named)

    def test_the_cache_stays_as_it_is(self) -> None:
        self.build()
        before = _contents(self.cache)
        self.build(vcpu_c=SOLVED)
        self.fails(vcpu_c="int x")
        self.assertEqual(_contents(self.cache), before)

    def test_failure(self) -> None:
        said = self.fails(vcpu_c=HOLE.replace("(void)rooms", "(void)floors"))
        self.assertTrue(said.startswith("src/vcpu.c:5:"), said)
        self.assertIn("floors", said)
        self.assertNotIn("make:", said)

    def test_failure_of_the_linker(self) -> None:
        said = self.fails(vcpu_c=HOLE.replace("vcpu_run", "vcpu_walk").replace("\nvoid", "\nvoid vcpu_walk(int);\nvoid"))
        self.assertRegex(said, r"(?m)^src/main.c:2: undefined reference to `vcpu_run'")
        self.assertNotIn(str(self.root), said)

    def test_failure_in_assembly_is_told_in_the_same_words_each_time(self) -> None:
        said = self.fails(vcpu_c=HOLE + '\n__asm__(".incbin \\"/none\\"");\n')
        self.assertRegex(said, r"^/tmp/compiled\.s:\d+: Error: file not found: /none")

    def test_failure_in_a_header(self) -> None:
        self.assertIn("src/house.h:1:", self.fails(house_h="#error no\n" + HOUSE))

    def test_our_own_tree_fails(self) -> None:
        broken = self.basis("broken", {"src/Makefile": "all:\n\t@echo no; false\n"})
        with self.assertRaisesRegex(CasitaError, "own tree does not build"):
            build(broken, {}, self.folder())

    def test_first_errors(self) -> None:
        line = "svm/a.c:{}:1: error: no\n  {} | x\n"
        text = "svm/a.c: In function 'f':\n" + "".join(line.format(n, n) for n in range(1, 6))
        said = first_errors(text + "cc1: all warnings being treated as errors\nmake: *** [x] Error 1\n")
        self.assertEqual(said.count("src/svm/a.c:"), 3)
        self.assertTrue(said.endswith("… and 2 more errors"), said)
        self.assertEqual(first_errors("make: *** No rule to make target 'x'.  Stop.\n"),
                         "make: *** No rule to make target 'x'.  Stop.")
        self.assertEqual(first_errors("strange\n"), "strange")


class BootLoader(unittest.TestCase):
    """What Bochs boots, in a checkout where nobody has built anything."""

    def test_made_when_it_is_not_there(self) -> None:
        with tempfile.TemporaryDirectory() as name, mock.patch.object(bochs, "BUILD", Path(name) / "build"):
            path = bochs.boot_loader()
            self.assertEqual(path.parent, Path(name) / "build")
            made = path.stat()
            self.assertGreater(made.st_size, 0)
            self.assertEqual(bochs.boot_loader().stat().st_mtime_ns, made.st_mtime_ns)

    def test_says_why_it_cannot_be_made(self) -> None:
        with tempfile.TemporaryDirectory() as name, mock.patch.object(bochs, "BUILD", Path(name)):
            with mock.patch.object(bochs, "ROOT", Path(name)), self.assertRaisesRegex(CasitaError, "cannot be made: .*src"):
                bochs.boot_loader()


class Trees(HouseCase):
    """The cache."""

    def test_made_once(self) -> None:
        made = []
        for _ in range(2):
            trees.make_basis("once", 1, lambda tree: made.append(tree))
        self.assertEqual(len(made), 1)

    def test_what_fails_leaves_nothing(self) -> None:
        def fill(_: Path) -> None:
            raise CasitaError("no")

        with self.assertRaises(CasitaError):
            trees.make_basis("never", 1, fill)
        self.assertFalse((self.cache / "trees" / "never").exists())
        self.assertEqual(list(self.cache.glob("new-*")), [])


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: BSD-3-Clause
"""Trees that are handed in packed: what is taken of them, and the tricks that are refused."""

from __future__ import annotations

import io
import tarfile
import unittest
import zipfile
from typing import Callable

from support import FILES, HOLE, HouseCase, SOLVED
from grading.gate import Accepted, Rejected, Task, accept_patch

TREE = {**FILES, "src/vcpu.c": SOLVED}


def tar(files: dict[str, str], mode: str = "w", more: Callable[[tarfile.TarFile], None] | None = None) -> bytes:
    """A tar archive of these files."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:
        for name, content in files.items():
            add(archive, name, content.encode())
        if more:
            more(archive)
    return out.getvalue()


def add(archive: tarfile.TarFile, name: str, content: bytes = b"", **fields: object) -> None:
    """One entry."""
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    archive.addfile(info, io.BytesIO(content))


def packed(files: dict[str, str], **modes: int) -> bytes:
    """A zip archive."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = modes.get("mode", 0o100644) << 16
            archive.writestr(info, content, zipfile.ZIP_DEFLATED)
    return out.getvalue()


class Archive(HouseCase):
    """Submissions to lab 1 of the little house."""

    def take(self, data: bytes) -> Accepted:
        """Let it in."""
        return accept_patch(data, Task(1, ("src/vcpu.c",), self.handout), self.folder())

    def refuse(self, data: bytes, *said: str) -> None:
        """It is refused, with these words and with advice."""
        with self.assertRaises(Rejected) as caught:
            self.take(data)
        for text in (*said, "git diff lab-1"):
            self.assertIn(text, str(caught.exception))

    def test_each_kind(self) -> None:
        inside = {f"my-lab/{name}": text for name, text in TREE.items()}
        patch = self.take(self.vcpu_patch(SOLVED))
        for data in (tar(TREE), tar(TREE, "w:gz"), packed(TREE), tar(inside, "w:gz"), packed(inside)):
            accepted = self.take(data)
            self.assertEqual((accepted.changes, accepted.sha256), ({"src/vcpu.c": SOLVED.encode()}, patch.sha256))
            self.assertEqual(accepted.notes, ())

    def test_only_what_was_sent_is_compared(self) -> None:
        accepted = self.take(tar({name: text for name, text in TREE.items() if name.startswith("src/")}))
        self.assertEqual(accepted.notes, ())
        self.assertIn("src/main.c", self.take(tar({**TREE, "src/main.c": "x"})).notes[0])

    def test_ways_out(self) -> None:
        for name in ("/src/vcpu.c", "../src/vcpu.c", "src/../../x", "C:/x", "src\\..\\x"):
            self.refuse(tar({**TREE, name: "x"}), "leads out of the tree")
            if "\\" not in name:
                self.refuse(packed({**TREE, name: "x"}), "leads out of the tree")

    def test_strange_names(self) -> None:
        for name in ("src/a\nb.c", "src/\x1b[2J.c", "src/\udcff.c", "a/" * 20 + "x"):
            self.refuse(tar({**TREE, name: "x"}), "is none that a tree of Casita has")

    def test_links_and_devices_are_not_taken(self) -> None:
        kinds = {tarfile.SYMTYPE: "/etc/passwd", tarfile.LNKTYPE: "src/main.c", tarfile.FIFOTYPE: "",
                 tarfile.CHRTYPE: ""}
        rest = {name: text for name, text in TREE.items() if name != "src/vcpu.c"}
        for kind, target in kinds.items():
            data = tar(rest, more=lambda a, k=kind, t=target: add(a, "src/vcpu.c", type=k, linkname=t))
            with self.assertRaisesRegex(Rejected, "src/vcpu.c: is not there"):
                self.take(data)
        with self.assertRaisesRegex(Rejected, "there is no file in it"):
            self.take(packed({**FILES, "src/vcpu.c": "/etc/passwd"}, mode=0o120777))

    def test_a_folder_that_is_a_link(self) -> None:
        def more(archive: tarfile.TarFile) -> None:
            add(archive, "src", type=tarfile.SYMTYPE, linkname="/tmp")
            add(archive, "src/vcpu.c", SOLVED.encode())

        self.assertEqual(self.take(tar({}, more=more)).changes, {"src/vcpu.c": SOLVED.encode()})

    def test_twice(self) -> None:
        self.refuse(tar(TREE, more=lambda a: add(a, "src/vcpu.c", HOLE.encode())), "twice")
        self.refuse(tar(TREE, more=lambda a: add(a, "src/vcpu.c/x", b"x")), "damaged, or")

    def test_bombs(self) -> None:
        zeroes = "\0" * (4 << 20)
        self.refuse(tar({**TREE, "big": zeroes + "x"}, "w:gz"), "are allowed")
        many = {f"big{n}": zeroes for n in range(17)}
        self.refuse(tar({**TREE, **many}, "w:gz"), "unpacks to more than")
        self.refuse(packed({**TREE, **many}), "unpacks to more than")
        lying = packed({**TREE, "big": zeroes + "x"}).replace((len(zeroes) + 1).to_bytes(4, "little"), b"\1\0\0\0")
        self.refuse(lying, "")
        self.refuse(tar({f"f{n}": "" for n in range(10_001)}), "entries")

    def test_others(self) -> None:
        self.refuse(b"BZh91AY&SY", "bzip2")
        self.refuse(b"\x1f\x8b\x08\0damaged", "damaged")
        self.refuse(tar(TREE, "w:gz")[:-40], "damaged")
        self.refuse(packed(TREE)[:-30], "damaged")
        self.refuse(tar({"README.md": "x"}), "no folder src/")
        self.refuse(tar({}, more=lambda a: add(a, "src", type=tarfile.DIRTYPE)), "no file in it")


if __name__ == "__main__":
    unittest.main()

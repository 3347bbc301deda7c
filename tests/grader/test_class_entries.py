# SPDX-License-Identifier: BSD-3-Clause
"""What the students of a class hand in, and how: also links, bombs and names that are made to do harm."""

from __future__ import annotations

import io
import os
import tarfile
import unittest
import zipfile
from typing import Any

import test_class
from support import trees, write
from grading.gate import Rejected

if trees.STAFF:
    from staff.course import entries, tarballs

HOSTILE = "<img src=x onerror=alert(1)>\"'&"


def tar(**members: Any) -> bytes:
    """A tarball; a member is bytes, or a TarInfo's facts."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name.replace("__", "/"))
            if isinstance(content, bytes):
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
            else:
                for key, value in content.items():
                    setattr(info, key, value)
                archive.addfile(info)
    return packed.getvalue()


def zipped(**members: bytes) -> bytes:
    """A .zip."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name if "/" in name else name.replace("__", "/"), content)
    return packed.getvalue()


@unittest.skipUnless(trees.STAFF, "classes are the staff's")
class Entries(test_class.House):
    """What students hand in, and how."""

    def open(self, name: str) -> Any:
        """What is to be graded of the only entry."""
        [entry] = entries.find_entries(self.subs)
        self.assertEqual(entry.name, name)
        return entries.open_entry(entry, self.folder())

    def refused(self, why: str) -> None:
        """It is rejected with that."""
        [entry] = entries.find_entries(self.subs)
        with self.assertRaisesRegex(Rejected, why):
            entries.open_entry(entry, self.folder())

    def test_patch_in_a_folder(self) -> None:
        write(self.subs, {"ann/my work": b"a patch"})
        self.assertEqual(self.open("ann").patch, b"a patch")

    def test_tree(self) -> None:
        write(self.subs, {"ann/src/vcpu.c": b"x", "ann/README": b"y"})
        self.assertEqual(self.open("ann").tree, self.subs / "ann")

    def test_tarball_of_a_tree(self) -> None:
        write(self.subs, {"ann.tgz": tar(lab__src__vcpu_c=b"x", lab__README=b"y")})
        self.assertEqual((self.open("ann").tree / "src" / "vcpu_c").read_bytes(), b"x")

    def test_tarball_of_a_patch_in_a_folder(self) -> None:
        write(self.subs, {"ann/work.tar.gz": tar(p=b"a patch")})
        self.assertEqual(self.open("ann").patch, b"a patch")

    def test_zip_of_a_tree_that_is_longer_than_a_patch_may_be(self) -> None:
        write(self.subs, {"ann.zip": zipped(lab__src__vcpu_c=b"x", lab__git=os.urandom(2 << 20))})
        self.assertEqual((self.open("ann").tree / "src" / "vcpu_c").read_bytes(), b"x")

    def test_zip_of_a_patch_in_a_folder(self) -> None:
        write(self.subs, {"ann/work.zip": zipped(p=b"a patch", **{"__MACOSX/p": b"a Mac's"})})
        self.assertEqual(self.open("ann").patch, b"a patch")

    def test_hostile_zips(self) -> None:
        link = zipfile.ZipInfo("src")
        link.external_attr = 0o120777 << 16
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr(link, "/etc")
        for content, why in ((zipped(**{"../out": b"x"}), "outside"), (zipped(**{"/etc/x": b"x"}), "outside"),
                             (packed.getvalue(), "more than plain files"), (zipped(), "empty"),
                             (zipped(a=bytes(999))[:60], "cannot be unpacked")):
            write(self.subs, {"ann.zip": content})
            self.refused(why)
        self.assertFalse((self.root / "out").exists())
        self.patch(tarballs, "MAX_UNPACKED", 1 << 20)
        write(self.subs, {"ann.zip": zipped(a=bytes(1 << 19), b=bytes(1 << 20))})
        self.refused("more than the 1048576 bytes")

    def test_no_ending_and_the_same_name_twice(self) -> None:
        write(self.subs, {"ann.patch": b"", "ann/p": b"", "ben": b""})
        self.assertEqual([each.name for each in entries.find_entries(self.subs)], ["ann", "ann.patch", "ben"])

    def test_folders_that_cannot_be_graded(self) -> None:
        (self.subs / "ann").mkdir()
        self.refused("nothing was handed in")
        write(self.subs, {"ann/a": b"", "ann/b": b""})
        self.refused("2 things in it \\(a, b\\)")

    def test_links(self) -> None:
        (self.subs / "ann").symlink_to("/etc/passwd")
        self.refused("not a plain file")
        (self.subs / "ann").unlink()
        (self.subs / "ann").mkdir()
        (self.subs / "ann" / "src").symlink_to("/usr")
        self.refused("not a plain file")

    def test_hostile_tarballs(self) -> None:
        link = {"type": tarfile.SYMTYPE, "linkname": "/etc"}
        for content, why in ((tar(x={"name": "../out"}), "outside"), (tar(x={"name": "/etc/x"}), "outside"),
                             (tar(src=link), "a link or a device"), (tar(a=b"x")[:40], "cannot be unpacked"),
                             (tar(x={"type": tarfile.CHRTYPE}), "a link or a device"), (tar(), "empty")):
            write(self.subs, {"ann.tar.gz": content})
            self.refused(why)
        self.assertFalse((self.root / "out").exists())

    def test_bombs(self) -> None:
        self.patch(tarballs, "MAX_UNPACKED", 1 << 20)
        write(self.subs, {"ann.tar.gz": tar(x=bytes(2 << 20))})
        self.refused("more than the 1048576 bytes")
        self.patch(tarballs, "MAX_MEMBERS", 3)
        write(self.subs, {"ann.tar.gz": tar(a=b"", b=b"", c=b"", d=b"")})
        self.refused("more than 3 members")
        self.patch(tarballs, "MAX_PACKED", 10)
        self.refused("10 are allowed")

    def test_names(self) -> None:
        names = [HOSTILE.replace("/", ""), "..a", "-rf", "a b", b"\xff\xfe".decode(errors="surrogateescape")]
        for name in names:
            (self.subs / os.fsdecode(name)).write_bytes(b"")
        slugs = [each.slug for each in entries.find_entries(self.subs)]
        self.assertEqual(len(set(slugs)), len(names))
        for slug in slugs:
            self.assertRegex(slug, r"\A[A-Za-z0-9_][A-Za-z0-9._-]*\Z")

    def test_fingerprint(self) -> None:
        write(self.subs, {"ann/src/vcpu.c": b"x", "ann/.git/x": b"1"})
        [entry] = entries.find_entries(self.subs)
        first = entries.fingerprint(entry)
        write(self.subs, {"ann/.git/x": b"2"})
        self.assertEqual(entries.fingerprint(entry), first)
        write(self.subs, {"ann/src/vcpu.c": b"y"})
        self.assertNotEqual(entries.fingerprint(entry), first)


if __name__ == "__main__":
    unittest.main()

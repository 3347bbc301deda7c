# SPDX-License-Identifier: BSD-3-Clause
"""A class of the little house: what was handed in, stopping and going on, the table, hostile input."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import os
import tarfile
import threading
import unittest
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from unittest import mock
from xml.etree import ElementTree

from support import LAB, SOLVED, HouseCase, Text, one, trees, write
from common import CasitaError
from grading import contain
from grading.gate import Rejected
from grading.model import Test, TestResult

if trees.STAFF:
    from staff.course import entries, folder as folders, page, pages, picture, run, similar, table, tarballs, work

HOSTILE = "<img src=x onerror=alert(1)>\"'&"
WRONG = SOLVED.replace("does-exits", "no")
VOID = {"meta", "input", "link", "br", "img"}


class Page(HTMLParser):
    """A page whose tags are all closed, in order; raises if not."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note it."""
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """<path/>."""
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        """It must be the last one opened."""
        assert self.open and self.open[-1] == tag, (tag, self.open[-4:])
        self.open.pop()


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


class House(HouseCase):
    """A class of the little house, and a folder for its results."""

    def setUp(self) -> None:
        super().setUp()
        self.patch(run, "read_lab", lambda number: LAB)
        self.patch(folders, "BUILD", self.root / "build")
        self.patch(work, "scratch_directory", self.scratch)
        self.patch(similar, "scratch_directory", self.scratch)
        self.subs, self.out = self.root / "subs", self.root / "out"
        self.subs.mkdir()

    def scratch(self) -> Any:
        """An own folder in place of one below build/."""
        return mock.MagicMock(__enter__=lambda _: self.folder(), __exit__=lambda *_: None)

    def hand_in(self, **submissions: Any) -> None:
        """A student each: the contents of src/vcpu.c, or bytes as they are."""
        for name, content in submissions.items():
            data = content if isinstance(content, bytes) else self.vcpu_patch(content)
            (self.subs / f"{name}.patch").write_bytes(data)

    def grade(self, **more: Any) -> tuple[int, str]:
        """Grade the class: status and what was said."""
        wish = run.Wish(1, self.subs, self.out, 7, 2)
        said = Text()
        with mock.patch("sys.stdout", said):
            status = run.run(replace(wish, **more), self.runner)
        return status, said.getvalue()

    def rows(self) -> dict[str, dict[str, str]]:
        """results.csv by id."""
        with open(self.out / "results.csv", encoding="utf-8", newline="") as file:
            return {row["id"]: row for row in csv.DictReader(file)}


@unittest.skipUnless(trees.STAFF, "classes are the staff's")
class Class(House):
    """Grading."""

    def test_everybody(self) -> None:
        self.hand_in(ann=SOLVED, ben=WRONG, cyd=SOLVED.replace("static", "statik"), dan=b"no patch", eve=b"")
        status, said = self.grade()
        self.assertEqual(status, 0, said)
        self.assertEqual(self.runner.prepared, 1)
        rows = self.rows()
        scores = {name: (row["score"], row["verdict"]) for name, row in rows.items()}
        self.assertEqual(scores, {"ann": ("15", "PASS"), "ben": ("5", "FAIL"), "cyd": ("0", "BUILD"),
                                  "dan": ("0", "REJECTED"), "eve": ("0", "REJECTED")})
        self.assertEqual(list(rows["ben"]), ["id", "score", "max_score", "verdict", "enter", "exits"])
        self.assertEqual((rows["ben"]["enter"], rows["ben"]["exits"]), ("PASS", "FAIL"))
        document = json.loads((self.out / "students" / "ben" / "result.json").read_text())
        self.assertEqual((document["schema"], document["score"], document["seed"]), ("casita/result/v1", 5, 7))
        self.assertIn("5/5", said)
        self.assertEqual(list((self.root / "build").glob("run/*")), [])

    def test_goes_on(self) -> None:
        self.hand_in(ann=SOLVED, ben=WRONG)
        self.grade()
        before = {path: path.stat().st_mtime_ns for path in self.out.glob("students/*/result.json")}
        self.hand_in(cyd=SOLVED)
        self.hand_in(ben=SOLVED)  # handed in again
        (self.out / "students" / "ann" / "index.html").unlink()
        status, said = self.grade()
        self.assertEqual(status, 0)
        self.assertIn("1 of them before", said)
        after = {path.parent.name: path.stat().st_mtime_ns for path in before}
        self.assertEqual(after["ann"], before[self.out / "students" / "ann" / "result.json"])
        self.assertEqual({name: row["score"] for name, row in self.rows().items()},
                         {"ann": "15", "ben": "15", "cyd": "15"})
        self.assertTrue((self.out / "students" / "ann" / "index.html").is_file())

    def test_half_done_is_redone(self) -> None:
        self.hand_in(ann=SOLVED, ben=SOLVED, cyd=SOLVED)
        self.grade()
        students = self.out / "students"
        (students / "ann" / "entry.json").unlink()
        (students / "ben" / "result.json").write_text('{"verdict": "PA')
        (students / "cyd" / "result.json.new").write_text("half")
        leftover = folders.Folder(self.out.absolute()).work(99)
        write(leftover, {"big": b"x"})
        _, said = self.grade()
        self.assertIn("1 of them before", said)
        self.assertEqual({row["score"] for row in self.rows().values()}, {"15"})
        self.assertFalse(leftover.exists())

    def test_infra_is_no_mark_and_is_graded_again(self) -> None:
        self.hand_in(ann=SOLVED, ben=SOLVED.replace("does-exits", "upsets-exits"))
        status, said = self.grade()
        self.assertEqual(status, 3)
        self.assertIn("ben: INFRA no mark", said)
        self.assertEqual((self.rows()["ben"]["score"], self.rows()["ben"]["verdict"]), ("", "INFRA"))
        self.assertIn("1 without a mark", said)
        _, said = self.grade()
        self.assertIn("1 of them before", said)

    def test_a_bug_stops_nobody_else(self) -> None:
        self.hand_in(ann=SOLVED, ben=SOLVED, cyd=SOLVED)
        grade = one.grade

        def sometimes(order: one.Order, *rest: Any, **more: Any) -> Any:
            if order.submission.patch and b"BUG" in order.submission.patch:
                raise MemoryError("a bug")
            return grade(order, *rest, **more)

        self.hand_in(ben=SOLVED + "/* BUG */\n")
        self.patch(one, "grade", sometimes)
        status, said = self.grade()
        self.assertEqual(status, 3, said)
        self.assertEqual({name: row["verdict"] for name, row in self.rows().items()},
                         {"ann": "PASS", "ben": "INFRA", "cyd": "PASS"})

    def test_control_c(self) -> None:
        self.hand_in(ann=SOLVED, ben=SOLVED.replace("does-exits", "no"), cyd=SOLVED)
        run_test, seen = self.runner.run_test, threading.Event()

        def slow(test: Test, image: Path, *rest: Any) -> TestResult:
            if b"does-exits" not in image.read_bytes():
                seen.set()
                stopped.wait(10)  # killed under it: what comes out now is nobody's mark
            return run_test(test, image, *rest)

        def interrupted(*_: Any) -> None:
            seen.wait(10)
            raise KeyboardInterrupt

        stopped = threading.Event()
        self.patch(self.runner, "run_test", slow)
        with mock.patch.object(contain, "stop_all", stopped.set), \
             mock.patch.object(run.Progress, "ended", interrupted), self.assertRaises(KeyboardInterrupt):
            self.grade()
        self.assertEqual(self.rows()["ben"]["verdict"], "")
        self.assertFalse((self.out / "students" / "ben" / "result.json").exists())
        self.patch(self.runner, "run_test", run_test)
        self.assertEqual(self.grade()[0], 0)
        self.assertEqual(self.rows()["ben"]["verdict"], "FAIL")

    def test_marks_of_two_kinds_are_not_mixed(self) -> None:
        self.hand_in(ann=SOLVED)
        self.grade()
        with self.assertRaisesRegex(CasitaError, "another lab, seed or grader .*seed 7"):
            self.grade(seed=8)
        self.assertEqual(self.grade(seed=8, again=("all",))[0], 0)
        self.assertEqual(json.loads((self.out / "students/ann/result.json").read_text())["seed"], 8)

    def test_again(self) -> None:
        self.hand_in(ann=SOLVED, ben=SOLVED)
        self.grade()
        self.assertIn("1 of them before", self.grade(again=("ben",))[1])
        with self.assertRaisesRegex(CasitaError, "--again bob: nobody"):
            self.grade(again=("bob",))

    def test_two_at_once(self) -> None:
        self.hand_in(ann=SOLVED)
        with folders.Folder(self.out.absolute()).alone():
            with self.assertRaisesRegex(CasitaError, "another grader works"):
                self.grade()

    def test_asked_wrongly(self) -> None:
        with self.assertRaisesRegex(CasitaError, "is empty"):
            self.grade()
        self.hand_in(ann=SOLVED)
        with self.assertRaisesRegex(CasitaError, "inside"):
            self.grade(out=self.subs / "results")
        with self.assertRaisesRegex(CasitaError, "not a folder"):
            self.grade(submissions=self.root / "none")


@unittest.skipUnless(trees.STAFF, "classes are the staff's")
class Entries(House):
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


@unittest.skipUnless(trees.STAFF, "classes are the staff's")
class Pages(House):
    """The table and the pages, also of hostile texts."""

    def row(self, **more: Any) -> Any:
        """A student with one hostile name, and a hostile hidden test that failed."""
        test = {"number": 1, "name": "enter", "title": HOSTILE, "hidden": True, "verdict": "FAIL", "score": 0,
                "max_score": 5, "message": HOSTILE + "\x1b[2J", "last_exits": ["exit 3: CPUID at 0x1", HOSTILE],
                "hint": HOSTILE, "exercise": "1.1", "evidence": {HOSTILE: HOSTILE}}
        result = {"verdict": "FAIL", "score": 0, "max_score": 15, "seed": 1, "message": HOSTILE, "notes": [HOSTILE],
                  "tests": [test, {**test, "number": 2, "name": "exits", "hidden": False, **more}]}
        return table.Row(entries.Entry(HOSTILE, "slug", self.subs), result)

    def test_student(self) -> None:
        text = "".join(pages.student(LAB, self.row(), True))
        self.assertNotIn("<img", text)
        seen = Page(text)
        self.assertFalse([tag for tag, _ in seen.seen if tag in ("script", "img")])
        self.assertIn("hidden", text)
        self.assertEqual(text.count("<svg"), 2)

    def test_for_student(self) -> None:
        row = self.row(message="PUBLIC", title="T", hint="H", last_exits=[])
        row.result["tests"][0].update(name="SECRET", title="SECRET", message="SECRET", hint="SECRET")
        text = "".join(pages.student(LAB, row, False))
        Page(text)
        self.assertNotIn("SECRET", text)
        self.assertIn("PUBLIC", text)
        self.assertIn("hidden test 1", text)

    def test_overview(self) -> None:
        none = table.Row(entries.Entry("zoe", "zoe", self.subs), None)
        likeness = similar.Likeness((similar.Pair(HOSTILE, "(reference)", 90, 80),), compared=("a", "b"))
        text = pages.overview(LAB, [self.row(), none], likeness)
        self.assertNotIn("<img", text)
        seen = Page(text)
        self.assertEqual(len([tag for tag, _ in seen.seen if tag == "script"]), 1)
        for tag, attributes in seen.seen:
            for name in attributes:
                self.assertFalse(name.startswith("on"), (tag, name))
                self.assertNotIn(name, ("src",))
            href = attributes.get("href") or ""
            self.assertNotRegex(href, "^[a-z]+:")
        headers = [attributes for tag, attributes in seen.seen if tag == "th"]
        self.assertTrue(all("scope" in each or "aria-hidden" in each for each in headers))
        self.assertIn("90 %", text)
        self.assertIn("zoe (not graded yet)", text)

    def test_pictures_are_xml(self) -> None:
        for lines in (["exit 1: OUT at 0x1", "exit 2: HLT at 0x2"], [HOSTILE], ["exit 1: " + "x" * 300]):
            root = ElementTree.fromstring(picture.exits(lines, HOSTILE))
            self.assertEqual(len(root.findall("path")), 2 * len(lines))
        self.assertEqual(picture.exits([], "none"), "")

    def test_histogram(self) -> None:
        drawn, numbers = picture.histogram([0, 4, 15, 15], 15)
        ElementTree.fromstring(drawn)
        self.assertEqual(sum(count for _, count in numbers), 4)
        self.assertEqual((numbers[0], numbers[-1]), (("0–1", 1), ("14–15", 2)))
        for most in (1, 5, 10, 15, 100):
            for score in range(most + 1):
                _, numbers = picture.histogram([score], most)
                [text] = [text for text, count in numbers if count]
                low, _, high = text.partition("–")
                self.assertTrue(int(low) <= score <= int(high), (most, score, text))

    def test_csv(self) -> None:
        rows = [table.Row(entries.Entry(name, "x", self.subs), None) for name in ("=1+1", 'a,"b\n', "+x", "ann")]
        found = list(csv.reader(io.StringIO(table.as_csv(rows, LAB))))
        self.assertEqual([row[0] for row in found[1:]], ["'=1+1", 'a,"b\n', "'+x", "ann"])
        self.assertEqual(found[4], ["ann", "", "15", "", "", ""])

    def test_policy_lets_our_script_run(self) -> None:
        text = page.page("t", ["b"], script=True)
        self.assertIn("default-src 'none'", text)
        script = text.split("<script>")[1].split("</script>")[0]
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        self.assertIn(f"script-src 'sha256-{digest}'", text)


@unittest.skipUnless(trees.STAFF, "classes are the staff's")
class Similar(House):
    """Who wrote the same."""

    def test_only_own_lines(self) -> None:
        self.assertEqual(work.added_lines(b"a\nb\n", b"a\nc\nb\nd\n"), "c\nd\n")
        self.hand_in(ann=SOLVED)
        self.grade()
        own = (self.out / "students" / "ann" / "own.c").read_text()
        self.assertIn("does-enter", own)
        self.assertNotIn("#include", own)

    def test_finds_a_renamed_copy(self) -> None:
        if not similar.shutil.which("sim_c"):
            self.skipTest("sim_c is not installed")
        code = "".join(f"\tint w{i} = rooms * {i} + (rooms >> {i});\n\trooms ^= w{i};\n" for i in range(8))
        other = "\tfor (unsigned k = 0; k < 9u; k++)\n\t\tif (k & 1)\n\t\t\trooms--;\n\tdo { rooms++; } while (!rooms);\n"
        body = SOLVED.replace("\t(void)words", "%s\t(void)words")
        self.hand_in(ann=body % code, ben=body % code.replace("w", "longer_name"), cyd=body % other)
        self.grade()
        found = similar.compare(LAB, folders.Folder(self.out.absolute()), entries.find_entries(self.subs))
        self.assertEqual(found.trouble, "")
        best = found.pairs[0]
        self.assertEqual({best.one, best.other}, {"ann", "ben"})
        self.assertGreater(best.back, 80)
        self.assertFalse([pair for pair in found.pairs if {pair.one, pair.other} == {"ann", "cyd"}])

    def test_without_sim(self) -> None:
        self.patch(similar.shutil, "which", lambda name: None)
        self.assertIn("grader/setup.sh class", similar.compare(LAB, folders.Folder(self.out), []).trouble)


if __name__ == "__main__":
    unittest.main()

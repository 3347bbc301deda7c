# SPDX-License-Identifier: BSD-3-Clause
"""The table and the pages of a class, also of hostile texts; and who wrote the same."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import unittest
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import test_class
from support import LAB, SOLVED, trees

if trees.STAFF:
    from staff.course import entries, folder as folders, page, pages, picture, similar, table, work

HOSTILE = "<img src=x onerror=alert(1)>\"'&"

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


@unittest.skipUnless(trees.STAFF, "classes are the staff's")
class Pages(test_class.House):
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
class Similar(test_class.House):
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

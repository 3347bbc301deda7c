# SPDX-License-Identifier: BSD-3-Clause
"""The formats of other systems, held against the fields that they publish."""

from __future__ import annotations

import io
import json
import re
import subprocess
import tarfile
import unittest
import zipfile
from dataclasses import replace
from typing import Any, Mapping
from xml.etree import ElementTree

from support import LAB, ROOT, HouseCase, make_test, trees
from common import CasitaError
from grading.lab import folders, read_lab
from grading.model import Result, TestResult, Verdict
from grading.report import as_json

if trees.STAFF:
    from staff.formats import FORMATS, Settings, convert, live, pack

HOSTILE = "<b>&]]>\x00\x1b[2J\ud800\uffff"
HIDDEN = make_test("secret", 5, hidden=True, title="SECRET", hint="SECRET")
THREE = replace(LAB, tests=(*LAB.tests, HIDDEN))
ENV = {"CLASSROOM": "os", "ASSIGNMENT": "lab1", "SUBMISSION_TAG": "submit/1", "COMMIT_URL": "https://c",
       "RELEASE_URL": "https://r"}

# What each site documents: the type of every field, and which must be there.
GRADESCOPE = {"score": (int, float), "execution_time": (int, float), "output": str, "output_format": str,
              "test_output_format": str, "test_name_format": str, "visibility": str, "stdout_visibility": str,
              "extra_data": dict, "tests": list, "leaderboard": list}
GRADESCOPE_TEST = {"score": (int, float), "max_score": (int, float), "status": str, "name": str, "name_format": str,
                   "number": str, "output": str, "output_format": str, "tags": list, "visibility": str,
                   "extra_data": dict}
VISIBILITY = {"hidden", "after_due_date", "after_published", "visible"}
CLASSROOM50 = {"schema": str, "classroom": str, "assignment": str, "submission": str, "commit": str, "release": str,
               "review": str, "datetime": str, "score": int, "max-score": int, "tests": list}
CLASSROOM50_TEST = {"test-name": str, "passed": bool, "score": int, "max-score": int}
PRAIRIELEARN = {"gradable": bool, "score": float, "message": str, "output": str, "images": list, "tests": list,
                "format_errors": list}
PRAIRIELEARN_TEST = {"name": str, "description": str, "points": (int, float), "max_points": (int, float),
                     "message": str, "output": str, "images": list}


def result(*verdicts: Verdict, message: str = "", whole: Verdict = Verdict.FAIL) -> Result:
    """A result of the three tests."""
    found = tuple(
        TestResult(test, verdict, test.points if verdict is Verdict.PASS else 0, f"SECRET{HOSTILE}"
                   if test.hidden else f"expected this{HOSTILE}", {}, 0.5, [f"exit 1: {HOSTILE}"])
        for test, verdict in zip(THREE.tests, verdicts)
    )
    return Result(THREE, 3, whole, found, message, seconds={"total": 2.5})


MIXED = (Verdict.PASS, Verdict.FAIL, Verdict.LIMIT)


@unittest.skipUnless(trees.STAFF, "the formats are the staff's")
class Formats(HouseCase):
    """Each of them, of a mixed result, a whole one, one that does not build, and one without a mark."""

    def text(self, name: str, of: Result, **more: Any) -> str:
        """The file."""
        text = convert(name, as_json(of), Settings(ENV, **more))
        assert text is not None
        return text

    def fields(self, document: Mapping[str, Any], known: Mapping[str, Any], needed: str) -> None:
        """Only published fields, of their types, and those that must be there."""
        for name, value in document.items():
            self.assertIn(name, known)
            self.assertIsInstance(value, known[name], name)
            self.assertFalse(isinstance(value, bool) and known[name] is not bool, name)
        for name in needed.split():
            self.assertIn(name, document)

    def test_json_is_ours(self) -> None:
        self.assertEqual(json.loads(self.text("json", result(*MIXED))), json.loads(json.dumps(as_json(result(*MIXED)))))

    def test_gradescope(self) -> None:
        document = json.loads(self.text("gradescope", result(*MIXED)))
        self.fields(document, GRADESCOPE, "score tests output execution_time")
        self.assertEqual((document["score"], document["execution_time"]), (5, 2.5))
        self.assertIn(document["stdout_visibility"], VISIBILITY)
        for test in document["tests"]:
            self.fields(test, GRADESCOPE_TEST, "score max_score name status output")
            self.assertIn(test["visibility"], VISIBILITY)
            self.assertIn(test["status"], ("passed", "failed"))
            self.assertIn(test["output_format"], ("text", "html", "simple_format", "md", "ansi"))
        self.assertEqual([test["status"] for test in document["tests"]], ["passed", "failed", "failed"])
        self.assertEqual([test["visibility"] for test in document["tests"]], ["visible", "visible", "hidden"])
        self.assertEqual(sum(test["score"] for test in document["tests"]), document["score"])
        self.assertEqual(sum(test["max_score"] for test in document["tests"]), THREE.points)

    def test_gradescope_does_not_build(self) -> None:
        of = result(*[Verdict.BUILD] * 3, message="vcpu.c:1: error", whole=Verdict.BUILD)
        document = json.loads(self.text("gradescope", of))
        self.assertEqual(document["score"], 0)
        self.assertIn("vcpu.c:1: error", document["output"])
        self.assertIn("vcpu.c:1: error", document["tests"][0]["output"])

    def test_gradescope_without_a_mark(self) -> None:
        of = result(Verdict.PASS, Verdict.INFRA, Verdict.PASS, whole=Verdict.INFRA)
        document = json.loads(self.text("gradescope", of))
        self.assertNotIn("score", document)
        self.assertNotIn("tests", document)

    def test_gradescope_after_each_test(self) -> None:
        path = self.folder() / "results.json"
        writer = live.Live("gradescope", path, THREE, 3, THREE.tests)
        whole = result(Verdict.PASS, Verdict.PASS, Verdict.FAIL)
        seen = []
        for each in (whole.results[1], whole.results[0], whole.results[2]):
            writer.ended(each)
            document = json.loads(path.read_text())
            self.fields(document, GRADESCOPE, "score tests")
            self.assertEqual(len(document["tests"]), 3)
            seen.append(document["score"])
        self.assertEqual(seen, [10, 15, 15])
        self.assertIn("Stopped before the end", document["output"])
        writer.finish(whole)
        self.assertNotIn("Stopped before the end", path.read_text())
        self.assertEqual([each.name for each in path.parent.iterdir()], ["results.json"])

    def test_junit(self) -> None:
        for of in (result(*MIXED), result(*[Verdict.BUILD] * 3, message=HOSTILE, whole=Verdict.BUILD)):
            root = ElementTree.fromstring(self.text("junit", of).encode())
            [suite] = root.findall("testsuite")
            cases = suite.findall("testcase")
            for element in (root, suite):
                self.assertEqual(int(element.attrib["tests"]), len(cases))
                self.assertEqual(int(element.attrib["failures"]), len(suite.findall("testcase/failure")))
                self.assertEqual(int(element.attrib["errors"]), len(suite.findall("testcase/error")))
                float(element.attrib["time"])
            for case in cases:
                self.assertTrue(case.attrib["name"] and case.attrib["classname"])
                float(case.attrib["time"])
                self.assertLessEqual(len(list(case)), 1)
        self.assertEqual((suite.attrib["errors"], suite.attrib["failures"]), ("3", "0"))

    def test_junit_counts(self) -> None:
        root = ElementTree.fromstring(self.text("junit", result(*MIXED)).encode())
        self.assertEqual((root.attrib["failures"], root.attrib["errors"]), ("2", "0"))
        failure = root.find("testsuite/testcase/failure")
        assert failure is not None
        self.assertIn("expected this", failure.attrib["message"])

    def test_autolab(self) -> None:
        self.assertEqual(json.loads(self.text("autolab", result(*MIXED))), {"scores": {"Lab 1": 5}})
        self.assertEqual(self.text("autolab", result(*MIXED)).count("\n"), 1)
        line = convert("autolab", as_json(result(*MIXED)), Settings({"CASITA_PROBLEM": "P"}))
        self.assertEqual(line, '{"scores": {"P": 5}}\n')

    def test_autolab_last_line(self) -> None:
        writer = live.Live("autolab", None, THREE, 3, THREE.tests)
        said = writer.finish(result(*MIXED))
        self.assertEqual(said.splitlines()[-1], '{"scores": {"Lab 1": 5}}')
        self.assertIn("expected this", said)
        self.assertNotIn("SECRET", said)

    def test_classroom50(self) -> None:
        document = json.loads(self.text("classroom50", result(*MIXED)))
        self.fields(document, CLASSROOM50, " ".join(CLASSROOM50))
        self.assertEqual((document["schema"], document["score"], document["max-score"]),
                         ("classroom50/result/v1", 5, 20))
        self.assertRegex(document["datetime"], r"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\Z")
        for test in document["tests"]:
            self.fields(test, CLASSROOM50_TEST, " ".join(CLASSROOM50_TEST))
        self.assertEqual([test["passed"] for test in document["tests"]], [True, False, False])
        with self.assertRaisesRegex(CasitaError, "CLASSROOM.*runner"):
            convert("classroom50", as_json(result(*MIXED)), Settings({}))

    def test_prairielearn(self) -> None:
        document = json.loads(self.text("prairielearn", result(*MIXED)))
        self.fields(document, PRAIRIELEARN, "score gradable tests")
        self.assertEqual((document["score"], document["gradable"]), (0.25, True))
        for test in document["tests"]:
            self.fields(test, PRAIRIELEARN_TEST, "name points max_points")
        of = result(*[Verdict.REJECTED] * 3, message="touches Makefile", whole=Verdict.REJECTED)
        document = json.loads(self.text("prairielearn", of))
        self.fields(document, PRAIRIELEARN, "gradable format_errors")
        self.assertFalse(document["gradable"])
        self.assertIn("touches Makefile", document["format_errors"][0])

    def test_prairielearn_is_under_a_megabyte(self) -> None:
        many = tuple(TestResult(make_test(f"t{i}"), Verdict.FAIL, 0, "x" * 100_000) for i in range(40))
        lab = replace(LAB, tests=tuple(each.test for each in many))
        self.assertLess(len(self.text("prairielearn", Result(lab, 1, Verdict.FAIL, many))), 1 << 20)

    def test_without_a_mark(self) -> None:
        of = as_json(result(*[Verdict.INFRA] * 3, message="no disk", whole=Verdict.INFRA))
        self.assertIsNone(convert("autolab", of, Settings(ENV)))
        self.assertIsNone(convert("classroom50", of, Settings(ENV)))
        self.assertFalse(json.loads(convert("prairielearn", of, Settings(ENV)) or "")["gradable"])
        self.assertIn('errors="3"', convert("junit", of, Settings(ENV)) or "")
        path = self.folder() / "result.json"
        path.write_text("an old one")
        live.Live("classroom50", path, THREE, 3, THREE.tests).finish(result(*[Verdict.INFRA] * 3, whole=Verdict.INFRA))
        self.assertFalse(path.exists())

    def test_nobody_tells_of_hidden_tests(self) -> None:
        for name in FORMATS:
            if name != "json":
                self.assertNotIn("SECRET", self.text(name, result(*MIXED)), name)
                self.assertNotIn("secret", self.text(name, result(*MIXED)), name)

    def test_no_control_characters(self) -> None:
        for name in FORMATS:
            self.assertIsNone(re.search(r"[\x00-\x09\x0b-\x1f]|\\u00[01]", self.text(name, result(*MIXED))), name)

    def test_unknown(self) -> None:
        with self.assertRaisesRegex(CasitaError, "no format moodle; there are: json gradescope"):
            convert("moodle", as_json(result(*MIXED)))


@unittest.skipUnless(trees.STAFF, "the formats are the staff's")
class Pack(HouseCase):
    """What a site takes."""

    FILES = [("grader/grade", b"#!", True), ("solutions/x", b"y", False)]

    def test_gradescope(self) -> None:
        self.patch(pack, "_files", lambda: iter(self.FILES))
        self.patch(pack, "read_lab", lambda lab: LAB)
        [path] = pack.pack("gradescope", 1, self.folder())
        with zipfile.ZipFile(path) as archive:
            names = {info.filename: info.external_attr >> 16 & 0o777 for info in archive.infolist()}
            run = archive.read("run_autograder").decode()
        self.assertEqual(names, {"setup.sh": 0o755, "run_autograder": 0o755, "casita/grader/grade": 0o755,
                                 "casita/solutions/x": 0o644})
        self.assertTrue(run.startswith("#!/bin/sh\n"))
        self.assertIn("--lab 1 ", run)
        self.assertNotIn("@LAB@", run)

    def test_autolab(self) -> None:
        self.patch(pack, "_files", lambda: iter(self.FILES))
        self.patch(pack, "read_lab", lambda lab: LAB)
        makefile, archive = pack.pack("autolab", 1, self.folder())
        self.assertEqual((makefile.name, archive.name), ("autograde-Makefile", "autograde.tar"))
        with tarfile.open(fileobj=io.BytesIO(archive.read_bytes())) as packed:
            self.assertEqual({m.name: m.mode for m in packed}, {"casita/grader/grade": 0o755, "casita/solutions/x": 0o644})
        self.assertIn("autograde.tar", makefile.read_text())

    def test_unknown(self) -> None:
        with self.assertRaisesRegex(CasitaError, "gradescope autolab"):
            pack.pack("moodle", 1, self.folder())


@unittest.skipUnless(trees.STAFF, "templates are the staff's")
class Templates(unittest.TestCase):
    """What a course copies: it installs what grading needs, and lets submissions have their sandbox."""

    def text(self, name: str) -> str:
        """A template."""
        return (ROOT / "grader" / "staff" / "templates" / name).read_text()

    def test_engines_are_installed(self) -> None:
        words = ["sh", "-c", "eval \"$(sed -n '/^run=/,/^docs=/p' grader/setup.sh)\"; echo $grade $class"]
        packages = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
        engines = {test.engine for number in folders() for test in read_lab(number).tests}
        for engine in engines:
            self.assertIn({"qemu": "qemu-system-x86"}.get(engine, engine), packages)
        for name in ("Dockerfile", "grade.yml", "gradescope-setup.sh", "autograde-Makefile"):
            self.assertRegex(self.text(name), r"setup\.sh grade class\b", name)

    def test_containers_allow_sandboxes(self) -> None:
        for name in ("seccomp", "apparmor", "systempaths"):
            self.assertIn(f"--security-opt {name}=unconfined", self.text("Dockerfile"))
        self.assertRegex(self.text("grade.yml"), r"container:\n +image: debian:12\n +options: --privileged\n")


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: BSD-3-Clause
"""JUnit's XML, which continuous integration reads: a suite a lab, a case a test."""

from __future__ import annotations

import re
from typing import Any, Mapping
from xml.etree import ElementTree

from . import Settings, heading, output, title

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ERRORS = ("INFRA", "BUILD", "REJECTED")


def convert(result: Mapping[str, Any], settings: Settings) -> str:
    """The whole document."""
    del settings
    lab, tests = result["lab"], result["tests"]
    verdicts = [test["verdict"] for test in tests]
    counts = {
        "tests": str(len(tests)),
        "failures": str(sum(each in ("FAIL", "LIMIT") for each in verdicts)),
        "errors": str(sum(each in _ERRORS for each in verdicts)),
        "time": f"{result['times'].get('total', 0):.3f}",
    }
    name = f"Casita lab {lab['number']}: {lab['name']}"
    root = ElementTree.Element("testsuites", {"name": "Casita", **counts})
    suite = ElementTree.SubElement(root, "testsuite", {"name": name, **counts, "skipped": "0"})
    score = "none" if result["score"] is None else f"{result['score']}/{result['max_score']}"
    properties = ElementTree.SubElement(suite, "properties")
    for key, value in (("score", score), ("seed", result["seed"]), ("verdict", result["verdict"])):
        ElementTree.SubElement(properties, "property", {"name": key, "value": str(value)})
    for test in tests:
        _case(suite, test, result)
    ElementTree.SubElement(suite, "system-out").text = _legal(heading(result))
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _case(suite: ElementTree.Element, test: Mapping[str, Any], result: Mapping[str, Any]) -> None:
    seconds = result["times"]["tests"].get(test["name"], 0)
    facts = {
        "name": title(test),
        "classname": f"lab{result['lab']['number']}",
        "time": f"{seconds:.3f}",
    }
    case = ElementTree.SubElement(suite, "testcase", {k: _legal(v) for k, v in facts.items()})
    verdict = test["verdict"]
    if verdict == "PASS":
        return
    text = output(test, result["message"])
    first = text.split("\n", 2)[1:2] or [verdict]
    kind = "error" if verdict in _ERRORS else "failure"
    ElementTree.SubElement(case, kind, {"type": verdict, "message": _legal(first[0])}).text = _legal(text)


def _legal(text: str) -> str:
    """XML has no way at all to write some characters."""
    return _NOT_XML.sub("\ufffd", text)

# SPDX-License-Identifier: BSD-3-Clause
"""Gradescope's results.json: https://gradescope-autograders.readthedocs.io/en/latest/specs/

Gradescope stops a grader after ten minutes and then takes the file that is there, so it is rewritten
after each test (live.py). A result that is no mark has no score and no tests: Gradescope then shows that
the autograder failed, which is what happened.
"""

from __future__ import annotations

import json
from typing import Any, Mapping

from . import Settings, heading, output, title


def convert(result: Mapping[str, Any], settings: Settings) -> str:
    """results.json."""
    infra = result["verdict"] == "INFRA"
    waiting = "" if settings.finished else "\nStopped before the end: the other tests have no marks."
    document: dict[str, Any] = {
        "output": heading(result) + waiting,
        "output_format": "text",
        "stdout_visibility": "hidden",
        "extra_data": {
            "casita": {key: result[key] for key in ("seed", "submission_sha256", "image_sha256", "verdict")}
        },
    }
    if "total" in result["times"]:
        document["execution_time"] = result["times"]["total"]
    if not infra:
        document["score"] = sum(test["score"] for test in result["tests"])
        document["tests"] = [_test(test, result["message"]) for test in result["tests"]]
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _test(test: Mapping[str, Any], whole: str) -> dict[str, Any]:
    passes = test["verdict"] == "PASS"
    return {
        "name": title(test),
        "number": str(test["number"]),
        "score": test["score"],
        "max_score": test["max_score"],
        "status": "passed" if passes else "failed",
        "output": output(test, "" if passes else whole),
        "output_format": "text",
        "name_format": "text",
        "visibility": "hidden" if test["hidden"] else "visible",
        "tags": [f"exercise {test['exercise']}"],
    }

# SPDX-License-Identifier: BSD-3-Clause
"""PrairieLearn's results/results.json: https://prairielearn.readthedocs.io/en/latest/externalGrading/

What was not run is not gradable there: it costs the student no attempt. The file may have 1 MB.
"""

from __future__ import annotations

import json
from typing import Any, Mapping

from . import Settings, heading, output, title

_NOT_RUN = ("BUILD", "REJECTED", "INFRA")
_MAX_TEXT = 16_000  # characters of one test


def convert(result: Mapping[str, Any], settings: Settings) -> str:
    """results.json."""
    del settings
    if result["verdict"] in _NOT_RUN:
        document: dict[str, Any] = {"gradable": False, "format_errors": [heading(result)[:_MAX_TEXT]]}
        return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    document = {
        "gradable": True,
        "score": result["score"] / result["max_score"],
        "message": heading(result)[:_MAX_TEXT],
        "tests": [
            {
                "name": title(test),
                "description": "" if test["hidden"] else test["title"],
                "points": test["score"],
                "max_points": test["max_score"],
                "message": test["verdict"],
                "output": output(test)[:_MAX_TEXT],
            }
            for test in result["tests"]
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"

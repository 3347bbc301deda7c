# SPDX-License-Identifier: BSD-3-Clause
"""Classroom 50's result.json, schema classroom50/result/v1.

Its runner gives names and addresses in the environment (CLASSROOM, ASSIGNMENT, SUBMISSION_TAG,
COMMIT_URL, RELEASE_URL, REVIEW_URL), and itself adds who the owner is.
"""

from __future__ import annotations

import datetime
import json
from typing import Any, Mapping

from common import CasitaError
from . import Settings, title

_NAMES = {
    "classroom": "CLASSROOM",
    "assignment": "ASSIGNMENT",
    "submission": "SUBMISSION_TAG",
    "commit": "COMMIT_URL",
    "release": "RELEASE_URL",
}


def convert(result: Mapping[str, Any], settings: Settings) -> str | None:
    """result.json; None: there is no mark."""
    if result["score"] is None:
        return None
    env = settings.env
    missing = [name for name in _NAMES.values() if not env.get(name)]
    if missing:
        raise CasitaError(f"{', '.join(missing)}: not set; Classroom 50's runner does that")
    now = datetime.datetime.now(datetime.timezone.utc)
    document = {
        "schema": "classroom50/result/v1",
        **{key: env[name] for key, name in _NAMES.items()},
        "review": env.get("REVIEW_URL") or env["COMMIT_URL"],
        "datetime": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "score": result["score"],
        "max-score": result["max_score"],
        "tests": [
            {
                "test-name": title(test),
                "passed": test["verdict"] == "PASS",
                "score": test["score"],
                "max-score": test["max_score"],
            }
            for test in result["tests"]
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"

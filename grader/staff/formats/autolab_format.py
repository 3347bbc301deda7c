# SPDX-License-Identifier: BSD-3-Clause
"""Autolab reads the last line of what the grader prints: {"scores": {"Lab 1": 85}}.

The name must be that of the assessment's problem; CASITA_PROBLEM gives another than "Lab N".
"""

from __future__ import annotations

import json
from typing import Any, Mapping

from . import Settings


def convert(result: Mapping[str, Any], settings: Settings) -> str | None:
    """The line; None: there is no mark, and Autolab is to say that grading failed."""
    if result["score"] is None:
        return None
    problem = settings.env.get("CASITA_PROBLEM") or f"Lab {result['lab']['number']}"
    return json.dumps({"scores": {problem: result["score"]}}) + "\n"

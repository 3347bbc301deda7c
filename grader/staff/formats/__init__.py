# SPDX-License-Identifier: BSD-3-Clause
"""result.json, as other systems want it: `grader/grade one … --format NAME --out FILE`.

Each module has convert(result, settings) -> text, of the object that grader/RESULT.md describes, or None:
then there is nothing to be handed over, because the result is no mark (INFRA). What hidden tests say is
never told; that they are there, and their marks, is.
"""

from __future__ import annotations

import importlib
import os
from dataclasses import dataclass, field
from typing import Any, Mapping

from common import CasitaError

FORMATS = ("json", "gradescope", "junit", "autolab", "classroom50", "prairielearn")
_HIDDEN = "A hidden test: what it does is not told."


@dataclass(frozen=True)
class Settings:
    """What a format may ask for besides the result."""

    env: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    finished: bool = True  # false: some tests have not ended yet


def convert(name: str, result: Mapping[str, Any], settings: Settings = Settings()) -> str | None:
    """The result in the format of that name."""
    if name not in FORMATS:
        raise CasitaError(f"there is no format {name}; there are: {' '.join(FORMATS)}")
    text: str | None = importlib.import_module(f"staff.formats.{name}_format").convert(result, settings)
    return text


def title(test: Mapping[str, Any]) -> str:
    """What a student sees as the test's name."""
    if test["hidden"]:
        return f"hidden test {test['number']}"
    return f"{test['name']}: {test['title']}"


def output(test: Mapping[str, Any], whole: str = "") -> str:
    """What a student reads of the test. `whole`: what is said of the submission."""
    if test["verdict"] == "PASS":
        return "passes"
    if test["hidden"] and not whole:
        return f"{test['verdict']}. {_HIDDEN}"
    text = [test["verdict"], whole or test["message"]]
    if not whole and test["last_exits"]:
        text += ["last exits:", *(f"    {line}" for line in test["last_exits"])]
    if not whole:
        text += [f"hint: {test['hint']}", f"see exercise {test['exercise']} of the handout"]
    return "\n".join(filter(None, text))


def heading(result: Mapping[str, Any]) -> str:
    """What is said of the submission as a whole."""
    lab = result["lab"]
    text = [f"Casita, lab {lab['number']}, {lab['name']}: {result['verdict']}, seed {result['seed']}"]
    return "\n".join([*text, *filter(None, [result["message"]]), *result["notes"]])

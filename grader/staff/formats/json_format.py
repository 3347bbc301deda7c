# SPDX-License-Identifier: BSD-3-Clause
"""Casita's own: grader/RESULT.md."""

from __future__ import annotations

import json
from typing import Any, Mapping

from . import Settings


def convert(result: Mapping[str, Any], settings: Settings) -> str:
    """As it is."""
    del settings
    return json.dumps(result, indent=2, ensure_ascii=False) + "\n"

# SPDX-License-Identifier: BSD-3-Clause
"""The same work on a cluster: an array job of Slurm, a task a student."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Sequence

from common import CasitaError
from .entries import Entry
from .folder import Folder
from .progress import Progress


@dataclass(frozen=True)
class Cluster:
    """How the job is submitted."""

    at_once: int = 0  # tasks side by side; 0: as many as the cluster runs
    partition: str = ""


def grade(
    cluster: Cluster, folder: Folder, waiting: Sequence[tuple[int, Entry]], key: str, progress: Progress
) -> None:
    """Submit, wait, and let come in what each task wrote."""
    raise CasitaError("not yet")

# SPDX-License-Identifier: BSD-3-Clause
"""A regrade bundle: one tar file with all that a verdict came from, and what is needed to repeat it.

    request.json         which lab, seed, tests; which grader and compiler
    submission.patch     what was handed in, as it was; or
    submission/src/…     of a tree, the files that the lab lets a student change
    result.json          what came out
    casita.elf           the image that was booted
    tests/NAME/…         each test's evidence: QEMU's log, the counts, the serial line

`grader/grade regrade FILE` grades it again and compares the results, byte for byte but for the times.
"""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

from common import ROOT, CasitaError
from . import archive, one, report, trees
from .gate import read_plain
from .lab import choose, folders, read_lab
from .model import Result

SCHEMA = "casita/bundle/v1"
_MAX_MEMBER = 16 << 20
_NOT_COMPARED = ("times", "notes")
_README = """\
This is a regrade bundle of Casita's grader: result.json says what came out, tests/ has the evidence,
casita.elf is the image that was booted. To grade it again and compare:

    grader/grade regrade {name}
"""


def write(order: one.Order, result: Result, directory: Path, path: Path) -> None:
    """Write the bundle of a grading that was done in this directory."""
    fresh = path.with_name(path.name + ".new")
    with tarfile.open(fresh, "w", format=tarfile.PAX_FORMAT) as out:
        _add(out, "README", _README.format(name=path.name).encode())
        _add(out, "request.json", _json(_request(order)))
        _add(out, "result.json", _json(report.as_json(result)))
        for name, content in _submission(order).items():
            _add(out, name, content)
        image = directory / "build" / "casita.elf"
        if image.is_file():
            _add(out, "casita.elf", image.read_bytes())
        for file in sorted((directory / "tests").glob("*/*")):
            if file.is_file() and not file.is_symlink() and file.name not in ("disk.img", "casita.elf"):
                with open(file, "rb") as stream:
                    _add(out, str(file.relative_to(directory)), stream.read(_MAX_MEMBER))
    fresh.replace(path)


def read(path: Path, jobs: int, directory: Path) -> tuple[one.Order, dict[str, Any]]:
    """The order to grade it again, and the result that it had. The directory is empty."""
    try:
        with tarfile.open(path, "r:") as archived:
            members = {m.name: m for m in archived.getmembers() if m.isreg() and m.size <= _MAX_MEMBER}

            def content(name: str) -> bytes:
                file = archived.extractfile(members[name])
                return file.read() if file else b""

            request = json.loads(content("request.json"))
            before = json.loads(content("result.json"))
            patch = content("submission.patch") if "submission.patch" in members else None
            lab = read_lab(int(request["lab"]))
            allowed = {name for number in folders() for name in read_lab(number).files}
            if not allowed.issuperset(request["files"]):
                raise ValueError("it names files that no lab has")
            if patch is None:
                handout = trees.handout(int(request["stage"])).tree
                shutil.copytree(handout, directory, symlinks=True, dirs_exist_ok=True)
            for name in request["files"] if patch is None else ():
                (directory / name).unlink(missing_ok=True)
                if f"submission/{name}" in members:
                    (directory / name).parent.mkdir(parents=True, exist_ok=True)
                    (directory / name).write_bytes(content(f"submission/{name}"))
    except (tarfile.TarError, OSError, ValueError, KeyError, TypeError) as error:
        raise CasitaError(f"{path} is no regrade bundle: {error}") from None
    if request.get("schema") != SCHEMA:
        raise CasitaError(f"{path} is no bundle of this grader: its schema is {request.get('schema')!r}")
    tests = tuple(choose(lab, name)[0] for name in request["tests"])
    submission = one.Submission(patch=patch) if patch is not None else one.Submission(tree=directory)
    stage, files = int(request["stage"]), tuple(map(str, request["files"]))
    return one.Order(lab, tests, submission, int(request["seed"]), stage, files, jobs), before


def differences(before: Any, after: Any, where: str = "") -> list[str]:
    """What differs between two results; the rest of a tree, which notes are about, is not in a bundle."""
    if isinstance(before, dict) and isinstance(after, dict):
        found = []
        for key in [*before, *(key for key in after if key not in before)]:
            if where or key not in _NOT_COMPARED:
                found += differences(before.get(key), after.get(key), f"{where}.{key}".lstrip("."))
        return found
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        return [d for i, (b, a) in enumerate(zip(before, after)) for d in differences(b, a, f"{where}[{i}]")]
    return [] if before == after else [f"{where}: it was {before!r}, and is {after!r}"]


def _request(order: one.Order) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "lab": order.lab.number,
        "stage": order.stage,
        "files": list(order.files),
        "seed": order.seed,
        "tests": [test.name for test in order.tests],
        "versions": {name: _version(name) for name in ("qemu-system-x86_64", "gcc", "git")},
    }


def _submission(order: one.Order) -> dict[str, bytes]:
    if order.submission.patch is not None:
        return {"submission.patch": order.submission.patch[: archive.MAX_ARCHIVE]}
    reference = trees.reference(order.stage)
    tree = order.submission.tree or (reference.tree if reference else ROOT)
    found = {name: read_plain(tree, name)[0] for name in order.files} if (tree / "src").is_dir() else {}
    return {f"submission/{name}": text for name, text in found.items() if text is not None}


def _version(program: str) -> str:
    try:
        done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.partition("\n")[0]


def _json(document: Any) -> bytes:
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()


def _add(out: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(content), 0o644
    out.addfile(info, io.BytesIO(content))

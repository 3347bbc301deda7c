# SPDX-License-Identifier: BSD-3-Clause
"""Packs this checkout for a site that grades by itself: `grader/grade pack gradescope --lab 1 --out DIR`.

    gradescope    DIR/gradescope-lab1.zip: setup.sh, run_autograder, casita/
    autolab       DIR/autograde-Makefile, DIR/autograde.tar

What is packed holds the solutions and the hidden tests, as grading needs them: it is for the site alone.
"""

from __future__ import annotations

import io
import os
import stat
import subprocess
import tarfile
import zipfile
from pathlib import Path
from typing import Iterator

from common import ROOT, CasitaError
from grading.lab import read_lab

SITES = ("gradescope", "autolab")
_TEMPLATES = ROOT / "grader" / "staff" / "templates"
_LEFT_OUT = ("tests/", "slides/")
_WHEN = (2020, 1, 1, 0, 0, 0)


def pack(site: str, lab: int, out: Path) -> list[Path]:
    """Write the files for a site; their names."""
    if site not in SITES:
        raise CasitaError(f"nothing is known of {site}; there are: {' '.join(SITES)}")
    read_lab(lab)
    out.mkdir(parents=True, exist_ok=True)
    if site == "gradescope":
        return [_zip(lab, out / f"gradescope-lab{lab}.zip")]
    makefile, archive = out / "autograde-Makefile", out / "autograde.tar"
    makefile.write_bytes(_template("autograde-Makefile", lab))
    _tar(archive)
    return [makefile, archive]


def _template(name: str, lab: int) -> bytes:
    return (_TEMPLATES / name).read_text().replace("@LAB@", str(lab)).encode()


def _files() -> Iterator[tuple[str, bytes, bool]]:
    """Every file of the checkout that grading needs: name, content, whether it is executable."""
    words = ["git", "ls-files", "-co", "-z", "--exclude-standard"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, check=False)
    if done.returncode:
        raise CasitaError(f"git ls-files failed: {done.stderr.decode(errors='replace').strip()}")
    for name in sorted(filter(None, done.stdout.decode().split("\0"))):
        path = ROOT / name
        if path.is_file() and not path.is_symlink() and not name.startswith(_LEFT_OUT):
            yield name, path.read_bytes(), os.access(path, os.X_OK)


def _zip(lab: int, path: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:

        def add(name: str, content: bytes, executable: bool) -> None:
            facts = zipfile.ZipInfo(name, _WHEN)
            facts.external_attr = (stat.S_IFREG | (0o755 if executable else 0o644)) << 16
            facts.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(facts, content)

        add("setup.sh", _template("gradescope-setup.sh", lab), True)
        add("run_autograder", _template("gradescope-run_autograder", lab), True)
        for name, content, executable in _files():
            add(f"casita/{name}", content, executable)
    return path


def _tar(path: Path) -> None:
    with tarfile.open(path, "w") as archive:
        for name, content, executable in _files():
            facts = tarfile.TarInfo(f"casita/{name}")
            facts.size, facts.mode = len(content), 0o755 if executable else 0o644
            archive.addfile(facts, io.BytesIO(content))

# SPDX-License-Identifier: BSD-3-Clause
"""Cuts the tree of one stage, with the holes of some labs open, from this checkout.

    cut_tree(2, 1, directory)     lab 2's handout
    cut_tree(2, 2, directory)     lab 2 solved: stage 2

What a file is, decides what happens to it:

    src/*.c, *.h, *.S     those that the stage's configuration links, and the headers they include,
                          through unifdef with STAGE and SOLVED
    Kconfig, Makefiles    without the entries of later stages, and without what only staff needs
    guests/               those that the stage can run
    labs/                 up to this one
    grader/               all but staff/
    the rest              LICENSE, .gitignore, .clang-format, and a README.md of its own

In text files whose comments begin with #, lines from "#{ staff" to "#}" are for this checkout only.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import tomllib
from pathlib import Path
from typing import Iterable

from common import ROOT, CasitaError

_ALWAYS = ["LICENSE", ".gitignore", ".clang-format", "Makefile"]
_SRC_EXTRA = ["Makefile", "Kconfig", "Doxyfile", "host/casita.lds", "host/symbols.awk", "host/symbols.mk"]
_README = "grader/staff/handout.md"
_STAFF_ONLY = re.compile(r"^#\{ staff\n.*?^#\}\n", re.MULTILINE | re.DOTALL)
_INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)
_STAGE = re.compile(r"^\tdepends on STAGE (>=|=) (\d+)\n", re.MULTILINE)
_PROGRAMS = re.compile(r"grader/grading/programs/lab(\d+)\w*\.py")  # a lab's seeded guests
_LINUX_STAGE = 6  # the stage that boots Linux


def last_stage() -> int:
    """The last stage that src/Kconfig knows."""
    match = re.search(r"^\trange 0 (\d+)$", (ROOT / "src/Kconfig").read_text(), re.MULTILINE)
    if not match:
        raise CasitaError("src/Kconfig does not say which stages there are")
    return int(match[1])


def lab_folders() -> dict[int, Path]:
    """labs/N-name by number."""
    return {int(p.name.split("-")[0]): p for p in (ROOT / "labs").glob("[0-9]*-*") if p.is_dir()}


def cut_tree(lab: int, solved: int, directory: Path) -> None:
    """Write the tree of stage `lab`, solved up to lab `solved`, into an empty or new directory."""
    if not 0 <= lab <= last_stage():
        raise CasitaError(f"there is no stage {lab}; there are 0 to {last_stage()}")
    if not shutil.which("unifdef"):
        raise CasitaError("unifdef is not installed; run `make setup`")
    directory.mkdir(parents=True, exist_ok=True)
    if any(directory.iterdir()):
        raise CasitaError(f"{directory} is not empty; a tree is cut into an empty folder")
    for name in _ALWAYS:
        _copy_text(name, directory)
    _cut_src(lab, solved, directory)
    _cut_guests(lab, directory)
    for path in _tracked("grader"):
        match = _PROGRAMS.fullmatch(path)
        if not path.startswith("grader/staff/") and not (match and int(match[1]) > lab):
            _copy_text(path, directory)
    for number, folder in lab_folders().items():
        if number <= lab:
            for path in _tracked(str(folder.relative_to(ROOT))):
                _copy_text(path, directory)
    _write_readme(lab, directory)


# ---- src/ ----------------------------------------------------------------------------------------


def _cut_src(lab: int, solved: int, directory: Path) -> None:
    kconfig, dropped = _cut_kconfig(_strip((ROOT / "src/Kconfig").read_text()), lab)
    waiting = [_source_of(name) for name in _objects(lab)]
    done: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in done:
            continue
        done.add(name)
        text = _unifdef(ROOT / "src" / name, lab, solved)
        _write(directory / "src" / name, text)
        for include in _INCLUDE.findall(text):
            if (ROOT / "src" / include).is_file():
                waiting.append(include)
    for name in _SRC_EXTRA:
        _copy_text(f"src/{name}", directory)
    _write(directory / "src/Kconfig", kconfig)
    makefile = directory / "src/Makefile"
    makefile.write_text(_cut_makefile(makefile.read_text(), dropped))


def _objects(lab: int) -> list[str]:
    """What the stage's default configuration links."""
    with tempfile.TemporaryDirectory() as folder:
        words = ["make", "-s", "-C", str(ROOT / "src"), f"O={folder}", f"STAGE={lab}", "objects"]
        env = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
        done = subprocess.run(words, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CasitaError(f"make objects failed: {done.stderr.strip()}")
    return done.stdout.split()


def _source_of(name: str) -> str:
    for suffix in (".c", ".S"):
        source = str(Path(name).with_suffix(suffix))
        if (ROOT / "src" / source).is_file():
            return source
    raise CasitaError(f"src/ has no source for {name}")


def _unifdef(path: Path, lab: int, solved: int) -> str:
    """The file with the conditions on STAGE and SOLVED decided. (Its status 1 says: something was.)"""
    words = ["unifdef", f"-DSTAGE={lab}", f"-DSOLVED={solved}", str(path)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode > 1:
        raise CasitaError(f"unifdef failed: {done.stderr.strip()}")
    return done.stdout


def _cut_kconfig(text: str, lab: int) -> tuple[str, set[str]]:
    """Without what comes later; and the names that are gone."""
    entries = re.split(r"^(?=(?:config|menu|endmenu)\b)", text, flags=re.MULTILINE)
    kept, dropped = [], set()
    for entry in entries:
        match = _STAGE.search(entry)
        if match and not (lab >= int(match[2]) if match[1] == ">=" else lab == int(match[2])):
            dropped.add(entry.split()[1])
        else:
            kept.append(_STAGE.sub("", entry))
    out = "".join(kept)
    out = re.sub(r"^menu [^\n]*\n\s*endmenu\n+", "", out, flags=re.MULTILINE)
    for name in dropped:
        out = re.sub(rf" \|\| {name}\b", "", out)
    out = re.sub(r"^\trange 0 \d+\n\tdefault \d+\n", f"\trange {lab} {lab}\n\tdefault {lab}\n", out,
                 flags=re.MULTILINE)
    return out, dropped


def _cut_makefile(text: str, dropped: set[str]) -> str:
    """Without the objects of options that are gone."""

    def wanted(line: str) -> bool:
        names = re.findall(r"\$\(CONFIG_(\w+)\)", line) if line.startswith("obj-") else []
        return not dropped.intersection(names)

    return "".join(line for line in text.splitlines(keepends=True) if wanted(line))


# ---- the rest ------------------------------------------------------------------------------------


def _cut_guests(lab: int, directory: Path) -> None:
    """The guests of this stage, and the library that they share."""
    with open(ROOT / "guests/guests.toml", "rb") as file:
        entries = tomllib.load(file)["guest"]
    early = {entry["name"] for entry in entries if entry["stage"] <= lab}
    late = {entry["name"] for entry in entries} - early
    stems = {name.removesuffix("32") for name in early}
    for path in _tracked("guests"):
        name = Path(path)
        if path.startswith("guests/linux/") and lab < _LINUX_STAGE:
            continue
        if len(name.parts) == 2 and name.suffix in (".c", ".S"):
            if name.stem.removesuffix("_asm") not in stems and name.stem not in early:
                continue
        _copy_text(path, directory)
    table = directory / "guests/guests.toml"
    parts = re.split(r"^(?=\[\[guest\]\]\n|# ----)", table.read_text(), flags=re.MULTILINE)
    table.write_text("".join(part for part in parts if not _is_guest(part, late)))


def _is_guest(entry: str, names: Iterable[str]) -> bool:
    match = re.search(r'^name = "([^"]+)"', entry, re.MULTILINE)
    return entry.startswith("[[guest]]") and match is not None and match[1] in names


def _write_readme(lab: int, directory: Path) -> None:
    folder = lab_folders().get(lab)
    name, title = f"{lab}", f"stage {lab}"
    if folder:
        with open(folder / "lab.toml", "rb") as file:
            name, title = folder.name, tomllib.load(file)["name"]
    text = (ROOT / _README).read_text()
    guest = "hello" if lab else "none"
    words = {"@LAB@": str(lab), "@FOLDER@": name, "@NAME@": title, "@GUEST@": guest}
    for word, value in words.items():
        text = text.replace(word, value)
    _write(directory / "README.md", text)


def _tracked(folder: str) -> list[str]:
    """The files of a folder: what is committed, and what is about to be."""
    words = ["git", "ls-files", "-co", "-z", "--exclude-standard", "--", folder]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CasitaError(f"a handout is cut from a git checkout: {done.stderr.strip()}")
    return sorted(name for name in done.stdout.split("\0") if name and (ROOT / name).is_file())


def _strip(text: str) -> str:
    return _STAFF_ONLY.sub("", text)


def _copy_text(name: str, directory: Path) -> None:
    """A file as it is, but for the parts that only staff needs; its mode too."""
    source, target = ROOT / name, directory / name
    data = source.read_bytes()
    if b"#{ staff\n" in data:
        data = _strip(data.decode()).encode()
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)
    target.chmod(source.stat().st_mode & 0o755 | 0o644)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)

#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Measures `grader/grade class` on sixty students: right, wrong, broken and hostile (parts/sixty.py).

    tests/classes60.py [--lab 2] [--count 60] [two one slurm kill]

    two, one    with --jobs 2 and --jobs 1
    slurm       through a Slurm of this machine's own, of two processors
    kill        kill -9 at a third, Ctrl-C at two thirds, and to the end

For each: students a minute, of all and of those whose work was run; the peak of memory (PSS, in which
what processes share counts once, and RSS) and of disk below build/run. Then what must be so: a row each,
nobody INFRA, no attack above the handout, pages that are well formed and whole, and in every way of
running it the same results. Wall times depend on what else the machine does: the load is printed. What is in
build/check/classes60-LAB-COUNT of other runs is compared as well; remove it to begin anew.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Callable, Mapping

_HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(_HERE), str(_HERE.parent / "grader")]

from common import BUILD, ROOT, run_main  # noqa: E402
from grading.lab import read_lab  # noqa: E402
from parts import sixty  # noqa: E402
from parts.cluster import Cluster  # noqa: E402
from parts.harness import Failure, build_all, expect, kill_all, run_environment, scratch, track, untrack  # noqa: E402
from staff.course.folder import Folder  # noqa: E402

_WAYS = ("two", "one", "slurm", "kill")
_RAN = ("PASS", "FAIL", "LIMIT")
_EVERY = 0.4  # seconds between two looks at memory and disk
_SEED = "60"


@dataclass
class Peak:
    """The most that was seen."""

    pss: int = 0
    rss: int = 0
    disk: int = 0


@dataclass
class Watch:
    """Looks at what our children and theirs have, until it is told to stop."""

    out: Path
    peak: Peak = field(default_factory=Peak)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Peak:
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self.peak

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        assert self._thread
        self._thread.join()

    def _run(self) -> None:
        prefix = Folder(self.out).work(0).name[:6]
        while not self._stop.wait(_EVERY):
            memory = [_memory(pid) for pid in _descendants(self.out)]
            self.peak.pss = max(self.peak.pss, sum(pss for pss, _ in memory))
            self.peak.rss = max(self.peak.rss, sum(rss for _, rss in memory))
            held = sum(_blocks(path) for path in (BUILD / "run").glob(f"{prefix}*"))
            self.peak.disk = max(self.peak.disk, held)


def _descendants(out: Path) -> list[int]:
    """Processes that we began, and Slurm's for these results, whoever their parent is."""
    parents: dict[int, int] = {}
    found: set[int] = set()
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError, IndexError):
            pid = int(path.name)
            parents[pid] = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            if parents[pid] == os.getpid() or str(out).encode() in (path / "cmdline").read_bytes().split(b"\0"):
                found.add(pid)
    found.discard(os.getpid())
    while more := {pid for pid, parent in parents.items() if parent in found and pid not in found}:
        found |= more
    return sorted(found)


def _memory(pid: int) -> tuple[int, int]:
    with suppress(OSError):
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        found = dict(re.findall(r"^(Pss|Rss):\s+(\d+) kB", text, re.MULTILINE))
        return int(found.get("Pss", 0)) << 10, int(found.get("Rss", 0)) << 10
    return 0, 0


def _blocks(path: Path) -> int:
    total = 0
    for place, _, files in os.walk(path):
        for name in files:
            with suppress(OSError):
                total += os.lstat(os.path.join(place, name)).st_blocks * 512
    return total


# ---- running ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bench:
    """The class, and where its results go."""

    lab: int
    count: int
    folder: Path
    kinds: Mapping[str, str]

    def out(self, way: str) -> Path:
        """Results."""
        return self.folder / way

    def command(self, way: str, *more: str) -> list[str]:
        """To grade it all."""
        subs = str(self.folder / "submissions")
        words = ["grader/grade", "class", "--lab", str(self.lab), subs, "--out", str(self.out(way)), "--seed", _SEED]
        return [*words, *more]


def _start(command: list[str], env: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
    with open(log, "ab") as file:
        process = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, **env}, stdin=subprocess.DEVNULL, stdout=file,
            stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    track(process)
    return process


def _whole(bench: Bench, way: str, command: list[str], env: Mapping[str, str]) -> None:
    before = os.getloadavg()
    log = bench.folder / f"{way}.log"
    begin = time.monotonic()
    with Watch(bench.out(way)) as peak:
        process = _start(command, env, log)
        try:
            status = process.wait()
        finally:
            untrack(process)
    minutes = (time.monotonic() - begin) / 60
    expect(status == 0, f"{way}: status {status}", log.read_text(errors="replace"))
    ran = sum(row["verdict"] in _RAN for row in _rows(bench.out(way)))
    kept = _blocks(bench.out(way))
    print(
        f"{way:6} {minutes * 60:5.0f} s  {bench.count / minutes:5.1f} a minute, {ran / minutes:5.1f} of those whose "
        f"work was run ({ran})  memory {_mib(peak.pss)} PSS, {_mib(peak.rss)} RSS  disk {_mib(peak.disk)} at work, "
        f"{_mib(kept)} of results  load {before[0]:.1f} before, {os.getloadavg()[0]:.1f} after",
        flush=True,
    )


def _mib(size: int) -> str:
    return f"{size / (1 << 20):.0f} MiB"


def _finished(out: Path) -> dict[Path, bytes]:
    paths = out.glob("students/*/entry.json")
    found = {path: path.read_bytes() for path in paths}
    return found | {path.with_name("result.json"): path.with_name("result.json").read_bytes() for path in found}


def _kill(bench: Bench) -> None:
    out, log = bench.out("kill"), bench.folder / "kill.log"
    command = bench.command("kill", "--jobs", "2")
    for sign, share in ((signal.SIGKILL, 3), (signal.SIGINT, 1.5), (None, 0)):
        before = _finished(out)
        begin, first = time.monotonic(), 0.0
        process = _start(command, {}, log)
        try:
            while process.poll() is None:
                ended = len(list(out.glob("students/*/entry.json")))
                if before and not first and ended > len(before) // 2:
                    first = time.monotonic() - begin
                if sign and ended >= bench.count / share:
                    break
                time.sleep(0.05)
            asked = time.monotonic()
            if sign:
                expect(process.poll() is None, "it ended before it could be stopped")
                os.kill(process.pid, sign)
            status = process.wait()
        finally:
            untrack(process)
        for path, content in before.items():
            expect(path.read_bytes() == content, f"{path} was finished and has been done again")
        if before and first:
            print(f"kill   begun again with {len(before) // 2} finished: the next one is finished after {first:.1f} s")
        if sign:
            done = len(list(out.glob("students/*/entry.json")))
            print(f"kill   {sign.name}, {done} finished: it ends with status {status} after "
                  f"{time.monotonic() - asked:.2f} s, load {os.getloadavg()[0]:.1f}", flush=True)  # fmt: skip
        expect(status == {signal.SIGKILL: -9, signal.SIGINT: 130, None: 0}[sign], f"status {status}")


# ---- what must be so -------------------------------------------------------------------------------


def _rows(out: Path) -> list[dict[str, str]]:
    with open(out / "results.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _results(out: Path) -> dict[str, Any]:
    found = {}
    for path in sorted(out.glob("students/*/result.json")):
        found[path.parent.name] = {k: v for k, v in json.loads(path.read_text()).items() if k != "times"}
    return found


def check_marks(bench: Bench, way: str) -> None:
    """A row each, nobody INFRA, the right ones have full marks, and no attack more than the handout."""
    rows = {row["id"]: row for row in _rows(bench.out(way))}
    expect(set(rows) == set(bench.kinds) and len(rows) == bench.count, f"the rows are {sorted(rows)}")
    infra = [name for name, row in rows.items() if "INFRA" in row.values() or not row["score"]]
    expect(not infra, f"without a mark: {infra}")
    untouched = (int(row["score"]) for name, row in rows.items() if bench.kinds[name] == "handout")
    handout = max(untouched, default=0)
    faults = []
    for name, row in rows.items():
        kind, score, most = bench.kinds[name], int(row["score"]), int(row["max_score"])
        as_it_should = {
            "right": row["verdict"] == "PASS" and score == most,
            "wrong": score < most,
            "broken": row["verdict"] in ("REJECTED", "BUILD") and score == 0,
            "handout": score < most / 4,
            "attack": score <= handout,
        }[kind]
        if not as_it_should:
            faults.append(f"{name}: {row['verdict']} {score}/{most}")
    expect(not faults, "marks that are not as they should be:\n" + "\n".join(faults))
    by_kind = {kind: [row for name, row in rows.items() if bench.kinds[name] == kind] for kind in sixty.KINDS}
    for kind, those in by_kind.items():
        if not those:
            continue
        verdicts = sorted({row["verdict"] for row in those})
        counts = ", ".join(f"{sum(row['verdict'] == each for row in those)} {each}" for each in verdicts)
        scores = [int(row["score"]) for row in those]
        print(f"       {len(those):2} {kind:8} {counts}; {min(scores)} to {max(scores)} points")


class Page(HTMLParser):
    """A page: every element closed in its turn, all links kept."""

    _VOID = {"meta", "input", "br", "hr", "img", "link"}

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._open: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []
        self._path = path
        self.feed(path.read_text(encoding="utf-8"))
        self.close()
        expect(not self._open, f"{path}: not closed: {self._open}")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remember it."""
        self.tags.append(tag)
        if tag not in self._VOID:
            self._open.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """<path/>."""
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """It must be the one opened last."""
        expect(bool(self._open) and self._open[-1] == tag, f"{self._path}: </{tag}> in {self._open[-3:]}")
        self._open.pop()


def check_pages(bench: Bench, way: str) -> None:
    """They are well formed, need nothing from elsewhere, and have what they must."""
    out, lab = bench.out(way), read_lab(bench.lab)
    whole = Page(out / "index.html")
    text = (out / "index.html").read_text()
    for heading in ("Marks", "Hardest tests", "Students and tests", "Alike"):
        expect(f"<h2>{heading}</h2>" in text, f"index.html has no {heading}")
    matrix = text.partition('id="matrix"')[2].partition("</table>")[0]
    expect(matrix.partition("<tbody>")[2].count("<tr>") == bench.count, "the matrix has not a row each")
    expect(matrix.count('<th scope="col"') == 3 + len(lab.tests), "the matrix has not a column a test")
    expect("svg" in whole.tags, "there is no histogram")
    pages = pictures = missing = 0
    for path in [out / "index.html", *out.glob("students/*/*.html")]:
        page = Page(path)
        pages += 1
        for link in page.links:
            there = link.startswith("#") or (path.parent / link).resolve().is_file()
            expect(there and ":" not in link, f"{path}: {link} leads nowhere")
        if path.name == "index.html" and path.parent != out:
            tests = json.loads(path.with_name("result.json").read_text())["tests"]
            wanted = sum(bool(test["last_exits"]) and test["verdict"] != "PASS" for test in tests)
            missing += page.tags.count("svg") < wanted
            pictures += page.tags.count("svg")
    expect(not missing and pictures > 0, f"{missing} pages lack pictures of exits; {pictures} are there")
    print(f"       {pages} pages, well formed, links that lead somewhere; {pictures} pictures of exits")


def check_same(bench: Bench, one: str, other: str) -> None:
    """Two ways have the same results."""
    first, second = _results(bench.out(one)), _results(bench.out(other))
    others = [name for name in first if first[name] != second.get(name)]
    expect(first.keys() == second.keys() and not others, f"{one} and {other} have other results: {others}")
    for name in ("results.csv", "index.html"):
        a, b = (bench.out(way) / name for way in (one, other))
        expect(a.read_bytes() == b.read_bytes(), f"{one} and {other} have another {name}")
    print(f"       {one} and {other}: the same results.csv, index.html and {len(first)} result.json but for times")


# ---- the command -----------------------------------------------------------------------------------


def _slurm(bench: Bench) -> None:
    with ExitStack() as stack:
        cluster = stack.enter_context(Cluster(scratch("classes60-cluster"), cpus=2))
        _whole(bench, "slurm", bench.command("slurm", "--slurm"), cluster.environment)


def main() -> int:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("ways", nargs="*", metavar="|".join(_WAYS))
    parser.add_argument("--lab", type=int, default=2)
    parser.add_argument("--count", type=int, default=60)
    words = parser.parse_args()
    if unknown := set(words.ways) - set(_WAYS):
        parser.error(f"{unknown.pop()} is unknown")
    ways = words.ways or list(_WAYS)
    os.environ.update(run_environment())
    if failure := build_all():
        print(f"make failed: {failure}")
        return 1
    folder = scratch(f"classes60-{words.lab}-{words.count}")
    for name in ways:
        shutil.rmtree(folder / name, ignore_errors=True)
        (folder / f"{name}.log").unlink(missing_ok=True)
    if not (folder / "submissions").is_dir():
        print("the class is being made", flush=True)
        sixty.make(words.lab, folder / "submissions", words.count)
    kinds = sixty.kinds(folder / "submissions")
    bench = Bench(words.lab, len(kinds), folder, kinds)
    does: dict[str, Callable[[], None]] = {
        "two": lambda: _whole(bench, "two", bench.command("two", "--jobs", "2"), {}),
        "one": lambda: _whole(bench, "one", bench.command("one", "--jobs", "1"), {}),
        "slurm": lambda: _slurm(bench),
        "kill": lambda: _kill(bench),
    }
    print(f"Lab {words.lab}, {bench.count} students, {len(os.sched_getaffinity(0))} processors", flush=True)
    faults = 0
    for way in ways:
        try:
            does[way]()
            check_marks(bench, way)
            check_pages(bench, way)
            for other in _WAYS:
                if other != way and (bench.out(other) / "results.csv").is_file():
                    check_same(bench, other, way)
        except (Failure, RuntimeError) as error:
            print(f"FAIL {way}: {error}", flush=True)
            faults += 1
        finally:
            kill_all()
    print(f"{len(ways) - faults} passed, {faults} failed")
    return 1 if faults else 0


if __name__ == "__main__":
    run_main(main)

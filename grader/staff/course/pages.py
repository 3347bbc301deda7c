# SPDX-License-Identifier: BSD-3-Clause
"""The pages of a class: index.html for the staff, and two a student.

    index.html                          histogram, hardest tests, who passes what, who wrote the same
    students/ID/index.html              all that is known, hidden tests included
    students/ID/for-student.html        the same without what hidden tests say: this may be handed out
"""

from __future__ import annotations

import statistics
from typing import Any, Iterator, Mapping, Sequence

from grading.model import Lab
from . import picture
from .folder import Folder, write_whole
from .page import WORDS, esc, page, verdict, verdict_class
from .similar import Likeness
from .table import Row

_HARDEST = 10


def write(lab: Lab, folder: Folder, rows: Sequence[Row], likeness: Likeness | None) -> None:
    """Write them all."""
    for row in rows:
        home = folder.of(row.entry)
        if row.result:
            for name, staff in (("index.html", True), ("for-student.html", False)):
                write_whole(home / name, "".join(student(lab, row, staff)))
    write_whole(folder.path / "index.html", overview(lab, rows, likeness))


# ---- the class -----------------------------------------------------------------------------------


def overview(lab: Lab, rows: Sequence[Row], likeness: Likeness | None) -> str:
    """index.html."""
    title = f"Lab {lab.number}, {lab.name}: the class"
    body = [
        f"<h1>{esc(title)}</h1>",
        *_summary(lab, rows),
        *_histogram(lab, rows),
        *_hardest(lab, rows),
        *_matrix(lab, rows),
        *_likeness(rows, likeness),
    ]
    return page(title, body, script=True)


def _summary(lab: Lab, rows: Sequence[Row]) -> Iterator[str]:
    scores = [row.score for row in rows if row.score is not None]
    yield f"<p>{len(rows)} students, {len(scores)} with a mark of at most {lab.points}."
    if scores:
        yield f"Mean {statistics.mean(scores):.1f}, median {statistics.median(scores):g}."
    yield '</p><p><a href="results.csv">results.csv</a>, for the gradebook</p>'
    without = [row for row in rows if row.score is None]
    if without:
        yield f"<p><strong>{len(without)} without a mark:</strong> "
        yield ", ".join(f"{_link(row)} ({WORDS[verdict_class(row.verdict)]})" for row in without)
        yield ". Run the same command again: it grades only those.</p>"


def _histogram(lab: Lab, rows: Sequence[Row]) -> Iterator[str]:
    scores = [row.score for row in rows if row.score is not None]
    drawn, numbers = picture.histogram(scores, lab.points)
    yield f"<h2>Marks</h2>{drawn}<details><summary>The same as a table</summary><table>"
    yield '<thead><tr><th scope="col">marks</th><th scope="col">students</th></tr></thead><tbody>'
    yield from (f'<tr><td>{each}</td><td class="n">{count}</td></tr>' for each, count in numbers)
    yield "</tbody></table></details>"


def _hardest(lab: Lab, rows: Sequence[Row]) -> Iterator[str]:
    """Of those whose work was run: one who does not build says nothing about a test."""
    ran = [row for row in rows if row.verdict in ("PASS", "FAIL", "LIMIT")]
    yield f"<h2>Hardest tests</h2><p>Of the {len(ran)} students whose work was run.</p>"
    if not ran:
        return
    failed = {test.name: sum(row.verdicts.get(test.name) != "PASS" for row in ran) for test in lab.tests}
    hardest = sorted(lab.tests, key=lambda test: -failed[test.name])[:_HARDEST]
    yield '<table><thead><tr><th scope="col">test</th><th scope="col">what it asks</th>'
    yield '<th scope="col">exercise</th><th scope="col">do not pass</th><th aria-hidden="true"></th></tr></thead><tbody>'
    for test in hardest:
        share = failed[test.name] * 100 // len(ran)
        if failed[test.name]:
            yield f'<tr><th scope="row">{esc(test.name)}</th><td>{esc(test.title)}</td><td>{esc(test.exercise)}</td>'
            yield f'<td class="n">{failed[test.name]} ({share} %)</td><td aria-hidden="true" style="width:12rem">'
            yield f'<span class="bar" style="width:{share}%"></span></td></tr>'
    yield "</tbody></table>"


def _matrix(lab: Lab, rows: Sequence[Row]) -> Iterator[str]:
    yield "<h2>Students and tests</h2>"
    yield '<p class="noprint"><label for="filter">Only students whose id has: </label>'
    yield '<input id="filter" type="search" autocomplete="off"></p><p id="said" class="sr" aria-live="polite"></p>'
    yield '<div class="wide" tabindex="0" role="region" aria-label="Students and tests">'
    yield '<table class="sort" id="matrix"><caption>✓ passes, ✗ fails, L exceeds a bound, B does not build, R not '
    yield "accepted, ? no mark: the grader's trouble. A column's name sorts by it.</caption><thead><tr>"
    yield '<th scope="col"><button type="button">student</button></th>'
    yield '<th scope="col" class="n"><button type="button">score</button></th>'
    yield '<th scope="col"><button type="button">verdict</button></th>'
    for test in lab.tests:
        name = f"{test.name}{' (hidden)' if test.hidden else ''}"
        yield f'<th scope="col" class="t" title="{esc(test.title)}"><button type="button"><span>{esc(name)}</span></button></th>'
    yield "</tr></thead><tbody>"
    for row in rows:
        yield f'<tr><th scope="row">{_link(row)}</th>'
        yield f'<td class="n" data-key="{-1 if row.score is None else row.score}">{"–" if row.score is None else row.score}</td>'
        yield f'<td class="{verdict_class(row.verdict)}">{esc(row.verdict or "–")}</td>'
        for test in lab.tests:
            name = row.verdicts.get(test.name, "")
            yield f'<td class="v {verdict_class(name)}" data-key="{esc(name or "~")}">{verdict(name)}</td>'
        yield "</tr>"
    yield "</tbody></table></div>"


def _link(row: Row) -> str:
    if not row.result:
        return esc(row.entry.name)
    return f'<a href="students/{esc(row.entry.slug)}/index.html">{esc(row.entry.name)}</a>'


def _likeness(rows: Sequence[Row], likeness: Likeness | None) -> Iterator[str]:
    yield "<h2>Alike</h2>"
    if likeness is None or likeness.trouble:
        yield f'<p>{esc(likeness.trouble if likeness else "not compared yet: the class is not finished")}</p>'
        return
    yield f"<p>sim_c compared what {max(len(likeness.compared) - 1, 0)} students wrote themselves, without the "
    yield "handout's lines, with each other and with the reference. Much in common is a reason to look, not a "
    yield "proof: short correct solutions are alike.</p>"
    if not likeness.pairs:
        yield "<p>Nobody is much like another.</p>"
        return
    links = {row.entry.name: row for row in rows}
    yield '<table class="sort"><thead><tr><th scope="col"><button type="button">student</button></th>'
    yield '<th scope="col" class="n"><button type="button">of it is in</button></th>'
    yield '<th scope="col"><button type="button">the other</button></th>'
    yield '<th scope="col" class="n"><button type="button">and back</button></th></tr></thead><tbody>'
    for pair in likeness.pairs:
        one, other = (
            _link(links[name]) if name in links else esc(name) for name in (pair.one, pair.other)
        )
        yield f'<tr><td>{one}</td><td class="n">{pair.percent} %</td>'
        yield f'<td>{other}</td><td class="n">{pair.back} %</td></tr>'
    yield "</tbody></table>"


# ---- one student ---------------------------------------------------------------------------------


def student(lab: Lab, row: Row, staff: bool) -> Iterator[str]:
    """A student's page."""
    result = row.result or {}
    title = f"Lab {lab.number}, {lab.name}: {row.entry.name}"
    yield page(title, _student(result, title, staff))


def _student(result: Mapping[str, Any], title: str, staff: bool) -> Iterator[str]:
    if staff:
        yield '<nav class="noprint"><a href="../../index.html">The class</a> · <a href="result.json">result.json</a>'
        yield ' · <a href="own.c">own lines</a></nav>'
    score = "no mark" if result["score"] is None else f'{result["score"]} of {result["max_score"]}'
    kind = verdict_class(result["verdict"])
    yield f'<h1>{esc(title)}</h1>\n<p><strong>{score}</strong>, <span class="{kind}">{kind}</span>: '
    yield f'{esc(WORDS[kind])}. Seed {esc(result["seed"])}.</p>'
    if result["message"]:
        yield f'<pre tabindex="0">{esc(result["message"])}</pre>'
    for note in result["notes"]:
        yield f'<p class="soft">{esc(note)}</p>'
    yield '<h2>Tests</h2><table><thead><tr><th scope="col">test</th><th scope="col">what it asks</th>'
    yield '<th scope="col">verdict</th><th scope="col" class="n">marks</th></tr></thead><tbody>'
    for test in result["tests"]:
        kind = verdict_class(test["verdict"])
        named = _name(test) if staff or not test["hidden"] else f"hidden test {esc(test['number'])}"
        asks = esc(test["title"]) if staff or not test["hidden"] else ""
        shown = f'<a href="#test-{esc(test["number"])}">{named}</a>' if _has_more(test, staff) else named
        yield f'<tr><th scope="row">{shown}</th><td>{asks}</td><td class="{kind}">{esc(kind)}</td>'
        yield f'<td class="n">{esc(test["score"])}/{esc(test["max_score"])}</td></tr>'
    yield "</tbody></table>"
    for test in result["tests"]:
        if _has_more(test, staff):
            yield from _test(test, staff)


def _has_more(test: Mapping[str, Any], staff: bool) -> bool:
    return test["verdict"] in ("FAIL", "LIMIT", "INFRA") and (staff or not test["hidden"])


def _name(test: Mapping[str, Any]) -> str:
    return esc(test["name"]) + (" (hidden)" if test["hidden"] else "")


def _test(test: Mapping[str, Any], staff: bool) -> Iterator[str]:
    kind = verdict_class(test["verdict"])
    yield f'<article id="test-{esc(test["number"])}"><h2>{_name(test)}: <span class="{kind}">{esc(kind)}</span></h2>'
    yield f'<p>{esc(test["title"])}</p><pre tabindex="0">{esc(test["message"] or "no more is known")}</pre>'
    yield f'<p>Hint: {esc(test["hint"])} See exercise {esc(test["exercise"])} of the handout.</p>'
    if test["last_exits"]:
        yield f'<figure style="margin:0">{picture.exits(test["last_exits"], test["name"])}'
        yield "<figcaption><details><summary>The last exits as a list</summary><ol>"
        yield from (f"<li>{esc(line)}</li>" for line in test["last_exits"])
        yield "</ol></details></figcaption></figure>"
    if staff and test["evidence"]:
        yield "<details><summary>Evidence</summary><table><tbody>"
        for name, value in test["evidence"].items():
            yield f'<tr><th scope="row">{esc(name)}</th><td class="n">{esc(value)}</td></tr>'
        yield "</tbody></table></details>"
    yield "</article>"

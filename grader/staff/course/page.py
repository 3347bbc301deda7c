# SPDX-License-Identifier: BSD-3-Clause
"""What all pages share: one file each, that needs nothing else and works from file://.

All text goes through esc(): a submission has a part in what compilers and guests say, and its author
chose the name. Should something slip through, the page's policy still forbids every script but ours.
"""

from __future__ import annotations

import base64
import hashlib
import html
from typing import Iterable

from grading.report import clean

MARKS = {"PASS": "✓", "FAIL": "✗", "LIMIT": "L", "BUILD": "B", "REJECTED": "R", "INFRA": "?", "": "–"}
WORDS = {
    "PASS": "passes",
    "FAIL": "fails",
    "LIMIT": "a bound was exceeded",
    "BUILD": "does not build",
    "REJECTED": "not accepted",
    "INFRA": "the grader's trouble: no mark",
    "": "not graded yet",
}

_CSS = """
:root { color-scheme: light dark; --ink:#1b1b1b; --paper:#fdfdfb; --soft:#5b5b57; --line:#c9c9c2;
  --good:#1a7f37; --bad:#b3261e; --warn:#8a5a00; --wash:#f0f0ea; --link:#0b57a4; }
@media (prefers-color-scheme: dark) { :root { --ink:#e8e8e3; --paper:#17181a; --soft:#a9a9a2;
  --line:#45464a; --good:#5fce7c; --bad:#ff8a80; --warn:#f0b64d; --wash:#232427; --link:#86b9f5; } }
* { box-sizing:border-box }
body { font:16px/1.5 system-ui,sans-serif; color:var(--ink); background:var(--paper);
  margin:0 auto; max-width:75rem; padding:1rem 1.2rem 4rem }
h1 { font-size:1.6rem } h2 { font-size:1.25rem; margin-top:2.2rem }
a { color:var(--link) } :focus-visible { outline:3px solid var(--link); outline-offset:2px }
table { border-collapse:collapse } caption { text-align:left; color:var(--soft); padding:.3rem 0 }
th,td { border:1px solid var(--line); padding:.15rem .5rem; text-align:left; vertical-align:top }
td.n,th.n { text-align:right; font-variant-numeric:tabular-nums } td.v { text-align:center }
thead th { background:var(--wash); position:sticky; top:0 }
thead th.t { vertical-align:bottom; height:9rem; padding:.2rem }
thead th.t span { writing-mode:vertical-rl; transform:rotate(180deg); white-space:nowrap }
th button { font:inherit; color:inherit; background:none; border:0; padding:0; cursor:pointer }
.PASS { color:var(--good) } .FAIL,.BUILD,.REJECTED { color:var(--bad); font-weight:bold }
.LIMIT { color:var(--warn); font-weight:bold } .INFRA { background:var(--bad); color:var(--paper) }
.wide { overflow-x:auto } .soft { color:var(--soft) }
.sr { position:absolute; width:1px; height:1px; overflow:hidden; clip-path:inset(50%); white-space:nowrap }
.skip:not(:focus) { position:absolute; left:-999rem }
pre { background:var(--wash); border:1px solid var(--line); padding:.6rem; overflow-x:auto; white-space:pre-wrap;
  overflow-wrap:anywhere }
details { margin:.4rem 0 } summary { cursor:pointer } .bar { background:var(--bad); height:.7rem; display:block }
svg text { fill:var(--ink); font:13px ui-monospace,monospace } svg .soft { fill:var(--soft) }
svg .ink { stroke:var(--ink) } svg .line { stroke:var(--line) } svg .fill { fill:var(--link) }
svg .last { stroke:var(--bad) } svg text.last { fill:var(--bad); stroke:none; font-weight:bold }
article { border-top:1px solid var(--line); padding-top:.4rem }
@media print { .noprint { display:none } thead th { position:static } }
"""

# Sorts a table by the column whose button was pressed, and filters its rows by their first cell.
_JS = """
document.querySelectorAll('table.sort').forEach(function (table) {
  var body = table.tBodies[0], said = document.getElementById('said');
  table.querySelectorAll('thead th').forEach(function (th, column) {
    var button = th.querySelector('button');
    if (!button) return;
    button.addEventListener('click', function () {
      var up = th.getAttribute('aria-sort') !== 'ascending';
      table.querySelectorAll('thead th').forEach(function (other) { other.removeAttribute('aria-sort'); });
      th.setAttribute('aria-sort', up ? 'ascending' : 'descending');
      var rows = Array.prototype.slice.call(body.rows);
      var key = function (row) { var cell = row.cells[column]; return cell.dataset.key || cell.textContent; };
      rows.sort(function (a, b) {
        var x = key(a), y = key(b), n = parseFloat(x) - parseFloat(y);
        var order = isNaN(n) ? x.localeCompare(y) : n;
        return up ? order : -order;
      });
      rows.forEach(function (row) { body.appendChild(row); });
      if (said) said.textContent = 'Sorted by ' + button.textContent + (up ? ', ascending' : ', descending');
    });
  });
});
var filter = document.getElementById('filter');
if (filter) filter.addEventListener('input', function () {
  var shown = 0;
  document.querySelectorAll('#matrix tbody tr').forEach(function (row) {
    var there = row.cells[0].textContent.toLowerCase().indexOf(filter.value.toLowerCase()) >= 0;
    row.hidden = !there;
    shown += there;
  });
  document.getElementById('said').textContent = shown + ' students shown';
});
"""


def esc(text: object) -> str:
    """Any text, for HTML's text and for quoted attributes."""
    return html.escape(clean(str(text)), quote=True)


def page(title: str, body: Iterable[str], script: bool = False) -> str:
    """A whole page."""
    digest = base64.b64encode(hashlib.sha256(_JS.encode()).digest()).decode()
    policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
    policy += f"; script-src 'sha256-{digest}'" if script else ""
    return "\n".join(
        [
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="referrer" content="no-referrer">',
            f"<title>{esc(title)}</title>\n<style>{_CSS}</style>\n</head>\n<body>",
            '<a class="skip" href="#main">To the content</a>',
            '<main id="main">',
            *body,
            "</main>",
            f"<script>{_JS}</script>" if script else "",
            "</body>\n</html>\n",
        ]
    )


def verdict(name: str) -> str:
    """A verdict as a sign that is also said and not told by its colour alone."""
    known = name if name in MARKS else "INFRA"
    word = esc(f"{name}: {WORDS[known]}" if name else WORDS[""])
    return f'<span aria-hidden="true" title="{word}">{MARKS[known]}</span><span class="sr">{word}</span>'


def verdict_class(name: str) -> str:
    """The class of a verdict's cell."""
    return name if name in MARKS else "INFRA"

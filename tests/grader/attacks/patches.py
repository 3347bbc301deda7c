# SPDX-License-Identifier: BSD-3-Clause
"""Patches that the gate must refuse, and what it must say. They are against lab 1's handout."""

from __future__ import annotations

from dataclasses import dataclass

NEW = b"--- /dev/null\n+++ b/%s\n@@ -0,0 +1 @@\n+%s\n"
TOP = b"@TOP@"
GIT_NEW = b"diff --git a/%s b/%s\nnew file mode %s\nindex 0000000..1111111\n" + NEW
FILE = b"src/svm/run.c"


@dataclass(frozen=True)
class Refused:
    """A patch, and words of the message."""

    name: str
    patch: bytes
    said: str


def new(name: str, path: bytes, said: str, line: bytes = b"all:") -> Refused:
    """A patch that makes a file."""
    return Refused(name, NEW % (path, line), said)


def made(name: str, path: bytes, mode: bytes, said: str, line: bytes = b"x") -> Refused:
    """The same by git's words, with a mode."""
    return Refused(name, GIT_NEW % (path, path, mode, path, line), said)


def on_top(name: str, path: bytes, line: bytes) -> Refused:
    """A patch that adds a line at the top of a file; the test puts what follows there in TOP's place."""
    hunk = b"--- a/%s\n+++ b/%s\n@@ -1,3 +1,4 @@\n+%s\n" % (path, path, line)
    return Refused(name, hunk + TOP + path, f"{path.decode()}: lab 1 changes only")


ONLY = "changes only src/svm/svm.c"
PATCHES = [
    on_top("makefile", b"src/Makefile", b'$(shell id >/tmp/owned)'),
    on_top("kconfig", b"src/Kconfig", b'source "/etc/shadow"'),
    on_top("linker-script", b"src/host/casita.lds", b'INPUT(/etc/passwd)'),
    on_top("header", b"src/svm/svm.h", b'#define LAB(...)'),
    new("included-makefile", b"src/evil.mk", ONLY),
    new("new-source", b"src/svm/evil.c", ONLY),
    new("grader", b"grader/grading/judge2.py", ONLY, b"print('PASS')"),
    new("site-packages", b"src/kconfiglib.py", ONLY, b"import os; os.system('id')"),
    new("the-lab-itself", b"labs/1-world-switch/hidden.toml", ONLY),
    new("git-attributes", b".gitattributes", ONLY, b"* filter=evil"),
    made("git-modules", b".gitmodules", b"100644", ONLY),
    new("git-config", b".git/config", "leads out of the tree", b"[core] fsmonitor = id"),
    new("git-hook", b".git/hooks/post-index-change", "leads out of the tree"),
    new("dot-git-in-other-letters", b".GIT/config", "", b"[core]"),
    new("parent", b"../../outside", "leads out of the tree"),
    new("parent-in-the-middle", b"src/../../outside", "leads out of the tree"),
    new("absolute", b"/etc/cron.d/evil", "leads out of the tree"),
    Refused("absolute-plain", NEW.replace(b"b/", b"") % (b"/etc/cron.d/evil", b"x"), ""),
    made("symlink", b"src/svm/link.c", b"120000", "symbolic link", b"/etc/shadow"),
    made("gitlink", b"src/sub", b"160000", "submodule", b"Subproject commit " + b"1" * 40),
    made("executable", b"src/svm/x.c", b"100755", "executable"),
    made("setuid", b"src/svm/x.c", b"104755", ""),
    made("device", b"src/svm/x.c", b"020666", ""),
    Refused("mode-change", b"diff --git a/%s b/%s\nold mode 100644\nnew mode 100755\n" % (FILE, FILE),
            "run.c: is made executable"),
    Refused("rename", b"diff --git a/src/main.c b/%s\nsimilarity index 100%%\nrename from src/main.c\n"
            b"rename to src/svm/other.c\n" % FILE, ""),
    Refused("copy", b"diff --git a/src/main.c b/src/svm/c.c\nsimilarity index 100%\ncopy from src/main.c\n"
            b"copy to src/svm/c.c\n", ONLY),
    Refused("binary", b"diff --git a/%s b/%s\nindex 0000000..1111111 100644\nGIT binary patch\nliteral 4\n"
            b"LcmZQzWMT#Y01f~L\n\n" % (FILE, FILE), ""),
    Refused("binary-bomb", b"diff --git a/%s b/%s\nindex %s..%s 100644\nGIT binary patch\n"
            b"literal 9999999999\nLcmZQzWMT#Y01f~L\n\n" % (FILE, FILE, b"0" * 40, b"1" * 40), ""),
    Refused("huge", NEW % (FILE, b"x" * (2 << 20)), "are allowed"),
    Refused("huge-hunk-header", b"--- a/%s\n+++ b/%s\n@@ -1,99999999999999999999 +1,9 @@\n x\n" % (FILE, FILE), ""),
    Refused("negative-hunk", b"--- a/%s\n+++ b/%s\n@@ --1,-5 +-1,-5 @@\n x\n" % (FILE, FILE), ""),
    Refused("nul", NEW % (FILE, b"a\0b"), "no text"),
    Refused("quoted-bytes", b'--- /dev/null\n+++ "b/src/\\377\\n\\033[2Jevil.c"\n@@ -0,0 +1 @@\n+x\n', "evil.c"),
    Refused("raw-bytes", NEW % (b"src/\xff\xfe\x1b]0;owned\x07.c", b"x"), "x1b]0;owned"),
    Refused("solutions", b"--- a/solutions/1-world-switch/hidden.toml\n+++ b/solutions/1-world-switch/hidden.toml\n"
            b"@@ -1 +1 @@\n-# SPDX-License-Identifier: BSD-3-Clause\n+x\n", "no such file"),
    Refused("ten-thousand-files", b"".join(NEW % (b"src/f%d.c" % n, b"x") for n in range(3000)), "more"),
    Refused("one-file-often", b"".join(NEW % (b"src/x.c", b"x") for n in range(3)), ""),
]  # fmt: skip

# SPDX-License-Identifier: BSD-3-Clause
"""The gate: what is let in, and that each refusal is told from the others."""

from __future__ import annotations

import os
import shutil
import unittest

from support import FILES, HOLE, HouseCase, SOLVED, diff, git, write
from grading.gate import MAX_FILE, MAX_PATCH, Accepted, Rejected, Task, accept_patch, accept_tree

LONG = HOLE + "".join(f"/* line {n} */\n" for n in range(40))


class Gate(HouseCase):
    """Submissions to lab 1 of the little house."""

    def task(self, *files: str) -> Task:
        """The lab's task."""
        return Task(1, files or ("src/vcpu.c",), self.handout)

    def take(self, patch: bytes, *files: str) -> Accepted:
        """Let a patch in."""
        return accept_patch(patch, self.task(*files), self.folder())

    def refuse(self, patch: bytes, *said: str, task: Task | None = None) -> str:
        """A patch is refused, with these words, and with advice."""
        with self.assertRaises(Rejected) as caught:
            accept_patch(patch, task or self.task(), self.folder())
        for text in said:
            self.assertIn(text, str(caught.exception))
        return str(caught.exception)

    def test_git_patch(self) -> None:
        accepted = self.take(self.vcpu_patch(SOLVED))
        self.assertEqual(accepted.changes, {"src/vcpu.c": SOLVED.encode()})

    def test_plain_patch(self) -> None:
        patch = self.vcpu_patch(SOLVED)
        plain = b"\n".join(line for line in patch.split(b"\n")
                           if not line.startswith((b"diff ", b"index ")))
        plain = plain.replace(b"--- a/src/vcpu.c", b"--- handout/src/vcpu.c\t2026-01-01 00:00:00 +0000")
        plain = plain.replace(b"+++ b/src/vcpu.c", b"+++ mine/src/vcpu.c\t2026-01-02 00:00:00 +0000")
        accepted = self.take(plain)
        self.assertEqual(accepted.changes, {"src/vcpu.c": SOLVED.encode()})
        self.assertEqual(accepted.sha256, self.take(patch).sha256)

    def test_mail(self) -> None:
        mail = b"From 0 Mon\nSubject: my work\n\n---\n src/vcpu.c | 3\n\n" + self.vcpu_patch(SOLVED)
        self.assertEqual(list(self.take(mail + b"-- \n2.39\n").changes), ["src/vcpu.c"])

    def test_the_cache_is_not_written(self) -> None:
        before = sorted(path for path in self.handout.folder.rglob("*"))
        self.take(self.vcpu_patch(SOLVED + "/* seen nowhere else */\n"))
        self.assertEqual(before, sorted(path for path in self.handout.folder.rglob("*")))

    def test_empty(self) -> None:
        self.assertIn("git diff lab-1 -- src/vcpu.c", self.refuse(b"", "the patch is empty"))
        self.refuse(b" \n\n", "the patch is empty")

    def test_changes_nothing(self) -> None:
        nothing = b"--- a/src/vcpu.c\n+++ b/src/vcpu.c\n@@ -1,2 +1,2 @@\n-%s\n+%s\n \n"
        self.refuse(nothing.replace(b"%s", HOLE.splitlines()[0].encode()), "it changes nothing")

    def test_no_patch(self) -> None:
        self.refuse(SOLVED.encode(), "there is no diff in it")
        self.refuse(b"\x7fELF\0\0", "no text")
        self.refuse("diff --git".encode("utf-16"), "PowerShell")
        self.refuse(b"*** src/vcpu.c\n--- src/vcpu.c\n", "")
        self.refuse(b"5c5\n< a\n> b\n", "another kind")
        self.refuse(b"--- a\n" * MAX_PATCH, "are allowed")

    def test_forbidden_paths(self) -> None:
        old = {**FILES, "src/vcpu.c": HOLE}
        new = {**old, "src/vcpu.c": SOLVED, "src/Makefile": "all:\n", "src/new.c": "int x;\n"}
        said = self.refuse(diff(old, new), "src/Makefile: lab 1 changes only src/vcpu.c", "src/new.c",
                           "it is a new file", "git diff lab-1")
        self.assertNotIn("src/vcpu.c:", said)

    def test_deleted(self) -> None:
        self.refuse(diff({"src/vcpu.c": HOLE}, {}), "src/vcpu.c: is deleted")

    def test_modes(self) -> None:
        patch = self.vcpu_patch(SOLVED)
        header = patch.index(b"index ")
        mode = b"old mode 100644\nnew mode 100755\n"
        self.refuse(patch[:header] + mode + patch[header:], "src/vcpu.c: is made executable")
        link = (b"diff --git a/src/vcpu.c b/src/vcpu.c\ndeleted file mode 100644\n"
                + patch_body(HOLE, b"-", b"a/src/vcpu.c", b"/dev/null")
                + b"diff --git a/src/vcpu.c b/src/vcpu.c\nnew file mode 120000\n"
                + b"--- /dev/null\n+++ b/src/vcpu.c\n@@ -0,0 +1 @@\n+/etc/passwd\n"
                + b"\\ No newline at end of file\n")
        self.refuse(link, "src/vcpu.c: is made a symbolic link")
        module = (b"diff --git a/src/sub b/src/sub\nnew file mode 160000\nindex 0000000..1111111\n"
                  b"--- /dev/null\n+++ b/src/sub\n@@ -0,0 +1 @@\n+Subproject commit " + b"1" * 40 + b"\n")
        self.refuse(module, "src/sub", "is made a submodule")

    def test_rename(self) -> None:
        rename = (b"diff --git a/src/main.c b/src/vcpu.c\nsimilarity index 100%\n"
                  b"copy from src/main.c\ncopy to src/vcpu2.c\n")
        self.refuse(rename, "src/vcpu2.c: lab 1 changes only")
        rename = rename.replace(b"copy", b"rename").replace(b"b/src/vcpu.c", b"b/src/vcpu2.c")
        self.refuse(rename, "src/main.c: lab 1 changes only", "besides, it is deleted", "src/vcpu2.c")

    def test_paths_that_lead_out(self) -> None:
        for path in (b"../x.c", b"/etc/x.c", b".git/config", b"src/../../x.c"):
            self.refuse(b"--- /dev/null\n+++ b/" + path + b"\n@@ -0,0 +1 @@\n+x\n",
                        "leads out of the tree")

    def test_content(self) -> None:
        self.refuse(self.vcpu_patch("\n"), "src/vcpu.c: is left empty")
        self.refuse(self.vcpu_patch(HOLE + "/* " + "x" * MAX_FILE + " */\n"), "bytes;")
        binary = diff({"src/vcpu.c": HOLE}, {"src/vcpu.c": b"int x;\0\n".decode()}, "--binary")
        self.refuse(binary, "src/vcpu.c: is binary")
        self.refuse(diff({"src/vcpu.c": HOLE}, {"src/vcpu.c": "int x;\0\n"}), "binary file")

    def test_carriage_returns(self) -> None:
        self.refuse(self.vcpu_patch(SOLVED).replace(b"\n", b"\r\n"), "CR LF", "Windows")

    def test_strip_level(self) -> None:
        patch = self.vcpu_patch(SOLVED)
        self.refuse(patch.replace(b" a/", b" ").replace(b" b/", b" "), "strip level", "-p0")
        self.refuse(patch.replace(b" a/", b" a/lab/").replace(b" b/", b" b/lab/"), "strip level", "-p2")

    def test_wrong_way_round(self) -> None:
        self.refuse(diff({"src/vcpu.c": SOLVED}, {"src/vcpu.c": HOLE}), "wrong way round")

    def test_another_handout(self) -> None:
        other = self.basis("lab-2", {**FILES, "src/vcpu.c": LONG}, stage=2)
        task = Task(1, ("src/vcpu.c",), self.handout, lambda: [other])
        patch = diff({"src/vcpu.c": LONG}, {"src/vcpu.c": LONG.replace("line 20", "mine")})
        self.refuse(patch, "it applies to lab 2's, not to lab 1's", task=task)
        self.refuse(patch, "another version of that file", "+/* mine */", "a hunk of src/vcpu.c")
        missing = diff({"src/svm.c": "int a;\n"}, {"src/svm.c": "int b;\n"})
        self.refuse(missing, "there is no such file", "src/svm.c")

    def test_shows_the_hunk(self) -> None:
        patch = self.vcpu_patch(SOLVED).replace(b"vcpu_run", b"vcpu_walk")
        said = self.refuse(patch, "does not apply", "void vcpu_walk", "The handout has there:", "vcpu_run")
        self.assertNotIn("another version", said)

    def test_damaged(self) -> None:
        patch = self.vcpu_patch(SOLVED)
        self.refuse(patch[: patch.rindex(b"\n }")], "damaged at its line")

    def test_new_file_that_is_there(self) -> None:
        self.refuse(diff({}, {"src/vcpu.c": SOLVED}), "the handout has it", "src/vcpu.c")

    def test_new_file_on_the_list(self) -> None:
        accepted = self.take(diff({}, {"src/own.c": "int x;\n"}), "src/vcpu.c", "src/own.c")
        self.assertEqual(accepted.changes, {"src/own.c": b"int x;\n"})


def patch_body(content: str, sign: bytes, old: bytes, new: bytes) -> bytes:
    """A hunk that takes a whole file away."""
    lines = content.encode().splitlines(keepends=True)
    head = b"--- " + old + b"\n+++ " + new + b"\n@@ -1,%d +0,0 @@\n" % len(lines)
    return head + b"".join(sign + line for line in lines)


class GateForTrees(HouseCase):
    """Whole trees."""

    def setUp(self) -> None:
        super().setUp()
        self.tree = self.root / "student"
        shutil.copytree(self.handout.tree, self.tree)
        self.task = Task(1, ("src/vcpu.c",), self.handout)

    def refuse(self, *said: str) -> None:
        """The tree is refused, with these words."""
        with self.assertRaises(Rejected) as caught:
            accept_tree(self.tree, self.task)
        for text in said:
            self.assertIn(text, str(caught.exception))

    def test_takes_only_the_list(self) -> None:
        write(self.tree, {"src/vcpu.c": SOLVED, "src/main.c": "evil\n", "src/more.c": "int x;\n",
                          "notes.txt": "mine\n", "build/x.o": "o"})
        (self.tree / "src" / "house.h").unlink()
        accepted = accept_tree(self.tree, self.task)
        self.assertEqual(accepted.changes, {"src/vcpu.c": SOLVED.encode()})
        for text in ("src/main.c", "src/more.c (new)", "src/house.h (missing)"):
            self.assertIn(text, accepted.notes[0])
        self.assertNotIn("notes.txt", accepted.notes[0])
        self.assertNotIn("vcpu", accepted.notes[0])

    def test_same_as_a_patch(self) -> None:
        write(self.tree, {"src/vcpu.c": SOLVED})
        patch = accept_patch(self.vcpu_patch(SOLVED), self.task, self.folder())
        accepted = accept_tree(self.tree, self.task)
        self.assertEqual((accepted.sha256, accepted.notes), (patch.sha256, ()))

    def test_untouched(self) -> None:
        accepted = accept_tree(self.tree, self.task)
        self.assertEqual(accepted.changes, {})
        self.assertIn("nothing differs", accepted.notes[0])

    def test_links(self) -> None:
        file = self.tree / "src" / "vcpu.c"
        file.unlink()
        self.refuse("src/vcpu.c: is not there")
        file.symlink_to("/etc/passwd")
        self.refuse("src/vcpu.c: is not a plain file")
        file.unlink()
        os.mkfifo(file)
        self.refuse("src/vcpu.c: is not a plain file")
        (self.tree / "src").rename(self.tree / "real")
        (self.tree / "src").symlink_to("real")
        self.refuse("src/vcpu.c: is not a plain file, or a folder above it is a link")

    def test_content(self) -> None:
        write(self.tree, {"src/vcpu.c": ""})
        self.refuse("src/vcpu.c: is left empty")
        write(self.tree, {"src/vcpu.c": "x" * (MAX_FILE + 1)})
        self.refuse("bytes;")
        write(self.tree, {"src/vcpu.c": "x\0"})
        self.refuse("binary")

    def test_no_tree_at_all(self) -> None:
        shutil.rmtree(self.tree / "src")
        self.refuse("not a tree of Casita")

    def test_git_ignores_are_no_hiding_place(self) -> None:
        git(self.tree, "init", "-q")
        write(self.tree, {".gitignore": "*\n", "src/vcpu.c": SOLVED})
        self.assertEqual(list(accept_tree(self.tree, self.task).changes), ["src/vcpu.c"])


if __name__ == "__main__":
    unittest.main()

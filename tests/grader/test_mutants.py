# SPDX-License-Identifier: BSD-3-Clause
"""Mutants: how they are made, what they are called, and the list of those that no test catches."""

from __future__ import annotations

import unittest

from support import HouseCase, trees, write
from common import CasitaError

if trees.STAFF:
    from staff.mutants import assembly, c_code, known, sources
    from staff.mutants.sources import Mutant, Source, functions, hole_lines, named

HOLE = """\
int a;
#if SOLVED >= 2
one
#if STAGE >= 4
two
#endif
three
#else
four
#endif
#if SOLVED >= 3
five
#endif
"""


def c_mutants(code: str, before: str = "") -> list[Mutant]:
    """The mutants of a function's body."""
    head = f"{before}static int room(int door)\n{{\n"
    first = head.count("\n") + 1
    lines = frozenset(range(first, first + code.count("\n") + 1))
    text = f"{head}{code}\n}}\n"
    source = Source("src/room.c", text, lines, functions(text, "src/room.c"))
    return named(source, c_code.mutations(source))


def asm_mutants(code: str) -> list[Mutant]:
    """The mutants of an assembly function."""
    text = f"door:\n{code}\n"
    lines = frozenset(range(2, 2 + code.count("\n") + 1))
    source = Source("src/door.S", text, lines, functions(text, "src/door.S"))
    return named(source, assembly.mutations(source))


@unittest.skipUnless(trees.STAFF, "mutants are the staff's")
class Holes(unittest.TestCase):
    """Where mutants may be."""

    def test_lines(self) -> None:
        self.assertEqual(hole_lines(HOLE, 2), {3, 5, 7})
        self.assertEqual(hole_lines(HOLE, 3), {12})
        self.assertEqual(hole_lines(HOLE, 1), set())

    def test_functions(self) -> None:
        text = "int a = f(1);\n\n/* {\n*/\nstatic int f(int x,\n\tint y)\n{\n\treturn 0;\n}\n"
        text += "\nint b;\n"
        found = functions(text, "a.c")
        self.assertEqual((found.get(8), found.get(11), found.get(1)), ("f", None, None))
        text = "static __attribute__((noinline)) u8 g(int x)\n{\n\treturn 0;\n}\n"
        self.assertEqual(functions(text, "a.c").get(3), "g")
        found = functions("a:\n\tret\nb:\n\tret\n", "a.S")
        self.assertEqual(found, {1: "a", 2: "a", 3: "b", 4: "b"})

    def test_only_in_holes(self) -> None:
        self.assertEqual({m.line for m in c_mutants("\treturn 1;", "static int two = 2;\n\n")}, {5})


@unittest.skipUnless(trees.STAFF, "mutants are the staff's")
class InC(unittest.TestCase):
    """The mutations of C."""

    def news(self, code: str, operator: str) -> list[str]:
        """What becomes of a line by one operator."""
        return [m.new for m in c_mutants(code) if m.mutation.operator == operator]

    def test_compare(self) -> None:
        self.assertEqual(self.news("x = a == b;", "compare"), ["x = a != b;"])
        self.assertEqual(self.news("x = a < b;", "compare"), ["x = a <= b;"])
        self.assertEqual(self.news("x = a >= b;", "compare"), ["x = a > b;"])

    def test_logic(self) -> None:
        self.assertEqual(self.news("x = a && b;", "logic"), ["x = a || b;"])

    def test_negate(self) -> None:
        self.assertEqual(self.news("if (a)\n\tb();", "negate"), ["if (!(a))"])
        self.assertEqual(self.news("x = !a;", "negate"), ["x = a;"])
        news = self.news("return a == b ? c : d;", "negate")
        self.assertEqual(news, ["return !(a == b) ? c : d;"])
        self.assertEqual(self.news("return a ?: d;", "negate"), [])

    def test_drop(self) -> None:
        code = "struct a *b = c();\nd();\nif (e)\n\tf = 1;\nelse\n\tg(1,\n\t  2);\nreturn 0;"
        olds = [m.old for m in c_mutants(code) if m.mutation.operator == "drop"]
        self.assertEqual(olds, ["d();", "f = 1;", "g(1, 2);", "return 0;"])

    def test_drop_in_switch(self) -> None:
        code = "switch (a) {\ncase B: c(a ? b : d);\ndefault:\n\tbreak;\n}"
        news = [m.new for m in c_mutants(code) if m.mutation.operator == "drop"]
        self.assertEqual(news, ["case B: ;", ";"])

    def test_no_statement_in_an_initializer(self) -> None:
        self.assertEqual(self.news("struct a b = {.c = 1};", "drop"), [])

    def test_return(self) -> None:
        self.assertEqual(self.news("return true;", "return"), ["return false;"])
        self.assertEqual(self.news("return -EPERM;", "return"), ["return 0;"])
        self.assertEqual(self.news("return 0;", "return"), ["return -1;"])

    def test_constant(self) -> None:
        self.assertEqual(self.news("x = 5;", "constant"), ["x = 4;", "x = 6;"])
        self.assertEqual(self.news("x = 0;", "constant"), ["x = 1;"])
        news = self.news("x = 0x10u;", "constant")
        self.assertEqual(news, ["x = 0x11u;", "x = 0x20u;", "x = 0xfu;"])

    def test_shift_and_bits(self) -> None:
        self.assertEqual(self.news("x = a << b;", "shift"), ["x = a >> b;"])
        self.assertEqual(self.news("x = a & ~b;", "bits"), ["x = a | ~b;", "x = a & b;"])
        self.assertEqual(self.news("x |= a;", "bits"), ["x &= a;", "x = a;"])
        self.assertEqual(self.news("f(&x);", "bits"), [])

    def test_arithmetic(self) -> None:
        self.assertEqual(self.news("x = a - b;", "arithmetic"), ["x = b - a;", "x = a + b;"])
        self.assertEqual(self.news("x += 2;", "arithmetic"), ["x -= 2;"])
        self.assertEqual(self.news("x = -a;", "arithmetic"), [])

    def test_term(self) -> None:
        news = self.news("x = A | B | C;", "term")
        self.assertEqual(news, ["x = B | C;", "x = A | C;", "x = A | B;"])
        self.assertEqual(
            self.news("if (a(1) && (b || c))\n\td();", "term"),
            ["if ((b || c))", "if (a(1))", "if (a(1) && (c))", "if (a(1) && (b))"],
        )
        self.assertEqual(self.news("x |= a & b;", "term"), ["x |= b;", "x |= a;"])

    def test_swap(self) -> None:
        self.assertEqual(self.news("f(a, g(b, c));", "swap"), ["f(g(b, c), a);", "f(a, g(c, b));"])
        self.assertEqual(self.news('print("a", b);', "swap"), [])
        self.assertEqual(self.news("if (a, b)\n\t;", "swap"), [])

    def test_comments_and_texts_stay(self) -> None:
        self.assertEqual(c_mutants('\t/* a == 1; */ // b\n#define C 1\n\tchar a[] = "1 < 2";'), [])


@unittest.skipUnless(trees.STAFF, "mutants are the staff's")
class InAssembly(unittest.TestCase):
    """The mutations of assembly."""

    def news(self, code: str, operator: str) -> list[str]:
        """What becomes of a line by one operator."""
        return [m.new for m in asm_mutants(code) if m.mutation.operator == operator]

    def test_drop(self) -> None:
        self.assertEqual(self.news("\t.align 8\n\tclgi\t\t/* 2 */\n1:\n\tret", "drop"), ["", ""])

    def test_order_and_registers(self) -> None:
        code = "\tclgi\t\t/* 2 */\n\tmov\t%rcx, 0x08(%rdi)\n\tmov\t%rdx, 0x10(%rdi)"
        self.assertEqual(self.news(code, "order"), ["mov %rcx, 0x08(%rdi) clgi"])
        news = self.news(code, "registers")
        self.assertEqual(news, ["mov %rdx, 0x08(%rdi) mov %rcx, 0x10(%rdi)"])

    def test_operands(self) -> None:
        self.assertEqual(self.news("\tmov\t8(%rsp), %rdi", "operands"), ["mov %rdi, 8(%rsp)"])

    def test_width(self) -> None:
        self.assertEqual(self.news("\tmov\t%r8, 0x40(%rdi)", "width"), ["mov %r8d, 0x40(%rdi)"])

    def test_constant(self) -> None:
        code = "\tmov\t0x08(%rdi), %rcx"
        news = self.news(code, "constant")
        self.assertEqual(news, ["mov 0x0(%rdi), %rcx", "mov 0x10(%rdi), %rcx"])
        self.assertEqual(self.news("\tmov\t$3, %eax", "constant"), ["mov $2, %eax", "mov $4, %eax"])


@unittest.skipUnless(trees.STAFF, "mutants are the staff's")
class Named(unittest.TestCase):
    """What a mutant is called does not depend on where it stands."""

    def test_lines_and_comments_do_not_matter(self) -> None:
        before = [m.key for m in c_mutants("\tdo_it(1);")]
        after = [m.key for m in c_mutants("\tdo_it(1); /* now */", "int one;\n\n/* more */\n")]
        self.assertEqual(before, after)
        self.assertIn("src/room.c room: do_it(1); => do_it(2);", before)

    def test_the_same_twice(self) -> None:
        keys = [m.key for m in c_mutants("\tf();\n\tf();")]
        self.assertEqual(keys, ["src/room.c room: f(); => ;", "src/room.c room: f(); => ; #2"])

    def test_content(self) -> None:
        mutant = c_mutants("\tif (a == b)\n\t\tf();")[0]
        self.assertIn("\tif (!(a == b))\n\t\tf();", mutant.content)


@unittest.skipUnless(trees.STAFF, "mutants are the staff's")
class TheList(HouseCase):
    """solutions/N-name/mutants.toml."""

    ENTRY = '[[equivalent]]\nfile = "src/room.c"\nfunction = "room"\nline = "f( 1 );"\n'
    ENTRY += 'reason = "so"\n'

    def read(self, text: str) -> list[known.Known]:
        """Read such a list."""
        return known.read_known(write(self.folder(), {"mutants.toml": text}) / "mutants.toml")

    def test_fits(self) -> None:
        entries = self.read(self.ENTRY + 'mutant = "f(2);"\n')
        first, second = (m for m in c_mutants("\tf(1);\n\tf(1);") if m.new == "f(2);")
        self.assertEqual(known.find(first, entries), entries[0])
        self.assertIsNone(known.find(second, entries))
        entries = self.read(self.ENTRY + 'mutant = "f(2);"\nwhich = 2\n')
        self.assertEqual(known.find(second, entries), entries[0])
        self.assertIsNone(known.find(first, entries))
        others = [m for m in c_mutants("\tf(1);") if m.new != "f(2);"]
        self.assertEqual([known.find(m, entries) for m in others], [None, None])

    def test_another_function_or_file(self) -> None:
        mutant = next(m for m in c_mutants("\tf(1);") if m.new == "f(2);")
        for word, other in (("src/room.c", "src/hall.c"), ('"room"', '"hall"')):
            entries = self.read(self.ENTRY.replace(word, other) + 'mutant = "f(2);"\n')
            self.assertIsNone(known.find(mutant, entries))

    def test_several_with_one_reason(self) -> None:
        entries = self.read(self.ENTRY + 'mutant = ["f(2);", "f(0);"]\n')
        self.assertEqual([entry.mutant for entry in entries], ["f(2);", "f(0);"])

    def test_what_is_printed_can_be_read(self) -> None:
        for code in ("\tf(1);", '\tprint("a\\n", 1);', "\tf('a', \"b\", 1);"):
            for mutant in c_mutants(code):
                entries = self.read(f'[[unseen]]\nreason = "so"\n{known.as_entry(mutant)}\n')
                self.assertEqual(known.find(mutant, entries), entries[0])

    def test_mistakes(self) -> None:
        for text, said in (
            ("[[equivalent]\n", "mutants.toml"),
            ("[[other]]\n", "other is unknown"),
            (self.ENTRY, "equivalent 1: mutant must be there"),
            (self.ENTRY.replace('"so"', '" "') + 'mutant = ""\n', "reason must be there"),
            (self.ENTRY + 'mutant = ""\nwhy = "x"\n', "unknown: why"),
            (self.ENTRY + 'mutant = ""\nwhich = 0\n', "which = 0"),
        ):
            with self.assertRaisesRegex(CasitaError, said):
                self.read(text)

    def test_no_list(self) -> None:
        self.assertEqual(known.read_known(self.folder() / "mutants.toml"), [])


@unittest.skipUnless(trees.STAFF, "mutants are the staff's")
class Cut(HouseCase):
    """A file with a hole, as unifdef leaves it."""

    def test_lines_stay(self) -> None:
        text = "#if SOLVED >= 1\n#if STAGE >= 2\nint a;\n#endif\nint b;\n#endif\n"
        root = write(self.folder(), {"src/vcpu.c": text})
        lab = type("Lab", (), {"files": ("src/vcpu.c", "src/none.c"), "number": 1})()
        (source,) = sources.read_sources(root, lab)
        self.assertEqual(source.text, "\n\n\n\nint b;\n\n")
        self.assertEqual(source.lines, {3, 5})


if __name__ == "__main__":
    unittest.main()

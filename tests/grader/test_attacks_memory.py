# SPDX-License-Identifier: BSD-3-Clause
"""Attacks on labs 1, 3 and 4. None gains a point; without the evidence that shows it, each would."""

from __future__ import annotations

import importlib
import tempfile
import unittest
from contextlib import ExitStack
from pathlib import Path
from unittest import mock

import support  # noqa: F401  pylint: disable=unused-import
from attacks.memory import TRICKS, Trick
from common import scratch_directory
from grading import one, report, trees
from grading.lab import choose, read_lab
from grading.model import TestResult, Verdict

SEED = 20_261_123


class Memory(unittest.TestCase):
    """Attacks on labs 1, 3 and 4."""

    def grade(self, trick: Trick, check: bool) -> TestResult:
        """The test that it tries to pass; with or without the check that shows it."""
        lab = read_lab(trick.lab)
        (test,) = choose(lab, trick.test)
        reference = trees.reference(trick.lab)
        assert reference
        with tempfile.TemporaryDirectory() as name:
            tree = Path(name)
            for path in lab.files:
                text = (reference.tree / path).read_text()
                for old, new in trick.edits if path == trick.path else ():
                    self.assertEqual(text.count(old), 1, old)
                    text = text.replace(old, new)
                (tree / path).parent.mkdir(parents=True, exist_ok=True)
                (tree / path).write_text(text)
            order = one.Order(lab, (test,), one.Submission(tree=tree), SEED, trick.lab, lab.files)
            # Not one.the_runner(): what is prepared without a check is not to be kept.
            runner = importlib.import_module("grading.runner")
            with ExitStack() as stack:
                for each in trick.checks if not check else ():
                    stack.enter_context(mock.patch(each, return_value=None))
                folder = stack.enter_context(scratch_directory())
                result = one.grade(order, folder, runner=runner)
        self.assertFalse(result.message, result.message)
        return result.results[0]

    def plays(self, trick: Trick) -> None:
        """No point, and it is said why; a point, if nobody looked."""
        result = self.grade(trick, check=True)
        said = report.clean(result.message)
        self.assertEqual((result.verdict, result.points), (Verdict.FAIL, 0), said)
        self.assertIn(trick.said, said)
        result = self.grade(trick, check=False)
        self.assertEqual(result.verdict, Verdict.PASS, report.clean(result.message))
        self.assertGreater(result.points, 0)


for _trick in TRICKS:
    setattr(Memory, f"test_{_trick.name.replace('-', '_')}", lambda self, trick=_trick: self.plays(trick))


if __name__ == "__main__":
    unittest.main()

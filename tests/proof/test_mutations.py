"""The mutation script: its changes are of today's code, are changes, and are looked at by tests that exist."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

from mutate import by_hand, by_rule, changed  # noqa: E402 - found in the folder of the scripts
from mutation.equivalent import EQUIVALENT  # noqa: E402
from mutation.rules import changes  # noqa: E402
from mutation.tests_of import EACH, SHARE, TESTS, place_of  # noqa: E402


def test_changes_are_of_todays_code_and_change_it() -> None:
    """At least 150, each a file that still is Python and differs; no text of the table has gone out of date, which
    nothing else notices by day.
    """
    made = [*by_hand(), *by_rule(EACH)]
    assert len(made) == len({(c.key, c.line, c.rule) for c in made}) >= 150
    for change in made:
        source = (ROOT / change.file).read_text()
        assert changed(change, source) != source
        ast.parse(changed(change, source))
    every = {c.key for c in (*by_hand(), *by_rule(0))}
    assert set(EQUIVALENT) <= every, "a change that cannot be made any more needs no argument"
    assert all(EQUIVALENT.values())


def test_tests_that_look_at_a_file_exist() -> None:
    """A module or a function that is renamed would look at nothing."""
    for module, _, name in {test.partition("::") for tests in TESTS.values() for test in tests}:
        assert f"def {name.partition('[')[0]}" in (ROOT / place_of(module)).read_text()
    assert all((ROOT / file).exists() for file in (*TESTS, *SHARE))


def test_rules_make_the_changes_that_they_name() -> None:
    """One line with all of them: constants, terms, signs, comparisons, `not`, min and max."""
    source = "def f(x):\n    if not x < 3.0:\n        return min(x + 2.0 * x, 1)\n"
    made = {c.after for c in changes("f.py", source)}
    assert {
        "if not x <= 3.0:",
        "if not x < 30.0:",
        "if x < 3.0:",
        "if not (not x < 3.0):",
        "return max(x + 2.0 * x, 1)",
        "return min(x, 1)",
        "return min(2.0 * x, 1)",
        "return min(x - 2.0 * x, 1)",
        "return min(x + 0.0 * x, 1)",
        "return min(x + 2.0, 1)",
    } <= made

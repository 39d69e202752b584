"""The fixture and the marker of the pytest plugin, and tests of one's own by Hypothesis, in sessions of their own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from sessions import of_ones_own

pytest_plugins = ["pytester"]


@pytest.fixture
def here(pytester: pytest.Pytester) -> Iterator[pytest.Pytester]:
    """A folder with implementations, which no other session has imported."""
    with of_ones_own(pytester):
        yield pytester


OWN = """
import numpy as np
import pytest
from mine import right, wrong

@pytest.mark.xentcheck(dtypes=["float32"], options={"upstream"}, reductions="mean", cases="gaussian.*")
def test_right(xentcheck_case):
    p = xentcheck_case.problem
    value, gradient = right(p.logits, p.target, p.reduction, p.upstream)
    xentcheck_case.assert_agrees({"cost": value, "dC/dz": gradient})

@pytest.mark.xentcheck(dtypes="float32", options=(), reductions="mean", cases=["gaussian.*"])
def test_wrong(xentcheck_case):
    p = xentcheck_case.problem
    value, gradient = wrong(p.logits, p.target)
    xentcheck_case.assert_agrees({"cost": value, "dC/dz": gradient}, contract="fused", name="mine")

@pytest.mark.xentcheck(dtypes="float32", options=(), reductions="mean", cases="gaussian.*")
def test_nothing(xentcheck_case):
    xentcheck_case.problem.logits

@pytest.mark.xentcheck(dtypes="float32", options=("ignore_index", "weight", "upstream"), cases="*allign.mean*")
def test_convention(xentcheck_case):
    assert xentcheck_case.quantities == ("cost", "dC/dz")
    xentcheck_case.assert_agrees({"cost": np.float32("nan"), "dC/dz": np.zeros_like(xentcheck_case.problem.logits)})

@pytest.mark.xentcheck(dtypes="float32", options=(), reductions="mean", cases="gaussian.5x10.*")
def test_refused(xentcheck_case):
    p = xentcheck_case.problem
    with pytest.raises(AssertionError, match="exceed their bound"):
        xentcheck_case.assert_agrees({"cost": 2 * right(p.logits, p.target)[0]})
"""


def test_the_fixture_yields_cases(here: pytest.Pytester) -> None:
    """As many as the marker selects; a gradient that is wrong fails, and so does a test that compares nothing."""
    here.makepyfile(test_own=OWN)
    done = here.runpytest_inprocess("--strict-markers", "-rA")
    assert done.ret == pytest.ExitCode.TESTS_FAILED
    text = done.stdout.str()
    assert len(re.findall(r"PASSED test_own.py::test_right\[gaussian\.", text)) >= 2
    assert re.search(r"PASSED test_own.py::test_refused\[gaussian\.", text)
    assert len(re.findall(r"FAILED test_own.py::test_wrong\[gaussian\.", text)) >= 1
    assert not re.search(r"PASSED test_own.py::test_(wrong|nothing|convention)", text)
    assert re.search(r"SKIPPED .*allign.*: nothing in it can be decided \(a convention, ", text)
    assert "nothing was compared; call xentcheck_case.assert_agrees" in text
    assert re.search(r"mine/eager/cpu/float32 dC/dz of gaussian\..*elements exceed their bound", text)


def test_options_narrow_the_cases_of_the_fixture(here: pytest.Pytester) -> None:
    """The marker says which cases there are, the command line which of them run now."""
    here.makepyfile(test_own=OWN)
    options = ("--collect-only", "-q", "-k", "test_right or test_refused")
    every = here.runpytest_inprocess(*options).stdout.str()
    some = here.runpytest_inprocess(
        *options, "--xentcheck-case", "*.5x10.*", "--xentcheck-dtype", "float32"
    ).stdout.str()
    none = here.runpytest_inprocess(*options, "--xentcheck-dtype", "float16").stdout.str()
    found = [[line for line in text.splitlines() if "::test_" in line] for text in (every, some)]
    assert found[1] == [line for line in found[0] if ".5x10." in line] != found[0]
    assert "gaussian" not in none


@pytest.mark.parametrize(
    ("marker", "text"),
    [
        ("shape=3", "has 'shape'; allowed: profile, seed, dtypes, cases, options, reductions"),
        ("options=['wings']", "has options 'wings'; allowed: weight, "),
        ("dtypes='int8'", "has dtypes 'int8'; allowed: float64, "),
        ("'quick'", "takes keywords only: "),
        ("cases='knots.*'", "no case matches 'knots.*'"),
    ],
)
def test_a_marker_that_makes_no_sense_is_an_error(marker: str, text: str, here: pytest.Pytester) -> None:
    """The run does not pass, and one line says which marker."""
    source = f"import pytest\n@pytest.mark.xentcheck({marker})\ndef test_one(xentcheck_case): pass\n"
    here.makepyfile(test_own=source)
    done = here.runpytest_inprocess()
    assert done.ret in (pytest.ExitCode.INTERRUPTED, pytest.ExitCode.USAGE_ERROR)
    assert text in done.stdout.str() + done.stderr.str()


OF_ONES_OWN = """
import xentcheck
from hypothesis import given, settings
from xentcheck.reference import cross_entropy

def value(p):
    return cross_entropy(
        p.logits, p.target, weight=p.weight, ignore_index=p.ignore_index, reduction=p.reduction,
        label_smoothing=p.label_smoothing,
    )

@settings(max_examples=20, deadline=None, database=None)
{given}
def test_right(problem):
    {judged}

def test_wrong():
    problem = xentcheck.build("gaussian.5x10.f32.index.plain.mean.up-one.contig.s0")
    xentcheck.assert_values_agree(problem, {{"cost": 2 * value(problem)}})
"""


def test_the_line_for_hypothesis_works_and_a_failure_shows_the_callers_line(pytester: pytest.Pytester) -> None:
    """As the README has it; of a failure no line of this package is shown."""
    text = " ".join((Path(__file__).parents[2] / "README.md").read_text().split())
    (drawn,) = re.findall(r"`(@given\(problem=[^`]*)`", text)
    (judged,) = re.findall(r"`(xentcheck\.assert_values_agree\(problem, \{\"cost\": \.\.\.\}\))`", text)
    made = OF_ONES_OWN.format(given=drawn, judged=judged.replace("...", "value(problem)"))
    pytester.makepyfile(made)
    done = pytester.runpytest_inprocess("-p", "no:cacheprovider")
    done.assert_outcomes(passed=1, failed=1)
    shown = done.stdout.str()
    assert 'xentcheck.assert_values_agree(problem, {"cost": 2 * value(problem)})' in shown
    assert "def assert_values_agree" not in shown
    assert "def _judged" not in shown

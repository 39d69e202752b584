"""The budgets of the suite: what is too dear fails the session, and what is not does not."""

from __future__ import annotations

import gc
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import budgets
import pytest

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"
PLANTED = '''
import time

def spend():
    end = time.process_time() + 0.8
    while time.process_time() < end:
        pass

def test_cheap(): pass

def test_dear():
    """{docstring}"""
    spend()
'''


CONFTEST = """
import sys
sys.path.append("{}")
import budgets
budgets.UNIT, budgets.BUDGETS = 0.3, {{"proof": 0.1}}
def pytest_configure(config):
    config.pluginmanager.register(budgets.Budgets(config))
"""


def session(pytester: pytest.Pytester, folder: str, docstring: str, *options: str) -> pytest.RunResult:
    """A session with a test that costs 0.8 s, where a unit test may cost 0.3, and a folder 0.1."""
    (pytester.path / folder).mkdir()
    (pytester.path / folder / "test_planted.py").write_text(PLANTED.replace("{docstring}", docstring))
    pytester.makeconftest(CONFTEST.format(Path(budgets.__file__).parent.as_posix()))
    return pytester.runpytest_inprocess("-p", "no:cacheprovider", "-m", "not nightly", *options)


@pytest.fixture(autouse=True)
def _own(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The limits of the planted session end with it; looking for garbage among what other tests left is none of its
    costs.
    """
    monkeypatch.setattr(budgets, "UNIT", budgets.UNIT)
    monkeypatch.setattr(budgets, "BUDGETS", budgets.BUDGETS)
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_dear_unit_test_fails_unless_it_says_what_it_alone_proves(workers: str, pytester: pytest.Pytester) -> None:
    """By name, whether this process or a worker has run it."""
    done = session(pytester, "unit", "It spends.", "-n", workers)
    assert done.ret == pytest.ExitCode.TESTS_FAILED
    done.assert_outcomes(passed=2)
    done.stdout.re_match_lines(
        [r"unit/test_planted\.py::test_dear costs \d\.\d CPU seconds, and does not say what it .*"]
    )
    assert "test_cheap" not in done.stdout.str()


def test_one_that_says_it_passes(pytester: pytest.Pytester) -> None:
    """The limit is one for tests that do not explain themselves."""
    assert session(pytester, "unit", "It alone spends.").ret == pytest.ExitCode.OK


def test_a_folder_beyond_its_budget_fails(pytester: pytest.Pytester) -> None:
    """Whatever its docstrings say."""
    done = session(pytester, "proof", "It alone spends.")
    assert done.ret == pytest.ExitCode.TESTS_FAILED
    done.stdout.re_match_lines(
        [
            r"the tests of proof cost \d CPU seconds; allowed: 0\.\d.*",
            r"CPU seconds: proof \d",
            r"dearest modules: test_planted \d",
        ]
    )


def test_a_slow_machine_is_no_dear_folder(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """The budget grows as the loop does that is measured beside the tests."""
    monkeypatch.setattr(budgets, "LOOP", budgets.LOOP / 100)
    done = session(pytester, "proof", "It alone spends.")
    assert done.ret == pytest.ExitCode.OK
    done.stdout.re_match_lines([r"CPU seconds: proof \d; slowness \d+"])


def test_folders_without_a_limit_and_nightly_runs_are_told(pytester: pytest.Pytester) -> None:
    """What is measured is shown, and fails nothing."""
    assert session(pytester, "processes", "It spends.").ret == pytest.ExitCode.OK


def test_a_unit_test_that_waits_for_a_framework_fails(pytester: pytest.Pytester) -> None:
    """It would be skipped wherever it is run."""
    pytester.mkdir("unit").joinpath("test_skipped.py").write_text(
        "import pytest\n@pytest.mark.skip(reason='torch is not installed')\ndef test_skipped(): pass\n"
    )
    done = session(pytester, "proof2", "It alone spends.")
    assert done.ret == pytest.ExitCode.TESTS_FAILED
    done.stdout.re_match_lines([r"unit/test_skipped.py::test_skipped needs what is never there; .*"])


def test_every_folder_has_a_budget() -> None:
    """None that is gone, and none without."""
    folders = {path.parent.relative_to(TESTS).parts[0] for path in TESTS.rglob("test_*.py")}
    assert folders == set(budgets.BUDGETS)
    assert budgets.beyond(Counter({folder: 0.9 * limit for folder, limit in budgets.BUDGETS.items()})) == []


def test_no_two_modules_have_one_name() -> None:
    """Tables name test modules by their name alone, and pytest imports them so."""
    names = Counter(path.name for path in TESTS.rglob("*.py") if "museum" not in path.parts and path.name[0] != "_")
    assert [name for name, count in names.items() if count > 1] == []


def test_environments_run_every_folder() -> None:
    """What an environment of tox runs, all of it together is all that there is."""
    text = (ROOT / "tox.ini").read_text()
    named = set(re.findall(r"\btests/(\w+)", text.partition("[testenv:quick]")[2]))
    assert named == set(budgets.BUDGETS)

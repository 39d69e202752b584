"""What the command line shows beside its results: defaults in the help, progress, and values in errors."""

from __future__ import annotations

import click
import pytest

from xentcheck.cli.main import COMMANDS, command_named
from xentcheck.cli.options import shown
from xentcheck.cli.request import _progress
from xentcheck.running.tasks import Finished
from xentcheck.vocabulary import TIMEOUT


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_an_option_has_its_default(name: str) -> None:
    """Of a number or a word; that of a switch needs no telling."""
    command = command_named(name)
    options = [p for p in command.params if isinstance(p, click.Option) and not p.is_flag and not p.multiple]
    given = [o for o in options if isinstance(o.default, (int, float, str)) and o.default != ""]
    assert [o.name for o in given if not o.show_default] == []


def test_the_limit_of_a_call_is_that_of_the_help() -> None:
    """A minute: what hangs three times in a row holds a run up for no longer than some minutes."""
    (option,) = (p for p in command_named("run").params if p.name == "timeout")
    assert option.default == TIMEOUT
    assert 3 * TIMEOUT <= 180


def test_ten_lines_of_progress(capsys: pytest.CaptureFixture[str]) -> None:
    """One for each tenth of the way, where there is no terminal, and each for fewer than ten tasks."""
    for tasks, counts in ((30, range(3, 31, 3)), (4, range(1, 5))):
        with _progress(tasks) as line:
            for _ in range(tasks):
                line(Finished("", (), 0.0))
        told = capsys.readouterr().err.splitlines()
        assert told == [f"checking: {count} of {tasks} groups" for count in counts]


def test_a_value_of_twenty_characters_is_shown_whole() -> None:
    """A longer one is cut off."""
    assert shown("9" * 20) == repr("9" * 20)
    assert shown("9" * 21) == repr("9" * 20 + "...")

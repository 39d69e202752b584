"""The README says what happens: its failing example fails just so, and its commands are those that CI runs."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def block_after(text: str) -> list[str]:
    """The lines of the code block that follows a text."""
    match = re.search(re.escape(text) + r".*?```\n(.*?)```", README, re.DOTALL)
    assert match
    return match[1].splitlines()


@pytest.mark.skipif(find_spec("torch") is None, reason="torch is not installed")
def test_the_failing_example_prints_what_the_readme_shows() -> None:
    """Every line shown is printed, and the exit code is 1."""
    command, *shown = block_after("ignored rows too) like this:")
    arguments = command.removeprefix("$ xentcheck ").split()
    code = "from xentcheck.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False, cwd=ROOT / "examples"
    )
    assert done.returncode == 1
    printed = done.stdout.splitlines()
    assert [line for line in shown if line != "..." and line not in printed] == []


def test_the_two_commands_are_environments_of_tox_and_run_in_ci() -> None:
    """`tox run -e report` and `tox run -e all`."""
    environments = re.findall(r"pip install tox && tox run -e (\w+)", README)
    assert environments == ["report", "all"]
    assert "[testenv:report]" in (ROOT / "tox.ini").read_text()
    gate = (ROOT / ".ci" / "run").read_text()
    assert re.search(r"for environment in .*\breport\b", gate)
    assert re.search(r"tox\" run .*-e all\b", gate)


def test_every_command_of_the_table_exists() -> None:
    """The commands that the README lists are those that the command line has."""
    from xentcheck.cli import cli

    listed = set(re.findall(r"\| `xentcheck (\w+)", README))
    assert listed == set(cli.commands)


def test_every_link_points_to_a_file() -> None:
    """Relative links resolve."""
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target

"""Each framework alone is absent: it is told, named it is bad input, and the others go on."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

import pytest

BLOCKED = """
import sys
from importlib.machinery import PathFinder
find = PathFinder.find_spec
PathFinder.find_spec = lambda name, *rest: None if name.split(".")[0] in {names} else find(name, *rest)
from xentcheck.cli.main import main
main()
"""
"""The command where some packages are not found, as if they were not installed."""

CASE = "ties.5x10.f32.index.plain.mean.*"


def without(names: tuple[str, ...], *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command without some packages."""
    command = [sys.executable, "-c", BLOCKED.format(names=names), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("framework", ["torch", pytest.param("jax", marks=pytest.mark.nightly)])
def test_a_framework_that_is_absent_is_told_and_named_it_is_bad_input(framework: str) -> None:
    """Found missing by default it is `unavailable`, and the others are checked; named, it is an error."""
    other = {"torch": "jax", "jax": "torch"}[framework]
    done = without((framework, f"{framework}lib"), "run", "--case", CASE)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{framework} is not installed" in done.stdout
    assert (f"{other} is not installed" in done.stdout) == (find_spec(other) is None)
    assert "numpy eager cpu" in done.stdout
    named = without((framework, f"{framework}lib"), "run", "--adapter", framework)
    assert (named.returncode, named.stdout) == (2, "")
    assert named.stderr == f"xentcheck: adapter {framework}: {framework} is not installed\n"


def test_what_pages_are_drawn_with_may_be_absent_too() -> None:
    """A run needs neither frameworks nor what the report and the strategies need."""
    names = ("torch", "jax", "jaxlib", "optax", "matplotlib", "jinja2", "hypothesis", "distributed", "pytest")
    done = without(names, "run", "--case", CASE)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "agreed: " in done.stdout


def test_a_table_without_its_package_is_refused_before_the_file_is_read() -> None:
    """One line that says what to install; a format that needs no package is none of that."""
    done = without(("pyarrow",), "report", "none.jsonl", "--format", "md", "--format", "parquet")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == 'xentcheck: a Parquet file needs pyarrow: pip install "xentcheck[parquet]"\n'
    assert "none.jsonl cannot be read" in without(("pyarrow",), "report", "none.jsonl", "--format", "md").stderr

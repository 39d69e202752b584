"""The README says what happens: its examples fail just so, and its commands are those that CI runs."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import textwrap
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def block_after(text: str) -> list[str]:
    """The lines of the code block that follows a text."""
    match = re.search(re.escape(text) + r".*?```\n(.*?)```", README, re.DOTALL)
    assert match
    return match[1].splitlines()


EXAMPLES = ROOT / "examples"

FIVE_MINUTES = {
    "torch": ("wrong_loss.py", "wrong_loss:loss", "B20"),
    "jax": ("wrong_jax_loss.py", "wrong_jax_loss:loss", "F73"),
    "process": ("node/wrong_loss.mjs", "node wrong_loss.mjs", "A01"),
}
"""By framework: the example with a mistake, the implementation as the command line names it, and the mistake."""


WHOLE = [
    pytest.param(
        name, whole, marks=pytest.mark.nightly if whole and name != "torch" else (), id=f"{name}{'-all' * whole}"
    )
    for name in FIVE_MINUTES
    for whole in (True, False)
    if name != "torch" or whole
]
"""Each framework on a few cases, and as the README shows it, which two of them are at night."""


@pytest.mark.parametrize(("framework", "whole"), WHOLE)
def test_five_minutes(framework: str, whole: bool, tmp_path: Path) -> None:
    """Ten lines, one of them wrong: a run names it, its command writes a script, which fails in a fresh interpreter.

    Alone shows that every line that the README shows is printed; it runs all float32 cases of quick.
    """
    example, implementation, mistake = FIVE_MINUTES[framework]
    if (find_spec(framework) or shutil.which("node" if framework == "process" else "")) is None:
        pytest.skip(f"{framework} is not installed")
    lines = [line for line in (EXAMPLES / example).read_text().splitlines() if line.strip()]
    assert len(lines) <= 10
    for path in (EXAMPLES / example).parent.glob("*.*"):
        shutil.copy(path, tmp_path)
    some = () if whole else ("--case", "*.5x10.f32.index*", "--case", "*.3x7x2.f32.*")
    run = command(tmp_path, "run", "--impl", implementation, "--framework", framework, "--dtype", "float32", *some)
    assert run.returncode == 1
    if framework == "torch":
        told, *shown = block_after("ignored rows too) like this:")
        assert told == f"$ xentcheck run --impl {implementation} --framework torch --dtype float32"
        assert [line for line in shown if line != "..." and line not in run.stdout.splitlines()] == []
        screen = [row for line in run.stdout.splitlines() for row in textwrap.wrap(line, 80) or [""]][-24:]
        assert screen[-1].endswith("unsupported)")
        assert any(row.startswith(f"1. divides by all rows [{mistake}]") for row in screen)
    assert re.search(rf"^suspected: .* \[{mistake}\], which explains \d+ of \d+ failures examined$", run.stdout, re.M)
    first = next(iter(re.findall(r"^   again (xentcheck replay .*)$", run.stdout, re.M)))
    assert command(tmp_path, *shlex.split(first)[1:], "--script", "repro.py").returncode == 1
    script = (tmp_path / "repro.py").read_text()
    assert len(script.splitlines()) <= 25
    assert "xentcheck" not in script.split('"""')[2]
    found = subprocess.run([sys.executable, "repro.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stderr) == (1, "")
    assert found.stdout.startswith("got\n")
    if framework == "torch":
        shown = re.search(r"```\n(\"\"\"cost of loss .*?)```", README, re.DOTALL)
        assert shown
        assert re.sub(r"torch [^)]*", "torch", shown[1]) == re.sub(r"torch [^)]*", "torch", script)
        assert f"{first.strip().partition(' --device')[0]} --script repro.py" in README


def command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command line, in a folder."""
    code = "from xentcheck.cli.main import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False, cwd=folder
    )


def test_the_two_commands_are_environments_of_tox_and_run_in_ci() -> None:
    """`tox run -e report`, whose command `all` runs with fewer rounds, and the environments of the gate."""
    report, tests = re.findall(r"pip install tox && tox run -e ([\w,]+)", README)
    assert report == "report"
    tox = (ROOT / "tox.ini").read_text()
    commands = [line.split() for line in re.findall(r"xentcheck run .*", tox)]
    assert len(commands) == 2
    assert {word for words in commands for word in words if word.startswith("--")} == {
        "--profile",
        "--accuracy",
        "--out",
        "--report",
    }
    gate = (ROOT / ".ci" / "run").read_text()
    assert f"--notest -e {tests}\n" in gate
    run = [
        *re.findall(r"tox\" run-parallel .*--skip-pkg-install -e ([\w,]+)", gate)[0].split(","),
        *re.findall(r"tox\" run -qq .*-e (\w+)", gate),
    ]
    assert run == tests.split(",")
    assert f"env_list = {tests.replace(',', ', ')}\n" in tox
    assert "run -e report" in (ROOT / ".ci" / "nightly").read_text()


def test_every_command_of_the_table_exists() -> None:
    """The commands that the README lists are those that the command line has."""
    from xentcheck.cli.main import COMMANDS

    listed = set(re.findall(r"\| `xentcheck (\w+)", README))
    assert listed == set(COMMANDS)

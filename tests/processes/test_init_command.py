"""`xentcheck init` in a project of its own: what it writes passes for a right loss, and fails for a wrong one."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from command import xentcheck

LOSS = """
from xentcheck.reference import cross_entropy, cross_entropy_grad

def MyLoss(logits, target, reduction="mean", upstream=1.0):
    gradient = cross_entropy_grad(logits, target, reduction=reduction, upstream=upstream)
    return cross_entropy(logits, target, reduction=reduction), {factor} * gradient
"""

FEWER = """
from xentcheck.cases import selection

every = selection.cases
selection.cases = lambda *given: [c for c in every(*given) if (c.family, c.shape) == ("gaussian", (5, 10))]
"""
"""A conftest.py of the project: the written test asks few cases."""

WRITTEN = ["tests/test_myloss_xentcheck.py", ".github/workflows/xentcheck.yml", "baselines/myloss.jsonl"]


def passes(folder: Path) -> bool:
    """Whether the written test passes, as the project's own pytest runs it."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "tests"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    assert done.returncode == 0 or "suspected: twice the right result [B24]" in done.stdout, done.stdout
    return done.returncode == 0


@pytest.mark.usefixtures("ordinary")
def test_what_is_written_works_as_it_stands(tmp_path: Path) -> None:
    """Alone runs the written test and the command of the written job, on a right loss and on a wrong one."""
    (tmp_path / "mine_started.py").write_text(LOSS.format(factor=1))
    (tmp_path / "conftest.py").write_text(FEWER)
    done = xentcheck("init", "mine_started:MyLoss", "--framework", "numpy", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [line.removeprefix("wrote ") for line in done.stdout.splitlines() if line.startswith("wrote ")] == WRITTEN
    assert "checking: " in done.stderr
    assert "checking: " not in done.stdout
    gate = re.search(r"(xentcheck gate .*) -j 2", (tmp_path / WRITTEN[1]).read_text())
    assert gate
    again = shlex.split(gate[1])[1:]
    assert passes(tmp_path)
    assert xentcheck(*again, cwd=tmp_path).stdout.splitlines()[-1].startswith("gate: green")
    twice = xentcheck("init", "mine_started:MyLoss", "--framework", "numpy", cwd=tmp_path)
    assert (twice.returncode, twice.stderr.count("\n")) == (2, 1)
    assert "xentcheck: tests/test_myloss_xentcheck.py exists, and is not overwritten" in twice.stderr
    (tmp_path / "mine_started.py").write_text(LOSS.format(factor=2))
    assert not passes(tmp_path)
    assert xentcheck(*again, cwd=tmp_path).returncode == 1


@pytest.mark.usefixtures("ordinary")
def test_a_wrong_loss_is_written_about_too(tmp_path: Path) -> None:
    """Exit code 1 and a word on the baseline; GitLab's own file is made where there is none, and else left alone."""
    (tmp_path / "mine_started.py").write_text(LOSS.format(factor=2))
    command = ("init", "mine_started:MyLoss", "--framework", "numpy", "--dtype", "float32", "--ci", "gitlab")
    done = xentcheck(*command, cwd=tmp_path)
    assert done.returncode == 1
    assert "the test fails until the loss is mended; the gate stays green, as its baseline has" in done.stdout
    assert (tmp_path / ".gitlab-ci.yml").read_text() == "include: /.gitlab/xentcheck.yml\n"
    for written in (".gitlab/xentcheck.yml", "baselines/myloss.jsonl", "tests/test_myloss_xentcheck.py"):
        (tmp_path / written).unlink()
    (tmp_path / ".gitlab-ci.yml").write_text("stages: [test]\n")
    assert "add to .gitlab-ci.yml: include: /.gitlab/xentcheck.yml" in xentcheck(*command, cwd=tmp_path).stdout
    assert (tmp_path / ".gitlab-ci.yml").read_text() == "stages: [test]\n"

"""`xentcheck gate` on a project: red with cause and command for a broken gradient, not for other rounding."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command import xentcheck

from xentcheck.reports.baselines.file import load

RIGHT = """
import numpy as np

def loss(logits, target, reduction="mean", upstream=1.0):
    z = logits.astype(np.float64) if {wide} else logits
    t = z - z.max(1, keepdims=True)
    e = np.exp(t)
    total = e.sum(1, keepdims=True)
    rows = np.arange(len(z))
    losses = (np.log(total) - t[rows, target][:, None])[:, 0]
    g = e / total
    g[rows, target] -= 1
    scale = upstream / (len(z) if reduction == "mean" else 1)
    g = g * np.reshape(scale, (-1, 1)) * {factor}
    value = losses if reduction == "none" else losses.sum() if reduction == "sum" else losses.mean()
    return np.asarray(value, logits.dtype), g.astype(logits.dtype)
"""

CASES = ("--case", "*.5x10.f32.index.plain.*", "--case", "*.64x10.f32.index.plain.*")
MINE = ("--impl", "mine_gated:loss", "--framework", "numpy")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with a loss that is right, and its baseline."""
    write(tmp_path)
    done = xentcheck("run", *MINE, *CASES, "--save", "main", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    return tmp_path


def write(folder: Path, *, wide: bool = False, factor: str = "1") -> None:
    (folder / "mine_gated.py").write_text(RIGHT.format(wide=wide, factor=factor))


def test_a_baseline_of_large_problems_is_run_as_one(tmp_path: Path) -> None:
    """Green for itself, red for a wrong factor: alone this runs a gate on problems that no profile has."""
    write(tmp_path)
    done = xentcheck("run", *MINE, "--large", "64x700", "--dtype", "float32", "--save", "big", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    same = xentcheck("gate", "big", *MINE, cwd=tmp_path)
    assert (same.returncode, same.stdout.splitlines()[-1][:11]) == (0, "gate: green")
    write(tmp_path, factor="2.0")  # of another length: Python tells files that are written in one second by that
    other = xentcheck("gate", "big", cwd=tmp_path)  # the option that names the loss is forgotten
    assert other.returncode == 2
    assert other.stderr.startswith("xentcheck: the baseline is of loss, not of numpy, torch, jax; allowed: ")
    assert len(other.stderr.splitlines()) == 1
    broken = xentcheck("gate", "big", *MINE, cwd=tmp_path)
    assert broken.returncode == 1
    assert "again xentcheck replay gaussian.64x700.f32.index.plain.mean.up-one.contig.s0 --impl" in broken.stdout
    taken = xentcheck("gate", "big", "--adapter", "numpy", "--update", cwd=tmp_path)  # now it is of another
    assert taken.stdout.splitlines()[-2].startswith("wrote "), taken.stdout + taken.stderr
    assert xentcheck("gate", "big", "--adapter", "numpy", cwd=tmp_path).returncode == 0


def test_a_broken_gradient_is_red_and_other_rounding_is_not(project: Path) -> None:
    """On a branch each: alone this runs the command as a pull request does."""
    same = xentcheck("gate", "main", *MINE, cwd=project)
    assert (same.returncode, same.stdout.splitlines()[-1][:11]) == (0, "gate: green")
    write(project, wide=True)
    moved = xentcheck("gate", "main", *MINE, cwd=project)
    assert moved.returncode == 0
    assert moved.stdout.splitlines()[-1].startswith(("gate: yellow", "gate: green"))
    write(project, factor="(2 if reduction == 'mean' else 1)")
    broken = xentcheck("gate", "main", *MINE, "--markdown", "gate.md", "--output-format", "github", cwd=project)
    assert broken.returncode == 1
    told = broken.stderr.splitlines()
    assert told[-1].startswith("gate: RED")
    assert any(line.startswith("red: twice the right result [B24]: ") and "reduction mean" in line for line in told)
    command = next(line.removeprefix("   again ") for line in told if line.startswith("   again "))
    assert xentcheck(*command.split()[1:], cwd=project).returncode == 1
    assert broken.stdout.startswith("::error title=xentcheck B24::")
    assert "B24" in (project / "gate.md").read_text()


def test_the_gate_runs_what_the_baseline_has_and_updates_it(project: Path) -> None:
    """Its cases, dtypes and devices; a baseline that is not there is bad input, and a limit makes what agrees red."""
    before = load(project / "baselines" / "main.jsonl")
    assert xentcheck("gate", "main", *MINE, "--update", cwd=project).returncode == 0
    assert load(project / "baselines" / "main.jsonl") == before
    missing = xentcheck("gate", "nowhere", *MINE, cwd=project)
    assert missing.returncode == 2
    assert "nowhere.jsonl cannot be read" in missing.stderr
    limit = xentcheck("gate", "main", *MINE, "--fail-if", "share < 1", cwd=project)
    assert (limit.returncode, "allowed: share > NUMBER" in limit.stderr) == (2, True)
    beyond = xentcheck("gate", "main", *MINE, "--fail-if", "share > 0.001", cwd=project)
    assert (beyond.returncode, "beyond share > 0.001" in beyond.stdout) == (1, True)


@pytest.mark.usefixtures("ordinary")
def test_the_first_run_of_a_gate_has_to_agree(tmp_path: Path) -> None:
    """It is written and judged: a wrong loss is red also where there is no baseline yet."""
    write(tmp_path, factor="-1")
    first = xentcheck("gate", "first", *MINE, "--update", cwd=tmp_path)
    assert first.returncode == 1
    assert first.stdout.splitlines()[-1].startswith("gate: RED")
    assert (tmp_path / "baselines" / "first.jsonl").exists()


def test_a_run_prints_its_causes_as_sarif(project: Path) -> None:
    """On stdout alone, where a tool reads it."""
    write(project, factor="-1")
    done = xentcheck("run", *MINE, *CASES, "--output-format", "sarif", cwd=project)
    assert done.returncode == 1
    results = json.loads(done.stdout)["runs"][0]["results"]
    assert results[0]["ruleId"] == "G90"

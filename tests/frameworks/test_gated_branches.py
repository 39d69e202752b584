"""A PyTorch and a JAX project with two branches each: the gate is red for the broken one, and not for other rounding.

`benchmarks/gate.py`, nightly, has ten of each kind; the sources and the changes are its own. JAX compiles each branch.
"""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest
from command import xentcheck

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "gate.py"
pytestmark = pytest.mark.skipif(not BENCHMARK.is_file(), reason="the tests lie outside the repository")


@pytest.mark.usefixtures("ordinary")
@pytest.mark.parametrize("framework", ["torch", pytest.param("jax", marks=pytest.mark.nightly)])
def test_a_broken_branch_is_red_and_one_that_rounds_otherwise_is_not(framework: str, tmp_path: Path) -> None:
    """With cause and command: alone this gates functions of the frameworks."""
    pytest.importorskip(framework)
    made: dict[str, Any] = runpy.run_path(str(BENCHMARK))
    source, module = made["SOURCES"][framework], f"gated_{framework}_loss"
    mine = ("--impl", f"{module}:loss", "--framework", framework, "--isolation", "none")
    some = ("--dtype", "float32", "--case", "*.f32.index.*.contig.*")

    def judged(text: str, *command: str) -> Any:
        (tmp_path / f"{module}.py").write_text(text)
        return xentcheck(*command, *mine, cwd=tmp_path)

    assert judged(source, "run", *some, "--save", "main").returncode == 0
    rounds = judged(made["branch"](source, made["ROUNDS"][framework]["exp2"]), "gate", "main")
    assert rounds.returncode == 0, rounds.stdout
    broken = judged(made["branch"](source, made["BREAKS"][framework]["mean forgotten"]), "gate", "main")
    assert broken.returncode == 1
    assert made["CAUSE"].search(made["unwrapped"](broken.stdout))[1] == "B21"
    assert "   again xentcheck replay " in broken.stdout

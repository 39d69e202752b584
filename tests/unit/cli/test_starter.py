"""What a project starts with: a test that says what was found, jobs that can be read, and the recipes of the docs."""

from __future__ import annotations

import ast
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from xentcheck.adapters.base import Capabilities
from xentcheck.adapters.numpy.adapter import NumpyAdapter
from xentcheck.adapters.spec import GUESSED, Spec
from xentcheck.cli.commands.gate import gate
from xentcheck.cli.starter import Starter
from xentcheck.vocabulary import DTYPES

DOCS = Path(__file__).parents[3] / "docs" / "ci.md"


def found(spec: Spec, package: str = "torch", *, refused: str = "", **capabilities: Any) -> Starter:
    """A starter for a function of which everything is guessed but what is said."""
    adapter = NumpyAdapter()
    adapter.name, adapter.package = spec.name.rpartition(":")[2], package
    adapter.guessed, adapter.refused = frozenset({"k_dims", *DTYPES}), {refused: "TypeError"} if refused else {}
    adapter.capabilities = Capabilities(**capabilities)
    return Starter(spec, adapter)


def call_in(text: str) -> ast.Call:
    """The one call of `assert_agrees` in a test that is Python."""
    (call,) = (n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Call) and "assert_agrees" in ast.unparse(n))
    return call


MINE = Spec("losses.fused:MyLoss", GUESSED)
FEW = {"options": frozenset({"upstream", "weight"})}
TESTS = {
    "options": (found(MINE, **FEW), "MyLoss, 'torch', options=OPTIONS"),
    "a refused dtype": (
        found(MINE, refused="float16", dtypes=("float64", "float32"), **FEW),
        "MyLoss, 'torch', options=OPTIONS, dtypes=['float64', 'float32']",
    ),
    "a kernel": (found(Spec("losses:Kernel.apply", "torch"), **FEW), "Kernel.apply, 'torch', options=OPTIONS"),
    "rows of probabilities only": (found(MINE, labels=False, refused="float16"), "MyLoss, 'torch'"),
    "a package of its own": (found(Spec("losses:adapter", GUESSED), "mlx", **FEW), "adapter, options=OPTIONS"),
    "a program": (found(Spec("node loss.mjs", "process"), **FEW), "from_process('node loss.mjs')"),
}


@pytest.mark.parametrize("name", TESTS)
def test_the_written_test_says_what_was_found(name: str) -> None:
    """The implementation, its framework, what it takes; what cannot be said to `assert_agrees` is left to trying."""
    starter, expected = TESTS[name]
    text = starter.test()
    assert ast.unparse(call_in(text)) == f"xentcheck.assert_agrees({expected})"
    options = {ast.unparse(n.value) for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Assign)}
    assert options == ({"{'weight', 'upstream'}"} if "OPTIONS" in expected else set())
    imported = {a.name for n in ast.walk(ast.parse(text)) if isinstance(n, ast.ImportFrom) for a in n.names}
    assert expected.partition("(")[0].partition(".")[0].partition(",")[0] in imported


def test_names_become_those_of_files() -> None:
    """Whatever a program is called; a framework that was guessed is named where `assert_agrees` knows it."""
    assert found(MINE).name == "myloss"
    assert found(Spec("node a-b/loss.mjs", "process")).name == "node_a_b_loss_mjs"
    assert (found(MINE).framework, found(MINE, "mlx").framework) == ("torch", "")
    assert list(found(MINE).files("none")) == [Path("tests/test_myloss_xentcheck.py")]


@pytest.mark.parametrize("ci", ["github", "gitlab"])
@pytest.mark.parametrize("spec", [MINE, Spec("node loss.mjs", "process")], ids=["function", "program"])
def test_the_jobs_gate_pull_requests(ci: str, spec: Spec) -> None:
    """As YAML that is read again: the command is one that `gate` takes, its reports are kept."""
    *_, (path, text) = found(spec).files(ci).items()
    job = yaml.safe_load(text)
    steps = job["jobs"]["gradients"]["steps"] if ci == "github" else []
    lines = [step["run"] for step in steps if "run" in step] or job["xentcheck"]["script"]
    (line,) = (line for line in lines if line.startswith("xentcheck gate "))
    given = gate.make_context("gate", shlex.split(line)[2:]).params
    assert (given["base"], given["markdown"]) == (f"baselines/{found(spec).name}.jsonl", Path("gate.md"))
    kept = [step["with"]["path"] for step in steps if "upload" in step.get("uses", "")]
    assert "report" in (kept or job["xentcheck"]["artifacts"]["paths"])
    assert path.suffix == ".yml"


def test_the_recipes_of_the_docs_are_what_is_written() -> None:
    """Word for word: PyTorch on GitHub, JAX on GitLab."""
    pages = {
        "github": found(Spec("my_package.losses:my_loss", "torch")),
        "gitlab": found(Spec("my_package.losses:my_loss", "jax")),
    }
    for ci, starter in pages.items():
        job = Starter(starter.spec, starter.adapter, own=".").job(ci)
        assert f"```yaml\n{job}```" in DOCS.read_text(encoding="utf-8")

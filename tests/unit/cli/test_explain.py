"""`explain`: every step against ball arithmetic or an exact identity, its errors, and its tables at 80 columns."""

from __future__ import annotations

import io
import math
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest
from balls import ALLOWED, FIRST_PRECISION, LOWEST, Balls
from balls import balls as exact_balls
from flint import arb, ctx
from rich.console import Console

from xentcheck import adapters
from xentcheck.errors import DtypeError, ProblemError, ShapeError, TargetError
from xentcheck.reference.formats import FORMATS
from xentcheck.reference.oracle import Pair
from xentcheck.studies.explain import steps as module
from xentcheck.studies.explain.steps import COLUMNS, EQUATIONS, LARGEST, Explanation, exact_steps, explain, problem_of
from xentcheck.studies.explain.tables import ROWS, render
from xentcheck.vocabulary import DTYPES

INPUTS = {
    "default": ([1.0, 2.0, 3.0], 1, [0.5, -1.0]),
    "saturated": ([40.0, -3.5, 0.1], 0, [0.25]),
    "far": ([0.0, -95.0, 80.0], 1, [3.0, -0.125]),
    "beyond": ([0.0, -720.0], 1, [1.0]),
    "one-class": ([7.0], 0, [2.0]),
    "equal": ([0.0] * 4, 2, [1.0, -2.0, 4.0]),
}


@pytest.fixture(params=[f"{name}-{dtype}" for name in INPUTS for dtype in DTYPES])
def inputs(request: pytest.FixtureRequest) -> tuple[list[float], int, list[float], str]:
    """Logits, target, activations before, dtype."""
    name, dtype = request.param.rsplit("-", 1)
    return *INPUTS[name], dtype


@pytest.fixture
def precision() -> Iterator[None]:
    """4096 bits: a radius of 2^-1074, float64's smallest number, is wide beside it."""
    with ctx.workprec(16 * FIRST_PRECISION):
        yield


def enclosures(z: Any, y: int, a_prev: Any) -> dict[str, Balls]:
    """The book's equations as they stand, in ball arithmetic."""
    e = np.exp(exact_balls(z))
    a = e / e.sum()
    one = exact_balls(np.eye(len(a)))
    delta = a - one[y]
    return {
        "z": exact_balls(z),
        "a": a,
        "cost": np.array([-np.log(a)[y]], object).reshape(()),
        "dC/da": -one[y] / a[y],
        "da/dz": a[:, None] * (one - a),
        "chain": delta,
        "dC/dz": delta,
        "dC/db": delta,
        "dC/dw": delta[:, None] * exact_balls(a_prev),
    }


def largest_share(name: str, pair: Pair, right: Mapping[str, Balls], dtype: str) -> float:
    """Largest error of exact values, as a share of twice what the oracle promises: products have two such factors.

    A promise is in ULPs of the dtype; beyond its range, where it has none, in u |value|, elsewhere never more than an
    ULP.
    """
    worst = 0.0
    assert np.shape(pair[0]) == right[name].shape
    for hi, lo, ball in zip(*(np.ravel(x).tolist() for x in (*pair, right[name])), strict=True):
        if math.isinf(hi):
            assert bool(math.copysign(1.0, hi) * ball > FORMATS["float64"].largest)
            continue
        unit = max(float(FORMATS[dtype].ulp(hi)), abs(hi) * FORMATS[dtype].unit_roundoff)
        allowed = 2 * (arb(ALLOWED[dtype]) * arb(unit) + arb(LOWEST[dtype]))
        worst = max(worst, float(((arb(hi) + arb(lo) - ball) / allowed).abs_upper()))
    return worst


@pytest.mark.usefixtures("precision")
def test_exact_values_are_in_the_balls(inputs: tuple[list[float], int, list[float], str]) -> None:
    """Each step is as close to the book's equation as the oracle promises."""
    logits, target, a_prev, dtype = inputs
    problem = problem_of(logits, target, a_prev, dtype)
    right = enclosures(problem.b, target, problem.a_prev[0])
    steps = exact_steps(problem, target)
    assert list(steps) == list(EQUATIONS)
    assert all(largest_share(name, pair, right, dtype) <= 1 for name, pair in steps.items())


@pytest.mark.usefixtures("precision")
@pytest.mark.parametrize("name", list(EQUATIONS))
def test_one_ulp_is_out_of_the_balls(name: str) -> None:
    """The comparison above notices a value that is the next number."""
    problem = problem_of([1.0, 2.0, 3.0], 1, [0.5, -1.0], "float64")
    hi, lo = exact_steps(problem, 1)[name]
    right = enclosures(problem.b, 1, problem.a_prev[0])
    assert largest_share(name, (np.nextafter(hi, np.inf), lo), right, "float64") > 1


def test_every_column_of_four_equal_logits_is_exact() -> None:
    """a = 1/4 makes every step a power of two or a sum of them: no error but the oracle's, in (37) as in (84)."""
    found = explain([0.0] * 4, 2, [1.0, -2.0], "float32")
    y = np.eye(4)[2]
    right = {
        "a": np.full(4, 0.25),
        "dC/da": -4 * y,
        "da/dz": np.eye(4) / 4 - 1 / 16,
        **dict.fromkeys(("chain", "dC/dz", "dC/db"), 0.25 - y),
        "dC/dw": np.outer(0.25 - y, [1.0, -2.0]),
    }
    for name, value in right.items():
        step = found[name]
        assert all(got == tuple(value.ravel()) for got in (step.exact, *step.values.values()))
        assert max(step.ulp.values()) <= float(ALLOWED["float32"])


def test_every_installed_framework_has_every_step() -> None:
    """A column for each adapter that can run, at each step but the given z; the others say why they have none."""
    found = explain([1.0, 2.0, 3.0], 1, [0.5, -1.0])
    installed = {COLUMNS[name] for name in adapters.available()}
    assert all(set(step.values) == set(step.ulp) == (installed if step.name != "z" else set()) for step in found.steps)
    assert set(found.missing) == set(COLUMNS.values()) - installed


def test_the_chain_rule_fails_where_a_underflows() -> None:
    """exp(-800) is 0 in float64: -1/0 times 0 is nan in (37), while a - y of (84) is right."""
    found = explain([0.0, -800.0], 1, [1.0])
    assert set(found["dC/da"].ulp.values()) == {0.0}
    assert set(found["chain"].ulp.values()) == {math.inf}
    assert found["dC/dz"].ulp["xentcheck"] == 0.0


def test_a_wrong_step_has_a_large_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """y - a instead of a - y is seen at its own step, and at no other."""
    right = adapters.get("numpy")

    class Wrong(type(right)):  # type: ignore[misc]  # a class made in the test
        def steps(self, problem: Any) -> dict[str, Any]:
            found = right.steps(problem)
            return {**found, "dC/dz": -found["dC/dz"]}

    monkeypatch.setattr(module.adapters, "get", lambda name: Wrong() if name == "numpy" else adapters.get(name))
    monkeypatch.setattr(module, "COLUMNS", {"numpy": "xentcheck"})
    found = explain([1.0, 2.0, 3.0], 1, [0.5])
    wrong = [
        step.name for step in found.steps if step.ulp.get("xentcheck", 0.0) >= 1 / FORMATS["float64"].unit_roundoff
    ]
    assert wrong == ["dC/dz"]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([1.0, 2.0], 2, [1.0]), TargetError, "target is 2; allowed: 0 to 1"),
        (([1.0, 2.0], -100, [1.0]), TargetError, "target is -100; allowed: 0 to 1"),
        (([], 0, [1.0]), ShapeError, f"logits has 0 numbers; allowed: 1 to {LARGEST}"),
        (([1.0], 0, []), ShapeError, f"a_prev has 0 numbers; allowed: 1 to {LARGEST}"),
        (([1.0] * (LARGEST + 1), 0, [1.0]), ShapeError, f"logits has {LARGEST + 1} numbers; allowed: 1 to {LARGEST}"),
        (([1.0, math.nan], 0, [1.0]), ProblemError, "logits[1] is nan; allowed: numbers that are finite in float64"),
        (([-math.inf, 1.0], 1, [1.0]), ProblemError, "logits[0] is -inf; allowed: numbers that are finite in float64"),
        (
            ([1.0], 0, [1e39], "float32"),
            ProblemError,
            "a_prev[0] is 1e+39; allowed: numbers that are finite in float32",
        ),
        (([1.0], 0, [1.0], "float8"), DtypeError, "dtype is 'float8'; allowed: float64, float32, bfloat16, float16"),
    ],
    ids=["target", "ignored", "no-logits", "no-a", "many", "nan", "inf", "overflow", "dtype"],
)
def test_bad_input_is_one_line(arguments: tuple[Any, ...], error: type[Exception], message: str) -> None:
    """What, where, what is allowed."""
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        explain(*arguments)


def printed(explanation: Explanation) -> list[str]:
    """The lines of `render` on a console of 80 columns."""
    console = Console(width=80, file=io.StringIO())
    render(explanation, console)
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined,no-any-return]


@pytest.mark.parametrize("a_prev", [[0.5, -1.0], [-1.23456789e-300] * 11], ids=["short", "wide"])
def test_no_number_is_cut_off_at_80_columns(a_prev: list[float]) -> None:
    """Every printed element and error stands there whole, under its column."""
    found = explain([1.0, 2.0, 3.0, -100.123456789], 1, a_prev)
    lines = printed(found)
    words = {word for line in lines for word in line.split()}
    assert max(map(len, lines)) <= 80
    assert not any("…" in line for line in lines)
    for step in found.steps:
        for numbers in (step.exact, *step.values.values()):
            assert {f"{x:.9g}" for x in numbers[:ROWS]} <= words
        assert {f"{x:.3g}" for x in step.ulp.values()} <= words
        assert step.equation.split()[-1] in words
    more = len(found["dC/dw"].exact) - ROWS
    assert any(f"... and {more} more" in line for line in lines) == (more > 0)


def test_a_framework_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its cells say `not installed`, and the last line why."""
    missing = adapters.get("torch")
    monkeypatch.setattr(missing, "unavailable", lambda: "torch is not installed")
    real = adapters.get
    monkeypatch.setattr(module.adapters, "get", lambda name: missing if name == "torch" else real(name))
    found = explain([1.0, 2.0], 0, [1.0])
    assert dict(found.missing)["PyTorch"] == "torch is not installed"
    lines = printed(found)
    assert any("not installed" in line and "0.26894" in line for line in lines)
    assert "PyTorch: torch is not installed." in lines


def test_importing_explain_imports_no_framework() -> None:
    """Neither torch nor jax before a derivation asks for them."""
    code = "import sys, xentcheck.studies.explain.steps; sys.exit(bool({'torch', 'jax'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

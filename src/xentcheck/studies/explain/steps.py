"""Every step of the chain rule behind dC/db = a - y in numbers: exactly, and as each framework has it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from xentcheck import adapters
from xentcheck.errors import DtypeError, ProblemError, ShapeError, TargetError, UnavailableError
from xentcheck.judging.metric import error_of, overflows
from xentcheck.reference.formats import FORMATS, Array
from xentcheck.reference.numbers.double_double import DoubleDouble, dd_sum
from xentcheck.reference.numbers.elementary import dd_exp
from xentcheck.reference.oracle import Exact, Pair
from xentcheck.reference.problem import Problem
from xentcheck.vocabulary import DTYPES

COLUMNS = {"numpy": "xentcheck", "torch": "PyTorch", "jax": "JAX"}
"""Adapters whose steps are shown, and what their columns are called."""

LARGEST = 100
"""Most classes and activations: the Jacobian has their square."""

EQUATIONS = {
    "z": ("z_j = sum_k w_jk a_prev_k + b_j, as given", "(unnumbered)"),
    "a": ("a_j = exp(z_j)/sum_i exp(z_i)", "(78)"),
    "cost": ("C = -ln a_y", "(80)"),
    "dC/da": ("dC/da_i = -1/a_y for i = y, else 0", "from (80)"),
    "da/dz": ("da_i/dz_j = a_i ([j = i] - a_j), index i,j", "from (78)"),
    "chain": ("sum_i dC/da_i da_i/dz_j, from each column's own a and dC/da", "(37)"),
    "dC/dz": ("delta_j = a_j - y_j, as each one's backward pass has it", "(84)"),
    "dC/db": ("dC/db_j = delta_j", "(81)"),
    "dC/dw": ("dC/dw_jk = a_prev_k delta_j, index j,k", "(82)"),
}
"""The steps in order: what stands there, and its number in the book."""


@dataclass(frozen=True)
class Step:
    """One step: exact values and each column's, in the order of the last index; largest error in ULPs of the dtype.

    ulp: None where every exact value is below the normal range.
    """

    name: str
    text: str
    equation: str
    shape: tuple[int, ...]
    exact: tuple[float, ...]
    values: Mapping[str, tuple[float, ...]]
    ulp: Mapping[str, float | None]


@dataclass(frozen=True)
class Explanation:
    """All steps; `missing` says for each column without numbers why it has none."""

    dtype: str
    target: int
    steps: tuple[Step, ...]
    missing: Mapping[str, str]

    def __getitem__(self, name: str) -> Step:
        return next(step for step in self.steps if step.name == name)


def explain(logits: list[float], target: int, a_prev: list[float], dtype: str = "float64") -> Explanation:
    """The steps (78)-(84) at one example, with the frameworks that are installed.

    logits: K weighted inputs, rounded to the dtype; target: y; a_prev: the activations before, for dC/dw.
    Raises DtypeError, ShapeError (no or too many numbers), ProblemError (not finite in the dtype) or TargetError.

    >>> [round(x, 3) for x in explain([1.0, 2.0, 3.0], 1, [0.5])["dC/dz"].exact]
    [0.09, -0.755, 0.665]
    """
    problem = problem_of(logits, target, a_prev, dtype)
    exact = exact_steps(problem, target)
    found: dict[str, dict[str, Array]] = {}
    missing: dict[str, str] = {}
    for name, column in COLUMNS.items():
        adapter = adapters.get(name)
        try:
            if reason := adapter.unavailable():
                raise UnavailableError(reason)
            found[column] = chained(adapter.steps(problem))
        except UnavailableError as error:
            missing[column] = str(error)
    steps = tuple(_step(name, exact[name], found, dtype) for name in EQUATIONS)
    return Explanation(dtype, target, steps, missing)


def problem_of(logits: list[float], target: int, a_prev: list[float], dtype: str) -> Problem:
    """A layer of weights 0 whose bias is the logits: its weighted inputs are they exactly. Raises like `explain`."""
    if dtype not in DTYPES:
        raise DtypeError(f"dtype is {dtype!r}; allowed: {', '.join(DTYPES)}")
    z, a = _numbers("logits", logits, dtype), _numbers("a_prev", a_prev, dtype)
    if not 0 <= target < z.size:
        raise TargetError(f"target is {target}; allowed: 0 to {z.size - 1}")
    return Problem(a_prev=a[None], w=np.zeros((z.size, a.size), dtype), b=z, target=np.array([target]))


def _numbers(name: str, given: list[float], dtype: str) -> Array:
    if not 1 <= len(given) <= LARGEST:
        raise ShapeError(f"{name} has {len(given)} numbers; allowed: 1 to {LARGEST}")
    with np.errstate(over="ignore"):
        numbers = np.array(given, np.float64).astype(dtype)
    for i in np.flatnonzero(~np.isfinite(numbers)):
        raise ProblemError(f"{name}[{i}] is {given[i]}; allowed: numbers that are finite in {dtype}")
    return numbers


def exact_steps(problem: Problem, y: int) -> dict[str, Pair]:
    """Every step as pairs (hi, lo), without the row axis; 1 - a_k is the sum of the other a_j [derived from (79)]."""
    pairs = Exact(problem).evaluate(["a", "log_a", "cost", "dC/dz", "dC/db", "dC/dw"])
    a = DoubleDouble(*(part[0] for part in pairs["a"]))
    size = len(a.hi)
    eye = np.eye(size, dtype=bool)
    others = dd_sum(DoubleDouble(np.where(eye, 0.0, a.hi), np.where(eye, 0.0, a.lo)))
    factor = DoubleDouble(np.where(eye, others.hi, -a.hi), np.where(eye, others.lo, -a.lo))
    jacobian = DoubleDouble(a.hi[:, None], a.lo[:, None]) * factor
    inverse = inverse_exp(DoubleDouble(*(part[0, y] for part in pairs["log_a"])))
    label = np.arange(size) == y
    delta = tuple(part[0] for part in pairs["dC/dz"])
    return {
        "z": (np.asarray(problem.b, np.float64), np.zeros(size)),
        "a": (a.hi, a.lo),
        "cost": pairs["cost"],
        "dC/da": (np.where(label, -inverse.hi, 0.0), np.where(label, -inverse.lo, 0.0)),
        "da/dz": (jacobian.hi, jacobian.lo),
        "chain": (delta[0], delta[1]),
        "dC/dz": (delta[0], delta[1]),
        "dC/db": pairs["dC/db"],
        "dC/dw": pairs["dC/dw"],
    }


def inverse_exp(x: DoubleDouble) -> DoubleDouble:
    """exp(-x) for x <= 0 as (1/exp(x/2))^2 [derived]: no factor is subnormal; inf where it exceeds float64."""
    if float(x.hi) < -math.log(FORMATS["float64"].largest):
        return DoubleDouble(np.inf, 0.0)
    root: DoubleDouble = 1.0 / dd_exp(x * 0.5)
    return root * root


def chained(steps: Mapping[str, Array]) -> dict[str, Array]:
    """An adapter's steps without the row axis, and the product (37) of its own factors, in its own dtype."""
    rows = {name: steps[name][0] for name in ("a", "dC/da", "da/dz", "dC/dz")}
    with np.errstate(all="ignore"):
        chain = (rows["dC/da"][:, None] * rows["da/dz"]).sum(0)
    return {**rows, "chain": chain, **{name: steps[name] for name in ("cost", "dC/db", "dC/dw")}}


def _step(name: str, exact: Pair, found: Mapping[str, Mapping[str, Array]], dtype: str) -> Step:
    hi, lo = exact
    fmt = FORMATS[dtype]
    values, ulp = {}, {}
    for column, steps in found.items():
        if name in steps:
            got = steps[name].astype(np.float64)
            error = np.where(overflows(got, hi, np.zeros(hi.shape), fmt), 0.0, error_of(got, hi, lo))
            values[column] = tuple(got.ravel().tolist())
            ulps = fmt.ulps(error, hi)
            ulp[column] = None if np.isnan(ulps).all() else float(np.nanmax(ulps))
    text, equation = EQUATIONS[name]
    return Step(name, text, equation, hi.shape, tuple(hi.ravel().tolist()), values, ulp)

"""Why the gradient is a - y, in a few lines: the chain rule (37) with the numbers of one example in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from xentcheck.reference.formats import Array

from .steps import exact_steps, problem_of

SMALLEST = 2.0**-1022
"""What is smaller has fewer digits in float64 than are printed."""

SHOWN = 4
"""Most numbers of a list that are printed."""

BOOK = "Nielsen, Neural Networks and Deep Learning (web edition)"


@dataclass(frozen=True)
class Derivation:
    """The exact numbers of one example, rounded to float64.

    z, a, gradient: (K,). jacobian: (K, K), da_i/dz_j in row i. a_prev: (m,). factor: dC/da_y. weights: (K, m), dC/dw.
    breaks: "inf" or "nan" if the separate steps, in the dtype, multiply an infinite factor, by a number or by 0.
    """

    dtype: str
    y: int
    z: Array
    a_prev: Array
    a: Array
    cost: float
    factor: float
    jacobian: Array
    gradient: Array
    weights: Array
    breaks: str


def derivation(logits: list[float], target: int, a_prev: list[float], dtype: str = "float64") -> Derivation:
    """The derivation (78)-(82) at one example; no framework is asked.

    logits: K weighted inputs, rounded to the dtype; target: y; a_prev: the activations before, for dC/dw.
    Raises DtypeError, ShapeError (no or too many numbers), ProblemError (not finite in the dtype) or TargetError.

    >>> derivation([1.0, 2.0, 3.0], 1, [0.5]).gradient.round(3).tolist()
    [0.09, -0.755, 0.665]
    """
    problem = problem_of(logits, target, a_prev, dtype)
    exact = {name: np.asarray(pair[0]) for name, pair in exact_steps(problem, target).items()}
    with np.errstate(all="ignore"):
        inverse = (np.asarray(-1.0, dtype) / exact["a"][target].astype(dtype)).astype(np.float64)
        product = inverse * exact["da/dz"][target, target].astype(dtype).astype(np.float64)
    return Derivation(
        dtype=dtype,
        y=target,
        z=exact["z"],
        a_prev=np.asarray(problem.a_prev, np.float64)[0],
        a=exact["a"],
        cost=float(exact["cost"]),
        factor=float(exact["dC/da"][target]),
        jacobian=exact["da/dz"],
        gradient=exact["dC/dz"],
        weights=exact["dC/dw"],
        breaks="" if np.isfinite(inverse) else "nan" if np.isnan(product) else "inf",
    )


def lines(d: Derivation) -> list[str]:
    """The derivation as text, one thought a line.

    >>> print(lines(derivation([1.0, 2.0, 3.0], 1, [0.5, -1.0]))[8].strip())
    j = 1:  (-1/a_1) a_1 (1 - a_1) = a_1 - 1 = -4.08616 * 0.184836 = -0.755272
    """
    y = d.y
    factor, own = ("" if d.breaks else f" = {x:.6g}" for x in (d.factor, d.jacobian[y, y]))
    rounded = " (rounded)" if (d.a < SMALLEST).any() else ""
    cost = f"ln S - z_{y} = {d.cost:.6g}" if d.breaks else f"{d.cost:.6g}"
    return [
        f"(n): equation n of {BOOK}.",
        f"Logits z_j = sum_k w_jk a_prev_k + b_j (a_prev: layer before): {listed(d.z)}",
        f"Right class {y} (classes count from 0). Wanted output y: y_{y} = 1, other y_j = 0.",
        f"(78) Softmax a_j = exp(z_j)/S, S = sum_i exp(z_i): {listed(d.a)}{rounded}",
        f"(80) Cost C = -ln a_{y} = {cost} uses only a_{y}: dC/da_{y} = -1/a_{y}{factor}",
        *_derivatives(d, own),
        f"(37) Chain rule: dC/dz_j = sum_i dC/da_i da_i/dz_j; dC/da_i = 0 unless i = {y}:",
        *_terms(d),
        f"(84) So each output has dC/dz_j = a_j - y_j: {listed(d.gradient)}",
        "(81) Only z_j has b_j, and dz_j/db_j = 1: dC/db_j = dC/dz_j = a_j - y_j",
        "(82) Only z_j has w_jk, dz_j/dw_jk = a_prev_k: dC/dw_jk = a_prev_k (a_j - y_j)",
        f"     Example j = {y}, a_prev = {listed(d.a_prev)}: dC/dw_{y}k = {listed(d.weights[y])}",
        _saturated(d),
    ]


def _derivatives(d: Derivation, own: str) -> list[str]:
    """Of the softmax of the right class, along its own logit and along another one."""
    y = d.y
    if len(d.z) == 1:
        return [f"     One class has a_{y} = exp(z_{y})/exp(z_{y}) = 1 for every z_{y}: da_{y}/dz_{y} = 0"]
    return [
        f"     But S has every z_j: da_{y}/dz_j = -exp(z_{y}) exp(z_j)/S^2 = -a_{y} a_j, j != {y};",
        f"     if j = {y}, add exp(z_{y})/S = a_{y}: da_{y}/dz_{y} = a_{y} (1 - a_{y}){own}",
    ]


def _terms(d: Derivation) -> list[str]:
    """The one term of the sum, for the right class and for every other one, with the numbers of the first of these."""
    y = d.y
    others = [j for j in range(len(d.z)) if j != y]
    products = [(y, f"j = {y}:  (-1/a_{y}) a_{y} (1 - a_{y}) = a_{y} - 1")]
    products += [(j, f"j != {y}: (-1/a_{y}) (-a_{y} a_j) = a_j; j = {j}:") for j in others[:1]]
    found = []
    for j, product in products:
        numbers = f"{d.factor:.6g} * {d.jacobian[y, j]:.6g} = " if not d.breaks else ""
        found.append(f"     {product}{' =' * (j == y)} {numbers}{d.gradient[j] + 0.0:.6g}")
    return found


def _saturated(d: Derivation) -> str:
    """What a right class that is all but impossible does to the separate steps."""
    y = d.y
    if not d.breaks:
        return "Where the right a rounds to 0, (37) is nan, as in: --logits 0,1000 --target 0"
    if d.breaks == "inf":
        return f"In {d.dtype} (37) is infinite, as 1/a_{y} is. a - y is not: so losses take logits."
    return f"In {d.dtype} (37) is -inf * 0 = nan; a - y needs no 1/a_{y}. So losses take logits."


def listed(numbers: Sequence[float] | Array) -> str:
    """Numbers to 6 digits; of many the first few.

    >>> listed([1.0, 0.25]), listed(range(100))
    ('1, 0.25', '0, 1, 2, 3, ... (100 numbers)')
    """
    shown = ", ".join(f"{x + 0.0:.6g}" for x in numbers[:SHOWN])
    return shown if len(numbers) <= SHOWN else f"{shown}, ... ({len(numbers)} numbers)"

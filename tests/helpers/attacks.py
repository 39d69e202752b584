"""Cases that the adversary attacks, and the shares of the bounds that it reaches."""

from __future__ import annotations

from functools import cache

import numpy as np
from adversary import attack

from xentcheck.cases import Case
from xentcheck.cases.build import build
from xentcheck.cases.families import FAMILIES
from xentcheck.cases.layer_families import LAYER_FAMILIES
from xentcheck.cases.profiles.sets import OPTION_SETS
from xentcheck.reference.bounds import Bounds
from xentcheck.reference.bounds.contracts import Contract
from xentcheck.reference.oracle import Exact
from xentcheck.vocabulary import REDUCTIONS

NOISE = 2.0**-60
"""What the simulation itself may err by in longdouble (2^-64), relative to 1 and the result; for float64 problems."""

DRAWS = 4096
"""How often each problem is solved anew."""


@cache
def attacked_cases(dtype: str) -> tuple[Case, ...]:
    """All families, option sets, reductions, a direction, a layer; few rows and classes, where bounds are sharp."""
    found = []
    for i, family in enumerate(FAMILIES):
        target, options = OPTION_SETS[i % len(OPTION_SETS)]
        for k, (t, more) in enumerate(dict.fromkeys([(target, options), ("index", ())])):
            shape = (3, 4) if k else (2, 7)
            found.append(
                Case(
                    family=family,
                    shape=shape,
                    dtype=dtype,
                    target=t,
                    options=(*more, "dir"),
                    reduction=REDUCTIONS[(i + k) % 3],
                )
            )
    for i, family in enumerate(LAYER_FAMILIES):
        target, options = OPTION_SETS[i % len(OPTION_SETS)]
        found.append(Case(family=family, shape=(3, 4), dtype=dtype, target=target, options=options, inputs=3))
    return tuple(found)


def shares(
    case: Case,
    contract: Contract,
    seed: int,
    draws: int = DRAWS,
    judged: Contract | None = None,
    worse: str = "nothing",
) -> dict[str, tuple[float, int]]:
    """Quantity -> largest error over its bound, and how many elements were compared.

    judged: the contract that the bounds are those of, the adversary's own by default. worse: a stage that errs twice.
    """
    p = build(case)
    exact = Exact(p)
    values, bounds = exact.evaluate(p.quantities), Bounds(exact, judged or contract).evaluate(p.quantities)
    z = np.asarray(p.b if p.logits is None else p.logits).astype(np.float64)
    size = 1.0 + np.abs(z[np.isfinite(z)]).max(initial=0.0)
    found = {}
    for q, got in attack(p, contract, draws, seed, worse).items():
        hi, lo = (np.asarray(part, got.dtype) for part in values[q])
        with np.errstate(all="ignore"):
            own = NOISE * (size + np.abs(hi)) if case.dtype == "float64" else 0.0
            error = np.maximum(np.abs((got.reshape(draws, *hi.shape) - hi) - lo) - own, 0.0)
            share = np.where((error == 0) | np.isinf(bounds[q]) | ~np.isfinite(hi), 0.0, error / bounds[q])
        found[q] = float(np.nan_to_num(share, nan=np.inf).max(initial=0.0)), share.size
    return found

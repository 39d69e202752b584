"""What a contract does not decide: a result of zeros, which is wrong, would pass; and from how many classes on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xentcheck.judging.power.measure import THRESHOLD, largest
from xentcheck.reference.bounds import Bounds
from xentcheck.reference.bounds.contracts import CATALOGUE, DEFAULT, Contract
from xentcheck.reference.formats import Array
from xentcheck.reference.oracle import Exact
from xentcheck.reference.problem import Problem

from .metric import error_of
from .right_rows import right_rows


def rejects_zeros(problem: Problem, quantity: str, contract: Contract) -> bool:
    """Whether a result of zeros is rejected, as in `power`: some |exact| is more than twice its bound [derived]."""
    exact = Exact(problem)
    return largest(np.asarray(exact.evaluate([quantity])[quantity][0]), _bound(exact, quantity, contract)) > THRESHOLD


@dataclass(frozen=True)
class Doubt:
    """Why results within their bounds may be wrong all the same.

    inherent: it lies in the problem, as in a saturated row: right arithmetic of that dtype may give zeros as well.
    """

    reason: str
    inherent: bool


def doubt_of(problem: Problem, quantity: str, got: Array, contract: Contract, *, vacuous: bool) -> Doubt | None:
    """What is not decided of the right rows of results that a contract allows, or None [derived].

    vacuous: zeros would pass, too. The contract need not decide by itself: it is enough that the results keep another
    one of the catalogue that would reject zeros. Where a bound is infinite an infinite result of the exact value's sign
    is an overflow, which the contract allows; any other has to keep a contract that has a bound there. It is inherent
    if zeros pass under the default and under `storage`, which rounds every step; or if no contract has a bound.
    """
    exact = Exact(problem)
    part = right_rows(problem, quantity)
    got = part.of(got.astype(np.float64), quantity)
    right = part.of(np.asarray(exact.evaluate([quantity])[quantity][0]), quantity)
    where = f"{problem.dtype}, {problem.classes} classes"
    if np.isnan(right).any():
        return Doubt(f"the exact value is not a number ({where}): nothing was decided", inherent=False)
    error = error_of(got, right, np.zeros(right.shape))
    overflown = np.isinf(got) & (np.sign(got) == np.sign(right))
    unbounded = ~np.isfinite(part.of(_bound(exact, quantity, contract), quantity)) & ~overflown
    vacuous = vacuous and not overflown.all()
    if not vacuous and not unbounded.any():
        return None
    asked = np.full(right.shape, True) if vacuous else unbounded
    able = []
    for other in CATALOGUE.values():
        bound = part.of(_bound(exact, quantity, other.returning(contract.result, problem.dtype)), quantity)
        if np.isfinite(bound[unbounded]).all() and (not vacuous or largest(right, bound) > THRESHOLD):
            able.append(other.name)
            if (error[asked] <= bound[asked]).all():
                return None
    what = "a result of zeros would pass as well" if vacuous else f"{unbounded.sum()} elements have no bound"
    allowed = f"a contract that decides ({', '.join(able)})" if able else "a wider dtype"
    reason = f"{what} under `{contract.name}` ({where}): nothing was decided; allowed: {allowed}"
    return Doubt(reason, inherent=not able or (not unbounded.any() and not {"storage", DEFAULT} & set(able)))


def _bound(exact: Exact, quantity: str, contract: Contract) -> Array:
    return np.asarray(Bounds(exact, contract).evaluate([quantity])[quantity])

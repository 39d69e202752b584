"""The door through which exact values leave the oracle: what mathematics makes finite is finite, or it is an error.

An infinity or nan that only the oracle's arithmetic made would agree with any wrong result, or disagree with the right
one. A finite number beyond float64 is none of them: it leaves as inf, which is what it rounds to.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from xentcheck.errors import OracleError
from xentcheck.reference.numbers.backends import Backend, Number


def leave(backend: Backend, quantity: str, number: Number, undefined: Any) -> Number:
    """The number itself. Raises OracleError where it is not finite, although it is not `undefined`.

    undefined: where mathematics has no finite value, of a shape that broadcasts to the number's: a row without a finite
    maximum, a factor that is not 0 on a logit of -inf, a division by 0, an input that is not finite.

    >>> from xentcheck.reference.numbers.backends import FLOAT64
    >>> leave(FLOAT64, "loss", np.array([1.0, np.inf]), np.array([False, True])).tolist()
    [1.0, inf]
    """
    hi, lo = backend.pair(number)
    with np.errstate(all="ignore"):
        low = lo.sum() if any(lo.strides) or not lo.ndim else 0.0  # else the zeros that take no memory
        if np.isfinite(hi.sum() + low):  # so is every part of it
            return number
    wrong = ~backend.finite(number) | (np.isfinite(hi) & ~np.isfinite(lo))
    if wrong.any():
        wrong = wrong & np.broadcast_to(np.logical_not(undefined), wrong.shape)
        if wrong.any():
            where = tuple(int(i) for i in np.argwhere(wrong)[0])
            found = float(hi[where]) if not np.isfinite(hi[where]) else float(lo[where])
            raise OracleError(
                f"the exact {quantity}{list(where)} came out as {found}, though it is finite; "
                "an error of xentcheck, not of the implementation"
            )
    return number


def all_finite(*arrays: NDArray[Any] | None) -> bool:
    """Whether all numbers of the arrays that are given are finite."""
    return all(bool(np.isfinite(a).all()) for a in arrays if a is not None)

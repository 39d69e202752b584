"""Constants and tables of exp and log1p in double-double, from the standard library's `decimal`."""

from __future__ import annotations

from decimal import Decimal, localcontext
from functools import cache

import numpy as np

from xentcheck.reference.formats import Array

SPLITTER = 134217729.0
"""2^27 + 1, which splits 53 bits into two times 26 (Veltkamp)."""

STEPS = 4096
"""Table entries of 2^(j/STEPS): the reduced argument s is small enough for s^3/6 in float64."""

TAYLOR = (1 / 720, 1 / 120, 1 / 24, 1 / 6)
"""Of exp(s), from the highest power down to s^3; s^2/2 is kept to more than float64."""

_DIGITS = 60
_FIXED = 128
GRID = 1.5 * 2.0**12  # adding and subtracting it leaves a multiple of 2^-40
FAR = -1400.0


def _pair(x: Decimal) -> tuple[float, float]:
    hi = float(x)
    return hi, float(x - Decimal(hi))


def _leading_bits(x: Decimal, bits: int) -> float:
    """x rounded to `bits` significant bits, so that its products with small integers are exact."""
    unit = Decimal(2) ** int(bits - np.frexp(float(x))[1])
    return float((x * unit).to_integral_value() / unit)


with localcontext() as _context:
    _context.prec = _DIGITS
    _LN2 = Decimal(2).ln()
    _STEP = _LN2 / STEPS
    _FIRST = _leading_bits(_STEP, 30)
    _SECOND = _leading_bits(_STEP - Decimal(_FIRST), 30)
    STEP_PARTS = _FIRST, _SECOND, float(_STEP - Decimal(_FIRST) - Decimal(_SECOND))
    PER_STEP = float(1 / _STEP)
    LN2 = _pair(_LN2)
    THIRD = _pair(Decimal(1) / 3)


@cache
def exponentials() -> tuple[Array, Array]:
    """2^(j/STEPS) as hi and lo: products of two tables of 64 integers of 128 bits each."""
    with localcontext() as context:
        context.prec = _DIGITS
        coarse, fine = (
            [int((_STEP * (stride * j)).exp() * 2**_FIXED) for j in range(64)] for stride in (STEPS // 64, 1)
        )
    values = [(c * f) >> _FIXED for c in coarse for f in fine]
    leading = [float(v) for v in values]
    rest = [float(v - int(h)) for v, h in zip(values, leading, strict=True)]
    return np.ldexp(np.array(leading), -_FIXED), np.ldexp(np.array(rest), -_FIXED)


@cache
def logarithms() -> Array:
    """(2, 257): log(1 + j/256) as hi and lo."""
    with localcontext() as context:
        context.prec = 40
        return np.array([_pair((1 + Decimal(j) / 256).ln()) for j in range(257)]).T

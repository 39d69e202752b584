"""Floating-point formats: unit roundoff, range and ULP of each storage dtype."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .numbers.arrays import as_array

Array = NDArray[Any]
"""An array of any dtype; shapes are in the docstrings."""


@dataclass(frozen=True)
class Format:
    """A binary format of `precision` significant bits and exponents emin..emax (IEEE 754).

    >>> FORMATS["float32"].unit_roundoff == 2.0**-24, FORMATS["float32"].ulp(1.0) == 2.0**-23
    (True, np.True_)
    """

    name: str
    precision: int
    emin: int
    emax: int

    @property
    def unit_roundoff(self) -> float:
        """u: half the distance from 1 to the next number."""
        return float(2.0**-self.precision)

    @property
    def smallest_normal(self) -> float:
        return float(2.0**self.emin)

    @property
    def smallest_subnormal(self) -> float:
        return float(2.0 ** (self.emin - self.precision + 1))

    @property
    def largest(self) -> float:
        return float((2.0 - 2.0 ** (1 - self.precision)) * 2.0**self.emax)

    def ulp(self, x: Any) -> NDArray[np.float64]:
        """Unit in the last place at |x|: the spacing of the format's numbers in x's binade (subnormal spacing
        below).
        """
        binade = as_array((as_array(x, np.float64).view(np.int64) & EXPONENT_BITS).view(np.float64))
        top = 2.0**self.emax
        if not binade.max(initial=0.0) <= top:
            binade = np.where(np.isfinite(binade), np.minimum(binade, top), 1.0)
        return as_array(np.maximum(binade, self.smallest_normal) * 2.0 ** (1 - self.precision))

    def ulps(self, error: Any, exact: Any) -> NDArray[np.float64]:
        """Errors in units in the last place of their exact values; nan for an exact value below the normal range.

        Numbers there have fewer digits, so that an error in units of them says nothing of how many are right.

        >>> FORMATS["float32"].ulps([2.0**-23, 1e-30], [1.0, 0.0])
        array([ 1., nan])
        """
        with np.errstate(all="ignore"):
            ulps = as_array(error / self.ulp(exact))
            normal = np.abs(exact) >= self.smallest_normal
            return ulps if np.all(normal) else np.where(normal, ulps, np.nan)


EXPONENT_BITS = np.int64(0x7FF0000000000000)
"""Of a float64: a normal number without its sign and significand is the power of two below its magnitude."""

FORMATS = {
    "float64": Format("float64", 53, -1022, 1023),
    "float32": Format("float32", 24, -126, 127),
    "bfloat16": Format("bfloat16", 8, -126, 127),
    "float16": Format("float16", 11, -14, 15),
}


@cache
def name_of(dtype: np.dtype[Any]) -> str:
    """The name of a dtype, which NumPy makes anew each time.

    >>> name_of(np.dtype("float32"))
    'float32'
    """
    return str(dtype)


@cache
def wider(dtype: str) -> tuple[str, ...]:
    """The dtypes that hold every number of a dtype, and more.

    >>> wider("bfloat16"), wider("float64")
    (('float64', 'float32'), ())
    """
    own = FORMATS[dtype]
    return tuple(n for n, f in FORMATS.items() if f.precision > own.precision and f.emax >= own.emax)


TF32 = Format("tf32", 11, -126, 127)
"""What some matrix units round their float32 inputs to."""

"""The one place where a result is compared with the exact value: a total error metric, and `not (error <= bound)`."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from xentcheck.records.facts import Facts
from xentcheck.records.record import SHARE_EDGES, ULP_EDGES
from xentcheck.reference.formats import Array, Format, wider


def error_of(got: Array, hi: Array, lo: Array) -> Array:
    """|got - exact| for float64 `got` and exact = hi + lo: total over all values.

    Equal, or both nan: 0. One nan: inf. An infinity against anything else: inf. Signed zeros are equal.
    """
    with np.errstate(all="ignore"):
        error = got - hi
        error -= lo
        error = np.asarray(np.abs(error))
        if not np.isfinite(error.max(initial=0.0)):
            special = ~np.isfinite(error)
            same = (got == hi) | (np.isnan(got) & np.isnan(hi))
            error = np.where(special, np.where(same, 0.0, np.inf), error)
    return error


def overflows(got: Array, hi: Array, bound: Array, fmt: Format) -> Array:
    """Where an infinite result is right: the exact value, or its bound, rounds to infinity in the format."""
    threshold = fmt.largest * (1.0 + fmt.unit_roundoff / 2.0)
    with np.errstate(all="ignore"):
        return np.asarray(np.isinf(got) & (np.sign(got) == np.sign(hi)) & (np.abs(hi) + bound >= threshold))


def shape_and_dtype(got: Array, shape: tuple[int, ...], dtype: str) -> Facts | None:
    """Why a result is not even comparable, or None; a wider floating dtype is."""
    if got.shape != shape:
        return Facts(check="shape", form=(str(got.shape), str(shape)))
    if str(got.dtype) not in (dtype, *wider(dtype)):
        return Facts(check="dtype", form=(str(got.dtype), dtype))
    return None


@dataclass
class Tally:
    """What one comparison has found so far; `add` takes it further, block by block.

    share: largest error / bound (0/0 is 0, x/0 is inf). failing: elements with `not (error <= bound)`; a nan where the
    exact value is none has an infinite error, which only an infinite bound allows: the contract's formats overflow on
    the way. ulp: the largest error in units in the last place of the exact value, None if no exact value is in the
    normal range. position: flat position of the worst element in row form.
    """

    format: Format
    elements: int = 0
    failing: int = 0
    nonfinite: int = 0
    share: float = 0.0
    ulp: float | None = None
    position: int = 0
    got: float = 0.0
    expected: float = 0.0
    bound: float = 0.0
    ulp_counts: Array = field(default_factory=lambda: np.zeros(len(ULP_EDGES), np.int64))
    share_counts: Array = field(default_factory=lambda: np.zeros(len(SHARE_EDGES), np.int64))

    def add(
        self, got: Array, hi: Array, lo: Array, bound: Array, *, counts: bool = True, error: Array | None = None
    ) -> None:
        """Compare elements that follow those added before; error: what `error_of` says of them, if it is known."""
        x = got.astype(np.float64, copy=False)
        error = error_of(x, hi, lo) if error is None else error
        nonfinite = ~np.isfinite(x)
        if nonfinite.any():
            error = np.where(overflows(x, hi, bound, self.format), 0.0, error)
            self.nonfinite += int(np.count_nonzero(nonfinite))
        good = error <= bound
        with np.errstate(all="ignore"):
            share = error / bound
        if not np.isfinite(share.max(initial=0.0)):
            share = np.where(error == 0, 0.0, np.where(np.isinf(bound), 0.0, np.where(bound == 0, np.inf, share)))
        if not good.all():
            share = np.where(good, share, np.fmax(share, np.nextafter(1.0, 2.0)))
        self.failing += x.size - int(np.count_nonzero(good))
        self._worst(share, x, hi, bound)
        if counts:
            self._count_ulps(error, hi)
            self.share_counts += counted(share, SHARE_EDGES)
        self.elements += x.size

    def _worst(self, share: Array, got: Array, hi: Array, bound: Array) -> None:
        if share.size == 0:
            return
        at = int(share.argmax())
        worst = float(share.flat[at])
        if worst > self.share or (self.elements == 0 and not self.share):
            self.share, self.position = worst, self.elements + at
            self.got, self.expected, self.bound = (float(a.flat[at]) for a in (got, hi, bound))

    def _count_ulps(self, error: Array, hi: Array) -> None:
        ulps = self.format.ulps(error, hi)
        ulps = ulps[~np.isnan(ulps)]
        if ulps.size:
            self.ulp = max(self.ulp or 0.0, float(ulps.max()))
            self.ulp_counts += counted(ulps, ULP_EDGES)


def counted(x: Array, edges: tuple[float, ...]) -> Array:
    """How many elements x >= 0 lie in each bin that starts at an edge: 0, then powers of two; the last has no end.

    The exponent bits of an element say which bin it is in.
    """
    exponents = np.bincount(np.ascontiguousarray(x).view(np.int64).ravel() >> 52, minlength=2048)
    starts = np.array(edges).view(np.int64) >> 52
    return np.add.reduceat(exponents, starts)

"""The one place where a result is compared with the exact value: a total error metric, and `not (error <= bound)`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from xentcheck.records.facts import Facts
from xentcheck.records.record import SHARE_EDGES, ULP_EDGES
from xentcheck.reference.formats import Array, Format, wider
from xentcheck.reference.inputs import widened
from xentcheck.reference.numbers.arrays import as_array
from xentcheck.reference.numbers.fast import kernels
from xentcheck.reference.numbers.loops.form import Form

FEW = 4096
"""Elements up to which a search for the bin of each is faster than a pass over all for each bin."""


def error_of(got: Array, hi: Array, lo: Array) -> Array:
    """|got - exact| for float64 `got` and exact = hi + lo: total over all values.

    Equal, or both nan: 0. One nan: inf. An infinity against anything else: inf. Signed zeros are equal.
    """
    with np.errstate(all="ignore"):
        error = got - hi
        error -= lo
        error = as_array(np.abs(error))
        if not np.isfinite(error.max(initial=0.0)):
            special = ~np.isfinite(error)
            same = (got == hi) | (np.isnan(got) & np.isnan(hi))
            error = np.where(special, np.where(same, 0.0, np.inf), error)
    return error


def settled(error: Array, got: Array, hi: Array, bound: Array, fmt: Format) -> Array:
    """The errors (n,), but 0 where an infinite result is right; under bounds (n,) or (contracts, n)."""
    return error if np.isfinite(got).all() else np.where(overflows(got, hi, bound, fmt), 0.0, error)


def overflows(got: Array, hi: Array, bound: Array, fmt: Format) -> Array:
    """Where an infinite result is right: the exact value, or its bound, rounds to infinity in the format."""
    threshold = fmt.largest * (1.0 + fmt.unit_roundoff / 2.0)
    with np.errstate(all="ignore"):
        return as_array(np.isinf(got) & (np.sign(got) == np.sign(hi)) & (np.abs(hi) + bound >= threshold))


def shares(error: Array, bound: Array) -> Array:
    """Error / bound of elements: 0/0 is 0, x/0 is inf, and above 1 wherever `not (error <= bound)`."""
    with np.errstate(all="ignore"):
        share = as_array(error / bound)
    if not np.isfinite(share.max(initial=0.0)):  # a nan, if there is one
        share = np.where(error == 0, 0.0, np.where(np.isinf(bound), 0.0, np.where(bound == 0, np.inf, share)))
    good = error <= bound
    return share if good.all() else np.where(good, share, np.fmax(share, np.nextafter(1.0, 2.0)))


def shape_and_dtype(got: Array, shape: tuple[int, ...], dtype: str) -> Facts | None:
    """Why a result is not even comparable, or None; a wider floating dtype is."""
    if got.shape != shape:
        return Facts(check="shape", form=(str(got.shape), str(shape)))
    if str(got.dtype) not in (dtype, *wider(dtype)):
        return Facts(check="dtype", form=(str(got.dtype), dtype))
    return None


class Spot(NamedTuple):
    """One element: its flat position in row form, its value, the exact one and the bound."""

    position: int = 0
    got: float = 0.0
    expected: float = 0.0
    bound: float = 0.0


NOWHERE = Spot()


@dataclass
class Tally:
    """What one comparison has found so far; `add` takes it further, block by block.

    share: largest error / bound (0/0 is 0, x/0 is inf). failing: elements with `not (error <= bound)`; a nan where the
    exact value is none has an infinite error, which only an infinite bound allows: the contract's formats overflow on
    the way. ulp: the largest error in units in the last place of the exact value, None if no exact value is in the
    normal range. worst, farthest: the elements of the largest share and of the most ULPs.
    """

    format: Format
    elements: int = 0
    failing: int = 0
    nonfinite: int = 0
    share: float = 0.0
    ulp: float | None = None
    worst: Spot = NOWHERE
    farthest: Spot = NOWHERE
    ulp_counts: Array = field(default_factory=lambda: np.zeros(len(ULP_EDGES), np.int64))
    share_counts: Array = field(default_factory=lambda: np.zeros(len(SHARE_EDGES), np.int64))

    def add(
        self, got: Array, hi: Array, lo: Array, bound: Array, *, counts: bool = True, error: Array | None = None
    ) -> None:
        """Compare elements that follow those added before; error: what `error_of` says of them, if it is known."""
        x = got.astype(np.float64, copy=False)
        compiled = kernels(x) if error is None else None
        if compiled:
            x, hi, lo, bound = (np.ascontiguousarray(values.reshape(-1)) for values in (x, hi, lo, bound))
            if self._add_at_once(compiled.compared, x, hi, lo, bound, counts=counts):
                return
        error = settled(error_of(x, hi, lo) if error is None else error, x, hi, bound, self.format)
        share = shares(error, bound)
        self.nonfinite += x.size - int(np.count_nonzero(np.isfinite(x)))
        self.failing += int(np.count_nonzero(share > 1.0))
        if share.size:
            at = int(share.argmax())
            self._keep_worst(float(share.flat[at]), at, x, hi, bound.flat[at])
        if counts:
            self._count_ulps(error, x, hi, bound)
            self.share_counts += counted(share, SHARE_EDGES)
        self.elements += x.size

    def add_by_form(self, got: Array, hi: Array, lo: Array, form: Form, *, counts: bool = True) -> bool:
        """The same for gradients (n, C) and bounds that a compiled loop forms as it goes; False if it does not."""
        if not (compiled := kernels(got)):
            return False
        x, hi, lo = (
            np.ascontiguousarray(values) for values in (widened(got), hi, lo if any(lo.strides) else np.zeros((0, 0)))
        )
        return self._add_at_once(compiled.compared_by_form, x, hi, lo, form, counts=counts)

    def _add_at_once(self, compared: Any, got: Array, hi: Array, lo: Array, bound: Any, *, counts: bool) -> bool:
        """The same by a compiled loop, unless something among the elements is not finite, or a bound is 0."""
        edges = np.array(SHARE_EDGES), np.array(ULP_EDGES)
        shares, ulps = (np.zeros(len(x), np.int64) for x in edges)
        limits = self.format.smallest_normal, 2.0**self.format.emax, 2.0 ** (self.format.precision - 1)
        found = compared(got, hi, lo, bound, limits, (edges, (shares, ulps)))
        (failing, at, far), (share, ulp, limit_at, limit_far) = found
        if failing < 0:
            return False
        self.failing += int(failing)
        self._keep_worst(float(share), int(at), got, hi, limit_at)
        if counts:
            self.share_counts += -np.diff([*shares, 0])
            self.ulp_counts += -np.diff([*ulps, 0])
            if ulp >= 0.0:
                self._keep_farthest(float(ulp), int(far), got, hi, limit_far)
        self.elements += got.size
        return True

    def _keep_worst(self, worst: float, at: int, got: Array, hi: Array, bound: float) -> None:
        if worst > self.share or (self.elements == 0 and not self.share):
            self.share, self.worst = worst, self._spot(at, got, hi, bound)

    def _keep_farthest(self, ulp: float, at: int, got: Array, hi: Array, bound: float) -> None:
        if self.ulp is None or ulp > self.ulp:
            self.ulp, self.farthest = ulp, self._spot(at, got, hi, bound)

    def _spot(self, at: int, got: Array, hi: Array, bound: float) -> Spot:
        return Spot(self.elements + at, float(got.flat[at]), float(hi.flat[at]), float(bound))

    def _count_ulps(self, error: Array, got: Array, hi: Array, bound: Array) -> None:
        ulps = self.format.ulps(error, hi)
        known = ~np.isnan(ulps)
        if known.any():
            at = int(ulps.argmax() if known.all() else np.nanargmax(ulps))
            self._keep_farthest(float(ulps.flat[at]), at, got, hi, bound.flat[at])
            ulps = ulps if known.all() else ulps[known]
            self.ulp_counts += counted(ulps, ULP_EDGES)


def counted(x: Array, edges: tuple[float, ...]) -> Array:
    """How many elements x >= 0 lie in each bin that starts at an edge: 0, then powers of two; the last has no end.

    Among powers of two the leading 16 bits of an element order it, its exponent among them: fast where there are many.
    """
    if x.size < FEW:
        return np.bincount(np.searchsorted(edges, x.ravel(), "right") - 1, minlength=len(edges))
    leading, starts = _leading(x), _leading(np.array(edges[1:]))
    above = [np.count_nonzero(leading >= start) for start in starts]
    return -np.diff([x.size, *above, 0])


def _leading(x: Array) -> Array:
    return as_array((x.view(np.int64) >> 48).astype(np.int16))

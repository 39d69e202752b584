"""Problem: everything that defines one softmax cross-entropy computation, as read-only NumPy arrays."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import MISSING, dataclass, field, fields
from functools import cached_property
from typing import Any

import ml_dtypes  # noqa: F401 - tells NumPy what "bfloat16" is
import numpy as np

from xentcheck.errors import DtypeError, ProblemError, ShapeError, TargetError
from xentcheck.vocabulary import DTYPES, REDUCTIONS

from .formats import Array, name_of
from .given import array_of, checksums, digest, pieces, refuse_first, refuse_other, whole, within
from .rows import to_rows

NO_IGNORE = -100
"""PyTorch's default `ignore_index`."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Problem:
    """One computation, in the storage dtype and the memory layout that the implementation receives.

    Head `logits`: `logits` of shape (C,), (N, C) or (N, C, d1..dk). Head `layer`: a_prev (N, K), w (C, K), b (C,), with
    logits a_prev w^T + b. Head `network`: a sigmoid layer hidden_w (H, K), hidden_b (H,) before that, and w (C, H).

    target: class indices (int64; shape of the logits without the class axis) or probabilities (dtype and shape of the
    logits; any finite numbers, as the loss is linear in them: rows need not sum to 1, entries not be from 0 to 1).
    weight: (C,) of any sign, or None. v: a direction of the logits, or None. upstream: dC/d(output), 0-d for `mean` and
    `sum`, else of the loss's shape. backwards: how often backward is called, the last call being judged. needs: those
    of a_prev, w, b that need a gradient; none named: all.

    Raises ShapeError, DtypeError, TargetError (index and value of the first offender) or ProblemError.

    >>> p = Problem(logits=np.array([[1.0, 2.0, 3.0]]), target=np.array([1]))
    >>> p.dtype, p.head, p.classes, p.loss_shape
    ('float64', 'logits', 3, (1,))
    """

    target: Array
    logits: Array | None = None
    a_prev: Array | None = None
    w: Array | None = None
    b: Array | None = None
    hidden_w: Array | None = None
    hidden_b: Array | None = None
    weight: Array | None = None
    ignore_index: int = NO_IGNORE
    label_smoothing: float = 0.0
    reduction: str = "mean"
    upstream: Array = field(default_factory=lambda: np.array(1.0))
    backwards: int = 1
    needs: tuple[str, ...] = ()
    v: Array | None = None

    def __post_init__(self) -> None:
        given: dict[str, Any] = {name: array_of(name, array) for name, array in self.arrays().items()}
        given["ignore_index"] = whole("ignore_index", self.ignore_index)
        given["backwards"] = whole("backwards", self.backwards, 1)
        given["label_smoothing"] = within("label_smoothing", self.label_smoothing, 0, 1)
        for name, value in given.items():
            object.__setattr__(self, name, value)
        validate(self)
        self._freeze()

    @classmethod
    def unchecked(cls, **given: Any) -> Problem:
        """A problem that may be none: labels out of range, probabilities with an `ignore_index`.

        Only an implementation can say what it makes of that; nothing here judges it.

        >>> Problem.unchecked(logits=np.zeros((1, 3)), target=np.array([7])).target.tolist()
        [7]
        """
        p = object.__new__(cls)
        for f in fields(cls):
            default = f.default if f.default_factory is MISSING else f.default_factory()
            object.__setattr__(p, f.name, given.get(f.name, default))
        p._freeze()
        return p

    def _freeze(self) -> None:
        for array in self.arrays().values():
            array.flags.writeable = False
        object.__setattr__(self, "_checksums", checksums(self.arrays()))

    def with_arrays(self, arrays: Mapping[str, Array | None]) -> Problem:
        """The same problem with other arrays of the same numbers, just as they are: nobody checks them."""
        made = copy(self)
        for name, array in arrays.items():
            object.__setattr__(made, name, array)
        made._freeze()
        return made

    def changed(self) -> tuple[str, ...]:
        """Names of the arrays that somebody wrote into, as `torch.from_numpy` lets one; of large problems, none."""
        now, before = checksums(self.arrays()), self.__dict__["_checksums"]
        return tuple(name for name in before if now[name] != before[name])

    def arrays(self) -> dict[str, Array]:
        """The arrays that are given, by name."""
        names = ("logits", "a_prev", "w", "b", "hidden_w", "hidden_b", "target", "weight", "upstream", "v")
        return {name: value for name in names if (value := getattr(self, name)) is not None}

    @property
    def head(self) -> str:
        """`logits`, `layer` or `network`."""
        if self.logits is not None:
            return "logits"
        return "layer" if self.hidden_w is None else "network"

    @cached_property
    def dtype(self) -> str:
        """Name of the storage dtype, for example `float32`."""
        first = self.a_prev if self.logits is None else self.logits
        assert first is not None
        return name_of(first.dtype)

    @property
    def logits_shape(self) -> tuple[int, ...]:
        """Shape of the logits, also where a layer makes them."""
        if self.logits is not None:
            return self.logits.shape
        assert self.a_prev is not None
        assert self.w is not None
        return (self.a_prev.shape[0], self.w.shape[0])

    @property
    def classes(self) -> int:
        """C, the number of classes."""
        shape = self.logits_shape
        return shape[0] if len(shape) == 1 else shape[1]

    @property
    def loss_shape(self) -> tuple[int, ...]:
        """Shape of the loss per example: the logits' shape without the class axis."""
        shape = self.logits_shape
        return () if len(shape) == 1 else (shape[0], *shape[2:])

    @property
    def probabilities(self) -> bool:
        """Whether the targets are rows of probabilities instead of class indices."""
        return self.target.dtype.kind not in "iu"

    @property
    def target_kind(self) -> str:
        """`index`, `smoothed` (indices with label smoothing) or `probabilities`."""
        if self.probabilities:
            return "probabilities"
        return "smoothed" if self.label_smoothing else "index"

    @property
    def quantities(self) -> tuple[str, ...]:
        """What this problem defines: the value and the gradients of its head (a and log_a at the logits only)."""
        value = "loss" if self.reduction == "none" else "cost"
        if self.head == "logits":
            return ("a", "log_a", value, "dC/dz", *(() if self.v is None else ("jvp", "hvp")))
        of = {"dC/db": "b", "dC/dw": "w", "dC/da_prev": "a_prev"}
        return (value, *(q for q, name in of.items() if not self.needs or name in self.needs))

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each quantity that this problem defines; a network's gradients are one vector."""
        rows = self.logits_shape
        shapes = {"a": rows, "log_a": rows, "dC/dz": rows, "loss": self.loss_shape, "cost": ()}
        if self.a_prev is not None and self.w is not None and self.b is not None:
            shapes |= {"dC/db": self.b.shape, "dC/dw": self.w.shape, "dC/da_prev": self.a_prev.shape}
            if self.hidden_w is not None and self.hidden_b is not None:
                shapes["dC/db"] = (self.hidden_b.size + self.b.size,)
                shapes["dC/dw"] = (self.hidden_w.size + self.w.size,)
        shapes |= {"jvp": self.loss_shape if self.reduction == "none" else (), "hvp": rows}
        return {quantity: shapes[quantity] for quantity in self.quantities}

    @cached_property
    def kept(self) -> Array:
        """Which examples are not ignored; shape of the loss."""
        if self.probabilities:
            return np.ones(self.loss_shape, bool)
        return np.asarray(self.target != self.ignore_index)

    @cached_property
    def maxima(self) -> Array:
        """(M,): the largest logit of each row, nan if there is one; of logits that are given."""
        assert self.logits is not None
        with np.errstate(invalid="ignore"):  # the largest of nan
            return np.concatenate([piece.max(1) for piece in pieces(to_rows(self.logits))])


def validate(p: Problem) -> None:
    """Raise a ProblemError with one line if the parts of a problem do not fit each other."""
    if (p.logits is None) == (p.a_prev is None):
        raise ProblemError("give either logits or a layer (a_prev, w, b)")
    if p.logits is None and (p.w is None or p.b is None):
        raise ProblemError("a layer needs all of a_prev, w and b")
    if (p.hidden_w is None) != (p.hidden_b is None):
        raise ProblemError("a network needs both hidden_w and hidden_b")
    for name in ("target", "upstream"):
        if getattr(p, name) is None:
            raise ProblemError(f"{name} is None; allowed: an array")
    if p.dtype not in DTYPES:
        raise DtypeError(f"logits have dtype {p.dtype}; allowed: {', '.join(DTYPES)}")
    if p.reduction not in REDUCTIONS:
        raise ProblemError(f"reduction is {p.reduction!r}; allowed: {', '.join(REDUCTIONS)}")
    _validate_layer(p)
    if not isinstance(p.needs, tuple):
        raise ProblemError(f"needs is {p.needs!r}; allowed: a tuple of names")
    if p.needs and (p.head != "layer" or not set(p.needs) <= {"a_prev", "w", "b"}):
        raise ProblemError(f"needs is {', '.join(p.needs)}; allowed: some of a_prev, w, b, of a last layer")
    shape = p.logits_shape
    if len(shape) == 0 or p.classes == 0:
        raise ShapeError(f"logits have shape {shape}; allowed: (C,), (N, C) or (N, C, d1..dk) with C >= 1")
    if p.weight is not None:
        refuse_other("weight", p.weight, (p.classes,), "one weight per class")
    for name, array in p.arrays().items():
        if name != "target" and str(array.dtype) != p.dtype and not (name == "upstream" and array.ndim == 0):
            raise DtypeError(f"{name} has dtype {array.dtype}; allowed: {p.dtype}, the dtype of the logits")
    if p.upstream.dtype.kind not in "iu" and str(p.upstream.dtype) not in DTYPES:
        raise DtypeError(f"upstream has dtype {p.upstream.dtype}; allowed: numbers, as of {p.dtype}")
    refuse_other("upstream", p.upstream, p.loss_shape if p.reduction == "none" else (), "the shape of the output")
    if p.v is not None and (p.logits is None or p.v.shape != shape):
        raise ShapeError(f"v has shape {p.v.shape}; allowed: {shape}, the shape of the logits that are given")
    _validate_target(p)


def _validate_layer(p: Problem) -> None:
    if p.a_prev is None or p.w is None or p.b is None:
        return
    if p.a_prev.ndim != 2 or p.w.ndim != 2:
        raise ShapeError(f"a_prev has shape {p.a_prev.shape}, w {p.w.shape}; allowed: (N, K) and (C, K)")
    width = p.a_prev.shape[1]
    if p.hidden_w is not None and p.hidden_b is not None:
        if p.hidden_w.ndim != 2 or p.hidden_w.shape[1] != width or p.hidden_b.shape != p.hidden_w.shape[:1]:
            raise ShapeError(
                f"hidden_w has shape {p.hidden_w.shape}, hidden_b {p.hidden_b.shape}; allowed: (H, {width}) and (H,)"
            )
        width = p.hidden_w.shape[0]
    if p.w.shape[1] != width or p.b.shape != p.w.shape[:1]:
        raise ShapeError(f"w has shape {p.w.shape}, b {p.b.shape}; allowed: (C, {width}) and (C,)")


def _validate_target(p: Problem) -> None:
    if p.target.dtype.kind in "iu":
        if p.target.shape != p.loss_shape:
            allowed = f"{p.loss_shape} (class indices) or {p.logits_shape}"
            raise ShapeError(f"target has shape {p.target.shape}; allowed: {allowed}")
        bad = (p.target != p.ignore_index) & ((p.target < 0) | (p.target >= p.classes))
        refuse_first("target", p.target, bad, f"0 to {p.classes - 1}, or ignore_index {p.ignore_index}")
        return
    if str(p.target.dtype) != p.dtype:
        raise DtypeError(f"target has dtype {p.target.dtype}; allowed: integers, or probabilities in {p.dtype}")
    if p.target.shape != p.logits_shape:
        raise ShapeError(f"target probabilities have shape {p.target.shape}; allowed: {p.logits_shape}")
    if p.ignore_index != NO_IGNORE:
        raise TargetError(f"ignore_index is {p.ignore_index}; it has no meaning with target probabilities")
    refuse_first("target", p.target, ~np.isfinite(p.target), "finite numbers")


def digest_of(problem: Problem) -> str:
    """SHA-256 of the problem's values and options, whatever their layout in memory."""
    return digest(problem.arrays(), f"{problem.ignore_index}/{problem.label_smoothing}/{problem.reduction}")

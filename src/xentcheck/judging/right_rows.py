"""Right rows beside rows that have no defined result: with reduction none each row is judged for itself."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from xentcheck.reference.formats import Array
from xentcheck.reference.problem import Problem


@dataclass(frozen=True)
class RightRows:
    """The problem of the rows that mathematics defines, and which of the given rows they are; None: all of them."""

    problem: Problem
    kept: Array | None = None
    rows: int = 0

    def of(self, result: Array, quantity: str) -> Array:
        """The part of a result that belongs to these rows; a result of another shape is left as it is."""
        return result if self.kept is None or result.shape[:1] != (self.rows,) else result[self.kept]

    def index(self, where: tuple[int, ...]) -> tuple[int, ...]:
        """An index among these rows as one among all."""
        return where if self.kept is None or not where else (int(np.flatnonzero(self.kept)[where[0]]), *where[1:])


def right_rows(p: Problem) -> RightRows:
    """The rows of (N, C) logits with reduction none whose maximum is finite, if only some are; else the problem itself.

    Rows with nan or +inf, and rows of -inf alone, are a convention: what is returned for them is anybody's. What is
    returned for the others is not.

    >>> import numpy as np
    >>> given = {"target": np.array([0, 1]), "reduction": "none", "upstream": np.ones(2)}
    >>> right_rows(Problem(logits=np.array([[1.0, np.nan], [2.0, 3.0]]), **given)).problem.logits
    array([[2., 3.]])
    """
    if p.logits is None or p.logits.ndim != 2 or p.reduction != "none" or p.v is not None or not p.logits.size:
        return RightRows(p)
    with np.errstate(invalid="ignore"):
        kept = np.isfinite(p.logits.max(1))
    if kept.all() or not kept.any():
        return RightRows(p)
    part = replace(p, logits=p.logits[kept], target=p.target[kept], upstream=p.upstream[kept])
    return RightRows(part, kept, len(kept))

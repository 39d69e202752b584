"""A right loss in NumPy that is given other arguments where something holds of its own: a fault in a line."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from xentcheck import adapters
from xentcheck.cases.case import Case
from xentcheck.reference import cross_entropy, cross_entropy_grad
from xentcheck.running.comparison import run_case
from xentcheck.running.subjects import subjects_of
from xentcheck.vocabulary import FAILING, OPTIONS

Given = dict[str, Any]
Where = Callable[[Given], bool]


def changed(where: Where, value: Given | None = None, gradient: Given | None = None) -> Callable[..., Any]:
    """The right loss, with other arguments of the value and of the gradient where something holds of the given ones."""

    def loss(logits: Any, target: Any, **options: Any) -> Any:
        given = {"z": logits, "y": target, "weight": None, "ignore_index": -100, "label_smoothing": 0.0} | options
        given = {"reduction": "mean", "upstream": 1.0} | given
        wrong = where(given)
        u = wide(np.asarray(given.pop("upstream")))
        z, y, w = (None if given[name] is None else wide(given[name]) for name in ("z", "y", "weight"))
        right = {**given, "z": z, "y": y, "weight": w}
        others = (value or {}, gradient or value or {}) if wrong else ({}, {})
        of_value, of_gradient = ({**right, **more} for more in others)
        u = of_gradient.pop("upstream", u)
        found = cross_entropy(of_value.pop("z"), of_value.pop("y"), **of_value)
        slope = cross_entropy_grad(of_gradient.pop("z"), of_gradient.pop("y"), upstream=u, **of_gradient)
        return found.astype(logits.dtype), slope.astype(logits.dtype)

    return loss


def wide(x: Any) -> Any:
    """An array in a wide dtype, or labels."""
    return x if x.dtype.kind in "iu" or x.dtype == np.float64 else x.astype(np.float32)


def soft(given: Given) -> bool:
    """Whether the targets are rows of probabilities."""
    return given["y"].dtype == given["z"].dtype


def seen(fault: tuple[Where, Given | None, Given | None], chosen: Iterable[Case]) -> bool:
    """Whether some of the cases sees a fault in NumPy's own loss."""
    options = sorted(set(OPTIONS) - {"second_order", "uint8_targets"})
    (subject,) = subjects_of(adapters.from_numpy(changed(*fault), options=options))
    return any(r.outcome in FAILING for c in chosen if subject.takes(c) for r in run_case(c, [subject.outcomes_only()]))

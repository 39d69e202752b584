"""Second derivatives that are wrong beside one option, reduction, shape or family only are met by `quick`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from test_covering import missing

from xentcheck import adapters
from xentcheck.cases.profiles.arrays.directed import FACTORS, FORBIDDEN, directed_cases
from xentcheck.running.comparison import run_case
from xentcheck.running.subjects import subjects_of
from xentcheck.vocabulary import FAILING

torch = pytest.importorskip("torch")

KINDS = ("smoothing", "weight", "ignore")
"""Factors of which a case has one option at most."""

Wrong = Callable[[Any, Any, dict[str, Any]], bool]


def probabilities(y: Any) -> bool:
    return bool(y.is_floating_point())


def only(options: dict[str, Any], *names: str) -> bool:
    """Whether these options are there, and no other but a reduction."""
    return set(options) - {"reduction"} == set(names)


WRONG: dict[str, Wrong] = {
    "pixels": lambda z, y, o: z.ndim > 2 and not probabilities(y),
    "many-classes": lambda z, y, o: z.ndim > 1 and z.shape[1] > 300,
    "batch-of-one": lambda z, y, o: z.ndim == 2 and len(z) == 1,
    "smoothing-alone": lambda z, y, o: only(o, "label_smoothing") and o.get("reduction") is None,
    "all-options": lambda z, y, o: {"weight", "label_smoothing"} < o.keys() and o.get("reduction") is None,
    "weights-and-a-class-ignored": lambda z, y, o: only(o, "weight", "ignore_index"),
    "weighted-probabilities": lambda z, y, o: probabilities(y) and "weight" in o and o.get("reduction") is None,
    "no-batch": lambda z, y, o: z.ndim == 1 and "label_smoothing" not in o,
    "equal-logits": lambda z, y, o: bool((z == z.flatten()[0]).all()),
    "a-class-ignored": lambda z, y, o: o.get("ignore_index", -100) >= 0,
    "smoothed-probabilities": lambda z, y, o: probabilities(y) and "label_smoothing" in o and z.ndim == 2,
    "sum-of-several": lambda z, y, o: o.get("reduction") == "sum" and len(o) > 2,
    "certain": lambda z, y, o: z.ndim == 2 and bool((z.softmax(1).amax(1) > 1 - 1e-6).any()),
    "many-rows": lambda z, y, o: z.ndim == 2 and len(z) > 100 and o.get("reduction") is None,
}


def test_every_pair_of_levels_is_met() -> None:
    """Of options, reductions, shapes and families, as the cases have them."""
    rows = []
    for case in directed_cases(0):
        chosen = {name: next((o for o in FACTORS[name] if o in case.options), "none") for name in KINDS}
        rows.append({**chosen, **{name: getattr(case, name) for name in ("shape", "target", "reduction", "family")}})
    rows = [row for row in rows if all(row[name] in levels for name, levels in FACTORS.items())]
    assert missing(rows, FACTORS, list(FORBIDDEN), 2) == []


@pytest.mark.parametrize("name", WRONG)
def test_a_second_derivative_that_is_wrong_in_one_place_is_caught(name: str) -> None:
    """The value and its gradient are right: alone this has derivatives that are wrong beside each of these only."""

    def loss(z: Any, y: Any, **options: Any) -> Any:
        found = torch.nn.functional.cross_entropy(z, y, **options)
        return found + (found - found.detach()) ** 2 if WRONG[name](z.detach(), y, options) else found

    (subject,) = subjects_of(adapters.from_torch(loss), ["cpu"])
    records = [r for case in directed_cases(0) for r in run_case(case, [subject.outcomes_only()])]
    assert {r.quantity for r in records if r.outcome in FAILING} == {"hvp"}

"""Knobs: a mistake with one number is told with that number, off any result it makes; a similar one is not told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from xentcheck.cases import Case
from xentcheck.cases.build import build
from xentcheck.diagnosis.counterfactual import Counterfactual
from xentcheck.diagnosis.knobs.rows import Family, Rows
from xentcheck.diagnosis.knobs.solve import FAMILIES, numbers_of
from xentcheck.reports.analysis.causes.suspicion import kind_of, outweighed

CASES = (
    "gaussian.7x9.f64.index.plain.none.up-rand.contig.s0",
    "gaussian.7x9.f64.index.w+ls.none.up-rand.contig.s0",
    "gaussian.5x10.f64.index.w.mean.up-neg.contig.s0",
)
EVERY = [
    (case, i)
    for case in CASES
    for i in range(sum(1 for s in FAMILIES for _ in s(Rows.of(Counterfactual.of(build(Case.parse(case)))))))
]


def right(case: str) -> Counterfactual:
    return Counterfactual.of(build(Case.parse(case)))


def told(c: Counterfactual, quantity: str, got: Any) -> tuple[str, ...]:
    exact = np.atleast_1d(c.result(quantity))
    return numbers_of(c, quantity, exact, np.atleast_1d(got), np.abs(exact) * 1e-13 + 1e-15)


def number(family: Family) -> float:
    """Of three digits, and in the range of the family, where results tell it from others."""
    if family.values or not family.among:
        return 0.01 if family.values else 0.0123  # off a single number, if it is a cost
    if family.count:
        return 17.0
    inside = [x for x in family.among[1:-1] if 1e-7 < x < 100]
    return float(f"{inside[len(inside) // 2] * 1.07:.{1 if family.round else 3}g}")


@pytest.mark.parametrize(("case", "which"), EVERY)
def test_a_number_is_read_off(case: str, which: int) -> None:
    """Off the losses or the gradient, with its family's words; with another error in one element, it is not."""
    c = right(case)
    rows = Rows.of(c)
    family = [f for source in FAMILIES for f in source(rows)][which]
    quantity = "dC/dz" if family.beside or not family.values else "loss" if c.problem.reduction == "none" else "cost"
    t = number(family)
    with np.errstate(all="ignore"):
        got = rows.quantity(quantity, family.made(rows, t))
        same = np.allclose(got, c.result(quantity), rtol=1e-9, atol=1e-12)
    if same:  # the gradient of a constant, a limit that nothing reaches
        assert told(c, quantity, got) == ()
        return
    sentence = family.sentence.format(f"{family.start + t:.6g}")
    found = told(c, quantity, got)
    assert any(text.startswith(f"{family.code}: ") and text.endswith(sentence) for text in found), (sentence, found)
    if got.size > 1:
        got = np.array(got)
        got.flat[-1] += 1e-3 * np.abs(got).max()
        assert told(c, quantity, got) == ()


PLAIN = right(CASES[0])
NEGATIVE: list[tuple[str, Callable[[Any], Any]]] = [
    ("a soft cap", lambda z: 3.0 * z / np.sqrt(9.0 + z * z)),
    ("a temperature", lambda z: z / 0.7 + 1e-3 * z**2),
    ("a margin", lambda z: z - 0.2 * np.abs(z) * (np.arange(9) == PLAIN.targets.label[:, None])),
]


@pytest.mark.parametrize(("like", "bend"), NEGATIVE, ids=[name for name, _ in NEGATIVE])
def test_what_is_only_similar_has_no_number(like: str, bend: Callable[[Any], Any]) -> None:
    """Other functions of the logits that are near those of a family."""
    rows = Rows.of(PLAIN)
    assert told(PLAIN, "loss", rows.quantity("loss", rows.of_logits(bend(rows.z)))) == ()


def test_a_single_number_has_to_be_round() -> None:
    """One digit, or two where it is right to many more: any one number is met by some of a hundred families."""
    c = right(CASES[2])
    rows = Rows.of(c)
    family = next(
        f for source in FAMILIES for f in source(rows) if f.sentence.startswith("a constant c is added to each")
    )
    losses = lambda t: rows.quantity("cost", family.made(rows, t))  # noqa: E731
    assert any("c = 0.05" in text for text in told(c, "cost", losses(0.05)))
    assert not any("a constant c is added to each" in text for text in told(c, "cost", losses(0.0512345)))


def test_a_number_after_an_equals_sign_is_part_of_the_kind() -> None:
    """Two temperatures are two mistakes; counts of rows are of the case; no digit of a number is lost."""
    assert kind_of("A12: a temperature, T = 0.5") != kind_of("A12: a temperature, T = 0.7")
    assert kind_of("D47: added, c = 12") != kind_of("D47: added, c = 13")
    assert kind_of("D47: added, c = -1e-05") != kind_of("D47: added, c = -1e-06")
    assert kind_of("B20: 3 rows of 5") == kind_of("B20: 4 rows of 64")


@pytest.mark.parametrize(
    ("explained", "unknown", "more"),
    [
        ([50], [50, 50], True),
        ([50, 50], [50], False),
        ([50, 1, 1, 1, 1], [50, 50], False),
        ([1], [1, 1], False),
        ([1], [1, 1, 1], True),
        ([50], [1] * 8, False),
        ([50], [1] * 9, True),
    ],
)
def test_what_nothing_explains_outweighs(explained: list[int], unknown: list[int], more: bool) -> None:
    """Results of several elements, if they are more than a third of all; single numbers from many on."""
    assert outweighed(explained, unknown) is more

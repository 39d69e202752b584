"""Places: which rows are skipped, which classes are left out of a sum, what a wrong shift makes infinite."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from xentcheck.cases import Case
from xentcheck.cases.build import build
from xentcheck.diagnosis.counterfactual import Counterfactual
from xentcheck.diagnosis.knobs.columns import columns_of_sum
from xentcheck.diagnosis.patterns.finite import not_finite
from xentcheck.diagnosis.patterns.parts import part_of
from xentcheck.diagnosis.patterns.places import one_ratio_in_rows, rows_of_zeros, where_wrong
from xentcheck.diagnosis.sorts import placed, sort_of
from xentcheck.diagnosis.suspects import suspects
from xentcheck.reference.rows import from_rows
from xentcheck.vocabulary import UNSURE

PLAIN = Counterfactual.of(build(Case.parse("gaussian.7x9.f64.index.plain.none.up-rand.contig.s0")))
MEAN = Counterfactual.of(build(Case.parse("gaussian.5x10.f64.index.w.mean.up-neg.contig.s0")))


def limits(exact: Any) -> Any:
    return np.abs(exact) * 1e-13 + 1e-15


PLACES = [
    ([6], "in the last row"),
    ([0], "in the first row"),
    ([4, 5, 6], "from row 4 on"),
    ([0, 1], "before row 2"),
    ([1, 3, 5], "in every 2. row, from row 1 on"),
    ([1, 4], "in rows 1 to 4"),
    ([0, 1, 3, 4, 6], "but in every 3. row"),
    ([3], "in row 3"),
    ([0, 3, 4], ""),
    ([], ""),
    (range(7), ""),
]


@pytest.mark.parametrize(("rows", "told"), PLACES)
def test_places_have_words(rows: Any, told: str) -> None:
    """Ends, steps and ranges; rows 2 and 3 tell nothing where they are ignored."""
    those, all_tell = np.isin(np.arange(7), list(rows)), np.ones(7, bool)
    silent = np.isin(np.arange(7), [2, 3]) if told == "in rows 1 to 4" else ~all_tell
    assert placed(those, all_tell & ~silent, "row") == told


@pytest.mark.parametrize("quantity", ["loss", "dC/dz"])
def test_rows_without_a_loss_or_a_gradient_are_told_by_their_place(quantity: str) -> None:
    """The last row, every second row; rows in no order have no place; a small number is no 0."""
    exact = PLAIN.result(quantity)
    pattern = rows_of_zeros if quantity == "loss" else where_wrong
    what = "loss" if quantity == "loss" else "gradient"
    for rows, where in (([6], "in the last row"), ([1, 3, 5], "in every 2. row, from row 1 on"), ([0, 3, 4], "")):
        got = exact.copy()
        got[rows] = 0.0
        told = pattern(PLAIN, exact, got, limits(exact))
        assert told.startswith(f"F78: no {what} {where}: " if where else ("", "E54", "F79")), told
        got[rows[0]] += 1e-3
        assert not pattern(PLAIN, exact, got, limits(exact)).startswith("F78")


def test_columns_without_a_gradient_are_told_by_their_place() -> None:
    """A block of columns; with one element of it right, it is none."""
    exact = PLAIN.result("dC/dz")
    got = exact.copy()
    got[:, 3:5] = 0.0
    assert (
        where_wrong(PLAIN, exact, got, limits(exact)) == "F74: no gradient in columns 3 to 4: columns have no gradient"
    )
    got[2, 3] = exact[2, 3]
    assert not where_wrong(PLAIN, exact, got, limits(exact)).startswith("F74")


@pytest.mark.parametrize(("c", "quantity"), [(PLAIN, "loss"), (PLAIN, "dC/dz"), (MEAN, "cost"), (MEAN, "dC/dz")])
@pytest.mark.parametrize(("block", "words"), [((7, 9), "7 to 8 of"), ((0, 4), "the first 4 of"), ((3, 4), "3 to 3 of")])
def test_the_classes_that_a_sum_lacks_are_read_off(
    c: Counterfactual, quantity: str, block: tuple[int, int], words: str
) -> None:
    """Left out or summed twice, whatever place they have; half of one class is no class."""
    a, log_a = c.softmax
    exact = np.atleast_1d(c.result(quantity))
    place = np.arange(c.z.shape[1])
    if block[1] == c.z.shape[1]:
        words = f"the last {block[1] - block[0]} of"
    for share, told in ((-1.0, "left out of the sum"), (1.0, "summed twice"), (-0.5, "")):
        factor = 1.0 + share * a[:, (place >= block[0]) & (place < block[1])].sum(1, keepdims=True)
        got = np.atleast_1d(replace(c, a=a / factor, log_a=log_a - np.log(factor)).result(quantity))
        found = columns_of_sum(c, quantity, exact, got, limits(exact))
        assert bool(found) == bool(told), found
        assert all(words in text and told in text for text in found), found


SHIFTED: list[tuple[str, Any, Any]] = [
    ("the maximum is clamped from below, at 0", lambda z: np.maximum(z.max(1), 0.0), [-800.0, 0.0, 3.0, 900.0, -2.0]),
    ("the maximum of all rows", lambda z: z.max(), [-800.0, 0.0, 3.0, 400.0, -2.0]),
    ("exp overflows, or all of it underflows", lambda z: z.max(1) * 0.0, [-800.0, 0.0, 3.0, 900.0, -2.0]),
]


@pytest.mark.parametrize(("sentence", "shift", "moved"), SHIFTED, ids=lambda x: x if isinstance(x, str) else "")
def test_a_wrong_shift_is_told_by_the_rows_that_it_makes_infinite(sentence: str, shift: Any, moved: Any) -> None:
    """Among all that fit; with one finite row more or less among them, it is none of these."""
    z = MEAN.z + np.array(moved)[:, None]
    c = replace(MEAN, z=z)
    with np.errstate(all="ignore"):
        t = z - np.broadcast_to(shift(z), len(z))[:, None]
        rows = -(t - np.log(np.exp(t).sum(1, keepdims=True)))[np.arange(5), c.targets.label]
    exact = c.losses()
    assert not np.isfinite(rows).all()
    assert any(sentence in text for text in not_finite(c, "loss", exact, rows))
    other = np.where(np.isfinite(rows), rows, exact)
    other[1] = np.nan
    assert not any(sentence in text for text in not_finite(c, "loss", exact, other)), sentence


def test_rows_are_parted_by_a_number_where_that_is_no_chance() -> None:
    """Of 64 rows those of a small loss; of five the same says nothing."""
    c = Counterfactual.of(build(Case.parse("gaussian.64x10.f64.index.plain.none.up-rand.contig.s0")))
    small = c.losses() < np.quantile(c.losses(), 0.3)
    assert sort_of(c, small, np.ones(64, bool)).startswith("with a loss below ")
    assert sort_of(c, np.roll(small, 1), np.ones(64, bool)) == ""
    few = PLAIN.losses() < np.quantile(PLAIN.losses(), 0.4)
    assert "loss" not in sort_of(PLAIN, few, np.ones(7, bool))


@pytest.mark.parametrize("dtype", ["f32", "bf16"])
@pytest.mark.parametrize("name", ["bfloat16", "float16"])
def test_a_sum_in_a_narrower_format_is_named(dtype: str, name: str) -> None:
    """The cost alone is rounded, or added up in steps; a number of no such format is unknown."""
    p = build(Case.parse(f"gaussian.64x10.{dtype}.index.plain.mean.up-one.contig.s0"))
    c = Counterfactual.of(p)
    narrow = c.losses().astype(name)
    total = narrow[0]
    for x in narrow[1:]:
        total = (total + x).astype(name)
    got = np.asarray(total.astype(np.float64) / 64.0)
    bound = np.abs(got) * 2.0**-20
    words = f"A10: the losses are right, and are reduced in {name}"
    if dtype == "f32" or name == "bfloat16":
        assert any(text.startswith(words) for text in suspects(p, "cost", got, bound))
        assert not any("A10" in text for text in suspects(p, "cost", got * 1.013, bound))


def test_a_gradient_through_another_functions_derivative_is_named() -> None:
    """The softmax's for the log-softmax, and the other way round; with another row in between it is unknown."""
    p, (a, _) = PLAIN.problem, PLAIN.softmax
    s = (PLAIN.upstream / PLAIN.denominator)[:, None]
    g = -s * PLAIN.q
    right = PLAIN.result("dC/dz")
    for made, words in (
        (a * (g - (a * g).sum(1, keepdims=True)), "what reaches log a goes through a (g - sum(a g))"),
        (g / a - a * (g / a).sum(1, keepdims=True), "what reaches a goes through g - a sum(g)"),
    ):
        told = suspects(p, "dC/dz", from_rows(made, p.logits_shape), limits(right))
        assert any(text.startswith("E61") and words in text for text in told), told
        made[2] += 1e-3 * np.arange(9) ** 2
        assert not any(text.startswith("E61") for text in suspects(p, "dC/dz", made, limits(right)))
    assert suspects(p, "dC/dz", right + np.sin(1e4 * right), limits(right)) == (UNSURE,)


@pytest.mark.parametrize("quantity", ["loss", "dC/dz"])
def test_a_part_of_the_rows_with_another_factor_is_told_by_its_place(quantity: str) -> None:
    """The last rows, twice; with two factors among them, or with one right element, they are no such part."""
    exact = PLAIN.result(quantity)
    got = exact.copy()
    got[3:] *= 2.0
    told = one_ratio_in_rows(PLAIN, exact, got, limits(exact))
    assert told == "F79: 2 times the right ones: from row 3 on: a part of the rows has another factor"
    for other in (3.0, 0.5):
        mixed = got.copy()
        mixed[5] *= other
        assert one_ratio_in_rows(PLAIN, exact, mixed, limits(exact)) == ""


def test_rows_with_the_upstream_gradients_of_others_are_told() -> None:
    """Pairs that share one; a row with a number that is nobody's is none of it."""
    exact = PLAIN.result("dC/dz")
    up = PLAIN.upstream
    shared = up[np.arange(7) // 2 * 2]
    told = part_of(PLAIN, exact, exact * (shared / up)[:, None], limits(exact))
    assert told.startswith("E50: row 1 has that of row 0, row 3 has that of row 2")
    shared[3] *= 1.0123
    assert not part_of(PLAIN, exact, exact * (shared / up)[:, None], limits(exact)).startswith("E50")

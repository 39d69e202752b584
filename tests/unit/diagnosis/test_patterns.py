"""Patterns: a part, a term, a factor, a label or a row that explains all elements is named; noise is nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from xentcheck.cases import Case
from xentcheck.cases.build import build
from xentcheck.diagnosis.counterfactual import Counterfactual
from xentcheck.diagnosis.patterns.decoded import labels_of, logits_of, targets_of
from xentcheck.diagnosis.patterns.parts import part_of
from xentcheck.diagnosis.patterns.places import columns_of, moved_rows, rows_of, where_wrong
from xentcheck.diagnosis.patterns.ratios import constant_ratio
from xentcheck.diagnosis.patterns.softmax import softmax_of
from xentcheck.diagnosis.patterns.terms import term_of
from xentcheck.diagnosis.suspects import suspects
from xentcheck.vocabulary import UNSURE

NOISE = np.random.default_rng(5)


def right(case: str) -> Counterfactual:
    return Counterfactual.of(build(Case.parse(case)))


PLAIN = right("gaussian.7x9.f64.index.plain.none.up-rand.contig.s0")
WEIGHTED = right("gaussian.7x9.f64.index.w+ls.none.up-rand.contig.s0")


def told(pattern: Any, c: Counterfactual, got: Any, *more: Any) -> str:
    exact = c.result("dC/dz" if np.ndim(got) > 1 else "loss")
    return str(pattern(c, *more, exact, np.asarray(got), np.abs(exact) * 1e-13 + 1e-15))


def scale(c: Counterfactual) -> Any:
    return (c.upstream / c.denominator)[:, None]


def test_the_part_of_a_gradient_that_is_wrong_is_named() -> None:
    """A factor of a, and what the factor is; y at the label; a gradient that is wrong elsewhere too is none of it."""
    c, exact = PLAIN, PLAIN.result("dC/dz")
    more = exact + scale(c) * c.softmax[0] * 0.37
    assert told(part_of, c, more) == "E60: 1.37 times the right a: in the gradient, a has another factor, y is right"
    mass = WEIGHTED.q.sum(1)
    other = scale(WEIGHTED) * (WEIGHTED.softmax[0] * (mass * WEIGHTED.upstream)[:, None] - WEIGHTED.q)
    assert "in the gradient, a is multiplied by the upstream gradient, y is right" in told(part_of, WEIGHTED, other)
    lost = exact + scale(c) * c.q
    assert told(part_of, c, lost).endswith("in the gradient, y at the label is left out, a is right")
    more[2, 3] += 1e-3
    assert told(part_of, c, more) == ""
    assert told(part_of, c, NOISE.normal(size=exact.shape)) == ""


def test_the_factor_of_a_row_is_named_if_it_has_a_name() -> None:
    """The label's weight, twice; numbers of nobody's are shown; a factor of each element is none of a row."""
    exact = WEIGHTED.result("dC/dz")
    weighted = exact * WEIGHTED.targets.label_weight[:, None]
    assert "multiplied by the class weight of the label" in told(part_of, WEIGHTED, weighted)
    own = exact * NOISE.uniform(0.2, 3.0, size=(len(exact), 1))
    assert told(part_of, WEIGHTED, own).endswith("each row of the gradient has a factor of its own")
    assert told(part_of, WEIGHTED, exact * NOISE.uniform(0.2, 3.0, size=exact.shape)) == ""


@pytest.mark.parametrize("power", [1, 2])
def test_a_term_that_is_added_to_each_loss_is_named(power: int) -> None:
    """A multiple of lse, or of its square, with its factor; noise of that size is none."""
    top = PLAIN.z.max(1)
    term = 0.0123 * (top - PLAIN.softmax[1].max(1)) ** power
    name = "log(sum(exp(z)))" + ("^2" if power == 2 else "")
    found = told(term_of, PLAIN, PLAIN.losses() + term)
    assert found == f"D47: 0.0123 times {name}: in each row's loss, {name} times a factor is added"
    assert told(term_of, PLAIN, PLAIN.losses() + NOISE.normal(size=len(term)) * 0.1) == ""


def test_smoothing_without_the_division_by_c_is_named() -> None:
    """The smoothed part has C times its factor."""
    c = right("gaussian.7x9.f64.index.ls.none.up-rand.contig.s0")
    eps = c.targets.smoothing
    losses = c.losses() - eps * (1.0 - 1.0 / 9.0) * c.softmax[1].sum(1)
    assert "in each row's loss, the mean of -log a over the classes has another factor" in told(term_of, c, losses)


@pytest.mark.parametrize("quantity", ["loss", "dC/dz"])
def test_labels_are_read_back(quantity: str) -> None:
    """Three too high and around; others are listed; a row that no label explains says nothing."""
    t = PLAIN.targets
    moved = PLAIN.with_labels((t.label + 3) % t.classes, t.kept).result(quantity)
    assert told(labels_of, PLAIN, moved, quantity) == "F76: labels are 3 too high, and wrap around: (y + 3) mod C"
    some = (t.label + np.arange(7) % 2 * (1 + np.arange(7))) % t.classes
    listed = told(labels_of, PLAIN, PLAIN.with_labels(some, t.kept).result(quantity), quantity)
    assert listed.endswith("the result is right for other labels than those given")
    moved[0] *= 1.01
    assert told(labels_of, PLAIN, moved, quantity) == ""


def test_another_softmax_is_told_from_another_y() -> None:
    """A temperature nobody has listed; another softmax without a name; a wrong y."""
    exact = PLAIN.result("dC/dz")

    def made(z: Any) -> Any:
        e = np.exp(z - z.max(1, keepdims=True))
        return exact + scale(PLAIN) * (e / e.sum(1, keepdims=True) - PLAIN.softmax[0])

    assert "z/0.7 in the place of z, y is right: a temperature" in told(softmax_of, PLAIN, made(PLAIN.z / 0.7))
    assert told(softmax_of, PLAIN, made(PLAIN.z**3)).endswith("is another softmax; y is right")
    assert told(softmax_of, PLAIN, exact + 0.5 * scale(PLAIN) * PLAIN.q) == ""


def test_rows_of_one_sort_are_named() -> None:
    """Those whose label is in the second half; rows of no sort are not."""
    losses = PLAIN.losses()
    second = PLAIN.targets.label >= 5
    assert 2 <= second.sum() <= 5
    wrong = np.where(second, losses * NOISE.uniform(1.1, 2.0, size=7), losses)
    assert "whose label is in the second half" in told(rows_of, PLAIN, wrong)
    odd = np.where(np.isin(np.arange(7), (0, 3, 4)), losses * 1.7, losses)
    assert told(rows_of, PLAIN, odd) == ""


def test_a_limit_below_which_a_gradient_is_0_is_named() -> None:
    """Small probabilities; zeros here and there have no limit, and no first row or column."""
    exact = PLAIN.result("dC/dz")
    small = np.where(PLAIN.softmax[0] < np.median(PLAIN.softmax[0]), 0.0, exact)
    assert told(where_wrong, PLAIN, small).endswith("elements of a small probability are set to 0")
    some = exact.copy()
    some[[0, 3, 6, 6], [8, 1, 2, 8]] = 0.0
    assert told(where_wrong, PLAIN, some) == "E54: the wrong elements are all 0"


def test_beside_an_infinity_nothing_is_near() -> None:
    """A finite loss where the exact one is inf is explained by no mistake that is off by any amount there."""
    p = build(Case.parse("gaussian.5x10.f64.index.ls.none.up-rand.contig.s0"))
    logits = np.array(p.logits)
    logits[1, 3] = -np.inf
    masked = replace(p, logits=logits)
    exact = np.asarray(Counterfactual.of(masked).result("loss"))
    assert np.isinf(exact[1])
    got = np.where(np.isinf(exact), 3.0, exact)
    assert suspects(masked, "loss", got, np.abs(np.where(np.isinf(exact), 1.0, exact)) * 1e-12) == (UNSURE,)


def test_what_is_subtracted_in_the_place_of_y_is_read_back() -> None:
    """A tenth of each label goes to the next row's; where a is wrong as well, nothing is read."""
    t = PLAIN.targets
    hot = np.eye(t.classes)[t.label]
    mixed = 0.9 * hot + 0.1 * np.roll(hot, 1, 0)
    exact = PLAIN.result("dC/dz")
    wrong = exact - scale(PLAIN) * (mixed - hot)
    sentence = told(targets_of, PLAIN, wrong)
    assert sentence.startswith("E60: row ")
    assert "0.9 at" in sentence
    assert "0.1 at" in sentence
    assert told(targets_of, PLAIN, wrong + 0.1 * scale(PLAIN) * PLAIN.softmax[0]) == ""


@pytest.mark.parametrize("quantity", ["loss", "dC/dz"])
def test_rows_in_the_places_of_others_are_found(quantity: str) -> None:
    """Moved by two; a row that is nobody's is not."""
    right_rows = PLAIN.result(quantity)
    moved = np.roll(right_rows, 2, 0)
    sentence = told(moved_rows, PLAIN, moved)
    assert sentence.startswith("F79: row 0 has that of row 5, row 1 has that of row 6")
    moved[3] *= 1.001
    assert told(moved_rows, PLAIN, moved) == ""


def test_rows_cut_to_one_length_are_told_from_other_factors() -> None:
    """Longer rows are cut to the length 0.1; the right rows beside them are shorter."""
    exact = PLAIN.result("dC/dz")
    length = np.sqrt((exact**2).sum(1, keepdims=True))
    cut = exact * np.minimum(1.0, 0.1 / length)
    assert told(part_of, PLAIN, cut) == "E51: the gradient of each row is cut to the length 0.1"
    assert told(part_of, PLAIN, exact * np.minimum(1.0, 0.1 / length**2)).startswith("B27")


def test_the_place_of_another_logit_is_found() -> None:
    """With N in the place of C in the flat index; in no order; a number that is no logit's."""
    c, t = PLAIN, PLAIN.targets
    lse = c.z.max(1) - c.softmax[1].max(1)
    rows = np.arange(7)
    flat = (rows * 7 + t.label) % c.z.size
    assert "n S + y with S = N" in told(logits_of, c, lse - c.z.reshape(-1)[flat])
    some = lse - c.z.reshape(-1)[(rows * 5 + 3) % c.z.size]
    assert told(logits_of, c, some).endswith("a logit of another place is taken for the label's")
    some[2] += 1e-3
    assert told(logits_of, c, some) == ""


def test_what_is_no_part_of_the_gradient_is_named_with_its_factor() -> None:
    """The entropy's gradient, alone and beside another factor of a; the sum of three such things is none of it."""
    c, exact = PLAIN, PLAIN.result("dC/dz")
    a, log_a = c.softmax
    entropy = -a * (log_a - (a * log_a).sum(1, keepdims=True))
    found = told(part_of, c, exact + scale(c) * 0.0173 * entropy)
    assert found.startswith("E60: 0.0173 times the gradient of the softmax's entropy is added")
    both = exact + scale(c) * (0.0173 * entropy + 0.25 * a)
    assert "1.25 times the right a" in told(part_of, c, both)
    next_row = exact + scale(c) * 0.5 * np.roll(a, -1, 0)
    assert "0.5 times a of the next row is added" in told(part_of, c, next_row)
    assert told(part_of, c, both + next_row + scale(c) * 0.3 * a**3) == ""


def test_the_columns_that_alone_are_wrong_are_named() -> None:
    """The last ones, with their factor; those at labels; one right element among them, and they are none."""
    c, exact = PLAIN, PLAIN.result("dC/dz")
    late = np.where(np.arange(9) >= 4, exact * 3.0, exact)
    assert told(columns_of, c, late) == "F79: 3 times the right ones: just the elements from column 4 on are wrong"
    label = np.arange(9) == c.targets.label[:, None]
    odd = exact + label * NOISE.uniform(0.1, 1.0, size=exact.shape)
    assert told(columns_of, c, odd) == "F79: just the elements at the label are wrong"
    late[2, 6] = exact[2, 6]
    assert told(columns_of, c, late) == ""
    assert told(columns_of, c, exact) == ""
    assert told(columns_of, c, exact * 2.0) == ""


def test_a_gradient_cut_as_a_whole_is_told_from_another_factor() -> None:
    """Its length is a round number; a loss scale is a power of two, and any other factor is neither."""
    c, exact = PLAIN, PLAIN.result("dC/dz")
    length = float(np.sqrt((exact * exact).sum()))
    assert length > 1.0
    assert "the whole gradient is cut to the length 1" in told(constant_ratio, c, exact / length)
    assert "2^10: a loss scale that is not divided out" in told(constant_ratio, c, exact * 1024.0)
    assert told(constant_ratio, c, exact * 0.777 / length).endswith("times the right one")


def test_a_row_in_its_own_place_is_not_moved() -> None:
    """Rows that are wrong by a little more than their bound are near themselves, and are in no other place."""
    c, exact = PLAIN, PLAIN.result("dC/dz")
    got = exact.copy()
    got[[1, 4]] += 3.5e-15
    assert told(moved_rows, c, got) == ""


def test_what_is_wrong_in_ignored_rows_only_is_no_temperature() -> None:
    """A softmax of z/2 in the kept rows is one; the same with an ignored row wrong, too, is not."""
    c = right("gaussian.7x9.f64.index.ign.none.up-rand.contig.s0")
    ignored = ~c.targets.kept[:, None]
    assert ignored.any()
    cold = replace(c, z=c.z / 2.0).result("dC/dz")
    assert "z/2 in the place of z" in told(softmax_of, c, cold)
    assert told(softmax_of, c, cold - 0.1 * ignored) == ""


def test_one_ignored_row_alone_is_told_one_kept_row_is_not() -> None:
    """A single ignored row with a gradient has a reason to be wrong; a single other one has none."""
    c = right("gaussian.7x9.f64.index.ign.none.up-rand.contig.s0")
    exact, ignored = c.result("dC/dz"), ~c.targets.kept[:, None]
    assert told(rows_of, c, exact + 0.1 * ignored) == "F79: just the rows that are ignored are wrong"
    one = np.arange(7)[:, None] == np.flatnonzero(c.targets.kept)[1]
    assert told(rows_of, c, exact + 0.1 * one) == ""

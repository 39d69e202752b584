"""Nielsen's exercises on every implementation, each beside a wrong answer that it must reject.

T1 to T19 on the reference itself are in `test_reference_*`; here are those that speak of what implementations return.
Tolerances are the bounds of the implementation's contract.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from xentcheck import adapters
from xentcheck.cases.randomness import Stream
from xentcheck.museum import outputs
from xentcheck.museum.outputs import Values
from xentcheck.reference.problem import Problem
from xentcheck.running.subjects import subjects_of
from xentcheck.studies.asker import Asker, compare

ROWS, CLASSES, INPUTS = 4, 5, 3
HERE = 2.0**-48
"""What the comparisons themselves round: fewer than 16 operations in float64 on numbers below 4."""

Statement = Callable[[Asker, str], bool]


def logits(dtype: str, reduction: str = "none") -> Problem:
    """Multiples of 1/8 between -2 and 2."""
    s = Stream("exercises")
    return Problem(
        logits=(s.integers(-16, 17, (ROWS, CLASSES)) / 8).astype(dtype),
        target=s.integers(0, CLASSES, (ROWS,)),
        reduction=reduction,
        upstream=np.ones(ROWS if reduction == "none" else (), dtype),
    )


def layer(dtype: str) -> Problem:
    """Multiples of 1/4, so that no logit rounds; the second input is 0 in every row."""
    s = Stream("exercises.layer")
    a_prev, w, b = (s.integers(-4, 5, shape) / 4 for shape in ((ROWS, INPUTS), (CLASSES, INPUTS), (CLASSES,)))
    a_prev[:, 1] = 0
    parts = {"a_prev": a_prev.astype(dtype), "w": w.astype(dtype), "b": b.astype(dtype)}
    return Problem(**parts, target=s.integers(0, CLASSES, (ROWS,)), upstream=np.ones((), dtype))


def moved(p: Problem, row: int, column: int) -> Problem:
    """One logit raised by 1/2."""
    z = np.array(p.logits)
    z[row, column] += 0.5
    return replace(p, logits=z)


def t03_the_cost_is_least_at_the_probabilities(ask: Asker, dtype: str) -> bool:
    """T3: with probabilities q the loss at z = ln q is not above that at other logits."""
    q = np.array([[0.5, 0.25, 0.125, 0.0625, 0.0625]] * ROWS, dtype)
    p = replace(logits(dtype), target=q)
    least, other = ask(replace(p, logits=np.log(q)), "loss"), ask(p, "loss")
    return bool((least["loss"] <= other["loss"] + least.bounds["loss"] + other.bounds["loss"]).all())


def t06_an_input_of_0_gives_its_weights_no_gradient(ask: Asker, dtype: str) -> bool:
    """T6: exactly, whatever the cost."""
    dw = ask(layer(dtype), "dC/dw")["dC/dw"]
    return bool((dw[:, 1] == 0).all() and (dw[:, [0, 2]] != 0).any())


def t08_raising_a_logit_raises_its_activation_and_lowers_the_others(ask: Asker, dtype: str) -> bool:
    """T8: strictly, as nothing saturates here."""
    p = logits(dtype)
    before = ask(p, "a")["a"]
    change = [ask(moved(p, 0, j), "a")["a"][0] - before[0] for j in range(CLASSES)]
    return all((np.sign(c) == np.where(np.arange(CLASSES) == j, 1, -1)).all() for j, c in enumerate(change))


def t09_an_activation_depends_on_every_logit_of_its_row_and_on_no_other(ask: Asker, dtype: str) -> bool:
    """T9: raising any z_k changes every a_j of the row, and no other row."""
    p = logits(dtype)
    before = ask(p, "a")["a"]
    changed = [ask(moved(p, 1, k), "a")["a"] != before for k in range(CLASSES)]
    return all(c[1].all() and not np.delete(c, 1, 0).any() for c in changed)


def t10_log_a_is_inverted_by_a_constant(ask: Asker, dtype: str) -> bool:
    """T10: z - ln a is the same number in all classes of a row."""
    p = logits(dtype)
    found = ask(p, "log_a")
    constant = np.asarray(p.logits).astype(np.float64) - found["log_a"]
    return bool((np.ptp(constant, axis=1) <= 2 * found.bounds["log_a"].max(1) + HERE).all())


def t11_activations_are_a_distribution(ask: Asker, dtype: str) -> bool:
    """T11 and T7: none is negative, a row sums to 1, every logarithm is finite."""
    found = ask(logits(dtype), "a", "log_a")
    close = np.abs(found["a"].sum(1) - 1) <= found.bounds["a"].sum(1) + CLASSES * HERE
    return bool((found["a"] >= 0).all() and close.all() and np.isfinite(found["log_a"]).all())


def t12_gradients_of_the_layer_are_those_of_its_logits_times_its_inputs(ask: Asker, dtype: str) -> bool:
    """T12, (81) and (82): dC/db sums the rows of dC/dz, dC/dw their products with a_prev."""
    p = layer(dtype)
    a_prev, w, b = (np.asarray(x).astype(np.float64) for x in (p.a_prev, p.w, p.b))
    z = (a_prev @ w.T + b).astype(dtype)
    inner = ask(Problem(logits=z, target=p.target, upstream=p.upstream), "dC/dz")
    outer = ask(p, "dC/db", "dC/dw")
    g, limit = inner["dC/dz"], inner.bounds["dC/dz"]
    right = {"dC/db": (g.sum(0), limit.sum(0)), "dC/dw": (g.T @ a_prev, limit.T @ np.abs(a_prev))}
    return all(
        bool((np.abs(outer[q] - value) <= outer.bounds[q] + off + HERE).all()) for q, (value, off) in right.items()
    )


def t13_large_constants_tend_to_the_maximum(ask: Asker, dtype: str) -> bool:
    """T13, (83): 1 - a_max <= (K - 1) exp(-c gap) for the logits times c, and two equal maxima get 1/2 each."""
    z = np.array([[0.0, 0.5, 1.0, 2.0, 0.0], [1.0, 1.0, 0.0, 0.0, 0.0]])
    for c in (2.0, 8.0):
        p = Problem(logits=(c * z).astype(dtype), target=np.array([3, 0]), upstream=np.ones((), dtype))
        found = ask(p, "a")
        a, limit = found["a"], found.bounds["a"]
        near = 1 - a[0, 3] <= 4 * np.exp(-c * 1.0) + limit[0, 3]
        tied = a[1, 0] == a[1, 1] and 0.5 - a[1, 0] <= 1.5 * np.exp(-c * 1.0) + limit[1, 0]
        if not (near and tied):
            return False
    return True


def t14_delta_is_a_minus_y(ask: Asker, dtype: str) -> bool:
    """T14, (84): dC/dz is a - y, negative at the label, positive elsewhere."""
    p = logits(dtype)
    found = ask(p, "a", "dC/dz")
    y = np.arange(CLASSES) == p.target[:, None]
    limit = found.bounds["a"] + found.bounds["dC/dz"] + HERE
    signs = np.sign(found["dC/dz"]) == np.where(y, -1, 1)
    return bool((np.abs(found["dC/dz"] - (found["a"] - y)) <= limit).all() and signs.all())


def t17_a_batch_is_the_mean_of_its_rows(ask: Asker, dtype: str) -> bool:
    """T17: the cost of a batch is the mean of its rows' losses; permuting the rows permutes the losses."""
    p = logits(dtype)
    rows, whole = ask(p, "loss"), ask(logits(dtype, "mean"), "cost")
    mean = np.abs(whole["cost"] - rows["loss"].mean()) <= whole.bounds["cost"] + rows.bounds["loss"].mean() + HERE
    turned = ask(replace(p, logits=np.asarray(p.logits)[::-1].copy(), target=p.target[::-1].copy()), "loss")
    back = replace(turned, raw={"loss": turned["loss"][::-1]}, bounds={"loss": turned.bounds["loss"][::-1]})
    found, limit = compare(rows, back, ("loss",))
    return bool(mean and (np.abs(found) <= limit).all())


def sigmoid_activations(p: Problem, values: Values) -> None:
    """A sigmoid of each logit, which is no distribution (T7)."""
    if "a" in values:
        values["a"] = (1 / (1 + np.exp(-np.asarray(p.logits).astype(np.float64)))).astype(p.dtype)


def softmax_over_rows(p: Problem, values: Values) -> None:
    """The other axis."""
    if "a" in values:
        e = np.exp(np.asarray(p.logits).astype(np.float64))
        values["a"] = (e / e.sum(0)).astype(p.dtype)


def half_as_sharp(p: Problem, values: Values) -> None:
    """c is 1/2 instead of 1."""
    for q in ("a", "log_a"):
        if q in values:
            e = np.exp(np.asarray(p.logits).astype(np.float64) / 2)
            a = e / e.sum(1, keepdims=True)
            values[q] = (np.log(a) if q == "log_a" else a).astype(p.dtype)


def negated(p: Problem, values: Values) -> None:
    """The sign of everything but a."""
    for q in set(values) - {"a"}:
        values[q] = -values[q]


def weights_decay(p: Problem, values: Values) -> None:
    """A term that does not come from the cost."""
    if "dC/dw" in values:
        values["dC/dw"] = values["dC/dw"] + np.asarray(p.w)


def sum_for_mean(p: Problem, values: Values) -> None:
    """The mean is the sum."""
    if "cost" in values:
        values["cost"] = values["cost"] * ROWS


EXERCISES: dict[Statement, outputs.Change] = {
    t03_the_cost_is_least_at_the_probabilities: negated,
    t06_an_input_of_0_gives_its_weights_no_gradient: weights_decay,
    t08_raising_a_logit_raises_its_activation_and_lowers_the_others: sigmoid_activations,
    t09_an_activation_depends_on_every_logit_of_its_row_and_on_no_other: softmax_over_rows,
    t10_log_a_is_inverted_by_a_constant: half_as_sharp,
    t11_activations_are_a_distribution: sigmoid_activations,
    t12_gradients_of_the_layer_are_those_of_its_logits_times_its_inputs: weights_decay,
    t13_large_constants_tend_to_the_maximum: half_as_sharp,
    t14_delta_is_a_minus_y: negated,
    t17_a_batch_is_the_mean_of_its_rows: sum_for_mean,
}
"""Each exercise, and the wrong answer that it rejects."""

exercises = pytest.mark.parametrize("exercise", EXERCISES, ids=lambda statement: statement.__name__)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", adapters.built_in())
@exercises
def test_exercise_holds(exercise: Statement, name: str, dtype: str) -> None:
    """On each framework."""
    adapter = adapters.get(name)
    if missing := adapter.unavailable():
        pytest.skip(missing)
    assert exercise(Asker(subjects_of(adapter, ["cpu"])[0]), dtype)


@exercises
def test_exercise_rejects_a_wrong_answer(exercise: Statement) -> None:
    """A statement that accepts everything would say nothing."""
    wrong = outputs.adapter("numpy", EXERCISES[exercise])
    assert not exercise(Asker(subjects_of(wrong, ["cpu"])[0]), "float64")

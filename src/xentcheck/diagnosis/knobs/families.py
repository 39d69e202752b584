"""Families of mistakes with one number in them: made(rows, t) is the loss and its gradient with that number."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from xentcheck.reference.formats import Array

from .rows import Made, Rows


@dataclass(frozen=True)
class Family:
    """One kind of mistake.

    sentence: with {} for its number. among: where the number is looked for, from value to value; empty where results
    are linear in it, and 0 is right. whole: whether a row's loss depends on other rows. start: what is told is more by
    it than the number. beside: what is said of the gradient alone, which values do not tell. round: of two digits at most. values: told of values only, as the gradient has a
    factor and no more.
    """

    code: str
    sentence: str
    made: Callable[[Rows, float], Made]
    among: tuple[float, ...] = ()
    whole: bool = False
    start: float = 0.0
    beside: str = ""
    round: bool = False
    values: bool = False


def _spread(low: float, high: float, count: int = 13) -> tuple[float, ...]:
    return tuple(float(x) for x in np.geomspace(low, high, count))


def families(r: Rows) -> Iterator[Family]:
    """Every family that could make a difference to these rows."""
    yield from _of_logits(r)
    yield from _of_probabilities(r)
    yield from _terms(r)
    yield from _labels(r)


def _of_logits(r: Rows) -> Iterator[Family]:
    bent: tuple[tuple[str, Callable[[Array, float], tuple[Array, Array | float]], tuple[float, ...]], ...] = (
        ("a temperature, z/T in the place of z, T = {}", _cooled, _spread(0.03, 40.0, 16)),
        ("a temperature, z/T in the place of z, and the factor T^2, T = {}", _cooled, _spread(0.03, 40.0, 16)),
        ("soft cap, c tanh(z/c) in the place of z, c = {}", _capped, _spread(0.5, 2000.0)),
    )
    for sentence, bend, among in bent:
        for told, slope in (("", True), ("without its derivative", False)):
            made = partial(_bent, bend, slope, 2.0 if "T^2" in sentence else 0.0)
            yield Family("A12", sentence, made, among, beside=told)
    if r.hot is not None:
        for told, sign in (("lowered", -1.0), ("raised", 1.0)):
            sentence = f"the label's logit is {told} by a margin m = {{}}"
            yield Family("A12", sentence, lambda r, t, sign=sign: r.of_logits(r.z + sign * t * r.hot), _spread(1e-3, 64))
    if r.weighted and (r.weight > 0).all():
        log_w = np.log(r.weight)
        for told, sign in (("added to", 1.0), ("subtracted from", -1.0)):
            sentence = f"the log of the class weights is {told} the logits, times f = {{}}"
            for q in (r.q, r.q / r.weight):
                yield Family(
                    "D42",
                    sentence,
                    lambda r, t, sign=sign, unweighted=q is not r.q: _adjusted(r, sign * t * log_w, unweighted),
                    _spread(0.01, 10.0),
                )


def _adjusted(r: Rows, shift: Array, unweighted: bool) -> Made:
    return (replace(r, q=r.q / r.weight) if unweighted else r).of_logits(r.z + shift)


def _cooled(z: Array, t: float) -> tuple[Array, float]:
    return z / t, 1.0 / t


def _capped(z: Array, t: float) -> tuple[Array, Array]:
    bent = np.tanh(z / t)
    return t * bent, 1.0 - bent * bent


def _bent(bend: Callable[[Array, float], tuple[Array, Array | float]], slope: bool, power: float, r: Rows, t: float) -> Made:
    """times t^power."""
    z, by = bend(r.z, t)
    losses, gradient = r.of_logits(z)
    return losses * t**power, (gradient * by if slope else gradient) * t**power


def _of_probabilities(r: Rows) -> Iterator[Family]:
    small = _spread(1e-13, 0.3, 15)
    yield Family("A04", "eps is added to probabilities before the logarithm, eps = {}", _added_to_a, small)
    for told, flows in (("", False), ("the maximum is no constant", True)):
        sentence = "eps is added to the sum of exponentials, eps = {}"
        yield Family("A04", sentence, partial(_added_to_sum, flows), small, beside=told)
    yield Family("A04", "probabilities are clipped from below at eps, eps = {}", _clipped, small)
    for told, high in (("1 - eps", True), ("1", False)):
        sentence = f"a is clipped to eps to {told}, eps = {{}}"
        yield Family("A04", sentence, partial(_a_clipped, high), small, beside="a is not that of the value")
    if r.hot is None or r.eps:
        return
    powers = _spread(0.05, 8.0)
    sentence = "a factor (1 - a_y)^g of a focal loss is left on, g = {}"
    yield Family("A12", sentence, partial(_focal, 1.0), powers)
    yield Family("A12", sentence, partial(_focal, 0.0), powers, beside="the factor is a constant")
    sentence = "each row's loss is multiplied by a power of the label's probability, a_y^p, p = {}"
    yield Family("B27", sentence, _by_a_power, _spread(0.1, 4.0), beside="the factor is a constant")
    yield Family("B27", sentence, _by_a_power, _spread(0.1, 4.0))
    yield Family("A12", "(1 - a_y^p)/p in the place of -log a_y, a generalised cross-entropy, p = {}", _power, powers)


def _added_to_a(r: Rows, t: float) -> Made:
    a = r.softmax[0]
    pulled = r.q * a / (a + t)
    return r.losses(np.log(a + t)), a * pulled.sum(1, keepdims=True) - pulled


def _added_to_sum(flows: bool, r: Rows, t: float) -> Made:
    top = r.z.max(1, keepdims=True)
    e = np.exp(r.z - top)
    total = e.sum(1, keepdims=True) + t
    mass = r.q.sum(1, keepdims=True)
    gradient = e / total * mass - r.q
    if flows:
        at = r.z == top
        gradient = gradient + at / at.sum(1, keepdims=True) * mass * t / total
    return r.losses(r.z - top - np.log(total)), gradient


def _clipped(r: Rows, t: float) -> Made:
    a = r.softmax[0]
    inside = np.where(a > t, r.q, 0.0)
    return r.losses(np.log(np.maximum(a, t))), a * inside.sum(1, keepdims=True) - inside


def _a_clipped(high: bool, r: Rows, t: float) -> Made:
    a = np.clip(r.softmax[0], t, 1.0 - t if high else np.inf)
    return r.right[0], a * r.q.sum(1, keepdims=True) - r.q


def _focal(whole: float, r: Rows, t: float) -> Made:
    a, log_a, _ = r.softmax
    p, log_p = ((x * (r.hot != 0)).sum(1) for x in (a, np.where(r.hot != 0, log_a, 0.0)))
    miss = np.maximum(1.0 - p, 1e-300)
    factor = miss**t
    slope = factor - whole * t * miss ** (t - 1.0) * np.where(p > 0, p * log_p, 0.0)
    losses, gradient = r.right
    return losses * factor, gradient * slope[:, None]


def _by_a_power(r: Rows, t: float) -> Made:
    factor = (r.softmax[0] * (r.hot != 0)).sum(1) ** t
    return r.right[0] * factor, r.right[1] * factor[:, None]


def _power(r: Rows, t: float) -> Made:
    p = (r.softmax[0] * (r.hot != 0)).sum(1) ** t
    return r.own * (1.0 - p) / t, r.right[1] * p[:, None]


def _terms(r: Rows) -> Iterator[Family]:
    of_z: dict[str, Callable[[Rows], Made]] = {"log(sum(exp(z)))^2": _square_of_lse, "the entropy of the softmax": _entropy}
    of_z |= {"the mean of the squared logits": _mean_square, "the sum of the squared logits": _sum_square}
    of_z |= {"log(sum(exp(z)))": lambda r: (r.softmax[2][:, 0], r.softmax[0])}
    if r.hot is not None:
        of_z["1 - a_y"] = _miss
        of_z["the label's logit"] = lambda r: ((r.z * r.hot).sum(1), r.hot)
    scales = (("kept", ""), ("own", ", and the label's weight,")) if r.weighted else (("kept", ""),)
    for name, term in of_z.items():
        code = "D45" if name == "log(sum(exp(z)))^2" else "D47"
        for scale, weighted in scales:
            sentence = f"{name} times a factor c{weighted} is added to each row's loss, c = {{}}"
            yield Family(code, sentence, partial(_with_term, term, scale))
    yield Family("D47", "a constant c is added to each row's loss, c = {}", _constant)
    if r.mean:
        for told, sign in (("added to", 1.0), ("subtracted from", -1.0)):
            sentence = f"a constant c is {told} the denominator, c = {{}}"
            yield Family("B20", sentence, partial(_divided, sign), _spread(1e-9, 100.0, 10), round=True)


def _with_term(term: Callable[[Rows], Made], scale: str, r: Rows, t: float) -> Made:
    (losses, gradient), (value, slope) = r.right, term(r)
    factor = t * getattr(r, scale)
    return losses + np.where(factor != 0, factor * value, 0.0), gradient + factor[:, None] * slope


def _constant(r: Rows, t: float) -> Made:
    return r.right[0] + t * r.kept, r.right[1]


def _divided(sign: float, r: Rows, t: float) -> Made:
    factor = r.d / (r.d + sign * t)
    return r.right[0] * factor, r.right[1] * factor[:, None]


def _square_of_lse(r: Rows) -> Made:
    lse = r.softmax[2]
    return lse[:, 0] ** 2, 2.0 * lse * r.softmax[0]


def _entropy(r: Rows) -> Made:
    a, log_a, _ = r.softmax
    each = np.where(a > 0, -a * log_a, 0.0)
    value = each.sum(1)
    return value, each - a * value[:, None]


def _mean_square(r: Rows) -> Made:
    return (r.z * r.z).mean(1), 2.0 * r.z / r.z.shape[1]


def _sum_square(r: Rows) -> Made:
    return (r.z * r.z).sum(1), 2.0 * r.z


def _miss(r: Rows) -> Made:
    a = r.softmax[0]
    p = (a * r.hot).sum(1)
    return 1.0 - p, p[:, None] * (a - r.hot)


def _labels(r: Rows) -> Iterator[Family]:
    if r.hot is not None and not r.eps:
        sentence = "the labels are smoothed although no smoothing is asked for, eps = {}"
        yield Family("D40", sentence, partial(_smoothed, False))
        if r.z.shape[1] > 2:
            yield Family("D40", f"eps/(C - 1) for each class but the label, {sentence}", partial(_smoothed, True))
    elif r.hot is not None:
        sentence = f"smoothed by another eps than {r.eps:g}, which is given, eps = {{}}"
        yield Family("D40", sentence, partial(_smoothed, False), start=r.eps)
    for told, order in (("in reverse order", None), ("of the next row", 1), ("of the row before", -1)):
        sentence = f"the labels are (1 - l) y + l y', as in mixup, with y' {told}, l = {{}}"
        yield Family("F76", sentence, partial(_mixed, order), whole=True)
    sentence = "the labels are (1 - b) y + b a, as in bootstrapping, b = {}"
    yield Family("A12", sentence, _boot, beside="a has a derivative, too")
    yield Family("A12", sentence, _boot, values=True)
    if r.weighted and (r.weight > 0).all():
        yield Family("D42", "class weights have a power p, p = {}", _powered, _spread(0.1, 4.0, 10))
        limits = _spread(float(r.weight.min()) * 1.001, float(r.weight.max()), 10)
        yield Family("D42", "class weights are limited to at most u, u = {}", _limited, limits, whole=True)


def _limited(r: Rows, t: float) -> Made:
    """In the denominator of index labels, too."""
    limited = np.minimum(r.weight, t)
    losses, gradient = _with_q(r, r.q * limited / r.weight)
    if not (r.mean and r.hot is not None):
        return losses, gradient
    factor = r.d / float((r.hot * r.kept[:, None] * limited).sum())
    return losses * factor, gradient * factor[:, None]


def _powered(r: Rows, t: float) -> Made:
    return _with_q(r, r.q * r.weight ** (t - 1.0))


def _with_q(r: Rows, q: Array) -> Made:
    return replace(r, q=q).of_logits(r.z)


def _smoothed(others: bool, r: Rows, t: float) -> Made:
    """By t more than is asked for."""
    assert r.hot is not None
    share = (1.0 - r.hot) / (r.z.shape[1] - 1.0) if others else 1.0 / r.z.shape[1]
    return _with_q(r, r.q + t * (r.kept[:, None] * r.weight * share - r.hot * r.own[:, None]))


def _mixed(step: int | None, r: Rows, t: float) -> Made:
    other = r.q[::-1] if step is None else np.roll(r.q, -step, 0)
    return _with_q(r, (1.0 - t) * r.q + t * other)


def _boot(r: Rows, t: float) -> Made:
    (losses, gradient), (value, slope) = r.right, _entropy(r)
    scale = t * r.kept
    return (1.0 - t) * losses + scale * value, (1.0 - t) * gradient + scale[:, None] * slope

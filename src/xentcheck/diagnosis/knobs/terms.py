"""Terms with one factor that are added to each row's loss, or to the denominator."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from .rows import Family, Made, Rows, entropy, spread


def terms(r: Rows) -> Iterator[Family]:
    """Every family that adds something."""
    of_z: dict[str, Callable[[Rows], Made]] = {
        "log(sum(exp(z)))^2": _square_of_lse,
        "the entropy of the softmax": entropy,
    }
    of_z |= {"the mean of the squared logits": _mean_square, "the sum of the squared logits": _sum_square}
    of_z |= {"log(sum(exp(z)))": lambda r: (r.softmax[2][:, 0], r.softmax[0])}
    if r.hot is not None:
        of_z["1 - a_y"] = _miss
        of_z["the label's logit"] = _label_logit
    scales = [("kept", "")]
    if r.weighted:
        scales.append(("own", ", and the label's weight,"))
    if not r.kept.all():
        scales.append(("every", ", in ignored rows, too,"))
    for name, term in of_z.items():
        code = "D45" if name == "log(sum(exp(z)))^2" else "D47"
        for scale, weighted in scales:
            sentence = f"{name} times a factor c{weighted} is added to each row's loss, c = {{}}"
            of_values = name == "the label's logit"  # in the gradient it is a factor of y
            yield Family(code, sentence, partial(_with_term, term, scale), values=of_values)
    yield Family("D47", "a constant c is added to each row's loss, c = {}", _constant)
    for told, high in (("above u are set to u", True), ("below u are set to u", False)):
        yield Family("D47", f"losses {told}, u = {{}}", partial(_between, high), spread(1e-9, 1000.0, 20), values=True)
    if r.mean:
        for told, sign in (("added to", 1.0), ("subtracted from", -1.0)):
            sentence = f"a constant c is {told} the denominator, c = {{}}"
            yield Family("B20", sentence, partial(_divided, sign), spread(1e-9, 100.0, 10), round=True)


def _label_logit(r: Rows) -> Made:
    assert r.hot is not None
    return (r.z * r.hot).sum(1), r.hot


def _with_term(term: Callable[[Rows], Made], scale: str, r: Rows, t: float) -> Made:
    (losses, gradient), (value, slope) = r.right, term(r)
    factor = t * getattr(r, scale)
    return losses + np.where(factor != 0, factor * value, 0.0), gradient + factor[:, None] * slope


def _between(high: bool, r: Rows, t: float) -> Made:
    losses, gradient = r.right
    beyond = (losses > t if high else losses < t) & (r.kept != 0)
    return np.where(beyond, t, losses), gradient * ~beyond[:, None]


def _constant(r: Rows, t: float) -> Made:
    return r.right[0] + t * r.kept, r.right[1]


def _divided(sign: float, r: Rows, t: float) -> Made:
    factor = r.d / (r.d + sign * t)
    return r.right[0] * factor, r.right[1] * factor[:, None]


def _square_of_lse(r: Rows) -> Made:
    lse = r.softmax[2]
    return lse[:, 0] ** 2, 2.0 * lse * r.softmax[0]


def _mean_square(r: Rows) -> Made:
    return (r.z * r.z).mean(1), 2.0 * r.z / r.z.shape[1]


def _sum_square(r: Rows) -> Made:
    return (r.z * r.z).sum(1), 2.0 * r.z


def _miss(r: Rows) -> Made:
    assert r.hot is not None
    a = r.softmax[0]
    p = (a * r.hot).sum(1)
    return 1.0 - p, p[:, None] * (a - r.hot)

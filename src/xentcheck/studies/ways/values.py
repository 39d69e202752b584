"""The law of a value without a gradient: it is that which comes with one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

from xentcheck.reference.problem import Problem
from xentcheck.studies.asker import Asker, Failed, Residual, Unanswered, compare
from xentcheck.studies.related import LONG, MANY_OF_LAYER, SHAPE, WIDE, moved, resized, value_of

from .calls import TALL, THOROUGH, chosen, joined
from .options import a_row, few, images, with_a_class_ignored, with_options

VALUE_WAYS = ("", "inference", "detached", "kept-parameters")
"""Ways to ask for a value without a gradient."""


def value_alone(ask: Asker, p: Problem) -> Residual:
    """The loss that is asked for alone is that which comes with a gradient: with each option, per row and in a sum with
    all that go together, with a class that is ignored, of images and of a row alone, of logits far below 0, and in
    larger batches, also without an option.
    """
    value = value_of(p)
    found = [compare(ask(p, value), ask(p, value, "dC/dz"), (value,))]
    dear = ask.compiles and p.dtype != THOROUGH[0]
    small = (few if dear else chosen(p, with_options, few))(resized(p, SHAPE), labels=ask.labels)
    beside = [] if dear else few(p, labels=ask.labels)
    others = [replace(q, reduction="sum") for q in beside]
    others += [replace(q, reduction="none", upstream=p.upstream) for q in beside if p.reduction == "none"]
    if ask.labels and beside:
        others.append(with_a_class_ignored(beside[-1], p))
    if not dear:
        others.append(moved(p, -1))
    if p.dtype == THOROUGH[0] and (ask.logits or not ask.compiles):
        others.append(resized(p, LONG if ask.logits else MANY_OF_LAYER))
    if ask.logits and not ask.compiles and p.dtype == THOROUGH[0]:
        others += [*images(p, labels=ask.labels), resized(p, TALL), a_row(p)]
    for q in (*small, *others, *few(resized(p, WIDE), labels=ask.labels)):
        for way in VALUE_WAYS if q.logits_shape == SHAPE else VALUE_WAYS[:1]:
            with suppress(Unanswered):
                found += _value_alone(ask, q, way)
    return joined(found)


def _value_alone(ask: Asker, q: Problem, way: str) -> Iterator[Residual]:
    """The value alone, and with a gradient. Yields nothing if the call with a gradient fails, as the cases report that;
    raises Failed if the value alone fails.
    """
    value, failed = value_of(q), None
    try:
        alone = ask(q, value, way=way)
    except Failed as error:
        failed = error
    try:
        whole = ask(q, value, "dC/dz")
    except Failed:
        return
    if failed:
        raise failed
    yield compare(alone, whole, (value,))

"""The laws: each compares a call with the same call made in another way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TypeVar

import numpy as np

from xentcheck.reference.formats import Array
from xentcheck.reference.labels import one_hot
from xentcheck.reference.problem import Problem
from xentcheck.studies.asker import Asker, Failed, Residual, Unanswered, compare
from xentcheck.studies.related import LONG, MANY, MANY_OF_LAYER, moved, resized, value_of

from .options import (
    PIXELS,
    VOLUME,
    apart,
    backwards,
    classes_last,
    few,
    in_longer_rows,
    soft_rows,
    turned,
    with_a_class_ignored,
    with_options,
    with_other_numbers,
    with_pixels,
)

LABELS = ("int32", "int16", "int8", "uint8")
"""Other dtypes of labels."""

TALL = (130, 5)
"""More rows than a block."""

BEYOND = {"int16": (130, 300), "int8": (33, 100), "uint8": (33, 100)}
"""Batches of more elements than such labels number."""

THOROUGH = ("float32", "bfloat16")
"""A wide dtype and a narrow one."""

ORDERS = (("strides", apart), ("strides", turned), ("strides", in_longer_rows), ("backwards", backwards))
"""Where else the elements of an array may lie, and the way that a call with it is."""

ROWS_OF_LAYER, CLASSES_OF_LAYER = (130, 20), (3, 580)
"""More rows, and more classes, than a block."""

T = TypeVar("T")


def joined(found: Iterable[Residual]) -> Residual:
    """All of them as one. Raises Unanswered if there is none."""
    listed = list(found)
    if not listed:
        raise Unanswered("nobody can call it so")
    differences, limits = zip(*listed, strict=True)
    return np.concatenate(differences), np.concatenate(limits)


def answered(ask: Callable[[], Residual]) -> Iterator[Residual]:
    """What is asked, unless it is not supported, or refused with an exception."""
    with suppress(Unanswered, Failed):
        yield ask()


def asked_of(ask: Asker, p: Problem) -> tuple[str, ...]:
    """The value and the gradients: of a fused linear loss, those of the weight and the bias, too."""
    return value_of(p), "dC/dz", *(() if ask.logits else ("dC/dw", "dC/db"))


def in_way(
    way: str, *, every: bool = True, long: bool = False, of_copies: str = "", refilled: bool = False
) -> Callable[[Asker, Problem], Residual]:
    """The law that a way changes neither costs nor gradients; a refusal is no result.

    every: with each option alone, and with pixels, in all dtypes; else in float32 only, and of a JIT, which compiles
    for each, with weights and smoothing alone there. long: in float32, without a JIT, also in a batch larger than a
    block. of_copies: the way for whoever overwrites its logits. refilled: also of the numbers that
    the arrays held before: whoever keeps what came first has one of the two problems wrong.
    """

    def law(ask: Asker, p: Problem) -> Residual:
        def differ(q: Problem) -> Residual:
            asked = asked_of(ask, q)
            found, usual = ask(q, *asked, way=way), ask(q, *asked)
            if of_copies and usual.overwritten:
                found = ask(q, *asked, way=of_copies)
            return compare(found, usual, asked)

        first = p.dtype == THOROUGH[0]
        whole = every or (first and not ask.compiles)
        problems = [p, *(with_options if whole else few)(p, labels=ask.labels)]
        problems += with_options(p, labels=ask.labels)[1:3] if first and not whole else []
        problems += [with_pixels(p, shape) for shape in PIXELS] if whole and ask.logits else []
        problems += [resized(p, LONG if ask.logits else MANY_OF_LAYER)] if long and first and not ask.compiles else []
        problems += [with_other_numbers(q) for q in problems] if refilled else []
        return joined(found for q in problems for found in answered(partial(differ, q)))

    return law


def chosen(p: Problem, thorough: T, quick: T) -> T:
    """What is asked in one wide and one narrow dtype, and what in the others: a JIT compiles for each."""
    return thorough if p.dtype in THOROUGH else quick


def learned_weight(ask: Asker, p: Problem) -> Residual:
    """A weight that requires a gradient gives the same cost and gradient of the logits; a refusal is no result."""
    weighted = [q for q in with_options(p, labels=False) if q.weight is not None]

    def differ(q: Problem) -> Residual:
        learned = ask(q, "cost", "dC/dz", way="learned-weight")
        return compare(learned, ask(q, "cost", "dC/dz"), ("cost", "dC/dz"))

    problems = (*weighted, *map(one_hot, weighted))  # PyTorch refuses it for labels, and not for rows
    return joined(found for q in problems for found in answered(partial(differ, q)))


def threads(ask: Asker, p: Problem) -> Residual:
    """Two threads round as one does, or otherwise, within the same bounds."""
    many, asked = resized(p, MANY if ask.logits else MANY_OF_LAYER), asked_of(ask, p)
    return compare(ask(many, *asked, way="threads"), ask(many, *asked), asked)


def strides(ask: Asker, p: Problem) -> Residual:
    """Each array alone with its elements apart, turned, in longer rows or backwards, with weights, and with rows of
    probabilities; and images with the classes last, and their labels turned.
    """
    beside = with_options(p, labels=ask.labels)
    weighted = [p, *(q for q in beside if q.weight is not None or q.probabilities)]

    def differ(q: Problem, laid: Callable[[str, Array], Array], way: str = "strides") -> Residual:
        asked = asked_of(ask, q)
        return compare(ask(q, *asked, way=way, laid=laid), ask(q, *asked), asked)

    def only(chosen: str, order: Callable[[Array], Array]) -> Callable[[str, Array], Array]:
        return lambda name, x: order(x) if name == chosen and x.ndim else x

    names = ("logits", "a_prev", "w", "b", "target", "weight", "upstream")
    found = [
        result
        for q in weighted
        for name in names
        for way, order in ORDERS
        for result in answered(partial(differ, q, only(name, order), way))
    ]
    for shape in (*PIXELS, VOLUME):
        image = with_pixels(p, shape)
        soft = replace(image, target=soft_rows(image))
        each = replace(image, reduction="none", upstream=np.resize(p.upstream, image.target.shape))
        laid = (image, "logits", classes_last), (image, "target", turned), (soft, "target", classes_last)
        for q, name, order in (*laid, (each, "upstream", turned)):
            found += answered(partial(differ, q, only(name, order)))
    return joined(found)


def label_dtypes(ask: Asker, p: Problem) -> Residual:
    """Labels of another integer dtype are the same labels, or refused: alone, in batches whose elements the dtype does
    not number, and, the widest of them, with each option and with pixels.
    """
    if not ask.labels:
        raise Unanswered("it takes no class indices")

    def differ(q: Problem, dtype: str) -> Residual:
        other, asked = replace(q, target=q.target.astype(dtype)), (value_of(q), "dC/dz")
        return compare(ask(other, *asked, way="label-dtypes", also=("uint8_targets",)), ask(q, *asked), asked)

    problems = [(p, dtype) for dtype in chosen(p, LABELS, LABELS[-1:])]
    if p.dtype == THOROUGH[0]:
        beside = [q for q in with_options(p, labels=True) if not q.probabilities]
        beside = beside[-2:-1] if ask.compiles else beside
        beside.append(with_a_class_ignored(beside[-1 if ask.compiles else -2], p))
        pixels = [with_pixels(p, shape) for shape in PIXELS[ask.compiles :]]
        problems += [(q, LABELS[0]) for q in (*beside, *pixels)]
        problems += [(resized(p, shape), dtype) for dtype, shape in BEYOND.items()] if ask.logits else []
    return joined(found for q, dtype in problems for found in answered(partial(differ, q, dtype)))


def no_bias(ask: Asker, p: Problem) -> Residual:
    """A fused linear loss without a bias is that with a bias of 0, with each option, on large logits, and in more rows
    and classes than a block; a refusal is no result.
    """
    larger = (resized(p, shape) for shape in (ROWS_OF_LAYER, CLASSES_OF_LAYER))
    problems = (p, *with_options(p, labels=ask.labels), moved(p, 1), *larger)
    return _of_layer(ask, problems, "no-bias", ("dC/dz", "dC/dw"))


def leading_axes(ask: Asker, p: Problem) -> Residual:
    """A sum over x with two axes of rows, and labels, is that over its rows; a refusal is no result.

    Of sums alone: whoever takes x with one axis divides a mean by its length, and promises nothing for two.
    """
    *means, _ = with_options(p, labels=ask.labels)
    summed = [replace(q, reduction="sum") for q in means if not q.probabilities]
    return _of_layer(ask, summed, "leading-axes", ("dC/dz", "dC/dw", "dC/db"))


def _of_layer(ask: Asker, problems: Iterable[Problem], way: str, gradients: tuple[str, ...]) -> Residual:
    if ask.logits:
        raise Unanswered("it is no fused linear loss")

    def differ(q: Problem) -> Residual:
        asked = value_of(q), *gradients
        return compare(ask(q, *asked, way=way), ask(q, *asked), asked)

    return joined(found for q in problems for found in answered(partial(differ, q)))

"""What a function does not take, and its signature does not tell: tried once, on a small problem, in place of a guess.

What it refuses with an exception is `unsupported`, with that as the reason. A wrong answer, a crash or a hang is no
refusal: there the cases will tell. Three wrong answers are: a JAX function's losses of another shape for images, those
of images with the classes on their last axis, and what a function of any keywords answers where it overlooks one.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from xentcheck.adapters.base import ALL_SMOOTHED, CLASS_IGNORED, LABELS, SHORT
from xentcheck.adapters.needs import needed_options
from xentcheck.errors import ProcessEnded, foreign, told
from xentcheck.reference.labels import one_hot
from xentcheck.reference.problem import NO_IGNORE, Problem
from xentcheck.vocabulary import REFUSALS

from .answers import ROWS, SHARES, classes_last, distances, overlooks, overlooks_reductions, plain, reduced, uncompiled

if TYPE_CHECKING:
    from xentcheck.adapters.base import Adapter

TRIED: dict[str, Callable[[str], Problem]] = {
    "probabilities": lambda dtype: plain(dtype, target=np.array(SHARES, dtype)),
    "smoothed_probabilities": lambda dtype: plain(dtype, target=np.array(SHARES, dtype), label_smoothing=0.5),
    "signed_targets": lambda dtype: plain(dtype, target=np.array(((-0.5, 1.5, 0.0), (0.0, 0.5, 0.25)), dtype)),
    "k_dims": lambda dtype: plain(dtype, logits=np.ones((2, 3, 4), dtype), target=np.array([[0, 2, 1, 1]] * 2)),
    "unbatched": lambda dtype: plain(dtype, logits=np.array(ROWS[0], dtype), target=np.array(2)),
    "empty_batch": lambda dtype: plain(dtype, logits=np.zeros((0, 3), dtype), target=np.zeros(0, np.int64)),
    "strided": lambda dtype: plain(dtype, logits=np.array(ROWS, dtype, order="F")),
    "second_order": lambda dtype: plain(dtype, v=np.ones((2, 3), dtype)),
}
"""Options that no parameter stands for, and a problem that needs each, beside those that come before it.

No two axes are of one size, so that rows of labels do not pass for something else by broadcasting.
"""

EACH_REDUCTION = ("unbatched",)
"""Those that a function may take in one reduction by accident, and refuse in another."""

NAMED: dict[str, Callable[[str], Problem]] = {
    "weight": lambda dtype: plain(dtype, weight=np.array((0.5, 2.0, 1.0), dtype)),
    "ignore_index": lambda dtype: plain(dtype, target=np.array([0, NO_IGNORE])),
    "label_smoothing": lambda dtype: plain(dtype, label_smoothing=0.5),
}
"""Options that a parameter stands for, which a function may have for others' sake: a NotImplementedError says so, and
any other exception is an error of their cases. A function of any keywords may refuse them by a TypeError, too.
"""

CLASSES_LAST = "its answer is right for classes on the last axis"
"""Why it is not asked about pixels."""

KEYWORDS = "keywords"
"""What is guessed of a function of any keywords: which of `NAMED` it takes."""

OVERLOOKED = "it answers the same with this keyword as without"
"""Why it is not asked for that."""

UNTOLD = "untold-reduction"
"""What is guessed of a function without a parameter for it: which reduction it does."""

VALUES: dict[str, tuple[str, Callable[[str], Problem]]] = {
    SHORT: ("probabilities", lambda dtype: plain(dtype, target=np.full((2, 3), 0.25, dtype))),
    ALL_SMOOTHED: ("label_smoothing", lambda dtype: plain(dtype, label_smoothing=1.0)),
    CLASS_IGNORED: ("ignore_index", lambda dtype: plain(dtype, ignore_index=1)),
}
"""What a function may refuse of an option that it takes otherwise: the option, and a problem that has it."""

SHAPED = "AdapterError"
"""What a result of another shape ends in."""

MISTAKES = ("NameError", "UnboundLocalError", "AttributeError", "ImportError", "ModuleNotFoundError", "MemoryError")
"""Exceptions that no argument is refused with: labels that end in one are no refusal, but an error of their cases."""


def tried(adapter: Adapter) -> Adapter:
    """The adapter, without those of its guessed reductions, options and dtypes that it refuses.

    Each call is one of the adapter's own, with its limit of time: making an adapter calls nothing.
    """
    if not adapter.guessed or adapter.unavailable() or not adapter.devices():
        return adapter
    c = adapter.capabilities
    first = next((d for d in ("float32", *c.dtypes) if d in c.dtypes), "")
    if not first:
        return adapter
    if UNTOLD in adapter.guessed or overlooks_reductions(adapter, first):
        _find_reduction(adapter, plain(first))
    _without_refused_reductions(adapter, plain(first))
    if (reason := _refusal(adapter, plain(first))) != "" and not (reason and _takes_rows_only(adapter, first, reason)):
        return adapter
    c = adapter.capabilities
    refused = dict(adapter.refused)
    refusing = ("NotImplementedError", "TypeError") if KEYWORDS in adapter.guessed else ("NotImplementedError",)
    for option in NAMED if c.labels else ():
        if option in adapter.guessed & c.options:
            reason = _refusal(adapter, NAMED[option](first)) or ""
            refused |= {option: reason} if reason.partition(":")[0] in refusing else {}
            refused |= {option: OVERLOOKED} if option not in refused and overlooks(adapter, option, first) else {}
    asked = {option: problem(first) for option, problem in TRIED.items() if option in adapter.guessed & c.options}
    asked |= {dtype: plain(dtype) for dtype in c.dtypes if dtype in adapter.guessed}
    if not c.labels:
        asked = {name: one_hot(p) for name, p in asked.items()}
    for name, p in asked.items():
        reductions = c.reductions if name in EACH_REDUCTION else c.reductions[:1]
        known = needed_options(p) & set(refused)
        if reason := next((why for r in reductions if not known and (why := _refusal(adapter, p, r))), ""):
            refused[name] = reason
        elif name == "k_dims" and not known:
            reason = _of_another_shape(adapter, p) if adapter.package == "jax" and "none" in c.reductions else ""
            reason = reason or (CLASSES_LAST if not c.labels and classes_last(adapter, first) else "")
            refused |= {name: reason} if reason else {}
    for name, (option, value) in VALUES.items():
        if option in c.options - set(refused) and (c.labels or option != "ignore_index"):
            reason = _refusal(adapter, value(first) if c.labels else one_hot(value(first))) or ""
            refused |= {name: reason} if reason.partition(":")[0] in REFUSALS else {}
    adapter.refused = refused
    adapter.capabilities = replace(
        c, options=c.options - set(adapter.refused), dtypes=tuple(d for d in c.dtypes if d not in adapter.refused)
    )
    return adapter


def _takes_rows_only(adapter: Adapter, dtype: str, reason: str) -> bool:
    """Leave out labels, which it raises an exception for, if it answers to rows of probabilities in their place."""
    c = adapter.capabilities
    if LABELS not in adapter.guessed or "probabilities" not in c.options or reason.partition(":")[0] in MISTAKES:
        return False
    rows = one_hot(plain(dtype))
    _without_refused_reductions(adapter, rows)
    if _refusal(adapter, rows) != "":
        return False
    adapter.refused = {**adapter.refused, LABELS: reason}
    adapter.capabilities = replace(adapter.capabilities, labels=False)
    return True


def _without_refused_reductions(adapter: Adapter, problem: Problem) -> None:
    """Leave out the reductions of a function that it refuses as an argument, unless it refuses all of them."""
    c = adapter.capabilities
    found = {r: _refusal(adapter, problem, r) or "" for r in c.reductions if r in adapter.guessed}
    refused = {r: reason for r, reason in found.items() if reason.partition(":")[0] in REFUSALS}
    if kept := tuple(r for r in c.reductions if r not in refused):
        adapter.refused = {**adapter.refused, **refused}
        adapter.capabilities = replace(c, reductions=kept)


def _find_reduction(adapter: Adapter, problem: Problem) -> None:
    """What a function without `reduction` does: by the shape of what it returns, then by which number is nearer.

    All of them if it returns nothing usable: the cases then say why.
    """
    adapter.guessed -= {UNTOLD}
    for p in (problem, one_hot(problem)):
        if found := distances(adapter, p):
            nearest = min(found, key=lambda reduction: found[reduction])
            adapter.capabilities = replace(adapter.capabilities, reductions=(nearest,))
            return


def _of_another_shape(adapter: Adapter, problem: Problem) -> str:
    """What is said of losses of another shape, or an empty string: in JAX classes usually are the last axis."""
    p = reduced(adapter, problem, "none")
    found = "" if p is None else _raised(adapter, p, adapter.devices()[0], shapes=True)
    return found if found and found.startswith(SHAPED) else ""


def _refusal(adapter: Adapter, problem: Problem, reduction: str = "") -> str | None:
    """The exception that a problem ends in on every device, or an empty string; None if the process ends with it."""
    reduction = reduction or adapter.capabilities.reductions[0]
    p = reduced(adapter, problem, reduction)
    if p is None:
        return ""
    found = [_raised(adapter, p, device) for device in adapter.devices()]
    return found[-1] if all(found) or None in found else ""


def _raised(adapter: Adapter, p: Problem, device: str, *, shapes: bool = False) -> str | None:
    with warnings.catch_warnings(action="ignore"):
        try:
            with foreign():
                adapter.compute(p, p.quantities, device=device, variant=uncompiled(adapter))
        except ProcessEnded:
            return None
        except Exception as error:
            return "" if (reason := told(error)).startswith(SHAPED) and not shapes else reason
    return ""

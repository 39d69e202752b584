"""The middle of a failure's script, per framework: the problem's arrays as text, and the lines that make `result`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from xentcheck.reference.formats import Array
from xentcheck.reference.problem import Problem

from .needs import keywords

LEAF_NAMES = {"logits": "z", "a_prev": "x", "hidden_w": "hw", "hidden_b": "hb", "w": "w", "b": "b"}
"""Arrays that are differentiated, as the script calls them."""

INPUT_NAMES = {**LEAF_NAMES, "target": "y", "weight": "c", "upstream": "u", "v": "v"}
"""All arrays; class weights and the upstream gradient are variables only where the fault is in what becomes of them."""


@dataclass(frozen=True)
class Failure:
    """A problem that fails: how, the exact value and its bound (inf where the format overflows).

    raised: the type of the exception. changed: the input that was written into. form: whether shape or dtype are what
    is wrong.
    """

    problem: Problem
    quantity: str
    outcome: str
    raised: str = ""
    changed: str = ""
    form: bool = False
    exact: Array | None = None
    bound: Array | None = None


@dataclass(frozen=True)
class Call:
    """The expression that calls `loss`, by the way in which it takes its options (`Adapter.calling`)."""

    words: frozenset[str]
    names: Mapping[str, str]

    @classmethod
    def of(cls, calling: str) -> Call:
        """Of an adapter's `calling`: words, and pairs of our names and the function's."""
        words = calling.split()
        return cls(frozenset(w for w in words if "=" not in w), dict(w.split("=") for w in words if "=" in w))

    def __call__(self, p: Problem, arrays: Sequence[str], options: list[str]) -> str:
        """Arrays and options as text."""
        always = [name for name in self.names.get("always", "").split("+") if name]
        usual = {"reduction": repr(p.reduction), "ignore_index": p.ignore_index, "label_smoothing": p.label_smoothing}
        usual |= {"weight": None, "upstream": 1.0}
        options += [f"{name}={usual[name]}" for name in always if not any(o.startswith(f"{name}=") for o in options)]
        own = dict(text.split(":") for text in self.names.get("renamed", "").split("+") if text)
        options = ["=".join((own.get(name, name), value)) for name, _, value in (o.partition("=") for o in options)]
        if self.words & {"fixed", "axis"}:
            options = [o for o in options if not o.startswith("reduction=")]
            options += [f"axis={axis_of(p)}"] if "axis" in self.words else []
        if "module" in self.words:
            return f"loss({', '.join(arrays)})"
        if "linear" in self.words and self.names:
            first, *others = arrays
            first = f"{self.names['x']}={first}" if "x" in self.names else first
            arrays = [first, *(f"{self.names[name]}={name}" for name in others if name in self.names)]
            split = (o.partition("=") for o in options)
            options = [f"{self.names.get(name, name)}={value}" for name, _, value in split]
        if "class" in self.words:
            later = [o for o in options if o.partition("=")[0] in self.names.get("later", "").split("+")]
            return f"loss({', '.join(o for o in options if o not in later)})({', '.join([*arrays, *later])})"
        return f"loss({', '.join([*arrays, *self._in_places(options, usual)])})"

    def _in_places(self, options: list[str], usual: Mapping[str, Any]) -> list[str]:
        """Options of a function that takes some by position only, up to the last that is given."""
        given = dict(o.split("=", 1) for o in options)
        places = [text.split(":", 1) for text in self.names.get("places", "").split("+") if text]
        last = max((i for i, (name, _) in enumerate(places) if name in given), default=-1)
        by_place = [given.pop(name, default or str(usual.get(name))) for name, default in places[: last + 1]]
        return [*by_place, *(f"{name}={value}" for name, value in given.items())]


@dataclass(frozen=True)
class Writer:
    """How one framework is written. wide: the expression that makes an array of it one of float64 in NumPy.

    own: the lines that make `loss` the framework's own.
    """

    imports: Callable[[Problem], list[str]]
    body: Callable[[Failure, str, str, Call], list[str]]
    wide: str
    own: Callable[[Problem], list[str]]


def text_of(x: Any) -> str:
    """An array as nested lists, exactly."""
    array = np.asarray(x)
    numbers = array.tolist() if array.dtype.kind in "iu" else array.astype(np.float64).tolist()
    return repr(numbers).replace("nan", "np.nan").replace("inf", "np.inf")


def axis_of(p: Problem) -> int:
    """The class axis."""
    return 0 if len(p.logits_shape) == 1 else 1


def leaves_of(p: Problem, quantity: str) -> list[str]:
    """The names of the arrays that a quantity is the gradient of."""
    kinds = {"dC/dz": ("logits",), "dC/da_prev": ("a_prev",), "dC/dw": ("hidden_w", "w"), "dC/db": ("hidden_b", "b")}
    return [LEAF_NAMES[name] for name in kinds.get(quantity, ()) if getattr(p, name) is not None]


def inputs_of(failure: Failure, make: Callable[[Any], str], leaf: Callable[[Any], str]) -> tuple[list[str], list[str]]:
    """The lines that make the arrays, a layer's two in one, and the options of the call."""
    p = failure.problem
    given = {name: leaf(x) for key, name in LEAF_NAMES.items() if (x := getattr(p, key)) is not None}
    groups = [[name for name in names if name in given] for names in (("z",), ("x",), ("hw", "hb"), ("w", "b"))]
    lines = [f"{', '.join(names)} = {', '.join(given[name] for name in names)}" for names in groups if names]
    lines.append(f"y = {make(p.target)}")
    lines += [f"c = {make(p.weight)}"] if failure.changed == "weight" else []
    lines += [f"u = {make(np.asarray(p.upstream, p.dtype))}"] if failure.changed == "upstream" else []
    options = {name: make(x) if isinstance(x, np.ndarray) else repr(x) for name, x in keywords(p).items()}
    options |= {"weight": "c"} if failure.changed == "weight" else {}
    return lines, [f"{name}={text}" for name, text in options.items()]


def upstream_of(failure: Failure, make: Callable[[Any], str]) -> str:
    p = failure.problem
    return "u" if failure.changed == "upstream" else make(np.asarray(p.upstream, p.dtype))


def arguments_of(p: Problem, call: Call, linear: str, sigmoid: str) -> list[str]:
    """What a call begins with: the logits, or all that they are made of; and the target."""
    if p.logits is not None:
        return ["z", "y"]
    if "linear" in call.words:
        return ["x", "w", "b", "y"]
    x = sigmoid.format(linear.format("x", "hw", "hb")) if p.hidden_w is not None else "x"
    return [linear.format(x, "w", "b"), "y"]

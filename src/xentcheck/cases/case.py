"""Case: a small recipe for a problem with a readable, stable id, the same id giving the same bits everywhere."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from xentcheck.errors import CaseError
from xentcheck.vocabulary import DIRECTIONAL, REDUCTIONS, SHORT_DTYPES

from .families import BROKEN, LOGIT_FAMILIES
from .fields import FIXED, IGNORE, LAYOUTS, NEEDS, OPTIONS, SCALARS, SMOOTHING, SOFT, TARGETS, UPSTREAMS, WEIGHTS
from .layer_families import ALL_LAYER_FAMILIES

_SHAPE = re.compile(r"(\d+(?:x\d+){0,4})(?:k(\d+)(?:h(\d+))?)?")


@dataclass(frozen=True, kw_only=True)
class Case:
    """One recipe; `str(case)` is its id and `Case.parse(id)` its inverse.

    shape: of the logits. inputs: K of the last layer's a_prev (or of the network's input), 0 for logits. hidden: H of
    the network's sigmoid layer, 0 for none.

    >>> case = Case.parse("gaussian.7x1003.f32.index.w+ls.mean.up-one.contig.s0")
    >>> case.shape, case.options, str(case) == "gaussian.7x1003.f32.index.w+ls.mean.up-one.contig.s0"
    ((7, 1003), ('w', 'ls'), True)
    """

    family: str
    shape: tuple[int, ...]
    dtype: str
    target: str = "index"
    options: tuple[str, ...] = ()
    reduction: str = "mean"
    upstream: str = "one"
    layout: tuple[str, ...] = ("contig",)
    inputs: int = 0
    hidden: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        families = ALL_LAYER_FAMILIES if self.inputs else LOGIT_FAMILIES
        _allowed("family", (self.family,), families)
        _allowed("dtype", (self.dtype,), SHORT_DTYPES)
        _allowed("target", (self.target,), TARGETS)
        _allowed("option", self.options, OPTIONS)
        _allowed("reduction", (self.reduction,), REDUCTIONS)
        _allowed("upstream", (self.upstream,), UPSTREAMS)
        _allowed("layout", self.layout, LAYOUTS)
        if self.target in SOFT and set(IGNORE) & set(self.options):  # no row of numbers is a sentinel
            raise CaseError(f"case {self}: ignore_index has no meaning with {self.target} targets")
        if self.target == "u8" and (set(IGNORE) - {"ign1", "ign255"}) & set(self.options):
            raise CaseError(f"case {self}: a uint8 holds no sentinel but those of ign1 and ign255")
        if any(len(set(self.options) & set(kind)) > 1 for kind in (WEIGHTS, IGNORE, SMOOTHING)):
            raise CaseError(f"case {self}: one kind of weights, one ignore_index and one smoothing at most")
        if self.reduction != "none" and self.upstream not in ("neg", *SCALARS):
            allowed = ", ".join(("neg", *SCALARS))
            raise CaseError(f"case {self}: upstream {self.upstream} needs reduction none; allowed: {allowed}")
        behind = ("contig", "twice", "thrice", *(name for name in LAYOUTS if name.startswith("needs-")))
        if self.inputs and (len(self.shape) != 2 or len(self.layout) > 1 or self.layout[0] not in behind):
            raise CaseError(f"case {self}: a layer has shape NxCkK and one layout of {', '.join(behind)}")
        if self.needs and (not self.inputs or self.hidden):
            raise CaseError(f"case {self}: {self.layout[0]} goes with a last layer only")
        if self.family == BROKEN.name and (self.reduction != "none" or "dir" in self.options):
            raise CaseError(f"case {self}: {self.family} needs reduction none, and no direction")
        if self.inputs and "dir" in self.options:
            raise CaseError(f"case {self}: dir goes with logits only")
        if len(self.shape) > 5 or self.classes == 0:
            raise CaseError(f"case {self}: shape needs 1 to 5 axes and at least one class")

    @property
    def classes(self) -> int:
        return self.shape[0] if len(self.shape) == 1 else self.shape[1]

    @property
    def needs(self) -> tuple[str, ...]:
        """The arrays of a layer that need a gradient, where not all do."""
        chosen = next((name for name in self.layout if name.startswith("needs-")), "needs-")
        return tuple(NEEDS[letter] for letter in chosen.removeprefix("needs-"))

    @property
    def signature(self) -> str:
        """What decides which code runs and compiles: not the family, nor values, layout and seed."""
        kinds = ("w" if o in WEIGHTS else "ign" if o in IGNORE else o for o in self.options)
        _, shape, dtype, target, _, reduction, *_ = str(self).split(".")
        target = "prob" if target in SOFT else "index" if target in FIXED else target
        needed = self.layout if self.needs else ()
        return ".".join((shape, dtype, target, "+".join(sorted(kinds)) or "plain", reduction, *needed))

    def __str__(self) -> str:
        shape = "x".join(map(str, self.shape))
        if self.inputs:
            shape += f"k{self.inputs}" + (f"h{self.hidden}" if self.hidden else "")
        options = "+".join(self.options) or "plain"
        layout = "+".join(self.layout)
        short = SHORT_DTYPES.get(self.dtype, self.dtype)
        head = f"{self.family}.{shape}.{short}.{self.target}.{options}"
        return f"{head}.{self.reduction}.up-{self.upstream}.{layout}.s{self.seed}"

    @classmethod
    def parse(cls, text: str) -> Case:
        """The case of an id. Raises CaseError saying which field is wrong and what is allowed there."""
        form = "family.shape.dtype.target.options.reduction.up-upstream.layout.sSEED"
        if not isinstance(text, str):
            raise CaseError(f"case id is of type {type(text).__name__}; allowed: {form}")
        fields = text.split(".")
        if len(fields) != 9:
            raise CaseError(f"case id {text!r} has {len(fields)} fields; allowed: {form}")
        family, shape, short, target, options, reduction, upstream, layout, seed = fields
        match = _SHAPE.fullmatch(shape)
        if not match or not upstream.startswith("up-") or not re.fullmatch(r"s\d+", seed):
            raise CaseError(f"case id {text!r}: cannot read {shape}, {upstream} or {seed}; allowed: {form}")
        dtypes = {v: k for k, v in SHORT_DTYPES.items()}
        if short not in dtypes:
            raise CaseError(f"case id {text!r}: dtype is {short!r}; allowed: {', '.join(dtypes)}")
        case = cls(
            family=family,
            shape=tuple(int(n) for n in match[1].split("x")),
            dtype=dtypes[short],
            target=target,
            options=() if options == "plain" else tuple(options.split("+")),
            reduction=reduction,
            upstream=upstream[3:],
            layout=tuple(layout.split("+")),
            inputs=int(match[2] or 0),
            hidden=int(match[3] or 0),
            seed=int(seed[1:]),
        )
        if str(case) != text:
            raise CaseError(f"case id {text!r} is not in its normal form; allowed: {case}")
        return case


def _allowed(what: str, values: tuple[str, ...], allowed: Collection[str]) -> None:
    for value in values:
        if value not in allowed:
            raise CaseError(f"unknown {what} {value!r} in a case; allowed: {', '.join(allowed)}")


def quantities_of(case: Case) -> tuple[str, ...]:
    """What is judged of a case: a and log_a do not depend on targets, so that the cases without options carry them."""
    value = "loss" if case.reduction == "none" else "cost"
    if "dir" in case.options:
        return DIRECTIONAL
    if case.inputs:
        of = {"dC/db": "b", "dC/dw": "w", "dC/da_prev": "a_prev"}
        return (value, *(q for q, name in of.items() if not case.needs or name in case.needs))
    plain = case.target == "index" and not case.options
    return (*(("a", "log_a") if plain else ()), value, "dC/dz")

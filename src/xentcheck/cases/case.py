"""Case: a small recipe for a problem with a readable, stable id, the same id giving the same bits everywhere."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from xentcheck.errors import CaseError
from xentcheck.vocabulary import DIRECTIONAL, REDUCTIONS, SHORT_DTYPES

from .families import BROKEN, LOGIT_FAMILIES
from .layer_families import ALL_LAYER_FAMILIES

TARGETS = {
    "index": "class indices as int64",
    "u8": "class indices as uint8",
    "low": "class indices that are all 0",
    "top": "class indices that are all C - 1",
    "diag": "class indices 0, 1, 2 and so on",
    "prob": "rows of positive numbers in the dtype of the logits, which add up to 3/4 or 5/4",
    "sparse": "rows with four classes that are not 0",
    "signed": "rows with entries below 0 and above 1, in which the loss is as linear",
    "hot": "one-hot rows, of ones and zeros",
    "unit": "rows that add up to 1, every second of them the same number everywhere",
    "void": "rows of `prob`, and nothing but zeros in every second",
    "pad": "rows of nothing but zeros",
    "multi": "rows of zeros with a 1 at two classes",
    "mixed": "rows of zeros with 1/2 at two classes",
}

CONSTANT = {"low": 0, "top": -1}
"""Kinds of class indices that are all one class, counted from the end below 0."""

FIXED = (*CONSTANT, "diag")
"""Kinds of class indices that are not drawn."""

SOFT = ("prob", "sparse", "signed", "hot", "unit", "void", "pad", "multi", "mixed")

WEIGHTS = {
    "w": "positive class weights",
    "wn": "class weights of both signs",
    "wz": "class weights with a zero at a label",
    "wx": "class weights 1/8, 1 and 8 in turn",
    "w1": "class weights that are all 1",
    "weq": "class weights that are all 3/8",
    "wfar": "class weights 2^-10, 1 and 2^10 in turn",
    "wneg": "negative class weights",
    "wint": "class weights 1, 2 and 5 in turn",
    "wsmall": "class weights 1/4096, 2/4096 and 3/4096 in turn",
    "wone": "class weights that are all 0, but for that of the first row's label",
}

IGNORE = {
    "ign": "ignore_index -100 in some rows",
    "ign1": "ignore_index 1, inside [0, C)",
    "ign0": "ignore_index 0, the first class",
    "ign255": "ignore_index 255, the largest uint8",
    "ignminus": "ignore_index -1",
    "igntop": "ignore_index C - 1, the last class",
    "ignabove": "ignore_index C",
    "ignbig": "ignore_index 1000000, above every class",
    "ignwide": "ignore_index 2^32, which is 0 in 32 bits",
    "allign": "every row ignored",
    "ignfirst": "the first row ignored",
    "ignlast": "the last row ignored",
    "ignpair": "two neighbouring rows ignored",
    "ignmost": "all rows but one ignored",
    "ignhalf": "the first half of the rows ignored",
}

SMOOTHING = {
    "ls": "label smoothing 0.1",
    "ls3": "label smoothing 0.3",
    "lsh": "label smoothing 0.5",
    "ls1": "label smoothing 1, which leaves nothing at the label",
    "ls01": "label smoothing 0.0125, no multiple of 1/100",
    "ls9": "label smoothing 0.9",
    "ls05": "label smoothing 0.05",
    "ls2": "label smoothing 0.2",
}

OPTIONS = {
    **WEIGHTS,
    **IGNORE,
    **SMOOTHING,
    "dir": "a direction, along which jvp and hvp are judged",
}

UPSTREAMS = {
    "one": "ones",
    "neg": "a negative scalar",
    "scale": "2^14, as a loss that is scaled for float16 gets",
    "amp": "2^16, with which automatic mixed precision starts, or half of the largest number if that is less",
    "eighth": "1/8, as each of eight steps gets that add up their gradients",
    "three": "3",
    "tenths": "0.3",
    "nil": "0",
    "rand": "random and signed per row",
    "str": "random, in a strided buffer",
    "exp": "a negative scalar expanded with stride 0",
    "zero": "random, and 0 in every second row",
    "tiny": "random, and 1e-30 in every second row, or the least normal number if that is more",
    "huge": "random, and 1e20 in every second row, or a quarter of the largest number if that is less",
}

SCALARS = {"one": 1.0, "scale": 2.0**14, "amp": 2.0**16, "eighth": 0.125, "three": 3.0, "tenths": 0.3, "nil": 0.0}
"""Upstream gradients that are one number for all rows."""

LAYOUTS = {
    "contig": "contiguous",
    "trans": "logits transposed in memory",
    "sliced": "logits sliced from a wider buffer",
    "padded": "logits sliced from longer rows, as those of a padded vocabulary",
    "bcast": "logits expanded over the batch with stride 0",
    "tstr": "targets strided",
    "twice": "backward called twice, the second judged",
    "thrice": "backward called three times, the third judged",
    "needs-x": "of a layer, the inputs alone need a gradient",
    "needs-w": "of a layer, the weight alone",
    "needs-b": "of a layer, the bias alone",
    "needs-xw": "of a layer, inputs and weight",
    "needs-xb": "of a layer, inputs and bias",
    "needs-wb": "of a layer, weight and bias",
}

NEEDS = {"x": "a_prev", "w": "w", "b": "b"}
"""Letters of the layouts that say which arrays of a layer need a gradient."""

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

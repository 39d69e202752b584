"""What a case has, read from its id: the options of its loss, its dtype and its shape, in words."""

from __future__ import annotations

import math
from functools import lru_cache

from xentcheck.records.record import Record

WORDS = {
    "w": "class weights",
    "ign": "ignored rows",
    "all": "ignored rows",
    "ls": "label smoothing",
    "dir": "a direction",
    "index": "class indices",
    "u8": "uint8 labels",
    "prob": "rows of probabilities",
    "trans": "transposed logits",
    "sliced": "sliced logits",
    "bcast": "expanded logits",
    "tstr": "strided targets",
    "twice": "a second backward",
    "thrice": "a third backward",
    "rand": "an upstream gradient per row",
    "str": "a strided upstream gradient",
    "exp": "an expanded upstream gradient",
    "neg": "an upstream gradient other than 1",
    "scale": "an upstream gradient of 2^14",
    "amp": "an upstream gradient of 2^16",
    "eighth": "an upstream gradient of 1/8",
    "three": "an upstream gradient of 3",
    "tenths": "an upstream gradient of 0.3",
    "cent": "an upstream gradient of 1/100",
    "dust": "an upstream gradient of 2^-100",
    "near": "an upstream gradient of nearly 1",
    "vast": "an upstream gradient of 2^40",
    "nil": "an upstream gradient of 0",
}
"""Words of an id, or what they begin with, and what people call that."""

TARGETS = {
    "low": "labels that are all 0",
    "top": "labels that are all the last",
    "diag": "labels 0, 1, 2 and so on",
    "sparse": "sparse rows of probabilities",
    "signed": "signed target rows",
    "hot": "one-hot target rows",
    "unit": "target rows that add up to 1",
    "void": "target rows of zeros among others",
    "pad": "target rows of zeros",
    "multi": "target rows of two ones",
    "mixed": "target rows of two halves",
}
"""What people call kinds of targets."""

Traits = frozenset[str]

SOFT = ("prob", "sparse", "signed", "hot", "unit", "void", "pad", "multi", "mixed")
"""Targets that are rows of probabilities."""


def traits_of(r: Record) -> Traits:
    """What a record's case has; the dtype alone of a case that is no recipe.

    >>> place = dict(adapter="a", variant="v", device="cpu", dtype="float32", group="g", contract="c", quantity="cost")
    >>> sample = Record(**place, case="gaussian.5x10.f32.index.w+ign.mean.up-one.contig.s0", outcome="agree")
    >>> sorted(traits_of(sample))
    ['class indices', 'class weights', 'dtype float32', 'ignored rows', 'reduction mean']
    """
    return _traits(r.case.rpartition(".")[0], r.dtype)  # whatever its seed: a million cases have few traits


@lru_cache(2**14)
def _traits(case: str, dtype: str) -> Traits:
    found = {f"dtype {dtype}"}
    parts = case.split(".")
    if len(parts) != 8:
        return frozenset(found)
    family, shape, _, target, options, reduction, upstream, layout = parts
    if family != "gaussian":
        found.add(f"values {family}")
    found.add(f"reduction {reduction}")
    found.add(TARGETS.get(target) or WORDS.get(target, target))
    if target in SOFT:
        found.add(WORDS["prob"])
    words = [*(options.split("+") if options != "plain" else ()), *layout.split("+"), upstream.removeprefix("up-")]
    for word in words:
        for stem in (word, word[:3], word[:2], word[:1]):
            if stem in WORDS:
                found.add(WORDS[stem])
                break
    if "k" in shape:
        found.add("a layer before")
    if shape.partition("k")[0].count("x") > 1:
        found.add("more than two axes")
    if "x" not in shape:
        found.add("a single unbatched row")
    return frozenset(found)


def size_of(r: Record) -> tuple[int, int]:
    """Classes and rows of a record's case, 0 where its id does not say."""
    parts = r.case.split(".")
    numbers = parts[1].partition("k")[0].split("x") if len(parts) == 9 else []
    if not numbers or not all(n.isdigit() for n in numbers):
        return 0, 0
    sizes = [int(n) for n in numbers]
    return (sizes[0], 1) if len(sizes) == 1 else (sizes[1], sizes[0] * math.prod(sizes[2:]))

"""A case id in words: what each of its fields says."""

from __future__ import annotations

from .case import Case
from .families import LOGIT_FAMILIES
from .fields import LAYOUTS, OPTIONS, TARGETS, UPSTREAMS
from .layer_families import ALL_LAYER_FAMILIES

MEANING_OF_REDUCTIONS = {
    "mean": "the mean of the losses",
    "sum": "the sum of the losses",
    "none": "no reduction: one loss per row",
}

FIELDS = ("family", "shape", "dtype", "target", "options", "reduction", "upstream", "layout", "seed")
"""The fields of an id, in their order."""


def fields_of(case: Case) -> list[tuple[str, str, str]]:
    """Each field: its name, what stands in the id, and what that means.

    >>> fields_of(Case.parse("ties.5x10.f32.index.w+ls.mean.up-neg.contig.s0"))[4]
    ('options', 'w+ls', 'positive class weights; label smoothing 0.1')
    """
    meanings = (
        ALL_LAYER_FAMILIES[case.family] if case.inputs else LOGIT_FAMILIES[case.family].purpose,
        shape_of(case),
        case.dtype,
        TARGETS[case.target],
        "; ".join(OPTIONS[name] for name in case.options) or "no options",
        MEANING_OF_REDUCTIONS[case.reduction],
        UPSTREAMS[case.upstream],
        "; ".join(LAYOUTS[name] for name in case.layout),
        f"draw number {case.seed}",
    )
    return list(zip(FIELDS, str(case).split("."), meanings, strict=True))


def shape_of(case: Case) -> str:
    """The shape in words.

    >>> shape_of(Case.parse("edges.1x10.f32.index.w.mean.up-neg.contig.s0"))
    '1 row, 10 classes'
    >>> shape_of(Case.parse("ties.3x7x2.f32.index.plain.mean.up-one.contig.s0"))
    '3 examples, 7 classes, 2 pixels each'
    """
    if len(case.shape) == 1:
        return f"{case.classes} classes, no batch axis"
    if len(case.shape) > 2:
        pixels = " x ".join(map(str, case.shape[2:]))
        return f"{case.shape[0]} examples, {case.classes} classes, {pixels} pixels each"
    text = f"{case.shape[0]} row{'s' * (case.shape[0] != 1)}, {case.classes} class{'es' * (case.classes != 1)}"
    if case.hidden:
        return f"{text}; a network with {case.inputs} inputs and {case.hidden} sigmoid neurons"
    return f"{text}; a linear layer with {case.inputs} inputs" if case.inputs else text

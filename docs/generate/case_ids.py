"""The page of case ids: each field of an id, and what may stand there, from the code that reads them."""

from __future__ import annotations

from xentcheck.cases.case import Case, quantities_of
from xentcheck.cases.families import LOGIT_FAMILIES
from xentcheck.cases.fields import IGNORE, LAYOUTS, OPTIONS, SMOOTHING, SOFT, TARGETS, UPSTREAMS, WEIGHTS
from xentcheck.cases.layer_families import ALL_LAYER_FAMILIES
from xentcheck.cases.reading import MEANING_OF_REDUCTIONS, fields_of, shape_of
from xentcheck.vocabulary import SHORT_DTYPES

from .markdown import code, page, table

EXAMPLE = "confident.5x10.f32.index.wz+ls+ign.mean.up-neg.contig.s0"

SHAPES = ("5x10", "10", "3x7x2", "6x9k8", "6x9k8h4")
"""Shapes as an id writes them, one of each kind."""

ABOUT = f"""A case is a recipe for one problem: logits, targets, options. Its id is its recipe, so that a line of a
report is all that a command needs to repeat it, with the same bits on every machine:

    xentcheck replay {EXAMPLE} --adapter numpy

`xentcheck rule ID` says in words what its fields say. `xentcheck run --list-cases` prints the ids of a profile;
`--case "*.f32.*.mean.*"` chooses some of them by a pattern. An id that is wrong is answered with what is allowed in its
place. The nine fields of this one:"""


def case_ids() -> str:
    """`docs/case-ids.md`."""
    kinds = {**WEIGHTS, **IGNORE, **SMOOTHING}
    options = f"Joined by `+`, or `plain`: at most one of each table. With the targets {code(SOFT)} nothing is ignored."
    return page(
        "Case ids",
        ABOUT,
        table(("field", "here", "what it means"), _example()),
        _section("Family", "How the logits are drawn. Each family is there for a kind of fault."),
        _meanings("family", {name: family.purpose for name, family in LOGIT_FAMILIES.items()}),
        "Families of layers draw the inputs, the weights and the bias:",
        _meanings("family", ALL_LAYER_FAMILIES),
        _section("Shape", "Numbers with an `x` between them, one for each axis of the logits, of one to five."),
        _meanings("shape", {shape: shape_of(Case.parse(_id_of(shape))) for shape in SHAPES}),
        _section("Dtype", "Of logits, weights, losses and gradients."),
        _meanings("dtype", {short: name for name, short in SHORT_DTYPES.items()}),
        _section("Target", "What says which class is right."),
        _meanings("target", TARGETS),
        _section("Options", options),
        _meanings("class weights", WEIGHTS),
        _meanings("ignored rows", IGNORE),
        _meanings("smoothing", SMOOTHING),
        _meanings("direction", {name: text for name, text in OPTIONS.items() if name not in kinds}),
        _section("Reduction", "What becomes of the losses of the rows."),
        _meanings("reduction", MEANING_OF_REDUCTIONS),
        _section("Upstream", "The upstream gradient, behind `up-`; one number, unless the reduction is `none`."),
        _meanings("upstream", {f"up-{name}": meaning for name, meaning in UPSTREAMS.items()}),
        _section("Layout", "How the arrays lie in memory, and how the loss is called; several are joined by `+`."),
        _meanings("layout", LAYOUTS),
        _section("Seed", "A number behind `s`. Another seed is another draw of the same recipe."),
        _section("What is judged", "The quantities of a case follow from its id:"),
        table(("case", "quantities"), _judged()),
    )


def _example() -> list[tuple[str, str, str]]:
    return [(f"[{name}](#{name})", f"`{here}`", text) for name, here, text in fields_of(Case.parse(EXAMPLE))]


def _section(title: str, about: str) -> str:
    return f"## {title}\n\n{about}"


def _meanings(head: str, meanings: dict[str, str]) -> str:
    return table((head, "what it means"), ((f"`{name}`", meaning) for name, meaning in meanings.items()))


def _id_of(shape: str, options: str = "plain", reduction: str = "mean") -> str:
    return f"gaussian.{shape}.f32.index.{options}.{reduction}.up-one.contig.s0"


def _judged() -> list[tuple[str, str]]:
    ids = (_id_of("5x10"), _id_of("5x10", "ls"), _id_of("5x10", "w", "none"), _id_of("5x10", "dir"), _id_of("6x9k8"))
    return [(f"`{text}`", code(quantities_of(Case.parse(text)))) for text in ids]

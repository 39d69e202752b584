"""Bounds of every contract on fixed cases, as numbers to pin: what a change of any bound moves.

`pinned_bounds.jsonl` has a line per (case, contract) with the numbers of each quantity's bound: the largest finite one,
their sum with weights between 1 and 2 (which sees bounds that changed places), and how many are infinite.
`python benchmarks/pin_bounds.py` writes it anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from xentcheck.cases import Case
from xentcheck.cases.build import build
from xentcheck.cases.families import FAMILIES
from xentcheck.cases.layer_families import LAYER_FAMILIES
from xentcheck.cases.profiles.sets import OPTION_SETS
from xentcheck.reference.bounds import Bounds
from xentcheck.reference.bounds.arithmetic import distinct
from xentcheck.reference.bounds.contracts import CATALOGUE, STAGES, Contract
from xentcheck.reference.oracle import Exact
from xentcheck.vocabulary import DTYPES, REDUCTIONS

PINNED = Path(__file__).with_name("pinned_bounds.jsonl")

VARIANTS: dict[str, dict[str, Any]] = {
    "4-lanes": {"lanes": 4},
    "no-flush": {"flushes": False},
    "4-rescales": {"rescales": 4},
    "tf32": {"product_inputs": "tf32"},
    "unshifted": {"shifted": False, "shift_units": 2.0, "log_form": "lse"},
    "log-of-a": {"log_of_softmax": True, "flushes_storage": True},
    "margin": {"margin": True, "compensated": True},
    "blocks": {"class_block": 2, "row_block": 2, "stored": STAGES, "row_sum": "pivots"},
}
"""Fields that no contract of the catalogue sets: changes of `fused`."""

VARIED = ("deep", "one-hot")
"""The families on which `VARIANTS` are pinned."""


def contracts(case: Case) -> tuple[Contract, ...]:
    """Those of the catalogue that differ for a case's dtype; for short rows more: `VARIANTS`, another accuracy."""
    named = distinct(tuple(CATALOGUE.values()), case.dtype)
    if case.family not in VARIED:
        return named
    accurate = CATALOGUE["stash-sum"].with_accuracy(3.0, 1.0)
    return (*named, changed(accurate, "accuracy"), *(changed(CATALOGUE["fused"], v) for v in VARIANTS))


def changed(contract: Contract, name: str) -> Contract:
    """A contract under a name of its own, with the fields of `VARIANTS`."""
    return Contract(**{**contract.__dict__, **VARIANTS.get(name, {}), "name": name})


def pinned_cases(dtype: str) -> Iterator[Case]:
    """All families, option sets, reductions, heads and directions of a dtype; few rows, many rows, many classes."""
    for i, family in enumerate(FAMILIES):
        target, options = OPTION_SETS[i % len(OPTION_SETS)]
        options = (*options, "dir")
        yield Case(
            family=family, shape=(5, 10), dtype=dtype, target=target, options=options, reduction=REDUCTIONS[i % 3]
        )
    for i, (family, hidden) in enumerate(product(LAYER_FAMILIES, (0, 4))):
        target, options = OPTION_SETS[i % len(OPTION_SETS)]
        more: dict[str, Any] = {"reduction": REDUCTIONS[i // 2 % 3], "inputs": 6, "hidden": hidden}
        yield Case(family=family, shape=(4, 9), dtype=dtype, target=target, options=options, **more)
    for (target, options), reduction in product(OPTION_SETS, REDUCTIONS):
        more = {"reduction": reduction, "upstream": "rand" if reduction == "none" else "neg"}
        yield Case(family="gaussian", shape=(6, 10), dtype=dtype, target=target, options=(*options, "dir"), **more)
    for options in (("ls", "dir"), ("w", "lsh", "dir")):
        yield Case(family="gaussian", shape=(5, 6), dtype=dtype, target="prob", options=options)
    for options in (("wn",), ("wz", "ls"), ("wx", "lsh"), ("ign1",), ("allign",)):
        yield Case(family="deep", shape=(5, 4), dtype=dtype, options=options)
    for family, shape, options in (
        ("gaussian", (3, 1003), ()),
        ("confident", (2, 1003), ("ls",)),
        ("few-active", (2, 8192), ()),
        ("gaussian", (700, 3), ("w",)),
        ("confident", (2, 5003), ("w", "ls", "dir")),
        ("gaussian", (5003, 2), ("w",)),
        ("gaussian", (2500, 2), ()),
        ("gaussian", (10,), ()),
        ("gaussian", (2, 5, 3), ("w", "ls")),
    ):
        yield Case(family=family, shape=shape, dtype=dtype, options=options)
    for reduction in ("none", "mean"):
        yield Case(
            family="gaussian", shape=(3, 4999), dtype=dtype, target="prob", options=("dir",), reduction=reduction
        )
    for shape in ((5003, 3), (3, 5003)):
        yield Case(family="confident", shape=shape, dtype=dtype, inputs=2)


def bounds_of(case: Case) -> dict[str, dict[str, list[float]]]:
    """Contract -> quantity -> numbers of the bound of a case."""
    p = build(case)
    exact, found = Exact(p), {}
    for contract in contracts(case):
        limits = Bounds(exact, contract).evaluate(p.quantities)
        found[contract.name] = {q: numbers(limits[q]) for q in p.quantities}
    return found


def numbers(bound: ArrayLike) -> list[float]:
    """Of a bound with one element that element; else largest and weighted sum of the finite, number of the others."""
    flat = np.asarray(bound, np.float64).ravel()
    finite = flat[np.isfinite(flat)]
    if len(flat) == len(finite) == 1:
        return [float(flat[0])]
    weights = 1.0 + (np.flatnonzero(np.isfinite(flat)) * 0.6180339887498949) % 1.0
    found = [float(finite.max(initial=0.0)), float((finite * weights).sum())]
    return found if len(flat) == len(finite) else [*found, float(len(flat) - len(finite))]


def lines() -> Iterator[str]:
    """The lines of the file, 12 digits for each number."""
    for dtype in DTYPES:
        for case in pinned_cases(dtype):
            for contract, quantities in bounds_of(case).items():
                rounded = {q: [float(f"{x:.12g}") for x in found] for q, found in quantities.items()}
                yield json.dumps({"case": str(case), "contract": contract, **rounded}, separators=(",", ":"))

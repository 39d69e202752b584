"""Checking an implementation, or results that somebody has, on a problem of any size, in blocks of rows."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from inspect import signature
from pathlib import Path
from typing import Any

from xentcheck.adapters.promises import Given
from xentcheck.api import Run
from xentcheck.records.record import Record
from xentcheck.records.run import RunFile
from xentcheck.running.collect import collect
from xentcheck.running.deviations import Deviations, known_with
from xentcheck.running.environment import header_of
from xentcheck.running.executors.futures import wrapped_as
from xentcheck.running.executors.local import execute
from xentcheck.running.subjects import narrowed_to, subjects_among
from xentcheck.studies.large.blocks import large_cases, takers, tasks_of, together
from xentcheck.studies.large.handed import HandedResults
from xentcheck.studies.large.pace import pace

from .errors import AdapterError

OF_A_CASE = ("framework", "options", "contract", "overwrites", "dtypes", "devices", "seed", "deviations")
OF_RESULTS = ("weight", "ignore_index", "label_smoothing", "reduction", "upstream", "contract")
CALLED = ("case", "implementation", *OF_A_CASE)
BLOCKS = ("blocks", "rows", *OF_RESULTS)
ARRAYS = ("logits", "target", "results", *OF_RESULTS)
"""The arguments of each of the three ways, the first of which chooses it; the others say nothing of it."""


def check_large(
    implementation: object = None,
    framework: str | None = None,
    *,
    case: str | None = None,
    blocks: Iterable[tuple[Any, Any, Mapping[str, Any]]] | None = None,
    rows: int | None = None,
    logits: Any = None,
    target: Any = None,
    results: Mapping[str, Any] | None = None,
    weight: Any = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
    upstream: Any = None,
    contract: Given = None,
    options: Collection[str] | None = None,
    overwrites: Collection[str] = (),
    dtypes: Sequence[str] | None = None,
    devices: Sequence[str] | None = None,
    seed: int = 0,
    deviations: str | Path | None = None,
) -> Run:
    """Judge every element of a problem that is too large for one array, with progress on stderr.

    Give one of three. An implementation, as for `check`, with a `case`: "8192x128256", in bfloat16 and float32 unless
    `dtypes` says otherwise, or the id of one case; it is called for blocks of rows, a mean is that of each block, and
    the laws are asked as in any run.
    `blocks`: an iterable of (logits (n, C), target, results) with the same dtype and C, each a problem of its own;
    results: quantity -> array; `rows`: how many rows must come in all. Or `logits` (N, C), `target` (N,) with class
    indices and `results`, as arrays that `numpy.load(..., mmap_mode="r")` has left in their files: one problem, whose
    cost and mean are those of all rows. weight, ignore_index, label_smoothing, reduction, upstream: of blocks or
    arrays, as for `reference.Problem`. An argument that belongs to another of the three ways is refused. Raises
    CaseError, AdapterError, ProblemError and what `check` raises.

    >>> import numpy as np
    >>> from xentcheck.reference import cross_entropy_grad
    >>> z, y = np.random.default_rng(0).normal(size=(40, 30)), np.arange(40) % 30
    >>> run = check_large(logits=z, target=y, results={"dC/dz": cross_entropy_grad(z, y)})
    >>> run.ok, run.records[0].elements
    (True, 1200)
    """
    given = dict(locals())
    ways = {"an implementation and a case": case, "blocks": blocks, "logits, target and results": logits}
    if sum(way is not None for way in ways.values()) != 1 or (implementation is None) != (case is None):
        raise AdapterError(f"nothing to judge, or too much; allowed: one of {'; '.join(ways)}")
    _require_used(given, CALLED if case is not None else BLOCKS if blocks is not None else ARRAYS)
    if case is not None:
        wrapped = {"framework": framework, "options": options, "contract": contract, "overwrites": overwrites}
        return _called(implementation, wrapped, case, dtypes, devices, seed, deviations)
    common = {"weight": weight, "ignore_index": ignore_index}
    common |= {"label_smoothing": label_smoothing, "reduction": reduction}
    handed = HandedResults(common, upstream, contract)
    shape = getattr(logits, "shape", ())
    with pace(math.prod(shape) if shape else None) as told:
        if blocks is None:
            return _run_of(handed, handed.of_arrays(logits, target, results, told))
        return _run_of(handed, handed.of_blocks(blocks, rows, told))


def _require_used(given: Mapping[str, Any], used: Sequence[str]) -> None:
    """Raise AdapterError for an argument that somebody gave, and that says nothing of what is judged this way."""
    for name, parameter in signature(check_large).parameters.items():
        value, default = given[name], parameter.default
        is_default = value is default or (isinstance(value, type(default)) and value == default)
        if name not in used and not is_default:
            raise AdapterError(f"{name} makes no difference beside {used[0]}; allowed: {', '.join(used)}")


def _called(
    implementation: object,
    wrapped: Mapping[str, Any],
    text: str,
    dtypes: Sequence[str] | None,
    devices: Sequence[str] | None,
    seed: int,
    deviations: str | Path | None,
) -> Run:
    """The run of an implementation that is called for one block after another."""
    dtypes, devices = narrowed_to(dtypes, devices)
    known = known_with(deviations)
    adapter = wrapped_as(implementation, wrapped)
    chosen = large_cases(text, dtypes, seed)
    subjects = takers(subjects_among(adapter, devices))
    narrowed = {"dtypes": tuple(dtypes or ()), "devices": tuple(devices or ())}
    header = header_of(chosen, subjects, "quick", seed, 1, tuple(map(str, chosen)), **narrowed)
    tasks = tasks_of(chosen)
    with pace(sum(math.prod(whole.shape) for whole in chosen)) as told:
        return Run(collect(header, together(tasks, execute(tasks, subjects), told), Deviations(known)))


def _run_of(handed: HandedResults, records: Sequence[Record]) -> Run:
    """The run of results that somebody has computed."""
    names = tuple(dict.fromkeys(r.case for r in records)) or ("nothing",)
    header = header_of((), [handed.subject({})], "quick", 0, 1, names)
    return Run(RunFile.of(replace(header, planned=len(records)), records))

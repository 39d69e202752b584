"""Results of a large problem that somebody has computed: whole arrays, which may lie in files, or block after block."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np

from xentcheck.adapters.promises import Given
from xentcheck.adapters.torch.device_arrays import result_of
from xentcheck.adapters.wrap.handed import Handed
from xentcheck.errors import AdapterError, ProblemError, ShapeError, XentcheckError
from xentcheck.records.record import Record
from xentcheck.reference.formats import Array
from xentcheck.reference.given import array_of, forget, of_tensor, whole
from xentcheck.reference.numbers.arrays import here
from xentcheck.reference.problem import Problem
from xentcheck.running.comparison import run_problem
from xentcheck.running.subjects import Subject
from xentcheck.vocabulary import FAILING, SHORT_DTYPES

from .merging import Part, merged
from .pace import Told

NAME = "results"
"""What stands for the implementation in records."""


@dataclass(frozen=True)
class HandedResults:
    """What all rows have in common, and the arithmetic that their results are judged by.

    options: keywords of `Problem` besides logits, target and upstream. upstream: as for `Problem`; None: 1.
    """

    options: Mapping[str, Any]
    upstream: Any = None
    contract: Given = None

    def subject(self, values: Mapping[str, Array], *, explained: bool = False) -> Subject:
        """Whose results they are; explained: grades and causes are looked for."""
        return Subject(Handed(values, self.contract, NAME), "eager", "cpu", "", graded=explained, explained=explained)

    def problem(self, where: str, logits: Any, target: Any) -> Problem:
        """Some rows. Raises ProblemError with one line, which begins with where they are."""
        z, y = _array("logits", logits), _array("target", target)
        if z.ndim != 2:
            raise ShapeError(f"{where}logits have shape {z.shape}; allowed: (N, C), one row per example")
        given = dict(self.options)
        if given["weight"] is not None:
            given["weight"] = _array("weight", given["weight"])
        if self.upstream is not None:
            given["upstream"] = _array("upstream", self.upstream)
        elif given["reduction"] == "none":
            given["upstream"] = np.broadcast_to(np.ones((), z.dtype), z.shape[:1])
        try:
            return Problem(logits=z, target=y, **given)
        except ProblemError as error:
            raise type(error)(f"{where}{error}") from error

    def of_arrays(self, logits: Any, target: Any, results: Any, told: Told) -> list[Record]:
        """Judge whole arrays as one problem, whose mean is that of all rows; they are read in blocks of rows.

        Raises ProblemError and AdapterError.
        """
        p = self.problem("", logits, target)
        if p.probabilities:
            raise ProblemError("target has rows of probabilities; allowed: class indices, or blocks of both")
        values = _results("results", p, results)
        if "cost" in values and p.label_smoothing:
            raise ProblemError("the cost of smoothed labels needs all rows at once; allowed: dC/dz, loss, or blocks")
        arrays = (np.asarray(p.logits), *values.values())

        def read(rows: int) -> None:
            for array in arrays:
                forget(array)
            told(rows * p.classes)

        return run_problem(p, _name(p, len(p.target)), list(values), [(self.subject(values), "")], read)

    def of_blocks(self, blocks: Any, rows: int | None, told: Told) -> list[Record]:
        """Judge blocks of rows (logits, target, results), each as a problem of its own; rows: how many come in all.

        Raises ProblemError and AdapterError, and whatever the blocks raise.
        """
        rows = None if rows is None else whole("rows", rows, 1)
        parts: dict[str, list[Part]] = defaultdict(list)
        seen, failed, like = 0, False, None
        for where, (logits, target, results) in _blocks(blocks):
            p = self.problem(f"{where}: ", logits, target)
            values = _results(f"{where}: results", p, results)
            form = (p.dtype, p.classes, tuple(values))
            if form != (like := like or form):
                told_of = "{} of {} classes with {}".format(form[0], form[1], ", ".join(form[2]))
                first = "{} of {} classes with {}".format(like[0], like[1], ", ".join(like[2]))
                raise ShapeError(f"{where} has {told_of}; allowed: {first}, as block 0")
            again = f"{where} has the inputs"
            found = run_problem(p, where, list(values), [(self.subject(values, explained=not failed), again)])
            failed |= any(r.outcome in FAILING for r in found)
            for r in found:
                parts[r.quantity].append(Part(seen, len(p.target), r))
            seen += len(p.target)
            told(p.logits_shape[0] * p.classes)
        if rows is not None and seen != rows:
            raise ShapeError(f"the blocks have {seen} rows; allowed: {rows}, as was announced")
        return [merged(_name(p, seen), some) for some in parts.values()] if parts else []


def _blocks(blocks: Any) -> Iterator[tuple[str, tuple[Any, Any, Any]]]:
    """Where each block is, and its three parts. Raises AdapterError."""
    if not isinstance(blocks, Iterable):
        raise AdapterError(f"blocks are of type {type(blocks).__name__}; allowed: an iterable of blocks")
    for number, block in zip(count(), blocks):
        if not isinstance(block, (tuple, list)) or len(block) != 3:
            what = f"{len(block)} parts" if isinstance(block, (tuple, list)) else f"type {type(block).__name__}"
            raise AdapterError(f"block {number} is of {what}; allowed: (logits, target, results)")
        yield f"block {number}", (block[0], block[1], block[2])


def _results(where: str, p: Problem, results: Any) -> dict[str, Array]:
    """Arrays by quantity. Raises AdapterError for a quantity that the problem does not have, or for none."""
    allowed = ", ".join(p.quantities)
    if not isinstance(results, Mapping) or not results:
        what = "empty" if isinstance(results, Mapping) else f"of type {type(results).__name__}"
        raise AdapterError(f"{where} are {what}; allowed: a dict of array by {allowed}")
    if unknown := [str(q) for q in results if q not in p.quantities]:
        raise AdapterError(f"{where} have {unknown[0]!r}; allowed: {allowed}, of reduction {p.reduction}")
    return {q: _array(q, results[q], result_of) for q in p.quantities if q in results}


def _array(name: str, given: Any, taken: Callable[[Any], Array] = of_tensor) -> Array:
    """A view of an array, in its file where it lies in one; bfloat16 as `numpy.save` writes it, and tensors as arrays.

    A problem makes its arrays read-only: not those of whoever gave them, who may fill them again for the next block.
    """
    try:
        found = taken(given) if hasattr(given, "detach") else given
        if not here(found):
            return found
        array = array_of(name, found)
    except XentcheckError:
        raise
    except Exception as error:
        raise ShapeError(f"{name} cannot be read as an array: {error}") from error
    return array.view("bfloat16") if array.dtype == np.dtype("V2") else array.view()


def _name(p: Problem, rows: int) -> str:
    """A name in the form of a case's id, which is no recipe."""
    target = "prob" if p.probabilities else "index"
    return f"handed.{rows}x{p.classes}.{SHORT_DTYPES[p.dtype]}.{target}.given.{p.reduction}.up-given.contig.s0"

"""Verdicts: every implementation's results on one problem, judged together against one exact evaluation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xentcheck.reference import exact_layers
from xentcheck.reference.backends import FLOAT64
from xentcheck.reference.bounds import Bounds
from xentcheck.reference.contracts import Contract
from xentcheck.reference.oracle import Block, Exact
from xentcheck.reference.problem import Problem
from xentcheck.reference.row_bounds import RowBounds
from xentcheck.reference.row_errors import RowBase
from xentcheck.reference.rows import to_rows

from .judge import Tally, shape_and_dtype
from .power import (
    Power,
    first_upstream,
    gradient_deltas,
    largest,
    option_deltas,
    ratio,
    row_factors,
    softmax_deltas,
    structural_ratios,
)
from .value_power import loss_deltas, note_cost, note_losses
from .vocabulary import GRADIENTS

Array = NDArray[Any]

LAYERS = ("dC/db", "dC/dw", "dC/da_prev")


@dataclass(frozen=True, eq=False)
class Subject:
    """One implementation's results on the problem, the contract they are judged by, and further ones for the grade."""

    values: Mapping[str, Array]
    contract: Contract
    others: tuple[Contract, ...] = ()


@dataclass
class Verdict:
    """What was found for one quantity of one subject.

    mismatch: why the result could not be compared (shape, dtype). tally: under the subject's contract; shares: largest
    share under each contract looked at. margins: [margin, relative error, relative bound] of dC/dz at the label.
    """

    tally: Tally
    power: Power
    mismatch: str = ""
    shares: dict[str, float] = field(default_factory=dict)
    margins: list[tuple[float, float, float]] = field(default_factory=list)

    @property
    def agrees(self) -> bool:
        """Whether every element is within its bound."""
        return not self.mismatch and self.tally.failing == 0


class View:
    """The bounds and the power of one contract on the problem."""

    def __init__(self, exact: Exact, contract: Contract, quantities: Iterable[str], judged: bool) -> None:
        self.contract = contract
        self.bounds = Bounds(exact, contract)
        with np.errstate(all="ignore"):
            self.zeta = self.bounds.zeta()
        self.powers = {q: Power() for q in quantities} if judged else {}

    def rows(self, block: Block, shared: RowBase | None) -> RowBounds:
        """Bounds of a block; the base is shared by all contracts unless the logits' own errors depend on them."""
        base = shared if self.zeta is None else None
        return self.bounds.rows(block, base or RowBase.of(block.softmax, self.bounds.format, self.zeta))


class Judgement:
    """Judges subjects on one problem, a row block at a time.

    quantities: those to judge, of `problem.quantities`. Every subject's results are compared for the quantities it has.
    """

    def __init__(self, problem: Problem, quantities: Sequence[str], subjects: Sequence[Subject]) -> None:
        self.problem = problem
        self.quantities = tuple(quantities)
        self.subjects = subjects
        self.exact = Exact(problem)
        self.rows = len(self.exact.targets.kept)
        self.kept_rows = int(np.count_nonzero(self.exact.targets.kept))
        contracts = {s.contract: True for s in subjects} | {c: False for s in subjects for c in s.others}
        for s in subjects:
            contracts[s.contract] = True
        self.views = {c: View(self.exact, c, quantities, judged) for c, judged in contracts.items()}
        self.tallies = {
            (i, q, c): Tally(self._format) for i, s in enumerate(subjects) for q in s.values for c in _all(s)
        }
        self.mismatches = self._mismatches()
        self.margins: list[dict[str, list[tuple[float, float, float]]]] = [{} for _ in subjects]
        self._deltas: list[dict[str, Array]] = []

    @property
    def _format(self) -> Any:
        return Bounds(self.exact, next(iter(self.views))).format if self.views else None

    def _mismatches(self) -> dict[tuple[int, str], str]:
        shapes = expected_shapes(self.problem)
        found = {
            (i, q): shape_and_dtype(np.asarray(got), shapes[q], self.problem.dtype)
            for i, s in enumerate(self.subjects)
            for q, got in s.values.items()
        }
        return {key: text for key, text in found.items() if text}

    def run(self) -> list[dict[str, Verdict]]:
        """One verdict per subject and quantity."""
        if self.subjects:
            losses = []
            with np.errstate(all="ignore"):
                for block in self.exact.blocks():
                    losses.append(block.loss if {"loss", "cost"} & set(self.quantities) else None)
                    self._block(block)
                if "cost" in self.quantities:
                    self._cost([loss for loss in losses if loss is not None])
        return [self._verdicts(i, s) for i, s in enumerate(self.subjects)]

    def _block(self, block: Block) -> None:
        B = self.exact.backend
        shared = None
        if self.problem.head == "logits":
            shared = RowBase.of(block.softmax, self._format)
        bounds = {c: view.rows(block, shared) for c, view in self.views.items()}
        if "a" in self.quantities:
            self._rows(block, "a", B.pair(block.softmax.softmax()), {c: b.softmax() for c, b in bounds.items()})
        if "log_a" in self.quantities:
            self._rows(
                block, "log_a", B.pair(block.softmax.log_softmax()), {c: b.log_softmax() for c, b in bounds.items()}
            )
        if {"loss", "cost"} & set(self.quantities):
            self._losses(block, {c: self.views[c].bounds.loss(b) for c, b in bounds.items()})
        if set(GRADIENTS) & set(self.quantities):
            gradients = {c: b.gradient() for c, b in bounds.items()}
            if "dC/dz" in self.quantities:
                self._rows(block, "dC/dz", B.pair(block.gradient), gradients)
            if set(LAYERS) & set(self.quantities):
                self._layers(block, gradients)

    def _rows(self, block: Block, quantity: str, exact: tuple[Array, Array], bounds: dict[Contract, Array]) -> None:
        for i, s in enumerate(self.subjects):
            if quantity in s.values and (i, quantity) not in self.mismatches:
                got = to_rows(np.asarray(s.values[quantity]))[block.rows]
                self._add(i, quantity, got, exact, bounds)
                if quantity == "dC/dz" and block.targets.hard:
                    self._margins(i, block, got, exact, bounds[s.contract])
        for c, view in self.views.items():
            if view.powers:
                self._row_power(view.powers[quantity], block, quantity, exact[0], bounds[c])

    def _row_power(self, power: Power, block: Block, quantity: str, exact: Array, bound: Array) -> None:
        if quantity != "dC/dz":
            if len(exact) == self.rows:
                z = to_rows(np.asarray(self.problem.logits)).astype(np.float64)
                for name, delta in softmax_deltas(block, quantity, z):
                    power.note(name, largest(delta, bound))
            power.count_blind(exact, bound)
            return
        t = ratio(exact, bound)
        top = t.max(1, initial=0.0)
        for name, factor in self._factors(block):
            power.note(name, float((np.abs(factor) * top).max(initial=0.0)) if factor.any() else 0.0)
        for name, delta in option_deltas(block, self._denominator, self.kept_rows):
            power.note(name, largest(delta, bound))
        power.nonzero += int(np.count_nonzero(exact))
        power.blind += int(np.count_nonzero((t <= 1) & (exact != 0)))
        for name, found in structural_ratios(block, t, bound):
            power.note(name, found)

    def _factors(self, block: Block) -> list[tuple[str, Array]]:
        factors = list(row_factors(block, self._denominator, self.rows))
        if self.problem.reduction == "none" and self.rows > 1:
            factors.append(("first_upstream", first_upstream(block, float(self.exact.targets.upstream[0]))))
        return factors

    @property
    def _denominator(self) -> float:
        return float(self.exact.backend.pair(self.exact.denominator)[0])

    def _losses(self, block: Block, bounds: dict[Contract, Array]) -> None:
        self._deltas.append(loss_deltas(block, self.rows))
        if "loss" not in self.quantities:
            return
        B = self.exact.backend
        exact = B.pair(B.scale(*block.loss))
        for i, s in enumerate(self.subjects):
            if "loss" in s.values and (i, "loss") not in self.mismatches:
                self._add(i, "loss", np.asarray(s.values["loss"]).reshape(-1)[block.rows], exact, bounds)
        for c, view in self.views.items():
            if view.powers:
                note_losses(view.powers["loss"], self._deltas[-1], bounds[c])

    def _cost(self, losses: list[Any]) -> None:
        exact = self.exact.cost(losses)
        bounds = {c: view.bounds.cost() for c, view in self.views.items()}
        for i, s in enumerate(self.subjects):
            if "cost" in s.values and (i, "cost") not in self.mismatches:
                self._add(i, "cost", np.asarray(s.values["cost"]), exact, bounds)
        for c, view in self.views.items():
            if view.powers:
                note_cost(view.powers["cost"], self._deltas, self.exact, exact[0], bounds[c])

    def _layers(self, block: Block, gradients: dict[Contract, Array]) -> None:
        B, p = self.exact.backend, self.problem
        exact = {q: B.pair(x) for q, x in exact_layers.gradients(B, p, block.gradient).items()}
        bounds = {c: view.bounds.layer(block, gradients[c]) for c, view in self.views.items()}
        for quantity in LAYERS:
            for i, s in enumerate(self.subjects):
                if quantity in s.values and (i, quantity) not in self.mismatches:
                    got = np.asarray(s.values[quantity])
                    self._add(i, quantity, got, exact[quantity], {c: b[quantity] for c, b in bounds.items()})
        self._layer_power(block, exact, bounds)

    def _layer_power(
        self, block: Block, exact: dict[str, tuple[Array, Array]], bounds: dict[Contract, dict[str, Array]]
    ) -> None:
        """A wrong dC/dz spreads linearly: the deltas of the layer's gradients are the layer's equations of its
        delta.
        """
        g = self.exact.backend.pair(block.gradient)[0]
        deltas = [(name, factor[:, None] * g) for name, factor in self._factors(block)]
        deltas += gradient_deltas(block, self._denominator, self.kept_rows)
        spread = [(name, exact_layers.gradients(FLOAT64, self.problem, delta)) for name, delta in deltas if delta.any()]
        for c, view in self.views.items():
            for quantity, power in view.powers.items():
                if quantity not in LAYERS:
                    continue
                bound, right = bounds[c][quantity], exact[quantity][0]
                for name, delta in spread:
                    power.note(name, largest(delta[quantity], bound))
                if quantity == "dC/dw" and right.ndim == 2 and right.shape[0] == right.shape[1]:
                    power.note("transposed", largest(right.T - right, bound))
                power.count_blind(right, bound)

    def _add(self, i: int, q: str, got: Array, exact: tuple[Array, Array], bounds: dict[Contract, Array]) -> None:
        subject = self.subjects[i]
        for c in _all(subject):
            self.tallies[i, q, c].add(got, *exact, bounds[c], counts=c == subject.contract)

    def _margins(self, i: int, block: Block, got: Array, exact: tuple[Array, Array], bound: Array) -> None:
        """Relative error of dC/dz at the label, for rows whose label leads by a margin."""
        rows, label = np.arange(len(got)), block.targets.label
        right, low = exact[0][rows, label], exact[1][rows, label]
        others = np.array(block.softmax.backend.pair(block.softmax.t)[0])
        at_label = others[rows, label].copy()
        others[rows, label] = -np.inf
        margin = at_label - others.max(1, initial=-np.inf)
        found = got[rows, label].astype(np.float64)
        use = np.isfinite(margin) & (margin > 0) & (right != 0) & np.isfinite(found)
        error = np.abs((found - right) - low)[use] / np.abs(right[use])
        points = zip(margin[use], error, bound[rows, label][use] / np.abs(right[use]), strict=True)
        self.margins[i].setdefault("dC/dz", []).extend((float(m), float(e), float(b)) for m, e, b in points)

    def _verdicts(self, i: int, subject: Subject) -> dict[str, Verdict]:
        out = {}
        for q in subject.values:
            power = self.views[subject.contract].powers[q]
            shares = {c.name: self.tallies[i, q, c].share for c in _all(subject)}
            mismatch = self.mismatches.get((i, q), "")
            tally = self.tallies[i, q, subject.contract]
            out[q] = Verdict(tally, power, mismatch, {} if mismatch else shares, self.margins[i].get(q, []))
        return out


def expected_shapes(p: Problem) -> dict[str, tuple[int, ...]]:
    """The shape of each quantity of a problem."""
    shapes = {"a": p.logits_shape, "log_a": p.logits_shape, "dC/dz": p.logits_shape, "loss": p.loss_shape, "cost": ()}
    if p.a_prev is not None and p.w is not None and p.b is not None:
        shapes |= {"dC/db": p.b.shape, "dC/dw": p.w.shape, "dC/da_prev": p.a_prev.shape}
        if p.hidden_w is not None and p.hidden_b is not None:
            shapes |= {"dC/db": (p.hidden_b.size + p.b.size,), "dC/dw": (p.hidden_w.size + p.w.size,)}
    return shapes


def _all(subject: Subject) -> tuple[Contract, ...]:
    return tuple(dict.fromkeys((subject.contract, *subject.others)))

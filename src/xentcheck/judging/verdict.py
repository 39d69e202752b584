"""Verdicts: every implementation's results on one problem, judged together against one exact evaluation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from xentcheck.judging.power.gradients import WrongGradients, note_layer
from xentcheck.judging.power.values import loss_deltas, note_cost, note_losses, note_softmax
from xentcheck.reference.bounds.arithmetic import Arithmetic
from xentcheck.reference.bounds.base import RowBase
from xentcheck.reference.bounds.contracts import CATALOGUE, Contract
from xentcheck.reference.bounds.gradient import GradientBounds
from xentcheck.reference.formats import Array
from xentcheck.reference.oracle import Block
from xentcheck.reference.problem import Problem
from xentcheck.reference.rows import to_rows
from xentcheck.vocabulary import GRADIENTS, LAYER_GRADIENTS

from .comparisons import Comparisons, Submission, Verdict
from .directions import DirectionalJudge
from .margins import POINTS, Margin, margins_of


class Judgement(Comparisons):
    """Judges submissions on one problem, a row block at a time."""

    def __init__(
        self,
        problem: Problem,
        quantities: Sequence[str],
        submissions: Sequence[Submission],
        rows: Array | None = None,
    ) -> None:
        super().__init__(problem, quantities, submissions, rows)
        self.margins: list[list[Margin]] = [[] for _ in submissions]
        self._deltas: list[dict[str, Array]] = []
        self._directional = DirectionalJudge(self)

    def run(self, told: Callable[[int], object] = lambda rows: None) -> list[dict[str, Verdict]]:
        """One verdict per submission and quantity; told: called with the number of rows of each block that is done."""
        if self.submissions:
            losses = []
            with np.errstate(all="ignore"):
                for block in self.exact.blocks():
                    losses.append(block.loss if {"loss", "cost"} & set(self.quantities) else None)
                    self._block(block)
                    told(len(block.targets.kept))
                self._directional.finish(self)
                if "cost" in self.quantities:
                    self._cost([loss for loss in losses if loss is not None])
        return [self._verdicts(i, s) for i, s in enumerate(self.submissions)]

    def _block(self, block: Block) -> None:
        B = self.exact.backend
        shared = None
        if self.problem.head == "logits":
            shared = RowBase.of(block.softmax, Arithmetic.of(CATALOGUE["fused"], self.problem.dtype).wide)
        bounds = {c: view.rows(block, shared) for c, view in self.views.items()}
        self._directional.block(self, block, bounds)
        if "a" in self.quantities:
            exact = B.pair(block.a())
            self._softmax(block, "a", exact, {c: b.softmax() for c, b in bounds.items()})
        if "log_a" in self.quantities:
            exact = B.pair(block.log_a())
            self._softmax(block, "log_a", exact, {c: b.log_softmax() for c, b in bounds.items()})
        if {"loss", "cost"} & set(self.quantities):
            self._losses(block, {c: self.views[c].bounds.loss(b) for c, b in bounds.items()})
        if set(GRADIENTS) & set(self.quantities):
            gradients = {c: self.views[c].bounds.gradient(b) for c, b in bounds.items()}
            wrong = WrongGradients(self.exact, block)
            if "dC/dz" in self.quantities:
                self._gradient(block, wrong, gradients)
            if set(LAYER_GRADIENTS) & set(self.quantities):
                self._layers(block, wrong, gradients)

    def _softmax(self, block: Block, quantity: str, exact: tuple[Array, Array], bounds: dict[Contract, Array]) -> None:
        for i, got in self.compared(quantity):
            self.add(i, quantity, got[block.rows], exact, bounds)
        z = to_rows(np.asarray(self.problem.logits))[self.exact.chosen][block.rows].astype(np.float64)
        for c, power in self.powers(quantity):
            note_softmax(power, block, quantity, z, exact[0], bounds[c])

    def _gradient(self, block: Block, wrong: WrongGradients, bounds: dict[Contract, GradientBounds]) -> None:
        exact = self.exact.backend.pair(block.gradient)
        for c, power in self.powers("dC/dz"):
            wrong.note(power, bounds[c])
        for i, found in self.compared("dC/dz"):
            got = found[block.rows]
            self.add_gradient(i, got, exact, bounds)
            if block.targets.hard and len(self.margins[i]) < POINTS:
                limit = bounds[self.submissions[i].contract_for("dC/dz")].at_label
                self.margins[i] += margins_of(block, got, exact, limit)

    def _losses(self, block: Block, bounds: dict[Contract, Array]) -> None:
        self._deltas.append(loss_deltas(block, len(self.exact.targets.kept)))
        if "loss" not in self.quantities:
            return
        B = self.exact.backend
        exact = B.pair(B.scale(*block.loss))
        for i, got in self.compared("loss"):
            self.add(i, "loss", got[block.rows], exact, bounds)
        for c, power in self.powers("loss"):
            note_losses(power, self._deltas[-1], bounds[c])

    def _cost(self, losses: list[Any]) -> None:
        exact = self.exact.cost(losses)
        bounds = {c: view.bounds.cost() for c, view in self.views.items()}
        for i, got in self.compared("cost"):
            self.add(i, "cost", got, exact, bounds)
        for c, power in self.powers("cost"):
            note_cost(power, self._deltas, self.exact, exact[0], bounds[c])

    def _layers(self, block: Block, wrong: WrongGradients, gradients: dict[Contract, GradientBounds]) -> None:
        B = self.exact.backend
        exact = {q: B.pair(x) for q, x in self.exact.layer(block).items()}
        bounds = {c: view.bounds.layer(block, gradients[c].whole) for c, view in self.views.items()}
        spread = wrong.spread()
        for quantity in LAYER_GRADIENTS:
            if quantity in self.quantities:
                for i, got in self.compared(quantity):
                    self.add(i, quantity, got, exact[quantity], {c: b[quantity] for c, b in bounds.items()})
                for c, power in self.powers(quantity):
                    note_layer(power, quantity, exact[quantity][0], bounds[c][quantity], spread)

    def _verdicts(self, i: int, submission: Submission) -> dict[str, Verdict]:
        out = {}
        for q in submission.values:
            judged_by = submission.contract_for(q)
            power = self.views[judged_by].powers[q]
            shares = {c.name: self.tallies[i, q, c].share for c in submission.contracts[q]}
            mismatch = self.mismatches.get((i, q))
            tally = self.tallies[i, q, judged_by]
            out[q] = Verdict(
                tally, power, mismatch, {} if mismatch else shares, self.margins[i][:POINTS] if q == "dC/dz" else []
            )
        return out

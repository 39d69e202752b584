"""A mistake that autograd differentiates is recognised by its gradient, too."""

from __future__ import annotations

import pytest

from xentcheck.cases import Case
from xentcheck.cases.build import build
from xentcheck.diagnosis.suspects import suspects
from xentcheck.reference.bounds import bound


def test_a_softmax_over_the_last_axis_is_recognised() -> None:
    """As autograd differentiates it, whatever the upstream gradients."""
    torch = pytest.importorskip("torch")
    p = build(Case.parse("gaussian.3x7x2.f64.index.plain.none.up-rand.contig.s0"))
    z = torch.tensor(p.logits).requires_grad_()
    y = torch.tensor(p.target)
    loss = -torch.log_softmax(z, -1).gather(1, y[:, None])[:, 0]
    loss.backward(torch.tensor(p.upstream))
    sentence = "F73: softmax over the last axis, labels on axis 1"
    for quantity, got in {"loss": loss.detach(), "dC/dz": z.grad}.items():
        assert sentence in suspects(p, quantity, got.numpy(), bound(quantity, p, "stable"))

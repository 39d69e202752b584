"""Derivatives along a direction v of the logits: of the losses (jvp) and of dC/dz (hvp).

[derived] with the factors q of -log a, Q = sum q_i and s = a.v: the loss C = -sum q_i log a_i of a row moves by
jvp = Q s - q.v, and dC/dz = f (a Q - q) by hvp = f Q a o (v - s). Only differences of v count, so that v is shifted by
its entry at the largest a, which keeps s from cancelling.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xentcheck.reference.formats import Array
from xentcheck.reference.numbers.backends import Number

from .block import Block
from .leaving import all_finite, leave


@dataclass(frozen=True)
class Directional:
    """One block of rows: jvp (n,) without reduction and upstream, hvp (n, C), and the shifted direction (n, C)."""

    jvp: Number
    hvp: Number
    shifted: Array

    @classmethod
    def of(cls, block: Block, v: Array) -> Directional:
        """v: (n, C), exact in float64."""
        B, s, t = block.softmax.backend, block.softmax, block.targets
        top = v[np.arange(len(v)), s.argmax][:, None]
        d = B.difference(v, np.broadcast_to(top, v.shape))
        mean = B.sum(s.e * d) / s.total
        q = t.terms(B) if not t.hard else B.array(one_hot(block))
        mass = B.sum(q)
        jvp = mass * mean - B.sum(q * d)
        hvp = (s.e / s.total[:, None]) * (d - mean[:, None]) * (mass * block.factor)[:, None]
        jvp, hvp = B.where(t.kept, jvp, 0.0), B.where(t.kept[:, None], hvp, 0.0)
        undefined = block.undefined | (not all_finite(v))
        leave(B, "jvp", jvp, undefined)
        leave(B, "hvp", hvp, (undefined | (not block.divided))[:, None])
        return cls(jvp, hvp, B.pair(d)[0])


def one_hot(block: Block) -> Array:
    t = block.targets
    return np.asarray((np.arange(t.classes) == t.label[:, None]) * t.label_weight[:, None])

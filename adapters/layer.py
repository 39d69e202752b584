"""Fused linear losses: functions of (x, weight, bias, target) that never show their logits x weight^T + bias.

They are judged by dC/dx (dC/da_prev), dC/dweight (dC/dw) and dC/dbias (dC/db); their only head is the layer.
"""

from __future__ import annotations

from xentcheck.vocabulary import VALUES

LAYER = ("a_prev", "w", "b")
"""A layer's arrays, in the order in which a function gets them."""

OF = {"dC/da_prev": "a_prev", "dC/dw": "w", "dC/db": "b"}
"""What each gradient is taken of."""

QUANTITIES = (*VALUES, *OF)

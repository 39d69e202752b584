"""The tolerances of published suites, audited: the figures of `docs` come out again."""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import numpy as np
import pytest

from xentcheck.reference.formats import FORMATS
from xentcheck.studies.audit import Assertion, audit

LARGE = (8192, 32000)

OFF_LABEL = {"offtarget_zeroed", "last_column_dropped"}

MULTIPLES = {"zero", "doubled", "halved", "last_row_dropped"}

DENSITY = 0.4
"""The largest of a normal logit: 1 / sqrt(2 pi)."""

PUBLISHED: dict[str, tuple[dict[str, Any], float, set[str]]] = {
    "Liger test_correctness, float32 mean": ({"atol": 1e-8, "rtol": 1e-6, "shape": LARGE}, 0.928, set()),
    "Liger test_correctness, bfloat16 mean": (
        {"atol": 1e-8, "rtol": 5e-2, "shape": LARGE, "dtype": "bfloat16"},
        0.928,
        set(),
    ),
    "Liger test_correctness, bfloat16 sum": (
        {"atol": 1e-8, "rtol": 5e-2, "shape": LARGE, "dtype": "bfloat16", "reduction": "sum"},
        0.0,
        set(),
    ),
    "allclose defaults": ({"atol": 1e-8, "rtol": 1e-5, "shape": LARGE}, 0.928, set()),
    "torch.testing defaults": ({"atol": 1e-5, "rtol": 1.3e-6, "shape": LARGE}, 1.0, OFF_LABEL),
    "flash-attn, bfloat16 mean": (
        {"atol": 1e-4, "rtol": 1e-3, "shape": (16374, 50257), "dtype": "bfloat16"},
        1.0,
        {*OFF_LABEL, *MULTIPLES, "onehot_dropped"},
    ),
    "BackendBench": (
        {"atol": 1e-2, "rtol": 1e-2, "shape": LARGE},
        1.0,
        {*OFF_LABEL, *MULTIPLES, "onehot_dropped", "negated"},
    ),
    "gpucheck, bfloat16": (
        {"atol": 5e-2, "rtol": 5e-2, "shape": LARGE, "dtype": "bfloat16"},
        1.0,
        {*OFF_LABEL, *MULTIPLES, "onehot_dropped", "negated"},
    ),
}
"""Tolerances of shipped suites with their published blind fractions, and the wrong gradients that pass."""

DIGITS = 0.0005
"""The fractions are published to three digits."""

NOT_NORMAL = 0.0023
"""How far the distribution of a logit is from the normal one of the figures: a sum of 12 uniform numbers has the excess
kurtosis -0.1, and F - Phi = phi(x) (x^3 - 3x) / 240 is largest, 0.3034 * 1.815 / 240, at x = 0.742.
"""

DRAWN = 6.0 * (0.5 + DENSITY * 1.32) / 2000.0
"""Six standard deviations of a share of 4 million elements: sqrt(p (1 - p)) of each, and of the log S of each row
sqrt((e - 1) / C), which moves the limit of C elements.
"""


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_figures_come_out_again(name: str) -> None:
    """The blind fraction to what the draw leaves open, and the very set of wrong gradients: alone this
    shows that the figures of others come out.

    Off the label |dC/dz| = s a <= atol + rtol s a where z <= log(atol / (1 - rtol) / s) + log S, and log S is
    log C + 1/2 for normal z. The published figures are this for rtol = 0. Rounding z moves it by u |z|, and
    |z| phi(z) < 1/4.
    """
    given, blind, accepted = PUBLISHED[name]
    found = audit(Assertion(**given))
    n, classes = given["shape"]
    rows = 1 if given.get("reduction") == "sum" else n

    def below(limit: float) -> float:
        return NormalDist().cdf(np.log(limit * rows * classes) + 0.5)

    assert abs(below(given["atol"]) - blind) <= DIGITS
    left_open = NOT_NORMAL + DRAWN + FORMATS[given.get("dtype", "float32")].unit_roundoff / 4.0 + 1.0 / classes
    assert abs(found.blind - below(given["atol"] / (1.0 - given["rtol"]))) <= left_open
    assert set(found.accepted) == accepted

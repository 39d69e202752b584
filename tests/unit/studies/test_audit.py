"""The audit: published figures of shipped suites again, and what it accepts is what NumPy's comparison accepts."""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from command import xentcheck

from xentcheck.cases.randomness import Stream
from xentcheck.errors import AuditError
from xentcheck.reference import cross_entropy_grad
from xentcheck.reference.formats import FORMATS
from xentcheck.studies.audit import FARTHEST, UPSTREAMS, WRONG, Assertion, audit
from xentcheck.vocabulary import DTYPES

LARGE = (8192, 32000)
OFF_LABEL = {"offtarget_zeroed", "last_column_dropped"}
MULTIPLES = {"zero", "doubled", "halved", "last_row_dropped"}
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

DENSITY = 0.4
"""The largest of a normal logit: 1 / sqrt(2 pi)."""

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


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("atol", [0.0, 1e-3, 0.02, 10.0])
def test_what_is_accepted_is_what_allclose_accepts(atol: float, reduction: str) -> None:
    """The same on a small problem, with wrong gradients built from another evaluation and judged by NumPy."""
    given = Assertion(atol=atol, rtol=1e-2, shape=(6, 5), reduction=reduction, dtype="float64")
    found = audit(given)
    stream = Stream("audit.float64.6.5.s0")
    z = stream.gaussian((6, 5))
    y = stream.integers(0, 5, (6,))
    right = cross_entropy_grad(z, y, reduction=reduction)
    label = np.eye(5, dtype=bool)[y]
    one = 1.0 / 6.0 if reduction == "mean" else 1.0
    wrong = {
        "zero": 0 * right,
        "negated": -right,
        "doubled": 2 * right,
        "halved": right / 2,
        "onehot_dropped": right + one * label,
        "offtarget_zeroed": np.where(label, right, 0.0),
        "last_column_dropped": np.where(np.arange(5) == 4, 0.0, right),
        "last_row_dropped": np.where(np.arange(6)[:, None] == 5, 0.0, right),
        **({"not_divided": 6 * right} if reduction == "mean" else {}),
    }
    assert set(found.margins) == set(wrong)
    assert set(found.accepted) == {n for n, w in wrong.items() if np.allclose(w, right, atol=atol, rtol=1e-2)}
    assert found.blind == np.isclose(0 * right, right, atol=atol, rtol=1e-2).mean()


def test_upstream_faults_show_with_other_upstreams_only() -> None:
    """Ones hide both, a negative scalar one of them, random rows none."""
    found = {
        u: set(audit(Assertion(atol=0.0, rtol=1e-3, shape=(8, 5), reduction="none", upstream=u)).margins)
        for u in UPSTREAMS
    }
    assert found["ones"] & {"upstream_ignored", "first_upstream"} == set()
    assert found["negative"] & {"upstream_ignored", "first_upstream"} == {"upstream_ignored"}
    assert found["random"] >= {"upstream_ignored", "first_upstream"}
    assert set.union(*found.values()) <= set(WRONG)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"atol": -1.0}, "atol is -1.0, rtol 0.1; allowed: finite numbers from 0"),
        ({"rtol": float("nan")}, "atol is 0.1, rtol nan; allowed: finite numbers from 0"),
        ({"shape": (0, 3)}, r"shape is \(0, 3\); allowed: N,C, both from 1"),
        ({"scale": 0.0}, "scale is 0.0; allowed: a positive number"),
        ({"scale": 1e39}, r"scale is 1e\+39, beyond which float32 overflows; allowed: up to 2.84e\+37"),
        ({"scale": 1e5, "dtype": "float16"}, "scale is 100000.0, beyond which float16 overflows; .*"),
        ({"scale": float("nan")}, "scale is nan; allowed: a positive number"),
        ({"atol": float("inf")}, "atol is inf, rtol 0.1; allowed: finite numbers from 0"),
        ({"reduction": "max"}, "reduction is 'max'; allowed: mean, sum, none"),
        ({"dtype": "int8"}, "dtype is 'int8'; allowed: float64, float32, bfloat16, float16"),
        ({"upstream": "two"}, "upstream is 'two'; allowed: ones, negative, random"),
        ({"upstream": "random"}, "upstream random needs reduction none; allowed otherwise: ones, negative"),
    ],
)
def test_what_makes_no_assertion_is_refused(changes: dict[str, Any], text: str) -> None:
    """One line: what, and what is allowed."""
    with pytest.raises(AuditError, match=f"^{text}$"):
        Assertion(**{"atol": 0.1, "rtol": 0.1, "shape": (2, 3)} | changes)


def test_the_largest_scale_still_finds_wrong_gradients() -> None:
    """Nothing overflows on the way: what is wrong at 1 is wrong there."""
    for dtype in DTYPES:
        largest = FORMATS[dtype].largest / FARTHEST
        found = audit(Assertion(atol=1e-8, rtol=1e-6, shape=(64, 8), dtype=dtype, scale=largest))
        assert {"zero", "negated", "doubled", "halved"} <= set(found.margins)


def test_the_command_says_what_is_accepted() -> None:
    """Exit code 1 if a wrong gradient is, 0 if none; bad input is one line: alone this calls the command."""
    blind = xentcheck("audit", "--atol", "1e-5", "--rtol", "1.3e-6", "--shape", "8192,32000")
    assert blind.returncode == 1
    assert "blind: 100.0% of the elements could be 0 unnoticed" in blind.stdout
    assert [line.split()[0] for line in blind.stdout.splitlines() if "accepted" in line] == sorted(OFF_LABEL)[::-1]
    assert xentcheck("audit", "--atol", "0", "--rtol", "1e-6", "--shape", "4,5").returncode == 0
    wrong = xentcheck("audit", "--atol", "0", "--rtol", "1e-6", "--shape", "4x5")
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)
    assert "Invalid value for --shape: '4x5'; allowed: N,C, two numbers" in wrong.stderr

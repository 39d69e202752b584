"""The audit: published figures of shipped suites again, and what it accepts is what NumPy's comparison accepts."""

from __future__ import annotations

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

OFF_LABEL = {"offtarget_zeroed", "last_column_dropped"}


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
        ({"shape": (0, 3)}, r"shape is \(0, 3\); allowed: N,C, both from 1, C to 4000000"),
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
    assert "blind: over 99.9% of the elements could be 0 unnoticed" in blind.stdout
    assert [line.split()[0] for line in blind.stdout.splitlines() if "accepted" in line] == sorted(OFF_LABEL)[::-1]
    assert xentcheck("audit", "--atol", "0", "--rtol", "1e-6", "--shape", "4,5").returncode == 0
    wrong = xentcheck("audit", "--atol", "0", "--rtol", "1e-6", "--shape", "4x5")
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)
    assert "Invalid value for --shape: '4x5'; allowed: N,C, two numbers" in wrong.stderr
